//! One look at each endpoint, judged by the rule that the decision itself goes by.

use super::{Observation, Place, Policy, Sight, TargetId, Targets, Thresholds, Verdict};

/// What one probe of each endpoint says of the targets: no history, so that one pass is Up and one failure is Down.
///
/// Checks, addresses and families combine as in [`Targets`]. No witness is asked to vouch: who looks once wants to know
/// what was seen, and changes nothing for it.
#[derive(Clone, Debug)]
pub struct OneLook {
    targets: Targets,
}

impl OneLook {
    /// Nothing seen yet of these targets.
    pub fn new(policy: &Policy) -> Self {
        let mut policy = Policy { witnesses: std::collections::BTreeSet::new(), ..policy.clone() };
        for check in policy.targets.values_mut().flat_map(|target| target.checks.values_mut()) {
            check.thresholds = Thresholds { fall: 1, rise: 1, clear: 1 };
        }
        let epoch = super::Now { moment: super::Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
        let targets = Targets::new(&policy, &std::collections::BTreeMap::new(), &epoch);
        OneLook { targets }
    }

    /// Takes in one probe. A later one of the same endpoint replaces it, unless it says nothing.
    pub fn see(&mut self, observation: &Observation) {
        self.targets.count(observation, std::time::Duration::ZERO);
    }

    /// What it says of a target.
    pub fn target(&self, target: &TargetId) -> Verdict {
        self.targets.target(target, &Sight::default())
    }

    /// What it says of one place of a target.
    pub fn address(&self, target: &TargetId, place: &Place) -> Verdict {
        self.targets.address(target, place, &Sight::default())
    }

    /// What is wrong with a target, in words; `None` when nothing is.
    pub fn complaint(&self, target: &TargetId) -> Option<String> {
        self.targets.complaint(target)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{A4, A6, observation, place, policy};
    use super::*;

    fn seen(of: &[(&str, Option<bool>)]) -> Verdict {
        let mut one = OneLook::new(&policy());
        for (address, passed) in of {
            one.see(&observation("web", address, (1, 1), *passed));
        }
        one.target(&"a".into())
    }

    #[test]
    fn one_look_is_enough_for_a_verdict_and_addresses_combine_as_ever() {
        assert_eq!(seen(&[(A4, Some(true)), (A6, Some(true))]), Verdict::Up);
        assert_eq!(seen(&[(A4, Some(false)), (A6, Some(true))]), Verdict::Up);
        assert_eq!(seen(&[(A4, Some(false)), (A6, Some(false))]), Verdict::Down);
        assert_eq!(seen(&[(A4, Some(false)), (A6, None)]), Verdict::Down);
        assert_eq!(seen(&[(A4, None), (A6, None)]), Verdict::Unknown);
        assert_eq!(seen(&[(A4, Some(false)), (A4, Some(true))]), Verdict::Up, "the later one counts");
    }

    #[test]
    fn each_place_has_a_verdict_of_its_own_and_a_target_that_is_not_well_a_complaint() {
        let mut one = OneLook::new(&policy());
        one.see(&observation("web", A4, (1, 1), Some(false)));
        one.see(&observation("web", A6, (1, 1), Some(true)));
        let (a, b) = ("a".into(), "b".into());
        let verdicts = [A4, A6].map(|address| one.address(&a, &place(address)));
        assert_eq!(verdicts, [Verdict::Down, Verdict::Up]);
        assert_eq!(one.complaint(&a), Some(format!("connection refused (web at {A4})")));
        assert_eq!(one.complaint(&b), None);
    }
}
