//! One exchange over TCP (RFC 1035 section 4.2.2, RFC 7766): requests out, as many answers in.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// An exchange that came to no answer. What matters is whether the server may have acted.
#[derive(Debug)]
pub(super) enum Lost {
    /// No octet of the request was sent.
    BeforeSend(String),
    /// The request, or a part of it, was sent.
    AfterSend(String),
}

/// Sends all `requests` on one connection and waits for an answer to each; `limit` is the time for everything.
///
/// The answers are in the order of the requests, however the server ordered them (RFC 7766 section 7). They are
/// matched by their id alone; nothing else is checked.
pub(super) async fn exchange(
    server: SocketAddr,
    limit: Duration,
    requests: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, Lost> {
    let sent = AtomicBool::new(false);
    let work = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        sent.store(true, Ordering::Relaxed);
        stream.write_all(&framed(requests)).await?;
        receive(&mut stream, requests).await
    };
    let why = match tokio::time::timeout(limit, work).await {
        Ok(Ok(answers)) => return Ok(answers),
        Ok(Err(why)) => format!("{server}: {why}"),
        Err(_) => format!("{server}: no answer within {limit:?}"),
    };
    Err(if sent.load(Ordering::Relaxed) { Lost::AfterSend(why) } else { Lost::BeforeSend(why) })
}

fn framed(requests: &[Vec<u8>]) -> Vec<u8> {
    let frame = |request: &Vec<u8>| {
        let length = u16::try_from(request.len()).expect("a request is built to fit 64 KiB");
        [&length.to_be_bytes(), request.as_slice()].concat()
    };
    requests.iter().flat_map(frame).collect()
}

/// Sends one request that is answered by many messages (RFC 5936 section 2.2), and hands each to `take` until that says
/// that it was the last; `limit` is the time for everything.
pub(super) async fn stream<E: From<Lost>>(
    server: SocketAddr,
    limit: Duration,
    request: &Vec<u8>,
    mut take: impl FnMut(Vec<u8>) -> Result<bool, E>,
) -> Result<(), E> {
    let sent = AtomicBool::new(false);
    let work = async {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        sent.store(true, Ordering::Relaxed);
        // The messages are small pieces of a large whole.
        let mut stream = BufStream::with_capacity(1 << 16, 1 << 9, stream);
        stream.write_all(&framed(std::slice::from_ref(request))).await?;
        stream.flush().await?;
        loop {
            match take(message(&mut stream).await?) {
                Ok(false) => {}
                Ok(true) => return Ok(Ok(())),
                Err(why) => return Ok(Err(why)),
            }
        }
    };
    let why = match tokio::time::timeout(limit, work).await {
        Ok(Ok(result)) => return result,
        Ok(Err::<_, io::Error>(why)) => format!("{server}: {why}"),
        Err(_) => format!("{server}: not ended within {limit:?}"),
    };
    Err(if sent.load(Ordering::Relaxed) { Lost::AfterSend(why) } else { Lost::BeforeSend(why) }.into())
}

/// One message; its length is 16 bits, so it cannot be larger than 64 KiB.
async fn message(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn receive(stream: &mut TcpStream, requests: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
    let mut open: BTreeMap<[u8; 2], usize> = BTreeMap::new();
    for (place, request) in requests.iter().enumerate() {
        open.insert([request[0], request[1]], place);
    }
    let mut answers = vec![Vec::new(); requests.len()];
    while !open.is_empty() {
        let answer = message(stream).await?;
        let id = answer.get(..2).and_then(|id| <[u8; 2]>::try_from(id).ok());
        let place = id.and_then(|id| open.remove(&id));
        let place = place.ok_or_else(|| io::Error::other("an answer to something that was not asked"))?;
        answers[place] = answer;
    }
    Ok(answers)
}
