//! The engine against servers on loopback: cadence, turns, findings.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::server::{Server, answers, serve, until_closed};
use super::{LOOPBACK, check, http_check};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Endpoint, Moment, Now, Outcome};
use crate::probe::cadence::{Cadence, spread};
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
    let jobs: Vec<_> = jobs.iter().map(|(name, check)| (name.clone(), LOOPBACK, Arc::clone(check))).collect();
    engine_at(limit, room, &jobs)
}

fn engine_at(
    limit: usize,
    room: usize,
    jobs: &[(String, IpAddr, Arc<Check>)],
) -> (Engine, mpsc::Receiver<Vec<Finding>>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let engine = Engine::start_bounded(Arc::clone(&clock), Roots::Only(Vec::new()), limit).unwrap();
    let (out, findings) = mpsc::channel(room);
    engine.tell(out);
    for (seed, (name, address, check)) in (0..).zip(jobs) {
        let cadence = Cadence::new(check.rhythm(), spread(jobs.len()), clock.moment(), seed);
        let (id, check) = (engine.id(), Arc::clone(check));
        engine.begin(EngineJob { id, key: key(name), address: *address, check, cadence });
    }
    (engine, findings)
}

/// What the engine of the tests may have open.
fn take_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
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
            let _ = stream.write_all(FINE.as_bytes()).await;
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

/// How many targets are in trouble together; `CROWD=10000` for as many as a release is held to.
fn crowd() -> usize {
    std::env::var("CROWD").map_or(2000, |text| text.parse().expect("a number"))
}

/// Addresses of this machine, as many as wanted: no two targets share their local ports.
fn place(n: usize) -> IpAddr {
    let [_, high, middle, low] = u32::try_from(n).unwrap().to_be_bytes();
    IpAddr::from([127, 1 + high, middle, low])
}

/// A server on all addresses of this machine that gives each connection to `script`; as many may wait as the system allows.
fn serve_everywhere<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let listener = socket.listen(4096).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            // Without a descriptor the next attempt is as good.
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(script(stream))),
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        }
    });
    port
}

async fn answer(mut stream: TcpStream, text: &str) {
    super::server::request(&mut stream).await;
    let _ = stream.write_all(text.as_bytes()).await;
}

/// A crowd in trouble, and twenty targets that answer, on an engine that may have `limit` probes under way. Each of the crowd
/// fails, three times, as it should, and those that answer never fail, and have their turn again and again meanwhile.
async fn among_a_crowd<F>(
    limit: usize,
    within: Duration,
    is_right: impl Fn(&str) -> bool,
    script: impl Fn(TcpStream) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    take_descriptors();
    let bad = serve_everywhere(script);
    let fine = serve_everywhere(|stream| answer(stream, FINE));
    // Those that hang are followed, where there is room.
    let check = |port, interval: Duration, timeout: Duration| {
        let usual = check(CheckKind::Http(http_check(port)));
        let fast_interval = interval.min(timeout / 4);
        Arc::new(Check { interval, fast_interval, timeout, ..usual })
    };
    let (slow, quick) = (check(bad, within * 2, within), check(fine, Duration::from_millis(100), DEADLINE));
    let job = |name: String, n, check: &Arc<Check>| (name, place(n), Arc::clone(check));
    let crowd = crowd();
    let mut jobs: Vec<_> = (0..crowd).map(|n| job(format!("bad{n}"), n + 1, &slow)).collect();
    jobs.extend((0..20).map(|n| job(format!("fine{n}"), 1 + crowd + n, &quick)));
    let (_engine, mut findings) = engine_at(limit, 64, &jobs);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut thrice, mut rounds) = (0, 0);
    let all = timeout(DEADLINE * 5, async {
        while thrice < crowd {
            for (name, outcome) in findings.recv().await.unwrap().into_iter().map(named) {
                let times = seen.entry(name.clone()).or_default();
                *times += 1;
                if name.starts_with("fine") {
                    assert_eq!(outcome, Outcome::Pass, "{name}");
                    rounds += 1;
                } else {
                    assert!(matches!(&outcome, Outcome::Fail(why) if is_right(why)), "{name}: {outcome:?}");
                    thrice += usize::from(*times == 3);
                }
            }
        }
    });
    let all = all.await;
    assert!(all.is_ok(), "{thrice} of {crowd} were seen three times, {rounds} passes");
    // In the time of a time-out at the least, which is fifteen times their interval at the least.
    for n in 0..20 {
        assert!(seen[&format!("fine{n}")] >= 6, "fine{n}: {seen:?}");
    }
}

