//! All that is known of one target: its endpoints with their trackers and last words, and what they come to together.
//! `targets.rs` has the rules.

use std::collections::BTreeSet;
use std::iter::once;
use std::sync::Arc;
use std::time::Duration;

use providers::DomainName;

use super::latency::Times;
use super::targets::{FOREVER, human};
use super::{
    CheckPolicy, Endpoint, LatencyRow, Letter, Moment, Now, Observation, Outcome, PastProbe, Place, Require,
    Sight, TargetPolicy, Tracker, Verdict,
};

/// How much longer than its timeout a probe may take before we blame ourselves: the timer and the scheduler
/// of a busy machine are late by milliseconds, a frozen one by seconds.
const OWN_SLACK: Duration = Duration::from_secs(2);

/// One target. It is found by one search; what records ask of it then searches nothing: there may be ten thousand of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// How its checks combine.
    require: Require,
    /// The records that may point at it, if there are any, in the order of their names.
    pub(super) records: Option<Arc<[DomainName]>>,
    /// Sorted: by check, then by place; every check has the same places.
    pub(super) endpoints: Vec<Known>,
}

/// All that is known of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) endpoint: Endpoint,
    pub(super) tracker: Tracker,
    check: CheckPolicy,
    /// Silence longer than this ends its verdict.
    pub(super) stale_after: Duration,
    pub(super) last: Option<(Moment, Outcome)>,
    /// The last failure, which a later pass does not explain away.
    failed: Option<(Moment, Outcome)>,
    times: Times,
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
    /// The endpoint is settled now.
    pub settled: bool,
    /// The endpoint's verdict now.
    pub verdict: Verdict,
}

impl Known {
    /// Counts one observation: see [`Targets::count`](super::Targets::count).
    pub(super) fn count(&mut self, observation: &Observation, stale_floor: Duration) -> Counted {
        let (tracker, check) = (&mut self.tracker, self.check);
        let took = observation.ended.since(observation.started);
        let outcome = if took > check.timeout + OWN_SLACK {
            Outcome::Unknown(format!("the agent itself stood still for {}", human(took)))
        } else {
            observation.outcome.clone()
        };
        let (was_settled, had_failed, before) =
            (tracker.is_settled(), tracker.first_failure(), tracker.verdict());
        tracker.expire(observation.started, self.stale_after.max(stale_floor));
        let is_fail = matches!(outcome, Outcome::Fail(_));
        let repeats =
            is_fail && self.failed.as_ref().is_some_and(|(at, _)| is_one_event(*at, observation, check));
        if !repeats {
            tracker.count(observation.ended, &outcome, check.thresholds);
        }
        let counted = Counted {
            verdict_changed: tracker.verdict() != before,
            first_failure: had_failed.is_none() && tracker.first_failure().is_some(),
            settled_changed: tracker.is_settled() != was_settled,
            settled: tracker.is_settled(),
            verdict: tracker.verdict(),
        };
        if is_fail && !repeats {
            self.failed = Some((observation.ended, outcome.clone()));
        }
        self.last = Some((observation.ended, outcome));
        counted
    }

    /// Remembers how long a probe took that was counted just now.
    pub(super) fn remember(&mut self, observation: &Observation, now: &Now) {
        if let Some((at, outcome)) = &self.last {
            let (said, took) = (Letter::of(outcome), observation.timings.total);
            self.times.count(PastProbe { at: *at, said, took }, now);
        }
    }

    /// The last probes, oldest first.
    pub(super) fn last_probes(&self) -> impl Iterator<Item = PastProbe> {
        self.times.last()
    }

    /// The times since the last call.
    pub(super) fn fetch_times(&mut self) -> impl Iterator<Item = LatencyRow> {
        self.times.fetch(&self.endpoint)
    }

    /// After that moment its verdict has ended, unless it is heard of before.
    pub(super) fn silent_at(&self, stale_floor: Duration) -> Moment {
        let after = |last| last + self.stale_after.max(stale_floor);
        self.tracker.last().map_or(FOREVER, after)
    }

    /// Ends its verdict after too long a silence: see [`Tracker::expire`].
    pub(super) fn expire(&mut self, now: Moment, stale_floor: Duration) -> bool {
        self.tracker.expire(now, self.stale_after.max(stale_floor))
    }

    /// Takes over what was known of it before, but for the settings of its check.
    pub(super) fn inherit(&mut self, before: Known) {
        *self = Known { check: self.check, stale_after: self.stale_after, ..before };
    }

    fn verdict(&self) -> Verdict {
        self.tracker.verdict()
    }

    fn is_down(&self) -> bool {
        self.verdict() == Verdict::Down
    }

