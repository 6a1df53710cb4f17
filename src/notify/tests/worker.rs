//! The worker with channels of our own, in virtual time where waiting is the matter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;

use super::server::{Act, Server};
use super::*;
use crate::clock::TokioClock;
use crate::store::{Delivery, DeliveryFilter, DeliveryState};

/// What a channel of our own does.
#[derive(Clone, Copy)]
enum Mood {
    Fine,
    Broken,
    Refusing,
    Hanging,
    /// Asks for patience, once.
    Busy(Duration),
}

/// A channel that keeps what it was given, and when.
struct Scripted {
    mood: Mutex<Mood>,
    seen: Mutex<Vec<(String, Timestamp)>>,
}

impl Scripted {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Scripted { mood: Mutex::new(mood), seen: Mutex::default() })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    fn times(&self) -> Vec<Timestamp> {
        self.seen.lock().unwrap().iter().map(|(_, at)| *at).collect()
    }
}

#[async_trait]
impl Sender for Scripted {
    async fn send(&self, delivery: &Delivery, now: Timestamp) -> SendResult {
        self.seen.lock().unwrap().push((delivery.event.id.clone(), now));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Fine => SendResult::Delivered { status: Some(200), said: "ok".into() },
            Mood::Broken => SendResult::Retry { after: None, status: Some(500), error: "broken".into() },
            Mood::Refusing => SendResult::Permanent { status: Some(404), error: "gone".into() },
            Mood::Hanging => std::future::pending().await,
            Mood::Busy(after) => {
                *self.mood.lock().unwrap() = Mood::Fine;
                SendResult::Retry { after: Some(after), status: Some(429), error: "busy".into() }
            }
        }
    }
}

type Channels<'a> = &'a [(&'a str, Arc<Scripted>)];

fn outbox(store: &Store, clock: Arc<dyn Clock>, channels: Channels<'_>) -> Outbox {
    let names: Vec<&str> = channels.iter().map(|(name, _)| *name).collect();
    let senders: BTreeMap<ChannelId, Arc<dyn Sender>> = channels
        .iter()
        .map(|(name, sender)| (ChannelId::from(*name), sender.clone() as Arc<dyn Sender>))
        .collect();
    Outbox::new(store.clone(), senders, everything_to(&names), clock, "toronto-1", 42)
}

fn virtual_clock() -> Arc<TokioClock> {
    Arc::new(TokioClock::start_at(time("12:04:00")))
}

/// Runs the outbox for so long, then asks it to stop and waits for it.
async fn run_for(outbox: &Outbox, duration: Duration) {
    let (stop, signal) = watch::channel(false);
    tokio::join!(outbox.run(signal), async {
        tokio::time::sleep(duration).await;
        stop.send_replace(true);
    });
}

async fn states(store: &Store) -> Vec<(String, String, DeliveryState)> {
    let all = store.deliveries(DeliveryFilter::default(), 100).await.unwrap();
    all.into_iter().rev().map(|d| (d.event.id, d.channel.to_string(), d.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn each_message_goes_once_to_each_channel_in_order() {
    let (store, chat, log) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Fine), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone()), ("log", log.clone())]);
    commit(&store, &["a", "b", "c"], &["chat", "log"]).await;
    run_for(&outbox, Duration::from_mins(1)).await;
    assert_eq!((chat.seen(), log.seen()), (vec!["a".into(), "b".into(), "c".into()], chat.seen()));
    assert_eq!(store.pending().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_channel_delays_no_other() {
    let (store, chat, log) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Hanging), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone()), ("log", log.clone())]);
    commit(&store, &["a", "b"], &["chat", "log"]).await;
    run_for(&outbox, Duration::from_secs(5)).await;
    assert_eq!(log.times(), [time("12:04:00"), time("12:04:00")]);
    assert_eq!(chat.seen(), ["a"]);
    let (delivery, attempts) = store.delivery(1).await.unwrap().unwrap();
    assert_eq!(delivery.state, DeliveryState::Pending);
    assert!(attempts[0].error.as_ref().unwrap().starts_with("cut off"), "{attempts:?}");
    assert_eq!(attempts[0].took_ms, 6500, "5 s until the stop and 1.5 s of grace");
}

