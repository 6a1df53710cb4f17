//! The channels that are an HTTP POST: Rocket.Chat, Slack, signed webhooks.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::reply::{Reply, Service, judge};
use super::{ChannelError, ChannelKind, Message, SendResult, Sender, SigningKey, render};
use crate::decision::ChannelId;
use crate::store::Delivery;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const BODY_LIMIT: usize = 64 * 1024;

/// One HTTP client for all channels: no redirects, no proxy from the environment, no connection kept (messages are
/// rare, and a kept connection that a firewall has forgotten costs the first attempt).
pub(super) fn client() -> Result<reqwest::Client, ChannelError> {
    client_with(TOTAL_TIMEOUT)
}

/// The same with another limit for the whole exchange.
pub(super) fn client_with(total: Duration) -> Result<reqwest::Client, ChannelError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("failover/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(total)
        .build()
        .map_err(|error| ChannelError::Client(cause(&error)))
}

/// TLS by rustls and ring, with the certificate authorities of this machine. Without any, https fails and says so at
/// each attempt; the agent itself must start all the same.
fn tls() -> Result<rustls::ClientConfig, ChannelError> {
    let told = |error: rustls::Error| ChannelError::Client(error.to_string());
    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
    };
    match builder().map_err(told)?.with_platform_verifier() {
        Ok(verified) => Ok(verified.with_no_client_auth()),
        Err(error) => {
            tracing::warn!(%error, "no certificate authorities on this machine: channels with https will fail");
            let none = rustls::RootCertStore::empty();
            Ok(builder().map_err(told)?.with_root_certificates(none).with_no_client_auth())
        }
    }
}

/// Posts messages to one URL.
pub(super) struct HttpSender {
    service: Service,
    client: reqwest::Client,
    url: Url,
    /// Of the URL, all that may be shown.
    host: String,
    /// Rocket.Chat: another channel than the webhook's own.
    channel: Option<String>,
    keys: Vec<SigningKey>,
    /// Texts that must not be seen even if a service repeats them ("Cannot POST /hooks/...").
    secrets: Vec<SecretString>,
}

impl fmt::Debug for HttpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSender")
            .field("service", &self.service)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl HttpSender {
    /// A sender for such a channel.
    pub(super) fn new(
        id: &ChannelId,
        kind: &ChannelKind,
        client: reqwest::Client,
    ) -> Result<Self, ChannelError> {
        let wrong_url = || ChannelError::Url { channel: id.clone() };
        let (service, url, channel, secrets): (_, _, _, &[SecretString]) = match kind {
            ChannelKind::Log => return Err(wrong_url()),
            ChannelKind::RocketChat { url, channel } => (Service::RocketChat, url, channel.clone(), &[]),
            ChannelKind::Slack { url } => (Service::Slack, url, None, &[]),
            ChannelKind::Webhook { url, secrets } => (Service::Webhook, url, None, secrets),
        };
        let keys = secrets.iter().map(SigningKey::parse).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| ChannelError::Key { channel: id.clone(), error })?;
        let url: Url = url.expose_secret().trim().parse().map_err(|_| wrong_url())?;
        let host = match (url.scheme(), url.host_str(), url.port()) {
            ("http" | "https", Some(host), None) => host.to_owned(),
            ("http" | "https", Some(host), Some(port)) => format!("{host}:{port}"),
            _ => return Err(wrong_url()),
        };
        let mut hidden = secrets_in(&url);
        hidden.extend(secrets.iter().cloned());
        Ok(HttpSender { service, client, url, host, channel, keys, secrets: hidden })
    }

    fn body(&self, delivery: &Delivery, now: Timestamp) -> Value {
        match self.service {
            Service::RocketChat => {
                render::rocketchat(&Message::of(&delivery.event, now), self.channel.as_deref())
            }
            Service::Slack => render::slack(&Message::of(&delivery.event, now)),
            Service::Webhook => render::webhook(&delivery.event),
        }
    }

    /// The headers of Standard Webhooks: the id stays the same over all attempts, the timestamp is of this one.
    fn headers(&self, id: &str, now: Timestamp, body: &[u8]) -> Result<HeaderMap, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.service == Service::Webhook {
            let timestamp = now.as_second();
            headers.insert(HeaderName::from_static("webhook-id"), HeaderValue::try_from(id)?);
            headers.insert(HeaderName::from_static("webhook-timestamp"), timestamp.into());
            let signatures: Vec<String> = self.keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
            if !signatures.is_empty() {
                let value = HeaderValue::try_from(signatures.join(" "))?;
                headers.insert(HeaderName::from_static("webhook-signature"), value);
            }
        }
        Ok(headers)
    }

    async fn post(&self, headers: HeaderMap, body: Vec<u8>) -> Result<Reply, reqwest::Error> {
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let mut response = request.send().await?;
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.map(str::to_owned);
        let status = response.status().as_u16();
        let mut read = Vec::new();
        while read.len() < BODY_LIMIT {
            // The status is known: a rest that does not come is judged as if there were none.
            let Ok(Some(chunk)) = response.chunk().await else { break };
            read.extend_from_slice(&chunk[..chunk.len().min(BODY_LIMIT - read.len())]);
        }
        Ok(Reply { status, retry_after, body: String::from_utf8_lossy(&read).into_owned() })
    }

    /// Before anything is cut, so that no half of a secret is left.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "***"))
    }

    fn explain(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        if error.is_timeout() && !error.is_connect() {
            return format!("{} did not answer in time ({} s)", self.host, TOTAL_TIMEOUT.as_secs());
        }
        let what = if error.is_connect() { "cannot connect to" } else { "no answer from" };
        format!("{what} {}: {}", self.host, self.scrub(&cause(&error)))
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, delivery: &Delivery, now: Timestamp) -> SendResult {
        let body = self.body(delivery, now).to_string().into_bytes();
        let headers = match self.headers(&delivery.event.id, now, &body) {
            Ok(headers) => headers,
            Err(error) => {
                let error = format!("the event's id cannot stand in a header: {error}");
                return SendResult::Permanent { status: None, error };
            }
        };
        match self.post(headers, body).await {
            Ok(mut reply) => {
                reply.body = self.scrub(&reply.body);
                named(judge(self.service, &reply, now), &self.host)
            }
            Err(error) => SendResult::Retry { after: None, status: None, error: self.explain(error) },
        }
    }
}

fn named(result: SendResult, host: &str) -> SendResult {
    match result {
        SendResult::Retry { after, status, error } => {
            SendResult::Retry { after, status, error: format!("{host} {error}") }
        }
        SendResult::Permanent { status, error } => {
            SendResult::Permanent { status, error: format!("{host} {error}") }
        }
        delivered @ SendResult::Delivered { .. } => delivered,
    }
}

/// Everything of a URL that may be a secret, the longest first: path, query, their parts, user and password.
fn secrets_in(url: &Url) -> Vec<SecretString> {
    let mut parts: Vec<String> = vec![url.to_string(), url.username().to_owned()];
    parts.extend(url.password().map(str::to_owned));
    parts.extend(url.query().map(str::to_owned));
    parts.push(url.path().to_owned());
    parts.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    let credentials = format!("{}:{}", url.username(), url.password().unwrap_or_default());
    parts.push(STANDARD.encode(credentials));
    // Shorter ones are words like `hooks`, and would black out half of an answer.
    parts.retain(|part| part.chars().count() >= 6);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.into_iter().map(SecretString::from).collect()
}

/// The last cause of an error: reqwest hides the reason ("connection refused") below the names of its own parts.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
