//! The stage: a world that does what the story says, and an agent in it that can be started, stopped and killed.
//!
//! ```text
//! let stage = Stage::new().await;          Workshop Co.: toronto serves www, montreal stands by
//! stage.start().await;                     the agent
//! stage.host("toronto", Host::Refuses);    what happens
//! stage.hear("failover.completed").await;  time passes until people were told
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failover::agent::{Agent, Ending, Fresh, Hands, Mode, Refused, Reload, State, World};
use failover::api::Command;
use failover::config::Config;
use failover::decision::{Answer, Place, RecordReport, Report};
use failover::store::Store;
use jiff::SignedDuration;
use providers::mock::{Author, Call, FaultStep, MockProvider};
use providers::{DomainName, Provider, ReadProvider, RecordSet, Ttl};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::chat::{Chat, Heard};
use crate::clock::{Offset, StageClock};
use crate::hosts::{Host, Hosts};
use crate::nameservers::Nameservers;

pub(crate) const WWW: &str = "www.workshopco.ca";
pub(crate) const TORONTO: &str = "203.0.113.10";
pub(crate) const MONTREAL: &str = "198.51.100.5";
/// The seed of all jitter, so that a story goes the same way each time.
const SEED: u64 = 42;

/// Workshop Co. Each line can be replaced by a story that wants another one.
pub(crate) const WORKSHOP: &str = r#"
agent:
  id: toronto-1
  state: ./not-used.db
  startup_grace: 30s
  live_interval: 30s
  witnesses: [{tcp: "192.0.2.1:443"}, {tcp: "192.0.2.2:443"}]
checks: {web: {tcp: {port: 443}, interval: 10s, fast_interval: 1s, timeout: 3s}}
targets:
  toronto: {address: 203.0.113.10, checks: [web]}
  montreal: {address: 198.51.100.5, checks: [web]}
providers: {zone: {type: mock}}
records:
  - {name: www.workshopco.ca, provider: zone, ttl: 60, targets: [toronto, montreal],
     failback: {mode: auto, after: 5m}, hold_down: 60s}
notify:
  channels: {team: {type: webhook, url: "https://chat.example.com/hook"}}
  routes: [{channel: team, events: ["*"], min_severity: info}]
"#;

/// Where the agent keeps its state.
pub(crate) enum Kept {
    /// A state that outlives the agent, in memory because that is quick.
    Store(Store),
    /// It should be in a file and cannot be.
    Broken,
}

struct Running {
    task: JoinHandle<Ending>,
    stop: oneshot::Sender<()>,
    commander: mpsc::Sender<Command>,
    reloads: mpsc::Sender<Reload>,
}

pub(crate) struct Stage {
    pub(crate) mock: MockProvider,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) nameservers: Arc<Nameservers>,
    pub(crate) chat: Arc<Chat>,
    pub(crate) kept: Kept,
    pub(crate) config: Arc<Config>,
    offset: Offset,
    clock: Arc<StageClock>,
    running: Mutex<Option<Running>>,
}

impl Stage {
    /// Workshop Co., with `www` pointing at toronto.
    pub(crate) async fn new() -> Stage {
        let stage = Stage::with(WORKSHOP).await;
        stage.edit(WWW, &[TORONTO]);
        stage
    }