#[tokio::test(start_paused = true)]
async fn a_dead_channel_is_tried_for_a_day_and_the_others_are_told_once() {
    let (store, chat, log) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Broken), Scripted::new(Mood::Fine));
    let clock = Arc::new(ScriptedClock::at(time("12:04:00")));
    let outbox = outbox(&store, clock.clone(), &[("chat", chat.clone()), ("log", log.clone())]);
    commit(&store, &["a", "b"], &["chat"]).await;
    while outbox.drain(Duration::from_mins(1)).await.unwrap().left > 0 {
        let now = clock.now().wall;
        let next = store.next_due(None, now).await.unwrap().expect("something is left");
        clock.advance(next.duration_since(now).unsigned_abs());
    }
    let waits: Vec<i64> =
        chat.times().windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    let attempts = chat.seen().iter().filter(|id| *id == "a").count();
    assert!((25..=34).contains(&attempts), "{attempts} attempts: {waits:?}");
    let dead: Vec<_> = states(&store).await.into_iter().filter(|(_, channel, _)| channel == "chat").collect();
    assert!(dead.iter().all(|(_, _, state)| *state == DeliveryState::Dead), "{dead:?}");
    let told =
        store.deliveries(DeliveryFilter { channel: Some("log".into()), state: None }, 9).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    let event = &told[0].event.event;
    assert_eq!(event.kind.as_str(), "delivery.exhausted");
    assert!(
        event
            .summary
            .starts_with("a message to the channel chat was given up: www.workshopco.ca failed over")
    );
    assert!(
        event
            .remedy
            .as_ref()
            .unwrap()
            .ends_with(&format!("deliveries retry {}", 1 + i64::from(told[0].event.id.starts_with('b'))))
    );
    assert_eq!(log.seen(), [told[0].event.id.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_dead_at_once_and_two_dead_channels_do_not_write_each_other() {
    let (store, one, two) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Refusing), Scripted::new(Mood::Refusing));
    let outbox = outbox(&store, virtual_clock(), &[("one", one.clone()), ("two", two.clone())]);
    commit(&store, &["a", "b"], &["one"]).await;
    run_for(&outbox, Duration::from_mins(5)).await;
    let expected = [("a", "one"), ("b", "one"), ("a-given-up-1-1", "two")];
    let expected = expected.map(|(id, channel)| (id.to_owned(), channel.to_owned(), DeliveryState::Dead));
    assert_eq!(states(&store).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_patience_gets_it_for_all_its_messages() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Busy(Duration::from_mins(2))));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    commit(&store, &["a", "b"], &["chat"]).await;
    run_for(&outbox, Duration::from_mins(5)).await;
    assert_eq!(chat.seen(), ["a", "a", "b"]);
    assert!(chat.times()[1] >= time("12:06:00"), "{:?}", chat.times());
}

#[tokio::test(start_paused = true)]
async fn a_call_after_a_commit_is_heard_at_once() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    let (stop, signal) = watch::channel(false);
    tokio::join!(outbox.run(signal), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        commit(&store, &["a"], &["chat"]).await;
        outbox.wake();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
    });
    assert_eq!(chat.times(), [time("12:04:03")]);
}

#[tokio::test]
async fn a_process_killed_between_sending_and_recording_sends_again_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("failover.db");
    let server = Server::start(vec![Act::Hang, Act::Say(200, "", "")]).await;
    let kind = ChannelKind::Webhook { url: server.url("/in"), secrets: Vec::new() };
    let settings = NotifySettings { channels: [("web".into(), Channel { kind })].into(), routes: Vec::new() };
    let clock = Arc::new(ScriptedClock::at(time("12:04:01")));
    let open = || {
        let store = Store::open(&path).unwrap();
        let senders = senders(&settings).unwrap();
        (Outbox::new(store.clone(), senders, settings.clone(), clock.clone(), "a", 1), store)
    };
    let (outbox, store) = open();
    commit(&store, &["evt-1"], &["web"]).await;
    // The future is dropped as soon as the server has the message: the process is gone before it hears of it.
    tokio::select! {
        _ = outbox.drain(Duration::from_mins(1)) => panic!("it hangs"),
        () = until(|| server.requests().len() == 1) => {}
    }
    drop((outbox, store));

    let (outbox, store) = open();
    let drained = outbox.drain(Duration::from_secs(10)).await.unwrap();
    assert_eq!(drained, Drained { delivered: 1, failed: 0, left: 0 });
    let ids: Vec<String> = server.requests().iter().map(|r| r.headers["webhook-id"].clone()).collect();
    assert_eq!(ids, ["evt-1", "evt-1"]);
    assert_eq!(store.delivery(1).await.unwrap().unwrap().1.len(), 1);
}

