//! One HTTP exchange on a connection of our own, which is closed after it unless the check reuses connections.
//!
//! **Reuse.** A kept connection that broke while nobody looked says nothing about the target. So what happens on it
//! counts only from the head of an answer on; before that, whatever goes wrong is followed by a fresh connection
//! within the same deadline, and the fresh one decides. A kept connection that is silent for a third of the
//! time-out (a firewall that forgot it says nothing) is still listened to while a fresh one is tried: who answers
//! first decides. Only a pass is ever followed by keeping.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;

use super::body::{Body, Flow};
use super::engine::timeout;
use super::http1::Http1;
use super::http2::Http2;
use super::kept::{Kept, Line, Shelf};
use super::progress::Progress;
use super::stream::Stream;
use super::tls::{Alpn, Hello, Tls, server_name, would_last};
use super::{Check, HttpCheck, Step, connect, judge, request};
use crate::decision::Certificate;

/// What share of the time-out a kept connection has before a fresh one is tried beside it.
const PATIENCE: u32 = 3;
/// How long the rest of a body that nobody asked for is waited for, so that the connection can be kept.
pub(super) const REST: Duration = Duration::from_millis(100);
/// The answer of a server that closes an idle connection (RFC 9110 section 15.5.9).
const REQUEST_TIMEOUT: u16 = 408;

/// What a probe needs besides its check.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) tls: &'a Tls,
    pub(super) shelf: &'a Shelf,
}

/// Passes when the status is one of the check's and, where it asks for it, the body holds what it should.
///
/// The body is read only if a match is asked for, and is judged when it is whole or `max_body_bytes` of it are
/// there. The head may have 16 KiB and 100 headers.
pub(super) async fn probe(
    address: IpAddr,
    (check, http): (&Arc<Check>, &HttpCheck),
    means: Means<'_>,
    progress: &mut Progress<'_>,
) -> Step<()> {
    let peer = SocketAddr::new(address, http.port);
    // What is asked twice must mean the same as if it was asked once (RFC 9110 section 9.2.2).
    let reuse = http.reuse && http.method != "POST";
    let visit = Visit {
        http,
        peer,
        means,
        reuse,
        timeout: check.timeout,
        question: Question::new(http, peer, reuse)?,
    };
    let lasts = |shown: &Certificate, now| would_last(shown, &http.tls_settings, now);
    let kept = if reuse { means.shelf.take(address, check, lasts) } else { None };
    let kept = match kept {
        Some(kept) => Box::pin(visit.again(kept, progress)).await?,
        None => visit.fresh(progress).await?,
    };
    if let Some(kept) = kept {
        means.shelf.put(address, check, kept);
    }
    Ok(())
}

/// The request, ready to be sent.
enum Question {
    Http1(Vec<u8>),
    Http2(Box<http::Request<()>>, Option<Bytes>),
}

impl Question {
    fn new(http: &HttpCheck, peer: SocketAddr, keep: bool) -> Step<Self> {
        Ok(if http.http2 {
            let (request, content) = request::for_http2(http, peer)?;
            Question::Http2(Box::new(request), content)
        } else {
            Question::Http1(request::encode(http, peer, keep)?)
        })
    }
}

/// One probe's visit to its target.
struct Visit<'v> {
    http: &'v HttpCheck,
    peer: SocketAddr,
    means: Means<'v>,
    question: Question,
    reuse: bool,
    timeout: Duration,
}

