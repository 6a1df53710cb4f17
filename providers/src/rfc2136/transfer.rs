//! Many names read by one transfer of the zone (RFC 5936), where the server allows it to us; what it means is in
//! [`picture`](super::picture).
//!
//! DNS UPDATE has no question for many names: ten thousand cost twenty thousand questions, and a second of BIND's time. A
//! transfer of the same costs some milliseconds. It is a convenience and never needed: whatever goes wrong with it, but for a
//! server that cannot be reached, the names are asked for, and for some minutes it is not tried again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::DomainName;

/// So many records of a zone cost what two questions about a name do, and the transfer must be far cheaper.
const RECORDS_PER_NAME: usize = 20;
/// A zone of so many is transferred however few of them are asked for.
const SMALL_ZONE: usize = 10_000;
/// The largest transfer that is taken.
pub(super) const OCTETS: usize = 64 << 20;
/// How long a server that gave no transfer is not asked for one.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Where no transfer was to be had.
#[derive(Default)]
pub(super) struct Declined(Mutex<BTreeMap<DomainName, No>>);

struct No {
    until: Instant,
    /// For so many names it is not worth trying.
    names: usize,
}

/// Why there was no transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The server gives none, or what it gives cannot be used.
    Refused(String),
    /// The zone is too large for so few names.
    TooLarge(String),
}

/// How many records a transfer may have that tells of so many names.
pub(super) fn most_records(names: usize) -> usize {
    names.saturating_mul(RECORDS_PER_NAME).max(SMALL_ZONE)
}

impl Declined {
    /// Is it worth asking for a transfer, as far as is known?
    pub(super) fn may_be_tried(&self, zone: &DomainName, names: usize) -> bool {
        let declined = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        declined.get(zone).is_none_or(|no| names > no.names || no.until <= now())
    }

    /// Remembers it, and gives the words for a person.
    pub(super) fn note(&self, zone: &DomainName, names: usize, why: Why) -> String {
        let (names, why) = match why {
            Why::Refused(why) => (usize::MAX, why),
            Why::TooLarge(why) => (names, why),
        };
        let no = No { until: now() + REMEMBERED, names };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), no);
        format!(
            "no transfer of {zone}: {why}; its records are asked for one by one, and a transfer is tried again in {} minutes",
            REMEMBERED.as_secs() / 60
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "only how soon a question is asked again that may be refused")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_not_tried_again_for_some_minutes() {
        let (declined, zone) = (Declined::default(), "example.test".parse().unwrap());
        assert!(declined.may_be_tried(&zone, 500));
        let told = declined.note(&zone, 500, Why::Refused("REFUSED".into()));
        assert!(told.contains("example.test") && told.contains("REFUSED"), "{told}");
        assert!(!declined.may_be_tried(&zone, 1_000_000));
        assert!(declined.may_be_tried(&"other.test".parse().unwrap(), 500));
        tokio::time::advance(REMEMBERED).await;
        assert!(declined.may_be_tried(&zone, 500));
        declined.note(&zone, 500, Why::TooLarge("large".into()));
        assert!(!declined.may_be_tried(&zone, 500));
        assert!(declined.may_be_tried(&zone, 501), "for more names it may be worth it");
    }
}
