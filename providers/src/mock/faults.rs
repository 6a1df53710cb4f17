//! Bad days on demand: what the next calls meet, in order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::{DomainName, RecordSet};

/// The calls that can be scripted and are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `zone`.
    Zone,
    /// `read`.
    Read,
    /// `swap`.
    Swap,
}

/// What a call meets. Where a trouble makes no sense for a call (a stale swap), the call goes on as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: a good day between bad ones.
    Nothing,
    /// Connection refused: `Unavailable`, nothing sent.
    Refuse,
    /// HTTP 429, with or without `Retry-After`: `Throttled`, nothing written.
    Throttle(Option<Duration>),
    /// The credentials are refused: `Auth`.
    Deny,
    /// HTTP 500 before the swap was applied. The caller cannot tell it from the next one: `Unknown`.
    ErrorBefore,
    /// HTTP 500 after the swap was applied: `Unknown`.
    ErrorAfter,
    /// The swap was applied and the connection broke before the reply: `Unknown`.
    LoseReply,
    /// No reply ever; a swap is not applied. The caller's own deadline must end it.
    Hang,
    /// A read shows the state of so many writes ago (at most 32 are remembered), from a replica that lags.
    Stale(usize),
    /// Only the first record set of a swap is written: `Partial`.
    Partial,
    /// Somebody else edits a name between our read and our swap: the edit comes first, then the swap as usual.
    Intruder(Edit),
}

/// Somebody else's write: the name holds exactly these answer sets afterwards; none removes them. Other types stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The name.
    pub name: DomainName,
    /// What it holds afterwards.
    pub sets: Vec<RecordSet>,
}

/// One line of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultStep {
    /// Which calls it waits for.
    pub on: Call,
    /// What they meet.
    pub trouble: Trouble,
    /// How long they take before that, in the runtime's time.
    pub delay: Duration,
    /// How many calls it lasts; 0 counts as 1, `usize::MAX` lasts until the script is cleared.
    pub times: usize,
}

impl FaultStep {
    /// The next `zone` call meets this.
    pub fn on_zone(trouble: Trouble) -> Self {
        FaultStep { on: Call::Zone, trouble, delay: Duration::ZERO, times: 1 }
    }

    /// The next `read` call meets this.
    pub fn on_read(trouble: Trouble) -> Self {
        FaultStep { on: Call::Read, ..FaultStep::on_zone(trouble) }
    }

    /// The next `swap` call meets this.
    pub fn on_swap(trouble: Trouble) -> Self {
        FaultStep { on: Call::Swap, ..FaultStep::on_zone(trouble) }
    }

    /// After this delay.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        FaultStep { delay, ..self }
    }

    /// So many calls in a row.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        FaultStep { times, ..self }
    }
}

/// What is still to come, per call, and how many calls there were.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: BTreeMap<Call, VecDeque<FaultStep>>,
    calls: BTreeMap<Call, u64>,
}

impl Script {
    pub(super) fn add(&mut self, step: FaultStep) {
        self.steps.entry(step.on).or_default().push_back(step);
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Counts the call and gives what it meets.
    pub(super) fn next(&mut self, call: Call) -> FaultStep {
        *self.calls.entry(call).or_default() += 1;
        let calm = FaultStep { on: call, ..FaultStep::on_zone(Trouble::Nothing) };
        let Some(queue) = self.steps.get_mut(&call) else { return calm };
        match queue.front_mut() {
            Some(step) if step.times > 1 => {
                step.times = if step.times == usize::MAX { usize::MAX } else { step.times - 1 };
                step.clone()
            }
            _ => queue.pop_front().unwrap_or(calm),
        }
    }

    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }

    pub(super) fn is_done(&self) -> bool {
        self.steps.values().all(VecDeque::is_empty)
    }
}
