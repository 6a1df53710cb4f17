//! `velocity`: how many records of one provider may be changed within a minute, and whose turn it is.
//!
//! What is counted is what may have been written: each record's last attempt, unless it is known to have come to nothing.
//! After a restart that is known by the last change of each record and by the changes that were left open, so nothing
//! else is kept. Those who wait follow in the order in which they were refused first, then by name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use providers::DomainName;

use super::record::RecordState;
use super::{ByName, Decision, Effect, Moment, Now, Policy, ProviderId, RecordPolicy, Velocity, say};

/// So long a change counts.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// So long after the first refusal it is told how many wait: the others of the same outage are refused in that time.
const TELL_AFTER: Duration = Duration::from_secs(1);

impl Velocity {
    /// So many of `records` records may be changed within a minute; at least one.
    pub fn allowed(self, records: usize) -> usize {
        match self {
            Velocity::Records(count) => usize::try_from(count).unwrap_or(usize::MAX).max(1),
            Velocity::Percent(share) => (records * usize::from(share)).div_ceil(100).max(1),
        }
    }
}

/// One provider that has such a bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    allowed: usize,
    /// The last attempts that may have been written; one for each record; those older than the window count for nothing.
    recent: BTreeMap<DomainName, Moment>,
    /// Who waits, and since when.
    queue: BTreeSet<(Moment, DomainName)>,
    news: News,
}

/// What was told of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum News {
    /// Nobody waits, as far as was told.
    #[default]
    Calm,
    /// It is told at this moment.
    Due(Moment),
    /// It was told; no more until the queue was empty.
    Told,
}

/// Where a record stands in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it may be changed; now or earlier: at once.
    pub at: Moment,
    /// So many records may be changed within a minute.
    pub allowed: usize,
    /// So many were, within the last one.
    pub used: usize,
    /// So many come before it.
    pub ahead: usize,
}

impl Lane {
    /// Where a record stands that has been waiting since then.
    fn turn(&self, now: Moment, since: Moment, name: &DomainName) -> Turn {
        let ahead = self.queue.range(..(since, name.clone())).count();
        let mut used: Vec<Moment> = self.recent.values().filter(|at| now < **at + WINDOW).copied().collect();
        used.sort();
        Turn { at: self.free_at(now, &used, ahead), allowed: self.allowed, used: used.len(), ahead }
    }

    /// When there is room for the one behind `ahead` others who each take theirs as soon as there is.
    fn free_at(&self, now: Moment, used: &[Moment], ahead: usize) -> Moment {
        // Room comes `allowed` at a time, once a window; after a reload more may be used than is allowed.
        let (rounds, place) = (ahead / self.allowed, ahead % self.allowed);
        let taken = (place + used.len()).checked_sub(self.allowed).and_then(|index| used.get(index));
        let first = taken.map_or(now, |at| *at + WINDOW);
        first + WINDOW.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }
}

/// The lanes of a policy, by what is known of its records and by what earlier lanes knew.
pub(super) fn lanes(
    policy: &Policy,
    records: &ByName<DomainName, RecordState>,
    mut earlier: BTreeMap<ProviderId, Lane>,
) -> BTreeMap<ProviderId, Lane> {
    let mut lanes = BTreeMap::new();
    for (provider, velocity) in &policy.velocity {
        let of = || policy.records.values().filter(|record| record.provider == *provider);
        let before = earlier.remove(provider).unwrap_or_default();
        let mut lane = Lane { allowed: velocity.allowed(of().count()), news: before.news, ..Lane::default() };
        for (name, state) in of().filter_map(|record| Some((&record.name, records.get(&record.name)?))) {
            let attempt = before.recent.get(name).copied().max(state.perhaps_written());
            lane.recent.extend(attempt.map(|at| (name.clone(), at)));
            lane.queue.extend(state.queued.map(|since| (since, name.clone())));
        }
        lanes.insert(provider.clone(), lane);
    }
    lanes
}

impl Decision {
    fn lane_of(&mut self, name: &DomainName) -> Option<&mut Lane> {
        if self.lanes.is_empty() {
            return None;
        }
        let provider = &self.policy.records.get(name)?.provider;
        self.lanes.get_mut(provider)
    }

    /// Where the record stands; `None` when its provider has no such bound.
    pub(super) fn turn(&self, now: Moment, record: &RecordPolicy, state: &RecordState) -> Option<Turn> {
        let lane = self.lanes.get(&record.provider)?;
        Some(lane.turn(now, state.queued.unwrap_or(now), &record.name))
    }

