//! What is sent, when, and in how many calls.

use jiff::Timestamp;
use providers::mock::{Call, FaultStep, MockProvider, StoredSet, Trouble};
use providers::{NonEmpty, RecordSet, Ttl, Values};

use super::*;
use crate::clock::TokioClock;
use crate::decision::{Event, EventKind, Moment, Motive};

fn answer(address: &str) -> RecordSet {
    RecordSet::new(Ttl(60), Values::A(NonEmpty::one(address.parse().unwrap())))
}

/// Decided now, and in time for five seconds.
fn to_the_standby(before: Snapshot) -> Arc<Work> {
    Arc::new(Work {
        id: "chg-1".into(),
        swap: Swap::new(before, providers::AnswerSets::new([answer("192.0.2.2")]).unwrap()),
        targets: Vec::new(),
        motive: Motive::Failover,
        decided: Moment::ZERO,
        send_by: Moment::ZERO + Duration::from_secs(5),
        completed: Event::new(EventKind::FailoverCompleted, Timestamp::UNIX_EPOCH, "www moved"),
    })
}

/// What comes of a write that was decided now, at a process that stands still for so long before it is sent.
async fn written_after(standstill: Duration) -> (Input, u64) {
    let (zone, name): (DomainName, DomainName) =
        ("example.com".parse().unwrap(), "www.example.com".parse().unwrap());
    let mock = MockProvider::in_memory([zone]);
    mock.edit(&name, vec![answer("192.0.2.1")]).unwrap();
    let provider: Arc<dyn Provider> = Arc::new(mock.clone());
    let zone = provider.zone(&name).await.unwrap();
    let before = provider.read(&zone, std::slice::from_ref(&name)).await.unwrap().remove(0);
    let (out, mut results) = mpsc::channel(1);
    let clock = Arc::new(TokioClock::start_at(Timestamp::UNIX_EPOCH));
    let hands = Hands::writing(BTreeMap::from([("zone".into(), provider)]));
    let zones = Zones::new(hands, clock, out);
    zones.found.lock().unwrap().insert(name, zone);
    tokio::time::advance(standstill).await;
    zones.write("zone".into(), vec![to_the_standby(before)]).await;
    (results.recv().await.unwrap().remove(0), mock.calls(Call::Swap))
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_before_the_process_stood_still_is_not_sent_when_it_wakes() {
    let (input, calls) = written_after(Duration::from_millis(5001)).await;
    assert!(matches!(input, Input::Unsent { .. }) && calls == 0, "{input:?}");
    let (input, calls) = written_after(Duration::from_secs(5)).await;
    assert!(matches!(input, Input::Written { result: Ok(()), .. }) && calls == 1, "{input:?}");
}

/// However many records say that they are in this zone, it is found once and read once.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_zone_is_read_at_once() {
    let zone: DomainName = "example.com".parse().unwrap();
    let mock = MockProvider::in_memory([zone.clone()]);
    let names: Vec<DomainName> = (0..1000).map(|n| format!("r{n}.example.com").parse().unwrap()).collect();
    let provider: Arc<dyn Provider> = Arc::new(mock.clone());
    let (out, mut results) = mpsc::channel(1);
    let hands = Hands::writing(BTreeMap::from([("zone".into(), provider)]));
    let zones = Zones::new(hands, Arc::new(TokioClock::start_at(Timestamp::UNIX_EPOCH)), out);
    let configured = names.iter().map(|name| (name.clone(), zone.clone())).collect();
    let wanted = Wanted { records: names.into_iter().collect(), configured, ..Wanted::default() };
    zones.read("zone".into(), wanted).await;
    let told = results.recv().await.unwrap();
    let read = told.iter().filter(|input| matches!(input, Input::Read { result: Ok(_), .. }));
    assert_eq!((told.len(), read.count()), (1000, 1000));
    assert_eq!((mock.calls(Call::Zone), mock.calls(Call::Read)), (1, 1));
}

/// A hundred names with an address each, at a mock; `spoil` changes one after it was read. What was told, and the swaps
/// that were made.
async fn a_hundred_written(spoil: impl FnOnce(&MockProvider, &mut Work)) -> (Vec<Input>, u64, DomainName) {
    let zone: DomainName = "example.com".parse().unwrap();
    let mock = MockProvider::in_memory([zone]);
    let names: Vec<DomainName> = (0..100).map(|n| format!("r{n:02}.example.com").parse().unwrap()).collect();
    let provider: Arc<dyn Provider> = Arc::new(mock.clone());
    let zone = provider.zone(&names[0]).await.unwrap();
    for name in &names {
        mock.edit(name, vec![answer("192.0.2.1")]).unwrap();
    }
    let read = provider.read(&zone, &names).await.unwrap();
    let mut works: Vec<Arc<Work>> = read.into_iter().map(to_the_standby).collect();
    spoil(&mock, Arc::make_mut(&mut works[7]));
    let (out, mut results) = mpsc::channel(1);
    let hands = Hands::writing(BTreeMap::from([("zone".into(), provider)]));
    let zones = Zones::new(hands, Arc::new(TokioClock::start_at(Timestamp::UNIX_EPOCH)), out);
    for name in &names {
        zones.found.lock().unwrap().insert(name.clone(), zone.clone());
    }
    let before = mock.calls(Call::Swap);
    zones.write("zone".into(), works).await;
    (results.recv().await.unwrap(), mock.calls(Call::Swap) - before, names[7].clone())
}

