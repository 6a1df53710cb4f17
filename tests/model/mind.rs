//! One agent: a real decision, what its disk holds, and what it has on the way to the provider.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use std::sync::Arc;
use std::time::Duration;

use failover::decision::{
    CheckPolicy, Coordination, Decision, Effect, Endpoint, FailbackMode, Flapping, Input, Moment, Now,
    Observation, Options, Outcome, Policy, ProviderFace, RecordPolicy, Require, Saved, TargetPolicy,
    Thresholds, Timings, Work,
};
use providers::{DomainName, Fault, Snapshot, Ttl};

/// The shortest time between two changes, in steps of the clock.
pub(crate) const HOLD_DOWN_STEPS: i64 = 1;
/// One step of the clock.
pub(crate) const STEP: Duration = Duration::from_secs(10);

pub(crate) fn www() -> DomainName {
    "www.example.com".parse().unwrap()
}

/// The address of a target.
pub(crate) fn address(target: &str) -> &'static str {
    if target == "a" { "192.0.2.1" } else { "192.0.2.2" }
}

/// Both clocks after so many steps, and so many milliseconds into the step.
pub(crate) fn at(step: i64, millis: i64) -> Now {
    let micros = step * 10_000_000 + millis * 1000;
    Now {
        moment: Moment::from_micros(micros),
        wall: jiff::Timestamp::from_microsecond(1_700_000_000_000_000 + micros).unwrap(),
    }
}

/// `a` before `b`, one failure or pass makes a verdict.
fn policy(agent: usize, marker: bool) -> Policy {
    let check = CheckPolicy {
        thresholds: Thresholds { fall: 1, rise: 1, clear: 1 },
        interval: STEP,
        fast_interval: STEP,
        // A frozen agent must not lose its verdicts by the model's coarse steps alone.
        timeout: Duration::from_mins(5),
        min_tls_days: None,
    };
    let target = |id: &str| TargetPolicy {
        places: BTreeSet::from([address(id).parse().unwrap()]).into(),
        checks: BTreeMap::from([("web".into(), check)]).into(),
        require: Require::All,
    };
    let record = RecordPolicy {
        name: www(),
        provider: "zone".into(),
        ttl: Ttl(60),
        tiers: vec![vec!["a".into()], vec!["b".into()]],
        serve: failover::decision::Serve::First,
        failback: FailbackMode::Auto,
        failback_after: Duration::from_mins(60),
        hold_down: STEP * u32::try_from(HOLD_DOWN_STEPS).unwrap(),
        adopt: [].into(),
        adopt_names: [].into(),
        create: false,
        all_down: failover::decision::AllDown::Hold,
        flapping: Flapping::default(),
        coordination: if marker { Coordination::Zone } else { Coordination::None },
    };
    Policy {
        targets: BTreeMap::from([("a".into(), target("a")), ("b".into(), target("b"))]),
        records: [(www(), record)].into(),
        agent: format!("agent-{agent}"),
        ..Policy::default()
    }
}

/// A reading on its way.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// Asked for.
    Asked,
    /// What the provider said, not heard yet.
    Answered(Snapshot),
}

/// A write on its way.
#[derive(Clone, Debug)]
pub(crate) enum Writing {
    /// Sent.
    Sent(Arc<Work>),
    /// What the provider said, not heard yet.
    Done(Result<(), Fault>),
}

/// What survives the process.
#[derive(Clone, Debug, Default)]
struct Disk {
    saved: Saved,
}

/// One agent.
#[derive(Clone)]
pub(crate) struct Mind {
    number: usize,
    decision: Arc<Decision>,
    disk: Arc<Disk>,
    pub(crate) reading: Option<Reading>,
    pub(crate) writing: Option<Writing>,
    /// The step of the clock up to which it has looked at its targets.
    pub(crate) awake: i64,
    /// The ids of the changes that it told people of.
    pub(crate) told: Vec<String>,
    /// Attempts of a change that an earlier life left open, and that change.
    again: BTreeMap<String, String>,
    fingerprint: u64,
}

impl Hash for Mind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl std::fmt::Debug for Mind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = self.decision.explain(&at(self.awake, 0), &www()).map(|e| format!("{e:?}"));
        write!(f, "agent-{} awake={} told={:?} {phase:?}", self.number, self.awake, self.told)
    }
}

