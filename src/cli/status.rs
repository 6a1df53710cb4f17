//! `failover status`: what the running agent knows, or what the last run left behind.

use std::collections::BTreeMap;

use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::api::{Client, Source, Status};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::{Decision, Options, Saved, SavedRecord, human};
use crate::store::{Store, StoreError};

/// What the running agent knows, asked over its socket. Without one, what the last run left in the state file, and
/// how old that is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover status
  failover status -o json | jq -r '.records[] | [.name, .status, .targets[0]] | @tsv'")]
pub(super) struct Args {}

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    setup::log(global, LevelFilter::ERROR);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match setup::block_on(find(&config)) {
        Ok(status) => {
            print(global, &status);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

async fn find(config: &Config) -> Result<Status, Exit> {
    if let Some(socket) = &config.socket {
        match Client::new(socket).status().await {
            Ok(status) => return Ok(status),
            Err(error) => tracing::info!("{error}"),
        }
    }
    from_state(config).await.map_err(|error| match error {
        StoreError::Missing { .. } => setup::fail(
            &"no agent is running, and no run has left a state yet: start `failover run` or `failover once`",
        ),
        other => setup::fail(&other),
    })
}

/// What the state file says. Nothing is probed and nothing is read from DNS.
async fn from_state(config: &Config) -> Result<Status, StoreError> {
    let store = Store::open_read_only(&config.agent.state)?;
    let now = SystemClock::start().now();
    let loaded = store.load(None, now.wall).await?;
    let age = loaded.saved.map(|saved| now.moment.since(now.moment_of(saved))).unwrap_or_default();
    let records = loaded.records.into_iter().map(|(name, row)| {
        let last_change = row.last_change.map(|time| now.moment_of(time));
        (name, SavedRecord { current: row.current, last_change, incident: row.incident, said: row.said })
    });
    let saved = Saved { trackers: loaded.trackers, records: records.collect(), unconfirmed: BTreeMap::new() };
    let decision = Decision::new(config.policy(), BTreeMap::new(), Options::default(), saved, &now);
    Ok(Status {
        source: Source::State,
        agent: config.agent.id.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        started: None,
        age_s: age.as_secs(),
        state_trouble: None,
        pending_deliveries: store.pending().await?,
        report: decision.report(&now),
    })
}

fn print(global: &Global, status: &Status) {
    if global.output != Output::Table {
        return output::json(global, status);
    }
    let paint = Paint::new(global);
    let now = status.report.time;
    let head = match (status.source, status.started) {
        (Source::Agent, Some(started)) => {
            format!("{}, running since {}", status.agent, output::clock(started, now))
        }
        _ => paint.doubtful(&format!(
            "no agent is running; this is what the last run left {} ago",
            human(std::time::Duration::from_secs(status.age_s))
        )),
    };
    output::print(&format!("{head}\n"));
    if let Some(since) = status.report.blind_since {
        let line = format!(
            "BLIND since {}: no witness answers; nothing is counted or written",
            output::clock(since, now)
        );
        output::print(&format!("{}\n", paint.bad(&line)));
    }
    if let Some(why) = &status.state_trouble {
        output::print(&format!("{}\n", paint.bad(&format!("the state cannot be kept: {why}"))));
    }
    if status.pending_deliveries > 0 {
        let line = format!("{} messages wait: failover deliveries list", status.pending_deliveries);
        output::print(&format!("{}\n", paint.doubtful(&line)));
    }
    output::print(&output::records(&status.report, paint));
    output::print(&format!("targets\n{}", output::targets(&status.report, paint)));
}
