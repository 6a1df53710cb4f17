//! Servers on loopback that follow a script.

use std::future::Future;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::LOOPBACK;

/// A server that gives each connection to `script`. It ends when this is dropped.
pub(super) struct Server {
    pub(super) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn serve<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(stream));
        }
    });
    Server { port, task }
}

/// Reads a request's head, answers with `answer` and closes.
pub(super) async fn answers(answer: impl Into<Vec<u8>>) -> Server {
    let answer: Vec<u8> = answer.into();
    serve(move |mut stream| {
        let answer = answer.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

/// As [`answers`], but leaves the connection open until the peer closes it.
pub(super) async fn answers_and_stays(answer: &'static [u8]) -> Server {
    serve(move |mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(answer).await;
        until_closed(&mut stream).await;
    })
    .await
}

/// Takes the head of a request.
pub(super) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// Waits until the peer is gone.
pub(super) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// A port of loopback at which nobody listens.
pub(super) fn closed_port() -> u16 {
    testkit::free_port()
}

/// Takes something and closes.
pub(super) async fn some(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = vec![0; 16 * 1024];
    let _ = stream.read(&mut rest).await;
}
