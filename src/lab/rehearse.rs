//! The play: the agent starts, its primaries die, come back, and all is held against the promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use providers::DomainName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::acts::addresses;
use super::cast::Cast;
use super::cues;
use super::facts::{Addresses, Book, Facts, Fate, Scene, SecondRun};
use super::onlooker::Onlooker;
use super::outcome::{Outcome, outcome};
use super::stage::{BYSTANDERS_ADDRESS, NOT_OURS, Stage, StageError, is_alias};
use super::timeline::{Entry, Kind, listed};
use crate::agent::{Agent, Ending, Mode, StartError};
use crate::api::{Command, Status};
use crate::clock::{Clock, SystemClock};
use crate::decision::{FailbackMode, Serve, TargetId};

/// How often the play looks whether it can go on.
const BEAT: Duration = Duration::from_millis(20);
/// Between two acts: for the reader, and so that an outage does not begin in step with the probes.
const BREATH: Duration = Duration::from_millis(1300);
/// What is added to every time limit: a rehearsal may run on a busy machine.
const SLACK: Duration = Duration::from_secs(20);
/// The limits of a second run, as `failover once` has them.
const ONCE_DEADLINE: Duration = Duration::from_secs(50);
const ONCE_MAX_AGE: Duration = Duration::from_mins(15);

/// Why a rehearsal could not be played to its end. Nothing of the user's was touched.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The stage cannot be set.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The agent cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A target does not pass on the stage, though it should.
    #[error("the stage cannot play this configuration: {0}")]
    Unplayable(String),
    /// The agent ended by itself.
    #[error("the agent ended in the middle of the rehearsal")]
    AgentEnded,
}

/// Plays an outage of `cast` in real time on this machine. `view` is given each entry of the timeline, in order, about
/// a quarter of a second after it happened. Dropping the future ends everything. Must be called within a runtime.
///
/// # Errors
/// [`RehearseError`]; a broken promise is none: see [`Outcome::kept`].
pub async fn rehearse(cast: &Cast, view: &mut dyn FnMut(&Entry)) -> Result<Outcome, RehearseError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let book = Book::new(Arc::clone(&clock), cast);
    let stage = Arc::new(Stage::set(cast).await?);
    on_stage(cast, stage, book, clock, view).await
}

async fn on_stage(
    cast: &Cast,
    stage: Arc<Stage>,
    book: Book,
    clock: Arc<dyn Clock>,
    view: &mut dyn FnMut(&Entry),
) -> Result<Outcome, RehearseError> {
    let onlooker = Onlooker::of(stage.dns, book.clone()).await.map_err(StageError::Listen)?;
    let names = cast.config.records.keys().cloned().collect();
    let _watching = Task(tokio::spawn(onlooker.watch(names)));
    let world = stage.world(cast, &book, &clock);
    let agent = Agent::new(Arc::clone(&cast.config), world, Mode::Run).await?;
    let commander = agent.commander();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = Task(tokio::spawn(agent.run(async move { drop(stopped.await) })));
    let mut play = Play { cast, stage, book, clock, commander, view };
    play.begin().await?;
    for killed in &cast.acts {
        play.act(killed).await?;
    }
    drop(stop);
    // A stopping agent has limits of its own; this is the belt to its braces.
    let _ = tokio::time::timeout(SLACK, &mut running.0).await;
    play.look_for_trespasses().await;
    play.show(true);
    let took = play.book.now();
    let facts = play.book.facts();
    Ok(outcome(cast, &facts, took))
}

/// A task that ends with its owner.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Play<'a> {
    cast: &'a Cast,
    stage: Arc<Stage>,
    book: Book,
    clock: Arc<dyn Clock>,
    commander: mpsc::Sender<Command>,
    view: &'a mut dyn FnMut(&Entry),
}

