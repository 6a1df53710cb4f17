//! One failover: an agent of its own in a folder of its own, at a record that was put back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use testkit::{Mode, wait_until};

use crate::agent::{Agent, PATIENCE, Site};
use crate::kept::Kept;
use crate::lane::Lane;
use crate::relay::Protocol;
use crate::stage::{ALPHA, BETA, PRIMARY};

/// What nobody may hear of in a failover, however often the agent died in it: none of it happened.
const NEVER: &[&str] = &[
    "failover.failed",
    "failback.started",
    "failback.completed",
    "failback.failed",
    "adjust.started",
    "adjust.completed",
    "adjust.failed",
    "change.withheld",
    "drift.detected",
    "provider.unavailable",
    "provider.recovered",
    "state.unwritable",
    "state.recovered",
    "delivery.exhausted",
    "agent.blind",
];

/// How far a failover had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Undecided,
    /// The change is kept; the server does not have it.
    Kept,
    /// The server has it; the state file does not know.
    Written,
    /// The state file knows; the chat does not.
    Confirmed,
    Told,
}

/// One failover.
pub(crate) struct Round<'a> {
    pub(crate) lane: &'a mut Lane,
    pub(crate) site: Site,
    /// The running agent.
    pub(crate) agent: Option<Agent>,
    /// How it is started.
    place: Vec<String>,
    /// The state file, seen from the folder of the site.
    state: PathBuf,
    name: String,
    serial: u32,
    mark: u64,
    /// Writes that the network had seen the server accept before.
    passed: u32,
    /// Writes that it had repeated before.
    repeated: u32,
    /// Events that may be told in this round although nobody hears of them elsewhere.
    pub(crate) also: BTreeSet<&'static str>,
    /// The state was lost: what was kept in it is not told.
    pub(crate) forgot: bool,
    /// The state file is not what the agent made it.
    pub(crate) damaged: bool,
}

/// A change that must have happened.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub(crate) told: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) target: &'static str,
}

/// The record moves to the stand-by.
pub(crate) const AWAY: Move = Move { told: "failover.completed", from: ALPHA, to: BETA, target: "beta" };
/// And back.
pub(crate) const HOME: Move = Move { told: "failback.completed", from: BETA, to: ALPHA, target: "alpha" };

impl Lane {
    /// Everything is well, the agent runs, the record points at the primary.
    pub(crate) fn round(&mut self, name: &str) -> Round<'_> {
        let config = self.stage.config();
        self.round_in(name, &config, vec![], "failover.db".into())
    }

    /// The same with this configuration, with the agent behind these words, and its state in this file.
    pub(crate) fn round_in(
        &mut self,
        name: &str,
        config: &str,
        place: Vec<String>,
        state: PathBuf,
    ) -> Round<'_> {
        self.stage.backend.set(PRIMARY, &Mode::Ok);
        self.stage.publish(&[ALPHA]);
        let (serial, mark) = (self.stage.serial(), self.stage.chat.mark());
        let (passed, repeated) = (self.wire.writes(), self.wire.repeats());
        let (site, also) = (Site::new(config), BTreeSet::new());
        let name = format!("{name} on {}", self.stage.server.label());
        let (lane, agent, forgot, damaged) = (self, None, false, false);
        let mut round = Round {
            lane,
            site,
            agent,
            place,
            state,
            name,
            serial,
            mark,
            passed,
            repeated,
            also,
            forgot,
            damaged,
        };
        round.start();
        round.wait("in sync, both targets up", |status| {
            let up = |n: usize| status["targets"][n]["verdict"] == "up";
            status["records"][0]["status"] == "in_sync" && up(0) && up(1)
        });
        round
    }
}

