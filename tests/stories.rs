//! Stories: what the decision does, told in text files that a person can read and write.
//!
//! A file in `tests/stories/` has settings first, then a line for each step: seconds, what happens, `->`, what
//! follows. The provider answers at once. `UPDATE_STORIES=1 cargo test --test stories` rewrites what follows;
//! commit that only if you understand what caused the difference.
//!
//! ```text
//! record a b            one tier per word; a+b makes one tier of two; options: all, manual, create, ttl=300,
//!                       all_down=serve_all or a target, flapping=900/4000/1000 (half-life, suppress, reuse) ...
//! velocity 1            so many records a minute at the provider
//! target a 192.0.2.1    its addresses, or its host name; options: checks=web,ssh require=any
//! witness w
//! is 192.0.2.1          what the provider holds at the start (none: the record is missing)
//! 10 a- w+              a fails, the witness is seen; a4-/a6-: one family only; a/ssh-: one check only; a?: unknown
//! 20 set 192.0.2.9      somebody changes the record by hand (`gone`: deletes it; `ttl 300`)
//! 30 write conflict     the next write ends so (conflict, lost, unknown, unavailable, auth); `read` likewise
//! 30 write ttl=300      the next write works, and what it leaves has this TTL
//! 40 failback           a person asks for it; `ack` likewise
//! 50 peer 192.0.2.2 7   another agent (`other`) changes the record, with generation 7; `zone` is the record's option
//! 60 marker 3           the marker is one of `other` with generation 3; or `gone`, `newer`, `foreign`, `twice`, `junk`
//! 50 drain a for=60     an order, for so many seconds: drain TARGET, pin TARGET, pause; undrain TARGET, unpin, resume end it
//! 60 stopped 90         nobody runs for so many seconds; then another run begins with what was kept
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot read its story fails")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use failover::decision::{
    AllDown, Answer, CheckId, CheckPolicy, Coordination, Decision, Effect, Endpoint, Event, FailbackMode,
    Flapping, Input, Marker, MarkerSeen, Moment, Now, Observation, Options, Order, Outcome, Override,
    OverrideKey, Overrides, Place, Policy, ProviderFace, ProviderId, RecordPolicy, Require, Saved, Serve,
    Sighting, TargetPolicy, Thresholds, Timings, Velocity, What,
};
use providers::{DomainName, Fault, NonEmpty, RecordSet, RecordType, Snapshot, Ttl, Values, Version};

#[path = "stories/words.rs"]
mod words;

struct World {
    decision: Decision,
    policy: Policy,
    record: DomainName,
    micros: i64,
    held: BTreeMap<RecordType, RecordSet>,
    marker: Option<RecordSet>,
    write_faults: VecDeque<String>,
    read_faults: VecDeque<String>,
    writes: u32,
    told: Vec<String>,
    words: String,
    /// The overrides in the state file.
    kept: BTreeMap<OverrideKey, Override>,
}

fn name() -> DomainName {
    "www.example.com".parse().unwrap()
}

fn sets(values: &[&str], ttl: u32) -> BTreeMap<RecordType, RecordSet> {
    let places: Vec<Place> = values.iter().map(|v| v.parse().expect("an address or a name")).collect();
    Answer::of(&places)
        .map(|answer| answer.sets(Ttl(ttl)).iter().map(|s| (s.record_type(), s.clone())).collect())
        .unwrap_or_default()
}

impl World {
    fn now(&self) -> Now {
        let start: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        Now {
            moment: Moment::from_micros(self.micros),
            wall: start + Duration::from_micros(self.micros.unsigned_abs()),
        }
    }

    fn feed(&mut self, input: Input) {
        let effects = self.decision.handle(&self.now(), input);
        self.play(effects);
    }

