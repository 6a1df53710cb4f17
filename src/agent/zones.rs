//! Reads and writes at the providers, batched by zone. It makes no choices: what is asked is done, and what came of
//! it goes back as inputs of the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use providers::{DomainName, Fault, Provider, ReadProvider, Snapshot, Swap, Zone, read_with_markers};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::Hands;
use crate::clock::Clock;
use crate::decision::{Input, ProviderId, Work};

/// The longest a provider may take for one call, whatever its own limits: the belt to its braces.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Calls under way at one provider.
const CALLS_AT_ONCE: usize = 4;
/// Names in one reading, or as many as in one swap where these are more: there a reading may list the whole zone.
const NAMES_PER_READ: usize = 200;
/// A larger transaction that another writer spoils is tried in parts of so many before each name is by itself.
const NAMES_PER_PART: usize = 50;

/// The zones of all providers.
#[derive(Clone)]
pub(super) struct Zones {
    hands: Hands,
    clock: Arc<dyn Clock>,
    /// The zone of each record, once it is known.
    found: Arc<Mutex<BTreeMap<DomainName, Zone>>>,
    turns: BTreeMap<ProviderId, Arc<Semaphore>>,
    out: mpsc::Sender<Vec<Input>>,
}

impl Zones {
    pub(super) fn new(hands: Hands, clock: Arc<dyn Clock>, out: mpsc::Sender<Vec<Input>>) -> Self {
        let turns =
            hands.faces().into_keys().map(|id| (id, Arc::new(Semaphore::new(CALLS_AT_ONCE)))).collect();
        Zones { hands, clock, found: Arc::default(), turns, out }
    }

    /// Other hands from now on; what is under way ends with the old ones. Zones that are `moved` are found anew.
    pub(super) fn renew(&mut self, hands: Hands, moved: impl Fn(&DomainName) -> bool) {
        for id in hands.faces().into_keys() {
            self.turns.entry(id).or_insert_with(|| Arc::new(Semaphore::new(CALLS_AT_ONCE)));
        }
        // A reading under way must not put back what it found at another provider.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        found.retain(|record, _| !moved(record));
        self.found = Arc::new(Mutex::new(found));
        self.hands = hands;
    }

