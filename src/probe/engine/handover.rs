//! Findings on their way out of the engine. To wake another thread costs more than a probe, so they go many at a time;
//! what is urgent waits for nobody.

use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::decision::Moment;
use crate::probe::Finding;

/// How long a finding that is no news waits for company.
pub(super) const COMPANY: Duration = Duration::from_millis(20);
/// How often a receiver who has not kept up is tried again.
const AGAIN: Duration = Duration::from_millis(2);
/// So many go at once, urgent or not.
const MOST: usize = 256;
/// For so many there is room from the first on.
const USUAL: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Handover {
    out: Option<mpsc::Sender<Vec<Finding>>>,
    batch: Vec<Finding>,
    /// When the batch goes.
    due: Option<Moment>,
    /// The receiver has not kept up, and is tried again when the batch is due.
    blocked: bool,
}

impl Handover {
    pub(super) fn tell(&mut self, out: mpsc::Sender<Vec<Finding>>) {
        self.out = Some(out);
    }

    /// Takes a finding in; an urgent one takes all that wait along with it.
    pub(super) fn add(&mut self, finding: Finding, urgent: bool, now: Moment) {
        if self.batch.capacity() == 0 {
            self.batch.reserve(USUAL);
        }
        self.batch.push(finding);
        let due = if urgent || self.batch.len() >= MOST { now } else { now + COMPANY };
        if !self.blocked {
            self.due = Some(self.due.map_or(due, |before| before.min(due)));
        }
    }

    /// When [`flush`](Self::flush) has something to do.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }

    /// Nobody listens, or whoever does has not kept up: nothing more should be begun.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked || self.out.is_none()
    }

    /// Hands over what is due. What nobody listens to any more is gone.
    pub(super) fn flush(&mut self, now: Moment) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        (self.due, self.blocked) = (None, false);
        let batch = std::mem::take(&mut self.batch);
        match self.out.as_ref().map(|out| out.try_send(batch)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(batch))) => {
                (self.batch, self.due, self.blocked) = (batch, Some(now + AGAIN), true);
            }
            Some(Err(TrySendError::Closed(_))) | None => self.out = None,
        }
    }
}
