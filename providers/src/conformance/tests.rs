//! The suite passes on the mock, and it bites: each of these broken providers is caught by the checks it deserves.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Fixture, RaceSize, RawSet, run, run_matching};
use crate::mock::{MockProvider, StoredSet};
use crate::{
    AnswerSets, Capabilities, Crowd, DomainName, Fault, MockConfig, Permission, Provider, ReadProvider,
    Receipt, RecordSet, RecordType, Settled, Snapshot, Swap, SwapTier, Ttl, Zone,
};

const ZONE: &str = "conformance.example";
const CHILD: &str = "child.conformance.example";

/// The mock as a server of its own; `wrap` gives the clients.
struct MockFixture {
    server: MockProvider,
    /// Where the zone file is, when it is one: each client then opens it anew, like another process.
    file: Option<std::path::PathBuf>,
    wrap: fn(MockProvider) -> Arc<dyn Provider>,
    size: RaceSize,
}

impl MockFixture {
    async fn new(file: Option<std::path::PathBuf>, wrap: fn(MockProvider) -> Arc<dyn Provider>) -> Self {
        let config = MockConfig { dns: Some(([127, 0, 0, 1], 0).into()), ..config(file.clone()) };
        let server = MockProvider::open(&config).await.expect("the mock opens");
        MockFixture { server, file, wrap, size: RaceSize { rounds: 15, ..RaceSize::default() } }
    }
}

fn config(file: Option<std::path::PathBuf>) -> MockConfig {
    let zones = [ZONE, CHILD].map(|zone| zone.parse().expect("a name")).to_vec();
    MockConfig { file, dns: None, zones }
}

#[async_trait]
impl Fixture for MockFixture {
    fn title(&self) -> String {
        "mock".into()
    }

    async fn client(&self) -> Arc<dyn Provider> {
        let client = match &self.file {
            Some(_) => MockProvider::open(&config(self.file.clone())).await.expect("the mock opens"),
            None => self.server.clone(),
        };
        (self.wrap)(client)
    }

    fn zone(&self) -> DomainName {
        ZONE.parse().expect("a name")
    }

    fn child_zone(&self) -> Option<DomainName> {
        Some(CHILD.parse().expect("a name"))
    }

    fn dns(&self) -> SocketAddr {
        self.server.dns_address().expect("the mock serves DNS")
    }

    async fn arrange(&self, owner: &str, sets: &[RawSet]) {
        let stored = |set: &RawSet| StoredSet {
            ttl: set.ttl,
            record_type: set.record_type.into(),
            values: set.values.clone(),
        };
        let owner = owner.parse().expect("a name");
        self.server.edit_all(&owner, sets.iter().map(stored)).expect("the mock can be edited");
    }

