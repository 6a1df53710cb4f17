//! Silence: a verdict that no probe has confirmed for too long is no verdict.

use std::time::Duration;

use super::{Decision, Effect, Now, Policy, say};

/// Whatever wakes the agent, it looks through the endpoints first, if it has not done so for a second.
const SWEEP: Duration = Duration::from_secs(1);
/// The longest time without such a look when nothing wakes it.
const SWEEP_AT_REST: Duration = Duration::from_secs(5);
/// Later than this we were not slow but stood still.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How long an agent that nothing else wakes goes without looking for silence: no verdict is said to hold for more than a
/// tenth longer than it does, within a second. Nothing is judged by one that is older, as what is to be judged wakes it.
pub(super) fn sweep_every(policy: &Policy) -> Duration {
    let checks = policy.targets.values().flat_map(|target| target.checks.values());
    let shortest = checks.map(super::CheckPolicy::stale_after).min();
    shortest.map_or(SWEEP_AT_REST, |shortest| (shortest / 10).clamp(SWEEP, SWEEP_AT_REST))
}

impl Decision {
    /// Ends the verdicts of endpoints that have been silent for too long.
    pub(super) fn sweep(&mut self, now: &Now, out: &mut Vec<Effect>) {
        if now.moment < self.swept + SWEEP {
            return;
        }
        let late = now.moment.since(self.swept + self.sweep);
        // At rest it is not known when within that time the standstill began.
        let at_most = now.moment.since(self.swept + SWEEP);
        self.swept = now.moment;
        if self.sight.blind_since().is_some() {
            return;
        }
        let lost = self.targets.expire(now.moment, self.options.stale_floor);
        if late >= STANDSTILL && !lost.is_empty() {
            // The silence is our own: the process or the whole machine was frozen.
            let event = say::stood_still(now, at_most);
            return self.begin_anew(now, event, out);
        }
        for target in lost {
            self.review_target(now, &target, true, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::policy;
    use super::*;

    #[test]
    fn it_is_looked_for_no_more_often_than_it_matters() {
        let every = |interval_s: u64, timeout_s: u64| {
            let mut policy = policy();
            for target in policy.targets.values_mut() {
                for check in target.checks.values_mut() {
                    check.interval = Duration::from_secs(interval_s);
                    check.timeout = Duration::from_secs(timeout_s);
                }
            }
            sweep_every(&policy)
        };
        assert_eq!(every(10, 3), Duration::from_millis(3300), "a tenth of 33 s");
        assert_eq!(every(1, 1), Duration::from_secs(1), "0.4 s would wake an agent at rest for nothing");
        assert_eq!(every(60, 3), Duration::from_secs(5));
        assert_eq!(sweep_every(&Policy::default()), Duration::from_secs(5), "nothing is watched");
    }
}
