//! One check of one address, played by a listener on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// No connection is longer.
const CONNECTION: Duration = Duration::from_secs(10);
/// Connections at once; more wait.
const CONNECTIONS: usize = 64;
/// The most bytes of a request.
const REQUEST: u64 = 64 * 1024;

/// What is done with a connection.
pub(super) enum Act {
    /// Reads a request's head and answers.
    Answer(Vec<u8>, Option<TlsAcceptor>),
    /// Says something, then waits for the peer to close.
    Say(Vec<u8>),
}

/// A listener that can be closed and opened again on the same port.
pub(super) struct Seat {
    /// Bound and never listening: while the seat is closed nobody else is given its port, and connections are refused.
    _kept: TcpSocket,
    address: SocketAddr,
    act: Arc<Act>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Seat {
    /// A listener on 127.0.0.1, on a port of its own.
    pub(super) fn open(act: Act) -> io::Result<Self> {
        let kept = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = kept.local_addr()?;
        let seat = Seat { _kept: kept, address, act: Arc::new(act), task: Mutex::default() };
        seat.raise()?;
        Ok(seat)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody listens any more when this returns, and open connections are gone.
    pub(super) async fn kill(&self) {
        let task = self.task().take();
        if let Some(task) = task {
            task.abort();
            // Aborted, which is what was asked for.
            let _ = task.await;
        }
    }

    /// Listens, if it does not already.
    pub(super) fn raise(&self) -> io::Result<()> {
        let mut task = self.task();
        if task.is_none() {
            let listener = socket(self.address)?.listen(128)?;
            *task = Some(tokio::spawn(serve(listener, Arc::clone(&self.act))));
        }
        Ok(())
    }

    fn task(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, act: Arc<Act>) {
    // Dropped with this task: a killed host takes its connections with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let act = Arc::clone(&act);
                // Whatever goes wrong there, the probe sees and says.
                connections.spawn(async move { drop(timeout(CONNECTION, play(stream, &act)).await) });
            }
            // No descriptor is free: a moment later one is.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn play(mut stream: TcpStream, act: &Act) -> io::Result<()> {
    match act {
        Act::Answer(response, None) => answer(&mut stream, response).await,
        Act::Answer(response, Some(tls)) => answer(&mut tls.accept(stream).await?, response).await,
        Act::Say(text) => {
            stream.write_all(text).await?;
            until_closed(&mut stream).await
        }
    }
}

async fn answer(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), response: &[u8]) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if (&mut *stream).take(REQUEST - request.len() as u64).read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    stream.write_all(response).await?;
    stream.shutdown().await?;
    until_closed(stream).await
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(seat: &Seat) -> io::Result<String> {
        let mut stream = TcpStream::connect(seat.address()).await?;
        let mut text = [0; 5];
        stream.read_exact(&mut text).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    #[tokio::test]
    async fn a_killed_seat_refuses_and_comes_back_on_its_port() {
        let seat = Seat::open(Act::Say(b"hello".to_vec())).unwrap();
        let address = seat.address();
        for _ in 0..3 {
            assert_eq!(said(&seat).await.unwrap(), "hello");
            let mut open = TcpStream::connect(address).await.unwrap();
            open.read_exact(&mut [0; 5]).await.unwrap();
            seat.kill().await;
            let gone = timeout(Duration::from_secs(30), open.read(&mut [0; 1])).await.unwrap();
            assert!(matches!(gone, Ok(0) | Err(_)), "{gone:?}");
            assert_eq!(said(&seat).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            seat.raise().unwrap();
            assert_eq!(seat.address(), address);
        }
    }
}