    fn race(&self) -> RaceSize {
        self.size
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mock_in_memory_keeps_every_promise() {
    let fixture = MockFixture::new(None, |mock| Arc::new(mock)).await;
    let report = run(&fixture).await;
    report.assert_passed();
    assert_eq!(report.verdicts.len(), super::CHECKS.len());
    assert!(report.verdicts.iter().all(|(_, verdict)| verdict.is_ok()), "none is skipped: {report}");
    assert_eq!(fixture.server.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mock_in_a_file_keeps_every_promise_between_processes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("zone.json");
    let fixture = MockFixture::new(Some(file), |mock| Arc::new(mock)).await;
    run(&fixture).await.assert_passed();
}

/// A wrapper that gets something wrong.
struct Broken {
    inner: MockProvider,
    how: How,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Ignores what was read, and overwrites whoever came in between.
    NeverCompares,
    /// The same, and honest about it: T3, but without reading again before it writes.
    ReplacesBlindly,
    /// T3 as it should be: reads again before it writes, and looks afterwards whether it was alone. Not broken.
    HonestReplace,
    /// Compares, but only the types it is about to write.
    ComparesHalf,
    /// Takes the old away in one write and puts the new in another.
    DeletesThenAdds,
    /// Moves IPv4 in one write and IPv6 in another.
    FamilyByFamily,
    /// Forgets IPv6.
    DropsIpv6,
    /// Leaves a family behind that the new answer lacks.
    NeverRemoves,
    /// Sends what is there already.
    AlwaysWrites,
    /// Takes the other types at the name with it.
    SweepsTheName,
    /// Writes several names one after the other.
    NameByName,
    /// Changes no TTL.
    KeepsTtls,
    /// Says an unknown name is missing, where it is in no zone.
    FindsEverything,
    /// In the picture of a zone it sees no alias.
    CrowdOfAddresses,
    /// Finds out whether it may write by writing.
    WritesToAsk,
    /// Compares the record and writes the marker whatever it holds.
    IgnoresTheMarker,
    /// Writes the record, and the marker in a transaction of its own before it.
    MarkerFirst,
    /// Forgets the marker.
    DropsTheMarker,
}

impl Broken {
    /// Writes without comparing, as an API without preconditions would.
    fn force(&self, name: &DomainName, sets: impl IntoIterator<Item = RecordSet>) -> Result<(), Fault> {
        self.inner.edit(name, sets)
    }

    /// The mock's own swap from whatever is there now.
    async fn replace(&self, zone: &Zone, swap: &Swap, after: AnswerSets) -> Result<Receipt, Fault> {
        let before = self.inner.peek(swap.name())?;
        self.inner.swap(zone, &[Swap::new(before, after)]).await
    }

    fn still_holds(&self, swap: &Swap) -> Result<Snapshot, Fault> {
        let now = self.inner.peek(swap.name())?;
        let same = now.addresses() == swap.before.addresses() && now.cname() == swap.before.cname();
        if same { Ok(now) } else { Err(Fault::Conflict("not what it was".into())) }
    }

    async fn swap_one(&self, zone: &Zone, swap: &Swap) -> Result<Receipt, Fault> {
        let name = swap.name();
        let all: Vec<RecordSet> = swap.after.iter().cloned().collect();
        let receipt = Ok(Receipt { serial: None, handle: None });
        let one = [swap.clone()];
        match self.how {
            How::NeverCompares | How::ReplacesBlindly => {
                self.force(name, all)?;
                receipt
            }
            How::HonestReplace if swap.changes().is_empty() => receipt,
            How::HonestReplace => {
                let serial = || self.inner.serial(&zone.name).unwrap_or_default();
                let start = serial();
                self.still_holds(swap)?;
                // The request is on its way; here others can act.
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.force(name, all)?;
                match serial().wrapping_sub(start) {
                    1 => receipt,
                    _ => Err(Fault::Unknown("somebody else wrote at the same time".into())),
                }
            }
            How::ComparesHalf => {
                let mut before = self.inner.peek(name)?;
                for change in swap.changes() {
                    let seen = |snapshot: &Snapshot| {
                        snapshot.sets.get(&change.record_type).map(|set| set.values.clone())
                    };
                    if change.before.is_some() && seen(&before) != seen(&swap.before) {
                        return Err(Fault::Conflict("not what it was".into()));
                    }
                }
                before.native = serde_json::Value::Null;
                self.inner.swap(zone, &[Swap::new(before, swap.after.clone())]).await
            }
            How::DeletesThenAdds => {
                self.still_holds(swap)?;
                self.force(name, [])?;
                tokio::task::yield_now().await;
                self.force(name, all)?;
                receipt
            }
            How::FamilyByFamily => {
                let now = self.still_holds(swap)?;
                let mut sets = now.sets;
                sets.retain(|kind, _| *kind != RecordType::A && *kind != RecordType::Cname);
                sets.extend(swap.after.get(RecordType::A).map(|set| (RecordType::A, set.clone())));
                self.force(name, sets.into_values())?;
                tokio::time::sleep(Duration::from_millis(3)).await;
                self.force(name, all)?;
                receipt
            }
            How::DropsIpv6 => match AnswerSets::new(swap.after.get(RecordType::A).cloned()) {
                Some(v4) => self.inner.swap(zone, &[Swap { after: v4, ..swap.clone() }]).await,
                None => self.inner.swap(zone, &one).await,
            },
            How::NeverRemoves => {
                let kept =
                    swap.before.sets.values().filter(|set| swap.after.get(set.record_type()).is_none());
                let both = AnswerSets::new(all.iter().chain(kept).cloned());
                let after = both.unwrap_or_else(|| swap.after.clone());
                self.inner.swap(zone, &[Swap { after, ..swap.clone() }]).await
            }
            How::AlwaysWrites => {
                if swap.changes().is_empty() {
                    self.force(name, [])?;
                    self.force(name, all)?;
                }
                self.inner.swap(zone, &one).await
            }
            How::SweepsTheName => {
                self.still_holds(swap)?;
                self.inner.edit_all(name, [])?;
                self.force(name, all)?;
                receipt
            }
            How::KeepsTtls => {
                let old = swap.before.longest_ttl();
                let after = swap.after.clone().map(|set| RecordSet { ttl: old.unwrap_or(set.ttl), ..set });
                self.replace(zone, swap, after).await
            }
            How::IgnoresTheMarker => {
                let marker = name.marker().and_then(|marker| self.inner.peek(&marker).ok());
                let marker = marker.and_then(|mut found| found.sets.remove(&RecordType::Txt));
                let before = Snapshot { marker, ..swap.before.clone() };
                self.inner.swap(zone, &[Swap { before, ..swap.clone() }]).await
            }
            How::MarkerFirst => {
                if let (Some(marker), Some(set)) = (name.marker(), &swap.marker) {
                    let values = set.values.to_strings().iter().map(|text| format!("\"{text}\"")).collect();
                    let stored = StoredSet { ttl: set.ttl, record_type: "TXT".into(), values };
                    self.inner.edit_all(&marker, [stored])?;
                }
                self.inner.swap(zone, &[Swap { marker: None, ..swap.clone() }]).await
            }
            How::DropsTheMarker => self.inner.swap(zone, &[Swap { marker: None, ..swap.clone() }]).await,
            How::NameByName | How::FindsEverything | How::WritesToAsk | How::CrowdOfAddresses => {
                self.inner.swap(zone, &one).await
            }
        }
    }
}

#[async_trait]
impl ReadProvider for Broken {
    fn capabilities(&self) -> Capabilities {
        let card = self.inner.capabilities();
        match self.how {
            How::ReplacesBlindly => Capabilities { tier: SwapTier::AtomicReplace, ..card },
            How::HonestReplace => {
                Capabilities { tier: SwapTier::AtomicReplace, names_per_swap: 1, marker: false, ..card }
            }
            _ => card,
        }
    }

    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        self.inner.normalize(wish)
    }

    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault> {
        match self.inner.zone(name).await {
            Err(_) if self.how == How::FindsEverything => {
                Ok(Zone { name: name.parent().expect("not the root"), id: String::new() })
            }
            other => other,
        }
    }

    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        self.inner.read(zone, names).await
    }

    async fn read_crowd(&self, zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        let mut seen = self.inner.read_crowd(zone, names).await?;
        if self.how == How::CrowdOfAddresses {
            for snapshot in seen.snapshots.iter_mut().flatten() {
                snapshot.sets.remove(&RecordType::Cname);
            }
        }
        Ok(seen)
    }

    async fn permission(
        &self,
        zone: &Zone,
        now: &Snapshot,
        types: &BTreeSet<RecordType>,
    ) -> Result<Permission, Fault> {
        if self.how == How::WritesToAsk {
            self.force(&now.name, [])?;
            self.force(&now.name, now.sets.values().cloned())?;
        }
        self.inner.permission(zone, now, types).await
    }
}

#[async_trait]
impl Provider for Broken {
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault> {
        if swaps.len() > self.capabilities().names_per_swap {
            return Err(Fault::Unsupported("too many".into()));
        }
        let mut receipt = Receipt { serial: None, handle: None };
        // The way to a server takes time, in which others act.
        tokio::time::sleep(Duration::from_millis(2)).await;
        for swap in swaps {
            receipt = self.swap_one(zone, swap).await?;
        }
        Ok(receipt)
    }