impl Visit<'_> {
    /// On a connection made for it.
    async fn fresh(&self, progress: &mut Progress<'_>) -> Step<Option<Kept>> {
        let http = self.http;
        let alpn = if http.http2 { Alpn::Http2 } else { Alpn::Http1 };
        let secure = if http.tls {
            let name = server_name(http.sni.as_deref(), http.host.as_deref(), self.peer)?;
            Some((self.means.tls, Hello { peer: self.peer, name, alpn, settings: &http.tls_settings }))
        } else {
            None
        };
        let stream = connect::stream(self.peer, secure, progress).await?;
        let line = match self.question {
            Question::Http1(_) => Line::Http1(stream),
            Question::Http2(..) => {
                let begun = Box::pin(Http2::begin(stream, self.peer, progress)).await?;
                Line::Http2(Box::new(begun))
            }
        };
        let kept = self.means.shelf.new_line(line, progress.certificate.clone());
        self.exchange(kept, progress).await
    }

    /// On a kept connection, and on a fresh one where that does not answer.
    async fn again(&self, kept: Kept, progress: &mut Progress<'_>) -> Step<Option<Kept>> {
        let mut on_kept = progress.clone();
        on_kept.certificate.clone_from(&kept.past.certificate);
        let answered = {
            let mut old = pin!(async {
                let result = self.exchange(kept, &mut on_kept).await;
                let counts = on_kept.status.is_some_and(|status| status != REQUEST_TIMEOUT);
                counts.then_some(result)
            });
            if let Ok(answered) = timeout(self.timeout / PATIENCE, &mut old).await {
                answered
            } else {
                tokio::select! {
                    Some(answered) = &mut old => Some(answered),
                    answered = self.fresh(progress) => return answered,
                }
            }
        };
        match answered {
            Some(result) => {
                *progress = on_kept;
                result
            }
            None => self.fresh(progress).await,
        }
    }

    /// One question and its answer. The connection comes back if it may be kept.
    async fn exchange(&self, kept: Kept, progress: &mut Progress<'_>) -> Step<Option<Kept>> {
        let Kept { line, past } = kept;
        let line = match (line, &self.question) {
            (Line::Http1(stream), Question::Http1(question)) => {
                self.over_http1(stream, question, progress).await?.map(Line::Http1)
            }
            (Line::Http2(connection), Question::Http2(request, content)) => {
                let question = (http::Request::clone(request), content.clone());
                Box::pin(self.over_http2(connection, question, progress)).await?.map(Line::Http2)
            }
            // A check does not change, and its connections are its own.
            _ => None,
        };
        Ok(line.map(|line| Kept { line, past }))
    }

    async fn over_http1(
        &self,
        stream: Stream,
        question: &[u8],
        progress: &mut Progress<'_>,
    ) -> Step<Option<Stream>> {
        let http = self.http;
        let mut line = Http1::new(stream, self.peer, progress);
        let head = line.ask(question, http.method == "HEAD").await?;
        judge::status(head.status, head.location.as_deref(), &http.status)?;
        let mut body = Body::new(head.framing, http.max_body_bytes);
        if judge::wants_body(http) {
            let flow = line.body(&mut body).await?;
            judge::body(&body.text, flow, http)?;
        }
        line.progress.passed();
        if !self.reuse || !head.keeps {
            line.stream.end();
            return Ok(None);
        }
        // What is left unread would be taken for the next answer.
        let rest = line.progress.left(self.timeout).min(REST);
        let is_whole = matches!(timeout(rest, pin!(line.body(&mut body))).await, Ok(Ok(Flow::Whole)));
        Ok((is_whole && !body.is_exceeded).then_some(line.stream))
    }

    async fn over_http2(
        &self,
        mut connection: Box<Http2>,
        (request, content): (http::Request<()>, Option<Bytes>),
        progress: &mut Progress<'_>,
    ) -> Step<Option<Box<Http2>>> {
        let http = self.http;
        let answer = connection.ask(request, content, http.max_body_bytes, progress).await?;
        let status = answer.status().as_u16();
        let location = judge::location(status, answer.headers().get(LOCATION).map(AsRef::as_ref));
        judge::status(status, location.as_deref(), &http.status)?;
        // Dropped unread, the body is cancelled, and only it (RFC 9113 section 8.1).
        let mut stream = answer.into_body();
        if judge::wants_body(http) {
            let (text, flow) = connection.body(&mut stream, http.max_body_bytes, progress).await?;
            judge::body(&text, flow, http)?;
        }
        drop(stream);
        progress.passed();
        Ok((self.reuse && connection.is_open()).then_some(connection))
    }
}