impl Mind {
    pub(crate) fn new(number: usize, marker: bool) -> Mind {
        let mut mind = Mind {
            number,
            decision: Arc::new(decision(number, marker, Saved::default(), &at(0, 0))),
            disk: Arc::default(),
            reading: None,
            writing: None,
            awake: -1,
            told: Vec::new(),
            again: BTreeMap::new(),
            fingerprint: 0,
        };
        mind.begin(&at(0, 0));
        mind
    }

    fn begin(&mut self, now: &Now) {
        let effects = Arc::make_mut(&mut self.decision).start(now);
        self.play(now, effects);
    }

    /// Killed and started again, with what its disk holds or without.
    pub(crate) fn restart(&mut self, now: &Now, marker: bool, forgets: bool) {
        let saved = if forgets { Saved::default() } else { self.disk.saved.clone() };
        self.disk = Arc::new(Disk { saved: saved.clone() });
        self.decision = Arc::new(decision(self.number, marker, saved, now));
        (self.reading, self.writing) = (None, None);
        self.awake = -1;
        self.begin(now);
    }

    pub(crate) fn hear(&mut self, now: &Now, input: Input) {
        let effects = Arc::make_mut(&mut self.decision).handle(now, input);
        self.play(now, effects);
    }

    /// Looks at its targets: agent 0 and 2 see `a` down, agent 1 sees `b` down.
    pub(crate) fn wake(&mut self, step: i64) {
        let (down, up) = if self.number % 2 == 0 { ("a", "b") } else { ("b", "a") };
        for (target, passes, millis) in [(down, false, 1), (up, true, 2)] {
            let now = at(step, millis);
            let outcome = if passes { Outcome::Pass } else { Outcome::Fail("refused".into()) };
            let endpoint = Endpoint {
                target: target.into(),
                check: "web".into(),
                address: address(target).parse().unwrap(),
            };
            let (started, ended) = (now.moment, now.moment);
            self.hear(
                &now,
                Input::Observed(Observation {
                    endpoint,
                    started,
                    ended,
                    outcome,
                    timings: Timings::default(),
                    certificate: None,
                }),
            );
        }
        self.awake = step;
        self.hear(&at(step, 3), Input::Tick);
        self.hear(&at(step, 3), Input::LookDue { record: www() });
    }

    /// Commits, then acts, as the agent does: `src/agent/effects.rs`.
    fn play(&mut self, now: &Now, effects: Vec<Effect>) {
        let mut saved = self.disk.saved.clone();
        let (mut sent, mut closed) = (None, None::<Work>);
        for effect in effects {
            match effect {
                Effect::Read(_) => self.reading = Some(Reading::Asked),
                Effect::Write(work) => {
                    if let Some(before) = closed.take().filter(|before| before.swap.after == work.swap.after)
                    {
                        self.again.insert(work.id.clone(), before.id);
                    }
                    saved.unconfirmed.insert(www(), Work::clone(&work));
                    sent = Some(Writing::Sent(work));
                }
                Effect::Close { change, .. } => {
                    let open = saved.unconfirmed.extract_if(.., |_, work| work.id == change);
                    closed = open.map(|(_, work)| work).next();
                }
                Effect::Say(_, Some(key)) => {
                    if let Some(change) = key.strip_suffix("-completed")
                        && !self.told.iter().any(|told| told == change)
                    {
                        self.told.push(change.to_owned());
                    }
                }
                _ => {}
            }
        }
        saved.trackers = self.decision.saved_trackers(now).into_iter().collect();
        saved.records =
            self.decision.saved_record(&www(), now).map(|record| (www(), record)).into_iter().collect();
        self.disk = Arc::new(Disk { saved });
        self.writing = sent.or(self.writing.take());
        self.settle();
    }

    /// Is this the change, or another attempt of it?
    pub(crate) fn is_attempt_of(&self, told: &str, change: &str) -> bool {
        told == change || self.again.get(told).is_some_and(|before| before == change)
    }

    /// Two agents that know the same are the same to the checker.
    pub(crate) fn settle(&mut self) {
        let mut hasher = DefaultHasher::new();
        let whole =
            (&self.decision, &self.disk, &self.reading, &self.writing, self.awake, &self.told, &self.again);
        format!("{whole:?}").hash(&mut hasher);
        self.fingerprint = hasher.finish();
    }
}

fn decision(agent: usize, marker: bool, saved: Saved, now: &Now) -> Decision {
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    let faces = BTreeMap::from([("zone".into(), face)]);
    Decision::new(policy(agent, marker), faces, Options::default(), saved, now)
}
