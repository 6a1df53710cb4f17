//! `failover status`: what the running agent knows, or what the last run left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::agent::kept_overrides;
use crate::api::{Client, Source, Status};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::{Decision, Delay, Now, Options, Policy, Saved, SavedRecord, counted, human};
use crate::store::{RecordRow, Store, StoreError};

/// Of 100 probes 99 begin sooner after their time, or it is said.
const LATE: Duration = Duration::from_millis(100);

/// What the running agent knows; without one, what the last run left behind.
///
/// The agent is asked over its socket; without one, the state file is read, and how old it is is said.
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
        Ok((status, silence)) => {
            print(global, &status, &silence);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// What is known, and why no running agent told it.
async fn find(config: &Config) -> Result<(Status, String), Exit> {
    let silence = match &config.socket {
        Some(socket) => match Client::new(socket).status().await {
            Ok(status) => return Ok((status, String::new())),
            Err(error) => error.to_string(),
        },
        None => "no agent can be asked without `api.socket` in the configuration".into(),
    };
    match from_state(config).await {
        Ok(status) => Ok((status, silence)),
        Err(StoreError::Missing { .. }) => Err(setup::fail(&format!(
            "{silence}, and no run has left a state: start `failover run` or `failover once`"
        ))),
        Err(error) => Err(setup::fail(&format!("{silence}, and {error}"))),
    }
}

/// What the state file says. Nothing is probed and nothing is read from DNS.
async fn from_state(config: &Config) -> Result<Status, StoreError> {
    let Remembered { decision, now, age, store } = remembered(config).await?;
    Ok(Status {
        source: Source::State,
        agent: config.agent.id.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        started: None,
        age_s: age.as_secs(),
        state_trouble: None,
        pending_deliveries: store.pending().await?,
        probe_delays: Vec::new(),
        report: decision.report(&now),
    })
}

/// What the last run left, as a decision that can be asked.
pub(super) struct Remembered {
    pub(super) decision: Decision,
    pub(super) now: Now,
    /// How old it is.
    pub(super) age: Duration,
    store: Store,
}

/// Reads what the last run left.
pub(super) async fn remembered(config: &Config) -> Result<Remembered, StoreError> {
    let store = Store::open_read_only(&config.agent.state)?;
    let now = SystemClock::start().now();
    let loaded = store.load(None, now.wall).await?;
    let age = loaded.saved.map(|saved| now.moment.since(now.moment_of(saved))).unwrap_or_default();
    let records = loaded.records.into_iter().map(|(name, row)| {
        let RecordRow { current, incident, said, penalty, own_ttl, .. } = row;
        let last_change = row.last_change.map(|time| now.moment_of(time));
        let marker = row.marker.map(|row| row.known(&now));
        (name, SavedRecord { current, last_change, incident, said, penalty, marker, own_ttl })
    });
    let overrides = kept_overrides(loaded.overrides, &now);
    let saved =
        Saved { trackers: loaded.trackers, records: records.collect(), overrides, ..Saved::default() };
    // The verdicts as they were found, with their age: nobody is asked now, so no silence ends them, and no witness
    // has to vouch again.
    let options = Options { stale_floor: Duration::MAX, ..Options::default() };
    let policy = Policy { witnesses: BTreeSet::new(), ..config.policy() };
    let decision = Decision::new(policy, BTreeMap::new(), options, saved, &now);
    Ok(Remembered { decision, now, age, store })
}

/// Said when probes do not keep their cadence.
fn lateness(delays: &[Delay]) -> Option<String> {
    let bound = Duration::from_micros(Delay::bound_us(delays, 990)?);
    (bound > LATE).then(|| {
        format!(
            "1 of 100 probes began more than {} late: the machine is too slow for so many, or too few files may be open (see \
             the log of the start)",
            human(bound / 2)
        )
    })
}

fn print(global: &Global, status: &Status, silence: &str) {
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
            "{silence}\nthis is what the last run left {} ago",
            human(Duration::from_secs(status.age_s.max(1)))
        )),
    };
    output::print(&format!("{head}\n"));
    output::print(&output::blindness(&status.report, paint));
    output::print(&output::overrides(&status.report, paint));
    if let Some(why) = &status.state_trouble {
        output::print(&format!("{}\n", paint.bad(&format!("the state cannot be kept: {why}"))));
    }
    if let Some(line) = lateness(&status.probe_delays) {
        output::print(&format!("{}\n", paint.doubtful(&line)));
    }
    if status.pending_deliveries > 0 {
        let line = format!(
            "{} undelivered: failover deliveries list --state pending",
            counted(usize::try_from(status.pending_deliveries).unwrap_or(usize::MAX), "message")
        );
        output::print(&format!("{}\n", paint.doubtful(&line)));
    }
    output::print(&output::records(&status.report, paint));
    output::print(&format!("targets\n{}", output::targets(&status.report, paint)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cadence_that_is_not_kept_is_said() {
        let delays = |late: u64| {
            let delay = |(within_us, count)| Delay { within_us, count };
            [(256, 1000 - late), (65_536, 0), (1 << 20, late)].map(delay)
        };
        assert_eq!(lateness(&[]), None);
        assert_eq!(lateness(&delays(9)), None);
        let line = lateness(&delays(11)).unwrap();
        assert!(line.starts_with("1 of 100 probes began more than 524 ms late: "), "{line}");
    }
}
