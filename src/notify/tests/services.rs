//! Each service over real sockets, in real time.

use std::sync::Arc;

use secrecy::SecretString;

use super::server::{Act, Server};
use super::*;
use crate::notify::http::{HttpSender, client, client_with};
use crate::store::{Delivery, DeliveryState};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW_KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn rocketchat(url: SecretString) -> ChannelKind {
    ChannelKind::RocketChat { url, channel: None }
}

fn slack(url: SecretString) -> ChannelKind {
    ChannelKind::Slack { url }
}

fn webhook(url: SecretString) -> ChannelKind {
    ChannelKind::Webhook { url, secrets: vec![KEY.into(), NEW_KEY.into()] }
}

async fn send(kind: &ChannelKind) -> SendResult {
    let sender = HttpSender::new(&"team".into(), kind, client().unwrap()).unwrap();
    sender.send(&delivery(), time("12:04:01")).await
}

fn delivery() -> Delivery {
    Delivery {
        id: 1,
        channel: "team".into(),
        event: the_failover(),
        state: DeliveryState::Pending,
        created: time("12:04:00"),
        next_attempt: None,
        first_attempt: None,
        round: 0,
        attempts: 0,
        last_error: None,
    }
}

fn error(result: SendResult) -> String {
    match result {
        SendResult::Retry { error, .. } => format!("retry: {error}"),
        SendResult::Permanent { error, .. } => format!("permanent: {error}"),
        SendResult::Delivered { said, .. } => panic!("delivered: {said}"),
    }
}

#[tokio::test]
async fn rocketchat_gets_json_and_says_success() {
    let server = Server::start(vec![Act::Say(200, "", "{\"success\":true}")]).await;
    let result = send(&rocketchat(server.url("/hooks/id/token"))).await;
    let expected = SendResult::Delivered { status: Some(200), said: "{\"success\":true}".into() };
    assert_eq!(result, expected);
    let request = server.requests().remove(0);
    assert_eq!(request.target, "/hooks/id/token");
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(request.headers["user-agent"].starts_with("failover/"));
    assert_eq!(request.json()["text"], "🔴 www.workshopco.ca failed over from toronto to montreal");
}

#[tokio::test]
async fn a_200_is_no_success_by_itself() {
    let server = Server::start(vec![Act::Say(200, "", "{\"success\":false}")]).await;
    let told = error(send(&rocketchat(server.url("/hooks/id/token"))).await);
    let host = format!("127.0.0.1:{}", server.port);
    assert_eq!(told, format!("retry: {host} answered 200, but not success: {{\"success\":false}}"));
    assert!(error(send(&slack(server.url("/services/T/B/X"))).await).starts_with("retry"));
}

#[tokio::test]
async fn slack_says_ok() {
    let server = Server::start(vec![
        Act::Say(200, "", "ok"),
        Act::Say(429, "Retry-After: 1\r\n", "{\"retry_after\":30}"),
        Act::Say(404, "", "no_service"),
    ])
    .await;
    let kind = slack(server.url("/services/T/B/X"));
    assert_eq!(send(&kind).await, SendResult::Delivered { status: Some(200), said: "ok".into() });
    let second = send(&kind).await;
    assert!(
        matches!(second, SendResult::Retry { after: Some(after), status: Some(429), .. } if after == Duration::from_secs(1))
    );
    assert!(error(send(&kind).await).ends_with("answered 404: no_service"));
    assert!(server.requests()[0].json()["attachments"][0]["blocks"].is_array());
}