    /// The zone of a record, if it has been found.
    pub(super) fn zone_of(&self, record: &DomainName) -> Option<Zone> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(record).cloned()
    }

    /// Reads these records of one provider and reports each. `configured` gives the zones that need not be found,
    /// `aliases` the records that are to hold a CNAME, which cannot stand at a zone's own name (RFC 1912 section 2.4),
    /// `marked` those that have a marker.
    pub(super) async fn read(
        self,
        provider: ProviderId,
        records: Vec<DomainName>,
        configured: BTreeMap<DomainName, DomainName>,
        aliases: BTreeSet<DomainName>,
        marked: BTreeSet<DomainName>,
    ) {
        let owed = Owed::new(&self.out, &records, |record| Input::Read {
            record,
            result: Err(Fault::Unavailable("the reading broke off".into())),
        });
        let Some(reader) = self.hands.reader(&provider).cloned() else { return };
        let _turn = self.turn(&provider).await;
        let mut by_zone: BTreeMap<Zone, Vec<DomainName>> = BTreeMap::new();
        let mut results = Vec::new();
        let mut lost: Option<Fault> = None;
        for record in records {
            // A provider that cannot be reached is not asked again for every name.
            if let Some(fault) = &lost {
                results.push(Input::Read { record, result: Err(fault.clone()) });
                continue;
            }
            match self.find(reader.as_ref(), &record, configured.get(&record)).await {
                Ok(zone) if zone.name == record && aliases.contains(&record) => {
                    let why = format!(
                        "{record} is its zone's own name, where no CNAME can stand: use targets with addresses"
                    );
                    results.push(Input::Read { record, result: Err(Fault::Config(why)) });
                }
                Ok(zone) => by_zone.entry(zone).or_default().push(record),
                Err(fault) => {
                    lost = matches!(fault, Fault::Unavailable(_) | Fault::Auth(_)).then(|| fault.clone());
                    results.push(Input::Read { record, result: Err(fault) });
                }
            }
        }
        // What nobody else has to ask just now is asked for in parallel.
        let spare = self.spare_turns(&provider);
        let at_once = reader.capabilities().names_per_swap.max(NAMES_PER_READ);
        let mut chunks = Vec::new();
        for (zone, names) in by_zone {
            chunks.extend(names.chunks(at_once).map(|names| (zone.clone(), names.to_vec())));
        }
        let reads = chunks
            .into_iter()
            .map(async |(zone, names)| read_zone(reader.as_ref(), &zone, &names, &marked).await);
        let mut reads = stream::iter(reads).buffered(1 + spare.len());
        while let Some(read) = reads.next().await {
            results.extend(read);
        }
        drop(reads);
        owed.pay(results).await;
    }

    async fn find(
        &self,
        reader: &dyn ReadProvider,
        record: &DomainName,
        configured: Option<&DomainName>,
    ) -> Result<Zone, Fault> {
        if let Some(zone) = self.zone_of(record) {
            return Ok(zone);
        }
        let asked = configured.unwrap_or(record);
        let zone = within(reader.zone(asked), Fault::Unavailable).await?;
        if configured.is_some_and(|wanted| *wanted != zone.name) {
            return Err(Fault::Config(format!(
                "the provider serves the zone {}, and the configuration says `zone: {asked}`",
                zone.name
            )));
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(record.clone(), zone.clone());
        Ok(zone)
    }

    /// Writes these changes of one provider and reports each. What is too late is not sent: see [`Work::send_by`].
    pub(super) async fn write(self, provider: ProviderId, works: Vec<Work>) {
        let names: Vec<DomainName> = works.iter().map(|work| work.swap.name().clone()).collect();
        let owed = Owed::new(&self.out, &names, |record| Input::Written {
            record,
            result: Err(Fault::Unknown("the writing broke off".into())),
        });
        let Some(writer) = self.hands.writer(&provider).cloned() else { return };
        let _turn = self.turn(&provider).await;
        let mut by_zone: BTreeMap<Zone, Vec<Work>> = BTreeMap::new();
        let mut results = Vec::new();
        for work in works {
            match self.zone_of(work.swap.name()) {
                Some(zone) => by_zone.entry(zone).or_default().push(work),
                None => results.push(Input::Written {
                    record: work.swap.name().clone(),
                    result: Err(Fault::Unavailable("its zone has not been found yet".into())),
                }),
            }
        }
        let at_once = writer.capabilities().names_per_swap.max(1);
        for (zone, works) in by_zone {
            for works in works.chunks(at_once) {
                results.extend(self.write_chunk(writer.as_ref(), &zone, works).await);
            }
        }
        owed.pay(results).await;
    }

    /// One transaction. When another writer spoils it, each name gets one of its own: names are independent of each
    /// other, and one that is fought over must not hold up the rest. The record sets of a name are never torn apart.
    async fn write_chunk(&self, writer: &dyn Provider, zone: &Zone, works: &[Work]) -> Vec<Input> {
        let (swaps, mut results) = self.in_time(works);
        if swaps.is_empty() {
            return results;
        }
        let result = within(writer.swap(zone, &swaps), Fault::Unknown).await;
        let spoilt = matches!(result, Err(Fault::Conflict(_) | Fault::Invalid(_) | Fault::Unsupported(_)));
        let sent: BTreeSet<&DomainName> = swaps.iter().map(Swap::name).collect();
        if swaps.len() > NAMES_PER_PART && spoilt {
            let works: Vec<Work> =
                works.iter().filter(|work| sent.contains(work.swap.name())).cloned().collect();
            for part in works.chunks(NAMES_PER_PART) {
                results.extend(Box::pin(self.write_chunk(writer, zone, part)).await);
            }
            return results;
        }
        if swaps.len() > 1 && spoilt {
            for work in works.iter().filter(|work| sent.contains(work.swap.name())) {
                let (swap, late) = self.in_time(std::slice::from_ref(work));
                results.extend(late);
                if !swap.is_empty() {
                    let result = within(writer.swap(zone, &swap), Fault::Unknown).await.map(drop);
                    results.push(Input::Written { record: work.swap.name().clone(), result });
                }
            }
            return results;
        }
        let written =
            |swap: &Swap| Input::Written { record: swap.name().clone(), result: result.clone().map(drop) };
        results.extend(swaps.iter().map(written));
        results
    }

    /// What may still be sent, and word of what may not.
    fn in_time(&self, works: &[Work]) -> (Vec<Swap>, Vec<Input>) {
        let now = self.clock.now().moment;
        let (good, late): (Vec<&Work>, Vec<&Work>) = works.iter().partition(|work| now <= work.send_by);
        let unsent = |work: &&Work| Input::Unsent { record: work.swap.name().clone() };
        (good.iter().map(|work| work.swap.clone()).collect(), late.iter().map(unsent).collect())
    }

    /// Turns at a provider that nobody waits for.
    fn spare_turns(&self, provider: &ProviderId) -> Vec<tokio::sync::OwnedSemaphorePermit> {
        let turn = || Arc::clone(self.turns.get(provider)?).try_acquire_owned().ok();
        std::iter::from_fn(turn).collect()
    }

    async fn turn(&self, provider: &ProviderId) -> Option<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(self.turns.get(provider)?).acquire_owned().await.ok()
    }
}

