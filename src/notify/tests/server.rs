//! A small HTTP server that plays a script and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does with one request; the last act of the script goes on for ever.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Status, further headers (each with its line end), body.
    Say(u16, &'static str, &'static str),
    /// Repeats the whole request in the body, as helpful servers do.
    Repeat(u16),
    /// A body that never ends.
    Babble,
    Hang,
    Close,
}

pub(super) struct Server {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut acts = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                acts.spawn(serve(stream, Arc::clone(&seen), script.clone()));
            }
        });
        Server { port, requests, task }
    }

    /// Ends it; its port refuses connections afterwards.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(super) fn url(&self, target: &str) -> secrecy::SecretString {
        format!("http://127.0.0.1:{}{target}", self.port).into()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Request>>>, script: Vec<Act>) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    // Whoever asked may be gone already: that is his business.
    let _ = play(&mut stream, &request, &script[number.min(script.len() - 1)]).await;
}

async fn play(stream: &mut TcpStream, request: &Request, act: &Act) -> std::io::Result<()> {
    let (status, headers, body) = match act {
        Act::Say(status, headers, body) => (*status, *headers, (*body).to_owned()),
        Act::Repeat(status) => (*status, "", format!("Cannot POST {} {:?}", request.target, request.headers)),
        Act::Babble => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            loop {
                stream.write_all(b"400\r\n").await?;
                stream.write_all(&[b'x'; 0x400]).await?;
                stream.write_all(b"\r\n").await?;
            }
        }
        Act::Hang => return std::future::pending().await,
        Act::Close => return Ok(()),
    };
    let head = format!(
        "HTTP/1.1 {status} Word\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let target = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes[end + 4..].to_vec();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { target, headers, body })
}