    /// Another configuration, with an empty zone `workshopco.ca`.
    pub(crate) async fn with(yaml: &str) -> Stage {
        let config =
            Config::parse("story.yaml", yaml, &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false)));
        testkit::assert_valid(Config::schema, yaml);
        let mock = MockProvider::in_memory(["workshopco.ca".parse().unwrap()]);
        let offset = Offset::default();
        let start = "2026-11-22T12:00:00Z".parse().unwrap();
        tokio::task::yield_now().await;
        Stage {
            nameservers: Arc::new(Nameservers::of(&mock)),
            mock,
            hosts: Arc::default(),
            chat: Arc::default(),
            kept: Kept::Store(Store::in_memory().unwrap()),
            config: Arc::new(config),
            clock: Arc::new(StageClock::start_at(start, offset.clone())),
            offset,
            running: Mutex::default(),
        }
    }

    // The world.

    /// What the host of a target does from now on, on all its addresses.
    pub(crate) fn host(&self, target: &str, host: Host) {
        for place in &self.config.targets[&target.into()].places {
            self.hosts.set(place, host);
        }
    }

    pub(crate) fn address(&self, address: &str, host: Host) {
        self.hosts.set(&address.parse().unwrap(), host);
    }

    /// Our own line: cut, nothing answers any more.
    pub(crate) fn uplink(&self, host: Host) {
        for target in self.config.targets.keys() {
            self.host(target.as_str(), host);
        }
        self.witnesses(host);
    }

    pub(crate) fn witnesses(&self, host: Host) {
        for witness in self.config.agent.witnesses.values() {
            self.hosts.set(&witness.address.into(), host);
        }
    }

    /// Somebody else makes a name hold these addresses, or this name, with a TTL of 60 s; none removes it.
    pub(crate) fn edit(&self, name: &str, addresses: &[&str]) {
        self.mock.edit(&name.parse().unwrap(), sets(addresses, 60)).unwrap();
    }

    pub(crate) fn script(&self, steps: impl IntoIterator<Item = FaultStep>) {
        self.mock.script(steps);
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn step_wall_clock(&self, seconds: i64) {
        *self.offset.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    // The agent.

    fn world(&self, hands: Hands) -> World {
        World {
            clock: Arc::new(StageClock::start_at(self.clock.true_wall(), self.offset.clone())),
            prober: self.hosts.clone(),
            live: self.nameservers.clone(),
            hands,
            nameservers: BTreeMap::new(),
            senders: BTreeMap::from([("team".into(), self.chat.clone() as Arc<_>)]),
            state: match &self.kept {
                Kept::Store(store) => State::File(store.clone()),
                Kept::Broken => State::File(Store::open_patiently(Path::new("/no-such-folder/failover.db"))),
            },
            seed: SEED,
        }
    }

    fn hands(&self) -> Hands {
        self.hands_of(&self.config)
    }

    fn hands_of(&self, config: &Config) -> Hands {
        let mock: Arc<dyn Provider> = Arc::new(self.mock.clone());
        Hands::writing(config.providers.keys().map(|id| (id.clone(), Arc::clone(&mock))).collect())
    }

    fn reloads(&self) -> mpsc::Sender<Reload> {
        self.running.lock().unwrap().as_ref().expect("an agent is running").reloads.clone()
    }

    /// The running agent is given another configuration.
    pub(crate) async fn reload(&self, yaml: &str) {
        let config =
            Config::parse("story.yaml", yaml, &|_| None).unwrap_or_else(|e| panic!("{}", e.render(false)));
        testkit::assert_valid(Config::schema, yaml);
        let fresh = Fresh {
            hands: self.hands_of(&config),
            config: Arc::new(config),
            renewed: BTreeSet::new(),
            senders: BTreeMap::from([("team".into(), self.chat.clone() as Arc<_>)]),
            nameservers: BTreeMap::new(),
        };
        assert!(self.reloads().send(Reload::Take(Box::new(fresh))).await.is_ok());
        tokio::task::yield_now().await;
    }

    /// The files of the running agent's configuration were changed, and cannot be used.
    pub(crate) async fn refuse(&self, refused: Refused) {
        assert!(self.reloads().send(Reload::Refuse(refused)).await.is_ok());
    }

    /// Starts `failover run`.
    pub(crate) async fn start(&self) {
        let mut agent = Agent::new(self.config.clone(), self.world(self.hands()), Mode::Run).await.unwrap();
        let commander = agent.commander();
        let (reloads, word) = mpsc::channel(1);
        agent.reloads(word);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(agent.run(async {
            // A stage that ends takes its agent with it.
            let _ = stopped.await;
        }));
        let before = self.running.lock().unwrap().replace(Running { task, stop, commander, reloads });
        assert!(before.is_none(), "two agents on one stage");
    }

    /// Starts it, and lets it come to rest.
    pub(crate) async fn start_and_settle(&self) {
        self.start().await;
        self.pass(15).await;
    }

    fn take_running(&self) -> Running {
        self.running.lock().unwrap().take().expect("an agent is running")
    }

    /// kill -9.
    pub(crate) async fn crash(&self) {
        let Running { task, .. } = self.take_running();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }

    /// SIGTERM. Gives how the agent ended, and how long it took.
    pub(crate) async fn stop(&self) -> (Ending, Duration) {
        let Running { task, stop, .. } = self.take_running();
        let before = self.clock.true_wall();
        stop.send(()).unwrap();
        let ending = task.await.unwrap();
        (ending, self.clock.true_wall().duration_since(before).unsigned_abs())
    }

    /// `failover once`.
    pub(crate) async fn once(&self) -> Ending {
        let mode = Mode::Once { deadline: Duration::from_secs(50), max_age: Duration::from_mins(15) };
        let agent = Agent::new(self.config.clone(), self.world(self.hands()), mode).await.unwrap();
        agent.run(std::future::pending()).await
    }

    /// `failover plan`.
    pub(crate) async fn plan(&self) -> Ending {
        let mode = Mode::Plan { deadline: Duration::from_secs(50), max_age: Duration::from_mins(15) };
        let mock: Arc<dyn ReadProvider> = Arc::new(self.mock.clone());
        let hands =
            Hands::reading(self.config.providers.keys().map(|id| (id.clone(), Arc::clone(&mock))).collect());
        let agent = Agent::new(self.config.clone(), self.world(hands), mode).await.unwrap();
        agent.run(std::future::pending()).await
    }

    /// `failover failback`.
    pub(crate) async fn failback(&self) {
        let commander = self.running.lock().unwrap().as_ref().expect("an agent is running").commander.clone();
        let (answer, known) = oneshot::channel();
        commander.send(Command::Failback(WWW.parse().unwrap(), answer)).await.unwrap();
        assert!(known.await.unwrap());
    }

    /// `failover status`.
    pub(crate) async fn status(&self) -> Report {
        let commander = self.running.lock().unwrap().as_ref().expect("an agent is running").commander.clone();
        let (answer, status) = oneshot::channel();
        commander.send(Command::Status(answer)).await.unwrap();
        status.await.unwrap().report
    }

    pub(crate) async fn record_status(&self) -> RecordReport {
        self.status().await.records.remove(0)
    }

    /// How many failures of a target's first endpoint are counted.
    pub(crate) async fn failures(&self, target: &str) -> u32 {
        let report = self.status().await;
        report.targets.iter().find(|known| known.name.as_str() == target).unwrap().endpoints[0].failures
    }

    // Time.

    /// What a clock that was never set wrong shows.
    pub(crate) fn true_wall(&self) -> jiff::Timestamp {
        self.clock.true_wall()
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// Lets time pass until it is so; an hour at most.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Stage) -> bool) {
        let waiting = async {
            // What takes a minute is not missed by looking once a second.
            for look in 0u32.. {
                if is_so(self) {
                    return;
                }
                sleep(Duration::from_millis(if look < 1200 { 50 } else { 1000 })).await;
            }
        };
        let in_time = timeout(Duration::from_hours(1), waiting).await.is_ok();
        assert!(in_time, "an hour passed without: {what}; people heard {:#?}", self.lines());
    }

    /// Lets time pass until people were told of such an event; gives it.
    pub(crate) async fn hear(&self, kind: &str) -> Heard {
        self.until(kind, |stage| !stage.heard(kind).is_empty()).await;
        self.heard(kind).remove(0)
    }

    // What came of it.

    /// What a name holds.
    pub(crate) fn holds(&self, name: &str) -> String {
        self.mock.peek(&name.parse().unwrap()).unwrap().summary()
    }

    /// What `www` holds.
    pub(crate) fn www(&self) -> String {
        self.holds(WWW)
    }

    /// Writes of ours that changed something.
    pub(crate) fn writes(&self) -> usize {
        self.mock.journal().iter().filter(|write| write.author == Author::Swap).count()
    }

    pub(crate) fn calls(&self, call: Call) -> u64 {
        self.mock.calls(call)
    }

    /// Every message of this kind that people got.
    pub(crate) fn heard(&self, kind: &str) -> Vec<Heard> {
        self.chat.heard().into_iter().filter(|heard| heard.kind().as_str() == kind).collect()
    }

    /// The kinds of all messages, in the order in which people got them.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.chat.heard().iter().map(|heard| heard.kind().to_string()).collect()
    }

    /// The first line of each message.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |heard: &Heard| format!("{} {}: {}", heard.at, heard.kind(), heard.event.event.summary);
        self.chat.heard().iter().map(line).collect()
    }

    /// All is as it must be after every story: the provider caught no breach, no message came twice, and each says
    /// what it must.
    pub(crate) fn check(&self) {
        assert_eq!(self.mock.violations(), Vec::<String>::new());
        let heard = self.chat.heard();
        let ids: BTreeSet<&str> = heard.iter().map(|heard| heard.event.id.as_str()).collect();
        assert_eq!(ids.len(), heard.len(), "a message came twice: {:#?}", self.lines());
        for heard in &heard {
            let (event, kind) = (&heard.event.event, heard.kind());
            let text = heard.text();
            assert!(!text.contains("  ") || text.contains(":  "), "two blanks: {text}");
            if kind.as_str().ends_with(".completed") && kind.as_str() != "propagation.completed" {
                let whole = event.before.is_some() && event.after.is_some() && event.reason.is_some();
                assert!(whole && event.next.is_some(), "{text}");
                assert!(event.effective_by.is_some_and(|by| by >= event.time), "{text}");
            }
        }
    }
}

/// Record sets of these addresses, or of this name.
pub(crate) fn sets(places: &[&str], ttl: u32) -> Vec<RecordSet> {
    let places: Vec<Place> = places.iter().map(|place| place.parse().unwrap()).collect();
    Answer::of(&places).map(|answer| answer.sets(Ttl(ttl)).iter().cloned().collect()).unwrap_or_default()
}

pub(crate) fn www() -> DomainName {
    WWW.parse().unwrap()
}
