//! `failover run`: the long-running agent.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::{Exit, Global, setup};
use crate::agent::{Agent, Mode, assemble};
use crate::api::{self, ApiError};
use crate::config::Config;
use crate::store::{LockError, LockRole, StateLock};

/// The agent: watches, changes DNS, tells; until it is stopped.
///
/// It probes the targets, keeps every record at one that works, and tells what it did. SIGTERM and SIGINT end it
/// within two seconds; what is being written is finished first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover run -c /etc/failover/failover.yaml
  failover run --log-format json | jq .           (logs go to standard error)
  failover status                                 (in another terminal)")]
pub(super) struct Args {}

/// How long a starting agent waits for a one-shot run to let go of the state.
const LOCK_WAIT: Duration = Duration::from_secs(2);

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    setup::log(global, LevelFilter::INFO);
    match setup::load(global) {
        Ok(config) => setup::block_on(run(config)),
        Err(exit) => exit,
    }
}

async fn run(config: Arc<Config>) -> Exit {
    let stop = asked_to_stop();
    let _lock = match StateLock::acquire(&config.agent.state, LockRole::Run, LOCK_WAIT).await {
        Ok(lock) => Some(lock),
        Err(error @ LockError::Held { .. }) => return setup::fail(&error),
        Err(error) => {
            tracing::error!(%error, "the state cannot be locked: nothing keeps a second agent off it");
            None
        }
    };
    let world = match assemble(&config, true).await {
        Ok(world) => world,
        Err(error) => return setup::fail(&error),
    };
    let socket = config.socket.clone();
    let agent = match Agent::new(config, world, Mode::Run).await {
        Ok(agent) => agent,
        Err(error) => return setup::fail(&error),
    };
    let door = match socket {
        Some(path) => match api::serve(&path, agent.commander()).await {
            Ok(door) => Some(tokio::spawn(door)),
            Err(error @ ApiError::Taken { .. }) => return setup::fail(&error),
            // An agent that nobody can ask is better than none.
            Err(error) => {
                tracing::error!(%error, "`failover status` and `failover failback` cannot reach this agent");
                None
            }
        },
        None => None,
    };
    agent.run(stop).await;
    if let Some(door) = door {
        door.abort();
        let _ = door.await;
    }
    Exit::Done
}

/// Resolves at SIGTERM or SIGINT. From the call on they no longer kill the process: what comes before the first look
/// at the future is not lost.
pub(super) fn asked_to_stop() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut term), Ok(mut int)) = signals else {
            tracing::error!("signals cannot be caught: the agent ends without finishing what is in flight");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}
