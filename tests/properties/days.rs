//! The whole decision on random days, over a provider that is slow, late, broken, and edited by others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use failover::decision::{
    Decision, Effect, Endpoint, Input, Moment, Now, Observation, Options, Outcome, Place, Policy,
    ProviderFace, Saved, Sighting, Timings, Work,
};
use proptest::prelude::*;
use providers::{Fault, Snapshot};

use crate::world::{CHECK, Sets, cases, endpoints, name, picked, policies, pool, sets_of, snapshot};

/// What can happen on a day.
#[derive(Clone, Debug)]
enum Step {
    /// A probe of one endpoint; every endpoint when `None`.
    Probe(Option<u8>, u8),
    /// A probe of the witness.
    Witness(bool),
    /// Time passes, with wake-ups as asked for.
    Pass(u16),
    /// The process is frozen for so many seconds.
    Freeze(u16),
    /// Somebody makes the name hold these.
    Edit(u16, bool),
    /// The next write ends so.
    WriteFault(u8),
    /// The next reading fails.
    ReadFault(bool),
    /// So many readings show what was there before the last write.
    Late(u8),
    /// Answers of the provider wait until the next `Answer`.
    Slow,
    /// They arrive.
    Answer,
    /// It is time to look.
    Look,
    /// A person wants the record back.
    Failback,
    /// kill -9 and a new start.
    Restart,
    /// The configuration is read again, and says what it said.
    Reload,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (any::<Option<u8>>(), 0..8u8).prop_map(|(which, how)| Step::Probe(which, how)),
        // An outage is several failures in a row, which chance alone brings about too rarely.
        3 => (any::<u8>(), 4..5u8).prop_map(|(which, how)| Step::Probe(Some(which), how)),
        3 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(Step::Witness),
        6 => (1..40u16).prop_map(Step::Pass),
        1 => (1..200u16).prop_map(Step::Freeze),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(bits, ttl)| Step::Edit(bits, ttl)),
        3 => (0..5u8).prop_map(Step::WriteFault),
        1 => any::<bool>().prop_map(Step::ReadFault),
        2 => (1..9u8).prop_map(Step::Late),
        2 => Just(Step::Slow),
        3 => Just(Step::Answer),
        1 => Just(Step::Look),
        1 => Just(Step::Failback),
        1 => Just(Step::Restart),
        1 => Just(Step::Reload),
    ];
    // Three of a kind now and then: verdicts are formed by repetition.
    let burst = (step, prop_oneof![3 => Just(1usize), 2 => Just(3usize)]);
    let burst = burst.prop_map(|(step, times)| vec![step; times]);
    proptest::collection::vec(burst, 0..60).prop_map(|bursts| bursts.concat())
}

struct Day {
    policy: Policy,
    decision: Decision,
    micros: i64,
    held: Sets,
    /// What late readers show.
    earlier: Sets,
    late: u8,
    slow: bool,
    answers: VecDeque<Input>,
    write_faults: VecDeque<u8>,
    read_faults: VecDeque<bool>,
    /// The last probe of each endpoint, and when it was.
    last: BTreeMap<Endpoint, (Outcome, Moment)>,
    open: BTreeMap<String, Work>,
    /// When each write that was applied was decided, and whether late readers hid it while its reply was lost.
    applied: Vec<(String, Moment, bool)>,
    completed: BTreeSet<String>,
}

fn face() -> ProviderFace {
    ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) }
}

fn decision(policy: &Policy, saved: Saved, now: &Now) -> Decision {
    let faces = BTreeMap::from([("zone".into(), face())]);
    Decision::new(policy.clone(), faces, Options::default(), saved, now)
}

impl Day {
    fn begin(policy: Policy, published: u16) -> Day {
        let start = Now { moment: Moment::ZERO, wall: "2026-11-22T12:00:00Z".parse().unwrap() };
        let held = sets_of(&picked(&pool(&policy), published), 60);
        let mut day = Day {
            decision: decision(&policy, Saved::default(), &start),
            policy,
            micros: 0,
            earlier: held.clone(),
            held,
            late: 0,
            slow: false,
            answers: VecDeque::new(),
            write_faults: VecDeque::new(),
            read_faults: VecDeque::new(),
            last: BTreeMap::new(),
            open: BTreeMap::new(),
            applied: Vec::new(),
            completed: BTreeSet::new(),
        };
        let first = day.decision.start(&start);
        day.play(None, first);
        day
    }

    fn now(&self) -> Now {
        let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let wall = start + Duration::from_micros(self.micros.unsigned_abs());
        Now { moment: Moment::from_micros(self.micros), wall }
    }