    /// Its last word, if that is no pass; of one that is Down all the same, its last failure.
    fn complaint(&self) -> Option<(Moment, &Outcome)> {
        let bad = self.last.as_ref().filter(|(_, outcome)| *outcome != Outcome::Pass);
        let failed = || self.failed.as_ref().filter(|_| self.is_down());
        bad.or_else(failed).map(|(at, outcome)| (*at, outcome))
    }
}

/// Of two probes under way together that fail together: they saw one event, as when the system gives up on a neighbour
/// (EHOSTUNREACH for all that wait for it) or a server is killed that had not answered them. It counts once: `fall` wants as many
/// looks.
///
/// Probes that time out do so as far apart as they began, a fast interval at least (`probe/engine/followers.rs`).
fn is_one_event(failed: Moment, observation: &Observation, check: CheckPolicy) -> bool {
    observation.started < failed && observation.ended.since(failed) < check.fast_interval / 2
}

impl Watched {
    /// Of which nothing is known, because there is no such target.
    pub(super) const NONE: &'static Watched =
        &Watched { require: Require::All, records: None, endpoints: Vec::new() };

    /// A target with these settings; `tracker` gives what is known of each endpoint already.
    pub(super) fn new(
        id: &super::TargetId,
        policy: &TargetPolicy,
        records: Option<Arc<[DomainName]>>,
        tracker: impl Fn(&Endpoint) -> Tracker,
    ) -> Watched {
        let each = |(name, check)| policy.places.iter().map(move |place| (name, check, place));
        let known = |(name, check, place): (&super::CheckId, &CheckPolicy, &Place)| {
            let endpoint = Endpoint { target: id.clone(), check: name.clone(), address: place.clone() };
            Known {
                tracker: tracker(&endpoint),
                endpoint,
                check: *check,
                stale_after: check.stale_after(),
                last: None,
                failed: None,
                times: Times::default(),
            }
        };
        // Collected, there would be room for four: of a hundred thousand targets most have one.
        let mut endpoints = Vec::with_capacity(policy.checks.len() * policy.places.len());
        endpoints.extend(policy.checks.iter().flat_map(each).map(known));
        Watched { require: policy.require, records, endpoints }
    }

    fn index(&self, endpoint: &Endpoint) -> Option<usize> {
        let wanted = (&endpoint.check, &endpoint.address);
        let of = |known: &Known| (&known.endpoint.check, &known.endpoint.address).cmp(&wanted);
        self.endpoints.binary_search_by(of).ok()
    }

    /// One of its endpoints.
    pub(super) fn get(&self, endpoint: &Endpoint) -> Option<&Known> {
        self.index(endpoint).map(|index| &self.endpoints[index])
    }

    /// The same, to count.
    pub(super) fn get_mut(&mut self, endpoint: &Endpoint) -> Option<&mut Known> {
        self.index(endpoint).map(|index| &mut self.endpoints[index])
    }

    /// The endpoints of one place.
    fn at(&self, place: &Place) -> impl Iterator<Item = &Known> {
        self.endpoints.iter().filter(move |known| known.endpoint.address == *place)
    }