impl Play<'_> {
    fn show(&mut self, all: bool) {
        self.book.due(all).iter().for_each(|entry| (self.view)(entry));
    }

    fn tell(&self, kind: Kind, text: impl Into<String>) {
        self.book.tell(Entry::new(self.book.now(), kind, text));
    }

    async fn status(&self) -> Result<Status, RehearseError> {
        let (answer, status) = oneshot::channel();
        let sent = self.commander.send(Command::Status(answer)).await;
        sent.map_err(|_| RehearseError::AgentEnded)?;
        status.await.map_err(|_| RehearseError::AgentEnded)
    }

    /// Goes on when `done` says so. What is said instead, after `limit`, is what is still missing.
    async fn until(
        &mut self,
        limit: Duration,
        mut missing: impl FnMut(&Status, &Facts) -> Vec<String>,
    ) -> Result<Vec<String>, RehearseError> {
        let end = self.book.now() + limit;
        loop {
            self.show(false);
            let status = self.status().await?;
            let still = missing(&status, &self.book.facts());
            if still.is_empty() || self.book.now() >= end {
                return Ok(still);
            }
            sleep(BEAT).await;
        }
    }

    async fn breathe(&mut self) {
        let end = self.book.now() + BREATH;
        while self.book.now() < end {
            self.show(false);
            sleep(BEAT).await;
        }
    }

    /// Every target must be found to work, and every record to be as it should.
    async fn begin(&mut self) -> Result<(), RehearseError> {
        let limit = self.cast.config.agent.startup_grace + self.reach(|t| t.rise) + SLACK;
        let missing = self.until(limit, |status, _| cues::not_well(status)).await?;
        if !missing.is_empty() {
            return Err(RehearseError::Unplayable(missing.join("; ")));
        }
        let up: Vec<&str> = self.cast.config.targets.keys().map(TargetId::as_str).collect();
        self.tell(Kind::Ready, format!("all is well: {} up", listed(&up)));
        self.breathe().await;
        Ok(())
    }

    /// One outage and its end.
    async fn act(&mut self, killed: &BTreeSet<TargetId>) -> Result<(), RehearseError> {
        self.kill(killed).await?;
        let limit = self.reach(|thresholds| thresholds.fall) + self.longest(|p| p.hold_down) + SLACK;
        let late = self.until(limit, cues::still_to_leave).await?;
        self.late(late);
        self.breathe().await;
        self.second_run().await?;
        self.breathe().await;
        self.bring_back().await?;
        let limit = self.reach(|thresholds| thresholds.rise)
            + self.longest(|p| p.failback_after)
            + self.longest(|p| p.hold_down)
            + SLACK;
        self.ask_for_failbacks(limit).await?;
        let homes = self.homes_to_be();
        let late = self.until(limit, |status, facts| cues::still_to_return(status, facts, &homes)).await?;
        self.late(late);
        self.breathe().await;
        self.second_run().await
    }

    async fn kill(&mut self, killed: &BTreeSet<TargetId>) -> Result<(), RehearseError> {
        let dead = addresses(&self.cast.config, killed);
        let status = self.status().await?;
        let fate = |published: &Addresses, name: &DomainName| match published.is_disjoint(&dead) {
            true => Fate::Untouched,
            false if self.cast.survives(name, &dead) => Fate::Moves,
            false => Fate::Stays,
        };
        let records = status.report.records.iter();
        let before: BTreeMap<DomainName, Addresses> =
            records.map(|r| (r.name.clone(), cues::published(&r.values))).collect();
        let fates = before.iter().map(|(name, held)| (name.clone(), fate(held, name))).collect();
        self.book.facts().turns_told.clear();
        let began = self.book.now();
        self.stage.kill(&dead).await;
        let names: Vec<&str> = killed.iter().map(TargetId::as_str).collect();
        let places: Vec<String> = dead.iter().map(ToString::to_string).collect();
        let words = format!("OUTAGE: {} killed ({})", is_or_are(&names), places.join(", "));
        let mut entry = Entry::new(began, Kind::Killed, words);
        entry.targets = killed.iter().cloned().collect();
        let scene =
            Scene { killed: killed.clone(), dead, began, published: before, fates, ..Scene::default() };
        self.book.facts().scenes.push(scene);
        self.book.tell(entry);
        Ok(())
    }

    async fn bring_back(&mut self) -> Result<(), RehearseError> {
        let status = self.status().await?;
        let mut facts = self.book.facts();
        facts.turns_told.clear();
        let scene = facts.scenes.last_mut().expect("an outage was begun");
        scene.come_back = status
            .report
            .records
            .iter()
            .filter(|r| scene.fates.get(&r.name) == Some(&Fate::Moves))
            .filter(|r| self.comes_back(&r.name, &r.targets))
            .map(|r| r.name.clone())
            .collect();
        let (killed, dead) = (scene.killed.clone(), scene.dead.clone());
        let now = self.book.now();
        scene.returned = Some(now);
        drop(facts);
        self.stage.raise(&dead).map_err(StageError::Listen)?;
        let names: Vec<&str> = killed.iter().map(TargetId::as_str).collect();
        let mut entry = Entry::new(now, Kind::Returned, format!("RETURN: {} back", is_or_are(&names)));
        entry.targets = killed.into_iter().collect();
        self.book.tell(entry);
        Ok(())
    }

    /// Will a record that serves these targets be changed when all are up again? One of a tier stays where it is, since
    /// its equals are no better.
    fn comes_back(&self, name: &DomainName, serving: &[TargetId]) -> bool {
        let policy = &self.cast.config.records[name].policy;
        let tier = serving.iter().filter_map(|target| policy.tier_of(target)).min();
        policy.serve == Serve::All || tier != Some(0)
    }

    /// `failback: {mode: manual}` waits for a person, and here she is.
    async fn ask_for_failbacks(&mut self, limit: Duration) -> Result<(), RehearseError> {
        let config = Arc::clone(&self.cast.config);
        let waits = |name: &&DomainName| config.records[*name].policy.failback == FailbackMode::Manual;
        let status = self.status().await?;
        let away = |name: &&DomainName| {
            let serving = status.report.records.iter().find(|r| r.name == **name).map(|r| r.targets.clone());
            let policy = &config.records[*name].policy;
            serving.into_iter().flatten().filter_map(|t| policy.tier_of(&t)).min().is_some_and(|t| t > 0)
        };
        let scene = self.book.facts().scenes.last().cloned().unwrap_or_default();
        let asked: Vec<DomainName> = scene.come_back.iter().filter(waits).filter(away).cloned().collect();
        if asked.is_empty() {
            return Ok(());
        }
        self.until(limit, |status, _| cues::not_up(status)).await?;
        self.breathe().await;
        for name in asked {
            let (answer, answered) = oneshot::channel();
            let mut entry = Entry::new(self.book.now(), Kind::Asked, format!("failover failback {name}"));
            entry.record = Some(name.clone());
            self.book.tell(entry);
            let sent = self.commander.send(Command::Failback(name, answer)).await;
            sent.map_err(|_| RehearseError::AgentEnded)?;
            answered.await.map_err(|_| RehearseError::AgentEnded)?;
        }
        Ok(())
    }

    /// What each record shall publish when the dead are back.
    fn homes_to_be(&self) -> BTreeMap<DomainName, Addresses> {
        let facts = self.book.facts();
        let Some(scene) = facts.scenes.last() else { return BTreeMap::new() };
        let home = |(name, home): (&DomainName, &Addresses)| {
            let stays = match scene.fates.get(name) {
                _ if scene.come_back.contains(name) => None,
                Some(Fate::Moves) => facts.answer(name),
                _ => scene.published.get(name),
            };
            (name.clone(), stays.unwrap_or(home).clone())
        };
        facts.homes.iter().map(home).collect()
    }

    /// The same once more, as cron would do it: on the same zone and the same state, beside the agent, at a time when
    /// that has nothing to do.
    async fn second_run(&mut self) -> Result<(), RehearseError> {
        let (writes, events) = (self.stage.mock.writes(), self.book.facts().events.len());
        let world = self.stage.world(self.cast, &self.book, &self.clock);
        let mode = Mode::Once { deadline: ONCE_DEADLINE, max_age: ONCE_MAX_AGE };
        let agent = Agent::new(Arc::clone(&self.cast.config), world, mode).await?;
        let mut run = Task(tokio::spawn(agent.run(std::future::pending())));
        while !run.0.is_finished() {
            self.show(false);
            sleep(BEAT).await;
        }
        let ending: Ending = (&mut run.0).await.map_err(|_| RehearseError::AgentEnded)?;
        let made = SecondRun {
            writes: self.stage.mock.writes() - writes,
            events: self.book.facts().events.len() - events,
            settled: ending.settled,
        };
        self.tell(Kind::SecondRun, format!("a second run: {} writes, {} messages", made.writes, made.events));
        self.book.facts().second_runs.push(made);
        Ok(())
    }

    fn late(&self, late: Vec<String>) {
        for what in &late {
            self.tell(Kind::Late, format!("NOT IN TIME: {what}"));
        }
        if let Some(scene) = self.book.facts().scenes.last_mut() {
            scene.late.extend(late);
        }
    }

    /// What is not ours must be as it was: by the mock's own account, and by DNS.
    async fn look_for_trespasses(&self) {
        let mut found = self.stage.mock.violations();
        let Ok(onlooker) = Onlooker::of(self.stage.dns, self.book.clone()).await else {
            found.push("the DNS server could not be asked at the end".into());
            return self.book.facts().trespasses.extend(found);
        };
        let text = |name: &DomainName| (name.clone(), RecordType::TXT, NOT_OURS.to_owned());
        let address = |name: &DomainName| (name.clone(), RecordType::A, BYSTANDERS_ADDRESS.to_string());
        let bystanders = self.stage.bystanders();
        let beside = self.cast.homes.iter().filter(|(_, home)| !is_alias(home)).map(|(name, _)| name);
        let all = beside.chain(bystanders).map(text).chain(bystanders.iter().map(address));
        for (name, kind, wanted) in all.collect::<Vec<_>>() {
            match onlooker.ask(&name, kind).await {
                Some(data) if data.len() == 1 && data.iter().all(|d| d.trim_matches('"') == wanted) => {}
                Some(data) => {
                    found.push(format!("{name} {kind} held {wanted:?} and now {data:?}"));
                }
                None => found.push(format!("{name} {kind} was not answered at the end")),
            }
        }
        self.book.facts().trespasses.extend(found);
    }

    /// The longest way to a verdict by any check, jitter and a slow probe included.
    fn reach(&self, count: impl Fn(&crate::decision::Thresholds) -> u32) -> Duration {
        let checks = self.cast.config.targets.values().flat_map(|target| target.checks.values());
        let reach = checks.map(|(check, thresholds)| {
            check.interval * 2 + check.timeout + check.fast_interval * count(thresholds)
        });
        reach.max().unwrap_or_default()
    }

    fn longest(&self, time: impl Fn(&crate::decision::RecordPolicy) -> Duration) -> Duration {
        self.cast.config.records.values().map(|record| time(&record.policy)).max().unwrap_or_default()
    }
}