    /// The record may be written from now on.
    pub(super) fn takes_turn(&mut self, now: Moment, name: &DomainName) {
        self.leave_queue(name);
        if let Some(lane) = self.lane_of(name) {
            lane.recent.insert(name.clone(), now);
        }
    }

    /// The last attempt came to nothing: what counts is what was before it.
    pub(super) fn gives_turn_back(&mut self, name: &DomainName) {
        let before = self.records.get(name).and_then(RecordState::perhaps_written);
        if let Some(lane) = self.lane_of(name) {
            lane.recent.remove(name);
            lane.recent.extend(before.map(|at| (name.clone(), at)));
        }
    }

    /// It was refused because others come first: it keeps its place until it is changed, or need not be.
    pub(super) fn joins_queue(&mut self, now: Moment, name: &DomainName) {
        let since = *self.state(name).queued.get_or_insert(now);
        if let Some(lane) = self.lane_of(name) {
            lane.queue.insert((since, name.clone()));
            if lane.news == News::Calm {
                lane.news = News::Due(now + TELL_AFTER);
            }
        }
    }

    /// It waits for nothing.
    pub(super) fn leave_queue(&mut self, name: &DomainName) {
        let Some(since) = self.state(name).queued.take() else { return };
        if let Some(lane) = self.lane_of(name) {
            lane.queue.remove(&(since, name.clone()));
        }
    }

    /// It cannot be read now, so nobody waits for it; it has its old place when it can.
    pub(super) fn step_aside(&mut self, name: &DomainName) {
        let Some(since) = self.state(name).queued else { return };
        if let Some(lane) = self.lane_of(name) {
            lane.queue.remove(&(since, name.clone()));
        }
    }

    /// When a queue is to be told of.
    pub(super) fn next_queue_news(&self) -> Option<Moment> {
        let due = |lane: &Lane| match lane.news {
            News::Due(at) => Some(at),
            News::Calm | News::Told => None,
        };
        self.lanes.values().filter_map(due).min()
    }

