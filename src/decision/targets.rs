//! From the verdicts of endpoints to those of addresses, families and targets.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CheckPolicy, Endpoint, Moment, Now, Observation, Outcome, Place, Policy, Require, SavedTracker, Sight,
    TargetId, Tracker, Verdict,
};

/// The health of every target.
///
/// | of | Down | Up | Unknown |
/// |---|---|---|---|
/// | place, `require: all` | one check is Down | every check is Up | else |
/// | place, `require: any` | every check is Down | one check is Up | else |
/// | place, `require: N` of T checks | more than T - N are Down | N checks are Up | else |
/// | family, target | none is Up and one is Down | one is Up | else |
///
/// A place is an address, or the host name of a target that has one; a host name is of no family. A family of which
/// nothing is known does not save a target whose other family is Down: a machine without IPv6 must still fail over.
/// And a Down counts only once a witness was seen alive since the first failure that led to it; until then it is
/// Unknown here, so that a cut uplink never looks like a dead primary.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    endpoints: BTreeMap<Endpoint, Known>,
    /// How the checks of each target combine.
    require: BTreeMap<TargetId, Require>,
    /// How many endpoints have not said anything in this run.
    unheard: usize,
}

/// All that is known of one endpoint, together: one search finds it, however many there are.
#[derive(Clone, Debug)]
struct Known {
    tracker: Tracker,
    check: CheckPolicy,
    last: Option<(Moment, Outcome)>,
    /// The last failure, which a later pass does not explain away.
    failed: Option<(Moment, Outcome)>,
}

/// What an observation changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The endpoint's verdict is another one now.
    pub verdict_changed: bool,
    /// This is the first failure after calm.
    pub first_failure: bool,
    /// Whether the endpoint is settled changed.
    pub settled_changed: bool,
}

impl Targets {
    /// Trackers for every endpoint of the policy, those known from an earlier run with what was kept.
    pub fn new(policy: &Policy, saved: &BTreeMap<Endpoint, SavedTracker>, now: &Now) -> Self {
        let mut targets = Targets::default();
        for (id, target) in &policy.targets {
            targets.require.insert(id.clone(), target.require);
            let each = |(id, check)| target.places.iter().map(move |place| (id, check, place));
            for (name, check, place) in target.checks.iter().flat_map(each) {
                let endpoint = Endpoint { target: id.clone(), check: name.clone(), address: place.clone() };
                let tracker = saved.get(&endpoint).map(|s| Tracker::restore(s, now)).unwrap_or_default();
                let known = Known { tracker, check: *check, last: None, failed: None };
                targets.endpoints.insert(endpoint, known);
                targets.unheard += 1;
            }
        }
        targets
    }

    /// Takes over the endpoints of `fresh`, each with what is known of it already; all others are forgotten.
    pub(super) fn reshape(&mut self, fresh: Targets) {
        let mut before = std::mem::replace(self, fresh);
        for (endpoint, known) in &mut self.endpoints {
            if let Some(kept) = before.endpoints.remove(endpoint) {
                *known = Known { check: known.check, ..kept };
            }
        }
        self.unheard = self.endpoints.values().filter(|known| known.last.is_none()).count();
    }

    /// Counts one observation that [`Sight`] allows to count.
    ///
    /// One that took far longer than its check allows says more of us than of the target (a frozen process, a
    /// suspended machine) and counts for nothing. After a silence that ended the verdict, counting starts anew.
    pub fn count(&mut self, observation: &Observation, stale_floor: std::time::Duration) -> Counted {
        let Some(known) = self.endpoints.get_mut(&observation.endpoint) else { return Counted::default() };
        let (tracker, check) = (&mut known.tracker, known.check);
        let took = observation.ended.since(observation.started);
        let outcome = if took > check.timeout + OWN_SLACK {
            Outcome::Unknown(format!("the agent itself stood still for {}", human(took)))
        } else {
            observation.outcome.clone()
        };
        let (was_settled, had_failed, before) =
            (tracker.is_settled(), tracker.first_failure(), tracker.verdict());
        tracker.expire(observation.started, check.stale_after().max(stale_floor));
        tracker.count(observation.ended, &outcome, check.thresholds);
        let counted = Counted {
            verdict_changed: tracker.verdict() != before,
            first_failure: had_failed.is_none() && tracker.first_failure().is_some(),
            settled_changed: tracker.is_settled() != was_settled,
        };
        if let Outcome::Fail(_) = outcome {
            known.failed = Some((observation.ended, outcome.clone()));
        }
        if known.last.replace((observation.ended, outcome)).is_none() {
            self.unheard -= 1;
        }
        counted
    }

