//! Findings on their way out of the engine. To wake another thread costs more than a probe, so they go many at a time;
//! what is urgent waits for nobody.

use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::decision::Moment;
use crate::probe::Finding;

/// How long a finding that is no news waits for company.
const COMPANY: Duration = Duration::from_millis(5);
/// How often a receiver who has not kept up is tried again.
const AGAIN: Duration = Duration::from_millis(2);
/// So many go at once, urgent or not.
const MOST: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Handover {
    out: Option<mpsc::Sender<Vec<Finding>>>,
    batch: Vec<Finding>,
    /// When the batch goes.
    due: Option<Moment>,
    /// The receiver has not kept up.
    blocked: bool,
}

impl Handover {
    pub(super) fn tell(&mut self, out: mpsc::Sender<Vec<Finding>>) {
        self.out = Some(out);
    }

    /// Takes a finding in; an urgent one takes all that wait along with it.
    pub(super) fn add(&mut self, finding: Finding, urgent: bool, now: Moment) {
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

    /// The receiver has not kept up: nothing more should be begun.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Hands over what is due. False when nobody listens any more.
    pub(super) fn flush(&mut self, now: Moment) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return true;
        }
        let Some(out) = &self.out else {
            // A finding of a job without a listener cannot be: listeners are told before jobs.
            self.batch.clear();
            (self.due, self.blocked) = (None, false);
            return true;
        };
        match out.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => (self.due, self.blocked) = (None, false),
            Err(TrySendError::Full(batch)) => {
                (self.batch, self.due, self.blocked) = (batch, Some(now + AGAIN), true);
            }
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}
