//! The scheduler on paused time, over a prober that follows a script.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::tcp_only;
use crate::clock::{Clock, TokioClock};
use crate::decision::{Endpoint, Moment, Outcome, Place, Timings};
use crate::probe::{Check, Finding, Job, JobKey, Pace, Prober, Report, Scheduler};

const SECOND: Duration = Duration::from_secs(1);

/// Passes after a time that depends on the address; counts how many run at a time.
#[derive(Default)]
struct Scripted {
    takes: Mutex<BTreeMap<Place, Duration>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

struct Running<'p>(&'p Scripted);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, place: &Place, _: &Arc<Check>) -> Report {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let _running = Running(self);
        let takes = self.takes.lock().unwrap().get(place).copied().unwrap_or(Duration::from_millis(5));
        sleep(takes).await;
        Report { outcome: Outcome::Pass, timings: Timings::default(), certificate: None }
    }
}

struct Stage {
    prober: Arc<Scripted>,
    clock: Arc<TokioClock>,
    scheduler: Scheduler,
    findings: mpsc::Receiver<Vec<Finding>>,
}

fn host(number: u16) -> Place {
    let [high, low] = number.to_be_bytes();
    IpAddr::from([10, 0, high, low]).into()
}

fn key(number: u16) -> JobKey {
    JobKey::Endpoint(Endpoint {
        target: format!("t{number}").into(),
        check: "web".into(),
        address: host(number),
    })
}

/// Jobs at 10 s, fast 1 s.
fn stage(jobs: u16, jitter_percent: u8, seed: u64, concurrency: usize, slow: &[(u16, Duration)]) -> Stage {
    let check = Arc::new(Check { jitter_percent, timeout: 3 * SECOND, ..tcp_only(1) });
    let jobs = (0..jobs).map(|n| Job { key: key(n), place: host(n), check: Arc::clone(&check) }).collect();
    let prober = Arc::new(Scripted::default());
    *prober.takes.lock().unwrap() = slow.iter().map(|&(n, takes)| (host(n), takes)).collect();
    let clock = Arc::new(TokioClock::start_at("2026-11-22T12:00:00Z".parse().unwrap()));
    let (out, findings) = mpsc::channel(16);
    let scheduler = Scheduler::start_bounded(
        jobs,
        Arc::clone(&prober) as Arc<dyn Prober>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        out,
        seed,
        concurrency,
    );
    Stage { prober, clock, scheduler, findings }
}

impl Stage {
    /// The next finding: of which job, when it began, how long it took, what it says.
    async fn next(&mut self) -> (u16, Moment, Duration, Outcome) {
        match only(self.findings.recv().await) {
            Finding::Observation(seen) => {
                let number = seen.endpoint.target.as_str()[1..].parse().unwrap();
                (number, seen.started, seen.ended.since(seen.started), seen.outcome)
            }
            Finding::Sighting(sighting) => panic!("{sighting:?}"),
        }
    }

    async fn start_of_next(&mut self) -> Moment {
        self.next().await.1
    }

    fn now(&self) -> Moment {
        self.clock.now().moment
    }
}

/// A task hands over one finding at a time.
fn only(found: Option<Vec<Finding>>) -> Finding {
    let [found] = found.expect("the scheduler runs").try_into().expect("one");
    found
}

