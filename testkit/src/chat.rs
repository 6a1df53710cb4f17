//! A chat that remembers what it was sent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::ports::free_port;
use crate::process::Helper;
use crate::wait::wait_until;

/// One request that a [`ChatSink`] took.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The method, `POST` as a rule.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// What was answered.
    pub status: u64,
    /// The header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON where it is JSON, else a string; `null` when empty.
    pub body: Value,
}

/// An HTTP server on loopback that records every request (`tests/servers/webhooksink.py`).
pub struct ChatSink {
    scheme: &'static str,
    port: u16,
    file: PathBuf,
    _folder: tempfile::TempDir,
    _helper: Helper,
}

impl ChatSink {
    /// Starts one.
    pub fn start() -> ChatSink {
        ChatSink::start_with("http", &[])
    }

    /// The same over TLS with this certificate and its key, PEM files.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> ChatSink {
        let shown = [certificate, key].map(|path| path.display().to_string());
        ChatSink::start_with("https", &["--cert", &shown[0], "--key", &shown[1]])
    }

    fn start_with(scheme: &'static str, more: &[&str]) -> ChatSink {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (port, file) = (free_port(), folder.path().join("requests.jsonl"));
        let (at, kept) = (port.to_string(), file.display().to_string());
        let arguments = [&["--port", &at, "--file", &kept], more].concat();
        let arguments: Vec<String> = arguments.into_iter().map(ToOwned::to_owned).collect();
        let helper = Helper::python("webhooksink.py", &arguments);
        ChatSink { scheme, port, file, _folder: folder, _helper: helper }
    }

    /// Its address with this path. Answers 200, except: `/fail/503`, `/failn/2/503` (the first two times),
    /// `/slow/500` (ms), `/hang`, `/say/%7B%7D` (200 and this text); 429 comes with `Retry-After: 1`.
    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    /// What came so far, in order.
    pub fn received(&self) -> Vec<Received> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|v: Value| received(&v)).collect()
    }

    /// Waits until at least this many have come and gives them all; panics after `limit`.
    #[track_caller]
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        wait_until(&format!("{count} messages in the chat"), limit, || {
            let all = self.received();
            (all.len() >= count).then_some(all)
        })
    }
}

fn received(line: &Value) -> Received {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let field = |(k, v): (&String, &Value)| (k.to_lowercase(), v.as_str().unwrap_or_default().to_owned());
    Received {
        method: text("method"),
        path: text("path"),
        status: line["status"].as_u64().unwrap_or_default(),
        headers: line["headers"].as_object().into_iter().flatten().map(field).collect(),
        body: line["body"].clone(),
    }
}
