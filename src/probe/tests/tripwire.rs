//! The connection that breaks when a target dies: what it brings forward, and what it never costs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::server::{Server, serve, until_closed};
use super::{LOOPBACK, tcp_only};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Endpoint, Moment, Outcome};
use crate::probe::cadence::{Cadence, spread};
use crate::probe::engine::EngineJob;
use crate::probe::{Check, Engine, Finding, JobKey, Roots};

/// How long anything is waited for before the test fails.
const DEADLINE: Duration = Duration::from_mins(1);
/// What does not come within this is not coming.
const QUIET: Duration = Duration::from_millis(500);
/// No test lives to see the probe after the first.
const NEVER: Duration = Duration::from_hours(1);
const FAST: Duration = Duration::from_millis(10);

/// An engine with so many jobs of this check.
struct Stage {
    engine: Engine,
    ids: Vec<u64>,
    findings: mpsc::Receiver<Vec<Finding>>,
}

impl Stage {
    fn of(check: Check, jobs: u32, limit: usize) -> Stage {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let engine = Engine::start_bounded(Arc::clone(&clock), Roots::Only(Vec::new()), limit).unwrap();
        let (out, findings) = mpsc::channel(1024);
        engine.tell(out);
        let check = Arc::new(check);
        let begin = |n: u32| {
            let id = engine.id();
            let target = format!("host{n}").as_str().into();
            let key = JobKey::Endpoint(Endpoint { target, check: "port".into(), address: LOOPBACK.into() });
            let cadence = Cadence::new(check.rhythm(), spread(jobs as usize), clock.moment(), n.into());
            engine.begin(EngineJob { id, key, address: LOOPBACK, check: Arc::clone(&check), cadence });
            id
        };
        let ids = (0..jobs).map(begin).collect();
        Stage { engine, ids, findings }
    }

    /// Outcomes as they come; at least one.
    async fn next(&mut self) -> Vec<(Moment, Outcome)> {
        let found = timeout(DEADLINE, self.findings.recv()).await.expect("a finding").unwrap();
        let seen = found.into_iter().map(|finding| match finding {
            Finding::Observation(seen) => (seen.started, seen.outcome),
            Finding::Sighting(sighting) => panic!("{sighting:?}"),
        });
        seen.collect()
    }

    async fn is_quiet(&mut self) -> bool {
        timeout(QUIET, self.findings.recv()).await.is_err()
    }
}

fn wired(port: u16, interval: Duration) -> Check {
    Check { interval, fast_interval: FAST, tripwire: true, ..tcp_only(port) }
}