/// Results that the decision waits for. Should a call panic, or its task be dropped, the decision hears that instead
/// of waiting for ever.
struct Owed {
    out: mpsc::Sender<Vec<Input>>,
    otherwise: Vec<Input>,
}

impl Owed {
    fn new(out: &mpsc::Sender<Vec<Input>>, names: &[DomainName], otherwise: fn(DomainName) -> Input) -> Self {
        Owed { out: out.clone(), otherwise: names.iter().cloned().map(otherwise).collect() }
    }

    async fn pay(mut self, results: Vec<Input>) {
        self.otherwise.clear();
        // The agent is gone only when the process ends.
        let _ = self.out.send(results).await;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if !self.otherwise.is_empty() {
            let _ = self.out.try_send(std::mem::take(&mut self.otherwise));
        }
    }
}

async fn read_zone(
    reader: &dyn ReadProvider,
    zone: &Zone,
    names: &[DomainName],
    marked: &BTreeSet<DomainName>,
) -> Vec<Input> {
    let result = within(read_with_markers(reader, zone, names, marked), Fault::Unavailable).await;
    match result {
        Ok(snapshots) => {
            let mut found: BTreeMap<DomainName, Snapshot> =
                snapshots.into_iter().map(|snapshot| (snapshot.name.clone(), snapshot)).collect();
            let of = |name: &DomainName| {
                let missing = || Fault::Unavailable(format!("the provider left {name} out of its answer"));
                Input::Read { record: name.clone(), result: found.remove(name).ok_or_else(missing) }
            };
            names.iter().map(of).collect()
        }
        Err(fault) => {
            names.iter().map(|n| Input::Read { record: n.clone(), result: Err(fault.clone()) }).collect()
        }
    }
}

async fn within<T>(
    call: impl Future<Output = Result<T, Fault>>,
    late: fn(String) -> Fault,
) -> Result<T, Fault> {
    match timeout(CALL_LIMIT, call).await {
        Ok(result) => result,
        Err(_) => Err(late(format!("no answer within {} s", CALL_LIMIT.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use providers::mock::{Call, MockProvider};
    use providers::{NonEmpty, RecordSet, Ttl, Values};

    use super::*;
    use crate::clock::TokioClock;
    use crate::decision::{Event, EventKind, Moment, Motive};

    fn answer(address: &str) -> RecordSet {
        RecordSet::new(Ttl(60), Values::A(NonEmpty::one(address.parse().unwrap())))
    }

    /// Decided now, and in time for five seconds.
    fn to_the_standby(before: Snapshot) -> Work {
        Work {
            id: "chg-1".into(),
            swap: Swap::new(before, providers::AnswerSets::new([answer("192.0.2.2")]).unwrap()),
            targets: Vec::new(),
            motive: Motive::Failover,
            decided: Moment::ZERO,
            send_by: Moment::ZERO + Duration::from_secs(5),
            completed: Event::new(EventKind::FailoverCompleted, Timestamp::UNIX_EPOCH, "www moved"),
        }
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

    /// A hundred names in one transaction, of which another writer has changed one: it alone is left, and the fifty that have
    /// nothing to do with it need one call.
    #[tokio::test(start_paused = true)]
    async fn one_name_that_is_fought_over_holds_up_no_other() {
        let zone: DomainName = "example.com".parse().unwrap();
        let mock = MockProvider::in_memory([zone]);
        let names: Vec<DomainName> = (0..100).map(|n| format!("r{n}.example.com").parse().unwrap()).collect();
        let provider: Arc<dyn Provider> = Arc::new(mock.clone());
        let zone = provider.zone(&names[0]).await.unwrap();
        for name in &names {
            mock.edit(name, vec![answer("192.0.2.1")]).unwrap();
        }
        let read = provider.read(&zone, &names).await.unwrap();
        mock.edit(&names[7], vec![answer("192.0.2.3")]).unwrap();
        let (out, mut results) = mpsc::channel(1);
        let hands = Hands::writing(BTreeMap::from([("zone".into(), provider)]));
        let zones = Zones::new(hands, Arc::new(TokioClock::start_at(Timestamp::UNIX_EPOCH)), out);
        for name in &names {
            zones.found.lock().unwrap().insert(name.clone(), zone.clone());
        }
        let before = mock.calls(Call::Swap);
        zones.write("zone".into(), read.into_iter().map(to_the_standby).collect()).await;
        let told = results.recv().await.unwrap();
        let left = told.iter().filter(|input| {
            matches!(input, Input::Written { record, result: Err(Fault::Conflict(_)) } if *record == names[7])
        });
        let made = told.iter().filter(|input| matches!(input, Input::Written { result: Ok(()), .. }));
        assert_eq!((told.len(), left.count(), made.count()), (100, 1, 99));
        assert_eq!(mock.calls(Call::Swap) - before, 1 + 2 + 50, "all, two halves, and each of one half");
    }
}
