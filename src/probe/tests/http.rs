//! HTTP, good days and bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use regex::Regex;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::server::{Server, answers, answers_and_stays, closed_port, request, serve, until_closed};
use super::{check, failure, http_check, probe, unknown};
use crate::decision::Outcome;
use crate::probe::{BodyMatch, CheckKind, HttpCheck, Report, StatusRange};

const SHORT: Duration = Duration::from_millis(300);

async fn get(server: &Server) -> Report {
    probe(check(CheckKind::Http(http_check(server.port)))).await
}

async fn get_with(server: &Server, change: impl FnOnce(&mut HttpCheck)) -> Report {
    let mut http = http_check(server.port);
    change(&mut http);
    probe(check(CheckKind::Http(http))).await
}

/// With a deadline that is reached on purpose.
async fn get_briefly(server: &Server, body: Option<BodyMatch>) -> Report {
    let mut check = check(CheckKind::Http(HttpCheck { body, ..http_check(server.port) }));
    check.timeout = SHORT;
    probe(check).await
}

fn holds(part: &str) -> BodyMatch {
    BodyMatch::Contains(part.into())
}

#[tokio::test]
async fn a_healthy_server_passes_and_the_times_are_taken() {
    let report = get(&answers("HTTP/1.1 204 No Content\r\n\r\n").await).await;
    assert_eq!(report.outcome, Outcome::Pass);
    let timings = report.timings;
    assert!(timings.connect.is_some() && timings.tls.is_none());
    assert!(timings.connect.unwrap() + timings.first_byte.unwrap() <= timings.total, "{timings:?}");
}

