//! `failover notify test`: does a channel work?

use std::sync::Arc;

use clap::Subcommand;
use futures_util::future::join_all;
use tracing_subscriber::filter::LevelFilter;

use super::{Exit, Global, output, setup};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::ChannelId;
use crate::notify::{Outbox, SendResult, senders};
use crate::store::Store;

/// Messages: test a channel.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example:
  failover notify test team")]
pub(super) enum Command {
    /// Send a test message the way of the real ones, and say what the service answered
    #[command(after_help = "\
Examples:
  failover notify test            every channel
  failover notify test team       one of them")]
    Test {
        /// The channels; all of them when none is named.
        channels: Vec<String>,
    },
}

pub(super) fn main(global: &Global, command: &Command) -> Exit {
    setup::log(global, LevelFilter::INFO);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Command::Test { channels } = command;
    setup::block_on(test(&config, channels))
}

async fn test(config: &Config, wanted: &[String]) -> Exit {
    let known: Vec<ChannelId> = config.notify.channels.keys().cloned().collect();
    let wanted: Vec<ChannelId> = if wanted.is_empty() {
        known.clone()
    } else {
        wanted.iter().map(|name| name.as_str().into()).collect()
    };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        let names: Vec<&str> = known.iter().map(ChannelId::as_str).collect();
        return setup::fail(&format!("no channel {unknown} is configured; configured: {}", names.join(", ")));
    }
    if wanted.is_empty() {
        return setup::fail(&"no channel is configured: add one under notify.channels");
    }
    let senders = match senders(&config.notify) {
        Ok(senders) => senders,
        Err(error) => return setup::fail(&error),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let store = match Store::in_memory() {
        Ok(store) => store,
        Err(error) => return setup::fail(&error),
    };
    let (settings, agent) = (config.notify.clone(), config.agent.id.clone());
    let outbox = Outbox::new(store, senders, settings, clock, agent, rand::random());
    let mut exit = Exit::Done;
    // All at once: one that hangs is waited for, and no two of them are.
    let results = join_all(wanted.iter().map(|channel| outbox.send_test(channel))).await;
    for (channel, result) in wanted.iter().zip(results) {
        let line = match result {
            Some(SendResult::Delivered { said, .. }) => format!("{channel}: delivered: {said}"),
            Some(SendResult::Retry { error, .. }) => {
                exit = Exit::Failed;
                format!("{channel}: not delivered: {error} (a real message would be tried again)")
            }
            Some(SendResult::Permanent { error, .. }) => {
                exit = Exit::Failed;
                format!("{channel}: refused: {error}")
            }
            None => continue,
        };
        output::print(&format!("{}\n", output::wrapped(&line, 4)));
    }
    exit
}