#[tokio::test]
async fn an_error_and_then_success_over_real_sockets() {
    let server = Server::start(vec![Act::Say(500, "", "oh no"), Act::Say(200, "", "ok")]).await;
    let kind = ChannelKind::Slack { url: server.url("/services/T/B/X") };
    let settings =
        NotifySettings { channels: [("slack".into(), Channel { kind })].into(), routes: Vec::new() };
    let (store, clock) = (Store::in_memory().unwrap(), Arc::new(ScriptedClock::at(time("12:04:01"))));
    let senders = senders(&settings).unwrap();
    let outbox = Outbox::new(store.clone(), senders, settings, clock.clone(), "a", 1);
    commit(&store, &["a"], &["slack"]).await;
    assert_eq!(
        outbox.drain(Duration::from_secs(10)).await.unwrap(),
        Drained { delivered: 0, failed: 1, left: 1 }
    );
    assert_eq!(
        outbox.drain(Duration::from_secs(10)).await.unwrap(),
        Drained { delivered: 0, failed: 0, left: 1 }
    );
    clock.advance(Duration::from_secs(2));
    assert_eq!(
        outbox.drain(Duration::from_secs(10)).await.unwrap(),
        Drained { delivered: 1, failed: 0, left: 0 }
    );
    let (_, attempts) = store.delivery(1).await.unwrap().unwrap();
    let log: Vec<_> = attempts.iter().map(|a| (a.delivered, a.status)).collect();
    assert_eq!(log, [(false, Some(500)), (true, Some(200))]);
    assert!(attempts[0].error.as_ref().unwrap().ends_with("answered 500: oh no"));
}

#[tokio::test(start_paused = true)]
async fn a_run_from_cron_waits_for_a_hanging_channel_no_longer_than_it_may() {
    let (store, chat, log) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Hanging), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone()), ("log", log.clone())]);
    commit(&store, &["a", "b"], &["chat", "log"]).await;
    let drained = outbox.drain(Duration::from_secs(5)).await.unwrap();
    assert_eq!(drained, Drained { delivered: 2, failed: 1, left: 2 });
    let (delivery, _) = store.delivery(1).await.unwrap().unwrap();
    assert_eq!(
        (delivery.attempts, delivery.next_attempt.is_some()),
        (1, true),
        "the next run goes by the back-off"
    );
}

