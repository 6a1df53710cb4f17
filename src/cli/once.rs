//! `failover once`: one look and at most one change of each record.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::run::asked_to_stop;
use super::{Exit, Global, Output, setup};
use crate::agent::{Agent, Ending, Mode, assemble};
use crate::config::Config;
use crate::decision::{RecordStatus, Report};
use crate::store::{LockError, LockRole, StateLock};

/// One look and at most one change of each record: for cron.
///
/// Counters survive from run to run in the state file; a first failure is confirmed within the run, at the fast
/// interval, until the verdict is certain. Overlapping runs are harmless: the second one finds the state locked,
/// changes nothing and ends with 0; so does one beside a running agent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover once
  * * * * * root failover once -c /etc/failover/failover.yaml      (a line for /etc/cron.d)
  failover once --detailed-exitcode; echo $?      (5: a change was made, 6: a record is held)")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) limits: Limits,
    /// End with 5 when a change was made, and with 6 when a record is held.
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
}

/// How long a one-shot run may take, and what it believes of earlier ones.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Limits {
    /// The longest the look may take, a failing target's confirmation included.
    #[arg(long, value_name = "DURATION", default_value = "50s", value_parser = duration)]
    pub(super) deadline: Duration,
    /// Verdicts and counters of earlier runs count if they are no older than this.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub(super) max_age: Duration,
}

/// `50s`, `2m 30s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is no duration; write 50s or 2m 30s"))?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".into())
}

/// How long a run waits for another one that holds the state.
const LOCK_WAIT: Duration = Duration::from_millis(200);

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::INFO);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match setup::block_on(once(config, args.limits)) {
        Ok(Some(ending)) => {
            print(global, "once", &ending);
            verdict(&ending, args.detailed_exitcode)
        }
        Ok(None) => Exit::Done,
        Err(exit) => exit,
    }
}

async fn once(config: Arc<Config>, limits: Limits) -> Result<Option<Ending>, Exit> {
    let _lock = match StateLock::acquire(&config.agent.state, LockRole::Once, LOCK_WAIT).await {
        Ok(lock) => Some(lock),
        Err(error @ LockError::Held { .. }) => {
            tracing::info!("{error}; this run changes nothing");
            return Ok(None);
        }
        Err(error) => {
            tracing::error!(%error, "the state cannot be locked: nothing keeps a second run off it");
            None
        }
    };
    let world = assemble(&config, false).await.map_err(|error| setup::fail(&error))?;
    let mode = Mode::Once { deadline: limits.deadline, max_age: limits.max_age };
    let agent = Agent::new(config, world, mode).await.map_err(|error| setup::fail(&error))?;
    Ok(Some(agent.run(asked_to_stop()).await))
}

/// The result in the form of `-o json`.
#[derive(Serialize)]
struct Document<'a> {
    command: &'a str,
    /// Everything was found out; false when the deadline came first.
    settled: bool,
    #[serde(flatten)]
    report: &'a Report,
}

/// Prints how a one-shot run or a plan ended.
pub(super) fn print(global: &Global, command: &str, ending: &Ending) {
    if global.output != Output::Table {
        return output::json(global, &Document { command, settled: ending.settled, report: &ending.report });
    }
    let paint = Paint::new(global);
    output::print(&output::blindness(&ending.report, paint));
    output::print(&output::overrides(&ending.report, paint));
    output::print(&output::records(&ending.report, paint));
    output::print(&format!("targets\n{}", output::targets(&ending.report, paint)));
    if !ending.settled {
        output::print("the deadline came before everything was found out; raise it with --deadline\n");
    }
}

/// The exit code of a one-shot run or a plan.
pub(super) fn verdict(ending: &Ending, detailed: bool) -> Exit {
    let records = &ending.report.records;
    let any = |status| records.iter().any(|record| record.status == status);
    if any(RecordStatus::Failed) || any(RecordStatus::Changing) || any(RecordStatus::Unread) {
        return Exit::Failed;
    }
    if any(RecordStatus::Refused) {
        return Exit::Refused;
    }
    if !ending.settled {
        return Exit::Failed;
    }
    if !detailed {
        return Exit::Done;
    }
    if any(RecordStatus::Pending) || records.iter().any(|record| record.changes_made > 0) {
        return Exit::Change;
    }
    if any(RecordStatus::Holding) { Exit::Holding } else { Exit::Done }
}
