//! From the verdicts of endpoints to those of addresses, families and targets.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use providers::DomainName;

use super::watched::{Known, Watched};
use super::{
    ByName, Counted, Endpoint, LatencyRow, Moment, Now, Observation, Outcome, PastProbe, Place, Policy,
    SavedTracker, Sight, TargetId, Tracker, Verdict,
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
#[derive(Clone, Debug)]
pub struct Targets {
    all: ByName<TargetId, Watched>,
    /// Those with an endpoint that is Down: with each word of a witness they are looked at, and no others.
    fallen: BTreeSet<TargetId>,
    /// How many endpoints have not said anything in this run.
    unheard: usize,
    /// Until then no verdict can end in silence, so nobody need look. Often it is later in truth.
    calm_until: Moment,
}

/// After all that can happen.
pub(super) const FOREVER: Moment = Moment::from_micros(i64::MAX);
/// Before all that can have happened.
const LONG_AGO: Moment = Moment::from_micros(i64::MIN);

impl Targets {
    /// Trackers for every endpoint of the policy, those known from an earlier run with what was kept.
    pub fn new(policy: &Policy, saved: &BTreeMap<Endpoint, SavedTracker>, now: &Now) -> Self {
        let tracker = |endpoint: &Endpoint| {
            saved.get(endpoint).map(|saved| Tracker::restore(saved, now)).unwrap_or_default()
        };
        let mut records = by_target(policy);
        let all: ByName<TargetId, Watched> = policy
            .targets
            .iter()
            .map(|(id, target)| (id.clone(), Watched::new(id, target, records.remove(id), tracker)))
            .collect();
        let unheard = all.values().map(|target| target.endpoints.len()).sum();
        let mut targets = Targets { all, unheard, fallen: BTreeSet::new(), calm_until: LONG_AGO };
        targets.find_fallen();
        targets
    }

    /// Takes over the endpoints of `fresh`, each with what is known of it already; all others are forgotten.
    pub(super) fn reshape(&mut self, fresh: Targets) {
        let mut before = std::mem::replace(self, fresh);
        for (target, watched) in self.all.iter_mut() {
            for kept in before.all.get_mut(target).into_iter().flat_map(|before| take(&mut before.endpoints))
            {
                if let Some(known) = watched.get_mut(&kept.endpoint) {
                    known.inherit(kept);
                }
            }
        }
        self.unheard = self.known().filter(|known| known.last.is_none()).count();
        self.find_fallen();
    }

    fn find_fallen(&mut self) {
        let fallen = self.all.iter().filter(|(_, target)| target.has_fallen());
        self.fallen = fallen.map(|(target, _)| target.clone()).collect();
    }

    /// Takes in one observation that [`Sight`] allows to count, and remembers how long it took. `None` if nobody asks for
    /// it any more, or it ended so long ago that the verdict it gives would be worthless already: so it is with what waited
    /// in a queue while the process was frozen.
    pub(super) fn hear(
        &mut self,
        now: &Now,
        observation: &Observation,
        stale_floor: Duration,
    ) -> Option<Counted> {
        self.take_in(observation, stale_floor, Some(now))
    }

    /// Counts one observation, however old it is.
    ///
    /// One that took far longer than its check allows says more of us than of the target (a frozen process, a
    /// suspended machine) and counts for nothing. After a silence that ended the verdict, counting starts anew.
    pub fn count(&mut self, observation: &Observation, stale_floor: Duration) -> Counted {
        self.take_in(observation, stale_floor, None).unwrap_or_default()
    }

    /// One search serves all that a probe asks of its endpoint: most say what was known, of ten thousand endpoints.
    fn take_in(
        &mut self,
        observation: &Observation,
        stale_floor: Duration,
        heard: Option<&Now>,
    ) -> Option<Counted> {
        let endpoint = &observation.endpoint;
        let target = self.all.get_mut(&endpoint.target)?;
        let known = target.get_mut(endpoint)?;
        if heard.is_some_and(|now| now.moment.since(observation.ended) > known.stale_after) {
            return None;
        }
        self.unheard -= usize::from(known.last.is_none());
        let counted = known.count(observation, stale_floor);
        if let Some(now) = heard {
            known.remember(observation, now);
        }
        self.calm_until = self.calm_until.min(known.silent_at(stale_floor));
        if counted.verdict_changed {
            if target.has_fallen() {
                self.fallen.insert(endpoint.target.clone());
            } else {
                self.fallen.remove(&endpoint.target);
            }
        }
        Some(counted)
    }

    /// Forgets every verdict: what comes next is judged anew.
    pub fn forget(&mut self) {
        let all = self.all.values_mut().flat_map(|target| &mut target.endpoints);
        all.for_each(|known| known.tracker.forget());
        self.fallen.clear();
    }

    /// Ends the verdicts of endpoints that have been silent for too long. Returns their targets.
    pub fn expire(&mut self, now: Moment, stale_floor: Duration) -> BTreeSet<TargetId> {
        let mut lost = BTreeSet::new();
        if now <= self.calm_until {
            return lost;
        }
        let mut calm_until = FOREVER;
        for (target, watched) in self.all.iter_mut() {
            for known in &mut watched.endpoints {
                if known.expire(now, stale_floor) {
                    lost.insert(target.clone());
                }
                calm_until = calm_until.min(known.silent_at(stale_floor));
            }
        }
        self.calm_until = calm_until;
        if !lost.is_empty() {
            self.find_fallen();
        }
        lost
    }

    /// See [`Decision::fetch_latency`](super::Decision::fetch_latency).
    pub(super) fn fetch_latency(&mut self) -> Vec<LatencyRow> {
        let all = self.all.values_mut().flat_map(|target| &mut target.endpoints);
        all.flat_map(Known::fetch_times).collect()
    }

    /// The last probes of an endpoint, oldest first.
    pub(super) fn last_probes(&self, endpoint: &Endpoint) -> impl Iterator<Item = PastProbe> {
        self.get(endpoint).into_iter().flat_map(Known::last_probes)
    }

    /// The records of a target, in the order of their names.
    pub(super) fn records_of(&self, target: &TargetId) -> Arc<[DomainName]> {
        self.of(target).records.clone().unwrap_or_default()
    }

    /// What is known of a target.
    fn of(&self, target: &TargetId) -> &Watched {
        self.all.get(target).unwrap_or(Watched::NONE)
    }

    fn get(&self, endpoint: &Endpoint) -> Option<&Known> {
        self.all.get(&endpoint.target)?.get(endpoint)
    }

    fn known(&self) -> impl Iterator<Item = &Known> {
        self.all.values().flat_map(|target| &target.endpoints)
    }

    /// The tracker of an endpoint.
    pub fn tracker(&self, endpoint: &Endpoint) -> Option<&Tracker> {
        self.get(endpoint).map(|known| &known.tracker)
    }

    /// Every endpoint with its tracker, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Endpoint, &Tracker)> {
        self.known().map(|known| (&known.endpoint, &known.tracker))
    }

    /// The endpoints of one target.
    pub fn endpoints(&self, target: &TargetId) -> impl Iterator<Item = (&Endpoint, &Tracker)> {
        self.of(target).endpoints.iter().map(|known| (&known.endpoint, &known.tracker))
    }

    /// The last word on an endpoint in this run.
    pub fn last(&self, endpoint: &Endpoint) -> Option<&(Moment, Outcome)> {
        self.get(endpoint)?.last.as_ref()
    }

    /// Has every endpoint said something in this run?
    pub(super) fn are_all_heard(&self) -> bool {
        self.unheard == 0
    }

    /// The verdict of one place: an address, or the host name of the target.
    pub fn address(&self, target: &TargetId, place: &Place, sight: &Sight) -> Verdict {
        self.of(target).address(place, sight)
    }

    /// The verdict of one family of a target; `None` if the target has no such address.
    pub fn family(&self, target: &TargetId, v6: bool, sight: &Sight) -> Option<Verdict> {
        self.of(target).family(v6, sight)
    }

    /// The verdict of a target: that of its families together, or of its host name.
    pub fn target(&self, target: &TargetId, sight: &Sight) -> Verdict {
        self.of(target).verdict(sight)
    }

    /// Every target with its verdict.
    pub(super) fn verdicts<'a>(&'a self, sight: &'a Sight) -> impl Iterator<Item = (&'a TargetId, Verdict)> {
        self.all.iter().map(|(target, watched)| (target, watched.verdict(sight)))
    }

    /// Is a place of the target Down by its own probes while no witness has vouched for us yet?
    pub fn awaits_witness(&self, target: &TargetId, sight: &Sight) -> bool {
        self.of(target).awaits_witness(sight)
    }

    /// The targets of which that is so.
    pub(super) fn awaiting_witness<'a>(&'a self, sight: &'a Sight) -> impl Iterator<Item = &'a TargetId> {
        self.fallen.iter().filter(|target| self.awaits_witness(target, sight))
    }

    /// Is a place known to work: did as many of its checks as are required, each of them Up, pass in their last probe,
    /// and did that end at or after `since`?
    pub fn is_verified(&self, target: &TargetId, place: &Place, since: Option<Moment>) -> bool {
        self.of(target).is_verified(place, since)
    }

    /// When the trouble of those places of a target began that are Down; `None` if none of them is.
    pub fn trouble_since(
        &self,
        target: &TargetId,
        places: &BTreeSet<Place>,
        sight: &Sight,
    ) -> Option<Moment> {
        self.of(target).trouble_since(places, sight)
    }

    /// Is the whole target on its way back: is it Down, and will each of its places that is Down be so no longer
    /// if the checks that pass go on to?
    pub fn is_recovering(&self, target: &TargetId) -> bool {
        self.of(target).is_recovering()
    }

    /// Is one of the places that are asked for Down by what an earlier run counted alone: would it not be, without the
    /// checks that have not answered in this run?
    pub fn is_remembered(&self, target: &TargetId, asked: impl Fn(&Place) -> bool) -> bool {
        // Of what has answered nothing is remembered.
        self.unheard > 0 && self.of(target).is_remembered(asked)
    }

    /// Is some place of the target that is Down on its way up: does a check that is Down pass?
    pub fn is_rising(&self, target: &TargetId) -> bool {
        self.of(target).is_rising()
    }

    /// Was every endpoint of the target probed in this run, with no count under way? If its verdict is Unknown then,
    /// more of the same probes will not tell.
    pub fn is_inscrutable(&self, target: &TargetId) -> bool {
        self.of(target).is_inscrutable()
    }

    /// Since when the target's verdict holds: for Up the longest-standing place that is Up, for Down the
    /// latest to go.
    pub fn since(&self, target: &TargetId, sight: &Sight) -> Option<Moment> {
        self.of(target).since(sight)
    }

    /// When the first of the failures that count against a target was seen.
    pub fn first_failure(&self, target: &TargetId) -> Option<Moment> {
        self.of(target).first_failure()
    }

    /// What is wrong with one place, for people.
    pub fn complaint_of(&self, target: &TargetId, place: &Place) -> Option<String> {
        self.of(target).complaint_of(place)
    }

    /// What is wrong with a target, for people: the reason of the endpoint that failed last.
    pub fn complaint(&self, target: &TargetId) -> Option<String> {
        self.of(target).complaint()
    }
}

/// The records of each target.
fn by_target(policy: &Policy) -> BTreeMap<&TargetId, Arc<[DomainName]>> {
    let mut by_target: BTreeMap<&TargetId, Vec<DomainName>> = BTreeMap::new();
    for record in policy.records.values() {
        for target in record.targets() {
            by_target.entry(target).or_default().push(record.name.clone());
        }
    }
    by_target.into_iter().map(|(target, names)| (target, names.into())).collect()
}

/// A duration as a person says it: `850 ms`, `4 s`, `3 min 20 s`, `2 h 5 min`.
pub fn human(duration: Duration) -> String {
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
