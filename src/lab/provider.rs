//! The mock provider, with a look over its shoulder at every write.

use std::net::IpAddr;

use async_trait::async_trait;
use providers::mock::MockProvider;
use providers::{
    AnswerSets, Capabilities, DomainName, Fault, Provider, ReadProvider, Receipt, Settled, Snapshot, Swap,
    Zone,
};

use super::facts::{Addresses, Book, Write};
use super::timeline::{Entry, Kind};

/// See the module.
pub(super) struct WatchedProvider {
    pub(super) mock: MockProvider,
    pub(super) book: Book,
}

impl WatchedProvider {
    /// The addresses that `swap` adds and that nobody has seen work.
    fn unproven(&self, swap: &Swap) -> Addresses {
        let before: Addresses = swap.before.addresses().into_iter().collect();
        let facts = self.book.facts();
        let proven = |address: &IpAddr| {
            let mut probes = facts.passed.iter().filter(|((of, _), _)| of == address).peekable();
            probes.peek().is_some() && probes.all(|(_, passed)| *passed)
        };
        swap.after.addresses().into_iter().filter(|a| !before.contains(a) && !proven(a)).collect()
    }

    fn note(&self, swap: &Swap, unproven: Addresses, result: &Result<Receipt, Fault>) {
        let name = swap.name().clone();
        let at = self.book.now();
        let mut entry = match result {
            Ok(_) => {
                let before = swap.before.summary();
                Entry::new(at, Kind::Written, format!("{name}: {before} becomes {}", swap.after))
            }
            Err(fault) => Entry::new(at, Kind::Refused, format!("{name}: {fault}")),
        };
        entry.record = Some(name.clone());
        self.book.tell(entry);
        if result.is_ok() && !swap.changes().is_empty() {
            let after = swap.after.addresses().into_iter().collect();
            self.book.facts().writes.push(Write { at, record: name, after, unproven });
        }
    }
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
