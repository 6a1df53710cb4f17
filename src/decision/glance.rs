//! One look at each endpoint, judged by the rule that the decision itself goes by.

use std::net::IpAddr;

use super::{Observation, Policy, Sight, TargetId, Targets, Thresholds, Verdict};

/// What one probe of each endpoint says of the targets: no history, so that one pass is Up and one failure is Down.
///
/// Checks, addresses and families combine as in [`Targets`]. No witness is asked to vouch: who looks once wants to know
/// what was seen, and changes nothing for it.
#[derive(Clone, Debug)]
pub struct Glance {
    policy: Policy,
    targets: Targets,
}

impl Glance {
    /// Nothing seen yet of these targets.
    pub fn new(policy: &Policy) -> Self {
        let mut policy = Policy { witnesses: std::collections::BTreeSet::new(), ..policy.clone() };
        for check in policy.targets.values_mut().flat_map(|target| target.checks.values_mut()) {
            check.thresholds = Thresholds { fall: 1, rise: 1, clear: 1 };
        }
        let epoch = super::Now { moment: super::Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
        let targets = Targets::new(&policy, &std::collections::BTreeMap::new(), &epoch);
        Glance { policy, targets }
    }

    /// Takes in one probe. A later one of the same endpoint replaces it, unless it says nothing.
    pub fn see(&mut self, observation: &Observation) {
        self.targets.count(observation, &self.policy, std::time::Duration::ZERO);
    }

    /// What it says of a target.
    pub fn target(&self, target: &TargetId) -> Verdict {
        self.targets.target(target, &self.policy, &Sight::default())
    }

    /// What it says of one address of a target.
    pub fn address(&self, target: &TargetId, address: IpAddr) -> Verdict {
        self.targets.address(target, address, &Sight::default())
    }

    /// What is wrong with a target, in words; `None` when nothing is.
    pub fn complaint(&self, target: &TargetId) -> Option<String> {
        self.targets.complaint(target)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{A4, A6, observation, policy};
    use super::*;

    fn seen(of: &[(&str, Option<bool>)]) -> Verdict {
        let mut glance = Glance::new(&policy());
        for (address, passed) in of {
            glance.see(&observation("web", address, (1, 1), *passed));
        }
        glance.target(&"a".into())
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
}
