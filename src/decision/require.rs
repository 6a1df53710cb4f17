//! How the checks of a target combine at each of its places.

use serde::Serialize;

use super::Verdict;

/// How many of a target's checks a place must pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// Every one.
    #[default]
    All,
    /// One of them.
    Any,
    /// So many of them, 1 or more; all, where there are fewer.
    AtLeast(u32),
}

impl Require {
    /// How many of so many checks must be Up: one at least, all at most.
    pub fn needed(self, checks: usize) -> usize {
        let asked = match self {
            Require::All => checks,
            Require::Any => 1,
            Require::AtLeast(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        asked.clamp(1, checks.max(1))
    }

    /// How many of so many checks may be Down without harm: with one more the rest can no longer be enough.
    pub fn spare(self, checks: usize) -> usize {
        checks.saturating_sub(self.needed(checks))
    }

    /// The verdict that these make together. Nothing at all makes none.
    pub fn combine(self, verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let (mut all, mut up, mut down) = (0, 0, 0);
        for verdict in verdicts {
            all += 1;
            up += usize::from(verdict == Verdict::Up);
            down += usize::from(verdict == Verdict::Down);
        }
        if all == 0 {
            Verdict::Unknown
        } else if down > self.spare(all) {
            Verdict::Down
        } else if up >= self.needed(all) {
            Verdict::Up
        } else {
            Verdict::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in `targets.rs`, for three checks.
    #[test]
    fn the_table_of_three_checks() {
        use Verdict::{Down, Unknown, Up};
        let rows = [
            // of the checks, all, 2, any
            ([Up, Up, Up], [Up, Up, Up]),
            ([Up, Up, Unknown], [Unknown, Up, Up]),
            ([Up, Up, Down], [Down, Up, Up]),
            ([Up, Unknown, Unknown], [Unknown, Unknown, Up]),
            ([Up, Unknown, Down], [Down, Unknown, Up]),
            ([Up, Down, Down], [Down, Down, Up]),
            ([Unknown, Unknown, Unknown], [Unknown, Unknown, Unknown]),
            ([Unknown, Unknown, Down], [Down, Unknown, Unknown]),
            ([Unknown, Down, Down], [Down, Down, Unknown]),
            ([Down, Down, Down], [Down, Down, Down]),
        ];
        for (checks, expected) in rows {
            let rules = [Require::All, Require::AtLeast(2), Require::Any];
            assert_eq!(rules.map(|rule| rule.combine(checks)), expected, "{checks:?}");
        }
    }

    #[test]
    fn more_than_there_are_is_all_and_none_is_one() {
        assert_eq!(Require::AtLeast(5).needed(2), 2);
        assert_eq!(Require::AtLeast(0).needed(2), 1);
        assert_eq!((Require::Any.spare(3), Require::All.spare(3), Require::AtLeast(2).spare(3)), (2, 0, 1));
        assert_eq!(Require::All.combine([]), Verdict::Unknown);
    }
}
