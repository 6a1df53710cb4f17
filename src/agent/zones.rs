//! Reads and writes at the providers, batched by zone. It makes no choices: what is asked is done, and what came of
//! it goes back as inputs of the decision.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use providers::{
    DomainName, Fault, Provider, ReadProvider, Snapshot, Swap, Zone, read_crowd_with_markers,
    read_with_markers,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

pub(super) use self::queue::Wanted;
use self::queue::{Queue, Queues, Readings};
use super::Hands;
use crate::clock::Clock;
use crate::decision::{Input, ProviderId, Work};

/// The longest a provider may take for one call, whatever its own limits: the belt to its braces.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Calls under way at one provider: so many that read, and so many that write.
const CALLS_AT_ONCE: usize = 4;
/// Names in one reading. More of one zone are first looked for in a picture of the whole of it, where the provider has one.
const NAMES_PER_READ: usize = 200;
/// A transaction of so many that another writer spoils is tried name by name, a larger one in parts.
const NAMES_ONE_BY_ONE: usize = 8;

type Turns = BTreeMap<ProviderId, Arc<Semaphore>>;

/// The zones of all providers.
#[derive(Clone)]
pub(super) struct Zones {
    hands: Hands,
    clock: Arc<dyn Clock>,
    /// The zone of each record, once it is known.
    found: Arc<Mutex<BTreeMap<DomainName, Zone>>>,
    /// Apart from those to write, which wait for no reading.
    reads: Turns,
    writes: Turns,
    wanted: Readings,
    queues: Queues,
    out: mpsc::Sender<Vec<Input>>,
}

impl Zones {
    pub(super) fn new(hands: Hands, clock: Arc<dyn Clock>, out: mpsc::Sender<Vec<Input>>) -> Self {
        Zones {
            clock,
            found: Arc::default(),
            reads: new_turns(&hands),
            writes: new_turns(&hands),
            wanted: Readings::default(),
            queues: Queues::default(),
            hands,
            out,
        }
    }

    /// Other hands from now on; what is under way ends with the old ones. Zones that are `moved` are found anew.
    pub(super) fn renew(&mut self, hands: Hands, moved: impl Fn(&DomainName) -> bool) {
        for (turns, new) in [(&mut self.reads, new_turns(&hands)), (&mut self.writes, new_turns(&hands))] {
            for (id, new) in new {
                turns.entry(id).or_insert(new);
            }
        }
        // A reading under way must not put back what it found at another provider.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        found.retain(|record, _| !moved(record));
        self.found = Arc::new(Mutex::new(found));
        self.hands = hands;
        self.wanted = Readings::default();
        self.queues = Queues::default();
    }

