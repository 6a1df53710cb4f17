//! What happened, and how long it is remembered.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::state::json;
use super::{Store, StoreError};
use crate::decision::Recorded;

/// Events and attempts older than this are forgotten.
const AGE_LIMIT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Rows removed by one call at most, so that no call holds up the others for long.
const STEP: i64 = 5_000;

impl Store {
    /// The newest `limit` events since `since`, in the order in which they became known.
    ///
    /// An event that cannot be read (written by another version) is left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events(&self, since: Option<Timestamp>, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare(
                "SELECT body FROM events WHERE (?1 IS NULL OR time >= ?1) ORDER BY seq DESC LIMIT ?2",
            )?;
            let rows = statement
                .query_map(params![since.map(Timestamp::as_microsecond), limit], |row| json(row, 0))?;
            let mut events: Vec<Recorded> = rows.filter_map(Result::ok).collect();
            events.reverse();
            Ok(events)
        })
        .await
    }

    /// Forgets events (with their deliveries) and attempts that are older than 90 days or beyond 100,000 rows, and
    /// closed changes and trackers of that age. An event that still waits for its delivery is kept.
    ///
    /// Cheap when there is nothing to do, and removes at most 5,000 rows of a kind: call it every hour or so.
    /// Returns how many rows were removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn prune(&self, now: Timestamp) -> Result<usize, StoreError> {
        let oldest = now.saturating_sub(AGE_LIMIT).map_or(i64::MIN, Timestamp::as_microsecond);
        self.write(move |transaction, bounds| {
            let mut removed = 0;
            for sql in [
                "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE \
                 (time < ?1 OR seq <= (SELECT max(seq) FROM events) - ?2) AND NOT EXISTS \
                 (SELECT 1 FROM deliveries d WHERE d.event = events.seq AND d.state = 'pending') LIMIT ?3)",
                "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE \
                 at < ?1 OR id <= (SELECT max(id) FROM attempts) - ?2 LIMIT ?3)",
            ] {
                removed += transaction.execute(sql, params![oldest, bounds.rows, STEP])?;
            }
            for sql in [
                "DELETE FROM changes WHERE id IN (SELECT id FROM changes \
                 WHERE state <> 'started' AND started < ?1 LIMIT ?2)",
                "DELETE FROM trackers WHERE endpoint IN (SELECT endpoint FROM trackers WHERE last < ?1 LIMIT ?2)",
            ] {
                removed += transaction.execute(sql, params![oldest, STEP])?;
            }
            Ok(removed)
        })
        .await
    }
}