impl Round<'_> {
    /// Starts the agent.
    pub(crate) fn start(&mut self) {
        let place: Vec<&str> = self.place.iter().map(String::as_str).collect();
        self.agent = Some(self.site.run_behind(&place));
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.agent.take().expect("it runs").kill();
    }

    /// The primary dies.
    pub(crate) fn outage(&self) {
        self.lane.stage.backend.set(PRIMARY, &Mode::Closed);
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.site.path("").join(&self.state)
    }

    /// What of this kind the chat was told, by the id of the event.
    pub(crate) fn told(&self, kind: &str) -> BTreeMap<String, Value> {
        let all = self.lane.stage.chat.received_after(self.mark).into_iter();
        let of_kind = all.filter(|message| message.body["type"] == kind);
        of_kind
            .map(|message| {
                let data = message.body["data"].clone();
                (data["id"].as_str().expect("every event has an id").to_owned(), data)
            })
            .collect()
    }

    /// Waits until the chat heard of the failover.
    #[track_caller]
    pub(crate) fn wait_told(&self) {
        self.wait_for("failover.completed in the chat", || {
            (!self.told("failover.completed").is_empty()).then_some(())
        });
    }

    /// Waits until the running agent says so of itself.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        self.wait_for(what, || self.site.status().filter(|status| is_it(status)).map(|_| ()));
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, is_it: impl FnMut() -> Option<T>) -> T {
        wait_until(&format!("{what} ({})", self.name), PATIENCE, is_it)
    }

    /// How far it has come. The server must answer.
    pub(crate) fn phase(&self) -> Phase {
        let look = if self.agent.is_some() { Kept::of_running } else { Kept::of_dead };
        let changes = look(&self.state_file()).map(|kept| kept.changes()).unwrap_or_default();
        let is = |state: &str| changes.iter().any(|other| other == state);
        if !self.told("failover.completed").is_empty() {
            Phase::Told
        } else if is("completed") {
            Phase::Confirmed
        } else if self.lane.stage.answer() == [BETA] {
            Phase::Written
        } else if is("started") {
            Phase::Kept
        } else {
            Phase::Undecided
        }
    }

    /// The agent died: what the chat heard it say was done is closed in its state file, so it was confirmed first.
    #[track_caller]
    pub(crate) fn told_what_was_confirmed(&self) {
        let changes = Kept::of_dead(&self.state_file()).map(|kept| kept.changes()).unwrap_or_default();
        let confirmed = changes.iter().any(|state| state == "completed");
        let told = !self.told("failover.completed").is_empty();
        assert!(
            confirmed || !told || self.forgot || self.disk_was_slow(),
            "{}: told before it was confirmed: {changes:?} {:#?}",
            self.name,
            self.gist()
        );
    }

    /// One failover was all that happened, whatever was done to the agent. Gives the writes.
    #[track_caller]
    pub(crate) fn in_the_end(&mut self) -> u32 {
        self.ended(&[AWAY])
    }

    /// Waits until the record is where this move ends, and the chat heard of it.
    #[track_caller]
    pub(crate) fn settled(&self, last: Move) {
        self.wait(&format!("in sync at {}", last.target), |status| {
            let record = &status["records"][0];
            record["status"] == "in_sync" && record["targets"] == serde_json::json!([last.target])
        });
        if !self.forgot {
            self.wait_for(last.told, || (!self.told(last.told).is_empty()).then_some(()));
        }
        self.wait_for("nothing is under way", || {
            self.lane.wires().all(|wire| wire.under_way() == 0).then_some(())
        });
    }

    /// Everything is as it must be when these moves are over: the record in its place, a write each at the server,
    /// every event told, each under one id, and nothing that did not happen. Gives the writes.
    #[track_caller]
    pub(crate) fn ended(&mut self, moves: &[Move]) -> u32 {
        let last = *moves.last().expect("something happened");
        self.settled(last);
        if !self.damaged && !self.forgot && !self.told("state.unwritable").is_empty() {
            // What was not kept meanwhile is kept as soon as it can be.
            self.wait_for("the state is kept again", || {
                (!self.told("state.recovered").is_empty()).then_some(())
            });
        }
        if !self.damaged {
            self.wait_for("everything delivered", || {
                let kept = Kept::of_running(&self.state_file())?;
                (kept.undelivered() == 0 && !kept.changes().contains(&"started".to_owned())).then_some(())
            });
        }
        // Not asked to stop: how that goes has tests of its own.
        self.kill();
        assert_eq!(self.lane.stage.answer(), [last.to], "{}", self.name);
        let writes = self.lane.stage.serial() - self.serial;
        assert_eq!(writes, self.lane.wire.writes() - self.passed, "{}: nobody else writes", self.name);
        let due = u32::try_from(moves.len()).expect("a few");
        // The API of PowerDNS has no precondition: what the network repeats is written again, and changes nothing.
        let by_http = self.lane.stage.provider().0 == Protocol::Http;
        let repeats = if by_http { self.lane.wire.repeats() - self.repeated } else { 0 };
        assert!(
            (due..=due + repeats).contains(&writes),
            "{}: {writes} writes for {due} changes: {:#?}",
            self.name,
            self.gist()
        );
        self.check_words(moves);
        if !self.damaged {
            self.check_state(moves.len());
        }
        writes
    }

    #[track_caller]
    fn check_words(&self, moves: &[Move]) {
        let often = if self.forgot { 0..=1 } else { 1..=1 };
        for Move { told, from, to, .. } in moves {
            let done = self.told(told);
            assert!(often.contains(&done.len()), "{}: {told} is told once: {:#?}", self.name, self.gist());
            for event in done.values() {
                let sides = (&event["before"]["values"][0], &event["after"]["values"][0]);
                assert_eq!(sides, (&(*from).into(), &(*to).into()), "{}: {event:#}", self.name);
            }
        }
        for kind in NEVER.iter().filter(|kind| !self.also.contains(*kind)) {
            if self.disk_was_slow() && kind.starts_with("state.") {
                continue;
            }
            assert!(self.told(kind).is_empty(), "{}: {kind} did not happen: {:#?}", self.name, self.gist());
        }
        let of_alpha =
            |kind: &str| self.told(kind).into_values().filter(|event| event["target"] == "alpha").count();
        let (down, lost_sight) = (of_alpha("target.down"), of_alpha("target.unknown"));
        let arrived = self.told("propagation.completed").len();
        // On a machine that is so slow that a start takes longer than a verdict stays fresh, it is found out anew.
        if !self.forgot {
            assert!((1..=1 + lost_sight).contains(&down), "{}: one outage: {:#?}", self.name, self.gist());
        }
        if !self.forgot {
            assert!(arrived <= moves.len(), "{}: arrivals: {:#?}", self.name, self.gist());
        }
    }

    /// The state file is sound, and nothing was told that was not kept first, nor kept and not told.
    #[track_caller]
    fn check_state(&self, moves: usize) {
        let kept = Kept::of_dead(&self.state_file()).expect("the agent left it");
        assert!(kept.is_sound(), "{}", self.name);
        let mut changes = kept.changes();
        changes.retain(|state| state != "failed");
        let all_are = changes.iter().all(|state| state == "completed");
        let enough = changes.len() == moves || (self.forgot && changes.len() < moves);
        assert!(all_are && enough, "{}: {changes:?}", self.name);
        let told: BTreeSet<String> = self.lane.stage.chat.received_after(self.mark).iter().map(id).collect();
        // What came up since everything was delivered may wait for the next start; what is crossed out was told.
        let (events, delivered) = (kept.events(), kept.delivered());
        let missing: Vec<_> = delivered.difference(&told).collect();
        assert!(missing.is_empty(), "{}: never told: {missing:?} {:#?}", self.name, self.gist());
        if !self.forgot && !self.disk_was_slow() {
            let unknown: Vec<_> = told.difference(&events).collect();
            assert!(unknown.is_empty(), "{}: told, not kept: {unknown:?} {:#?}", self.name, self.gist());
        }
    }

    /// A machine with more to do than its disk can bear: true, and no fault of the program.
    fn disk_was_slow(&self) -> bool {
        let told = self.told("state.unwritable").into_values();
        told.into_iter().any(|event| event["summary"].to_string().contains("did not answer within"))
    }

    /// How many messages the chat took, copies and all, and of how many events.
    pub(crate) fn messages(&self) -> (usize, usize) {
        let all = self.lane.stage.chat.received_after(self.mark);
        (all.len(), all.iter().map(id).collect::<BTreeSet<_>>().len())
    }

    /// The kinds of all that was told, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kind = |message: &testkit::Received| message.body["type"].as_str().unwrap_or("?").to_owned();
        self.lane.stage.chat.received_after(self.mark).iter().map(kind).collect()
    }

    /// Everything told, for a failure.
    fn gist(&self) -> Vec<String> {
        let line = |message: &testkit::Received| {
            let data = &message.body["data"];
            format!("{} {} {}", data["id"], message.body["type"], data["summary"])
        };
        self.lane.stage.chat.received_after(self.mark).iter().map(line).collect()
    }
}

fn id(message: &testkit::Received) -> String {
    message.body["data"]["id"].as_str().expect("every event has an id").to_owned()
}