async fn until(what: &str, mut is_it: impl FnMut() -> bool) {
    let waited = timeout(DEADLINE, async {
        while !is_it() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}"));
}

/// A process that holds whatever is connected to it, and counts what is open; killed when it is aborted.
async fn process(at: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>, JoinHandle<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let at = listener.local_addr().unwrap();
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let task = tokio::spawn(async move {
        let mut held = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let count = Arc::clone(&count);
            count.fetch_add(1, Ordering::SeqCst);
            held.spawn(async move {
                until_closed(&mut stream).await;
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (at, open, task)
}

/// Tells how many connections came, and closes each at once.
async fn closes_at_once() -> (Server, Arc<AtomicUsize>) {
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    let server = serve(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        drop(stream);
        std::future::ready(())
    });
    (server.await, came)
}

/// bad day: target: its process is killed between two probes | a `tripwire` breaks: it is probed at once, the interval aside
#[tokio::test]
async fn a_process_that_is_killed_is_probed_at_once() {
    let (at, open, process) = process((LOOPBACK, 0).into()).await;
    let mut stage = Stage::of(wired(at.port(), NEVER), 1, 64);
    assert_eq!(stage.next().await[0].1, Outcome::Pass);
    until("the tripwire stands alone", || open.load(Ordering::SeqCst) == 1).await;
    assert!(stage.is_quiet().await);
    process.abort();
    let found = stage.next().await;
    assert!(matches!(&found[0].1, Outcome::Fail(_)), "{found:?}");
    assert!(stage.is_quiet().await, "to probe further is for others to say");
}

/// What was killed and is back before the probe looks is well, and watched again.
#[tokio::test]
async fn a_process_that_is_back_is_held_again() {
    let (at, _, first) = process((LOOPBACK, 0).into()).await;
    let interval = Duration::from_millis(200);
    let mut stage = Stage::of(wired(at.port(), interval), 1, 64);
    assert_eq!(stage.next().await[0].1, Outcome::Pass);
    sleep(interval * 2).await;
    first.abort();
    assert!(first.await.is_err());
    let (_, open, _second) = process(at).await;
    until("another tripwire", || open.load(Ordering::SeqCst) == 1).await;
    drop(stage);
}

/// bad day: target: closes each idle connection at once, under `tripwire` | two early probes, then longer pauses; no storm
#[tokio::test]
async fn a_server_that_closes_at_once_makes_no_storm() {
    let (server, came) = closes_at_once().await;
    let mut stage = Stage::of(wired(server.port, NEVER), 1, 64);
    let (first, _) = stage.next().await[0].clone();
    let (second, outcome) = stage.next().await[0].clone();
    assert_eq!(outcome, Outcome::Pass, "it decides nothing");
    let (third, outcome) = stage.next().await[0].clone();
    assert_eq!(outcome, Outcome::Pass, "what is killed may have met the first with its last socket");
    assert!(second.since(first) >= FAST && third.since(second) >= FAST, "no two are closer than fast ones");
    assert!(stage.is_quiet().await);
    assert_eq!(came.load(Ordering::SeqCst), 4, "three probes and a tripwire");
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_tried_ever_less_often() {
    let (server, came) = closes_at_once().await;
    let interval = Duration::from_millis(50);
    let mut stage = Stage::of(wired(server.port, interval), 1, 64);
    let (first, _) = stage.next().await[0].clone();
    let (mut probes, mut last) = (1, first);
    while last.since(first) < Duration::from_secs(4) {
        for (started, outcome) in stage.next().await {
            assert_eq!(outcome, Outcome::Pass);
            (probes, last) = (probes + 1, started);
        }
    }
    let took = last.since(first);
    // After 1, 3, 7, 15 seconds.
    let most_wires = 2 + (took.as_secs() + 1).ilog2();
    let wires = came.load(Ordering::SeqCst).saturating_sub(probes);
    assert!(wires <= most_wires as usize, "{wires} tripwires in {took:?}");
    let planned = took.as_millis() / interval.as_millis() + 2;
    assert!(probes as u128 <= planned + 2 * u128::from(most_wires), "{probes} probes in {took:?}");
}

#[tokio::test]
async fn a_server_that_speaks_first_has_not_hung_up() {
    let server = serve(|mut stream| async move {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
        until_closed(&mut stream).await;
    })
    .await;
    let mut stage = Stage::of(wired(server.port, NEVER), 1, 64);
    assert_eq!(stage.next().await[0].1, Outcome::Pass);
    assert!(stage.is_quiet().await);
}

#[tokio::test]
async fn what_is_probed_no_more_is_held_no_more() {
    let (at, open, _process) = process((LOOPBACK, 0).into()).await;
    let mut stage = Stage::of(wired(at.port(), NEVER), 2, 64);
    let mut seen = 0;
    while seen < 2 {
        seen += stage.next().await.len();
    }
    until("both stand", || open.load(Ordering::SeqCst) == 2).await;
    stage.engine.retire(stage.ids[0]);
    until("one was closed", || open.load(Ordering::SeqCst) == 1).await;
    drop(stage);
    until("all were closed", || open.load(Ordering::SeqCst) == 0).await;
}

/// bad day: agent: too few descriptors for probes and `tripwire`s | tripwires are given up first; every target is probed
#[tokio::test]
async fn with_few_descriptors_tripwires_are_given_up_and_not_probes() {
    let (at, open, _process) = process((LOOPBACK, 0).into()).await;
    let mut stage = Stage::of(wired(at.port(), Duration::from_millis(50)), 12, 4);
    let mut seen = 0;
    while seen < 12 * 20 {
        for (_, outcome) in stage.next().await {
            assert_eq!(outcome, Outcome::Pass);
            seen += 1;
        }
        // Those under way, and of this machine's ends a few that the server has not seen closed yet.
        assert!(open.load(Ordering::SeqCst) <= 4 + 12, "{open:?}");
    }
}
