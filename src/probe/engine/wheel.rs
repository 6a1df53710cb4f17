//! A hierarchical timer wheel: arming and firing cost the same for ten timers and for a hundred thousand.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7. A tick is a
//! millisecond. A timer is never disarmed: whoever fires looks whether it is still wanted, which is cheaper than to find it.

use crate::decision::Moment;

/// Microseconds of a tick.
const TICK_US: i64 = 1000;
/// Slots of a level: a power of two, and as many as there are bits in the word that says which are filled.
const SLOTS: usize = 64;
const BITS: u32 = SLOTS.trailing_zeros();
/// 64 ms, 4 s, 4 min, 5 h: what is due later waits in the last level and is put in again.
const LEVELS: usize = 4;

/// What fires: whatever the owner of the wheel understands by it.
pub(super) type Token = u32;

/// The timers of one engine.
#[derive(Debug)]
pub(super) struct Wheel {
    levels: [Level; LEVELS],
    /// Everything due at or before this tick has fired.
    now: u64,
}

#[derive(Debug)]
struct Level {
    /// A bit for each slot that is not empty.
    filled: u64,
    slots: [Slot; SLOTS],
}

#[derive(Debug)]
struct Slot {
    /// When the first of its timers is due, or to be looked at again.
    first: u64,
    timers: Vec<(u64, Token)>,
}

impl Wheel {
    pub(super) fn new(now: Moment) -> Self {
        let level =
            || Level { filled: 0, slots: [const { Slot { first: u64::MAX, timers: Vec::new() } }; SLOTS] };
        Wheel { levels: std::array::from_fn(|_| level()), now: floor(now) }
    }

    /// `token` fires at the first tick at or after `due`; what is due already, at the next.
    pub(super) fn arm(&mut self, due: Moment, token: Token) {
        self.put(ceil(due).max(self.now + 1), token);
    }

    fn put(&mut self, due: u64, token: Token) {
        // The highest group of bits in which it differs from now says how far away it is.
        let differs = (due ^ self.now).max(1);
        let level = ((u64::BITS - 1 - differs.leading_zeros()) / BITS) as usize;
        // What is beyond the last level is put at its far end, and looked at again there.
        let (level, at) = match level {
            0..LEVELS => (level, due),
            _ => (LEVELS - 1, due.min(self.now + (SLOTS as u64 - 1) * span(LEVELS - 1))),
        };
        let slot = index(at, level);
        self.levels[level].filled |= 1 << slot;
        let slot = &mut self.levels[level].slots[slot];
        slot.first = slot.first.min(at);
        slot.timers.push((due, token));
    }

    /// When the first of all timers is due; `None` when nothing is armed. That timers come closer in the wheel is no reason to
    /// wake. It may be too early, for timers hours away, and is never too late.
    pub(super) fn next(&self) -> Option<Moment> {
        // Of one level no slot has anything before an earlier one has.
        let of_level = |(level, wheel): (usize, &Level)| Some(wheel.slots[self.next_slot(level)?].first);
        let tick = self.levels.iter().enumerate().filter_map(of_level).min()?;
        Some(Moment::from_micros(i64::try_from(tick).unwrap_or(i64::MAX / TICK_US).saturating_mul(TICK_US)))
    }

    /// The first tick after now at which a slot is to be emptied, and its level.
    fn next_tick(&self) -> Option<(u64, usize)> {
        let of_level = |level| Some(((self.now / span(level) + self.steps(level)?) * span(level), level));
        (0..LEVELS).filter_map(of_level).min()
    }

    /// How many slots of a level on the next filled one is. Those before ours belong to the next turn; ours is empty.
    fn steps(&self, level: usize) -> Option<u64> {
        let here = u32::try_from(index(self.now, level)).unwrap_or(0);
        let filled = self.levels[level].filled;
        (filled != 0).then(|| u64::from(filled.rotate_right(here + 1).trailing_zeros()) + 1)
    }

    fn next_slot(&self, level: usize) -> Option<usize> {
        Some(index((self.now / span(level) + self.steps(level)?) * span(level), level))
    }