fn is_or_are(names: &[&str]) -> String {
    format!("{} {}", listed(names), if names.len() == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use providers::Ttl;
    use providers::mock::StoredSet;

    use super::*;
    use crate::config::Config;

    const QUICK: &str = "
agent: {id: test, witnesses: [{tcp: '192.0.2.200:443'}]}
checks:
  web: {http: {port: 8080, body: {regex: '^ok'}}, interval: 200ms, fast_interval: 100ms, timeout: 200ms}
targets:
  a: {address: [192.0.2.1, '2001:db8::1'], checks: [web]}
  b: {address: 192.0.2.2, checks: [web]}
providers: {zone: {type: mock}}
records:
  - {name: www.example.com, provider: zone, ttl: 60, targets: [a, b], failback: {after: 500ms}, hold_down: 100ms}
";

    /// Targets with host names are played as others are: a CNAME moves and comes back.
    #[tokio::test]
    async fn an_outage_of_a_host_name_is_played() {
        let named = QUICK.replace("[192.0.2.1, '2001:db8::1']", "a.example.net");
        let named = named.replace("address: 192.0.2.2", "address: b.example.net");
        let config = Config::parse("test", &named, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        let cast = Cast::of(&config, false);
        let outcome = rehearse(&cast, &mut |_| ()).await.unwrap();
        assert!(outcome.kept, "{outcome:#?}");
        assert_eq!((outcome.records[0].writes, outcome.records[0].writes_due), (2, 2));
    }

    /// The whole play, with somebody else at the zone in the middle of it: the verdict does not go by the agent's word.
    #[tokio::test]
    async fn a_promise_broken_behind_the_agent_s_back_is_seen() {
        let config = Config::parse("test", QUICK, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
        let cast = Cast::of(&config, false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let book = Book::new(Arc::clone(&clock), &cast);
        let stage = Arc::new(Stage::set(&cast).await.unwrap());
        let mock = stage.mock.clone();
        let bystander = stage.bystanders().first().unwrap().clone();
        let mut kinds = Vec::new();
        let mut view = |entry: &Entry| {
            kinds.push(entry.kind);
            if entry.kind == Kind::Killed {
                let values = vec!["192.0.2.66".into()];
                let set = StoredSet { ttl: Ttl(60), record_type: "A".into(), values };
                mock.edit_all(&bystander, [set]).unwrap();
            }
        };
        let outcome = on_stage(&cast, stage, book, clock, &mut view).await.unwrap();
        assert!(!outcome.kept);
        let broken: Vec<&str> = outcome.promises.iter().filter(|p| !p.kept).map(|p| p.name).collect();
        assert_eq!(broken, ["never_foreign"], "{outcome:#?}");
        assert_eq!((outcome.records[0].writes, outcome.records[0].writes_due), (2, 2));
        for kind in [Kind::Ready, Kind::Killed, Kind::Written, Kind::Served, Kind::SecondRun, Kind::Returned]
        {
            assert!(kinds.contains(&kind), "{kind:?}: {kinds:?}");
        }
        assert!(outcome.timeline.is_sorted_by_key(|entry| entry.at));
    }
}