    fn play(&mut self, effects: Vec<Effect>) {
        let mut todo: VecDeque<Effect> = effects.into();
        while let Some(effect) = todo.pop_front() {
            let answer = match effect {
                Effect::Read(record) => {
                    let snapshot = Snapshot {
                        marker: self.marker.clone(),
                        name: record.clone(),
                        sets: self.held.clone(),
                        version: Version::Values,
                        native: serde_json::Value::Null,
                    };
                    let result = match self.read_faults.pop_front() {
                        Some(fault) => Err(fault_of(&fault)),
                        None => Ok(snapshot),
                    };
                    Input::Read { record, result }
                }
                Effect::Write(work) => {
                    let result = self.write(&work.swap);
                    Input::Written { record: self.record.clone(), result }
                }
                Effect::Say(event, _) => {
                    self.tell(&event);
                    continue;
                }
                Effect::KeepOverride(order) => {
                    self.kept.insert(order.key(), order);
                    continue;
                }
                Effect::DropOverride(key) => {
                    self.kept.remove(&key);
                    continue;
                }
                _ => continue,
            };
            todo.extend(self.decision.handle(&self.now(), answer));
        }
    }

    fn write(&mut self, swap: &providers::Swap) -> Result<(), Fault> {
        let fault = self.write_faults.pop_front();
        if matches!(fault.as_deref(), Some("conflict" | "lost" | "unavailable" | "auth")) {
            return Err(fault_of(fault.as_deref().unwrap()));
        }
        let marker_differs = swap.marker.is_some() && swap.before.marker != self.marker;
        if self.held != swap.before.sets || marker_differs {
            return Err(Fault::Conflict("it holds something else".into()));
        }
        self.held = swap.after.iter().map(|set| (set.record_type(), set.clone())).collect();
        self.writes += 1;
        let generation = MarkerSeen::parse(swap.marker.as_ref()).known().map(Marker::generation);
        let generation = generation.map_or_else(String::new, |generation| format!(" #{generation}"));
        self.marker = swap.marker.clone().or(self.marker.take());
        self.told.push(format!("write {}{generation}", swap.after));
        match fault.as_deref().map(|word| (word, word.strip_prefix("ttl="))) {
            Some((_, Some(ttl))) => {
                self.held.values_mut().for_each(|set| set.ttl = Ttl(ttl.parse().expect("a number")));
                Ok(())
            }
            Some((fault, None)) => Err(fault_of(fault)),
            None => Ok(()),
        }
    }

    fn tell(&mut self, event: &Event) {
        self.words += &words::of_event(event);
        let mut line = event.kind.as_str().to_owned();
        if let (Some(before), Some(after)) = (&event.before, &event.after) {
            let names = |side: &failover::decision::Side| {
                if side.targets.is_empty() {
                    side.values.first().cloned().unwrap_or_else(|| "nothing".into())
                } else {
                    side.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
                }
            };
            let _ = write!(line, " {}>{}", names(before), names(after));
        } else if let Some(target) = &event.target {
            let _ = write!(line, " {target}");
        }
        if let Some(guard) = &event.guard {
            let _ = write!(line, " by {guard}");
        }
        if !line.contains(".started") {
            self.told.push(line);
        }
    }

    /// Lets time pass, waking the decision whenever it wants to be woken.
    fn pass_until(&mut self, micros: i64) {
        for _ in 0..1_000_000 {
            let wake =
                self.decision.next_wakeup(Moment::from_micros(self.micros)).micros().max(self.micros + 1);
            if wake > micros {
                self.micros = micros;
                return;
            }
            self.micros = wake;
            self.feed(Input::Tick);
        }
        panic!("the decision wants to be woken for ever");
    }

