//! `failover ack`: a person's word that a record which was left alone may be changed again.

use std::time::Duration;

use providers::DomainName;
use tracing_subscriber::filter::LevelFilter;

use super::status::{Remembered, remembered};
use super::{Exit, Global, output, setup};
use crate::api::{ApiError, Client};
use crate::config::Config;
use crate::decision::{Effect, Input, Recorded, SavedRecord};
use crate::store::{Batch, LockRole, MarkerRow, RecordRow, StateLock, Store, StoreError};

/// Acknowledge a record that is left alone, so that it may be changed again.
///
/// A record that changed too often keeps its place until its penalty has decayed (guard flapping). This clears the
/// penalty, and what is wished for is tried at once; all other guards hold. Find out first why it changed so often:
/// failover history, failover explain RECORD.
///
/// The running agent does it. Without one, the penalty is cleared in the state file, and the next run goes on from there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover ack www.workshopco.ca && failover status
  failover explain www.workshopco.ca      (shows the penalty, and until when the record is left alone)")]
pub(super) struct Args {
    /// The record.
    record: DomainName,
}

/// How long a `failover once` that holds the state is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match setup::block_on(ack(&config, &args.record)) {
        Ok(next) => {
            output::print(&format!("{}: acknowledged; {next}\n", args.record));
            Exit::Done
        }
        Err(exit) => exit,
    }
}

async fn ack(config: &Config, record: &DomainName) -> Result<&'static str, Exit> {
    if let Some(socket) = &config.socket {
        match Client::new(socket).ack(record).await {
            Ok(()) => return Ok("the agent tries the change that is due, if any"),
            Err(error @ ApiError::Refused(_)) => return Err(setup::fail(&error)),
            Err(_) => {}
        }
    }
    if !config.records.contains_key(record) {
        return Err(setup::fail(&format!("no record {record} is configured")));
    }
    if in_the_state_file(config, record).await? {
        return Ok("no agent runs, and the next run may change the record");
    }
    Ok("no run has left a state, so nothing stands in the way")
}

/// Without an agent: under the lock that an agent would hold. Gives whether there is a state at all.
async fn in_the_state_file(config: &Config, name: &DomainName) -> Result<bool, Exit> {
    let path = &config.agent.state;
    // A look first, so that asking makes no state file.
    match Store::open_read_only(path) {
        Err(StoreError::Missing { .. }) => return Ok(false),
        Err(error) => return Err(setup::fail(&error)),
        Ok(_) => {}
    }
    let _lock = StateLock::acquire(path, LockRole::Once, LOCK_WAIT).await.map_err(|e| setup::fail(&e))?;
    let Remembered { mut decision, now, .. } = remembered(config).await.map_err(|e| setup::fail(&e))?;
    let effects = decision.handle(&now, Input::Ack { record: name.clone() });
    let Some(SavedRecord { current, last_change, incident, said, penalty, marker, own_ttl }) =
        decision.saved_record(name, &now)
    else {
        return Ok(false);
    };
    let last_change = last_change.map(|moment| now.wall_of(moment));
    let marker = marker.map(|known| MarkerRow::new(known, &now));
    let kept = name.clone();
    let row = RecordRow { name: kept, current, last_change, incident, said, penalty, marker, own_ttl };
    let mut batch = Batch { at: None, records: vec![row], ..Batch::default() };
    for effect in effects {
        if let Effect::Say(event, _) = effect {
            let channels = config.notify.channels_for(event.kind, event.severity);
            let id = format!("evt-{}-ack-{name}", event.time.as_microsecond()).replace('.', "-");
            batch.events.push((Recorded { id, agent: config.agent.id.clone(), event: *event }, channels));
        }
    }
    Store::open(path).map_err(|e| setup::fail(&e))?.commit(batch).await.map_err(|e| setup::fail(&e))?;
    Ok(true)
}