    /// The zone of a record, if it has been found.
    pub(super) fn zone_of(&self, record: &DomainName) -> Option<Zone> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).get(record).cloned()
    }

    /// Reads these records of one provider and reports each. What waits for its turn is read together, whoever asked
    /// for it.
    pub(super) async fn read(self, provider: ProviderId, wanted: Wanted) {
        self.wanted.add(&provider, wanted);
        let _turn = turn(&self.reads, &provider).await;
        let Some(Wanted { records, configured, aliases, marked }) = self.wanted.take(&provider) else {
            return;
        };
        let owed = Owed::new(&self.out, &records, |record| Input::Read {
            record,
            result: Err(Fault::Unavailable("the reading broke off".into())),
        });
        let Some(reader) = self.hands.reader(&provider).cloned() else { return };
        let mut by_zone: BTreeMap<Zone, Vec<DomainName>> = BTreeMap::new();
        let mut results = Vec::new();
        let mut lost: Option<Fault> = None;
        // One question for all records that say the same `zone:`.
        let mut named: BTreeMap<DomainName, Zone> = BTreeMap::new();
        for record in records {
            // A provider that cannot be reached is not asked again for every name.
            if let Some(fault) = &lost {
                results.push(Input::Read { record, result: Err(fault.clone()) });
                continue;
            }
            match self.find(reader.as_ref(), &record, configured.get(&record), &mut named).await {
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
        let (reader, marked) = (reader.as_ref(), &marked);
        let zones = by_zone.into_iter().map(async |(zone, names)| {
            let (told, left) = read_crowd(reader, &zone, names, marked).await;
            (zone, told, left)
        });
        let mut zones = stream::iter(zones).buffered(1 + spare.len());
        let mut parts = Vec::new();
        while let Some((zone, told, left)) = zones.next().await {
            results.extend(told);
            parts.extend(left.chunks(NAMES_PER_READ).map(|names| (zone.clone(), names.to_vec())));
        }
        drop(zones);
        let reads =
            parts.into_iter().map(async |(zone, names)| read_zone(reader, &zone, &names, marked).await);
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
        named: &mut BTreeMap<DomainName, Zone>,
    ) -> Result<Zone, Fault> {
        if let Some(zone) = self.zone_of(record) {
            return Ok(zone);
        }
        let asked = configured.unwrap_or(record);
        let zone = match named.get(asked) {
            Some(zone) => zone.clone(),
            None => within(reader.zone(asked), Fault::Unavailable).await?,
        };
        if configured.is_some_and(|wanted| *wanted != zone.name) {
            return Err(Fault::Config(format!(
                "the provider serves the zone {}, and the configuration says `zone: {asked}`",
                zone.name
            )));
        }
        if let Some(wanted) = configured {
            named.insert(wanted.clone(), zone.clone());
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(record.clone(), zone.clone());
        Ok(zone)
    }

    /// Writes these changes of one provider and reports each. What is too late is not sent: see [`Work::send_by`].
    ///
    /// What waits at a zone is written together, whoever asked for it: while one transaction is under way the next changes
    /// are decided and kept, and one more transaction takes all of those.
    pub(super) async fn write(self, provider: ProviderId, works: Vec<Arc<Work>>) {
        let Some(writer) = self.hands.writer(&provider).cloned() else {
            return drop(Owed::new(&self.out, works.iter().map(|work| work.swap.name()), broken_off));
        };
        let mut by_zone: BTreeMap<Zone, Vec<Arc<Work>>> = BTreeMap::new();
        let mut lost = Vec::new();
        for work in works {
            match self.zone_of(work.swap.name()) {
                Some(zone) => by_zone.entry(zone).or_default().push(work),
                None => lost.push(Input::Written {
                    record: work.swap.name().clone(),
                    result: Err(Fault::Unavailable("its zone has not been found yet".into())),
                }),
            }
        }
        let card = writer.capabilities();
        let mut leftovers = Vec::new();
        for (zone, works) in by_zone {
            let queue = self.queues.of(&provider, &zone, card.tier);
            queue.add(works);
            leftovers.push(Leftover { out: self.out.clone(), zone, queue, done: false });
        }
        if !lost.is_empty() {
            // The agent is gone only when the process ends.
            let _ = self.out.send(lost).await;
        }
        let (agent, writer, provider) = (&self, writer.as_ref(), &provider);
        let zones = leftovers.into_iter().map(async |mut left| {
            let queue = Arc::clone(&left.queue);
            let _one_of_few = queue.turn().await;
            // Told together: each is proved by a reading, and a crowd is read at once.
            let mut owed = Owed::new(&agent.out, [], broken_off);
            let mut results = Vec::new();
            while let Some(works) = queue.take(card.names_per_swap) {
                owed.add(works.iter().map(|work| work.swap.name()), broken_off);
                let _turn = turn(&agent.writes, provider).await;
                results.extend(agent.write_chunk(writer, &left.zone, &works).await);
            }
            left.done = true;
            if !results.is_empty() {
                owed.pay(results).await;
            }
        });
        futures_util::future::join_all(zones).await;
    }

    /// One transaction. When another writer spoils it, the names are read again: those that changed are told, and the others
    /// are written without them, since names are independent of each other. Where that explains nothing (a value that is
    /// refused, a wildcard) the halves are tried, down to single names. The record sets of a name are never torn apart.
    async fn write_chunk(&self, writer: &dyn Provider, zone: &Zone, works: &[Arc<Work>]) -> Vec<Input> {
        let (swaps, mut results) = self.in_time(works);
        if swaps.is_empty() {
            return results;
        }
        let result = within(writer.swap(zone, &swaps), Fault::Unknown).await;
        let spoilt = matches!(result, Err(Fault::Conflict(_) | Fault::Invalid(_) | Fault::Unsupported(_)));
        if swaps.len() == 1 || !spoilt {
            let written = |swap: &Swap| Input::Written {
                record: swap.name().clone(),
                result: result.clone().map(drop),
            };
            results.extend(swaps.iter().map(written));
            return results;
        }
        let sent: BTreeSet<&DomainName> = swaps.iter().map(Swap::name).collect();
        let mut left: Vec<Arc<Work>> =
            works.iter().filter(|work| sent.contains(work.swap.name())).cloned().collect();
        let mut part = if left.len() > NAMES_ONE_BY_ONE { left.len().div_ceil(2) } else { 1 };
        if matches!(result, Err(Fault::Conflict(_))) && left.len() > NAMES_ONE_BY_ONE {
            let changed = changed(writer, zone, &swaps).await;
            if !changed.is_empty() {
                left.retain(|work| !changed.contains_key(work.swap.name()));
                part = left.len().max(1);
            }
            let told = |(record, why)| Input::Written { record, result: Err(Fault::Conflict(why)) };
            results.extend(changed.into_iter().map(told));
        }
        for part in left.chunks(part) {
            results.extend(Box::pin(self.write_chunk(writer, zone, part)).await);
        }
        results
    }

    /// What may still be sent, and word of what may not.
    fn in_time(&self, works: &[Arc<Work>]) -> (Vec<Swap>, Vec<Input>) {
        let now = self.clock.now().moment;
        let (good, late): (Vec<&Work>, Vec<&Work>) =
            works.iter().map(Arc::as_ref).partition(|work| now <= work.send_by);
        let unsent = |work: &&Work| Input::Unsent { record: work.swap.name().clone() };
        (good.iter().map(|work| work.swap.clone()).collect(), late.iter().map(unsent).collect())
    }

    /// Turns to read that nobody waits for.
    fn spare_turns(&self, provider: &ProviderId) -> Vec<OwnedSemaphorePermit> {
        let turn = || Arc::clone(self.reads.get(provider)?).try_acquire_owned().ok();
        std::iter::from_fn(turn).collect()
    }
}

fn new_turns(hands: &Hands) -> Turns {
    hands.faces().into_keys().map(|id| (id, Arc::new(Semaphore::new(CALLS_AT_ONCE)))).collect()
}

async fn turn(turns: &Turns, provider: &ProviderId) -> Option<OwnedSemaphorePermit> {
    Arc::clone(turns.get(provider)?).acquire_owned().await.ok()
}

/// Results that the decision waits for. Should a call panic, or its task be dropped, the decision hears that instead
/// of waiting for ever.
struct Owed {
    out: mpsc::Sender<Vec<Input>>,
    otherwise: Vec<Input>,
}

impl Owed {
    fn new<'a>(
        out: &mpsc::Sender<Vec<Input>>,
        names: impl IntoIterator<Item = &'a DomainName>,
        otherwise: fn(DomainName) -> Input,
    ) -> Self {
        let mut owed = Owed { out: out.clone(), otherwise: Vec::new() };
        owed.add(names, otherwise);
        owed
    }

    fn add<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a DomainName>,
        otherwise: fn(DomainName) -> Input,
    ) {
        self.otherwise.extend(names.into_iter().cloned().map(otherwise));
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

/// What waits at a zone, while somebody writes there. Should that break off, the decision hears it of each name.
struct Leftover {
    out: mpsc::Sender<Vec<Input>>,
    zone: Zone,
    queue: Arc<Queue>,
    done: bool,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if !self.done {
            drop(Owed::new(&self.out, &self.queue.abandon(), broken_off));
        }
    }
}

fn broken_off(record: DomainName) -> Input {
    Input::Written { record, result: Err(Fault::Unknown("the writing broke off".into())) }
}

/// What one picture of the zone tells of so many names that it is worth taking, and the names that are left to be read.
async fn read_crowd(
    reader: &dyn ReadProvider,
    zone: &Zone,
    names: Vec<DomainName>,
    marked: &BTreeSet<DomainName>,
) -> (Vec<Input>, Vec<DomainName>) {
    if names.len() <= NAMES_PER_READ {
        return (Vec::new(), names);
    }
    match within(read_crowd_with_markers(reader, zone, &names, marked), Fault::Unavailable).await {
        Ok(crowd) => {
            if let Some(why) = crowd.why_not {
                tracing::info!("{why}");
            }
            let (mut told, mut left) = (Vec::new(), Vec::new());
            let mut found = crowd.snapshots.into_iter();
            for record in names {
                match found.next().flatten() {
                    Some(snapshot) => told.push(Input::Read { record, result: Ok(snapshot) }),
                    None => left.push(record),
                }
            }
            (told, left)
        }
        Err(fault) => {
            let lost = |record| Input::Read { record, result: Err(fault.clone()) };
            (names.into_iter().map(lost).collect(), Vec::new())
        }
    }
}

/// Which of the names no longer hold what their swaps are based on, and what they hold instead, as far as it can be read.
async fn changed(writer: &dyn Provider, zone: &Zone, swaps: &[Swap]) -> BTreeMap<DomainName, String> {
    let before: BTreeMap<&DomainName, &Swap> = swaps.iter().map(|swap| (swap.name(), swap)).collect();
    let marked: BTreeSet<DomainName> =
        swaps.iter().filter(|swap| swap.marker.is_some()).map(|swap| swap.name().clone()).collect();
    let names: Vec<DomainName> = before.keys().copied().cloned().collect();
    let (mut read, left) = read_crowd(writer, zone, names, &marked).await;
    for part in left.chunks(NAMES_PER_READ) {
        read.extend(read_zone(writer, zone, part, &marked).await);
    }
    let differs = |input: Input| {
        let Input::Read { record, result: Ok(now) } = input else { return None };
        let swap = before.get(&record)?;
        let marker = swap.marker.is_some() && now.marker != swap.before.marker;
        let why = match (now.sets != swap.before.sets, marker) {
            (true, _) => format!("{record} holds {} now", now.summary()),
            (false, true) => format!("the marker of {record} is another one now"),
            (false, false) => return None,
        };
        Some((record, why))
    };
    read.into_iter().filter_map(differs).collect()
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

mod queue;
#[cfg(test)]
mod tests;
