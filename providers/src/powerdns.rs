//! The HTTP API of the `PowerDNS` authoritative server, 4.6 and later.
//!
//! The API compares nothing: of two writers the last one wins (T3). So a swap lists the zone right before it writes, and
//! looks at the zone's serial afterwards. Where two agents or people write at the same time, prefer DNS UPDATE
//! ([`rfc2136`](crate::rfc2136)) on the same server, which does compare.
//!
//! | rule | source |
//! |---|---|
//! | Several record sets in one PATCH are one transaction | docs/http-api/zone.rst; measured, 4.7.3 |
//! | Names and targets end in a dot; text without it is refused | docs/http-api/zone.rst |
//! | REPLACE without `comments` keeps the comments of a set that keeps a record; DELETE drops them, so a set that goes but has comments is replaced by no records and its comments | docs/http-api/zone.rst; measured, 4.7.3 |
//! | A filtered GET (`rrset_name`) leaves disabled records out, before 5.0; the whole zone's listing does not. Hence the listing in a swap: disabled records are kept | issue 11473; measured, 4.7.3 |
//! | A filtered GET may bring comments of other names as sets without records: filtered again here | measured, 4.7.3 |
//! | An alias beside other types is refused with 422; so is it here, before anything is sent | RFC 1034 3.6.2; measured |
//! | A record of type ALIAS or LUA makes addresses of its own: such a name is not rewritten | docs/guides/alias.rst, docs/lua-records |
//! | `X-PDNS-Old-Serial` and `X-PDNS-New-Serial` tell of a write in between, see [`serial`] | ws-auth.cc; measured, 4.7.3 |
//! | A PATCH sends no NOTIFY; a primary looks for new serials every `xfr-cycle-interval` (60 s). So it is asked to notify (PUT `notify`) after each write | measured, 4.7.3 |
//! | A locked database gives a 500 that says nothing else ("Internal Server Error"), so a 500 is an unknown outcome | measured, 4.7.3 with `SQLite` |
//!
//! Deliberately absent: EXTEND and PRUNE (4.9 and later only), set-ptr, creating zones, redirects, proxies.

mod api;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod model;
mod patch;
mod retry_after;
pub mod serial;

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    AnswerSets, BuildError, Capabilities, Consistency, Crowd, DomainName, Fault, Permission, PowerDnsConfig,
    Provider, ReadProvider, Receipt, RecordSet, RecordType, Settled, Snapshot, Swap, SwapTier, Ttl, Version,
    Zone,
};
use api::Api;
use fault::Purpose;
use model::{Holding, ZoneDocument};
use serial::Race;

/// A body of an ordinary answer is never this large.
const BODY_LIMIT: usize = 8 << 20;

/// A whole zone may be: some 400,000 record sets.
const LISTING_LIMIT: usize = 64 << 20;

/// The zone is listed for each swap, so a crowd is better written in few of them; yet one must end within the time of a
/// call at a slow database too. 33 ms for so many with one address each, 22 ms for a tenth of them (4.7.3, `SQLite`).
const NAMES_PER_SWAP: usize = 1000;

/// PowerDNS takes 2 MB in one request (`webserver-max-bodysize`); a thousand names with a few addresses each have 0.5.
const PATCH_LIMIT: usize = 3 << 19;

/// More names than this are read by listing the zone once.
const NAMES_ONE_BY_ONE: usize = 8;

/// A `PowerDNS` authoritative server with its API.
pub struct PowerDnsProvider {
    api: Api,
}

impl PowerDnsProvider {
    /// A provider that talks to the API at `config.url`. Nothing is sent.
    ///
    /// # Errors
    /// [`BuildError::Setting`] when the URL or the key cannot be used; [`BuildError::Http`] when TLS cannot be set up.
    pub fn new(config: &PowerDnsConfig) -> Result<Self, BuildError> {
        Ok(PowerDnsProvider { api: Api::new(config)? })
    }

    /// The zone as it is now, every record set in it, disabled records too.
    async fn list(&self, zone: &Zone) -> Result<ZoneDocument, Fault> {
        let answer = self.api.get(&["zones", &zone.id], &[], LISTING_LIMIT).await;
        fault::document(answer, Purpose::Read, &self.api, &zone.name)
    }

    /// The zone with the record sets of one name.
    async fn look(&self, zone: &Zone, name: &DomainName) -> Result<ZoneDocument, Fault> {
        let answer = self.api.get(&["zones", &zone.id], &[("rrset_name", &name.fqdn())], BODY_LIMIT).await;
        fault::document(answer, Purpose::Read, &self.api, &zone.name)
    }

    /// What the swaps need to know about their names, if all of them are as they were read.
    fn compare<'a>(listing: &ZoneDocument, swaps: &[&'a Swap]) -> Result<Vec<(&'a Swap, Holding)>, Fault> {
        let compared = |swap: &&'a Swap| {
            let now = listing.holding(swap.name())?;
            if now.sets != swap.before.sets {
                let now = model::summary(&now.sets);
                return Err(Fault::Conflict(format!("{} holds {now} now", swap.name())));
            }
            now.may_become(swap)?;
            Ok((*swap, now))
        };
        swaps.iter().map(compared).collect()
    }
}

