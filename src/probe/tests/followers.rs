//! Probes that follow one that is not answered: when they come, what they may say, and what they never cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::server::{Server, request, serve, until_closed};
use super::{LOOPBACK, check, http_check};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Endpoint, Moment, Outcome};
use crate::probe::cadence::Cadence;
use crate::probe::engine::EngineJob;
use crate::probe::{Check, CheckKind, Engine, Finding, JobKey, Pace, Roots};

/// How long anything is waited for before the test fails.
const DEADLINE: Duration = Duration::from_mins(1);
/// What does not come within this is not coming.
const QUIET: Duration = Duration::from_millis(500);
/// No test lives to see the steady probe after the first.
const NEVER: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_millis(1500);
const FAST: Duration = Duration::from_millis(20);

/// A server that does with its connections as the letters say, one each: `+` answers, `.` is silent. The last goes on.
struct Play {
    server: Server,
    open: Arc<AtomicIsize>,
}

async fn play(letters: &'static str) -> Play {
    let (came, open) = (AtomicUsize::new(0), Arc::new(AtomicIsize::new(0)));
    let count = Arc::clone(&open);
    let server = serve(move |mut stream| {
        let n = came.fetch_add(1, Ordering::SeqCst).min(letters.len() - 1);
        let (answers, count) = (letters.as_bytes()[n] == b'+', Arc::clone(&count));
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            request(&mut stream).await;
            if answers {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
            until_closed(&mut stream).await;
            count.fetch_sub(1, Ordering::SeqCst);
        }
    });
    Play { server: server.await, open }
}

/// One job of an engine, and what it finds.
struct Stage {
    engine: Engine,
    id: u64,
    findings: mpsc::Receiver<Vec<Finding>>,
    waiting: Vec<Found>,
}

#[derive(Clone, Debug)]
struct Found {
    started: Moment,
    ended: Moment,
    passed: bool,
}

impl Stage {
    fn of(play: &Play, change: impl FnOnce(&mut Check)) -> Stage {
        Stage::with(endpoint(), 64, play, change)
    }

    fn with(key: JobKey, limit: usize, play: &Play, change: impl FnOnce(&mut Check)) -> Stage {
        let usual = check(CheckKind::Http(http_check(play.server.port)));
        let mut check = Check { interval: NEVER, fast_interval: FAST, timeout: TIMEOUT, ..usual };
        change(&mut check);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let engine = Engine::start_bounded(Arc::clone(&clock), Roots::Only(Vec::new()), limit).unwrap();
        let (out, findings) = mpsc::channel(1024);
        engine.tell(out);
        let id = engine.id();
        let cadence = Cadence::new(check.rhythm(), Duration::from_millis(1), clock.moment(), 1);
        engine.begin(EngineJob { id, key, address: LOOPBACK, check: Arc::new(check), cadence });
        Stage { engine, id, findings, waiting: Vec::new() }
    }

    async fn more(&mut self) {
        let found = timeout(DEADLINE, self.findings.recv()).await.expect("a finding").unwrap();
        self.waiting.extend(found.into_iter().map(|finding| match finding {
            Finding::Observation(seen) => {
                Found { started: seen.started, ended: seen.ended, passed: seen.outcome == Outcome::Pass }
            }
            Finding::Sighting(seen) => {
                Found { started: seen.started, ended: seen.ended, passed: seen.outcome == Outcome::Pass }
            }
        }));
    }

    async fn next(&mut self, count: usize) -> Vec<Found> {
        while self.waiting.len() < count {
            self.more().await;
        }
        self.waiting.drain(..count).collect()
    }

    /// All up to the first failure, one letter each.
    async fn until_failure(&mut self) -> String {
        let mut letters = String::new();
        while !letters.ends_with('-') {
            letters.push(if self.next(1).await[0].passed { '+' } else { '-' });
        }
        letters
    }

    /// Follow-ups go on until the probe that they follow ends: one that began just before may pass just after.
    async fn fails_no_more(&mut self) -> bool {
        while timeout(QUIET, self.more()).await.is_ok() {}
        self.waiting.iter().all(|probe| probe.passed)
    }

    async fn is_quiet(&mut self) -> bool {
        self.waiting.is_empty() && timeout(QUIET, self.findings.recv()).await.is_err()
    }
}

