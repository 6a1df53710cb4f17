//! HTTP/2, good days and bad: judged as HTTP/1.1 is.

use std::time::Duration;

use h2::Reason;
use http::{Response, header};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::authority::{Authority, NAME, config};
use super::h2server::{Asked, SETTINGS, frame, says, serve_http2, with_tls};
use super::server::{Server, answers, serve, some, until_closed};
use super::{check, failure, http_check, probe_trusting, unknown};
use crate::decision::Outcome;
use crate::probe::{Auth, BodyMatch, CheckKind, HttpCheck, Report, Roots};

async fn get_with(server: &Server, roots: Roots, change: impl FnOnce(&mut HttpCheck)) -> Report {
    let mut http = HttpCheck { http2: true, ..http_check(server.port) };
    change(&mut http);
    let mut check = check(CheckKind::Http(http));
    check.timeout = Duration::from_secs(5);
    probe_trusting(roots, check).await
}

async fn get(server: &Server) -> Report {
    get_with(server, Roots::Only(Vec::new()), |_| ()).await
}

async fn get_body(server: &Server, wanted: &str) -> Report {
    let wanted = BodyMatch::Contains(wanted.into());
    get_with(server, Roots::Only(Vec::new()), |http| http.body = Some(wanted)).await
}

async fn answers_ok() -> Server {
    serve_http2(|asked: Asked| async move { asked.say(Response::new(()), b"state: ok") }).await
}

#[tokio::test]
async fn a_healthy_server_passes_and_the_times_are_taken() {
    let server = answers_ok().await;
    let report = get(&server).await;
    assert_eq!(report.outcome, Outcome::Pass);
    let timings = report.timings;
    assert!(timings.connect.is_some() && timings.tls.is_none() && timings.first_byte.is_some());
    assert!(timings.connect.unwrap() + timings.first_byte.unwrap() <= timings.total, "{timings:?}");
    assert_eq!(get_body(&server, "ok").await.outcome, Outcome::Pass);
    let report = get_body(&server, "good").await;
    assert_eq!(
        failure(&report),
        r#"the body (9 bytes) begins with "state: ok" and does not hold "good""#,
        "as in HTTP/1.1"
    );
}

#[tokio::test]
async fn the_server_sees_a_request_of_ours() {
    let (seen, mut requests) = mpsc::channel(1);
    let server = serve_http2(move |mut asked: Asked| {
        let seen = seen.clone();
        async move {
            let content = asked.request.body_mut().data().await;
            let content = content.map(|part| String::from_utf8(part.unwrap().to_vec()).unwrap());
            seen.send((asked.request.headers().clone(), asked.request.uri().clone(), content)).await.unwrap();
            asked.say_status(200);
        }
    })
    .await;
    let report = get_with(&server, Roots::Only(Vec::new()), |http| {
        http.method = "POST".into();
        http.path = "/healthz?deep=1".into();
        http.host = Some(NAME.into());
        http.headers = vec![("X-Probe".into(), "yes".into()), ("User-Agent".into(), "curl/8".into())];
        http.auth = Some(Auth::Bearer("hush".into()));
        http.send = Some("{}".into());
    })
    .await;
    assert_eq!(report.outcome, Outcome::Pass);
    let (headers, uri, content) = requests.recv().await.unwrap();
    assert_eq!(uri, "http://www.workshopco.ca/healthz?deep=1");
    let header = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        (header("x-probe"), header("user-agent"), header("accept")),
        (vec!["yes"], vec!["curl/8"], vec!["*/*"])
    );
    assert_eq!((header("authorization"), header("content-length")), (vec!["Bearer hush"], vec!["2"]));
    assert_eq!(content.as_deref(), Some("{}"));
}

