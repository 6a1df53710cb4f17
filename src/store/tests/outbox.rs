//! Deliveries in their order, each until it is done.

use super::*;

fn failed(time: &str) -> Attempt {
    Attempt { at: at(time), delivered: false, status: Some(500), error: Some("é".repeat(600)), took_ms: 12 }
}

async fn due(store: &Store, channel: Option<&str>, time: &str) -> Vec<String> {
    let channel = channel.map(ChannelId::from);
    let found = store.due(channel.as_ref(), at(time), 100).await.unwrap();
    found.into_iter().map(|d| format!("{}>{}", d.event.id, d.channel)).collect()
}

#[tokio::test]
async fn each_event_goes_once_to_each_channel_in_order() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a", "b"], &["log", "chat", "log"])).await.unwrap();
    assert_eq!(due(&store, None, "12:00:00").await, ["a>chat", "a>log", "b>chat", "b>log"]);
    assert_eq!(due(&store, Some("chat"), "12:00:00").await, ["a>chat", "b>chat"]);
    assert_eq!(due(&store, None, "11:59:59").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_is_known_is_not_told_again() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a"], &["chat"])).await.unwrap();
    store.commit(tell(&["a", "b"], &["chat", "late"])).await.unwrap();
    assert_eq!(due(&store, None, "12:00:00").await, ["a>chat", "b>chat", "b>late"]);
}

#[tokio::test]
async fn a_failed_attempt_waits_and_is_overtaken_until_its_time() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a", "b"], &["chat"])).await.unwrap();
    store.record_attempt(1, failed("12:00:01"), Next::RetryAt(at("12:00:30")), Vec::new()).await.unwrap();
    assert_eq!(due(&store, None, "12:00:29").await, ["b>chat"]);
    assert_eq!(due(&store, None, "12:00:30").await, ["a>chat", "b>chat"]);
    assert_eq!(store.next_due(None, at("12:00:00")).await.unwrap(), Some(at("12:00:00")));
    let (delivery, attempts) = store.delivery(1).await.unwrap().unwrap();
    assert_eq!((delivery.attempts, delivery.first_attempt), (1, Some(at("12:00:01"))));
    assert_eq!(delivery.last_error.unwrap().chars().count(), 512);
    assert_eq!((attempts.len(), attempts[0].status, attempts[0].took_ms), (1, Some(500), 12));
}

#[tokio::test]
async fn a_wall_clock_set_back_strands_nothing() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a"], &["chat"])).await.unwrap();
    assert_eq!(due(&store, None, "09:59:59").await, ["a>chat"]);
    assert_eq!(store.next_due(None, at("09:59:59")).await.unwrap(), Some(at("09:59:59")));
}

#[tokio::test]
async fn a_dead_letter_is_sent_again_from_the_beginning() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a"], &["chat"])).await.unwrap();
    let told = (event("exhausted", Severity::Warning), vec![ChannelId::from("log")]);
    store.record_attempt(1, failed("12:00:01"), Next::Dead, vec![told]).await.unwrap();
    assert_eq!(due(&store, None, "23:00:00").await, ["exhausted>log"]);
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), channel: None };
    assert_eq!(store.deliveries(dead.clone(), 9).await.unwrap().len(), 1);

    assert!(store.retry(1, at("13:00:00")).await.unwrap());
    assert!(!store.retry(77, at("13:00:00")).await.unwrap());
    assert_eq!(due(&store, Some("chat"), "13:00:00").await, ["a>chat"]);
    assert_eq!(store.deliveries(dead, 9).await.unwrap(), []);
    let (delivery, _) = store.delivery(1).await.unwrap().unwrap();
    assert_eq!((delivery.attempts, delivery.round, delivery.first_attempt), (1, 0, None));
}

#[tokio::test]
async fn lists_are_newest_first_and_bounded() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a", "b"], &["chat", "log"])).await.unwrap();
    let chat = DeliveryFilter { state: Some(DeliveryState::Pending), channel: Some("chat".into()) };
    let ids: Vec<String> =
        store.deliveries(chat.clone(), 9).await.unwrap().into_iter().map(|d| d.event.id).collect();
    assert_eq!(ids, ["b", "a"]);
    assert_eq!(store.deliveries(chat, 1).await.unwrap().len(), 1);
    assert_eq!(store.delivery(99).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_outbox_gives_up_the_least_urgent_and_says_so() {
    let store = Store::in_memory_with(Bounds { pending: 2, rows: 1_000, latency: 10 }).unwrap();
    let channels = vec![ChannelId::from("chat")];
    let severities = [
        ("old", Severity::Critical),
        ("info", Severity::Info),
        ("w1", Severity::Warning),
        ("w2", Severity::Warning),
    ];
    for (id, severity) in severities {
        let events = vec![(event(id, severity), channels.clone())];
        store.commit(Batch { events, ..Batch::default() }).await.unwrap();
    }
    assert_eq!(due(&store, None, "12:00:00").await, ["old>chat", "w2>chat"]);
    let (dead, _) = store.delivery(2).await.unwrap().unwrap();
    assert_eq!(dead.state, DeliveryState::Dead);
    assert!(dead.last_error.unwrap().contains("more than 2 messages were waiting"));
}

#[tokio::test]
async fn a_channel_that_is_gone_gets_no_more() {
    let store = Store::in_memory().unwrap();
    store.commit(tell(&["a"], &["chat", "gone"])).await.unwrap();
    assert_eq!(store.abandon_unknown(["chat".into()].into()).await.unwrap(), 1);
    assert_eq!(due(&store, None, "12:00:00").await, ["a>chat"]);
}

#[tokio::test]
async fn an_attempt_of_a_delivery_that_is_forgotten_is_no_error() {
    let store = Store::in_memory().unwrap();
    store.record_attempt(5, failed("12:00:01"), Next::Dead, Vec::new()).await.unwrap();
}
