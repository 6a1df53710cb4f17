//! What the checks share: values, arranging with proof, looking with both eyes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType as WireType;

use super::ask::{Transport, ask};
use super::{Breach, Fixture, RawSet, Verdict};
use crate::{
    AnswerSets, Consistency, DomainName, Fault, NonEmpty, Provider, Receipt, RecordSet, RecordType, Snapshot,
    Swap, Ttl, Values, Zone,
};

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// One client, one zone, one name below it.
pub(super) struct Stage<'a> {
    pub(super) fixture: &'a dyn Fixture,
    pub(super) client: Arc<dyn Provider>,
    pub(super) zone: Zone,
    pub(super) name: DomainName,
}

impl<'a> Stage<'a> {
    /// The name `label` holds exactly `sets`, and the authoritative server shows it.
    pub(super) async fn set(
        fixture: &'a dyn Fixture,
        label: &str,
        sets: &[RawSet],
    ) -> Result<Stage<'a>, Breach> {
        let name = below(fixture, label);
        let client = fixture.client().await;
        let zone = client.zone(&name).await?;
        let stage = Stage { fixture, client, zone, name };
        stage.arrange(sets).await?;
        Ok(stage)
    }

    /// Another name of the same zone and client, arranged likewise.
    pub(super) async fn beside(&self, label: &str, sets: &[RawSet]) -> Result<Stage<'a>, Breach> {
        let stage = Stage {
            fixture: self.fixture,
            client: self.client.clone(),
            zone: self.zone.clone(),
            name: below(self.fixture, label),
        };
        stage.arrange(sets).await?;
        Ok(stage)
    }

    /// Somebody else makes the name hold exactly `sets`; waits until the server shows the answer in it.
    pub(super) async fn arrange(&self, sets: &[RawSet]) -> Verdict {
        self.fixture.arrange(self.name.as_str(), sets).await;
        for kind in RecordType::ANSWER {
            let of_kind = sets.iter().filter(|set| set.record_type == kind.as_str());
            let values = of_kind.flat_map(|set| &set.values).map(|value| plain(value)).collect();
            self.until_served(kind, &values).await?;
        }
        Ok(())
    }

    async fn until_served(&self, kind: RecordType, values: &BTreeSet<String>) -> Verdict {
        let served = async {
            while self.served(Transport::Udp, kind).await?.0 != *values {
                tokio::time::sleep(POLL).await;
            }
            Ok::<(), Breach>(())
        };
        let overdue = |_| broken(format!("the server never showed {} {kind} {values:?}", self.name));
        tokio::time::timeout(self.fixture.lag(), served).await.map_err(overdue)?
    }

    /// What the authoritative server says: the values and the TTLs.
    pub(super) async fn served(
        &self,
        transport: Transport,
        kind: RecordType,
    ) -> Result<(BTreeSet<String>, BTreeSet<u32>), Breach> {
        let reply = ask(self.fixture.dns(), transport, &self.name.fqdn(), wire(kind)).await?;
        if !reply.0.metadata.authoritative {
            return Err(broken(format!(
                "the answer for {} is not authoritative: {}",
                self.name,
                reply.code()
            )));
        }
        Ok((reply.values(&self.name, wire(kind)), reply.ttls(&self.name, wire(kind))))
    }

    pub(super) async fn read(&self) -> Result<Snapshot, Breach> {
        let mut snapshots = self.client.read(&self.zone, std::slice::from_ref(&self.name)).await?;
        match (snapshots.pop(), snapshots.is_empty()) {
            (Some(snapshot), true) if snapshot.name == self.name => Ok(snapshot),
            (got, _) => {
                Err(broken(format!("asked for {}, got {got:?} and {} more", self.name, snapshots.len())))
            }
        }
    }

    pub(super) async fn try_swap(&self, before: Snapshot, after: AnswerSets) -> Result<Receipt, Fault> {
        self.client.swap(&self.zone, &[Swap::new(before, after)]).await
    }

    /// Reads, swaps to `after`, and holds the provider to it.
    pub(super) async fn swap_to(&self, after: AnswerSets) -> Verdict {
        let before = self.read().await?;
        self.try_swap(before, after.clone()).await?;
        self.holds(&after).await
    }

    /// Both eyes: the provider reads the normalised answer, and the authoritative server serves it by UDP and TCP.
    pub(super) async fn holds(&self, answer: &AnswerSets) -> Verdict {
        let answer = self.client.normalize(answer.clone());
        let snapshot = self.read().await?;
        if !snapshot.holds(&answer) {
            return Err(broken(format!(
                "{} should hold {answer:?}, but reads {:?}",
                self.name, snapshot.sets
            )));
        }
        for kind in RecordType::ANSWER {
            let set = answer.get(kind);
            let values = set.map(|set| set.values.to_strings()).unwrap_or_default().into_iter().collect();
            if self.client.capabilities().consistency == Consistency::Eventual {
                self.until_served(kind, &values).await?;
            }
            let ttls: BTreeSet<u32> = set.iter().map(|set| set.ttl.seconds()).collect();
            for transport in [Transport::Udp, Transport::Tcp] {
                let served = self.served(transport, kind).await?;
                if served != (values.clone(), ttls.clone()) {
                    let name = &self.name;
                    return Err(broken(format!(
                        "{name} {kind} should be {values:?} TTL {ttls:?}, but {transport:?} serves {served:?}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The values of some other type, as the authoritative server shows them.
    pub(super) async fn others(&self, kind: WireType) -> Result<BTreeSet<String>, Breach> {
        let reply = ask(self.fixture.dns(), Transport::Tcp, &self.name.fqdn(), kind).await?;
        Ok(reply.values(&self.name, kind))
    }
}

pub(super) fn broken(what: impl Into<String>) -> Breach {
    Breach::Broken(what.into())
}

/// The name `label` of the fixture's zone.
pub(super) fn below(fixture: &dyn Fixture, label: &str) -> DomainName {
    format!("{label}.{}", fixture.zone()).parse().expect("labels of the suite are valid below any zone")
}

/// The serial must not have moved.
pub(super) async fn nothing_written(fixture: &dyn Fixture, serial: u32) -> Verdict {
    match fixture.serial().await {
        now if now == serial => Ok(()),
        now => Err(broken(format!("something was written: the serial went from {serial} to {now}"))),
    }
}

/// The fault must be a conflict.
pub(super) fn must_conflict(result: Result<Receipt, Fault>) -> Verdict {
    match result {
        Err(Fault::Conflict(_)) => Ok(()),
        Err(fault) => Err(broken(format!("expected a conflict, got {}: {fault}", fault.kind()))),
        Ok(_) => Err(broken("a swap based on an old picture succeeded")),
    }
}

pub(super) fn a(ttl: u32, addresses: &[&str]) -> RecordSet {
    let set = addresses.iter().map(|address| address.parse().expect("an IPv4 address"));
    RecordSet::new(Ttl(ttl), Values::A(NonEmpty::new(set).expect("not empty")))
}

pub(super) fn aaaa(ttl: u32, addresses: &[&str]) -> RecordSet {
    let set = addresses.iter().map(|address| address.parse().expect("an IPv6 address"));
    RecordSet::new(Ttl(ttl), Values::Aaaa(NonEmpty::new(set).expect("not empty")))
}

pub(super) fn cname(ttl: u32, target: &str) -> RecordSet {
    RecordSet::new(Ttl(ttl), Values::Cname(target.parse().expect("a name")))
}

pub(super) fn answer(sets: impl IntoIterator<Item = RecordSet>) -> AnswerSets {
    AnswerSets::new(sets).expect("a possible answer")
}

pub(super) fn wire(kind: RecordType) -> WireType {
    match kind {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Cname => WireType::CNAME,
        RecordType::Txt => WireType::TXT,
    }
}

/// A presentation value as this crate writes it.
fn plain(value: &str) -> String {
    value.trim_end_matches('.').to_ascii_lowercase()
}
