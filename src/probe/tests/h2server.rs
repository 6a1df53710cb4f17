//! HTTP/2 servers on loopback: by the book, or frame by frame.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::LOOPBACK;
use super::server::{Server, serve};

/// The empty SETTINGS frame that a server must begin with.
pub(super) const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Takes requests on each connection and gives them to `script`.
pub(super) async fn serve_http2<F>(script: impl Fn(Asked) -> F + Clone + Send + 'static) -> Server
where
    F: Future<Output = ()> + Send + 'static,
{
    serve(move |stream| speak(stream, script.clone())).await
}

/// A request and the way to answer it.
pub(super) struct Asked {
    pub(super) request: Request<RecvStream>,
    pub(super) answer: SendResponse<Bytes>,
}

impl Asked {
    /// Answers with this head and this body.
    pub(super) fn say(mut self, head: Response<()>, body: &'static [u8]) {
        let mut stream = self.answer.send_response(head, body.is_empty()).unwrap();
        if !body.is_empty() {
            stream.send_data(Bytes::from_static(body), true).unwrap();
        }
    }

    pub(super) fn say_status(self, status: u16) {
        self.say(Response::builder().status(status).body(()).unwrap(), b"");
    }
}

pub(super) async fn speak<S, F>(stream: S, script: impl Fn(Asked) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::spawn(script(Asked { request, answer }));
    }
}

/// A server that says these bytes after whatever it is told first, and stays.
pub(super) async fn says(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes: Vec<u8> = bytes.into();
    serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            super::server::some(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            super::server::until_closed(&mut stream).await;
        }
    })
    .await
}

/// A frame (RFC 9113 section 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// TLS before a plain server, offering these protocols.
pub(super) async fn with_tls(mut config: ServerConfig, alpn: &[&[u8]], behind: u16) -> Server {
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut outside) = acceptor.accept(stream).await else { return };
            let mut inside = TcpStream::connect((LOOPBACK, behind)).await.unwrap();
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        }
    })
    .await
}
