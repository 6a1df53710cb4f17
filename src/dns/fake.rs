//! For tests: a small server that tells the lies that real ones do not.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// The way a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Udp,
    Tcp,
}

type Script = Arc<dyn Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync>;

/// What is done with the messages of the script.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// UDP answers leave from another port, and TCP is never answered.
    pub(crate) from_elsewhere: bool,
    /// Nobody listens on TCP.
    pub(crate) no_tcp: bool,
    /// Over TCP half of each message is sent, then the connection is closed.
    pub(crate) half: bool,
    /// Answers come after this time.
    pub(crate) delay: Duration,
}

/// Listens on UDP and TCP of one loopback port until dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Fake {
    /// `script` gives the messages to send for a question, none for silence.
    pub(crate) async fn start(
        script: impl Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Fake::with(Habits::default(), script).await
    }

    /// As `start`, with habits.
    pub(crate) async fn with(
        habits: Habits,
        script: impl Fn(&Message, Way) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = pair().await;
        let address = udp.local_addr().expect("an address");
        let script: Script = Arc::new(script);
        let task = tokio::spawn(async move {
            let over_tcp = async {
                if habits.no_tcp {
                    drop(tcp);
                } else if habits.from_elsewhere {
                    let _tcp = tcp;
                    pending::<()>().await;
                } else {
                    serve_tcp(tcp, script.clone(), habits).await;
                }
            };
            tokio::join!(serve_udp(udp, script.clone(), habits), over_tcp);
        });
        Fake { address, task }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that nobody listens on.
pub(crate) fn closed_port() -> SocketAddr {
    ([127, 0, 0, 1], testkit::free_port()).into()
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

async fn serve_udp(socket: UdpSocket, script: Script, habits: Habits) {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let question = Message::from_vec(&buffer[..length]).expect("we ask readable questions");
        tokio::time::sleep(habits.delay).await;
        for answer in script(&question, Way::Udp) {
            let from = if habits.from_elsewhere { &elsewhere } else { &socket };
            let _ = from.send_to(&answer, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Script, habits: Habits) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_connection(stream, script.clone(), habits));
    }
}

async fn serve_connection(mut stream: TcpStream, script: Script, habits: Habits) {
    let length = stream.read_u16().await.expect("a length");
    let mut question = vec![0; usize::from(length)];
    stream.read_exact(&mut question).await.expect("a question");
    tokio::time::sleep(habits.delay).await;
    let answers = script(&Message::from_vec(&question).expect("readable"), Way::Tcp);
    if answers.is_empty() {
        return pending().await;
    }
    for answer in answers {
        let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
        let _ = stream.write_all(&length).await;
        let sent = if habits.half { answer.len() / 2 } else { answer.len() };
        let _ = stream.write_all(&answer[..sent]).await;
    }
}