    /// Its places, in order.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let first = self.endpoints.first().map(|known| &known.endpoint.check);
        let of_first = self.endpoints.iter().take_while(move |known| Some(&known.endpoint.check) == first);
        of_first.map(|known| &known.endpoint.address)
    }

    /// How many checks of a place may be Down without harm.
    fn spare(&self, place: &Place) -> usize {
        self.require.spare(self.at(place).count())
    }

    /// The verdict of one place.
    pub(super) fn address(&self, place: &Place, sight: &Sight) -> Verdict {
        let counts = |known: &Known| match known.verdict() {
            Verdict::Down if !sight.vouches_since(known.tracker.first_failure().unwrap_or(Moment::ZERO)) => {
                Verdict::Unknown
            }
            verdict => verdict,
        };
        match self.endpoints.as_slice() {
            // As it is with most: one check of one address.
            [one] if one.endpoint.address == *place => self.require.combine(once(counts(one))),
            _ => self.require.combine(self.at(place).map(counts)),
        }
    }

    /// The verdict of one place by its own probes, whatever the witnesses say.
    fn by_itself(&self, place: &Place) -> Verdict {
        self.require.combine(self.at(place).map(Known::verdict))
    }

    /// The places that are Down by their own probes.
    fn fallen(&self) -> impl Iterator<Item = &Place> {
        self.places().filter(|place| self.by_itself(place) == Verdict::Down)
    }

    /// Is one of its endpoints Down?
    pub(super) fn has_fallen(&self) -> bool {
        self.endpoints.iter().any(Known::is_down)
    }

    /// The verdict of one family; `None` without such an address.
    pub(super) fn family(&self, v6: bool, sight: &Sight) -> Option<Verdict> {
        let of_family = |place: &&Place| place.address().is_some_and(|address| address.is_ipv6() == v6);
        any_up_then_down(self.places().filter(of_family).map(|place| self.address(place, sight)))
    }

    /// The verdict of all of it.
    pub(super) fn verdict(&self, sight: &Sight) -> Verdict {
        any_up_then_down(self.places().map(|place| self.address(place, sight))).unwrap_or_default()
    }

    pub(super) fn awaits_witness(&self, sight: &Sight) -> bool {
        self.fallen().any(|place| self.address(place, sight) != Verdict::Down)
    }

    pub(super) fn is_verified(&self, place: &Place, since: Option<Moment>) -> bool {
        let proves = |known: &&Known| {
            let passed = known.last.as_ref().filter(|(_, outcome)| *outcome == Outcome::Pass);
            known.verdict() == Verdict::Up
                && passed.is_some_and(|(at, _)| since.is_none_or(|since| *at >= since))
        };
        self.at(place).filter(proves).count() >= self.require.needed(self.at(place).count())
    }

    pub(super) fn trouble_since(&self, places: &BTreeSet<Place>, sight: &Sight) -> Option<Moment> {
        let down = places.iter().filter(|place| self.address(place, sight) == Verdict::Down);
        down.filter_map(|place| self.tipped(place)).min()
    }

    /// The first failure that a place which is Down could not do without: of the checks that may be Down without harm
    /// it is no matter how long they have been.
    fn tipped(&self, place: &Place) -> Option<Moment> {
        let down = self.at(place).filter(|known| known.is_down());
        let mut first: Vec<Moment> = down.filter_map(|known| known.tracker.first_failure()).collect();
        first.sort();
        first.into_iter().nth(self.spare(place))
    }

    pub(super) fn is_recovering(&self) -> bool {
        let recovers = |place: &Place| {
            let failing = |known: &&Known| known.is_down() && known.tracker.passes() == 0;
            self.at(place).filter(failing).count() <= self.spare(place)
        };
        self.fallen().count() > 0 && self.fallen().all(recovers)
    }

    pub(super) fn is_remembered(&self, asked: impl Fn(&Place) -> bool) -> bool {
        let answered = |known: &&Known| known.is_down() && known.last.is_some();
        let alone = |place: &Place| self.at(place).filter(answered).count() <= self.spare(place);
        self.fallen().any(|place| asked(place) && alone(place))
    }

    pub(super) fn is_rising(&self) -> bool {
        let passes = |known: &Known| known.is_down() && known.tracker.passes() > 0;
        self.fallen().any(|place| self.at(place).any(passes))
    }

    pub(super) fn is_inscrutable(&self) -> bool {
        let counts = |known: &Known| known.verdict() == Verdict::Unknown && known.tracker.failures() > 0;
        self.endpoints.iter().all(|known| known.last.is_some() && !counts(known))
    }

    pub(super) fn since(&self, sight: &Sight) -> Option<Moment> {
        let verdict = self.verdict(sight);
        let of_place = |place: &Place| {
            let held = self.at(place).filter(|known| known.verdict() == verdict);
            let mut since: Vec<Moment> = held.filter_map(|known| known.tracker.since()).collect();
            since.sort();
            // The check that made it so, those before it having been enough or harmless.
            let made_it = match verdict {
                Verdict::Up => self.require.needed(self.at(place).count()) - 1,
                Verdict::Down => self.spare(place),
                Verdict::Unknown => 0,
            };
            since.into_iter().nth(made_it)
        };
        let held = self.places().filter(|place| self.address(place, sight) == verdict).filter_map(of_place);
        held.reduce(if verdict == Verdict::Up { Moment::min } else { Moment::max })
    }

    pub(super) fn first_failure(&self) -> Option<Moment> {
        let any = || self.endpoints.iter().filter_map(|known| known.tracker.first_failure()).min();
        self.fallen().filter_map(|place| self.tipped(place)).min().or_else(any)
    }

    pub(super) fn complaint_of(&self, place: &Place) -> Option<String> {
        let worst = self.at(place).filter_map(Known::complaint).max_by_key(|(at, _)| *at);
        worst.map(|(_, outcome)| outcome.reason().to_owned())
    }

    pub(super) fn complaint(&self) -> Option<String> {
        let failing = self
            .endpoints
            .iter()
            .filter_map(|known| known.complaint().map(|(at, outcome)| (at, &known.endpoint, outcome)));
        failing.max_by_key(|(at, ..)| *at).map(|(_, endpoint, outcome)| {
            let several = self.endpoints.len() > 1;
            if several {
                format!("{} ({} at {})", outcome.reason(), endpoint.check, endpoint.address)
            } else {
                outcome.reason().to_owned()
            }
        })
    }
}

fn any_up_then_down(verdicts: impl Iterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.reduce(|so_far, next| match (so_far, next) {
        (Verdict::Up, _) | (_, Verdict::Up) => Verdict::Up,
        (Verdict::Down, _) | (_, Verdict::Down) => Verdict::Down,
        _ => Verdict::Unknown,
    })
}