    fn step(&mut self, words: &str) {
        let mut words = words.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "set" => self.held = sets(&words.next().expect("values").split(',').collect::<Vec<_>>(), 60),
                "gone" => self.held.clear(),
                "ttl" => {
                    let ttl = Ttl(words.next().expect("seconds").parse().expect("a number"));
                    self.held.values_mut().for_each(|set| set.ttl = ttl);
                }
                "write" => self.write_faults.push_back(words.next().expect("a fault").into()),
                "read" => self.read_faults.push_back(words.next().expect("a fault").into()),
                "look" => self.feed(Input::LookDue { record: self.record.clone() }),
                "marker" => self.mark(words.next().expect("what")),
                "peer" => {
                    self.held = sets(&words.next().expect("values").split(',').collect::<Vec<_>>(), 60);
                    self.mark(words.next().expect("a generation"));
                }
                "ack" => self.feed(Input::Ack { record: self.record.clone() }),
                "failback" => self.feed(Input::Failback { record: self.record.clone() }),
                "drain" => {
                    let target = words.next().expect("a target").into();
                    self.order(What::Drain { target }, words.next());
                }
                "pin" => {
                    let (record, target) = (self.record.clone(), words.next().expect("a target").into());
                    self.order(What::Pin { record, target }, words.next());
                }
                "pause" => self.order(What::Pause { record: None }, words.next()),
                "undrain" => self.clear(OverrideKey::Drain(words.next().expect("a target").into())),
                "unpin" => self.clear(OverrideKey::Pin(self.record.clone())),
                "resume" => self.clear(OverrideKey::Pause(None)),
                "stopped" => self.restart(words.next().expect("seconds").parse().expect("a number")),
                "-" => {}
                probe => self.probe(probe),
            }
        }
    }

    fn mark(&mut self, what: &str) {
        let good = |generation| Marker::new(generation, "other", self.now().wall, &[], 1000).unwrap().text();
        let texts = match what {
            "gone" => None,
            "newer" => Some(vec!["v=failover2; generation=9".to_owned()]),
            "foreign" => Some(vec!["v=spf1 -all".to_owned()]),
            "twice" => Some(vec![good(1), good(2)]),
            "junk" => Some(vec!["v=failover1; generation=x".to_owned()]),
            generation => Some(vec![good(generation.parse().expect("a generation"))]),
        };
        let set = |texts| RecordSet::new(Ttl(60), Values::Txt(NonEmpty::new(texts).unwrap()));
        self.marker = texts.map(set);
    }

    fn order(&mut self, what: What, length: Option<&str>) {
        let length = length.and_then(|word| word.strip_prefix("for=")).expect("for=SECONDS");
        let now = self.now().moment;
        let until = now + Duration::from_secs(length.parse().expect("seconds"));
        let order = Override::new(what, now, until, "new kernel", "alice").expect("a good order");
        self.decision.may_set(&order).expect("it is configured");
        self.feed(Input::Override(Order::Set(order)));
    }

    fn clear(&mut self, key: OverrideKey) {
        self.decision.may_clear(self.now().moment, &key).expect("it is in force");
        self.feed(Input::Override(Order::Clear { key, by: "alice".into() }));
    }

    /// The agent is stopped for a while, and begins again with what was kept.
    fn restart(&mut self, seconds: i64) {
        let records =
            self.decision.saved_record(&self.record, &self.now()).map(|saved| (self.record.clone(), saved));
        let saved = Saved {
            trackers: self.decision.saved_trackers(&self.now()).into_iter().collect(),
            records: records.into_iter().collect(),
            overrides: Overrides::new(self.kept.values().cloned()),
            ..Saved::default()
        };
        self.micros += seconds * 1_000_000;
        let now = self.now();
        self.decision = decision(&self.policy, saved, &now);
        let first = self.decision.start(&now);
        self.play(first);
    }

    fn probe(&mut self, word: &str) {
        let (subject, letter) = word.split_at(word.len() - 1);
        let outcome = match letter {
            "+" => Outcome::Pass,
            "-" => Outcome::Fail("connection refused".into()),
            "?" => Outcome::Unknown("no route".into()),
            _ => panic!("{word:?} is no probe"),
        };
        let at = Moment::from_micros(self.micros);
        if self.policy.witnesses.contains(&subject.into()) {
            let sighting = Sighting { witness: subject.into(), started: at, ended: at, outcome };
            return self.feed(Input::Witnessed(sighting));
        }
        let (target, family) = match subject.strip_suffix(['4', '6']) {
            Some(target) => (target, Some(subject.ends_with('6'))),
            None => (subject, None),
        };
        let (target, check) = match target.split_once('/') {
            Some((target, check)) => (target, Some(CheckId::from(check))),
            None => (target, None),
        };
        let settings = self.policy.targets[&target.into()].clone();
        let asked =
            |place: &Place| family.is_none_or(|v6| place.address().is_some_and(|a| a.is_ipv6() == v6));
        let checks = settings.checks.keys().filter(|id| check.as_ref().is_none_or(|check| check == *id));
        let endpoints = checks.flat_map(|check| {
            let places = settings.places.iter().filter(|place| asked(place));
            places.map(|place| Endpoint {
                target: target.into(),
                check: check.clone(),
                address: place.clone(),
            })
        });
        for endpoint in endpoints {
            let observation = Observation {
                endpoint,
                started: at,
                ended: at,
                outcome: outcome.clone(),
                timings: Timings::default(),
                certificate: None,
            };
            self.feed(Input::Observed(observation));
        }
    }
}

