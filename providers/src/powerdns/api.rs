//! HTTP requests to the API; what their answers mean is judged elsewhere.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{BuildError, PowerDnsConfig};

/// What is kept of the body of an error.
const ERROR_TEXT: usize = 4096;

/// Nobody waits longer than this for the promise of a NOTIFY.
const NOTIFY_LIMIT: Duration = Duration::from_secs(2);

/// The API of one server.
pub(super) struct Api {
    http: Client,
    base: Url,
    label: String,
    /// What is sent to the server and must not be seen even if it, or a proxy before it, repeats it.
    secrets: Vec<SecretString>,
}

/// An answer, its body read up to the limit.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// No answer. What matters is whether the server may have acted.
#[derive(Debug)]
pub(super) enum Lost {
    /// Nothing was sent: no address, no connection, no TLS.
    BeforeSend(String),
    /// The request was sent, or may have been.
    AfterSend(String),
}

impl Api {
    pub(super) fn new(config: &PowerDnsConfig) -> Result<Api, BuildError> {
        // reqwest panics without one; a second call is refused by rustls and does no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut key = HeaderValue::from_str(config.api_key.expose_secret().trim()).map_err(|_| {
            BuildError::Setting("the PowerDNS API key has characters that no HTTP header can hold".into())
        })?;
        key.set_sensitive(true);
        let http = Client::builder()
            .default_headers(HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), key)]))
            .timeout(config.timeout)
            // Below the whole time, so that a connection that does not come about is known to have carried nothing.
            .connect_timeout(config.timeout / 2)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            // The server closes each connection; an idle one could only be lost between two requests.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|why| BuildError::Http(cause(&why.without_url())))?;
        let label = label(&config.url);
        let mut base = config.url.clone();
        base.set_query(None);
        base.path_segments_mut()
            .map_err(|()| BuildError::Setting(format!("{label} is no base of an HTTP API")))?
            .pop_if_empty()
            .extend(["api", "v1", "servers", &config.server_id]);
        let secrets = secrets(config);
        Ok(Api { http, base, label, secrets })
    }

    /// The server, for messages: scheme, host and port, nothing that could be a secret.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// What a server said without what it was sent.
    pub(super) fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "***"))
    }

    /// GET with a limit on the body.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        limit: usize,
    ) -> Result<Answer, Lost> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url), limit).await
    }

    /// PATCH with a body of JSON; the body of the answer does not matter unless it is an error.
    pub(super) async fn patch(&self, path: &[&str], body: Vec<u8>) -> Result<Answer, Lost> {
        let request = self.http.request(Method::PATCH, self.url(path)).body(body);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(request, ERROR_TEXT).await
    }

    /// PUT without a body, whose outcome changes nothing.
    pub(super) async fn put_and_forget(&self, path: &[&str]) {
        let request = self.http.request(Method::PUT, self.url(path)).timeout(NOTIFY_LIMIT);
        let _ = request.send().await;
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("checked when it was built").extend(path);
        url
    }

    async fn send(&self, request: RequestBuilder, limit: usize) -> Result<Answer, Lost> {
        let lost = |why: reqwest::Error| {
            let nothing_sent = why.is_connect() || why.is_builder();
            let text = format!("{}: {}", self.label, cause(&why.without_url()));
            if nothing_sent { Lost::BeforeSend(text) } else { Lost::AfterSend(text) }
        };
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = if status.is_success() {
            let what = |why| Lost::AfterSend(format!("{}: {why}", self.label));
            whole(response, limit).await.map_err(what)?
        } else {
            // The status says it all; its text is only for people.
            beginning(response).await
        };
        Ok(Answer { status, headers, body })
    }
}

async fn whole(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|why| cause(&why.without_url()))? {
        if body.len() + part.len() > limit {
            return Err(format!("an answer of more than {} KiB", limit >> 10));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        body.extend_from_slice(&part);
        if body.len() >= ERROR_TEXT {
            break;
        }
    }
    body.truncate(ERROR_TEXT);
    body
}

/// The key, and a password that the URL may hold, as it is and as a header has it.
fn secrets(config: &PowerDnsConfig) -> Vec<SecretString> {
    let mut found = vec![config.api_key.expose_secret().trim().to_owned()];
    if let Some(password) = config.url.password() {
        found.push(STANDARD.encode(format!("{}:{password}", config.url.username())));
        found.push(password.to_owned());
    }
    found.into_iter().filter(|secret| !secret.is_empty()).map(SecretString::from).collect()
}

fn label(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The last cause of an error: reqwest hides the reason ("connection refused") below the names of its own parts.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
