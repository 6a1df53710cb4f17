//! The agent's memory: written as one batch, read at the next start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Batch, ChangeRow, ChangeState, GivenUp, Loaded, OverrideRow, RecordRow, Store, StoreError, outbox,
    unsaved,
};
use crate::decision::{CERTIFICATE_KEY, SavedTracker};

/// As long as most rows are at most.
const JSON_OCTETS: usize = 1536;

impl Store {
    /// Writes all of `batch` in one transaction, or nothing of it.
    ///
    /// An event whose id is known already is left alone, with its deliveries: a batch can be written again after an
    /// error whose outcome is not known. Each new event gets one delivery per channel, due at `batch.at`.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written then.
    pub async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.commit_unless(Arc::new(batch), GivenUp::default()).await
    }

    /// The same for a caller who does not wait for ever, and who may need the batch again: once `given_up` is set nothing
    /// is written any more, but for a commit that the disk has been handed already.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written then.
    pub async fn commit_unless(&self, batch: Arc<Batch>, given_up: GivenUp) -> Result<(), StoreError> {
        self.write(move |transaction, bounds| {
            still_wanted(&given_up)?;
            for (endpoint, tracker) in &batch.trackers {
                transaction.prepare_cached("INSERT OR REPLACE INTO trackers VALUES (?, ?, ?)")?.execute(
                    params![
                        to_json(endpoint)?,
                        tracker.last.map(Timestamp::as_microsecond),
                        to_json(tracker)?
                    ],
                )?;
            }
            for row in &batch.records {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO records VALUES (?, ?)")?
                    .execute(params![row.name.as_str(), to_json(row)?])?;
            }
            for row in &batch.changes {
                put_change(transaction, row)?;
            }
            for (key, row) in &batch.overrides {
                put_override(transaction, &key.to_string(), row.as_ref())?;
            }
            for (recorded, channels) in &batch.events {
                outbox::put_event(transaction, recorded, channels, batch.at)?;
            }
            for made in &batch.deliveries {
                unsaved::put_delivery(transaction, made)?;
            }
            if !batch.deliveries.is_empty() || batch.events.iter().any(|(_, to)| !to.is_empty()) {
                outbox::hold_bound(transaction, bounds.pending)?;
            }
            if let Some(at) = batch.at {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO meta VALUES ('saved', ?)")?
                    .execute([at.as_microsecond()])?;
            }
            still_wanted(&given_up)
        })
        .await
    }

    /// Reads what an earlier run left.
    ///
    /// A tracker that counted nothing for longer than `age_limit` before `now` is left out: what it knew is no longer
    /// evidence. A time in the future (the wall clock was set back) counts as now.
    ///
    /// # Errors
    /// See [`StoreError`]; a record or change that cannot be understood is `Corrupt`.
    pub async fn load(&self, age_limit: Option<Duration>, now: Timestamp) -> Result<Loaded, StoreError> {
        self.read(move |transaction| {
            Ok(Loaded {
                saved: saved(transaction)?,
                trackers: trackers(transaction, age_limit, now)?,
                records: bodies::<RecordRow>(transaction, "SELECT body FROM records", [])?
                    .into_iter()
                    .map(|row| (row.name.clone(), row))
                    .collect(),
                open_changes: bodies(
                    transaction,
                    "SELECT body FROM changes WHERE state = ? ORDER BY started, id",
                    [change_state(ChangeState::Started)],
                )?,
                certificates: ids(transaction, CERTIFICATE_KEY)?,
                overrides: overrides(transaction)?,
            })
        })
        .await
    }

    /// When a batch was last written; `None` for a new file.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn last_saved(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(saved).await
    }
}

fn still_wanted(given_up: &GivenUp) -> rusqlite::Result<()> {
    let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
    if given_up.is_set() { Err(rusqlite::Error::SqliteFailure(interrupted, None)) } else { Ok(()) }
}

fn put_change(transaction: &Transaction<'_>, row: &ChangeRow) -> rusqlite::Result<()> {
    transaction.prepare_cached("INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?)")?.execute(params![
        row.id,
        change_state(row.state),
        row.started.as_microsecond(),
        to_json(row)?
    ])?;
    Ok(())
}

fn put_override(transaction: &Transaction<'_>, key: &str, row: Option<&OverrideRow>) -> rusqlite::Result<()> {
    match row {
        Some(row) => transaction
            .prepare_cached("INSERT OR REPLACE INTO overrides VALUES (?, ?)")?
            .execute(params![key, to_json(row)?])?,
        None => transaction.prepare_cached("DELETE FROM overrides WHERE key = ?")?.execute([key])?,
    };
    Ok(())
}

/// The overrides; none in a file of an earlier version, which can be looked at as it is.
fn overrides(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<OverrideRow>> {
    let known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'overrides'";
    if transaction.query_row(known, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    bodies(transaction, "SELECT body FROM overrides ORDER BY key", [])
}

fn change_state(state: ChangeState) -> &'static str {
    match state {
        ChangeState::Started => "started",
        ChangeState::Completed => "completed",
        ChangeState::Failed => "failed",
    }
}

fn saved(transaction: &Transaction<'_>) -> rusqlite::Result<Option<Timestamp>> {
    transaction.query_row("SELECT value FROM meta WHERE key = 'saved'", [], |row| time(row, 0)).optional()
}

type Trackers = std::collections::BTreeMap<crate::decision::Endpoint, SavedTracker>;

fn trackers(
    transaction: &Transaction<'_>,
    age_limit: Option<Duration>,
    now: Timestamp,
) -> rusqlite::Result<Trackers> {
    let limit = age_limit.and_then(|limit| SignedDuration::try_from(limit).ok());
    let is_fresh = |tracker: &SavedTracker| match (limit, tracker.last) {
        (Some(limit), Some(last)) => now.duration_since(last) <= limit,
        (Some(_), None) => false,
        (None, _) => true,
    };
    let mut statement = transaction.prepare("SELECT endpoint, body FROM trackers")?;
    let rows = statement.query_map([], |row| Ok((json(row, 0)?, json::<SavedTracker>(row, 1)?)))?;
    let mut trackers = Trackers::new();
    for row in rows {
        let (endpoint, tracker) = row?;
        if is_fresh(&tracker) {
            trackers.insert(endpoint, tracker);
        }
    }
    Ok(trackers)
}

/// The ids of events that begin so.
fn ids(transaction: &Transaction<'_>, start: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = transaction.prepare("SELECT id FROM events WHERE id >= ?1 AND id < ?1 || x'7f'")?;
    statement.query_map([start], |row| row.get(0))?.collect()
}

fn bodies<T: DeserializeOwned>(
    transaction: &Transaction<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = transaction.prepare(sql)?;
    statement.query_map(parameters, |row| json(row, 0))?.collect()
}

/// A value as the text of its column.
pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    let told = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    let mut text = Vec::with_capacity(JSON_OCTETS);
    serde_json::to_writer(&mut text, value).map_err(told)?;
    String::from_utf8(text).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A value from the text of its column.
pub(super) fn json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

/// A time from the microseconds of its column.
pub(super) fn time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, error.into()))
}

/// A time from the microseconds of its column, where there is one.
pub(super) fn optional_time(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}