fn fault_of(word: &str) -> Fault {
    match word {
        "conflict" => Fault::Conflict("raced".into()),
        "lost" | "unknown" => Fault::Unknown("no reply".into()),
        "unavailable" => Fault::Unavailable("refused".into()),
        "auth" => Fault::Auth("wrong key".into()),
        other => panic!("{other:?} is no fault"),
    }
}

fn settings(lines: &[&str]) -> (Policy, BTreeMap<RecordType, RecordSet>) {
    let mut policy =
        Policy { startup_grace: Duration::from_secs(30), agent: "here".into(), ..Policy::default() };
    let mut held = BTreeMap::new();
    let check = CheckPolicy {
        thresholds: Thresholds { fall: 3, rise: 3, clear: 6 },
        interval: Duration::from_secs(10),
        fast_interval: Duration::from_secs(1),
        timeout: Duration::from_secs(3),
        min_tls_days: None,
    };
    for line in lines {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("target") => {
                let id = words.next().unwrap().into();
                let web = BTreeMap::from([("web".into(), check)]);
                let mut target = TargetPolicy { checks: web.into(), ..TargetPolicy::default() };
                for word in words {
                    match word.split_once('=') {
                        None => target.places = target.places.with(word.parse().unwrap()),
                        Some(("checks", names)) => {
                            target.checks = names.split(',').map(|name| (name.into(), check)).collect();
                        }
                        Some(("require", "any")) => target.require = Require::Any,
                        Some(("require", count)) => {
                            target.require = Require::AtLeast(count.parse().unwrap());
                        }
                        Some(other) => panic!("{other:?} is no option"),
                    }
                }
                policy.targets.insert(id, target);
            }
            Some("velocity") => {
                let count = words.next().unwrap().parse().unwrap();
                policy.velocity.insert("zone".into(), Velocity::Records(count));
            }
            Some("witness") => policy.witnesses.extend(words.map(Into::into)),
            Some("is") => held = sets(&words.collect::<Vec<_>>(), 60),
            Some("record") => {
                let mut record = RecordPolicy {
                    name: name(),
                    provider: "zone".into(),
                    ttl: Ttl(60),
                    tiers: Vec::new(),
                    serve: Serve::First,
                    failback: FailbackMode::Auto,
                    failback_after: Duration::from_mins(1),
                    hold_down: Duration::from_secs(20),
                    adopt: BTreeSet::new(),
                    adopt_names: BTreeSet::new(),
                    create: false,
                    all_down: AllDown::default(),
                    flapping: Flapping::default(),
                    coordination: Coordination::default(),
                };
                for word in words {
                    match word.split_once('=') {
                        None if word == "all" => record.serve = Serve::All,
                        None if word == "manual" => record.failback = FailbackMode::Manual,
                        None if word == "zone" => record.coordination = Coordination::Zone,
                        None if word == "create" => record.create = true,
                        None => record.tiers.push(word.split('+').map(Into::into).collect()),
                        Some(("adopt", value)) => {
                            record.adopt.insert(value.parse().unwrap());
                        }
                        Some(("hold_down", value)) => {
                            record.hold_down = Duration::from_secs(value.parse().unwrap());
                        }
                        Some(("all_down", "serve_all")) => record.all_down = AllDown::ServeAll,
                        Some(("all_down", target)) => record.all_down = AllDown::Fallback(target.into()),
                        Some(("flapping", values)) => {
                            let values: Vec<u32> = values.split('/').map(|v| v.parse().unwrap()).collect();
                            let [half_life, suppress, reuse] = values[..] else { panic!("three numbers") };
                            let half_life = Duration::from_secs(half_life.into());
                            record.flapping = Flapping { half_life, suppress, reuse };
                        }
                        Some(("after", value)) => {
                            record.failback_after = Duration::from_secs(value.parse().unwrap());
                        }
                        Some(other) => panic!("{other:?} is no option"),
                    }
                }
                policy.records.insert(record.name.clone(), record);
            }
            other => panic!("{other:?} is no setting"),
        }
    }
    (policy, held)
}