#[tokio::test(start_paused = true)]
async fn given_up_in_a_run_from_cron_is_told_in_the_same_run() {
    let (store, chat, log) =
        (Store::in_memory().unwrap(), Scripted::new(Mood::Refusing), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone()), ("log", log.clone())]);
    commit(&store, &["a"], &["chat"]).await;
    let drained = outbox.drain(Duration::from_secs(5)).await.unwrap();
    assert_eq!(drained, Drained { delivered: 1, failed: 1, left: 0 });
    assert_eq!(log.seen(), ["a-given-up-1-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_does_not_send_a_message_again_and_again() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    commit(&store, &["a", "b"], &["chat"]).await;
    // Reading works and writing does not, as on a full or read-only disk.
    store.sql("PRAGMA query_only = ON").await;
    run_for(&outbox, Duration::from_mins(10)).await;
    assert_eq!(chat.seen(), ["a", "b"]);
    assert_eq!(store.pending().await.unwrap(), 2);
    store.sql("PRAGMA query_only = OFF").await;
    run_for(&outbox, Duration::from_mins(1)).await;
    assert_eq!((chat.seen().len(), store.pending().await.unwrap()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_saved_is_told_from_memory() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    store.sql("PRAGMA query_only = ON").await;
    outbox.tell_unsaved(vec![(event("unwritable"), vec!["chat".into()])]).await.unwrap();
    run_for(&outbox, Duration::from_mins(1)).await;
    assert_eq!(chat.seen(), ["unwritable"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_channel_that_is_gone_is_given_up() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    commit(&store, &["a"], &["chat", "old"]).await;
    run_for(&outbox, Duration::from_secs(1)).await;
    let expected = [("a", "chat", DeliveryState::Delivered), ("a", "old", DeliveryState::Dead)];
    let expected = expected.map(|(id, channel, state)| (id.to_owned(), channel.to_owned(), state));
    assert_eq!(states(&store).await, expected);
}

#[tokio::test(start_paused = true)]
async fn other_channels_while_it_runs() {
    let store = Store::in_memory().unwrap();
    let [chat, old, new] = [Mood::Fine, Mood::Hanging, Mood::Fine].map(Scripted::new);
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone()), ("old", old.clone())]);
    commit(&store, &["a"], &["chat", "old"]).await;
    let (stop, signal) = watch::channel(false);
    tokio::join!(outbox.run(signal), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let senders = [("chat", chat.clone()), ("new", new.clone())];
        let senders = senders.map(|(name, sender)| (ChannelId::from(name), sender as Arc<dyn Sender>));
        outbox.reconfigure(BTreeMap::from(senders), everything_to(&["chat", "new"]));
        commit(&store, &["b"], &["chat", "new"]).await;
        outbox.wake();
        tokio::time::sleep(Duration::from_secs(30)).await;
        stop.send_replace(true);
    });
    assert_eq!((chat.seen(), new.seen()), (vec!["a".to_owned(), "b".into()], vec!["b".to_owned()]));
    assert_eq!(old.seen(), ["a"], "the attempt in flight was the last one");
    let states = states(&store).await;
    assert!(states.contains(&("a".into(), "old".into(), DeliveryState::Dead)), "{states:?}");
    assert_eq!(store.pending().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_test_message_goes_the_same_way_and_is_not_kept() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Refusing));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    let result = outbox.send_test(&"chat".into()).await.unwrap();
    assert_eq!(result, SendResult::Permanent { status: Some(404), error: "gone".into() });
    assert!(chat.seen()[0].starts_with("test-toronto-1-"));
    assert_eq!(outbox.send_test(&"nowhere".into()).await, None);
    assert_eq!(store.events(None, 9).await.unwrap(), []);
}

/// Polls a condition; the deadline is generous because the machine may be busy.
async fn until(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await.expect("the condition holds in the end");
}