#[async_trait]
impl ReadProvider for PowerDnsProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tier: SwapTier::AtomicReplace,
            atomic_name: true,
            marker: false,
            names_per_swap: NAMES_PER_SWAP,
            ttl_min: Ttl(0),
            ttl_max: Ttl::MAX,
            // A PATCH empties the caches of its names (measured with the default cache times).
            consistency: Consistency::Immediate,
        }
    }

    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        wish.map(|set| RecordSet { ttl: set.ttl.min(Ttl::MAX), ..set })
    }

    /// Asks for the zone of each suffix, the longest first.
    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault> {
        let suffixes =
            std::iter::successors(Some(name.clone()), DomainName::parent).filter(|apex| !apex.is_root());
        for apex in suffixes {
            let query = [("zone", apex.fqdn()), ("dnssec", "false".to_owned())];
            let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
            let answer = self.api.get(&["zones"], &query, BODY_LIMIT).await;
            let zones: Vec<ZoneDocument> = fault::document(answer, Purpose::Read, &self.api, &apex)?;
            if let Some(found) = zones.into_iter().find(|zone| zone.is_called(&apex)) {
                if found.is_copy() {
                    return Err(Fault::Config(format!(
                        "{apex} is a secondary zone at {}: set `url` to the API of its primary",
                        self.api.label()
                    )));
                }
                return Ok(Zone { name: apex, id: found.id });
            }
        }
        Err(Fault::Config(format!("{} serves no zone that holds {name}", self.api.label())))
    }

    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        fault::all_within(zone, names.iter())?;
        let listing = if names.len() > NAMES_ONE_BY_ONE { Some(self.list(zone).await?) } else { None };
        let mut snapshots = Vec::with_capacity(names.len());
        for name in names {
            snapshots.push(match &listing {
                Some(listing) => snapshot(listing, name)?,
                None => snapshot(&self.look(zone, name).await?, name)?,
            });
        }
        Ok(snapshots)
    }

    async fn read_crowd(&self, zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        fault::all_within(zone, names.iter())?;
        let listing = self.list(zone).await?;
        // A name that cannot be handled is read by itself, and fails by itself.
        Ok(Crowd::of(names.iter().map(|name| snapshot(&listing, name).ok()).collect()))
    }

    /// The API has one key, which may do everything: where reading is allowed, writing is. A PATCH that changes nothing
    /// raises the serial all the same (`soa_edit_api`), so none is sent.
    async fn permission(
        &self,
        _: &Zone,
        _: &Snapshot,
        _: &BTreeSet<RecordType>,
    ) -> Result<Permission, Fault> {
        Ok(Permission::NotTested(
            "the PowerDNS API cannot be asked without a change; its one key may read, so it may write".into(),
        ))
    }

    /// The Date of an answer (RFC 9110 section 6.6.1). `PowerDNS` 4.7.3 itself sends none; a proxy in front of it does.
    async fn server_time(&self, zone: &Zone) -> Result<Option<u64>, Fault> {
        let query = [("zone", zone.name.fqdn()), ("dnssec", "false".to_owned())];
        let query = query.each_ref().map(|(key, value)| (*key, value.as_str()));
        let answer = self.api.get(&["zones"], &query, BODY_LIMIT).await;
        let date = answer.as_ref().ok().and_then(|answer| fault::date(&answer.headers));
        let _: Vec<ZoneDocument> = fault::document(answer, Purpose::Read, &self.api, &zone.name)?;
        Ok(date)
    }
}

#[async_trait]
impl Provider for PowerDnsProvider {
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault> {
        if swaps.len() > NAMES_PER_SWAP {
            return Err(Fault::Unsupported(format!(
                "{} names in one PATCH; {NAMES_PER_SWAP} are allowed",
                swaps.len()
            )));
        }
        fault::all_within(zone, swaps.iter().map(Swap::name))?;
        if let Some(swap) = swaps.iter().find(|swap| swap.marker.is_some()) {
            return Err(Fault::Unsupported(format!(
                "the HTTP API of PowerDNS compares nothing, so {} can have no marker: use its DNS UPDATE (rfc2136)",
                swap.name()
            )));
        }
        let swaps: Vec<&Swap> = swaps.iter().filter(|swap| !swap.changes().is_empty()).collect();
        if swaps.is_empty() {
            return Ok(Receipt { serial: None, handle: None });
        }
        let listing = self.list(zone).await?;
        let body = patch::body(&Self::compare(&listing, &swaps)?).to_string().into_bytes();
        if body.len() > PATCH_LIMIT {
            return Err(Fault::Unsupported(format!(
                "{} names make a PATCH of {} KiB, more than PowerDNS takes in one request: fewer at a time",
                swaps.len(),
                body.len() >> 10
            )));
        }
        let answer = self.api.patch(&["zones", &zone.id], body).await;
        let written = fault::written(answer, &self.api, &zone.name)?;
        if listing.notifies() {
            // The write stands, whatever becomes of this.
            self.api.put_and_forget(&["zones", &zone.id, "notify"]).await;
        }
        match serial::race(&listing.soa_edit_api, listing.serial, written) {
            Race::None | Race::CannotTell => Ok(Receipt { serial: written.new, handle: None }),
            Race::Somebody => Err(Fault::Unknown(format!(
                "somebody else wrote to {} between our look and our write (serial {} before, {} after)",
                zone.name,
                listing.serial,
                written.new.unwrap_or_default(),
            ))),
        }
    }

    /// The server answers with the new set as soon as it has acknowledged; its secondaries are the caller's to watch.
    async fn settled(&self, _: &Receipt) -> Result<Settled, Fault> {
        Ok(Settled::Done)
    }
}

fn snapshot(listing: &ZoneDocument, name: &DomainName) -> Result<Snapshot, Fault> {
    let holding = listing.holding(name)?;
    let native = holding.native();
    Ok(Snapshot { marker: None, name: name.clone(), sets: holding.sets, version: Version::Values, native })
}

/// The types by which an answer is made elsewhere in `PowerDNS`: addresses of their own at the same name.
const OWN_ADDRESSES: [&str; 2] = ["ALIAS", "LUA"];

/// A type of ours by its mnemonic; `None` for all others.
fn answer_type(mnemonic: &str) -> Option<RecordType> {
    RecordType::ANSWER.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(mnemonic))
}