fn faces() -> BTreeMap<ProviderId, ProviderFace> {
    let face = ProviderFace { atomic_name: true, marker: true, normalize: Arc::new(|sets| sets) };
    BTreeMap::from([("zone".into(), face)])
}

fn is_step(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit())
}

fn decision(policy: &Policy, saved: Saved, now: &Now) -> Decision {
    Decision::new(policy.clone(), faces(), Options::default(), saved, now)
}

/// Plays one file and gives it back with what really followed.
fn play(text: &str) -> (String, String) {
    let lines: Vec<&str> = text.lines().collect();
    let plain = |line: &&&str| !line.trim().is_empty() && !line.starts_with('#');
    let set: Vec<&str> = lines.iter().filter(plain).filter(|l| !is_step(l)).copied().collect();
    let (policy, held) = settings(&set);
    let now = Now { moment: Moment::ZERO, wall: "2026-11-22T12:00:00Z".parse().unwrap() };
    let mut decision = decision(&policy, Saved::default(), &now);
    let first = decision.start(&now);
    let mut world = World {
        decision,
        policy,
        record: name(),
        micros: 0,
        held,
        marker: None,
        write_faults: VecDeque::new(),
        read_faults: VecDeque::new(),
        writes: 0,
        told: Vec::new(),
        words: String::new(),
        kept: BTreeMap::new(),
    };
    world.play(first);
    let (mut out, mut read) = (String::new(), String::new());
    for line in lines {
        if !is_step(line) {
            let _ = writeln!(out, "{line}");
            continue;
        }
        let script = line.split("->").next().unwrap().trim_end();
        let (second, words) = script.split_once(' ').expect("seconds, then what happens");
        world.pass_until(second.parse::<i64>().expect("seconds") * 1_000_000);
        world.step(words);
        let (told, words) = (std::mem::take(&mut world.told).join("; "), std::mem::take(&mut world.words));
        let _ = writeln!(out, "{}", format!("{script:<28} -> {told}").trim_end());
        if !told.is_empty() {
            read += &words::of_step(script, &words, &world.decision, &world.now(), &world.record);
        }
    }
    (out, read)
}

#[test]
fn every_story_goes_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let (mut wrong, mut all) = (Vec::new(), String::new());
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "txt"));
    files.sort();
    assert!(files.len() >= 10, "the stories are gone");
    for file in files {
        let told = std::fs::read_to_string(&file).unwrap();
        let (went, read) = play(&told);
        let story = file.file_stem().unwrap().to_string_lossy();
        let _ = writeln!(all, "# {story}\n{read}");
        if told == went {
            continue;
        }
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&file, went).unwrap();
        } else {
            wrong.push(format!("{}\n--- told\n{told}\n--- went\n{went}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    words::check(&folder, &all);
}