#[tokio::test]
async fn the_server_sees_one_request_of_ours_and_then_the_end() {
    let (seen, mut requests) = mpsc::channel(1);
    let server = serve(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            until_closed(&mut stream).await;
            seen.send(head).await.unwrap();
        }
    })
    .await;
    let report = get_with(&server, |http| {
        http.host = Some("www.workshopco.ca".into());
        http.headers = vec![("X-Probe".into(), "yes".into())];
    })
    .await;
    assert_eq!(report.outcome, Outcome::Pass);
    let head = requests.recv().await.unwrap();
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: www.workshopco.ca\r\n"), "{head}");
    assert!(head.ends_with("Connection: close\r\nX-Probe: yes\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn a_wrong_status_says_what_was_seen_and_what_was_wanted() {
    let server = answers("HTTP/1.1 503 Go Away\r\nContent-Length: 0\r\n\r\n").await;
    let report = get_with(&server, |http| http.status.push(StatusRange { first: 301, last: 301 })).await;
    assert_eq!(failure(&report), "answered 503 Service Unavailable, wanted 200-299, 301");
}

/// bad day: target: redirects to a healthy host | judged by its status, never followed: down unless the check wants that status
#[tokio::test]
async fn a_redirect_to_a_healthy_host_is_a_failure_and_is_not_followed() {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    let healthy = serve(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    let there = format!("http://127.0.0.1:{}/", healthy.port);
    let server = answers(format!("HTTP/1.1 302 Found\r\nLocation: {there}\r\n\r\n")).await;
    let wanted =
        format!("answered 302 Found to \"{there}\" (redirects are judged, not followed), wanted 200-299");
    assert_eq!(failure(&get(&server).await), wanted);
    let as_asked = get_with(&server, |http| http.status = vec![StatusRange { first: 302, last: 302 }]).await;
    assert_eq!(as_asked.outcome, Outcome::Pass);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_is_found_however_it_is_sent() {
    let sent = [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nstate: ok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nstate:\r\n3\r\n ok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nstate: ok",
    ];
    let regex = Regex::new("^state: ok$").unwrap();
    for answer in sent {
        let server = answers(answer).await;
        assert_eq!(
            get_with(&server, |http| http.body = Some(holds("e: ok"))).await.outcome,
            Outcome::Pass,
            "{answer}"
        );
        let report = get_with(&server, |http| http.body = Some(BodyMatch::Regex(regex.clone()))).await;
        assert_eq!(report.outcome, Outcome::Pass, "{answer}");
        let report = get_with(&server, |http| http.body = Some(holds("good"))).await;
        assert_eq!(
            failure(&report),
            r#"the body (9 bytes) begins with "state: ok" and does not hold "good""#,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_a_body_does_not_hold_anything() {
    let server = answers_and_stays(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
    let report = get_with(&server, |http| {
        http.method = "HEAD".into();
        http.body = Some(holds("ok"));
    })
    .await;
    assert_eq!(failure(&report), "the body is empty, wanted \"ok\"");
}

/// bad day: target: its answer is cut off | a failure, even if the wanted text was there already
#[tokio::test]
async fn a_body_cut_off_is_a_failure_even_if_the_text_was_there() {
    let server = answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok").await;
    let report = get_with(&server, |http| http.body = Some(holds("ok"))).await;
    assert_eq!(failure(&report), "the connection was closed before the body was finished");
    assert_eq!(get(&server).await.outcome, Outcome::Pass, "nobody asked for the body");
}

/// bad day: target: answers with 1 GB and the check looks at the body | no more than `max_body_bytes` is read
#[tokio::test]
async fn of_a_gigabyte_no_more_is_read_than_asked_for() {
    let written = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&written);
    let server = serve(move |mut stream| {
        let written = Arc::clone(&counted);
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
            let megabyte = vec![b'x'; 1 << 20];
            for _ in 0..1024 {
                if stream.write_all(&megabyte).await.is_err() {
                    return;
                }
                written.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    assert_eq!(get(&server).await.outcome, Outcome::Pass);
    let report = get_with(&server, |http| http.body = Some(holds("ok"))).await;
    assert_eq!(failure(&report), "the first 65536 bytes of the body do not hold \"ok\"");
    let megabytes = written.load(Ordering::SeqCst);
    assert!(megabytes < 64, "{megabytes} MB went through");
}

#[tokio::test]
async fn nobody_there() {
    let mut check = check(CheckKind::Http(http_check(closed_port())));
    check.timeout = SHORT;
    let report = probe(check).await;
    assert!(failure(&report).ends_with("refused the connection"), "{report:?}");
    assert_eq!(report.timings.connect, None);
}

/// bad day: target: accepts and never answers | a failure at the time-out, with the limit and the phase in the reason
#[tokio::test]
async fn a_server_that_hangs_after_accepting() {
    let server = serve(|mut stream| async move { until_closed(&mut stream).await }).await;
    let report = get_briefly(&server, None).await;
    let reason = failure(&report);
    assert!(reason.starts_with("no answer within 300ms (TCP connected after"), "{reason}");
    assert!(report.timings.connect.is_some() && report.timings.first_byte.is_none());
    assert!((SHORT..SHORT * 3).contains(&report.timings.total), "{report:?}");
}

/// bad day: target: stops in the middle of its answer | a failure at the time-out
#[tokio::test]
async fn a_server_that_stops_in_the_head_or_in_the_body() {
    let server = answers_and_stays(b"HTTP/1.1 200 OK\r\n").await;
    let report = get_briefly(&server, None).await;
    assert_eq!(failure(&report), "head of the answer not finished within 300ms (17 bytes came)");
    let server = answers_and_stays(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok").await;
    let report = get_briefly(&server, Some(holds("ok"))).await;
    assert_eq!(failure(&report), "body not finished within 300ms (2 bytes came)");
}

/// bad day: target: sends a byte at a time | one deadline over all of it: a failure at the time-out
/// Each byte in time, the whole never: a limit on each read alone would wait for ever.
#[tokio::test]
async fn a_byte_at_a_time_does_not_stretch_the_deadline() {
    let server = serve(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let report = get_briefly(&server, None).await;
    assert!(failure(&report).starts_with("head of the answer not finished within 300ms"), "{report:?}");
    assert!(report.timings.total < SHORT * 3, "{report:?}");
}

/// bad day: target: resets or closes after it accepted | a failure at once, with what it did in the reason
#[tokio::test]
async fn a_server_that_closes_or_resets() {
    let closes = serve(|mut stream| async move {
        request(&mut stream).await;
    })
    .await;
    assert_eq!(failure(&get(&closes).await), "closed the connection without an answer");
    // Closing with something unread sends a reset.
    let resets = serve(|stream| async move { drop(stream.peek(&mut [0]).await) }).await;
    let report = get(&resets).await;
    let reason = failure(&report);
    assert!(reason.ends_with("reset the connection") && !reason.contains("TLS"), "{report:?}");
}

/// bad day: target: speaks something else than HTTP | a failure that quotes the first bytes
#[tokio::test]
async fn something_else_than_http() {
    let server = answers("220 mail.workshopco.ca ESMTP\r\n").await;
    let reason =
        "answered something that is not HTTP/1.1 and begins with \"220 mail.workshopco.ca ESMTP\\r\\n\"";
    assert_eq!(failure(&get(&server).await), reason);
    let server = answers(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20))).await;
    assert_eq!(failure(&get(&server).await), "the head of the answer is larger than 16 KiB");
}

#[tokio::test]
async fn a_check_that_cannot_be_sent_is_our_trouble() {
    let report = get_with(&answers("").await, |http| http.path = "/a b".into()).await;
    assert!(unknown(&report).starts_with("configuration of the check: path"), "{report:?}");
}