/// Tokio's timers count milliseconds and round up.
fn assert_at(moment: Moment, expected: Moment) {
    let late = moment.since(expected);
    assert!(moment >= expected && late <= Duration::from_millis(2), "{moment:?}, expected {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_probes_keep_to_their_grid() {
    let mut stage = stage(1, 10, 11, 8, &[]);
    let first = stage.start_of_next().await;
    let mut off_grid = 0;
    for n in 1..10_000 {
        let start = stage.start_of_next().await;
        let off = start.micros() - (first + 10 * SECOND * n).micros();
        assert!((-1_002_000..=1_002_000).contains(&off), "probe {n} is {off} us off");
        off_grid += u32::from(off.abs() > 500_000);
    }
    assert!((4000..6000).contains(&off_grid), "jitter uses its whole range: {off_grid}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_probes_are_spread_and_come_within_a_second() {
    for seed in [1, 2] {
        let mut stage = stage(1000, 10, seed, 512, &[]);
        let mut starts = Vec::new();
        for _ in 0..1000 {
            starts.push(stage.start_of_next().await);
        }
        let mut per_tenth = [0; 11];
        for start in starts {
            per_tenth[usize::try_from(start.micros() / 100_000).unwrap()] += 1;
        }
        assert!(
            per_tenth.iter().all(|&n| n < 200) && per_tenth[..10].iter().all(|&n| n > 50),
            "{per_tenth:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fast_and_back_to_the_grid() {
    let mut stage = stage(1, 0, 3, 8, &[]);
    let first = stage.start_of_next().await;
    stage.scheduler.set_pace(&key(0), Pace::Fast);
    stage.scheduler.set_pace(&key(0), Pace::Fast);
    let second = stage.start_of_next().await;
    assert_at(second, first + SECOND);
    let third = stage.start_of_next().await;
    assert_at(third, second + SECOND);
    stage.scheduler.set_pace(&key(0), Pace::Steady);
    let fourth = stage.start_of_next().await;
    assert_at(fourth + Duration::from_millis(2), first + 10 * SECOND);
}

/// bad day: target: takes longer than its interval | skips its own slots and delays no other
#[tokio::test(start_paused = true)]
async fn a_slow_one_delays_nobody_and_skips_its_own_slots() {
    // Timeouts of 3 s are the prober's business; the scheduler cuts at 4 s.
    let mut stage = stage(3, 0, 5, 8, &[(1, 3 * SECOND)]);
    stage.scheduler.set_pace(&key(1), Pace::Fast);
    let mut starts: BTreeMap<u16, Vec<Moment>> = BTreeMap::new();
    while stage.now() < Moment::ZERO + 65 * SECOND {
        let (job, start, ..) = stage.next().await;
        starts.entry(job).or_default().push(start);
    }
    for job in [0, 2] {
        let first = starts[&job][0];
        assert!(starts[&job].len() >= 6);
        for (start, n) in starts[&job].iter().zip(0..) {
            assert_at(*start + Duration::from_millis(1), first + 10 * SECOND * n);
        }
    }
    for pair in starts[&1].windows(2) {
        assert!(pair[1].since(pair[0]) >= 3 * SECOND, "one at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn probe_now_is_now_and_moves_nothing() {
    let mut stage = stage(1, 0, 9, 8, &[(0, SECOND)]);
    let first = stage.start_of_next().await;
    sleep(3 * SECOND).await;
    let asked = stage.now();
    stage.scheduler.probe_now(&key(0));
    assert_at(stage.start_of_next().await, asked);
    sleep(SECOND / 2).await;
    // Twice while nothing runs is once; while one runs, another follows.
    let asked = stage.now();
    stage.scheduler.probe_now(&key(0));
    stage.scheduler.probe_now(&key(0));
    sleep(SECOND / 2).await;
    stage.scheduler.probe_now(&key(0));
    assert_at(stage.start_of_next().await, asked);
    assert_at(stage.start_of_next().await, asked + SECOND);
    assert_at(stage.start_of_next().await + Duration::from_millis(2), first + 10 * SECOND);
    stage.scheduler.probe_now(&key(99));
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_a_time_than_allowed_and_waiting_is_no_probe_time() {
    let slow: Vec<_> = (0..50).map(|n| (n, 2 * SECOND)).collect();
    let mut stage = stage(50, 0, 1, 7, &slow);
    for _ in 0..200 {
        let (_, _, took, outcome) = stage.next().await;
        assert_eq!(outcome, Outcome::Pass);
        assert!(took <= 2 * SECOND + Duration::from_millis(2), "{took:?}");
    }
    assert_eq!(stage.prober.most.load(Ordering::SeqCst), 7);
}

/// bad day: agent: falls behind its own probes | probes wait; no finding is lost
#[tokio::test(start_paused = true)]
async fn a_full_channel_makes_probes_wait_and_loses_none() {
    let mut stage = stage(40, 0, 1, 512, &[]);
    sleep(60 * SECOND).await;
    assert_eq!(stage.findings.len(), 16, "the channel's bound");
    let mut seen = BTreeMap::new();
    for _ in 0..40 {
        let (job, start, ..) = stage.next().await;
        *seen.entry(job).or_insert(0) += u32::from(start < Moment::ZERO + 2 * SECOND);
    }
    assert!(seen.len() == 40 && seen.values().all(|&n| n == 1), "each first finding once: {seen:?}");
}

/// bad day: check: a probe never returns | cut off a second after its time-out: unknown
#[tokio::test(start_paused = true)]
async fn a_prober_that_never_returns_is_cut_off() {
    let mut stage = stage(1, 0, 1, 8, &[(0, 1000 * SECOND)]);
    let (_, _, took, outcome) = stage.next().await;
    assert!(matches!(&outcome, Outcome::Unknown(text) if text.contains("cut off")), "{outcome:?}");
    assert!(took <= 4 * SECOND + Duration::from_millis(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_witness_gives_a_sighting() {
    let key = JobKey::Witness("192.0.2.1:443".into());
    let job = Job { key: key.clone(), place: host(1), check: Arc::new(tcp_only(443)) };
    let clock = Arc::new(TokioClock::start_at("2026-11-22T12:00:00Z".parse().unwrap()));
    let (out, mut findings) = mpsc::channel(1);
    let _scheduler = Scheduler::start(vec![job], Arc::new(Scripted::default()), clock, out, 1);
    let Finding::Sighting(sighting) = only(findings.recv().await) else { panic!("no sighting") };
    assert_eq!((JobKey::Witness(sighting.witness), sighting.outcome), (key, Outcome::Pass));
}

#[tokio::test(start_paused = true)]
async fn stopping_drops_what_runs() {
    for by_drop in [false, true] {
        let Stage { prober, scheduler, mut findings, .. } = stage(20, 0, 1, 512, &[(3, 2 * SECOND)]);
        // Nobody takes findings: tasks wait in the channel, in a probe and for their slots.
        sleep(SECOND + SECOND / 2).await;
        assert_eq!(prober.running.load(Ordering::SeqCst), 1);
        if by_drop {
            drop(scheduler);
        } else {
            timeout(SECOND, scheduler.stop()).await.expect("bounded");
            assert_eq!(prober.running.load(Ordering::SeqCst), 0);
        }
        while findings.recv().await.is_some() {}
        assert_eq!(prober.running.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_that_stay_keep_their_cadence_and_others_begin_and_end() {
    let mut stage = stage(3, 0, 7, 10, &[]);
    let mut first = BTreeMap::new();
    for _ in 0..3 {
        let (number, started, ..) = stage.next().await;
        first.insert(number, started);
    }
    sleep(3 * SECOND).await;
    // 0 stays, 1 has another check, 2 is gone, 3 is new.
    let check = Arc::new(Check { jitter_percent: 0, timeout: 3 * SECOND, ..tcp_only(1) });
    let other = Arc::new(Check { interval: 5 * SECOND, ..(*check).clone() });
    let job = |n: u16, check: &Arc<Check>| Job { key: key(n), place: host(n), check: Arc::clone(check) };
    let jobs = vec![job(0, &check), job(1, &other), job(3, &check)];
    stage.scheduler.replace(jobs, |_, before, after| before.interval == after.interval);
    let replaced = stage.now();
    let mut begun = BTreeMap::new();
    while begun.len() < 3 {
        let (number, started, ..) = stage.next().await;
        begun.entry(number).or_insert(started);
    }
    assert_eq!(begun.keys().copied().collect::<Vec<_>>(), [0, 1, 3]);
    assert_at(begun[&0], first[&0] + 10 * SECOND);
    assert!(begun[&1].since(replaced) < SECOND && begun[&3].since(replaced) < SECOND, "{begun:?}");
    assert!(timeout(60 * SECOND, async { while stage.next().await.0 != 2 {} }).await.is_err(), "2 is gone");
}
