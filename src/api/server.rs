//! The listening side.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path as Segment, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use providers::DomainName;
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::doubt::doubt;
use super::{ApiError, Command, Metrics, Ordered, metrics};
use crate::decision::{OverrideFault, OverrideKey};

/// The longest a question waits for the agent's loop.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Connections that may wait to be taken.
const BACKLOG: i32 = 128;

/// The longest body that is read, bytes.
const BODY_LIMIT: usize = 4096;

/// Listens on `path` (mode 0600) and gives back the future that serves it until it is dropped; the socket is removed
/// then. A socket that nobody listens on any more is taken over; one with a living agent behind it is not, and whatever is
/// there that is no socket, or may be somebody else's, is left alone.
///
/// # Errors
/// [`ApiError::Taken`], [`ApiError::Listen`].
pub async fn serve(
    path: &Path,
    commander: mpsc::Sender<Command>,
) -> Result<impl Future<Output = ()> + Send + use<>, ApiError> {
    let listen = |why: String| ApiError::Listen { path: path.to_owned(), why };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(listen(error.to_string())),
        Ok(found) => {
            doubt(path, &found).map_or(Ok(()), |why| Err(listen(why)))?;
            if UnixStream::connect(path).await.is_ok() {
                return Err(ApiError::Taken { path: path.to_owned() });
            }
            std::fs::remove_file(path).map_err(|error| listen(error.to_string()))?;
        }
    }
    let listener = bind(path).map_err(|error| {
        listen(format!(
            "{error}; its folder must exist and be writable for the agent, or change `api.socket`"
        ))
    })?;
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/records/{name}/explain", get(explain))
        .route("/v1/records/{name}/failback", post(failback))
        .route("/v1/overrides", get(overrides).post(order))
        .route("/v1/overrides/{*key}", delete(end_order))
        .route("/v1/records/{name}/ack", post(ack))
        .route("/metrics", get(collect))
        .with_state(commander);
    let guard = SocketFile(path.to_owned());
    Ok(async move {
        let _guard = guard;
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the local socket is closed");
        }
    })
}

/// A socket that is private from its first moment: the mode is set before it has a name, and Linux gives it to the
/// file that `bind` makes (less the umask). A `chmod` afterwards would leave a moment in which anybody may connect.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
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

async fn collect(State(commander): State<mpsc::Sender<Command>>) -> Response {
    match ask(&commander, Command::Metrics).await.map(Metrics::text) {
        Some(Ok(text)) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
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
    of_record(&commander, &name, Command::Failback).await
}

async fn ack(State(commander): State<mpsc::Sender<Command>>, Segment(name): Segment<String>) -> Response {
    of_record(&commander, &name, Command::Ack).await
}

/// Something that a person wants of one record.
async fn of_record(
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

async fn overrides(State(commander): State<mpsc::Sender<Command>>) -> Response {
    match ask(&commander, Command::Status).await {
        Some(status) => axum::Json(status.report.overrides).into_response(),
        None => busy(),
    }
}

async fn order(State(commander): State<mpsc::Sender<Command>>, body: Body) -> Response {
    let Ok(body) = timeout(ANSWER_LIMIT, to_bytes(body, BODY_LIMIT)).await else {
        return (StatusCode::REQUEST_TIMEOUT, "the body did not come in time").into_response();
    };
    let Ok(body) = body else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too long, or broken off").into_response();
    };
    match serde_json::from_slice(&body) {
        Ok(request) => answered(ask(&commander, |answer| Command::Order(request, answer)).await),
        Err(error) => (StatusCode::BAD_REQUEST, format!("this is no override: {error}")).into_response(),
    }
}

/// Who ends an override.
#[derive(serde::Deserialize)]
struct By {
    #[serde(default)]
    by: String,
}

async fn end_order(
    State(commander): State<mpsc::Sender<Command>>,
    Segment(key): Segment<String>,
    Query(By { by }): Query<By>,
) -> Response {
    match key.parse::<OverrideKey>() {
        Ok(key) => answered(ask(&commander, |answer| Command::EndOrder(key, by, answer)).await),
        Err(fault) => (status_of(&fault), fault.to_string()).into_response(),
    }
}

fn answered(answer: Option<Result<Ordered, OverrideFault>>) -> Response {
    match answer {
        Some(Ok(ordered)) => axum::Json(ordered).into_response(),
        Some(Err(fault)) => (status_of(&fault), fault.to_string()).into_response(),
        None => busy(),
    }
}

fn status_of(fault: &OverrideFault) -> StatusCode {
    match fault {
        OverrideFault::NoTarget { .. }
        | OverrideFault::NoRecord { .. }
        | OverrideFault::NotInForce { .. } => StatusCode::NOT_FOUND,
        OverrideFault::TooMany => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
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