#[tokio::test]
async fn a_wrong_status_and_a_redirect_are_told_as_in_http_1() {
    let server = serve_http2(|asked: Asked| async move { asked.say_status(503) }).await;
    assert_eq!(failure(&get(&server).await), "answered 503 Service Unavailable, wanted 200-299");
    let server = serve_http2(|asked: Asked| async move {
        let head = Response::builder().status(302).header(header::LOCATION, "https://elsewhere/?token=hush");
        asked.say(head.body(()).unwrap(), b"");
    })
    .await;
    assert_eq!(
        failure(&get(&server).await),
        "answered 302 Found to \"https://elsewhere/\" (redirects are judged, not followed), wanted 200-299"
    );
}

/// Neither a body without end nor one that is larger than the window stops the probe.
#[tokio::test]
async fn of_a_large_body_no_more_is_read_than_asked_for() {
    let server = serve_http2(|mut asked: Asked| async move {
        let mut stream = asked.answer.send_response(Response::new(()), false).unwrap();
        let _ = stream.send_data(vec![b'x'; 64 << 20].into(), true);
        let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
    })
    .await;
    assert_eq!(get(&server).await.outcome, Outcome::Pass, "nobody asked for the body");
    let report = get_body(&server, "ok").await;
    assert_eq!(failure(&report), "the first 65536 bytes of the body do not hold \"ok\"");
    let report = get_with(&server, Roots::Only(Vec::new()), |http| {
        http.body = Some(BodyMatch::Contains("ok".into()));
        http.max_body_bytes = 1 << 20;
    })
    .await;
    assert_eq!(failure(&report), "the first 1048576 bytes of the body do not hold \"ok\"");
}

#[tokio::test]
async fn a_server_that_speaks_something_else() {
    let server = answers("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let reason = "answered something that is not HTTP/2 and begins with \
                  \"HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n\"";
    assert_eq!(failure(&get(&server).await), reason);
    let server = says("220 mail.workshopco.ca ESMTP\r\n").await;
    assert!(failure(&get(&server).await).starts_with("answered something that is not HTTP/2"));
    let server = serve(|mut stream| async move { some(&mut stream).await }).await;
    assert_eq!(failure(&get(&server).await), "closed the connection without an answer");
}

/// bad day: target: breaks an HTTP/2 answer off (`RST_STREAM`, `GOAWAY`) | a failure that says which
#[tokio::test]
async fn a_server_that_breaks_off() {
    // GOAWAY: the last stream was 0, the reason is 11.
    let goaway = frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]);
    let server = says([SETTINGS, &goaway].concat()).await;
    assert_eq!(
        failure(&get(&server).await),
        "ended the HTTP/2 connection (GOAWAY, ENHANCE_YOUR_CALM) before its answer was finished"
    );
    let server =
        serve_http2(|mut asked: Asked| async move { asked.answer.send_reset(Reason::INTERNAL_ERROR) }).await;
    assert_eq!(failure(&get(&server).await), "broke the answer off (RST_STREAM, INTERNAL_ERROR)");
    let server = serve_http2(|mut asked: Asked| async move {
        let mut stream = asked.answer.send_response(Response::new(()), false).unwrap();
        stream.send_data("o".into(), false).unwrap();
        stream.send_reset(Reason::CANCEL);
    })
    .await;
    assert_eq!(failure(&get_body(&server, "ok").await), "broke the answer off (RST_STREAM, CANCEL)");
    let server = serve(|mut stream| async move {
        some(&mut stream).await;
        let _ = stream.write_all(SETTINGS).await;
    })
    .await;
    assert_eq!(failure(&get(&server).await), "the connection was closed before the answer was finished");
}