/// Told of each once: of this one what is said, of the others that they are written.
fn all_but_one_are_made(told: &[Input], left: &DomainName, is_said: impl Fn(&Fault) -> bool) {
    let kept = told.iter().filter(
        |input| matches!(input, Input::Written { record, result: Err(why) } if record == left && is_said(why)),
    );
    let made = told.iter().filter(|input| matches!(input, Input::Written { result: Ok(()), .. }));
    assert_eq!((told.len(), kept.count(), made.count()), (100, 1, 99), "{told:?}");
}

/// A hundred names in one transaction, of which another writer has changed one: it alone is left, and all others are
/// written in one more call.
#[tokio::test(start_paused = true)]
async fn one_name_that_is_fought_over_holds_up_no_other() {
    let (told, calls, fought) = a_hundred_written(|mock, work| {
        mock.edit(work.swap.name(), vec![answer("192.0.2.3")]).unwrap();
    })
    .await;
    all_but_one_are_made(
        &told,
        &fought,
        |why| matches!(why, Fault::Conflict(why) if why.contains("192.0.2.3")),
    );
    assert_eq!(calls, 1 + 1, "all, and all others");
}

/// A name whose value is refused does not show in what is there: it is found by halves.
#[tokio::test(start_paused = true)]
async fn one_name_that_is_refused_is_found_in_few_calls() {
    let (told, calls, refused) = a_hundred_written(|mock, work| {
        let mail =
            StoredSet { ttl: Ttl(60), record_type: "MX".into(), values: vec!["10 m.example.net.".into()] };
        let address = StoredSet { ttl: Ttl(60), record_type: "A".into(), values: vec!["192.0.2.1".into()] };
        mock.edit_all(work.swap.name(), [mail, address]).unwrap();
        let alias = RecordSet::new(Ttl(60), Values::Cname("dr.example.net".parse().unwrap()));
        work.swap.after = providers::AnswerSets::new([alias]).unwrap();
    })
    .await;
    all_but_one_are_made(&told, &refused, |why| matches!(why, Fault::Unsupported(_)));
    assert_eq!(calls, 1 + 2 + 2 + 2 + 2 + 6, "all, halves down to six, and each of those");
}

/// A zone with forty names, each with an address, at a mock that takes 100 ms for each call.
async fn slow_zone() -> (MockProvider, Zones, Vec<Arc<Work>>, mpsc::Receiver<Vec<Input>>) {
    let mock = MockProvider::in_memory(["example.com".parse().unwrap()]);
    let names: Vec<DomainName> = (0..40).map(|n| format!("r{n:02}.example.com").parse().unwrap()).collect();
    for name in &names {
        mock.edit(name, vec![answer("192.0.2.1")]).unwrap();
    }
    let provider: Arc<dyn Provider> = Arc::new(mock.clone());
    let zone = provider.zone(&names[0]).await.unwrap();
    let works = provider.read(&zone, &names).await.unwrap().into_iter().map(to_the_standby).collect();
    let (out, results) = mpsc::channel(8);
    let hands = Hands::writing(BTreeMap::from([("zone".into(), provider)]));
    let zones = Zones::new(hands, Arc::new(TokioClock::start_at(Timestamp::UNIX_EPOCH)), out);
    zones.found.lock().unwrap().extend(names.into_iter().map(|name| (name, zone.clone())));
    let slowly = |step: FaultStep| step.delayed(Duration::from_millis(100)).times(40);
    mock.script([FaultStep::on_read(Trouble::Nothing), FaultStep::on_swap(Trouble::Nothing)].map(slowly));
    (mock, zones, works, results)
}

async fn all(results: &mut mpsc::Receiver<Vec<Input>>, most: usize) -> Vec<Input> {
    let mut told = Vec::new();
    while told.len() < most {
        let more = timeout(Duration::from_mins(1), results.recv()).await.expect("each is told of");
        told.extend(more.unwrap());
    }
    told
}

/// Four times ten changes are asked for at once. Two transactions are under way, and the others are one.
#[tokio::test(start_paused = true)]
async fn what_waits_at_a_zone_is_written_together() {
    let (mock, zones, works, mut results) = slow_zone().await;
    for ten in works.chunks(10) {
        tokio::spawn(zones.clone().write("zone".into(), ten.to_vec()));
    }
    let told = all(&mut results, 40).await;
    assert!(told.iter().all(|input| matches!(input, Input::Written { result: Ok(()), .. })), "{told:?}");
    assert_eq!((told.len(), mock.calls(Call::Swap)), (40, 3));
}

/// Four times ten records are asked for at once. One reading is under way, and the others are one.
#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_is_read_together() {
    let (mock, zones, works, mut results) = slow_zone().await;
    let before = mock.calls(Call::Read);
    for ten in works.chunks(10) {
        let records = ten.iter().map(|work| work.swap.name().clone()).collect();
        tokio::spawn(zones.clone().read("zone".into(), Wanted { records, ..Wanted::default() }));
    }
    let told = all(&mut results, 40).await;
    assert!(told.iter().all(|input| matches!(input, Input::Read { result: Ok(_), .. })), "{told:?}");
    assert_eq!((told.len(), mock.calls(Call::Read) - before), (40, 2));
}

/// What waits is told of, too, when the one breaks off that would have written it.
#[tokio::test(start_paused = true)]
async fn a_writing_that_breaks_off_leaves_nobody_waiting() {
    let (_mock, zones, works, mut results) = slow_zone().await;
    let tasks: Vec<_> =
        works.chunks(10).map(|ten| tokio::spawn(zones.clone().write("zone".into(), ten.to_vec()))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let told = all(&mut results, 40).await;
    let broken = |input: &Input| matches!(input, Input::Written { result: Err(Fault::Unknown(_)), .. });
    assert!(told.len() == 40 && told.iter().all(broken), "{told:?}");
}
