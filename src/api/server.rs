//! The listening side.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use providers::DomainName;
use rustix::fs::{Mode, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::doubt::doubt;
use super::{ApiError, Command};

/// The longest a question waits for the agent's loop.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Connections that may wait to be taken.
const BACKLOG: i32 = 128;

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
    let Ok(name) = name.parse::<DomainName>() else {
        return (StatusCode::BAD_REQUEST, "this is no domain name").into_response();
    };
    match ask(&commander, |answer| Command::Failback(name.clone(), answer)).await {
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
