//! Who has a channel's URL can post to it: nothing that a person can read may show more than its host.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use super::server::{Act, Server};
use super::*;
use crate::store::DeliveryFilter;

/// Every secret of these tests has this word in it.
const WORD: &str = "s3cret";

#[derive(Clone, Default)]
struct Pages(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let log = Pages::default();
    let pages = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || pages.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = Server::start(vec![Act::Repeat(500), Act::Repeat(404), Act::Repeat(200), Act::Close]).await;
    let url = || {
        let url = server.url("/hooks/s3cret-id/s3cret-token?key=s3cret-key");
        secrecy::SecretString::from(secrecy::ExposeSecret::expose_secret(&url).replacen(
            "127",
            "s3cret-user:s3cret-password@127",
            1,
        ))
    };
    let kinds = [
        ("chat", ChannelKind::RocketChat { url: url(), channel: None }),
        ("slack", ChannelKind::Slack { url: url() }),
        ("web", ChannelKind::Webhook { url: url(), secrets: vec![SIGNING.into()] }),
        ("console", ChannelKind::Log),
    ];
    let mut settings = everything_to(&["chat", "slack", "web", "console"]);
    settings.channels = kinds.into_iter().map(|(id, kind)| (id.into(), Channel { kind })).collect();
    let store = Store::in_memory().unwrap();
    let clock = Arc::new(ScriptedClock::at(time("12:04:01")));
    let outbox =
        Outbox::new(store.clone(), senders(&settings).unwrap(), settings.clone(), clock.clone(), "a", 1);

    let mut seen = format!("{settings:?}");
    commit(&store, &["evt-1"], &["chat", "slack", "web", "console"]).await;
    for _ in 0..3 {
        outbox.drain(Duration::from_secs(30)).await.unwrap();
        clock.advance(Duration::from_secs(7));
    }
    for channel in ["chat", "slack", "web"] {
        write!(seen, "{:?}", outbox.send_test(&channel.into()).await).unwrap();
    }
    for delivery in store.deliveries(DeliveryFilter::default(), 99).await.unwrap() {
        write!(seen, "{:?}", store.delivery(delivery.id).await.unwrap()).unwrap();
    }
    seen += &String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    assert!(server.requests().len() >= 8, "{} requests", server.requests().len());
    assert!(server.requests()[0].target.contains(WORD) && seen.contains("Cannot POST ***"), "{seen}");
    let place =
        seen.find(WORD).map(|at| seen[at.saturating_sub(200)..].chars().take(300).collect::<String>());
    assert_eq!(place, None);
    // `s3cret-user:s3cret-password` as the header Authorization has it.
    assert!(!seen.contains("czNjcmV0LXVzZXI6"));
    assert!(!seen.contains(SIGNING) && !seen.contains(&SIGNING[6..]));
}

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