#[tokio::test]
async fn a_webhook_is_signed_by_each_secret_anew_at_each_attempt() {
    let server = Server::start(vec![Act::Say(204, "", "")]).await;
    let kind = webhook(server.url("/in?tenant=workshop"));
    let sender = HttpSender::new(&"ops".into(), &kind, client().unwrap()).unwrap();
    for now in [time("12:04:01"), time("12:04:31")] {
        assert!(matches!(
            sender.send(&delivery(), now).await,
            SendResult::Delivered { status: Some(204), .. }
        ));
    }
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);
    assert_ne!(requests[0].headers["webhook-signature"], requests[1].headers["webhook-signature"]);
    for (request, now) in requests.iter().zip([time("12:04:01"), time("12:04:31")]) {
        assert_eq!(request.target, "/in?tenant=workshop");
        assert_eq!(request.headers["webhook-id"], "evt-7");
        assert_eq!(request.headers["webhook-timestamp"], now.as_second().to_string());
        let expected: Vec<String> = [KEY, NEW_KEY]
            .iter()
            .map(|key| {
                SigningKey::parse(&(*key).into()).unwrap().sign("evt-7", now.as_second(), &request.body)
            })
            .collect();
        assert_eq!(request.headers["webhook-signature"], expected.join(" "));
    }
    assert_eq!(requests[0].json()["type"], "failover.completed");
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let server = Server::start(vec![Act::Say(200, "", "")]).await;
    let kind = ChannelKind::Webhook { url: server.url("/"), secrets: Vec::new() };
    send(&kind).await;
    let headers = server.requests().remove(0).headers;
    assert!(headers.contains_key("webhook-id") && !headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(vec![Act::Say(200, "", "ok")]).await;
    let location: &'static str = format!("Location: http://127.0.0.1:{}/\r\n", elsewhere.port).leak();
    let server = Server::start(vec![Act::Say(302, location, ""), Act::Say(308, location, "")]).await;
    let kind = webhook(server.url("/in"));
    assert!(error(send(&kind).await).starts_with("retry"));
    let told = error(send(&kind).await);
    assert!(told.starts_with("permanent") && told.contains("a redirect, which is not followed"), "{told}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[tokio::test]
async fn a_service_that_hangs_or_hangs_up_or_is_not_there_is_tried_again() {
    let server = Server::start(vec![Act::Close, Act::Hang]).await;
    let kind = webhook(server.url("/in"));
    let short = client_with(Duration::from_millis(200)).unwrap();
    let sender = HttpSender::new(&"ops".into(), &kind, short).unwrap();
    let host = format!("127.0.0.1:{}", server.port);
    let first = error(sender.send(&delivery(), time("12:04:01")).await);
    assert!(first.starts_with(&format!("retry: no answer from {host}: ")), "{first}");
    let second = error(sender.send(&delivery(), time("12:04:01")).await);
    assert!(second.starts_with(&format!("retry: {host} did not answer in time")), "{second}");
    server.stop().await;
    let third = error(sender.send(&delivery(), time("12:04:01")).await);
    assert!(third.starts_with(&format!("retry: cannot connect to {host}: ")), "{third}");
    assert!(third.to_lowercase().contains("refused"), "{third}");
}

#[tokio::test]
async fn an_endless_answer_is_read_so_far() {
    let server = Server::start(vec![Act::Babble]).await;
    assert!(matches!(send(&webhook(server.url("/in"))).await, SendResult::Delivered { .. }));
    assert!(error(send(&slack(server.url("/in"))).await).contains("answered 200, but not success: xxx"));
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/in", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    });
    let told = error(send(&webhook(url.into())).await);
    assert!(
        told.starts_with("retry: cannot connect to localhost:") && told.contains("certificate"),
        "{told}"
    );
    server.await.unwrap();
}

#[test]
fn a_channel_that_cannot_work_is_refused_without_showing_its_secret() {
    let build = |kind| {
        let channels = [(ChannelId::from("team"), Channel { kind })].into();
        senders(&NotifySettings { channels, routes: Vec::new() }).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        build(slack("hooks.slack.com/services/SECRET".into())),
        "channel team: its url is no http or https URL"
    );
    assert_eq!(build(slack("ftp://host/SECRET".into())), "channel team: its url is no http or https URL");
    let kind = ChannelKind::Webhook { url: "https://host/".into(), secrets: vec!["whsec_SECRET".into()] };
    let told = build(kind);
    assert!(told.starts_with("channel team: a signing secret") && !told.contains("SECRET"), "{told}");
}
