//! What becomes of a batch when the file can be written, and when it cannot. PURE: the ledger does what is said here
//! with a real disk, the simulation in `tests/sim` with its own.

use std::time::Duration;

use jiff::Timestamp;

use super::backlog::Backlog;
use crate::decision::{ChannelId, Event, EventKind, Moment, Now, Recorded};
use crate::store::Batch;

/// How often a file in trouble is tried.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How the reason begins when the disk is late: it says less than what was found out before.
pub(super) const LATE: &str = "the disk did not answer";

/// Events, each with the channels that must hear of it.
pub type Told = Vec<(Recorded, Vec<ChannelId>)>;

/// What has been kept, and what could not be.
#[derive(Default)]
pub struct Books {
    trouble: Option<Trouble>,
    /// What was not kept since the trouble began.
    backlog: Backlog,
}

struct Trouble {
    why: String,
    since: Timestamp,
    next_try: Moment,
}

/// What is to be done with a batch.
#[derive(Debug)]
pub enum Entry {
    /// Write it; then say [`Books::refused`] if that did not go well.
    Write(Batch),
    /// The file is in trouble: tell these events from memory. If it is time to try the file again, write that batch and
    /// then say [`Books::recovered`] or [`Books::still_refused`].
    Remember {
        /// To be told from memory.
        events: Told,
        /// To be written.
        again: Option<Batch>,
    },
}

impl Books {
    /// Takes a batch.
    pub fn enter(&mut self, mut batch: Batch, now: &Now) -> Entry {
        batch.at = Some(now.wall);
        let Some(trouble) = &self.trouble else { return Entry::Write(batch) };
        let due = trouble.next_try <= now.moment;
        let events = batch.events.clone();
        self.backlog.add(batch);
        let again = due.then(|| Batch { at: Some(now.wall), ..self.backlog.batch() });
        Entry::Remember { events, again }
    }

    /// A batch could not be written. Returns what is to be told from memory, and what must be said of the state.
    pub fn refused(&mut self, batch: Batch, why: String, now: &Now) -> (Told, Event) {
        let events = batch.events.clone();
        self.backlog.add(batch);
        self.in_trouble(why, now);
        (events, self.unwritable(now))
    }

    /// The file was tried again, in vain.
    pub fn still_refused(&mut self, why: String, now: &Now) {
        self.in_trouble(why, now);
    }

    /// Everything that was not kept is written now. Returns what must be said of the state.
    pub fn recovered(&mut self, now: &Now) -> Option<Event> {
        let trouble = self.trouble.take()?;
        self.backlog = Backlog::default();
        let mut event = Event::new(EventKind::StateRecovered, now.wall, "the state can be kept again");
        event.since = Some(trouble.since);
        Some(event)
    }

    /// The file cannot be used, for this reason. What is late says less than what was found out before.
    pub fn in_trouble(&mut self, why: String, now: &Now) {
        let next_try = now.moment + TRY_AGAIN;
        match &mut self.trouble {
            Some(trouble) => {
                trouble.next_try = next_try;
                if !why.starts_with(LATE) {
                    trouble.why = why;
                }
            }
            None => self.trouble = Some(Trouble { why, since: now.wall, next_try }),
        }
    }

    /// A file in trouble is tried with the next batch.
    pub fn hurry(&mut self, now: &Now) {
        if let Some(trouble) = &mut self.trouble {
            trouble.next_try = now.moment;
        }
    }

    /// When a file in trouble is tried again.
    pub fn next_try(&self) -> Option<Moment> {
        self.trouble.as_ref().map(|trouble| trouble.next_try)
    }

    /// Why the state cannot be written, if it cannot.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.why.as_str())
    }

    /// What is said when the state cannot be written.
    pub fn unwritable(&self, now: &Now) -> Event {
        let why = self.trouble().unwrap_or("no reason is known");
        let summary = format!("the state cannot be kept: {why}");
        let mut event = Event::new(EventKind::StateUnwritable, now.wall, summary);
        event.since = self.trouble.as_ref().map(|trouble| trouble.since);
        event.next =
            Some("the agent goes on from memory; after a restart it would not know what it had done".into());
        event
    }
}
