//! What happened, and how long it is remembered.

use jiff::{SignedDuration, Timestamp};
use providers::DomainName;
use rusqlite::{OptionalExtension, params};

use super::state::json;
use super::{Store, StoreError, latency};
use crate::decision::{Recorded, TargetId};

/// Events and attempts older than this are forgotten.
const AGE_LIMIT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Rows removed by one call at most, so that no call holds up the others for long.
const STEP: i64 = 5_000;
/// When [`Store::prune`] has removed so many rows there may be more to remove.
pub const PRUNED_AT_ONCE: usize = 5_000;

/// Which events are wanted: all of them when empty.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Those that happened at this time or later.
    pub since: Option<Timestamp>,
    /// Those of this record.
    pub record: Option<DomainName>,
    /// Those of this target, and the changes from it or to it.
    pub target: Option<TargetId>,
}

impl EventFilter {
    fn parameters(&self) -> (Option<i64>, Option<&str>, Option<&str>) {
        let record = self.record.as_ref().map(DomainName::as_str);
        (self.since.map(Timestamp::as_microsecond), record, self.target.as_ref().map(TargetId::as_str))
    }
}

/// The parameters 1 to 3 are those of [`EventFilter`].
const MATCHES: &str = "(?1 IS NULL OR time >= ?1) AND (?2 IS NULL OR json_extract(body, '$.record') = ?2) \
    AND (?3 IS NULL OR json_extract(body, '$.target') = ?3 \
    OR EXISTS (SELECT 1 FROM json_each(body, '$.before.targets') WHERE value = ?3) \
    OR EXISTS (SELECT 1 FROM json_each(body, '$.after.targets') WHERE value = ?3))";

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

    /// Events that match, in the order in which they became known, those after `after` and at most `limit` of them, each
    /// with its number: for going through a long history piece by piece.
    ///
    /// An event that cannot be read (written by another version) is left out; the number of the last one that was looked
    /// at is returned beside them, `None` at the end.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn events_after(
        &self,
        filter: EventFilter,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Recorded>, Option<i64>), StoreError> {
        self.read(move |transaction| {
            let mut statement = transaction.prepare(&format!(
                "SELECT seq, body FROM events WHERE {MATCHES} AND seq > ?4 ORDER BY seq LIMIT ?5"
            ))?;
            let (since, record, target) = filter.parameters();
            let mut rows = statement.query(params![since, record, target, after, limit])?;
            let (mut events, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                last = Some(row.get(0)?);
                events.extend(json::<Recorded>(row, 1).ok());
            }
            Ok((events, last))
        })
        .await
    }

    /// The number before the newest `limit` events that match: where [`Store::events_after`] begins, to show those alone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn before_newest(&self, filter: EventFilter, limit: u32) -> Result<i64, StoreError> {
        self.read(move |transaction| {
            let sql = format!("SELECT seq FROM events WHERE {MATCHES} ORDER BY seq DESC LIMIT 1 OFFSET ?4");
            let (since, record, target) = filter.parameters();
            let found = transaction.query_row(&sql, params![since, record, target, limit], |row| row.get(0));
            found.optional().map(|seq| seq.unwrap_or(0))
        })
        .await
    }

    /// Forgets events (with their deliveries) and attempts that are older than 90 days or beyond 100,000 rows, and
    /// closed changes and trackers of that age. An event that still waits for its delivery is kept.
    ///
    /// Cheap when there is nothing to do, and removes at most 5,000 rows of a kind. Returns how many rows were removed:
    /// call it again while those are [`PRUNED_AT_ONCE`] or more, or what is added faster than that grows for ever.
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
            removed += latency::prune(transaction, now, bounds.latency, STEP)?;
            Ok(removed)
        })
        .await
    }
}