    /// Tells of each queue once, not of each record in it: how many wait, and when the last of them is done.
    pub(super) fn tell_of_queues(&mut self, now: &Now, out: &mut Vec<Effect>) {
        for (provider, lane) in &mut self.lanes {
            if lane.queue.is_empty() {
                lane.news = News::Calm;
                continue;
            }
            let News::Due(at) = lane.news else { continue };
            if now.moment < at {
                continue;
            }
            lane.news = News::Told;
            let waiting: Vec<&DomainName> = lane.queue.iter().map(|(_, name)| name).collect();
            let last = lane.queue.last().map(|(since, name)| lane.turn(now.moment, *since, name));
            if let Some(last) = last {
                let event = say::queue(now, provider, &waiting, last.allowed, last.at);
                out.push(Effect::Say(Box::new(event), None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{A4, A6, B4, at, holding, observation, policy, record};
    use super::super::{Input, Options, ProviderFace, RecordPolicy, Saved};
    use super::*;

    fn name(text: &str) -> DomainName {
        format!("{text}.example.com").parse().unwrap()
    }

    fn lane(allowed: usize, recent: &[(&str, i64)], queue: &[(i64, &str)]) -> Lane {
        Lane {
            allowed,
            recent: recent.iter().map(|(text, second)| (name(text), at(*second))).collect(),
            queue: queue.iter().map(|(second, text)| (at(*second), name(text))).collect(),
            news: News::Calm,
        }
    }

    #[test]
    fn so_many_or_a_share_and_at_least_one() {
        let share = |percent, records| Velocity::Percent(percent).allowed(records);
        assert_eq!([share(30, 10), share(30, 11), share(1, 5), share(100, 7)], [3, 4, 1, 7]);
        assert_eq!([Velocity::Records(5).allowed(2), Velocity::Records(0).allowed(2)], [5, 1]);
    }

    #[test]
    fn there_is_room_until_so_many_were_changed_within_a_minute() {
        let of = |recent: &[(&str, i64)]| lane(2, recent, &[]).turn(at(100), at(100), &name("x")).at;
        assert_eq!(of(&[]), at(100));
        assert_eq!(of(&[("a", 70)]), at(100));
        assert_eq!(of(&[("a", 70), ("b", 90)]), at(130));
        assert_eq!(of(&[("a", 40), ("b", 90)]), at(100), "a minute ago is over");
        assert_eq!(of(&[("x", 70), ("b", 90)]), at(130), "its own counts as well");
        assert_eq!(of(&[("a", 70), ("b", 80), ("c", 90)]), at(140), "more than is allowed by now");
    }

    #[test]
    fn first_refused_first_served_then_by_name_and_so_many_each_minute() {
        let lane = lane(2, &[("a", 50), ("b", 60)], &[(70, "f"), (70, "e"), (65, "z"), (90, "c"), (91, "d")]);
        let turn = |since, text| lane.turn(at(100), at(since), &name(text)).at;
        let order = [(65, "z"), (70, "e"), (70, "f"), (90, "c"), (91, "d")];
        let turns = order.map(|(since, text)| turn(since, text));
        assert_eq!(turns, [at(110), at(120), at(170), at(180), at(230)]);
        assert_eq!(turn(100, "new"), at(240), "behind them all");
    }

    fn now(second: i64) -> Now {
        Now {
            moment: at(second),
            wall: jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(second.unsigned_abs()),
        }
    }

    fn reads(decision: &mut Decision, second: i64, text: &str) -> Vec<Effect> {
        let result = Ok(providers::Snapshot { name: name(text), ..holding(&[A4, A6]) });
        decision.handle(&now(second), Input::Read { record: name(text), result })
    }

    /// One record a minute; both lose their primary, one is changed at second 4 and the other one has to wait from then on.
    fn waiting() -> Decision {
        let mut policy = policy();
        policy.records =
            ["a", "b"].map(|text| (name(text), RecordPolicy { name: name(text), ..record() })).into();
        policy.velocity.insert("zone".into(), Velocity::Records(1));
        let mut decision = Decision::new(policy, faces(), Options::default(), Saved::default(), &now(0));
        let _ = decision.start(&now(0));
        for text in ["a", "b"] {
            let _ = reads(&mut decision, 0, text);
        }
        for (second, address, passed) in
            [(1, A4, true), (1, A6, true), (1, B4, true), (2, A4, false), (2, A6, false), (3, B4, true)]
        {
            let seen = observation("web", address, (second, second), Some(passed));
            let _ = decision.handle(&now(second), Input::Observed(seen));
        }
        for (text, writes) in [("a", true), ("b", false)] {
            let out = reads(&mut decision, 4, text);
            assert_eq!(out.iter().any(|effect| matches!(effect, Effect::Write(_))), writes, "{out:?}");
        }
        decision
    }

    fn faces() -> BTreeMap<ProviderId, ProviderFace> {
        let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
        BTreeMap::from([("zone".into(), face)])
    }

    /// How many queues are told of at this second.
    fn told(decision: &mut Decision, second: i64) -> usize {
        let out = decision.handle(&now(second), Input::Tick);
        let said =
            |effect: &&Effect| matches!(effect, Effect::Say(event, _) if event.summary.contains("to wait"));
        out.iter().filter(said).count()
    }

    #[test]
    fn a_queue_is_told_once_a_second_after_the_first_had_to_wait() {
        let mut decision = waiting();
        assert_eq!(told(&mut decision, 4), 0, "others of the same outage are still refused");
        assert_eq!(decision.next_wakeup(at(4)), at(5));
        assert_eq!(told(&mut decision, 6), 1);
        assert_eq!(told(&mut decision, 8), 0);
    }

    #[test]
    fn a_reload_loses_no_word_of_a_queue_and_says_none_twice() {
        let mut decision = waiting();
        let mut policy = decision.policy.clone();
        policy.agent = "another".into();
        let _ = decision.reconfigure(&now(4), policy.clone(), faces());
        assert_eq!(told(&mut decision, 6), 1, "it was due");
        policy.records.values_mut().for_each(|record| record.failback_after = Duration::from_mins(9));
        let _ = decision.reconfigure(&now(7), policy, faces());
        let out = reads(&mut decision, 7, "b");
        assert!(decision.records[&name("b")].queued.is_some(), "it is refused again: {out:?}");
        assert_eq!(told(&mut decision, 9), 0);
    }

    #[test]
    fn five_who_wait_are_named_and_more_are_counted() {
        let words = |count: usize| {
            let names: Vec<DomainName> = (0..count).map(|number| name(&format!("r{number}"))).collect();
            let waiting: Vec<&DomainName> = names.iter().collect();
            say::queue(&now(0), &"zone".into(), &waiting, 1, at(60)).reason.unwrap()
        };
        assert!(words(5).ends_with("r3.example.com, r4.example.com"), "{}", words(5));
        assert!(words(8).ends_with("r4.example.com, 3 others"), "{}", words(8));
    }
}
