//! For tests: a small server that tells the lies that real ones do not.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::Server;

/// The way a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

type Script = Arc<dyn Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync>;

/// Listens on UDP and TCP of one loopback port until dropped.
pub(super) struct Fake {
    pub(super) server: Server,
    task: JoinHandle<()>,
}

impl Fake {
    /// `script` gives the messages to send for a question, none for silence.
    pub(super) async fn start(
        script: impl Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = pair().await;
        let address = udp.local_addr().expect("an address");
        let script: Script = Arc::new(script);
        let task = tokio::spawn(async move {
            tokio::join!(serve_udp(udp, None, script.clone()), serve_tcp(tcp, script));
        });
        Fake { server: Server { name: "fake".into(), address }, task }
    }

    /// As `start`, but UDP answers leave from another port, and TCP is never answered.
    pub(super) async fn answering_from_elsewhere(
        script: impl Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = pair().await;
        let address = udp.local_addr().expect("an address");
        let elsewhere = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let task = tokio::spawn(async move {
            serve_udp(udp, Some(elsewhere), Arc::new(script)).await;
            drop(tcp);
        });
        Fake { server: Server { name: "fake".into(), address }, task }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that nobody listens on.
pub(super) async fn closed_port() -> SocketAddr {
    pair().await.0.local_addr().expect("an address")
}

async fn pair() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP alike");
}

async fn serve_udp(socket: UdpSocket, elsewhere: Option<UdpSocket>, script: Script) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let question = Message::from_vec(&buffer[..length]).expect("we ask readable questions");
        for answer in script(&question, Way::Udp) {
            let _ = elsewhere.as_ref().unwrap_or(&socket).send_to(&answer, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, script.clone()));
    }
}

async fn serve_connection(mut stream: TcpStream, script: Script) {
    let length = stream.read_u16().await.expect("a length");
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await.expect("a question");
    let answers = script(&Message::from_vec(&question).expect("readable"), Way::Tcp);
    if answers.is_empty() {
        return pending().await;
    }
    for answer in answers {
        let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
        let _ = stream.write_all(&length).await;
        let _ = stream.write_all(&answer).await;
    }
}