    /// Feeds one input, and everything that follows from it. Gives whether something was written.
    fn feed(&mut self, input: Input) -> bool {
        let fresh = match &input {
            Input::Read { result: Ok(snapshot), .. } => Some(snapshot.clone()),
            _ => None,
        };
        let effects = self.decision.handle(&self.now(), input);
        self.play(fresh.as_ref(), effects)
    }

    fn play(&mut self, fresh: Option<&Snapshot>, effects: Vec<Effect>) -> bool {
        let mut wrote = false;
        for effect in effects {
            match effect {
                Effect::Read(record) => {
                    let result = self.read();
                    self.answers.push_back(Input::Read { record, result });
                }
                Effect::Write(work) => {
                    wrote = true;
                    let fresh = fresh.expect("a write follows from a reading, and from nothing else");
                    assert_eq!(&work.swap.before, fresh, "written on another picture than the one just read");
                    self.write(&work);
                }
                Effect::Close { change, happened } => {
                    let work = self.open.remove(&change);
                    assert!(work.is_some() || !happened, "closed twice: {change}");
                }
                Effect::Say(event, key) => {
                    assert!(!event.summary.is_empty());
                    if event.kind.as_str().ends_with(".completed") && !event.kind.as_str().starts_with("prop")
                    {
                        assert!(self.completed.insert(key.expect("a change has a key")), "told twice");
                    }
                }
                _ => {}
            }
        }
        if !self.slow {
            while let Some(answer) = self.answers.pop_front() {
                wrote |= self.feed(answer);
            }
        }
        wrote
    }

    fn read(&mut self) -> Result<Snapshot, Fault> {
        match self.read_faults.pop_front() {
            Some(true) => return Err(Fault::Unavailable("refused".into())),
            Some(false) => return Err(Fault::Auth("wrong key".into())),
            None => {}
        }
        if self.late > 0 {
            self.late -= 1;
            return Ok(snapshot(self.earlier.clone()));
        }
        Ok(snapshot(self.held.clone()))
    }

    fn write(&mut self, work: &Work) {
        let mut after = snapshot(self.held.clone());
        after.sets = work.swap.after.iter().map(|set| (set.record_type(), set.clone())).collect();
        for place in Place::published(&after).difference(&Place::published(&work.swap.before)) {
            // Three intervals, the probe's time-out, and the second between two sweeps.
            let fresh =
                |at: &Moment| self.now().moment.since(*at) <= CHECK.stale_after() + Duration::from_secs(1);
            let passed = |last: &(Outcome, Moment)| last.0 == Outcome::Pass && fresh(&last.1);
            let proved = self.policy.targets.iter().filter(|(_, target)| target.places.contains(place)).any(
                |(id, target)| {
                    let own = self.last.iter().filter(|(of, _)| of.target == *id && of.address == *place);
                    let passed = own.filter(|(_, last)| passed(last)).count();
                    passed >= target.require.needed(target.checks.len())
                },
            );
            assert!(proved, "moved to {place}: {:?}", self.last);
        }
        let decided = self.now().moment;
        let fault = self.write_faults.pop_front().unwrap_or(9);
        let conflict = fault == 0 || self.held != work.swap.before.sets;
        let result = match fault {
            _ if conflict => Err(Fault::Conflict("it holds something else".into())),
            1 => Err(Fault::Unknown("500 before".into())),
            2 => Err(Fault::Unavailable("refused".into())),
            3 => Err(Fault::Auth("wrong key".into())),
            4 => Err(Fault::Unknown("500 after".into())),
            _ => Ok(()),
        };
        self.open.insert(work.id.clone(), work.clone());
        if !conflict && !(1..4).contains(&fault) {
            self.earlier = std::mem::replace(
                &mut self.held,
                work.swap.after.iter().map(|set| (set.record_type(), set.clone())).collect(),
            );
            // Another attempt of one change is none too many. And who lost a reply and has late readers cannot know
            // that there was a change, when by then something else is wanted or others have been there.
            let before = self.applied.last().filter(|(id, _, hidden)| *id != work.id && !hidden);
            if let Some((id, before, _)) = before {
                let apart = decided.since(*before);
                assert!(apart >= Duration::from_secs(20), "{id} and {} are only {apart:?} apart", work.id);
            }
            self.applied.push((work.id.clone(), decided, fault == 4 && self.late > 0));
        }
        self.answers.push_back(Input::Written { record: name(), result });
    }

    fn probe(&mut self, endpoint: Endpoint, how: u8) {
        let outcome = match how {
            0..4 => Outcome::Pass,
            4..7 => Outcome::Fail("refused".into()),
            _ => Outcome::Unknown("no route".into()),
        };
        let at = self.now().moment;
        self.last.insert(endpoint.clone(), (outcome.clone(), at));
        let timings = Timings::default();
        self.feed(Input::Observed(Observation {
            endpoint,
            started: at,
            ended: at,
            outcome,
            timings,
            certificate: None,
        }));
    }

