//! Four writers at once, and readers that look on.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType as WireType;
use tokio::task::JoinSet;

use super::ask::{Transport, ask};
use super::ledger::{Edge, Ledger};
use super::stage::{Stage, answer, broken};
use super::{Breach, Fixture, RaceSize, RawSet, Verdict};
use crate::{
    AnswerSets, DomainName, Fault, NonEmpty, Provider, RecordSet, RecordType, Snapshot, SwapTier, Ttl,
    Values, Zone,
};

/// How long one call of a writer may take before its outcome counts as unknown.
const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Fewer observations than this by a reader prove nothing.
const OBSERVATIONS: u32 = 10;

/// With several independent writers, the successes form one chain (see [`Ledger`]), and no reader, by UDP or TCP,
/// ever sees the name empty, half a set, or one family of one answer beside the other family of another.
///
/// Number `n` is written as two IPv4 and two IPv6 addresses that belong together, so a torn answer shows.
pub async fn writers_make_one_chain_and_readers_see_whole_answers(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "race", &[]).await?;
    let card = stage.client.capabilities();
    if card.tier > SwapTier::AtomicReplace {
        return Err(Breach::NotApplicable("without atomic record sets there is no race to win"));
    }
    stage.arrange(&raw(0)).await?;
    let size = fixture.race();
    let serial = fixture.serial().await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let reader =
            Reader { server: fixture.dns(), transport, name: stage.name.clone(), families: card.atomic_name };
        readers.spawn(reader.watch(stop.clone()));
    }
    let ledger = run_writers(fixture, &stage, size).await;
    // The readers saw the race; now they may end, and say what they saw.
    stop.store(true, Ordering::Relaxed);
    let seen: Vec<Result<u32, String>> = readers.join_all().await;

    let mut ledger = ledger?;
    ledger.last = number(&stage.read().await?).map_err(broken)?;
    ledger.growth = fixture.serial_counts_writes().then_some(fixture.serial().await.wrapping_sub(serial));
    ledger.judge(card.tier).map_err(|why| broken(format!("{why}; {}", brief(&ledger))))?;
    stage.holds(&sets(ledger.last)).await?;
    for observations in seen {
        let count = observations.map_err(broken)?;
        if count < OBSERVATIONS {
            return Err(broken(format!(
                "a reader got {count} answers during the race: too few to prove anything"
            )));
        }
    }
    Ok(())
}

async fn run_writers(fixture: &dyn Fixture, stage: &Stage<'_>, size: RaceSize) -> Result<Ledger, Breach> {
    let over = Arc::new(AtomicBool::new(false));
    let counter = Arc::new(AtomicU32::new(1));
    let mut writers = JoinSet::new();
    for place in 0..size.writers {
        let writer = Writer {
            client: fixture.client().await,
            zone: stage.zone.clone(),
            name: stage.name.clone(),
            place,
            counter: counter.clone(),
            over: over.clone(),
        };
        writers.spawn(writer.race(size.rounds));
    }
    let bell = tokio::spawn(async move {
        tokio::time::sleep(size.deadline).await;
        over.store(true, Ordering::Relaxed);
    });
    let shares = writers.join_all().await;
    bell.abort();
    let mut ledger = Ledger::default();
    for share in shares {
        let share = share.map_err(broken)?;
        ledger.successes.extend(share.successes);
        ledger.unknown.extend(share.unknown);
        ledger.conflicts += share.conflicts;
    }
    Ok(ledger)
}

fn brief(ledger: &Ledger) -> String {
    let Ledger { successes, unknown, conflicts, growth, last, .. } = ledger;
    let (successes, unknown) = (successes.len(), unknown.len());
    format!(
        "{successes} successes, {unknown} unknown, {conflicts} conflicts, serial growth {growth:?}, last {last}"
    )
}

struct Writer {
    client: Arc<dyn Provider>,
    zone: Zone,
    name: DomainName,
    place: u32,
    counter: Arc<AtomicU32>,
    over: Arc<AtomicBool>,
}

impl Writer {
    /// Reads, swaps to a number nobody used, again and again. Gives up its numbers only to the ledger.
    async fn race(self, rounds: u32) -> Result<Ledger, String> {
        let mut share = Ledger::default();
        let mut attempt = self.place;
        while share.successes.len() < rounds as usize && !self.over.load(Ordering::Relaxed) {
            attempt += 1;
            // Out of step with each other, but the same in every run.
            tokio::time::sleep(Duration::from_millis(u64::from((self.place * 7 + attempt * 3) % 11))).await;
            let Some(before) = self.read().await? else { continue };
            let from = number(&before);
            let after = self.counter.fetch_add(1, Ordering::Relaxed);
            let swap = [crate::Swap::new(before, sets(after))];
            let call = self.client.swap(&self.zone, &swap);
            let result = tokio::time::timeout(CALL_DEADLINE, call).await;
            match (result.unwrap_or_else(|_| Err(Fault::Unknown("no reply in time".into()))), from) {
                (Ok(_), Ok(before)) => share.successes.push(Edge { before, after }),
                (Ok(_), Err(torn)) => {
                    return Err(format!("a swap succeeded from a picture that never was: {torn}"));
                }
                (Err(Fault::Unknown(_)), Ok(before)) => share.unknown.push(Edge { before, after }),
                (Err(Fault::Conflict(_)), _) => share.conflicts += 1,
                (Err(Fault::Busy(_) | Fault::Throttled { .. } | Fault::Unavailable(_)), _) => {}
                (Err(fault), _) => return Err(format!("a writer got {}: {fault}", fault.kind())),
            }
        }
        Ok(share)
    }

