//! `failover run`: the long-running agent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing_subscriber::filter::LevelFilter;

use super::{Exit, Global, setup};
use crate::agent::{Agent, Mode, Reloader, assemble};
use crate::api::{self, ApiError};
use crate::config::Config;
use crate::store::{LockError, LockRole, StateLock};

/// The agent: watches, changes DNS, tells; until it is stopped.
///
/// It probes the targets, keeps every record at one that works, and tells what it did. SIGTERM and SIGINT end it
/// within two seconds; what is being written is finished first. A change of the configuration's files, and SIGHUP, have
/// it read again: a good one is taken over whole, of a bad one is told and the old one goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover run -c /etc/failover/failover.yaml
  failover run --log-format json | jq .           (logs go to standard error)
  kill -HUP $(pidof failover)                     (read the configuration again now)
  failover status                                 (in another terminal)")]
pub(super) struct Args {}

/// How long a starting agent waits for a one-shot run to let go of the state.
const LOCK_WAIT: Duration = Duration::from_secs(2);

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    setup::log(global, LevelFilter::INFO);
    let path = match Config::find(global.config.as_deref()) {
        Ok(path) => path,
        Err(errors) => return setup::complain(global, &errors),
    };
    match setup::load(global) {
        Ok(config) => setup::block_on(run(config, path)),
        Err(exit) => exit,
    }
}

async fn run(config: Arc<Config>, path: PathBuf) -> Exit {
    let stop = asked_to_stop();
    let asked = asked_to_reload();
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
    let reloader =
        Reloader::new(path, |name| std::env::var(name).ok(), Arc::clone(&config), world.hands.clone());
    let mut agent = match Agent::new(config, world, Mode::Run).await {
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
    // One at a time: who loads again has heard of every change before.
    let (reloads, word) = mpsc::channel(1);
    agent.reloads(word);
    let watch = tokio::spawn(reloader.run(asked, reloads));
    agent.run(stop).await;
    watch.abort();
    if let Some(door) = door {
        door.abort();
        let _ = door.await;
    }
    Exit::Done
}

/// Says so at each SIGHUP. From the call on it no longer kills the process.
fn asked_to_reload() -> mpsc::Receiver<()> {
    let (out, asked) = mpsc::channel(1);
    let hangup = signal(SignalKind::hangup());
    tokio::spawn(async move {
        let Ok(mut hangup) = hangup else {
            tracing::error!("SIGHUP cannot be caught; a change of the files is seen all the same");
            return std::future::pending().await;
        };
        while hangup.recv().await.is_some() {
            // One that waits already stands for this one, too.
            let _ = out.try_send(());
        }
    });
    asked
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