    /// Did it end so long ago that the verdict it gives would be worthless already? So it is with what waited in a
    /// queue while the process was frozen.
    pub fn is_too_old(&self, observation: &Observation, now: Moment) -> bool {
        let known = self.endpoints.get(&observation.endpoint);
        known.is_none_or(|known| now.since(observation.ended) > known.check.stale_after())
    }

    /// Forgets every verdict: what comes next is judged anew.
    pub fn forget(&mut self) {
        self.endpoints.values_mut().for_each(|known| known.tracker.forget());
    }

    /// Ends the verdicts of endpoints that have been silent for too long. Returns their targets.
    pub fn expire(&mut self, now: Moment, stale_floor: std::time::Duration) -> BTreeSet<TargetId> {
        let mut lost = BTreeSet::new();
        for (endpoint, known) in &mut self.endpoints {
            if known.tracker.expire(now, known.check.stale_after().max(stale_floor)) {
                lost.insert(endpoint.target.clone());
            }
        }
        lost
    }

    /// The tracker of an endpoint.
    pub fn tracker(&self, endpoint: &Endpoint) -> Option<&Tracker> {
        self.endpoints.get(endpoint).map(|known| &known.tracker)
    }

    /// Every endpoint with its tracker, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Endpoint, &Tracker)> {
        self.endpoints.iter().map(|(endpoint, known)| (endpoint, &known.tracker))
    }

    /// The endpoints of one target.
    pub fn endpoints<'a>(
        &'a self,
        target: &'a TargetId,
    ) -> impl Iterator<Item = (&'a Endpoint, &'a Tracker)> {
        // Endpoints sort by target first, so a target's are one range.
        let first = Endpoint { target: target.clone(), check: "".into(), address: Place::FIRST };
        let range = self.endpoints.range(first..).take_while(move |(endpoint, _)| endpoint.target == *target);
        range.map(|(endpoint, known)| (endpoint, &known.tracker))
    }

    /// The last word on an endpoint in this run.
    pub fn last(&self, endpoint: &Endpoint) -> Option<&(Moment, Outcome)> {
        self.endpoints.get(endpoint)?.last.as_ref()
    }

    /// Has every endpoint said something in this run?
    pub(super) fn are_all_heard(&self) -> bool {
        self.unheard == 0
    }

    /// The endpoints of one place of a target.
    fn at<'a>(
        &'a self,
        target: &'a TargetId,
        place: &'a Place,
    ) -> impl Iterator<Item = (&'a Endpoint, &'a Tracker)> {
        self.endpoints(target).filter(move |(endpoint, _)| endpoint.address == *place)
    }

    /// The places of a target.
    fn places<'a>(&'a self, target: &'a TargetId) -> BTreeSet<&'a Place> {
        self.endpoints(target).map(|(endpoint, _)| &endpoint.address).collect()
    }

    fn require(&self, target: &TargetId) -> Require {
        self.require.get(target).copied().unwrap_or_default()
    }

    /// How many checks of a place may be Down without harm.
    fn spare(&self, target: &TargetId, place: &Place) -> usize {
        self.require(target).spare(self.at(target, place).count())
    }

    /// The verdict of one place: an address, or the host name of the target.
    pub fn address(&self, target: &TargetId, place: &Place, sight: &Sight) -> Verdict {
        let counts = |tracker: &Tracker| match tracker.verdict() {
            Verdict::Down if !sight.vouches_since(tracker.first_failure().unwrap_or(Moment::ZERO)) => {
                Verdict::Unknown
            }
            verdict => verdict,
        };
        self.require(target).combine(self.at(target, place).map(|(_, tracker)| counts(tracker)))
    }

    /// The verdict of one place by its own probes, whatever the witnesses say.
    fn by_itself(&self, target: &TargetId, place: &Place) -> Verdict {
        self.require(target).combine(self.at(target, place).map(|(_, tracker)| tracker.verdict()))
    }

    /// The places of a target that are Down by its own probes.
    fn fallen<'a>(&'a self, target: &'a TargetId) -> impl Iterator<Item = &'a Place> {
        let places = self.places(target).into_iter();
        places.filter(|place| self.by_itself(target, place) == Verdict::Down)
    }

    /// The verdict of one family of a target; `None` if the target has no such address.
    pub fn family(&self, target: &TargetId, v6: bool, policy: &Policy, sight: &Sight) -> Option<Verdict> {
        let places = &policy.targets.get(target)?.places;
        let of_family = |place: &&Place| place.address().is_some_and(|address| address.is_ipv6() == v6);
        any_up_then_down(places.iter().filter(of_family).map(|place| self.address(target, place, sight)))
    }

    /// The verdict of a target: that of its families together, or of its host name.
    pub fn target(&self, target: &TargetId, policy: &Policy, sight: &Sight) -> Verdict {
        let places = policy.targets.get(target).into_iter().flat_map(|target| &target.places);
        any_up_then_down(places.map(|place| self.address(target, place, sight))).unwrap_or_default()
    }

    /// Is a place of the target Down by its own probes while no witness has vouched for us yet?
    pub fn awaits_witness(&self, target: &TargetId, sight: &Sight) -> bool {
        self.fallen(target).any(|place| self.address(target, place, sight) != Verdict::Down)
    }

    /// Is a place known to work: did as many of its checks as are required, each of them Up, pass in their last probe,
    /// and did that end at or after `since`?
    pub fn is_verified(&self, target: &TargetId, place: &Place, since: Option<Moment>) -> bool {
        let checks = self.at(target, place).count();
        let proves = |(endpoint, tracker): &(&Endpoint, &Tracker)| {
            let passed = self.last(endpoint).filter(|(_, outcome)| *outcome == Outcome::Pass);
            tracker.verdict() == Verdict::Up
                && passed.is_some_and(|(at, _)| since.is_none_or(|since| *at >= since))
        };
        self.at(target, place).filter(proves).count() >= self.require(target).needed(checks)
    }

    /// When the trouble of those places of a target began that are Down; `None` if none of them is.
    pub fn trouble_since(
        &self,
        target: &TargetId,
        places: &BTreeSet<Place>,
        sight: &Sight,
    ) -> Option<Moment> {
        let down = places.iter().filter(|place| self.address(target, place, sight) == Verdict::Down);
        down.filter_map(|place| self.tipped(target, place)).min()
    }

    /// The first failure that a place which is Down could not do without: of the checks that may be Down without harm
    /// it is no matter how long they have been.
    fn tipped(&self, target: &TargetId, place: &Place) -> Option<Moment> {
        let down = self.at(target, place).filter(|(_, tracker)| tracker.verdict() == Verdict::Down);
        let mut first: Vec<Moment> = down.filter_map(|(_, tracker)| tracker.first_failure()).collect();
        first.sort();
        first.into_iter().nth(self.spare(target, place))
    }

    /// Is the whole target on its way back: is it Down, and will each of its places that is Down be so no longer
    /// if the checks that pass go on to?
    pub fn is_recovering(&self, target: &TargetId) -> bool {
        let recovers = |place: &Place| {
            let failing = |(_, tracker): &(&Endpoint, &Tracker)| {
                tracker.verdict() == Verdict::Down && tracker.passes() == 0
            };
            self.at(target, place).filter(failing).count() <= self.spare(target, place)
        };
        self.fallen(target).count() > 0 && self.fallen(target).all(recovers)
    }

    /// Is one of these places Down by what an earlier run counted alone: would it not be, without the checks that have
    /// not answered in this run?
    pub fn is_remembered(&self, target: &TargetId, places: &BTreeSet<Place>) -> bool {
        let answered = |(endpoint, tracker): &(&Endpoint, &Tracker)| {
            tracker.verdict() == Verdict::Down && self.last(endpoint).is_some()
        };
        let alone =
            |place: &Place| self.at(target, place).filter(answered).count() <= self.spare(target, place);
        self.fallen(target).any(|place| places.contains(place) && alone(place))
    }

    /// Is some place of the target that is Down on its way up: does a check that is Down pass?
    pub fn is_rising(&self, target: &TargetId) -> bool {
        let passes =
            |(_, tracker): (&Endpoint, &Tracker)| tracker.verdict() == Verdict::Down && tracker.passes() > 0;
        self.fallen(target).any(|place| self.at(target, place).any(passes))
    }

    /// Was every endpoint of the target probed in this run, with no count under way? If its verdict is Unknown then,
    /// more of the same probes will not tell.
    pub fn is_inscrutable(&self, target: &TargetId) -> bool {
        self.endpoints(target).all(|(e, tracker)| {
            self.last(e).is_some() && !(tracker.verdict() == Verdict::Unknown && tracker.failures() > 0)
        })
    }

    /// Since when the target's verdict holds: for Up the longest-standing place that is Up, for Down the
    /// latest to go.
    pub fn since(&self, target: &TargetId, policy: &Policy, sight: &Sight) -> Option<Moment> {
        let verdict = self.target(target, policy, sight);
        let places = &policy.targets.get(target)?.places;
        let of_place = |place: &Place| {
            let held = self.at(target, place).filter(|(_, tracker)| tracker.verdict() == verdict);
            let mut since: Vec<Moment> = held.filter_map(|(_, tracker)| tracker.since()).collect();
            since.sort();
            // The check that made it so, those before it having been enough or harmless.
            let checks = self.at(target, place).count();
            let made_it = match verdict {
                Verdict::Up => self.require(target).needed(checks) - 1,
                Verdict::Down => self.spare(target, place),
                Verdict::Unknown => 0,
            };
            since.into_iter().nth(made_it)
        };
        let held =
            places.iter().filter(|place| self.address(target, place, sight) == verdict).filter_map(of_place);
        held.reduce(if verdict == Verdict::Up { Moment::min } else { Moment::max })
    }

    /// When the first of the failures that count against a target was seen.
    pub fn first_failure(&self, target: &TargetId) -> Option<Moment> {
        let any = || self.endpoints(target).filter_map(|(_, tracker)| tracker.first_failure()).min();
        self.fallen(target).filter_map(|place| self.tipped(target, place)).min().or_else(any)
    }

    /// What is wrong with one place, for people.
    pub fn complaint_of(&self, target: &TargetId, place: &Place) -> Option<String> {
        let worst =
            self.at(target, place).filter_map(|(e, t)| self.complaint_by(e, t)).max_by_key(|(at, _)| *at);
        worst.map(|(_, outcome)| outcome.reason().to_owned())
    }

    /// What is wrong with a target, for people: the reason of the endpoint that failed last.
    pub fn complaint(&self, target: &TargetId) -> Option<String> {
        let failing = self.endpoints(target).filter_map(|(endpoint, tracker)| {
            self.complaint_by(endpoint, tracker).map(|(at, outcome)| (at, endpoint, outcome))
        });
        failing.max_by_key(|(at, ..)| *at).map(|(_, endpoint, outcome)| {
            let several = self.endpoints(target).count() > 1;
            if several {
                format!("{} ({} at {})", outcome.reason(), endpoint.check, endpoint.address)
            } else {
                outcome.reason().to_owned()
            }
        })
    }

    /// Its last word, if that is no pass; of one that is Down all the same, its last failure.
    fn complaint_by(&self, endpoint: &Endpoint, tracker: &Tracker) -> Option<(Moment, &Outcome)> {
        let bad = self.last(endpoint).filter(|(_, outcome)| *outcome != Outcome::Pass);
        let failed = || self.endpoints.get(endpoint)?.failed.as_ref();
        let down = || failed().filter(|_| tracker.verdict() == Verdict::Down);
        bad.or_else(down).map(|(at, outcome)| (*at, outcome))
    }
}

/// How much longer than its timeout a probe may take before we blame ourselves: the timer and the scheduler
/// of a busy machine are late by milliseconds, a frozen one by seconds.
const OWN_SLACK: std::time::Duration = std::time::Duration::from_secs(2);

fn any_up_then_down(verdicts: impl Iterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.reduce(|so_far, next| match (so_far, next) {
        (Verdict::Up, _) | (_, Verdict::Up) => Verdict::Up,
        (Verdict::Down, _) | (_, Verdict::Down) => Verdict::Down,
        _ => Verdict::Unknown,
    })
}

/// A duration as a person says it: `850 ms`, `4 s`, `3 min 20 s`, `2 h 5 min`.
pub fn human(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=9 if duration.subsec_millis() >= 50 => format!("{:.1} s", duration.as_secs_f64()),
        1..=119 => format!("{seconds} s"),
        120..=7199 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 record`, `2 records`: nouns that take an s.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
