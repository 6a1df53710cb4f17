//! The mock provider, with a look over its shoulder at every write.

use async_trait::async_trait;
use providers::mock::MockProvider;
use providers::{
    AnswerSets, Capabilities, Crowd, DomainName, Fault, Provider, ReadProvider, Receipt, Settled, Snapshot,
    Swap, Zone,
};

use super::facts::{Addresses, Book, Write};
use super::timeline::{Entry, Kind};
use crate::decision::Place;

/// See the module.
pub(super) struct WatchedProvider {
    pub(super) mock: MockProvider,
    pub(super) book: Book,
}

impl WatchedProvider {
    /// The addresses that `swap` adds and that nobody has seen work.
    fn unproven(&self, swap: &Swap) -> Addresses {
        let before = Place::published(&swap.before);
        let facts = self.book.facts();
        let proven = |place: &Place| {
            let passed = facts.passed.iter().filter(|((of, _), passed)| of == place && **passed).count();
            facts.needed.get(place).is_some_and(|needed| passed >= *needed)
        };
        led_to(swap).into_iter().filter(|place| !before.contains(place) && !proven(place)).collect()
    }

    fn note(&self, swap: &Swap, unproven: Addresses, result: &Result<Receipt, Fault>) {
        let name = swap.name().clone();
        let at = self.book.now();
        let mut entry = match result {
            Ok(_) => {
                let before = swap.before.summary();
                Entry::new(at, Kind::Written, format!("{name}: {before} -> {}", swap.after))
            }
            Err(fault) => Entry::new(at, Kind::Refused, format!("{name}: {fault}")),
        };
        entry.record = Some(name.clone());
        self.book.tell(entry);
        if result.is_ok() && !swap.changes().is_empty() {
            let after = led_to(swap);
            self.book.facts().writes.push(Write { at, record: name, after, unproven });
        }
    }
}

/// Where the name leads after the swap.
fn led_to(swap: &Swap) -> Addresses {
    let places = swap.after.iter().flat_map(|set| set.values.to_strings());
    places.filter_map(|place| place.parse().ok()).collect()
}

#[async_trait]
impl ReadProvider for WatchedProvider {
    fn capabilities(&self) -> Capabilities {
        self.mock.capabilities()
    }

    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        self.mock.normalize(wish)
    }

    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault> {
        self.mock.zone(name).await
    }

    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        self.mock.read(zone, names).await
    }

    async fn read_crowd(&self, zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        self.mock.read_crowd(zone, names).await
    }
}

#[async_trait]
impl Provider for WatchedProvider {
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault> {
        let unproven: Vec<Addresses> = swaps.iter().map(|swap| self.unproven(swap)).collect();
        let result = self.mock.swap(zone, swaps).await;
        for (swap, unproven) in swaps.iter().zip(unproven) {
            self.note(swap, unproven, &result);
        }
        result
    }

    async fn settled(&self, receipt: &Receipt) -> Result<Settled, Fault> {
        self.mock.settled(receipt).await
    }
}