fn endpoint() -> JobKey {
    JobKey::Endpoint(Endpoint { target: "primary".into(), check: "web".into(), address: LOOPBACK.into() })
}

/// bad day: target: hangs | probes of it wait together: Down after one time-out and `fall - 1` fast intervals
#[tokio::test]
async fn what_hangs_is_not_waited_for_three_times() {
    let play = play(".").await;
    let mut stage = Stage::of(&play, |_| {});
    let found = stage.next(3).await;
    assert!(found.iter().all(|probe| !probe.passed), "{found:?}");
    assert!(found[1].started >= found[0].started + FAST && found[2].started >= found[1].started + FAST);
    assert!(found[2].started < found[0].ended, "the third did not wait for the first: {found:?}");
    assert!(stage.is_quiet().await, "to probe further is for others to say");
    assert_eq!(play.open.load(Ordering::SeqCst), 0);
}

/// A packet was lost and the next one was not: that counts once, as it does without follow-ups.
#[tokio::test]
async fn one_that_is_lost_counts_once() {
    let play = play(".+").await;
    let mut stage = Stage::of(&play, |_| {});
    let letters = stage.until_failure().await;
    assert!(letters.starts_with('+'), "{letters}");
    assert!(stage.fails_no_more().await);
}

/// bad day: network: silent for less than a time-out | a later pass overtakes what still waits: one failure, not three
#[tokio::test]
async fn what_is_back_within_the_time_out_is_not_down() {
    let play = play("....+").await;
    let mut stage = Stage::of(&play, |check| check.fall = 6);
    let letters = stage.until_failure().await;
    assert!(letters.starts_with('+'), "{letters}");
    assert!(stage.fails_no_more().await, "the three that were overtaken say nothing");
}

/// The probe that begins when the first ends is the last to look before the verdict.
#[tokio::test]
async fn a_pass_of_the_next_probe_overtakes_as_well() {
    let play = play("...+").await;
    let mut stage = Stage::of(&play, |_| {});
    stage.engine.set_pace(stage.id, Pace::Fast);
    let found = stage.next(2).await;
    assert_eq!(found.iter().map(|probe| probe.passed).collect::<Vec<_>>(), [false, true]);
    assert!(found[1].started >= found[0].ended);
    let more = stage.next(8).await;
    assert!(more.iter().all(|probe| probe.passed), "those that were overtaken say nothing: {more:?}");
}

#[tokio::test]
async fn what_is_known_to_hang_is_asked_one_at_a_time() {
    let play = play(".").await;
    let mut stage = Stage::of(&play, |check| check.interval = TIMEOUT * 2);
    stage.next(3).await;
    let later = stage.next(3).await;
    assert!(later.is_sorted_by(|a, b| a.ended <= b.started), "{later:?}");
}

#[tokio::test]
async fn with_one_failure_to_be_down_none_follows() {
    let play = play(".").await;
    let mut stage = Stage::of(&play, |check| check.fall = 1);
    assert!(!stage.next(1).await[0].passed);
    assert!(stage.is_quiet().await);
}

/// No verdict waits for so many failures of a witness.
#[tokio::test]
async fn of_a_witness_none_follows() {
    let play = play(".").await;
    let mut stage = Stage::with(JobKey::Witness("w".into()), 64, &play, |_| {});
    assert!(!stage.next(1).await[0].passed);
    assert!(stage.is_quiet().await);
}

/// bad day: agent: no descriptor is free for follow-ups | they are left out, and the probe itself is told
#[tokio::test]
async fn without_room_none_follows() {
    let play = play(".").await;
    let mut stage = Stage::with(endpoint(), 1, &play, |_| {});
    assert!(!stage.next(1).await[0].passed);
    assert!(stage.is_quiet().await);
}

#[tokio::test]
async fn with_their_job_they_go() {
    let play = play(".").await;
    let stage = Stage::of(&play, |check| check.timeout = NEVER);
    let open = async |wanted: isize| {
        while play.open.load(Ordering::SeqCst) != wanted {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, open(3)).await.expect("three at a time");
    stage.engine.retire(stage.id);
    timeout(DEADLINE, open(0)).await.expect("all are closed");
}
