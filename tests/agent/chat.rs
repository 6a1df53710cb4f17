//! The team's chat: what people read.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use failover::decision::{EventKind, Recorded};
use failover::notify::{Message, SendResult, Sender};
use failover::store::Delivery;
use jiff::Timestamp;

/// What the chat does with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes it.
    #[default]
    Takes,
    /// It takes it, and says so ten seconds later.
    TakesSlowly,
    /// It takes the connection and never answers.
    Hangs,
    /// It answers 503.
    Fails,
}

/// One message as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) event: Recorded,
    pub(crate) at: Timestamp,
}

impl Heard {
    pub(crate) fn kind(&self) -> EventKind {
        self.event.event.kind
    }

    /// The message as a person sees it, without its footer, with every time as `<time>`.
    pub(crate) fn text(&self) -> String {
        let text = Message::of(&self.event, self.at).text();
        let (body, _footer) = text.rsplit_once('\n').unwrap_or((&text, ""));
        let times = regex::Regex::new(r"\d\d:\d\d:\d\d UTC( \(\d{4}-\d\d-\d\d\))?").unwrap();
        times.replace_all(body, "<time>").into_owned()
    }
}

/// Takes messages as the story says.
#[derive(Default)]
pub(crate) struct Chat {
    mood: Mutex<Mood>,
    heard: Mutex<Vec<Heard>>,
    attempts: Mutex<u64>,
}

impl Chat {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn attempts(&self) -> u64 {
        *self.attempts.lock().unwrap()
    }
}

#[async_trait]
impl Sender for Chat {
    async fn send(&self, delivery: &Delivery, now: Timestamp) -> SendResult {
        *self.attempts.lock().unwrap() += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Takes | Mood::TakesSlowly => {
                self.heard.lock().unwrap().push(Heard { event: delivery.event.clone(), at: now });
                if mood == Mood::TakesSlowly {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                }
                SendResult::Delivered { status: Some(200), said: "ok".into() }
            }
            Mood::Hangs => std::future::pending().await,
            Mood::Fails => SendResult::Retry { after: None, status: Some(503), error: "503".into() },
        }
    }
}
