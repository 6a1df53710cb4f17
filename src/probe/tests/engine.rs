//! The engine against servers on loopback: cadence, turns, findings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::server::{Server, answers, serve, until_closed};
use super::{LOOPBACK, check, http_check};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Endpoint, Outcome};
use crate::probe::cadence::Cadence;
use crate::probe::engine::EngineJob;
use crate::probe::{Check, CheckKind, Engine, Finding, Job, JobKey, Pace, Roots, Scheduler, SystemProber};

/// How long anything is waited for before the test fails.
const DEADLINE: Duration = Duration::from_mins(1);
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn key(name: &str) -> JobKey {
    JobKey::Endpoint(Endpoint { target: name.into(), check: "web".into(), address: LOOPBACK.into() })
}

fn every(interval: Duration, server: &Server) -> Arc<Check> {
    let times = check(CheckKind::Http(http_check(server.port)));
    Arc::new(Check { interval, fast_interval: interval, timeout: Duration::from_millis(300), ..times })
}

/// An engine that may make so many probes at a time, with these jobs.
fn engine(
    limit: usize,
    room: usize,
    jobs: &[(String, Arc<Check>)],
) -> (Engine, mpsc::Receiver<Vec<Finding>>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let engine = Engine::start_bounded(Arc::clone(&clock), Roots::Only(Vec::new()), limit).unwrap();
    let (out, findings) = mpsc::channel(room);
    engine.tell(out);
    for (seed, (name, check)) in (0..).zip(jobs) {
        let cadence = Cadence::new(check.rhythm(), Duration::ZERO, clock.moment(), seed);
        let (id, check) = (engine.id(), Arc::clone(check));
        engine.begin(EngineJob { id, key: key(name), address: LOOPBACK, check, cadence });
    }
    (engine, findings)
}

fn named(finding: Finding) -> (String, Outcome) {
    match finding {
        Finding::Observation(seen) => (seen.endpoint.target.to_string(), seen.outcome),
        Finding::Sighting(sighting) => panic!("{sighting:?}"),
    }
}

/// With one queue for all, those that answer would have their turn once in each round of those that hang: four times here.
#[tokio::test]
async fn twenty_that_hang_keep_none_that_answers_from_its_cadence() {
    let hangs = serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let fine = answers(FINE).await;
    let of = |name: &str, n: usize, server| {
        let check = every(Duration::from_millis(50), server);
        (0..n).map(|n| (format!("{name}{n}"), Arc::clone(&check))).collect::<Vec<_>>()
    };
    let (_engine, mut findings) = engine(8, 64, &[of("hangs", 20, &hangs), of("fine", 3, &fine)].concat());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let each_hung_twice = |seen: &BTreeMap<String, usize>| {
        (0..20).all(|n| seen.get(&format!("hangs{n}")).is_some_and(|times| *times >= 2))
    };
    let counted = timeout(DEADLINE, async {
        while !each_hung_twice(&seen) {
            for (name, outcome) in findings.recv().await.unwrap().into_iter().map(named) {
                assert_eq!(outcome == Outcome::Pass, name.starts_with("fine"), "{name}: {outcome:?}");
                *seen.entry(name).or_default() += 1;
            }
        }
    });
    counted.await.expect("each is probed");
    for n in 0..3 {
        assert!(seen[&format!("fine{n}")] >= 12, "{seen:?}");
    }
}

#[tokio::test]
async fn while_nobody_takes_findings_no_probe_begins_and_none_is_lost() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = serve(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            super::server::request(&mut stream).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, FINE.as_bytes()).await;
        }
    })
    .await;
    let check = every(Duration::from_millis(10), &server);
    let jobs: Vec<_> = (0..4).map(|n| (format!("fine{n}"), Arc::clone(&check))).collect();
    let (_engine, mut findings) = engine(64, 1, &jobs);
    // The probes come to rest.
    let mut before = 0;
    let rests = timeout(DEADLINE, async {
        loop {
            sleep(Duration::from_millis(300)).await;
            let now = asked.load(Ordering::SeqCst);
            if now > 0 && now == before {
                break;
            }
            before = now;
        }
    });
    rests.await.expect("an engine that nobody listens to rests");
    let mut told = 0;
    while told < before {
        told += timeout(DEADLINE, findings.recv()).await.expect("what was probed is told").unwrap().len();
    }
    let more = timeout(DEADLINE, findings.recv()).await;
    assert!(more.expect("it goes on").is_some());
}

#[tokio::test]
async fn what_is_retired_or_no_longer_waited_for_closes_its_connection() {
    let (open, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&open), Arc::clone(&closed));
    let hangs = serve(move |mut stream| {
        let (open, closed) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        async move {
            open.fetch_add(1, Ordering::SeqCst);
            until_closed(&mut stream).await;
            closed.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let long = Arc::new(Check { timeout: DEADLINE * 10, ..Check::clone(&every(DEADLINE, &hangs)) });
    let (engine, _findings) = engine(8, 8, &[("hangs".into(), Arc::clone(&long))]);
    let until = |count: Arc<AtomicUsize>, wanted| async move {
        let reached = async {
            while count.load(Ordering::SeqCst) < wanted {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{wanted}"));
    };
    until(Arc::clone(&open), 1).await;
    tokio::select! {
        report = engine.look(LOOPBACK, &long, long.timeout) => panic!("{report:?}"),
        () = until(Arc::clone(&open), 2) => {}
    }
    until(Arc::clone(&closed), 1).await;
    // The first name that this engine gave was that of its job.
    engine.retire(0);
    until(closed, 2).await;
}

/// One probe an hour, and yet one whenever it is asked for, and many when it hurries.
#[tokio::test]
async fn a_scheduler_gives_its_orders_to_the_engine() {
    let server = answers(FINE).await;
    let hourly = every(Duration::from_hours(1), &server);
    let hourly = Arc::new(Check { fast_interval: Duration::from_millis(20), ..Check::clone(&hourly) });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let prober = Arc::new(SystemProber::new(Arc::clone(&clock), Roots::Only(Vec::new())));
    let (out, mut findings) = mpsc::channel(16);
    let job = |name: &str| Job { key: key(name), place: LOOPBACK.into(), check: Arc::clone(&hourly) };
    let mut scheduler = Scheduler::start(vec![job("web")], prober, clock, out, 1);
    let mut next = async |wanted: &str| loop {
        let found = timeout(DEADLINE, findings.recv()).await.expect(wanted).expect("it runs");
        if found.into_iter().map(named).any(|found| found == (wanted.to_owned(), Outcome::Pass)) {
            break;
        }
    };
    next("web").await;
    scheduler.probe_now(&key("web"));
    next("web").await;
    scheduler.set_pace(&key("web"), Pace::Fast);
    for _ in 0..5 {
        next("web").await;
    }
    scheduler.replace(vec![job("other")], |_, _, _| true);
    next("other").await;
    scheduler.stop().await;
}