    /// Moves on to `now` and tells what was due meanwhile, in the order of ticks.
    pub(super) fn fire(&mut self, now: Moment, mut fired: impl FnMut(Token)) {
        let now = floor(now);
        while let Some((tick, level)) = self.next_tick().filter(|(tick, _)| *tick <= now) {
            self.now = tick;
            let slot = index(tick, level);
            let wheel = &mut self.levels[level];
            wheel.filled &= !(1 << slot);
            wheel.slots[slot].first = u64::MAX;
            let mut due = std::mem::take(&mut wheel.slots[slot].timers);
            for (at, token) in due.drain(..) {
                if at <= tick { fired(token) } else { self.put(at, token) }
            }
            // Its memory is used again, unless something came into its place.
            if self.levels[level].slots[slot].timers.is_empty() {
                self.levels[level].slots[slot].timers = due;
            }
        }
        self.now = self.now.max(now);
    }
}

/// Ticks of one slot of a level.
const fn span(level: usize) -> u64 {
    1 << (BITS as usize * level)
}

fn index(tick: u64, level: usize) -> usize {
    usize::try_from((tick / span(level)) % SLOTS as u64).unwrap_or(0)
}

fn floor(moment: Moment) -> u64 {
    u64::try_from(moment.micros().div_euclid(TICK_US)).unwrap_or(0)
}

fn ceil(moment: Moment) -> u64 {
    u64::try_from(moment.micros().saturating_add(TICK_US - 1).div_euclid(TICK_US)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Moment {
        Moment::from_micros(micros)
    }

    /// Fires whenever the wheel asks for it; tells when each token fired.
    fn play(start: i64, dues: &[i64]) -> BTreeMap<Token, i64> {
        let mut wheel = Wheel::new(at(start));
        for (token, due) in (0..).zip(dues) {
            wheel.arm(at(*due), token);
        }
        let mut fired = BTreeMap::new();
        while let Some(next) = wheel.next() {
            wheel.fire(next, |token| assert_eq!(fired.insert(token, next.micros()), None, "once"));
        }
        fired
    }

    #[test]
    fn each_fires_once_at_the_first_tick_after_its_time() {
        let dues = [0, 1, 999, 1000, 1001, 63_000, 64_000, 65_500, 4_096_000, 3_600_000_000, 400_000_000_000];
        let expected =
            [1000, 1000, 1000, 1000, 2000, 63_000, 64_000, 66_000, 4_096_000, 3_600_000_000, 400_000_000_000];
        assert_eq!(play(0, &dues), (0..).zip(expected).collect());
    }

    #[test]
    fn nobody_is_woken_before_the_first_is_due() {
        let mut wheel = Wheel::new(at(12_345));
        for (token, due) in [(1, 10_000_000), (2, 3_600_000_000), (3, 70_000)] {
            wheel.arm(at(due), token);
        }
        for due in [70_000, 10_000_000, 3_600_000_000] {
            assert_eq!(wheel.next(), Some(at(due)));
            let mut fired = 0;
            wheel.fire(at(due), |_| fired += 1);
            assert_eq!(fired, 1);
        }
    }

    /// The second is armed when the first waits in a slot before it, and is due before it.
    #[test]
    fn what_is_hours_away_hides_nothing() {
        let hours = |hours: i64| at(hours * 3_600_000_000);
        let mut wheel = Wheel::new(at(0));
        wheel.arm(hours(10), 1);
        wheel.fire(hours(1), |_| panic!("too early"));
        wheel.arm(hours(5), 2);
        let mut fired = Vec::new();
        while let Some(next) = wheel.next() {
            wheel.fire(next, |token| fired.push((token, next)));
        }
        assert_eq!(fired, [(2, hours(5)), (1, hours(10))]);
    }

    #[test]
    fn what_is_late_fires_all_together_and_in_order() {
        let mut wheel = Wheel::new(at(0));
        for (token, due) in [(1, 9_000_000), (2, 5000), (3, 70_000)] {
            wheel.arm(at(due), token);
        }
        let mut fired = Vec::new();
        wheel.fire(at(10_000_000), |token| fired.push(token));
        assert_eq!(fired, [2, 3, 1]);
        assert_eq!(wheel.next(), None);
    }

    proptest! {
        #[test]
        fn none_is_lost_early_or_late(
            start in 0i64..40_000_000_000,
            ahead in proptest::collection::vec(0i64..40_000_000_000, 1..200),
        ) {
            let dues: Vec<i64> = ahead.iter().map(|ahead| start + ahead).collect();
            let fired = play(start, &dues);
            prop_assert_eq!(fired.len(), dues.len());
            for (token, due) in (0..).zip(&dues) {
                let first = (due + 999) / 1000 * 1000;
                prop_assert_eq!(fired[&token], first.max(start / 1000 * 1000 + 1000));
            }
        }
    }
}
