//! The tracker against a model written from the table of the design, in another way: no counters, only the text of
//! what was seen since the verdict was formed.

use failover::decision::{Moment, Outcome, Thresholds, Tracker, Verdict};
use proptest::prelude::*;

use crate::world::cases;

/// What was seen, `+` and `-`, since the last verdict was formed; `^` marks where Unknown became Up.
#[derive(Default)]
struct Model {
    verdict: Verdict,
    seen: String,
}

impl Model {
    fn see(&mut self, letter: char, limits: Thresholds) {
        if letter == '?' {
            return;
        }
        self.seen.push(letter);
        match self.verdict {
            Verdict::Unknown if letter == '+' => {
                self.verdict = Verdict::Up;
                self.seen.pop();
                self.seen.push('^');
            }
            Verdict::Unknown | Verdict::Up if self.failures(limits) >= limits.fall => {
                self.enter(Verdict::Down);
            }
            Verdict::Down if trailing_passes(&self.seen) >= limits.rise => self.enter(Verdict::Up),
            _ => {}
        }
    }

    fn enter(&mut self, verdict: Verdict) {
        self.verdict = verdict;
        self.seen.clear();
    }

    /// The failures after the last place where enough passes in a row forgave what was before.
    fn failures(&self, limits: Thresholds) -> u32 {
        let forgiving = "+".repeat(limits.clear as usize);
        let unforgiven = self.seen.rfind(&forgiving).map_or(self.seen.as_str(), |at| &self.seen[at..]);
        u32::try_from(unforgiven.matches('-').count()).unwrap()
    }
}

fn trailing_passes(seen: &str) -> u32 {
    u32::try_from(seen.len() - seen.trim_end_matches('+').len()).unwrap()
}

fn outcome(letter: char) -> Outcome {
    match letter {
        '+' => Outcome::Pass,
        '-' => Outcome::Fail("refused".into()),
        _ => Outcome::Unknown("no route".into()),
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_leaky_rule_is_the_table(
        letters in proptest::collection::vec(prop_oneof![5 => Just('+'), 4 => Just('-'), 1 => Just('?')], 0..120),
        (fall, rise, clear) in (1u32..5, 1u32..5, 1u32..8),
    ) {
        let limits = Thresholds { fall, rise, clear };
        let (mut tracker, mut model) = (Tracker::default(), Model::default());
        for (second, letter) in letters.iter().enumerate() {
            let at = Moment::from_micros(i64::try_from(second).unwrap() * 1_000_000);
            let before = tracker.verdict();
            let changed = tracker.count(at, &outcome(*letter), limits);
            model.see(*letter, limits);
            prop_assert_eq!(tracker.verdict(), model.verdict, "after {} of {:?}", second + 1, letters);
            prop_assert_eq!(changed, (before != tracker.verdict()).then_some(tracker.verdict()));
            if tracker.verdict() != Verdict::Down {
                prop_assert_eq!(tracker.failures(), model.failures(limits));
                prop_assert_eq!(tracker.first_failure().is_some(), tracker.failures() > 0);
            }
        }
    }
}