/// bad day: target: sends HTTP/2 frames or headers without end | a failure at the limit
#[tokio::test]
async fn a_server_that_says_too_much() {
    let server = serve_http2(|asked: Asked| async move {
        asked.say(Response::builder().header("x-long", "x".repeat(20_000)).body(()).unwrap(), b"");
    })
    .await;
    assert_eq!(
        failure(&get(&server).await),
        "the answer breaks the rules of HTTP/2, or its head is larger than 16 KiB"
    );
    let server = serve_http2(|asked: Asked| async move {
        let many = (0..101).fold(Response::builder(), |head, n| head.header(format!("x-{n}"), "y"));
        asked.say(many.body(()).unwrap(), b"");
    })
    .await;
    assert_eq!(failure(&get(&server).await), "the answer has more than 100 headers");
    // Pings without end, and frames of a kind that nobody knows.
    for noise in [frame(6, 0, 0, &[0; 8]), frame(0xee, 0, 0, &[0; 1000])] {
        let server = says([SETTINGS, &noise.repeat(2 * 256 * 1024 / noise.len())].concat()).await;
        let reason = "sent much more than its answer, and was not listened to further";
        assert_eq!(failure(&get(&server).await), reason);
    }
    let server = says([SETTINGS, &frame(0, 0, 1, &vec![0; 20_000])].concat()).await;
    assert_eq!(failure(&get(&server).await), "does not keep to HTTP/2 (FRAME_SIZE_ERROR)");
}

#[tokio::test]
async fn a_server_that_hangs() {
    for bytes in [&b""[..], SETTINGS] {
        let server = says(bytes).await;
        let mut check = check(CheckKind::Http(HttpCheck { http2: true, ..http_check(server.port) }));
        check.timeout = Duration::from_millis(200);
        let report = probe_trusting(Roots::Only(Vec::new()), check).await;
        assert!(failure(&report).starts_with("no answer within 200ms (TCP connected after"), "{report:?}");
    }
}

/// bad day: target: does not choose HTTP/2 where the check wants it | a failure that says so
#[tokio::test]
async fn http_2_is_asked_for_by_alpn() {
    let (authority, inside) = (Authority::new("ours"), answers_ok().await);
    let tls = |alpn: &'static [&'static [u8]]| {
        let signed = authority.sign(NAME, (1975, 2999));
        with_tls(config(&signed, None, rustls::ALL_VERSIONS), alpn, inside.port)
    };
    let get = async |server: &Server| {
        get_with(server, authority.roots(), |http| {
            http.tls = true;
            http.host = Some(NAME.into());
        })
        .await
    };
    let report = get(&tls(&[b"http/1.1", b"h2"]).await).await;
    assert_eq!(report.outcome, Outcome::Pass);
    assert!(report.timings.tls.is_some());
    assert_eq!(report.certificate.unwrap().names, NAME);
    // It knows nothing of ALPN, and would speak HTTP/2 if asked.
    let report = get(&tls(&[]).await).await;
    assert_eq!(failure(&report), "the server does not choose HTTP/2 (`h2` by ALPN)");
    assert!(report.certificate.is_some());
    let report = get(&tls(&[b"http/1.1"]).await).await;
    assert!(failure(&report).contains("ALPN (alert no_application_protocol)"), "{report:?}");
}

#[tokio::test]
async fn a_check_that_cannot_be_sent_is_our_trouble() {
    let server = answers_ok().await;
    let broken: [fn(&mut HttpCheck); 4] = [
        |http| http.path = "/a b".into(),
        |http| http.host = Some("a b".into()),
        |http| http.headers = vec![("Connection".into(), "hush".into())],
        |http| http.headers = vec![("X-Token".into(), "hush\r\nX: y".into())],
    ];
    for change in broken {
        let report = get_with(&server, Roots::Only(Vec::new()), change).await;
        let reason = unknown(&report);
        assert!(reason.starts_with("configuration of the check: ") && !reason.contains("hush"), "{reason}");
    }
}

/// The answer is there, and the server closes at once: it still counts.
#[tokio::test]
async fn an_answer_and_the_end_together() {
    // HEADERS with END_HEADERS and END_STREAM; 0x88 is `:status: 200` (RFC 7541 appendix A).
    let bytes = [SETTINGS, &frame(1, 5, 1, &[0x88]), &frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])].concat();
    let server = serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            some(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            until_closed(&mut stream).await;
        }
    })
    .await;
    assert_eq!(get(&server).await.outcome, Outcome::Pass);
}
