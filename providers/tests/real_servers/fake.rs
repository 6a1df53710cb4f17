//! Servers that misbehave, on loopback and on the test's own runtime.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens and gives each connection to `serve`, until the test's runtime ends.
pub(crate) async fn listen<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// A DNS server over TCP that answers one message of each connection with what `answer` makes of it;
/// nothing closes the connection.
pub(crate) async fn dns(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> SocketAddr {
    let answer = Arc::new(answer);
    listen(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            let mut request = vec![0; stream.read_u16().await?.into()];
            stream.read_exact(&mut request).await?;
            if let Some(reply) = answer(&request) {
                stream.write_u16(reply.len().try_into().expect("short")).await?;
                stream.write_all(&reply).await?;
            }
            Ok(())
        }
    })
    .await
}

/// An HTTP server that answers each request, `GET /path`, with these octets and closes.
pub(crate) async fn http(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let answer = Arc::new(answer);
    listen(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            let request = request(&mut stream).await?;
            let text = String::from_utf8_lossy(&request);
            let line = text.split(" HTTP").next().unwrap_or_default();
            stream.write_all(&answer(line)).await?;
            stream.shutdown().await
        }
    })
    .await
}

/// What the [`proxy`] does with a PATCH.
#[derive(Clone)]
pub(crate) enum OnPatch {
    /// Passes it on and swallows the answer: the connection just ends.
    LoseTheAnswer,
    /// Keeps it, for ever.
    Hang,
    /// Does this first, then passes it on.
    First(Arc<dyn Fn() + Send + Sync>),
}

/// An HTTP proxy in front of a server that closes after each answer; everything but PATCH goes through.
pub(crate) async fn proxy(upstream: SocketAddr, on_patch: OnPatch) -> SocketAddr {
    listen(move |mut stream| {
        let on_patch = on_patch.clone();
        async move {
            let request = request(&mut stream).await?;
            let is_patch = request.starts_with(b"PATCH");
            match &on_patch {
                OnPatch::Hang if is_patch => std::future::pending::<()>().await,
                OnPatch::First(work) if is_patch => work(),
                _ => {}
            }
            let mut server = TcpStream::connect(upstream).await?;
            server.write_all(&request).await?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await?;
            if !(is_patch && matches!(on_patch, OnPatch::LoseTheAnswer)) {
                stream.write_all(&answer).await?;
            }
            stream.shutdown().await
        }
    })
    .await
}

/// One HTTP request, head and body.
pub(crate) async fn request(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(request);
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await? {
            0 => return Ok(request),
            count => request.extend_from_slice(&part[..count]),
        }
    }
}
