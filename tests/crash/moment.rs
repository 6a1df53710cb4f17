//! When a blow falls: some time after one of the things that happen in a failover.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::agent::PATIENCE;
use crate::dice::Dice;
use crate::kept::Kept;
use crate::round::Round;
use crate::stage::BETA;

/// What is waited for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum After {
    /// The primary is gone.
    Outage,
    /// The change is in the state file: decided, committed, about to be written.
    Kept,
    /// The server answers with the new address: written, about to be confirmed.
    Served,
    /// The change is closed in the state file: confirmed, about to be told.
    Closed,
    /// The chat has it: told, about to be recorded as delivered.
    Told,
}

/// A moment of a failover.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) after: After,
    pub(crate) delay: Duration,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} + {:?}", self.after, self.delay)
    }
}

impl Moment {
    /// Any moment of a failover that takes so long from the outage to its message; many where the interesting ones are.
    pub(crate) fn any(dice: &mut Dice, whole: Duration) -> Moment {
        let ms = Duration::from_millis;
        let (after, within) = match dice.below(10) {
            0..=2 => (After::Outage, whole.mul_f64(1.2)),
            3..=5 => (After::Kept, ms(12)),
            6..=7 => (After::Served, ms(8)),
            8 => (After::Closed, ms(8)),
            _ => (After::Told, ms(8)),
        };
        Moment { after, delay: dice.within(within) }
    }

    /// Waits for it.
    #[track_caller]
    pub(crate) fn wait(&self, round: &Round) {
        match self.after {
            After::Outage => {}
            After::Kept => soon("a change in the state file", || changes(&round.state_file(), |_| true)),
            After::Served => soon("the new address", || round.lane.stage.answer() == [BETA]),
            After::Closed => {
                soon("a closed change", || changes(&round.state_file(), |state| state != "started"));
            }
            After::Told => soon("the message", || !round.told("failover.completed").is_empty()),
        }
        // Not a wait for something: the time at which the blow falls.
        std::thread::sleep(self.delay);
    }
}

/// Is there a change, and is its state such?
fn changes(file: &Path, such: impl Fn(&str) -> bool) -> bool {
    // Opened for a thousand looks at a time, and closed before the blow: what is killed leaves a file nobody else holds.
    let Some(kept) = Kept::of_running(file) else { return false };
    let mut looks = (0..100).inspect(|_| std::thread::sleep(Duration::from_micros(150)));
    looks.any(|_| kept.changes().iter().any(|state| such(state)))
}

/// Waits without the usual pauses between two looks: they are longer than what is aimed at.
#[track_caller]
fn soon(what: &str, mut is_it: impl FnMut() -> bool) {
    testkit::wait_until(what, PATIENCE, || {
        let mut looks = (0..200).inspect(|_| std::thread::sleep(Duration::from_micros(100)));
        looks.any(|_| is_it()).then_some(())
    });
}
