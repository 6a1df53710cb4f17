//! The marker beside a name ([`DomainName::marker`](crate::DomainName::marker)): written in the transaction of the name or not at
//! all, and compared like the name itself.

use std::collections::BTreeMap;

use super::stage::{Stage, a, answer, broken, must_conflict, nothing_written};
use super::{Breach, Fixture, RawSet, Verdict};
use crate::{AnswerSets, Fault, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values};

const OLD: &str = "v=failover1; generation=1; writer=one";
const NEW: &str = "v=failover1; generation=2; writer=two";

/// A name with its marker.
struct Pair<'a> {
    record: Stage<'a>,
    marker: Stage<'a>,
}

fn text(value: &str) -> RecordSet {
    RecordSet::new(Ttl(60), Values::Txt(NonEmpty::one(value.to_owned())))
}

fn raw(value: &str) -> RawSet {
    RawSet { ttl: Ttl(60), record_type: "TXT", values: vec![format!("\"{value}\"")] }
}

fn wish() -> AnswerSets {
    answer([a(60, &["198.51.100.5"])])
}

impl<'a> Pair<'a> {
    async fn set(fixture: &'a dyn Fixture, label: &str, marker: &[RawSet]) -> Result<Pair<'a>, Breach> {
        let record = Stage::set(fixture, label, &[RawSet::new(60, "A", &["192.0.2.1"])]).await?;
        if !record.client.capabilities().marker {
            return Err(Breach::NotApplicable("no markers"));
        }
        let beside = record.beside(&format!("_failover.{label}"), marker).await?;
        Ok(Pair { record, marker: beside })
    }

    /// The text at the marker's name.
    async fn text(&self) -> Result<Option<RecordSet>, Breach> {
        let mut sets: BTreeMap<_, _> = self.marker.read().await?.sets;
        Ok(sets.remove(&RecordType::Txt))
    }

    async fn picture(&self) -> Result<Snapshot, Breach> {
        Ok(Snapshot { marker: self.text().await?, ..self.record.read().await? })
    }

    async fn swap(&self, before: Snapshot, marker: Option<&str>) -> Result<(), Fault> {
        let swap = Swap { marker: marker.map(text), ..Swap::new(before, wish()) };
        self.record.client.swap(&self.record.zone, &[swap]).await.map(drop)
    }

    async fn holds(&self, record: &AnswerSets, marker: Option<&str>) -> Verdict {
        self.record.holds(record).await?;
        match self.text().await? {
            found if found == marker.map(text) => Ok(()),
            found => Err(broken(format!("the marker should hold {marker:?} and holds {found:?}"))),
        }
    }
}

/// Made with the record's change, replaced with the next.
pub async fn a_marker_comes_and_goes_on_with_its_record(fixture: &dyn Fixture) -> Verdict {
    let pair = Pair::set(fixture, "mark-new", &[]).await?;
    pair.swap(pair.picture().await?, Some(OLD)).await?;
    pair.holds(&wish(), Some(OLD)).await?;
    let back = answer([a(60, &["192.0.2.1"])]);
    let swap = Swap { marker: Some(text(NEW)), ..Swap::new(pair.picture().await?, back.clone()) };
    pair.record.client.swap(&pair.record.zone, &[swap]).await?;
    pair.holds(&back, Some(NEW)).await
}

/// We read `read` at the marker, somebody writes `meanwhile`, the record stays: our swap must change nothing.
async fn stale(fixture: &dyn Fixture, label: &str, read: &[RawSet], meanwhile: &[RawSet]) -> Verdict {
    let pair = Pair::set(fixture, label, read).await?;
    let before = pair.picture().await?;
    pair.marker.arrange(meanwhile).await?;
    let theirs = pair.picture().await?;
    if theirs.marker == before.marker {
        return Err(broken(format!("the other's text is not read: {:?}", theirs.marker)));
    }
    let serial = fixture.serial().await;
    let result = pair.swap(before, Some(NEW)).await;
    must_conflict(result.map(|()| crate::Receipt { serial: None, handle: None }))?;
    nothing_written(fixture, serial).await?;
    match pair.picture().await? {
        now if (&now.sets, &now.marker) == (&theirs.sets, &theirs.marker) => Ok(()),
        now => Err(broken(format!("{theirs:?} became {now:?}"))),
    }
}

/// Another text.
pub async fn a_changed_marker_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "mark-changed", &[raw(OLD)], &[raw("v=failover1; generation=2; writer=other")]).await
}

/// We found none.
pub async fn a_marker_made_meanwhile_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "mark-made", &[], &[raw(OLD)]).await
}

/// We found one.
pub async fn a_marker_removed_meanwhile_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "mark-gone", &[raw(OLD)], &[]).await
}

/// The record is what differs: its marker must not change either.
pub async fn a_marker_is_not_written_beside_a_changed_record(fixture: &dyn Fixture) -> Verdict {
    let pair = Pair::set(fixture, "mark-record", &[raw(OLD)]).await?;
    let before = pair.picture().await?;
    pair.record.arrange(&[RawSet::new(60, "A", &["192.0.2.66"])]).await?;
    let serial = fixture.serial().await;
    let result = pair.swap(before, Some(NEW)).await;
    must_conflict(result.map(|()| crate::Receipt { serial: None, handle: None }))?;
    nothing_written(fixture, serial).await?;
    pair.holds(&answer([a(60, &["192.0.2.66"])]), Some(OLD)).await
}

/// A swap that says nothing of a marker neither compares nor writes it.
pub async fn a_record_without_a_marker_leaves_it_alone(fixture: &dyn Fixture) -> Verdict {
    let pair = Pair::set(fixture, "mark-none", &[raw(OLD)]).await?;
    let before = pair.record.read().await?;
    pair.swap(before, None).await?;
    pair.holds(&wish(), Some(OLD)).await
}

/// Without a change of the record nothing is written.
pub async fn a_marker_is_not_written_for_its_own_sake(fixture: &dyn Fixture) -> Verdict {
    let pair = Pair::set(fixture, "mark-idle", &[raw(OLD)]).await?;
    let before = pair.picture().await?;
    let serial = fixture.serial().await;
    let same = answer([a(60, &["192.0.2.1"])]);
    let swap = Swap { marker: Some(text(NEW)), ..Swap::new(before, same.clone()) };
    pair.record.client.swap(&pair.record.zone, &[swap]).await?;
    nothing_written(fixture, serial).await?;
    pair.holds(&same, Some(OLD)).await
}
