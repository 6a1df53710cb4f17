//! The asking side.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use providers::DomainName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::doubt::doubt;
use super::{ApiError, Explained, Status};

/// The longest a call may take.
const CALL_LIMIT: Duration = Duration::from_secs(6);
/// The longest answer that is read, bytes: a hundred thousand records fit.
const ANSWER_LIMIT: u64 = 256 * 1024 * 1024;

/// Talks to a running agent on this machine.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client for the agent behind `socket`. Does not connect yet.
    pub fn new(socket: &Path) -> Self {
        Client { socket: socket.to_owned() }
    }

    /// What the agent knows.
    ///
    /// # Errors
    /// [`ApiError::Nobody`] when no agent answers.
    pub async fn status(&self) -> Result<Status, ApiError> {
        let body = self.call("GET", "/v1/status").await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.nobody(format!("its answer is no status: {error}")))
    }

    /// Why a record is where it is.
    ///
    /// # Errors
    /// [`ApiError::Nobody`] when no agent answers, [`ApiError::Refused`] when it knows no such record.
    pub async fn explain(&self, record: &DomainName) -> Result<Explained, ApiError> {
        let body = self.call("GET", &format!("/v1/records/{record}/explain")).await?;
        serde_json::from_slice(&body)
            .map_err(|error| self.nobody(format!("its answer explains nothing: {error}")))
    }

    /// Takes a record back to its best target now.
    ///
    /// # Errors
    /// [`ApiError::Refused`] when there is no such record.
    pub async fn failback(&self, record: &DomainName) -> Result<(), ApiError> {
        self.call("POST", &format!("/v1/records/{record}/failback")).await.map(drop)
    }

    fn nobody(&self, why: String) -> ApiError {
        ApiError::Nobody { path: self.socket.clone(), why }
    }

    /// One request over its own connection: HTTP/1.0, so that the end of the answer is the end of the connection.
    async fn call(&self, method: &str, path: &str) -> Result<Vec<u8>, ApiError> {
        if let Some(why) =
            std::fs::symlink_metadata(&self.socket).ok().and_then(|it| doubt(&self.socket, &it))
        {
            return Err(self.nobody(why));
        }
        let exchange = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            let request = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = match timeout(CALL_LIMIT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Err(self.nobody("none is running".into()));
            }
            Ok(Err(error)) => return Err(self.nobody(error.to_string())),
            Err(_) => return Err(self.nobody(format!("no answer within {} s", CALL_LIMIT.as_secs()))),
        };
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = head.parse(&answer) else {
            return Err(self.nobody("what answers there is no agent".into()));
        };
        let body = answer[length..].to_vec();
        match head.code {
            Some(200..=299) => Ok(body),
            _ => Err(ApiError::Refused(String::from_utf8_lossy(&body).into_owned())),
        }
    }
}