    async fn settled(&self, receipt: &Receipt) -> Result<Settled, Fault> {
        self.inner.settled(receipt).await
    }
}

/// What the suite says about a provider that is broken like this.
async fn caught(wrap: fn(MockProvider) -> Arc<dyn Provider>) -> Vec<&'static str> {
    let fixture = MockFixture::new(None, wrap).await;
    run(&fixture).await.broken()
}

/// A broken provider must be caught by the named checks at least.
macro_rules! must_be_caught {
    ($($story:ident: $how:ident by $($check:literal),+;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            let found = caught(|inner| Arc::new(Broken { inner, how: How::$how })).await;
            for check in [$($check),+] {
                assert!(found.contains(&check), "{check} should have failed; failed: {found:?}");
            }
        }
    )+};
}

const RACE: &str = "writers_make_one_chain_and_readers_see_whole_answers";

must_be_caught! {
    who_never_compares_is_caught: NeverCompares by
        "a_changed_value_is_a_conflict", "a_name_made_meanwhile_is_a_conflict", "several_names_change_all_or_none",
        "an_alias_made_meanwhile_is_a_conflict", "writers_make_one_chain_and_readers_see_whole_answers";
    who_replaces_blindly_is_caught_at_t3_too: ReplacesBlindly by
        "a_changed_value_is_a_conflict", "writers_make_one_chain_and_readers_see_whole_answers";
    who_compares_half_is_caught: ComparesHalf by "a_family_added_is_a_conflict";
    who_deletes_then_adds_is_caught: DeletesThenAdds by "both_families_move_together";
    who_moves_one_family_after_the_other_is_caught: FamilyByFamily by
        "both_families_move_together", "writers_make_one_chain_and_readers_see_whole_answers";
    who_forgets_ipv6_is_caught: DropsIpv6 by "both_families_move_together", "a_missing_name_is_created";
    who_never_removes_is_caught: NeverRemoves by "a_family_that_the_new_target_lacks_goes";
    who_always_writes_is_caught: AlwaysWrites by "nothing_to_change_writes_nothing";
    who_sweeps_the_name_is_caught: SweepsTheName by "neighbours_are_left_alone";
    who_goes_name_by_name_is_caught: NameByName by "several_names_change_all_or_none";
    who_keeps_ttls_is_caught: KeepsTtls by "a_new_ttl_takes_effect";
    who_writes_to_ask_is_caught: WritesToAsk by "asking_for_permission_changes_nothing";
    who_ignores_the_marker_is_caught: IgnoresTheMarker by
        "a_changed_marker_is_a_conflict", "a_marker_made_meanwhile_is_a_conflict",
        "a_marker_removed_meanwhile_is_a_conflict";
    who_writes_the_marker_first_is_caught: MarkerFirst by
        "a_marker_is_not_written_beside_a_changed_record", "a_marker_is_not_written_for_its_own_sake";
    who_drops_the_marker_is_caught: DropsTheMarker by
        "a_marker_comes_and_goes_on_with_its_record", "a_changed_marker_is_a_conflict";
    who_overlooks_aliases_in_a_crowd_is_caught: CrowdOfAddresses by "a_crowd_reads_as_its_names_do";
    who_finds_everything_is_caught: FindsEverything by "a_name_in_no_zone_is_a_configuration_fault";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_without_comparison_passes_when_it_is_honest_about_races() {
    let fixture = MockFixture::new(None, |inner| Arc::new(Broken { inner, how: How::HonestReplace })).await;
    let report = run(&fixture).await;
    report.assert_passed();
    assert!(report.to_string().contains("-       several_names_change_all_or_none"), "{report}");
}

/// The race alone, on a provider whose only fault is that readers can look in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_moment_between_delete_and_add() {
    let fixture = MockFixture::new(None, |inner| Arc::new(Broken { inner, how: How::DeletesThenAdds })).await;
    let report = run_matching(&fixture, RACE).await;
    assert_eq!(report.broken(), [RACE], "{report}");
}

#[tokio::test]
async fn a_ttl_floor_is_foretold_and_a_secret_one_is_caught() {
    let mut fixture = MockFixture::new(None, |mock| Arc::new(mock)).await;
    fixture.size.rounds = 2;
    fixture.server.set_ttl_range(Ttl(120), Ttl(600));
    let report = run_matching(&fixture, "normalize").await;
    report.assert_passed();
    fixture.server.set_silent_ttl(Some(Ttl(30)));
    assert_eq!(run_matching(&fixture, "normalize").await.broken(), ["what_is_read_is_what_normalize_said"]);
}
