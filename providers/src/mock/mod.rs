//! The reference provider: zones in memory or in a JSON file, bad days on demand, an authoritative DNS server in front.
//!
//! It is what a trial run, `rehearse` and the tests use, and the shortest reading of what a provider promises:
//! a compare-and-swap by values (T1), atomic over all names of one call, a serial that grows by one with each write
//! that changes something.
//!
//! # The zone file
//!
//! Plain JSON, to be read and edited by hand, also while an agent runs: it is read again at each call.
//!
//! ```json
//! {
//!   "zones": {
//!     "workshopco.ca": {
//!       "serial": 7,
//!       "records": {
//!         "www.workshopco.ca": [
//!           {"ttl": 60, "type": "A", "values": ["203.0.113.10"]},
//!           {"ttl": 60, "type": "AAAA", "values": ["2001:db8::10"]},
//!           {"ttl": 300, "type": "TXT", "values": ["\"kept as it is\""]}
//!         ]
//!       }
//!     }
//!   }
//! }
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `zones` | by name; where it is absent or empty, and where there is no file, the zones of [`MockConfig::zones`] are served, empty |
//! | `serial` | 0 to 2^32 - 1, that of the SOA record; 1 when absent; a person need not raise it |
//! | `records` | by absolute name (the final dot and the case do not matter); one set of a type at most |
//! | `ttl` | seconds, 0 to 2^31 - 1 |
//! | `type` | `A`, `AAAA` and `CNAME` make up answers; every other type is kept untouched, and served where it can be read |
//! | `values` | in the form of a zone file (RFC 1035 section 5.1), names absolute with or without the final dot, texts quoted |
//!
//! Unknown keys and names that stand twice are errors. A write replaces the file in one step (a temporary file, flushed,
//! renamed) under the lock file `<file>.lock`, so two processes swap safely; a person's editor does not know the lock.
//!
//! # The DNS server
//!
//! It answers A, AAAA, CNAME, NS, SOA and what else the file holds, authoritatively and from the state of this moment;
//! NODATA and NXDOMAIN with the SOA; `REFUSED` for names in no zone. The SOA is made up around the zone's serial, and
//! an NS set (`ns1.<zone>`) where the file has none.

mod answer;
mod audit;
mod dns;
mod faults;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod state;
#[cfg(test)]
mod tests;
mod zone;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

pub use dns::{DnsMode, DnsServer};
pub use faults::{Call, Edit, FaultStep, Trouble};
pub use state::{Author, Write};
pub use zone::StoredSet;

use crate::{
    AnswerSets, BuildError, Capabilities, Consistency, Crowd, DomainName, Fault, MockConfig, Permission,
    Provider, ReadProvider, Receipt, RecordSet, RecordType, Settled, Snapshot, Swap, SwapTier, Ttl, Zone,
};
use file::ZoneFile;
use state::{Extent, State};
use zone::{ZoneState, Zones};

/// One call may rewrite so many names.
const NAMES_PER_SWAP: usize = 100;

/// The reference provider, see the [module page](self). Clones share the zones, the script, the journal and the server.
#[derive(Clone, Debug)]
pub struct MockProvider {
    state: Arc<State>,
    dns: Arc<Mutex<Option<DnsServer>>>,
}

