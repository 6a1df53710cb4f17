//! The outbox: every event's way to every channel, until it is delivered or given up.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::state::{json, optional_time, time, to_json};
use super::{Attempt, Delivery, DeliveryFilter, DeliveryState, Next, Store, StoreError};
use crate::decision::{ChannelId, Recorded, Severity};

/// A next attempt further away than this was written by a wall clock that has been set back since: it is due. The
/// longest wait that is ever written is an hour and a fifth.
const FAR_MINUTES: i64 = 120;

/// Characters of an attempt's error that are kept.
const ERROR_LIMIT: usize = 512;

const SELECT: &str = "SELECT d.id, d.channel, d.state, d.created, d.next_attempt, d.first_attempt, d.round, d.attempts, \
                      d.last_error, e.body FROM deliveries d JOIN events e ON e.seq = d.event";

impl Store {
    /// Pending deliveries whose time has come, oldest first; those of one channel if `channel` is given.
    ///
    /// One whose event cannot be read (written by another version) is given up here, with the reason.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn due(
        &self,
        channel: Option<&ChannelId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let channel = channel.map(|c| c.as_str().to_owned());
        let (found, unreadable) =
            self.read(move |transaction| read_due(transaction, channel.as_deref(), now, limit)).await?;
        if !unreadable.is_empty() {
            self.write(move |transaction, _| {
                unreadable
                    .iter()
                    .try_for_each(|id| bury(transaction, *id, "the event cannot be read by this version"))
            })
            .await?;
        }
        Ok(found)
    }

    /// When the next pending delivery is due, at the earliest; those of one channel if `channel` is given.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn next_due(
        &self,
        channel: Option<&ChannelId>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let channel = channel.map(|c| c.as_str().to_owned());
        self.read(move |transaction| {
            transaction
                .prepare_cached(
                    "SELECT min(CASE WHEN next_attempt > ?2 THEN ?3 ELSE next_attempt END) FROM deliveries \
                     WHERE state = 'pending' AND (?1 IS NULL OR channel = ?1)",
                )?
                .query_row(params![channel, far(now), now.as_microsecond()], |row| optional_time(row, 0))
        })
        .await
    }

    /// Keeps one attempt and what follows from it; with it, in the same transaction, the events that tell of it.
    ///
    /// A delivery that is no longer kept is left alone.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written then.
    pub async fn record_attempt(
        &self,
        delivery: i64,
        attempt: Attempt,
        next: Next,
        events: Vec<(Recorded, Vec<ChannelId>)>,
    ) -> Result<(), StoreError> {
        self.write(move |transaction, bounds| {
            if !close_attempt(transaction, delivery, &attempt, next)? {
                return Ok(());
            }
            for (recorded, channels) in &events {
                put_event(transaction, recorded, channels, Some(attempt.at))?;
            }
            if events.is_empty() { Ok(()) } else { hold_bound(transaction, bounds.pending) }
        })
        .await
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn deliveries(&self, filter: DeliveryFilter, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |transaction| {
            let sql = format!(
                "{SELECT} WHERE (?1 IS NULL OR d.state = ?1) AND (?2 IS NULL OR d.channel = ?2) \
                 ORDER BY d.id DESC LIMIT ?3"
            );
            let channel = filter.channel.as_ref().map(ChannelId::as_str);
            let mut statement = transaction.prepare(&sql)?;
            let rows = statement
                .query_map(params![filter.state.map(DeliveryState::as_str), channel, limit], delivery)?;
            // What cannot be read is no reason to show nothing.
            Ok(rows.filter_map(Result::ok).collect())
        })
        .await
    }

    /// One delivery and its attempts, oldest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivery(&self, id: i64) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError> {
        self.read(move |transaction| {
            let found =
                transaction.query_row(&format!("{SELECT} WHERE d.id = ?"), [id], delivery).optional()?;
            let Some(found) = found else { return Ok(None) };
            let mut statement = transaction.prepare(
                "SELECT at, delivered, status, error, took_ms FROM attempts WHERE delivery = ? ORDER BY id",
            )?;
            let attempts = statement.query_map([id], attempt)?.collect::<rusqlite::Result<_>>()?;
            Ok(Some((found, attempts)))
        })
        .await
    }

    /// Sends a delivery again, from the beginning of its back-off, whatever its state. Says whether there is such a one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retry(&self, id: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |transaction, _| {
            let changed = transaction.execute(
                "UPDATE deliveries SET state = 'pending', next_attempt = ?, first_attempt = NULL, round = 0 WHERE id = ?",
                params![now.as_microsecond(), id],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// How many deliveries wait.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn pending(&self) -> Result<u64, StoreError> {
        self.read(|transaction| count_pending(transaction).map(|count| u64::try_from(count).unwrap_or(0)))
            .await
    }

    /// Gives up what waits for a channel that is not among `known`. Says how many that were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn abandon_unknown(&self, known: BTreeSet<ChannelId>) -> Result<usize, StoreError> {
        self.write(move |transaction, _| {
            let mut statement =
                transaction.prepare("SELECT DISTINCT channel FROM deliveries WHERE state = 'pending'")?;
            let waiting: Vec<String> =
                statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut abandoned = 0;
            for channel in waiting.iter().filter(|name| !known.contains(&ChannelId::from(name.as_str()))) {
                abandoned += transaction.execute(
                    "UPDATE deliveries SET state = 'dead', next_attempt = NULL, \
                     last_error = 'the channel is no longer in the configuration' WHERE state = 'pending' AND channel = ?",
                    [channel],
                )?;
            }
            Ok(abandoned)
        })
        .await
    }
}

