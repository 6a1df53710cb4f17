//! Connections that are kept for the next probe: what they save, and what they never change.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use jiff::SignedDuration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, NAME, config};
use super::h2server::{Asked, SETTINGS, frame, serve_http2};
use super::server::{Server, request, serve, until_closed};
use super::{LOOPBACK, check, failure, http_check};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Now, Outcome, WitnessId};
use crate::probe::{
    BodyMatch, Check, CheckKind, Engine, HttpCheck, Job, JobKey, Prober, Report, Roots, Scheduler,
    SystemProber,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TIMEOUT: Duration = Duration::from_secs(3);
/// A body that is larger than all windows.
static LARGE: [u8; 200_000] = [b'x'; 200_000];

fn reusing(port: u16) -> HttpCheck {
    HttpCheck { reuse: true, ..http_check(port) }
}

fn every_ten_seconds(http: HttpCheck) -> Arc<Check> {
    Arc::new(Check { timeout: TIMEOUT, ..check(CheckKind::Http(http)) })
}

fn prober() -> SystemProber {
    SystemProber::new(Arc::new(SystemClock::start()), Roots::Only(Vec::new()))
}

/// A target that gives each connection, with its number from 0, to a script; `open` are those that stand.
struct Target {
    server: Server,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Target {
    async fn new<F>(script: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Target
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (made, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, standing) = (Arc::clone(&made), Arc::clone(&open));
        let server = serve(move |stream| {
            let told = script(stream, counted.fetch_add(1, Ordering::SeqCst));
            standing.fetch_add(1, Ordering::SeqCst);
            let standing = Arc::clone(&standing);
            async move {
                told.await;
                standing.fetch_sub(1, Ordering::SeqCst);
            }
        })
        .await;
        Target { server, made, open }
    }

    /// Each connection answers each request with the same.
    async fn saying(answer: impl Into<Vec<u8>>) -> Target {
        let answer: Vec<u8> = answer.into();
        Target::new(move |stream, _| keeps_saying(stream, answer.clone())).await
    }

    fn port(&self) -> u16 {
        self.server.port
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// Waits until so many connections stand.
    async fn until_open(&self, wanted: usize) {
        let reached = async {
            while self.open.load(Ordering::SeqCst) != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), reached).await;
        assert!(in_time.is_ok(), "{} stand, wanted {wanted}", self.open.load(Ordering::SeqCst));
    }
}

async fn keeps_saying(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Vec<u8>) {
    while !request(&mut stream).await.is_empty() && stream.write_all(&answer).await.is_ok() {
        let _ = stream.flush().await;
    }
}

/// Two probes by one check: what they found, and how many connections the target saw.
async fn twice(target: &Target, http: HttpCheck) -> (Report, Report, usize) {
    let (prober, check) = (prober(), every_ten_seconds(http));
    let first = prober.probe(&LOOPBACK.into(), &check).await;
    let second = prober.probe(&LOOPBACK.into(), &check).await;
    (first, second, target.made())
}

#[tokio::test]
async fn the_second_probe_needs_no_connection() {
    for answer in [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let target = Target::saying(answer).await;
        let (first, second, made) = twice(&target, reusing(target.port())).await;
        assert_eq!((first.outcome, second.outcome, made), (Outcome::Pass, Outcome::Pass, 1));
        assert!(first.timings.connect.is_some());
        assert!(
            second.timings.connect.is_none() && second.timings.first_byte.is_some(),
            "{:?}",
            second.timings
        );
    }
    let target = Target::saying(OK).await;
    let body = Some(BodyMatch::Contains("ok".into()));
    let (_, second, made) = twice(&target, HttpCheck { body, ..reusing(target.port()) }).await;
    assert_eq!((second.outcome, made), (Outcome::Pass, 1));
    let target = Target::saying(OK).await;
    let (_, second, made) = twice(&target, http_check(target.port())).await;
    assert_eq!((second.outcome, made), (Outcome::Pass, 2), "only for who asks for it");
}

#[tokio::test]
async fn a_kept_connection_judges_as_a_fresh_one_does() {
    let target = Target::new(|mut stream, _| async move {
        for answer in [OK, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"] {
            request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
        }
        until_closed(&mut stream).await;
    })
    .await;
    let (_, second, made) = twice(&target, reusing(target.port())).await;
    assert_eq!((failure(&second), made), ("answered 503 Service Unavailable, wanted 200-299", 1));
    target.until_open(0).await;
}

#[tokio::test]
async fn what_forbids_it_ends_it() {
    let large = [b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n".as_slice(), &vec![b'x'; 65537]].concat();
    let forbidding = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".to_vec(),
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        // More than the body, as from a server that lost count.
        [OK, OK].concat(),
        // A body that does not come.
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok".to_vec(),
        large,
    ];
    for answer in forbidding {
        let target = Target::saying(answer.clone()).await;
        let (first, second, made) = twice(&target, reusing(target.port())).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        assert_eq!((first.outcome, second.outcome, made), (Outcome::Pass, Outcome::Pass, 2), "{shown}");
        target.until_open(0).await;
    }
    let target = Target::saying("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(twice(&target, reusing(target.port())).await.2, 2, "a failure is looked at with fresh eyes");
    let target = Target::saying(OK).await;
    let post = HttpCheck { method: "POST".into(), ..reusing(target.port()) };
    assert_eq!(twice(&target, post).await.2, 2, "what may have to be said twice is no POST");
}

/// Between two probes the first connection ends, in each way it can.
/// bad day: target: its kept connection broke, or went silent, between two probes | no failure: a fresh one decides, in time
#[tokio::test]
async fn a_kept_connection_that_broke_is_no_failure() {
    async fn ends(mut stream: TcpStream, number: usize, how: usize) {
        if number > 0 {
            return keeps_saying(stream, OK.to_vec()).await;
        }
        request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        match how {
            // It is closed at once, or with a last word, or when the next request comes: unread, which resets it;
            0 => {}
            1 => {
                stream.write_all(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n").await.unwrap();
            }
            2 => stream.readable().await.unwrap(),
            // it is read and not answered, or answered with 408, or with half a head;
            3 => drop(request(&mut stream).await),
            4 | 5 => {
                request(&mut stream).await;
                let whole = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(if how == 4 { whole } else { &whole[..20] }).await.unwrap();
            }
            // or nobody is there any more, and nobody says so.
            _ => until_closed(&mut stream).await,
        }
    }
    for how in 0..7 {
        let target = Target::new(move |stream, number| ends(stream, number, how)).await;
        let (_, second, made) = twice(&target, reusing(target.port())).await;
        assert_eq!((second.outcome.clone(), made), (Outcome::Pass, 2), "{how}");
        assert!(second.timings.connect.unwrap() < TIMEOUT / 3, "{how}: {:?}", second.timings);
        assert!(second.timings.total < TIMEOUT, "{how}: {:?}", second.timings);
    }
}

/// The connection that was kept is the only one that answers, and late.
#[tokio::test]
async fn a_slow_answer_on_a_kept_connection_counts() {
    let target = Target::new(|mut stream, number| async move {
        if number > 0 {
            return until_closed(&mut stream).await;
        }
        request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        request(&mut stream).await;
        tokio::time::sleep(TIMEOUT / 2).await;
        stream.write_all(OK).await.unwrap();
        until_closed(&mut stream).await;
    })
    .await;
    let (_, second, made) = twice(&target, reusing(target.port())).await;
    assert_eq!((second.outcome, made), (Outcome::Pass, 2));
    assert_eq!(second.timings.connect, None);
    assert!((TIMEOUT / 2..TIMEOUT).contains(&second.timings.first_byte.unwrap()), "{:?}", second.timings);
}

/// bad day: target: its kept connection broke and nobody listens any more | the failure of the fresh one
#[tokio::test]
async fn broken_and_nobody_there_is_the_failure_of_the_fresh_one() {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let check = every_ten_seconds(reusing(listener.local_addr().unwrap().port()));
    let once: JoinHandle<()> = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        stream.write_all(OK).await.unwrap();
    });
    let prober = prober();
    assert_eq!(prober.probe(&LOOPBACK.into(), &check).await.outcome, Outcome::Pass);
    once.await.unwrap();
    let report = prober.probe(&LOOPBACK.into(), &check).await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
}

/// An answer that began is an answer, on whatever connection.
#[tokio::test]
async fn a_body_cut_off_on_a_kept_connection_is_a_failure() {
    let target = Target::new(|mut stream, _| async move {
        for answer in [OK, &OK[..OK.len() - 1]] {
            request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let body = Some(BodyMatch::Contains("ok".into()));
    let (_, second, made) = twice(&target, HttpCheck { body, ..reusing(target.port()) }).await;
    assert_eq!((failure(&second), made), ("the connection was closed before the body was finished", 1));
}

#[tokio::test]
async fn what_is_kept_is_closed_when_its_time_is_over() {
    let target = Target::saying(OK).await;
    let prober = prober();
    let short = |interval| {
        let kind = CheckKind::Http(reusing(target.port()));
        Arc::new(Check { interval, timeout: TIMEOUT, ..check(kind) })
    };
    // Idle for three intervals.
    let idle = short(Duration::from_millis(50));
    assert_eq!(prober.probe(&LOOPBACK.into(), &idle).await.outcome, Outcome::Pass);
    target.until_open(1).await;
    target.until_open(0).await;
    // No longer probed; and again, as the sweeper has come to its end in between.
    let calm = short(Duration::from_hours(1));
    for _ in 0..2 {
        assert_eq!(prober.probe(&LOOPBACK.into(), &calm).await.outcome, Outcome::Pass);
        target.until_open(1).await;
        prober.forget(&LOOPBACK.into(), &calm);
        target.until_open(0).await;
    }
    // With the prober.
    assert_eq!(prober.probe(&LOOPBACK.into(), &calm).await.outcome, Outcome::Pass);
    target.until_open(1).await;
    drop(prober);
    target.until_open(0).await;
}

#[tokio::test]
async fn a_scheduler_that_stops_leaves_nothing_open() {
    let target = Target::saying(OK).await;
    let prober: Arc<dyn Prober> = Arc::new(prober());
    let key = JobKey::Witness(WitnessId::from("w"));
    let job = Job { key, place: LOOPBACK.into(), check: every_ten_seconds(reusing(target.port())) };
    let (out, mut findings) = mpsc::channel(1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let scheduler = Scheduler::start(vec![job], Arc::clone(&prober), clock, out, 7);
    findings.recv().await.unwrap();
    target.until_open(1).await;
    scheduler.stop().await;
    target.until_open(0).await;
}

/// A quarter of the descriptors is for probes.
#[tokio::test]
async fn no_more_are_kept_than_three_quarters_of_what_may_be_open() {
    let target = Target::saying(OK).await;
    let engine = Engine::start_bounded(Arc::new(SystemClock::start()), Roots::Only(Vec::new()), 16).unwrap();
    let checks: Vec<_> = (0..20).map(|_| every_ten_seconds(reusing(target.port()))).collect();
    for _ in 0..2 {
        for check in &checks {
            assert_eq!(engine.look(LOOPBACK, check, TIMEOUT).await.outcome, Outcome::Pass);
        }
    }
    target.until_open(12).await;
    for check in &checks {
        engine.forget(check);
    }
    target.until_open(0).await;
}

/// The machine's clock, moved.
struct Moved {
    clock: SystemClock,
    by: Mutex<SignedDuration>,
}

impl Moved {
    fn new() -> Arc<Self> {
        Arc::new(Moved { clock: SystemClock::start(), by: Mutex::default() })
    }

    fn on(&self, by: SignedDuration) {
        *self.by.lock().unwrap() += by;
    }
}

impl Clock for Moved {
    fn now(&self) -> Now {
        let (now, by) = (self.clock.now(), *self.by.lock().unwrap());
        Now { moment: now.moment + by.unsigned_abs(), wall: now.wall + by }
    }
}

#[tokio::test]
async fn a_connection_is_renewed_every_hour() {
    let target = Target::saying(OK).await;
    let clock = Moved::new();
    let prober = SystemProber::new(Arc::clone(&clock) as Arc<dyn Clock>, Roots::Only(Vec::new()));
    let kind = CheckKind::Http(reusing(target.port()));
    let check = Arc::new(Check { interval: Duration::from_mins(20), timeout: TIMEOUT, ..check(kind) });
    let mut made = Vec::new();
    for _ in 0..7 {
        assert_eq!(prober.probe(&LOOPBACK.into(), &check).await.outcome, Outcome::Pass);
        made.push(target.made());
        clock.on(SignedDuration::from_mins(20));
    }
    assert_eq!(made, [1, 1, 1, 2, 2, 2, 3]);
}

/// A server of TLS that keeps connections.
async fn secure(authority: &Authority, last_year: i32) -> Target {
    let config = config(&authority.sign(NAME, (1975, last_year)), None, rustls::ALL_VERSIONS);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Target::new(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            keeps_saying(stream, OK.to_vec()).await;
        }
    })
    .await
}

#[tokio::test]
async fn with_tls_the_certificate_is_that_of_the_handshake() {
    let authority = Authority::new("ours");
    let target = secure(&authority, 2999).await;
    let prober = SystemProber::new(Arc::new(SystemClock::start()), authority.roots());
    let http = HttpCheck { tls: true, host: Some(NAME.into()), ..reusing(target.port()) };
    let check = every_ten_seconds(http);
    let first = prober.probe(&LOOPBACK.into(), &check).await;
    let second = prober.probe(&LOOPBACK.into(), &check).await;
    assert_eq!((&first.outcome, &second.outcome, target.made()), (&Outcome::Pass, &Outcome::Pass, 1));
    assert!(first.timings.tls.is_some() && second.timings.tls.is_none());
    assert!(first.certificate.is_some());
    assert_eq!(first.certificate, second.certificate);
}

/// bad day: target: its certificate ends while its connection is kept | noticed: the connection is made anew
#[tokio::test]
async fn a_certificate_that_ends_meanwhile_is_noticed() {
    let authority = Authority::new("ours");
    let clock = Moved::new();
    // The last second of a year that is not over.
    let year = i32::from(clock.now().wall.to_zoned(jiff::tz::TimeZone::UTC).year()) + 1;
    let target = secure(&authority, year).await;
    let prober = SystemProber::new(Arc::clone(&clock) as Arc<dyn Clock>, authority.roots());
    let http = HttpCheck { tls: true, host: Some(NAME.into()), ..reusing(target.port()) };
    let kind = CheckKind::Http(http);
    let check = Arc::new(Check { interval: Duration::from_mins(20), timeout: TIMEOUT, ..check(kind) });
    let report = prober.probe(&LOOPBACK.into(), &check).await;
    assert_eq!(report.outcome, Outcome::Pass);
    let left = report.certificate.unwrap().not_after.duration_since(clock.now().wall);
    // In steps: what is idle for an hour is closed anyway.
    clock.on(left - SignedDuration::from_mins(10));
    assert_eq!(prober.probe(&LOOPBACK.into(), &check).await.outcome, Outcome::Pass);
    clock.on(SignedDuration::from_mins(9));
    assert_eq!(prober.probe(&LOOPBACK.into(), &check).await.outcome, Outcome::Pass);
    assert_eq!(target.made(), 2, "the third probe came on the connection of the second");
    clock.on(SignedDuration::from_mins(2));
    let report = prober.probe(&LOOPBACK.into(), &check).await;
    assert!(failure(&report).starts_with("the certificate expired"), "{report:?}");
}

#[tokio::test]
async fn over_http_2_the_second_probe_is_a_second_stream() {
    let target = {
        let streams = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&streams);
        let server = serve_http2(move |asked: Asked| {
            let stream = u32::from(asked.answer.stream_id());
            seen.fetch_max(usize::try_from(stream).unwrap(), Ordering::SeqCst);
            // More than nobody asked for: the rest is cancelled, and the connection goes on.
            async move { asked.say(Response::new(()), &LARGE) }
        })
        .await;
        (server, streams)
    };
    let (prober, check) = (prober(), every_ten_seconds(HttpCheck { http2: true, ..reusing(target.0.port) }));
    for probe in 0..4 {
        let report = prober.probe(&LOOPBACK.into(), &check).await;
        assert_eq!((report.outcome, report.timings.connect.is_none()), (Outcome::Pass, probe > 0));
    }
    assert_eq!(target.1.load(Ordering::SeqCst), 7, "the fourth stream of one connection");
}

#[tokio::test]
async fn over_http_2_a_connection_that_ended_is_no_failure() {
    // 0x88 is `:status: 200`; the first answer ends its stream, then the server goes away, or breaks, or is silent.
    async fn ends(mut stream: TcpStream, number: usize, how: usize) {
        let mut rest = [0; 4096];
        let mut asked = Vec::new();
        // HEADERS with END_STREAM and END_HEADERS, of stream 1.
        while !asked.windows(6).any(|bytes| bytes == [1, 5, 0, 0, 0, 1]) {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0, "{asked:?}");
        }
        stream.write_all(&[SETTINGS, &frame(1, 5, 1, &[0x88])].concat()).await.unwrap();
        let reset = frame(3, 0, 3, &[0, 0, 0, 7]);
        match how {
            _ if number > 0 => {}
            0 => stream.write_all(&frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])).await.unwrap(),
            1 => return,
            2 => {
                let mut said = 0;
                // Until the second request is there.
                while said < 2 {
                    let read = stream.read(&mut rest).await.unwrap_or(0);
                    said += rest[..read].windows(4).filter(|bytes| *bytes == [0, 0, 0, 3]).count()
                        + usize::from(read == 0) * 2;
                    if said > 0 {
                        stream.write_all(&reset).await.unwrap();
                        break;
                    }
                }
            }
            _ => {}
        }
        until_closed(&mut stream).await;
    }
    for how in 0..4 {
        let target = Target::new(move |stream, number| ends(stream, number, how)).await;
        let (first, second, made) = twice(&target, HttpCheck { http2: true, ..reusing(target.port()) }).await;
        assert_eq!(first.outcome, Outcome::Pass, "{how}");
        assert_eq!((second.outcome, made), (Outcome::Pass, 2), "{how}");
    }
}

/// One check for two addresses: each has its own connection.
#[tokio::test]
async fn a_connection_is_of_one_address() {
    let target = Target::saying(OK).await;
    let (prober, check) = (prober(), every_ten_seconds(reusing(target.port())));
    let elsewhere: IpAddr = "127.0.0.2".parse().unwrap();
    assert_eq!(prober.probe(&LOOPBACK.into(), &check).await.outcome, Outcome::Pass);
    let report = prober.probe(&elsewhere.into(), &check).await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
}