impl MockProvider {
    /// Opens the file if one is given, and starts the DNS server if one is asked for.
    ///
    /// # Errors
    /// [`BuildError::ZoneFile`] with line and column when the file is not as described above, and
    /// [`BuildError::Listen`] when the address is taken.
    pub async fn open(config: &MockConfig) -> Result<Self, BuildError> {
        let empty = empty_zones(&config.zones);
        let state = match &config.file {
            None => State::in_memory(empty),
            Some(path) => {
                let file = ZoneFile::new(path, empty);
                let shown = file.path().display().to_string();
                let check = move || file.load().map(|_| file);
                let checked = tokio::task::spawn_blocking(check).await;
                let why = match checked {
                    Ok(Ok(file)) => return MockProvider::with(State::in_file(file), config.dns).await,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(BuildError::ZoneFile { path: shown, why });
            }
        };
        MockProvider::with(state, config.dns).await
    }

    async fn with(state: State, dns: Option<SocketAddr>) -> Result<Self, BuildError> {
        let provider = MockProvider { state: Arc::new(state), dns: Arc::default() };
        if let Some(address) = dns {
            let server = provider.serve_dns(address).await?;
            *provider.own_dns() = Some(server);
        }
        Ok(provider)
    }

    /// Empty zones of these names in memory, without a DNS server.
    pub fn in_memory(zones: impl IntoIterator<Item = DomainName>) -> Self {
        let names: Vec<DomainName> = zones.into_iter().collect();
        MockProvider { state: Arc::new(State::in_memory(empty_zones(&names))), dns: Arc::default() }
    }

    /// Starts one more authoritative server of the same zones (port 0 for any), with a [mode](DnsMode) of its own.
    ///
    /// # Errors
    /// [`BuildError::Listen`].
    pub async fn serve_dns(&self, address: SocketAddr) -> Result<DnsServer, BuildError> {
        DnsServer::listen(self.state.clone(), address).await
    }

    /// Where the server of [`MockConfig::dns`] listens; `None` without one.
    pub fn dns_address(&self) -> Option<SocketAddr> {
        self.own_dns().as_ref().map(DnsServer::address)
    }

    /// Makes that server lag behind from now on, or answer from the zones again.
    ///
    /// # Errors
    /// As [`DnsServer::set_mode`].
    pub fn freeze_dns(&self, frozen: bool) -> Result<(), Fault> {
        self.set_dns_mode(if frozen { DnsMode::Lagging } else { DnsMode::Live })
    }

    /// Changes what that server answers from; without a server nothing happens.
    ///
    /// # Errors
    /// As [`DnsServer::set_mode`].
    pub fn set_dns_mode(&self, mode: DnsMode) -> Result<(), Fault> {
        self.own_dns().as_ref().map_or(Ok(()), |server| server.set_mode(mode))
    }

    /// Ends that server and waits, a second at most, until its port is free. The zones stay.
    pub async fn shutdown(&self) {
        let server = self.own_dns().take();
        if let Some(server) = server {
            server.shutdown().await;
        }
    }

    /// Adds bad days: each step is used up by the calls it waits for, in order per kind of call.
    pub fn script(&self, steps: impl IntoIterator<Item = FaultStep>) {
        let mut script = self.state.script();
        steps.into_iter().for_each(|step| script.add(step));
    }

    /// Only good days from now on.
    pub fn clear_script(&self) {
        self.state.script().clear();
    }

    /// Has everything in the script happened?
    pub fn script_is_done(&self) -> bool {
        self.state.script().is_done()
    }

    /// How many calls of this kind there were through this provider, scripted or not.
    pub fn calls(&self, call: Call) -> u64 {
        self.state.script().calls(call)
    }

    /// TTLs below are raised to `min`, above lowered to `max`; the card and `normalize` say so.
    pub fn set_ttl_range(&self, min: Ttl, max: Ttl) {
        self.state.set_rule(|rule| (rule.min, rule.max) = (min, max.max(min)));
    }

    /// Every swap stores this TTL, and `normalize` does not say so: a provider with a secret. `None` ends it.
    pub fn set_silent_ttl(&self, ttl: Option<Ttl>) {
        self.state.set_rule(|rule| rule.silent = ttl);
    }

    /// Somebody else makes the name hold exactly these answer sets; none removes them. Other types stay.
    ///
    /// # Errors
    /// [`Fault::Config`] when no zone holds the name; with a file, as a swap.
    pub fn edit(&self, name: &DomainName, sets: impl IntoIterator<Item = RecordSet>) -> Result<(), Fault> {
        self.state.edit(&Edit { name: name.clone(), sets: sets.into_iter().collect() })
    }

    /// Somebody else makes the name hold exactly these sets of any type; none removes the name.
    ///
    /// # Errors
    /// As [`edit`](MockProvider::edit), and [`Fault::Invalid`] when the sets cannot stand at one name.
    pub fn edit_all(
        &self,
        name: &DomainName,
        sets: impl IntoIterator<Item = StoredSet>,
    ) -> Result<(), Fault> {
        self.state.edit_all(name, sets.into_iter().collect())
    }

    /// What the name holds, without a call being counted or a script being used up.
    ///
    /// # Errors
    /// [`Fault::Config`] when no zone holds the name; with a file, as a read.
    pub fn peek(&self, name: &DomainName) -> Result<Snapshot, Fault> {
        let zones = self.state.zones()?;
        let Some((zone, _)) = zones.find(name) else { return Err(no_zone(&zones, name)) };
        zones.snapshot(zone, name)
    }

    /// The zone's serial; `None` when there is no such zone, or its file cannot be read.
    pub fn serial(&self, zone: &DomainName) -> Option<u32> {
        self.state.zones().ok()?.0.get(zone).map(|state| state.serial)
    }

    /// How many writes changed something, swaps and edits, through this provider and its clones.
    pub fn writes(&self) -> u64 {
        self.state.writes()
    }

    /// The last 1024 of these writes, oldest first.
    pub fn journal(&self) -> Vec<Write> {
        self.state.journal()
    }

    /// Promises that the mock caught itself breaking; each was also a [`Fault::Invalid`] and was not written.
    pub fn violations(&self) -> Vec<String> {
        self.state.violations()
    }

    fn own_dns(&self) -> MutexGuard<'_, Option<DnsServer>> {
        self.dns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, takes its time, and gives what it meets; an error where that is the same for every call.
    async fn meet(&self, call: Call) -> Result<Trouble, Fault> {
        let step = self.state.script().next(call);
        if !step.delay.is_zero() {
            tokio::time::sleep(step.delay).await;
        }
        match step.trouble {
            Trouble::Refuse => Err(Fault::Unavailable("connection refused".into())),
            Trouble::Throttle(after) => {
                Err(Fault::Throttled { after, detail: "429 Too Many Requests".into() })
            }
            Trouble::Deny => Err(Fault::Auth("401 Unauthorized".into())),
            Trouble::Hang => std::future::pending().await,
            trouble => Ok(trouble),
        }
    }
}

fn empty_zones(names: &[DomainName]) -> Zones {
    Zones(names.iter().map(|name| (name.clone(), ZoneState::default())).collect())
}

fn no_zone(zones: &Zones, name: &DomainName) -> Fault {
    let known: Vec<&str> = zones.0.keys().map(DomainName::as_str).collect();
    Fault::Config(format!("no zone of the mock holds {name}; it has: {}", known.join(", ")))
}

/// What a read says when the server fails: nothing was changed, so it can be tried again.
fn read_trouble(trouble: &Trouble) -> Result<(), Fault> {
    match trouble {
        Trouble::ErrorBefore | Trouble::ErrorAfter => {
            Err(Fault::Unavailable("500 Internal Server Error".into()))
        }
        Trouble::LoseReply => Err(Fault::Unavailable("the connection broke before the reply".into())),
        _ => Ok(()),
    }
}

#[async_trait]
impl ReadProvider for MockProvider {
    fn capabilities(&self) -> Capabilities {
        let rule = self.state.rule();
        Capabilities {
            tier: SwapTier::ServerCompared,
            atomic_name: true,
            marker: true,
            names_per_swap: NAMES_PER_SWAP,
            ttl_min: rule.min,
            ttl_max: rule.max,
            consistency: Consistency::Immediate,
        }
    }

    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        self.state.rule().normalize(wish)
    }

    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault> {
        read_trouble(&self.meet(Call::Zone).await?)?;
        let zones = self.state.look().await?;
        let Some((zone, _)) = zones.find(name) else { return Err(no_zone(&zones, name)) };
        Ok(Zone { name: zone.clone(), id: zone.to_string() })
    }

    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        let trouble = self.meet(Call::Read).await?;
        read_trouble(&trouble)?;
        let zones = match trouble {
            Trouble::Stale(writes_ago) => self.state.blocking(move |state| state.stale(writes_ago)).await?,
            _ => self.state.look().await?,
        };
        names.iter().map(|name| zones.snapshot(&zone.name, name)).collect()
    }

    async fn read_crowd(&self, zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        Ok(Crowd::of(self.read(zone, names).await?.into_iter().map(Some).collect()))
    }

    /// Memory takes every swap; a file does where it can be replaced.
    async fn permission(
        &self,
        zone: &Zone,
        now: &Snapshot,
        _: &BTreeSet<RecordType>,
    ) -> Result<Permission, Fault> {
        let there = self.state.look().await?.snapshot(&zone.name, &now.name)?;
        if there.sets != now.sets {
            return Err(Fault::Conflict(format!("{} holds {} now", now.name, there.summary())));
        }
        self.state.blocking(State::may_write).await?;
        Ok(Permission::Granted)
    }
}