/// Keeps an event, unless its id is known, and puts it into the outbox once per channel.
pub(super) fn put_event(
    transaction: &Transaction<'_>,
    recorded: &Recorded,
    channels: &[ChannelId],
    at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    let event = &recorded.event;
    let new = transaction
        .prepare_cached("INSERT OR IGNORE INTO events (id, time, body) VALUES (?, ?, ?)")?
        .execute(params![recorded.id, event.time.as_microsecond(), to_json(recorded)?])?;
    if new == 0 {
        return Ok(());
    }
    let seq = transaction.last_insert_rowid();
    let created = at.unwrap_or(event.time).as_microsecond();
    for channel in channels.iter().collect::<BTreeSet<_>>() {
        transaction
            .prepare_cached(
                "INSERT INTO deliveries (event, channel, severity, state, created, next_attempt) \
                 VALUES (?1, ?2, ?3, 'pending', ?4, ?4)",
            )?
            .execute(params![seq, channel.as_str(), rank(event.severity), created])?;
    }
    Ok(())
}

/// Gives up what is too much: the least severe first, of those the oldest.
pub(super) fn hold_bound(transaction: &Transaction<'_>, bound: i64) -> rusqlite::Result<()> {
    let too_many = count_pending(transaction)? - bound;
    if too_many <= 0 {
        return Ok(());
    }
    let reason =
        format!("given up: more than {bound} messages were waiting, and this was among the least urgent");
    transaction.execute(
        "UPDATE deliveries SET state = 'dead', next_attempt = NULL, last_error = ?1 WHERE id IN \
         (SELECT id FROM deliveries WHERE state = 'pending' ORDER BY severity, id LIMIT ?2)",
        params![reason, too_many],
    )?;
    Ok(())
}

fn count_pending(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT count(*) FROM deliveries WHERE state = 'pending'", [], |row| row.get(0))
}

fn read_due(
    transaction: &Transaction<'_>,
    channel: Option<&str>,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<(Vec<Delivery>, Vec<i64>)> {
    let sql = format!(
        "{SELECT} WHERE d.state = 'pending' AND (?1 IS NULL OR d.channel = ?1) \
         AND (d.next_attempt <= ?2 OR d.next_attempt > ?3) ORDER BY d.id LIMIT ?4"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params![channel, now.as_microsecond(), far(now), limit])?;
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match delivery(row) {
            Ok(delivery) => found.push(delivery),
            Err(_) => unreadable.push(row.get(0)?),
        }
    }
    Ok((found, unreadable))
}

fn close_attempt(
    transaction: &Transaction<'_>,
    delivery: i64,
    attempt: &Attempt,
    next: Next,
) -> rusqlite::Result<bool> {
    let (state, next_attempt) = match next {
        Next::Delivered => (DeliveryState::Delivered, None),
        Next::RetryAt(at) => (DeliveryState::Pending, Some(at.as_microsecond())),
        Next::Dead => (DeliveryState::Dead, None),
    };
    let error: Option<String> = attempt.error.as_ref().map(|e| e.chars().take(ERROR_LIMIT).collect());
    let at = attempt.at.as_microsecond();
    let changed = transaction
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, next_attempt = ?3, attempts = attempts + 1, round = round + 1, \
             first_attempt = coalesce(first_attempt, ?4), last_error = ?5 WHERE id = ?1",
        )?
        .execute(params![delivery, state.as_str(), next_attempt, at, error])?;
    if changed == 0 {
        return Ok(false);
    }
    transaction
        .prepare_cached(
            "INSERT INTO attempts (delivery, at, delivered, status, error, took_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            delivery,
            at,
            attempt.delivered,
            attempt.status,
            error,
            i64::try_from(attempt.took_ms).unwrap_or(i64::MAX)
        ])?;
    Ok(true)
}

fn bury(transaction: &Transaction<'_>, id: i64, reason: &str) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE deliveries SET state = 'dead', next_attempt = NULL, last_error = ?2 WHERE id = ?1",
        params![id, reason],
    )?;
    Ok(())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state: String = row.get(2)?;
    Ok(Delivery {
        id: row.get(0)?,
        channel: ChannelId::from(row.get::<_, String>(1)?),
        event: json(row, 9)?,
        state: match state.as_str() {
            "pending" => DeliveryState::Pending,
            "delivered" => DeliveryState::Delivered,
            _ => DeliveryState::Dead,
        },
        created: time(row, 3)?,
        next_attempt: optional_time(row, 4)?,
        first_attempt: optional_time(row, 5)?,
        round: row.get(6)?,
        attempts: row.get(7)?,
        last_error: row.get(8)?,
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        at: time(row, 0)?,
        delivered: row.get(1)?,
        status: row.get(2)?,
        error: row.get(3)?,
        took_ms: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
    })
}

fn far(now: Timestamp) -> i64 {
    now.saturating_add(Span::new().minutes(FAR_MINUTES)).unwrap_or(now).as_microsecond()
}

pub(super) fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Debug => 0,
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}