    /// `None` when the provider wants patience. An empty name is never right here.
    async fn read(&self) -> Result<Option<Snapshot>, String> {
        let read = self.client.read(&self.zone, std::slice::from_ref(&self.name));
        match tokio::time::timeout(CALL_DEADLINE, read).await {
            Ok(Ok(mut snapshots)) => match snapshots.pop() {
                Some(snapshot) if !snapshot.is_missing() => Ok(Some(snapshot)),
                other => Err(format!("the provider read the name empty during the race: {other:?}")),
            },
            Ok(Err(fault)) if fault.is_transient() => Ok(None),
            Ok(Err(fault)) => Err(format!("a reading writer got {}: {fault}", fault.kind())),
            Err(_) => Ok(None),
        }
    }
}

struct Reader {
    server: SocketAddr,
    transport: Transport,
    name: DomainName,
    /// Both families change in one transaction, so they must match.
    families: bool,
}

impl Reader {
    /// Asks until told to stop; gives the number of whole answers seen, or the first answer that was not whole.
    async fn watch(self, stop: Arc<AtomicBool>) -> Result<u32, String> {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let Some(first) = self.look(WireType::A).await? else { continue };
            let Some(between) = self.look(WireType::AAAA).await? else { continue };
            let Some(again) = self.look(WireType::A).await? else { continue };
            // No number is ever used twice: when both IPv4 answers agree, nothing else was there in between.
            if self.families && first == again && between != first {
                return Err(format!("{:?}: IPv4 of {first} beside IPv6 of {between}", self.transport));
            }
            count += 1;
        }
        Ok(count)
    }

    /// The number in the answer; `None` when there was no answer at all, which proves nothing.
    async fn look(&self, kind: WireType) -> Result<Option<u32>, String> {
        let Ok(reply) = ask(self.server, self.transport, &self.name.fqdn(), kind).await else {
            return Ok(None);
        };
        if !matches!(reply.code(), ResponseCode::NoError | ResponseCode::NXDomain) {
            return Ok(None);
        }
        let values = reply.values(&self.name, kind);
        let whole = if kind == WireType::A { number_of_v4(&values) } else { number_of_v6(&values) };
        match whole {
            Some(number) => Ok(Some(number)),
            None => Err(format!(
                "{:?} served {kind} {values:?} ({}) during the race",
                self.transport,
                reply.code()
            )),
        }
    }
}

/// 198.18.0.0/15 is for benchmarks (RFC 2544), `2001:db8::/32` for documentation (RFC 3849).
fn v4(n: u32) -> [Ipv4Addr; 2] {
    let [.., high, low] = n.to_be_bytes();
    [Ipv4Addr::new(198, 18, high, low), Ipv4Addr::new(198, 19, high, low)]
}

fn v6(n: u32) -> [Ipv6Addr; 2] {
    let low = u16::try_from(n & 0xffff).expect("16 bits");
    [Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, low), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 2, low)]
}

fn sets(n: u32) -> AnswerSets {
    answer([
        RecordSet::new(Ttl(60), Values::A(NonEmpty::new(v4(n)).expect("two"))),
        RecordSet::new(Ttl(60), Values::Aaaa(NonEmpty::new(v6(n)).expect("two"))),
    ])
}

fn raw(n: u32) -> [RawSet; 2] {
    let v4 = v4(n).iter().map(ToString::to_string).collect();
    let v6 = v6(n).iter().map(ToString::to_string).collect();
    [
        RawSet { ttl: Ttl(60), record_type: "A", values: v4 },
        RawSet { ttl: Ttl(60), record_type: "AAAA", values: v6 },
    ]
}

fn number_of_v4(values: &BTreeSet<String>) -> Option<u32> {
    let first: Ipv4Addr = values.first()?.parse().ok()?;
    let [.., high, low] = first.octets();
    let n = u32::from(u16::from_be_bytes([high, low]));
    (*values == v4(n).iter().map(ToString::to_string).collect()).then_some(n)
}

fn number_of_v6(values: &BTreeSet<String>) -> Option<u32> {
    let first: Ipv6Addr = values.first()?.parse().ok()?;
    let n = u32::from(*first.segments().last()?);
    (*values == v6(n).iter().map(ToString::to_string).collect()).then_some(n)
}

/// The number that a snapshot holds; an error when it holds no one number (its families may have been read apart).
fn number(snapshot: &Snapshot) -> Result<u32, String> {
    let values = |kind| {
        let set = snapshot.sets.get(&kind);
        set.map(|set| set.values.to_strings().into_iter().collect::<BTreeSet<_>>()).unwrap_or_default()
    };
    match (number_of_v4(&values(RecordType::A)), number_of_v6(&values(RecordType::Aaaa))) {
        (Some(a), Some(aaaa)) if a == aaaa => Ok(a),
        _ => Err(format!("the name read {}", snapshot.summary())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_survives_the_way_through_addresses_and_half_a_set_is_none() {
        for n in [0, 1, 255, 256, 65_535] {
            let strings = |set: &AnswerSets, kind| -> BTreeSet<String> {
                set.get(kind).expect("there").values.to_strings().into_iter().collect()
            };
            let (a, aaaa) = (strings(&sets(n), RecordType::A), strings(&sets(n), RecordType::Aaaa));
            assert_eq!((number_of_v4(&a), number_of_v6(&aaaa)), (Some(n), Some(n)));
            let half: BTreeSet<String> = a.iter().take(1).cloned().collect();
            assert_eq!(number_of_v4(&half), None);
        }
        assert_eq!(number_of_v4(&BTreeSet::new()), None);
    }
}