/// One event for each id, to these channels, as the agent tells it from memory.
fn unsaved(ids: &[String], channel: &str) -> Vec<(Recorded, Vec<ChannelId>)> {
    ids.iter().map(|id| (event(id), vec![channel.into()])).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_told_from_memory_is_bounded() {
    let store = Store::in_memory().unwrap();
    let (dead, fine) = (Scripted::new(Mood::Broken), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("dead", dead), ("fine", fine.clone())]);
    for round in 0..3 {
        let ids: Vec<String> = (0..700).map(|n| format!("evt-{round}-{n}")).collect();
        outbox.tell_unsaved(unsaved(&ids, "dead")).await.unwrap();
        outbox.tell_unsaved(unsaved(&[format!("fine-{round}")], "fine")).await.unwrap();
    }
    assert_eq!(outbox.unsaved().await.unwrap(), 1_000);
    outbox.prune_unsaved(time("12:04:00")).await.unwrap();
    let kept = outbox.hand_over().await.unwrap().deliveries();
    assert!(kept.len() <= 2_000, "{} are remembered", kept.len());
    outbox.drain(Duration::from_mins(1)).await.unwrap();
    assert!(fine.seen().contains(&"fine-2".into()), "the newest are told");
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_never_told_anything_from_memory_hands_nothing_over_and_tells_later() {
    let (store, chat) = (Store::in_memory().unwrap(), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("chat", chat.clone())]);
    run_for(&outbox, Duration::from_mins(1)).await;
    let hand_over = outbox.hand_over().await.unwrap();
    assert_eq!(hand_over.deliveries(), []);
    outbox.tell_unsaved(unsaved(&["a".into()], "chat")).await.unwrap();
    hand_over.done().await.unwrap();
    assert_eq!(
        (outbox.prune_unsaved(time("12:04:00")).await.unwrap(), outbox.unsaved().await.unwrap()),
        (0, 1)
    );
    run_for(&outbox, Duration::from_mins(1)).await;
    assert_eq!((chat.seen(), outbox.unsaved().await.unwrap()), (vec!["a".into()], 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_goes_on_where_it_was_and_once() {
    let store = Store::in_memory().unwrap();
    let (dead, fine) = (Scripted::new(Mood::Broken), Scripted::new(Mood::Fine));
    let outbox = outbox(&store, virtual_clock(), &[("dead", dead.clone()), ("fine", fine.clone())]);
    outbox.tell_unsaved(unsaved(&["a".into()], "fine")).await.unwrap();
    outbox.tell_unsaved(unsaved(&["b".into()], "dead")).await.unwrap();
    outbox.drain(Duration::from_secs(1)).await.unwrap();
    // A commit that was given up and made all the same: here it waits, in memory it is told.
    commit(&store, &["a"], &["fine"]).await;
    outbox.drain(Duration::from_secs(1)).await.unwrap();
    assert_eq!((fine.seen(), dead.seen()), (vec!["a".into()], vec!["b".into()]));

    // One that fails leaves everything where it is.
    drop(outbox.hand_over().await.unwrap());
    assert_eq!((outbox.unsaved().await.unwrap(), store.pending().await.unwrap()), (1, 1));

    let hand_over = outbox.hand_over().await.unwrap();
    let batch = Batch { deliveries: hand_over.deliveries(), ..Batch::default() };
    store.commit(batch).await.unwrap();
    hand_over.done().await.unwrap();
    let kept = [("a", "fine", DeliveryState::Delivered), ("b", "dead", DeliveryState::Pending)];
    assert_eq!(states(&store).await, kept.map(|(id, to, state)| (id.into(), to.into(), state)));
    let waiting = store.deliveries(DeliveryFilter { channel: Some("dead".into()), state: None }, 9).await;
    let waiting = waiting.unwrap().remove(0);
    assert_eq!((waiting.attempts, waiting.round, outbox.unsaved().await.unwrap()), (1, 1, 0));
    assert!(waiting.last_error.is_some() && waiting.first_attempt.is_some(), "{waiting:?}");

    *dead.mood.lock().unwrap() = Mood::Fine;
    run_for(&outbox, Duration::from_mins(1)).await;
    assert_eq!((fine.seen(), dead.seen()), (vec!["a".into()], vec!["b".into(), "b".into()]));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_in_flight_ends_in_the_file_and_is_not_made_again() {
    let (store, slow) = (Store::in_memory().unwrap(), Scripted::new(Mood::Hanging));
    let outbox = outbox(&store, virtual_clock(), &[("slow", slow.clone())]);
    outbox.tell_unsaved(unsaved(&["a".into()], "slow")).await.unwrap();
    let (stop, signal) = watch::channel(false);
    tokio::join!(outbox.run(signal), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(slow.seen(), ["a"], "in flight");
        let hand_over = outbox.hand_over().await.unwrap();
        store.commit(Batch { deliveries: hand_over.deliveries(), ..Batch::default() }).await.unwrap();
        hand_over.done().await.unwrap();
        // The attempt is given up at 15 s, and the next follows a second later, from the file.
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(slow.seen(), ["a"], "one at a time");
        *slow.mood.lock().unwrap() = Mood::Fine;
        tokio::time::sleep(Duration::from_secs(10)).await;
        stop.send_replace(true);
    });
    assert_eq!(slow.seen(), ["a", "a"]);
    let (kept, attempts) = store.delivery(1).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, attempts.len()), (DeliveryState::Delivered, 2, 2));
    assert_eq!((store.pending().await.unwrap(), outbox.unsaved().await.unwrap()), (0, 0));
}