    fn pass(&mut self, micros: i64) {
        let until = self.micros + micros;
        for _ in 0..10_000 {
            let wake =
                self.decision.next_wakeup(Moment::from_micros(self.micros)).micros().max(self.micros + 1000);
            if wake > until {
                self.micros = until;
                return;
            }
            self.micros = wake;
            self.feed(Input::Tick);
        }
        panic!("the decision wants to be woken for ever");
    }

    fn restart(&mut self) {
        self.answers.clear();
        self.slow = false;
        let now = self.now();
        let records = self.decision.saved_record(&name(), &now).map(|record| (name(), record));
        let saved = Saved {
            trackers: self.decision.saved_trackers(&now).into_iter().collect(),
            records: records.into_iter().collect(),
            unconfirmed: self.open.values().map(|work| (name(), work.clone())).collect(),
            ..Saved::default()
        };
        assert!(self.open.len() <= 1, "two changes of one record are open: {:?}", self.open.keys());
        self.last.clear();
        self.decision = decision(&self.policy, saved, &now);
        let first = self.decision.start(&now);
        self.play(None, first);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Probe(which, how) => {
                let all = endpoints(&self.policy);
                for (number, endpoint) in all.iter().enumerate() {
                    if which.is_none_or(|which| usize::from(which) % all.len() == number) {
                        self.probe(endpoint.clone(), *how);
                    }
                }
                self.pass(300_000);
            }
            Step::Witness(seen) => {
                let at = self.now().moment;
                let outcome = if *seen { Outcome::Pass } else { Outcome::Fail("no answer".into()) };
                self.feed(Input::Witnessed(Sighting {
                    witness: "w".into(),
                    started: at,
                    ended: at,
                    outcome,
                }));
            }
            Step::Pass(seconds) => self.pass(i64::from(*seconds) * 1_000_000),
            Step::Freeze(seconds) => self.micros += i64::from(*seconds) * 1_000_000,
            Step::Edit(bits, other_ttl) => {
                let places = picked(&pool(&self.policy), bits & bits >> 5);
                self.earlier =
                    std::mem::replace(&mut self.held, sets_of(&places, if *other_ttl { 300 } else { 60 }));
            }
            Step::WriteFault(fault) => self.write_faults.push_back(*fault),
            Step::ReadFault(transient) => self.read_faults.push_back(*transient),
            Step::Late(times) => self.late = *times,
            Step::Slow => self.slow = true,
            Step::Answer => {
                self.slow = false;
                self.play(None, Vec::new());
            }
            Step::Look => drop(self.feed(Input::LookDue { record: name() })),
            Step::Failback => drop(self.feed(Input::Failback { record: name() })),
            Step::Restart => self.restart(),
            Step::Reload => {
                let (now, faces) = (self.now(), BTreeMap::from([("zone".into(), face())]));
                let before = self.decision.report(&now);
                assert_eq!(self.decision.reconfigure(&now, self.policy.clone(), faces), []);
                assert_eq!(self.decision.report(&now), before, "the same policy changes nothing");
            }
        }
    }

    /// Nothing new is known: nothing is written.
    fn looks_twice(&mut self) {
        self.feed(Input::Tick);
        assert!(!self.feed(Input::Tick), "written without any news");
    }

    /// In the end, with a good provider, every change that was applied was told or closed.
    fn ends(&mut self) {
        (self.late, self.slow) = (0, false);
        self.write_faults.clear();
        self.read_faults.clear();
        self.play(None, Vec::new());
        for _ in 0..40 {
            for endpoint in endpoints(&self.policy) {
                self.probe(endpoint, 0);
            }
            if !self.policy.witnesses.is_empty() {
                self.step(&Step::Witness(true));
            }
            self.pass(5_000_000);
        }
        self.feed(Input::LookDue { record: name() });
        assert!(self.open.is_empty(), "never closed: {:?}", self.open.keys());
        let record = self.decision.report(&self.now()).records.remove(0);
        let good = ["in_sync", "refused"].map(serde_json::Value::from);
        let status = serde_json::to_value(record.status).unwrap();
        assert!(good.contains(&status), "on a good day at last: {record:?}");
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn on_no_day_is_it_made_worse(policy in policies(), published in any::<u16>(), steps in steps()) {
        let mut day = Day::begin(policy, published & published >> 4);
        for step in &steps {
            day.step(step);
            day.looks_twice();
        }
        day.ends();
    }
}
