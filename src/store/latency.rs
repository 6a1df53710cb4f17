//! How long probes took, by the minute and by the hour, for as long as it is of use.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;

use super::state::{json, to_json};
use super::{Store, StoreError};
use crate::decision::{Endpoint, LatencyRow, Rollup, TargetId};

/// What is added up in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// A minute; kept for 48 hours.
    Minute,
    /// An hour; kept for 90 days.
    Hour,
}

impl Span {
    const ALL: [Span; 2] = [Span::Minute, Span::Hour];

    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Span::Minute => 60,
            Span::Hour => 3600,
        }
    }

    /// Where the number of its rows is kept, in `meta`: to count a million of them takes a look at each.
    fn counter(self) -> &'static str {
        match self {
            Span::Minute => "latency by the minute",
            Span::Hour => "latency by the hour",
        }
    }

    fn kept(self) -> SignedDuration {
        match self {
            Span::Minute => SignedDuration::from_hours(48),
            Span::Hour => SignedDuration::from_hours(90 * 24),
        }
    }
}

/// A minute or an hour of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LatencyPoint {
    /// When it began.
    pub start: Timestamp,
    /// Of what.
    pub endpoint: Endpoint,
    /// What was counted.
    #[serde(flatten)]
    pub rollup: Rollup,
}

impl Store {
    /// Adds these minutes to what is kept of them and of their hours. One transaction.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was added then.
    pub async fn add_latency(&self, rows: Vec<LatencyRow>) -> Result<(), StoreError> {
        self.write(move |transaction, _| {
            let mut ids = BTreeMap::new();
            let mut new = BTreeMap::new();
            for row in &rows {
                if !ids.contains_key(&row.endpoint) {
                    ids.insert(&row.endpoint, id_of(transaction, &row.endpoint)?);
                }
                for span in Span::ALL {
                    if add(transaction, span, ids[&row.endpoint], row)? {
                        *new.entry(span.counter()).or_insert(0) += 1;
                    }
                }
            }
            for (counter, new) in new {
                count(transaction, counter, new)?;
            }
            Ok(())
        })
        .await
    }

    /// The minutes or hours of a target since then, oldest first, those after the first `skip` and at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`]. A file of a version that kept none gives none.
    pub async fn latency(
        &self,
        target: TargetId,
        span: Span,
        since: Option<Timestamp>,
        (skip, limit): (u32, u32),
    ) -> Result<Vec<LatencyPoint>, StoreError> {
        self.read(move |transaction| {
            let kept = "SELECT 1 FROM sqlite_master WHERE name = 'latency'";
            if transaction.query_row(kept, [], |_| Ok(())).optional()?.is_none() {
                return Ok(Vec::new());
            }
            let since = since.map_or(i64::MIN, Timestamp::as_second);
            let mut statement = transaction.prepare(
                "SELECT l.start, e.endpoint, l.body FROM latency l JOIN endpoints e ON e.id = l.endpoint \
                 WHERE l.span = ?1 AND l.start >= ?2 AND json_extract(e.endpoint, '$.target') = ?3 \
                 ORDER BY l.start, e.endpoint LIMIT ?4 OFFSET ?5",
            )?;
            let parameters = params![span.seconds(), since, target.as_str(), limit, skip];
            let rows = statement.query_map(parameters, |row| {
                let start = Timestamp::from_second(row.get(0)?).unwrap_or(Timestamp::UNIX_EPOCH);
                Ok(LatencyPoint { start, endpoint: json(row, 1)?, rollup: json(row, 2)? })
            })?;
            rows.collect()
        })
        .await
    }
}

fn id_of(transaction: &Transaction<'_>, endpoint: &Endpoint) -> rusqlite::Result<i64> {
    let text = to_json(endpoint)?;
    transaction
        .prepare_cached("INSERT INTO endpoints (endpoint) VALUES (?) ON CONFLICT DO NOTHING")?
        .execute([&text])?;
    transaction
        .prepare_cached("SELECT id FROM endpoints WHERE endpoint = ?")?
        .query_row([&text], |row| row.get(0))
}

/// Is it a new row?
fn add(transaction: &Transaction<'_>, span: Span, id: i64, row: &LatencyRow) -> rusqlite::Result<bool> {
    let start = row.start.as_second().div_euclid(span.seconds()) * span.seconds();
    let known: Option<Rollup> = transaction
        .prepare_cached("SELECT body FROM latency WHERE span = ? AND start = ? AND endpoint = ?")?
        .query_row(params![span.seconds(), start, id], |row| json(row, 0))
        .optional()?;
    let new = known.is_none();
    let mut rollup = known.unwrap_or_default();
    rollup.merge(&row.rollup);
    transaction.prepare_cached("INSERT OR REPLACE INTO latency VALUES (?, ?, ?, ?)")?.execute(params![
        span.seconds(),
        start,
        id,
        to_json(&rollup)?
    ])?;
    Ok(new)
}

/// So many rows more, or fewer. A number that was never taken, or cannot be right, is taken anew when it is asked for.
fn count(transaction: &Transaction<'_>, counter: &str, more: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE meta SET value = value + ?2 WHERE key = ?1")?
        .execute(params![counter, more])?;
    transaction.prepare_cached("DELETE FROM meta WHERE key = ? AND value < 0")?.execute([counter])?;
    Ok(())
}

/// How many rows there are.
fn counted(transaction: &Transaction<'_>, span: Span) -> rusqlite::Result<i64> {
    let known = transaction
        .prepare_cached("SELECT value FROM meta WHERE key = ?")?
        .query_row([span.counter()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let rows: i64 =
        transaction
            .query_row("SELECT count(*) FROM latency WHERE span = ?", [span.seconds()], |row| row.get(0))?;
    transaction.execute("INSERT INTO meta VALUES (?, ?)", params![span.counter(), rows])?;
    Ok(rows)
}

fn rows(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Forgets what is too old, and the oldest of what is too much; at most `step` rows of a kind.
pub(super) fn prune(
    transaction: &Transaction<'_>,
    now: Timestamp,
    most: i64,
    step: i64,
) -> rusqlite::Result<usize> {
    let mut removed = 0;
    for span in Span::ALL {
        let oldest = now.saturating_sub(span.kept()).map_or(i64::MIN, Timestamp::as_second);
        let before = counted(transaction, span)?;
        let mut of_span = transaction.execute(
            "DELETE FROM latency WHERE (span, start, endpoint) IN \
             (SELECT span, start, endpoint FROM latency WHERE span = ?1 AND start < ?2 LIMIT ?3)",
            params![span.seconds(), oldest, step],
        )?;
        let too_many = before - rows(of_span) - most;
        if too_many > 0 {
            of_span += transaction.execute(
                "DELETE FROM latency WHERE (span, start, endpoint) IN \
                 (SELECT span, start, endpoint FROM latency WHERE span = ?1 ORDER BY start LIMIT ?2)",
                params![span.seconds(), too_many.min(step)],
            )?;
        }
        count(transaction, span.counter(), -rows(of_span))?;
        removed += of_span;
    }
    removed += transaction.execute(
        "DELETE FROM endpoints WHERE id IN (SELECT id FROM endpoints e WHERE NOT EXISTS \
         (SELECT 1 FROM latency l WHERE l.endpoint = e.id) LIMIT ?)",
        [step],
    )?;
    Ok(removed)
}