const SHORT: Duration = Duration::from_millis(1500);

/// bad day: targets: thousands hang together | each is a failure in its time, and the others keep their cadence
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_hangs() {
    let silent = |why: &str| why.starts_with("no answer within") || why.starts_with("no TCP connection");
    among_a_crowd(crowd() + 100, SHORT, silent, |mut stream| async move { until_closed(&mut stream).await })
        .await;
}

/// bad day: agent: 1,024 open files and thousands of targets that hang | each has its turn, and those that answer their cadence
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_hangs_and_few_descriptors() {
    let silent = |why: &str| why.starts_with("no answer within") || why.starts_with("no TCP connection");
    let briefly = Duration::from_millis(300);
    among_a_crowd(768, briefly, silent, |mut stream| async move { until_closed(&mut stream).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_resets() {
    let reset = |why: &str| why.ends_with("reset the connection");
    among_a_crowd(crowd() + 100, SHORT, reset, |stream| async move {
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_answers_a_byte_at_a_time() {
    let cut = |why: &str| why.starts_with("head of the answer not finished") || why.starts_with("no ");
    among_a_crowd(crowd() + 100, SHORT, cut, |mut stream| async move {
        for byte in FINE.as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
}

/// All pass, then all fail in one moment and all are hurried: none is forgotten, none is told twice as what it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_fails_at_once() {
    take_descriptors();
    let broken = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&broken);
    let port = serve_everywhere(move |stream| {
        let broken = theirs.load(Ordering::SeqCst);
        answer(stream, if broken { "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" } else { FINE })
    });
    let (interval, fast_interval) = (DEADLINE, Duration::from_secs(2));
    let usual = check(CheckKind::Http(http_check(port)));
    let check = Arc::new(Check { interval, fast_interval, timeout: DEADLINE, ..usual });
    let crowd = crowd();
    let jobs: Vec<_> = (0..crowd).map(|n| (format!("{n}"), place(n + 1), Arc::clone(&check))).collect();
    let (engine, mut findings) = engine_at(crowd + 100, 64, &jobs);
    let mut fails = vec![0; crowd];
    let mut passed = 0;
    let all = timeout(DEADLINE * 5, async {
        while fails.iter().any(|times| *times < 3) {
            for (name, outcome) in findings.recv().await.unwrap().into_iter().map(named) {
                let times: &mut usize = &mut fails[name.parse::<usize>().unwrap()];
                match outcome {
                    Outcome::Pass => {
                        assert_eq!(*times, 0, "{name} passed again");
                        passed += 1;
                    }
                    Outcome::Fail(why) if why.contains("503") => *times += 1,
                    other => panic!("{name}: {other:?}"),
                }
            }
            if passed >= crowd && !broken.swap(true, Ordering::SeqCst) {
                for id in 0..crowd as u64 {
                    engine.set_pace(id, Pace::Fast);
                    engine.probe_now(id);
                }
            }
        }
    });
    assert!(
        all.await.is_ok(),
        "{} have not failed three times",
        fails.iter().filter(|times| **times < 3).count()
    );
}

/// Of four descriptors one may be that of a spare socket, and gives way whenever a probe needs it.
#[tokio::test]
async fn spare_sockets_keep_no_probe_from_its_turn() {
    let port = serve_everywhere(|mut stream| async move { until_closed(&mut stream).await });
    let often = Duration::from_millis(20);
    let check = Arc::new(Check { interval: often, fast_interval: often, ..super::tcp_only(port) });
    let jobs: Vec<_> = (0..12).map(|n| (format!("{n}"), place(n + 1), Arc::clone(&check))).collect();
    let (_engine, mut findings) = engine_at(4, 64, &jobs);
    let mut seen = [0; 12];
    let all = timeout(DEADLINE, async {
        while seen.iter().any(|times| *times < 20) {
            for (name, outcome) in findings.recv().await.unwrap().into_iter().map(named) {
                assert_eq!(outcome, Outcome::Pass, "{name}");
                seen[name.parse::<usize>().unwrap()] += 1;
            }
        }
    });
    assert!(all.await.is_ok(), "{seen:?}");
}

/// A clock that breaks once, when it is read for the so-many-th time on the engine's thread.
struct Fragile {
    clock: SystemClock,
    left: AtomicIsize,
}

impl Clock for Fragile {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn moment(&self) -> Moment {
        let is_theirs = std::thread::current().name() == Some("probes");
        assert!(
            !is_theirs || self.left.fetch_sub(1, Ordering::SeqCst) != 0,
            "the clock breaks, as it should"
        );
        self.clock.moment()
    }
}

/// Wherever the engine or a probe breaks, the probes go on: those of jobs, and those that somebody waits for.
#[tokio::test]
async fn whatever_breaks_probing_goes_on() {
    let server = answers(FINE).await;
    let often = every(Duration::from_millis(20), &server);
    let often = Arc::new(Check { timeout: DEADLINE, ..Check::clone(&often) });
    for breaks_at in 1..40 {
        let clock = Arc::new(Fragile { clock: SystemClock::start(), left: AtomicIsize::new(breaks_at) });
        let engine = Engine::start_bounded(Arc::clone(&clock) as _, Roots::Only(Vec::new()), 8).unwrap();
        let (out, mut findings) = mpsc::channel(16);
        engine.tell(out);
        for n in 0..3 {
            let cadence = Cadence::new(often.rhythm(), Duration::ZERO, clock.moment(), n);
            let (id, check) = (engine.id(), Arc::clone(&often));
            engine.begin(EngineJob { id, key: key(&format!("fine{n}")), address: LOOPBACK, check, cadence });
        }
        let look = timeout(DEADLINE, engine.look(LOOPBACK, &often, DEADLINE)).await;
        let outcome = look.unwrap_or_else(|_| panic!("broken at {breaks_at}: no answer")).outcome;
        assert!(matches!(outcome, Outcome::Pass | Outcome::Unknown(_)), "{outcome:?}");
        let mut passes: BTreeMap<String, usize> = BTreeMap::new();
        let each = timeout(DEADLINE, async {
            while passes.len() < 3 || passes.values().any(|times| *times < 8) {
                for (name, outcome) in findings.recv().await.unwrap().into_iter().map(named) {
                    assert!(matches!(outcome, Outcome::Pass | Outcome::Unknown(_)), "{outcome:?}");
                    *passes.entry(name).or_default() += usize::from(outcome == Outcome::Pass);
                }
            }
        });
        assert!(each.await.is_ok(), "broken at {breaks_at}: {passes:?}");
        assert!(clock.left.load(Ordering::SeqCst) < 0, "it did not break");
    }
}

/// Whoever listened has gone: nothing is probed for nobody, single looks are still made, and the next listener hears all.
#[tokio::test]
async fn an_engine_outlives_its_listener() {
    let server = answers(FINE).await;
    let often = every(Duration::from_millis(20), &server);
    let (engine, findings) = engine(8, 4, &[("fine".into(), Arc::clone(&often))]);
    drop(findings);
    for _ in 0..5 {
        sleep(Duration::from_millis(20)).await;
        assert_eq!(engine.look(LOOPBACK, &often, DEADLINE).await.outcome, Outcome::Pass);
    }
    let (out, mut findings) = mpsc::channel(4);
    engine.tell(out);
    for _ in 0..3 {
        assert!(timeout(DEADLINE, findings.recv()).await.expect("it goes on").is_some());
    }
}