#[async_trait]
impl Provider for MockProvider {
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault> {
        let trouble = self.meet(Call::Swap).await?;
        if swaps.len() > NAMES_PER_SWAP {
            return Err(Fault::Unsupported(format!(
                "{} names in one swap, {NAMES_PER_SWAP} at most",
                swaps.len()
            )));
        }
        if trouble == Trouble::ErrorBefore {
            return Err(Fault::Unknown("500 Internal Server Error".into()));
        }
        let extent = if trouble == Trouble::Partial { Extent::Half } else { Extent::Whole };
        let (apex, wanted, before) = (zone.name.clone(), swaps.to_vec(), trouble.clone());
        let job = move |state: &State| {
            if let Trouble::Intruder(edit) = &before {
                state.edit(edit)?;
            }
            state.swap(&apex, &wanted, extent)
        };
        let written = self.state.blocking(job).await;
        match (trouble, written) {
            (Trouble::ErrorAfter, _) => Err(Fault::Unknown("500 Internal Server Error".into())),
            (Trouble::LoseReply, _) => Err(Fault::Unknown("the connection broke before the reply".into())),
            (Trouble::Partial, Ok(_)) => {
                let name = swaps.first().map(Swap::name);
                let name = name.ok_or_else(|| Fault::Unknown("stopped half-way through nothing".into()))?;
                let zones = self.state.look().await?;
                Err(Fault::Partial { now: Box::new(zones.snapshot(&zone.name, name)?) })
            }
            (_, written) => Ok(Receipt { serial: Some(written?), handle: None }),
        }
    }

    async fn settled(&self, _receipt: &Receipt) -> Result<Settled, Fault> {
        Ok(Settled::Done)
    }
}
