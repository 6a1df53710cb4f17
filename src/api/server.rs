//! The listening side.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use providers::DomainName;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{ApiError, Command};

/// The longest a question waits for the agent's loop.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Listens on `path` (mode 0600) and gives back the future that serves it until it is dropped; the socket is removed
/// then. A socket that nobody listens on any more is taken over; one with a living agent behind it is not.
///
/// # Errors
/// [`ApiError::Taken`], [`ApiError::Listen`].
pub async fn serve(
    path: &Path,
    commander: mpsc::Sender<Command>,
) -> Result<impl Future<Output = ()> + Send + use<>, ApiError> {
    let listen = |why: String| ApiError::Listen { path: path.to_owned(), why };
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(ApiError::Taken { path: path.to_owned() });
        }
        std::fs::remove_file(path).map_err(|error| listen(error.to_string()))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        listen(format!(
            "{error}; its folder must exist and be writable for the agent, or change `api.socket`"
        ))
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| listen(error.to_string()))?;
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/records/{name}/explain", get(explain))
        .route("/v1/records/{name}/failback", post(failback))
        .route("/v1/records/{name}/ack", post(ack))
        .with_state(commander);
    let guard = SocketFile(path.to_owned());
    Ok(async move {
        let _guard = guard;
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the local socket is closed");
        }
    })
}

/// Removes the socket when the agent ends.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn status(State(commander): State<mpsc::Sender<Command>>) -> Response {
    match ask(&commander, Command::Status).await {
        Some(status) => axum::Json(status).into_response(),
        None => busy(),
    }
}

async fn explain(State(commander): State<mpsc::Sender<Command>>, Segment(name): Segment<String>) -> Response {
    let Ok(name) = name.parse::<DomainName>() else {
        return (StatusCode::BAD_REQUEST, "this is no domain name").into_response();
    };
    match ask(&commander, |answer| Command::Explain(name.clone(), answer)).await {
        Some(Some(explained)) => axum::Json(explained).into_response(),
        Some(None) => (StatusCode::NOT_FOUND, format!("no record {name} is configured")).into_response(),
        None => busy(),
    }
}

async fn failback(
    State(commander): State<mpsc::Sender<Command>>,
    Segment(name): Segment<String>,
) -> Response {
    order(&commander, &name, Command::Failback).await
}

async fn ack(State(commander): State<mpsc::Sender<Command>>, Segment(name): Segment<String>) -> Response {
    order(&commander, &name, Command::Ack).await
}

/// Something that a person wants of one record.
async fn order(
    commander: &mpsc::Sender<Command>,
    name: &str,
    command: fn(DomainName, oneshot::Sender<bool>) -> Command,
) -> Response {
    let Ok(name) = name.parse::<DomainName>() else {
        return (StatusCode::BAD_REQUEST, "this is no domain name").into_response();
    };
    match ask(commander, |answer| command(name.clone(), answer)).await {
        Some(true) => StatusCode::ACCEPTED.into_response(),
        Some(false) => (StatusCode::NOT_FOUND, format!("no record {name} is configured")).into_response(),
        None => busy(),
    }
}

async fn ask<T>(
    commander: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    commander.try_send(command(answer)).ok()?;
    timeout(ANSWER_LIMIT, answered).await.ok()?.ok()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the agent is busy; try again").into_response()
}
