//! One failover: an agent of its own in a folder of its own, at a record that was put back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use testkit::{Mode, wait_until};

use crate::agent::{Agent, PATIENCE, Site};
use crate::kept::Kept;
use crate::lane::Lane;
use crate::stage::{ALPHA, BETA, PRIMARY, Stage};

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
    pub(crate) stage: &'a Stage,
    pub(crate) site: Site,
    /// The running agent.
    pub(crate) agent: Option<Agent>,
    /// How it is started.
    place: Vec<String>,
    /// The name of the state file in the folder of the site.
    state: &'static str,
    name: String,
    serial: u32,
    mark: u64,
    /// Events that may be told in this round although nobody hears of them elsewhere.
    pub(crate) also: BTreeSet<&'static str>,
    /// The state was lost: what was kept in it is not told.
    pub(crate) forgot: bool,
}

impl Lane {
    /// Everything is well, the agent runs, the record points at the primary.
    pub(crate) fn round(&self, name: &str) -> Round<'_> {
        self.round_in(name, self.stage.config(), vec![], "failover.db")
    }

    /// The same with this configuration, with the agent behind these words, and its state in this file.
    pub(crate) fn round_in(
        &self,
        name: &str,
        config: String,
        place: Vec<String>,
        state: &'static str,
    ) -> Round<'_> {
        let stage = &self.stage;
        stage.backend.set(PRIMARY, &Mode::Ok);
        stage.publish(&[ALPHA]);
        let (serial, mark) = (stage.serial(), stage.chat.mark());
        let (site, also) = (Site::new(&config), BTreeSet::new());
        let name = format!("{name} on {}", stage.server.label());
        let mut round =
            Round { stage, site, agent: None, place, state, name, serial, mark, also, forgot: false };
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
        self.stage.backend.set(PRIMARY, &Mode::Closed);
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.site.path(self.state)
    }

    /// What of this kind the chat was told, by the id of the event.
    pub(crate) fn told(&self, kind: &str) -> BTreeMap<String, Value> {
        let all = self.stage.chat.received_after(self.mark).into_iter();
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

    /// How far it has come; of a dead agent.
    pub(crate) fn phase(&self) -> Phase {
        let changes = Kept::of_dead(&self.state_file()).map(|kept| kept.changes()).unwrap_or_default();
        let is = |state: &str| changes.iter().any(|other| other == state);
        if !self.told("failover.completed").is_empty() {
            Phase::Told
        } else if is("completed") {
            Phase::Confirmed
        } else if self.stage.answer() == [BETA] {
            Phase::Written
        } else if is("started") {
            Phase::Kept
        } else {
            Phase::Undecided
        }
    }

    /// Everything is as it must be when all is over, whatever was done to the agent: the record at the stand-by, one
    /// write at the server, every event told, each under one id, and nothing that did not happen. Gives the writes.
    #[track_caller]
    pub(crate) fn in_the_end(&mut self) -> u32 {
        self.wait("in sync at the stand-by", |status| {
            let record = &status["records"][0];
            record["status"] == "in_sync" && record["targets"] == serde_json::json!(["beta"])
        });
        if !self.forgot {
            self.wait_told();
        }
        self.wait_for("everything delivered", || {
            let kept = Kept::of_running(&self.state_file())?;
            (kept.undelivered() == 0 && !kept.changes().contains(&"started".to_owned())).then_some(())
        });
        assert_eq!(self.stage.answer(), [BETA], "{}", self.name);
        self.agent.take().expect("it runs").terminate();
        let writes = self.stage.serial() - self.serial;
        assert_eq!(writes, 1, "{}: writes", self.name);
        self.check_words();
        self.check_state();
        writes
    }

    #[track_caller]
    fn check_words(&self) {
        let done = self.told("failover.completed");
        let expected = if self.forgot { 0..=1 } else { 1..=1 };
        assert!(
            expected.contains(&done.len()),
            "{}: the failover is told once: {:#?}",
            self.name,
            self.gist()
        );
        for event in done.values() {
            let sides = (&event["before"]["values"][0], &event["after"]["values"][0]);
            assert_eq!(sides, (&ALPHA.into(), &BETA.into()), "{}: {event:#}", self.name);
        }
        for kind in NEVER.iter().filter(|kind| !self.also.contains(*kind)) {
            assert!(self.told(kind).is_empty(), "{}: {kind} did not happen: {:#?}", self.name, self.gist());
        }
        let down = self.told("target.down").into_values().filter(|event| event["target"] == "alpha").count();
        let arrived = self.told("propagation.completed").len();
        if !self.forgot {
            assert_eq!(down, 1, "{}: one outage: {:#?}", self.name, self.gist());
            assert!(arrived <= 1, "{}: one arrival: {:#?}", self.name, self.gist());
        }
    }

    /// The state file is sound, and nothing was told that was not kept first, nor kept and not told.
    #[track_caller]
    fn check_state(&self) {
        let kept = Kept::of_dead(&self.state_file()).expect("the agent left it");
        assert!(kept.is_sound(), "{}", self.name);
        let mut changes = kept.changes();
        changes.retain(|state| state != "failed");
        let expected: &[&str] = if self.forgot && changes.is_empty() { &[] } else { &["completed"] };
        assert_eq!(changes, expected, "{}", self.name);
        let told: BTreeSet<String> = self.stage.chat.received_after(self.mark).iter().map(id).collect();
        let events = kept.events();
        let missing: Vec<_> = events.difference(&told).collect();
        assert!(missing.is_empty(), "{}: never told: {missing:?} {:#?}", self.name, self.gist());
        if !self.forgot {
            let unknown: Vec<_> = told.difference(&events).collect();
            assert!(unknown.is_empty(), "{}: told, not kept: {unknown:?} {:#?}", self.name, self.gist());
        }
    }

    /// How many messages the chat took, copies and all, and of how many events.
    pub(crate) fn messages(&self) -> (usize, usize) {
        let all = self.stage.chat.received_after(self.mark);
        (all.len(), all.iter().map(id).collect::<BTreeSet<_>>().len())
    }

    /// Everything told, for a failure.
    fn gist(&self) -> Vec<String> {
        let line = |message: &testkit::Received| {
            let data = &message.body["data"];
            format!("{} {} {}", data["id"], message.body["type"], data["summary"])
        };
        self.stage.chat.received_after(self.mark).iter().map(line).collect()
    }
}

fn id(message: &testkit::Received) -> String {
    message.body["data"]["id"].as_str().expect("every event has an id").to_owned()
}
