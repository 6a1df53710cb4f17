//! Deliveries that are made from memory while the file cannot be written, and how they come into the file.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::handle::Bounds;
use super::outbox::{put_event, rank};
use super::{Delivery, Store, StoreError};
use crate::decision::ChannelId;

impl Store {
    /// A state in memory for messages alone: at most 1,000 wait, and of those that do not as many are remembered.
    ///
    /// # Errors
    /// `Other`, when there is no memory for it.
    pub fn for_unsaved() -> Result<Store, StoreError> {
        Store::in_memory_with(Bounds { pending: 1_000, rows: 1_000, latency: 0 })
    }

    /// Every delivery, oldest first; the newest `limit` of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn all_deliveries(&self, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let mut newest_first = self.deliveries(super::DeliveryFilter::default(), limit).await?;
        newest_first.reverse();
        Ok(newest_first)
    }

    /// The number of the delivery of this event to this channel, if there is one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delivery_of(&self, event: &str, channel: &ChannelId) -> Result<Option<i64>, StoreError> {
        let (event, channel) = (event.to_owned(), channel.as_str().to_owned());
        self.read(move |transaction| {
            transaction
                .prepare_cached(
                    "SELECT d.id FROM deliveries d JOIN events e ON e.seq = d.event WHERE e.id = ? AND d.channel = ?",
                )?
                .query_row([event, channel], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// The ids of the events that have a delivery to this channel.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_to(&self, channel: &ChannelId) -> Result<BTreeSet<String>, StoreError> {
        let channel = channel.as_str().to_owned();
        self.read(move |transaction| {
            transaction
                .prepare_cached(
                    "SELECT e.id FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.channel = ?",
                )?
                .query_map([channel], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Forgets these deliveries, and the events that are left without any.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget(&self, deliveries: BTreeSet<i64>) -> Result<(), StoreError> {
        self.write(move |transaction, _| {
            let mut one = transaction.prepare_cached("DELETE FROM deliveries WHERE id = ?")?;
            for id in &deliveries {
                one.execute([id])?;
            }
            let bare =
                "DELETE FROM events WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = events.seq)";
            transaction.execute(bare, []).map(drop)
        })
        .await
    }
}

/// Takes over a delivery as it stands. One that the file knows of, and knows the end of, is left alone.
pub(super) fn put_delivery(transaction: &Transaction<'_>, made: &Delivery) -> rusqlite::Result<()> {
    put_event(transaction, &made.event, &[], None)?;
    let seq: i64 = transaction
        .prepare_cached("SELECT seq FROM events WHERE id = ?")?
        .query_row([&made.event.id], |row| row.get(0))?;
    let known: Option<(i64, String)> = transaction
        .prepare_cached("SELECT id, state FROM deliveries WHERE event = ? AND channel = ?")?
        .query_row(params![seq, made.channel.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let id = match known {
        Some((_, state)) if state != "pending" => return Ok(()),
        Some((id, _)) => id,
        None => {
            transaction
                .prepare_cached(
                    "INSERT INTO deliveries (event, channel, severity, state, created) VALUES (?, ?, ?, 'pending', ?)",
                )?
                .execute(params![
                    seq,
                    made.channel.as_str(),
                    rank(made.event.event.severity),
                    made.created.as_microsecond()
                ])?;
            transaction.last_insert_rowid()
        }
    };
    transaction
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, next_attempt = ?3, first_attempt = ?4, round = ?5, attempts = ?6, \
             last_error = ?7 WHERE id = ?1",
        )?
        .execute(params![
            id,
            made.state.as_str(),
            made.next_attempt.map(jiff::Timestamp::as_microsecond),
            made.first_attempt.map(jiff::Timestamp::as_microsecond),
            made.round,
            made.attempts,
            made.last_error
        ])?;
    Ok(())
}
