//! The stage: listeners for every address that is probed, and the world that the agent is handed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use providers::mock::{MockProvider, StoredSet};
use providers::{BuildError, DomainName, Fault, MockConfig, Provider, Ttl};

use super::authority::Authority;
use super::cast::Cast;
use super::facts::Book;
use super::part::{Part, certificate_name, host_of, part};
use super::prober::StageProber;
use super::provider::WatchedProvider;
use super::seat::{Act, Seat};
use super::sender::Notebook;
use crate::agent::{Hands, State, World};
use crate::clock::Clock;
use crate::live::{Server, SystemLiveDns};
use crate::notify::Sender;
use crate::probe::{Check, CheckKind, HttpCheck, Roots, SystemProber, TcpCheck, TlsCheck, TlsSettings};
use crate::store::{Store, StoreError};

/// How long the agent waits for the mock's DNS server.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// What stands in the zone beside the records and is nobody's of ours.
const BYSTANDER: &str = "somebody-else";
/// Its text, and that of a TXT set beside every record.
pub(super) const NOT_OURS: &str = "not ours to touch";
/// Its address.
pub(super) const BYSTANDERS_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));

/// Why the stage cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A listener on loopback.
    #[error("cannot listen on 127.0.0.1: {0} (see `ulimit -n`)")]
    Listen(#[from] std::io::Error),
    /// The zone, or its DNS server.
    #[error("cannot set up the zone: {0}")]
    Zone(#[from] BuildError),
    /// What the zone should hold.
    #[error("cannot fill the zone: {0}")]
    Fill(Fault),
    /// Certificates.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// The state.
    #[error("cannot set up the state: {0}")]
    State(#[from] StoreError),
}

/// Who plays one address by one check.
pub(super) enum Place {
    /// A listener.
    Listener {
        seat: Seat,
        /// The check, led to the seat's port.
        check: Arc<Check>,
        /// Whose part it is.
        plays: SocketAddr,
    },
    /// Nobody; the outcome is written in the script.
    Scripted(AtomicBool),
}

impl Place {
    /// Does a scripted place pass?
    pub(super) fn is_alive(&self) -> bool {
        match self {
            Place::Listener { .. } => true,
            Place::Scripted(alive) => alive.load(Ordering::Relaxed),
        }
    }
}

/// The stage.
pub(super) struct Stage {
    places: BTreeMap<(IpAddr, usize), Place>,
    pub(super) mock: MockProvider,
    pub(super) dns: SocketAddr,
    authority: Authority,
    store: Store,
    bystanders: BTreeSet<DomainName>,
}

impl Stage {
    /// Sets it for `cast`.
    pub(super) async fn set(cast: &Cast) -> Result<Self, StageError> {
        let authority = Authority::new().map_err(|error| StageError::Certificate(error.to_string()))?;
        let zones = cast.zones();
        let bystanders: BTreeSet<DomainName> =
            zones.iter().filter_map(|zone| format!("{BYSTANDER}.{zone}").parse().ok()).collect();
        let dns = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mock = MockProvider::open(&MockConfig { file: None, dns, zones }).await?;
        let dns = mock.dns_address().expect("a server was asked for");
        fill(&mock, cast, &bystanders).map_err(StageError::Fill)?;
        let places = places(cast, &authority)?;
        Ok(Stage { places, mock, dns, authority, store: Store::in_memory()?, bystanders })
    }

    /// Who plays this address by this check.
    pub(super) fn place(&self, address: IpAddr, check: &Arc<Check>) -> Option<&Place> {
        self.places.get(&(address, Stage::key(check)))
    }

    /// What tells checks apart: they have no name here, and each is one value for the whole rehearsal.
    pub(super) fn key(check: &Arc<Check>) -> usize {
        Arc::as_ptr(check).addr()
    }

    /// Nobody answers at these addresses any more: all of them at once, as when a machine dies.
    pub(super) async fn kill(&self, addresses: &BTreeSet<IpAddr>) {
        let mut ending = Vec::new();
        for place in self.at(addresses) {
            match place {
                Place::Listener { seat, .. } => ending.extend(seat.kill()),
                Place::Scripted(alive) => alive.store(false, Ordering::Relaxed),
            }
        }
        for task in ending {
            // Aborted, which is what was asked for.
            let _ = task.await;
        }
    }

    /// Everybody there answers again.
    pub(super) fn raise(&self, addresses: &BTreeSet<IpAddr>) -> std::io::Result<()> {
        for place in self.at(addresses) {
            match place {
                Place::Listener { seat, .. } => seat.raise()?,
                Place::Scripted(alive) => alive.store(true, Ordering::Relaxed),
            }
        }
        Ok(())
    }

    fn at<'a>(&'a self, addresses: &'a BTreeSet<IpAddr>) -> impl Iterator<Item = &'a Place> {
        self.places.iter().filter(|((address, _), _)| addresses.contains(address)).map(|(_, place)| place)
    }

    /// Names that nobody may touch.
    pub(super) fn bystanders(&self) -> &BTreeSet<DomainName> {
        &self.bystanders
    }

    /// The world of an agent on this stage. All its agents share the zone and the state.
    pub(super) fn world(self: &Arc<Self>, cast: &Cast, book: &Book, clock: &Arc<dyn Clock>) -> World {
        let provider: Arc<dyn Provider> =
            Arc::new(WatchedProvider { mock: self.mock.clone(), book: book.clone() });
        let writers =
            cast.config.records.values().map(|r| (r.policy.provider.clone(), Arc::clone(&provider)));
        let server = || vec![Server { name: "the mock".into(), address: self.dns }];
        let notebook: Arc<dyn Sender> =
            Arc::new(Notebook { book: book.clone(), settings: cast.config.notify.clone() });
        let roots = Roots::Only(vec![self.authority.root()]);
        World {
            clock: Arc::clone(clock),
            prober: Arc::new(StageProber {
                inner: SystemProber::new(Arc::clone(clock), roots),
                stage: Arc::clone(self),
                book: book.clone(),
            }),
            live: Arc::new(SystemLiveDns::new(ASK_LIMIT)),
            hands: Hands::writing(writers.collect()),
            nameservers: cast.config.records.keys().map(|name| (name.clone(), server())).collect(),
            senders: cast
                .config
                .notify
                .channels
                .keys()
                .map(|id| (id.clone(), Arc::clone(&notebook)))
                .collect(),
            state: State::File(self.store.clone()),
            seed: rand::random(),
        }
    }
}

/// The records at their first targets, a TXT set beside each, and in each zone a name of somebody else.
fn fill(mock: &MockProvider, cast: &Cast, bystanders: &BTreeSet<DomainName>) -> Result<(), Fault> {
    let text =
        || StoredSet { ttl: Ttl(300), record_type: "TXT".into(), values: vec![format!("\"{NOT_OURS}\"")] };
    for (name, addresses) in &cast.homes {
        let ttl = cast.config.records[name].policy.ttl;
        let mut sets = vec![text()];
        for (v6, record_type) in [(false, "A"), (true, "AAAA")] {
            let of_family = addresses.iter().filter(|a| a.is_ipv6() == v6);
            let values: Vec<String> = of_family.map(ToString::to_string).collect();
            if !values.is_empty() {
                sets.push(StoredSet { ttl, record_type: record_type.into(), values });
            }
        }
        mock.edit_all(name, sets)?;
    }
    for name in bystanders {
        let values = vec![BYSTANDERS_ADDRESS.to_string()];
        mock.edit_all(name, [text(), StoredSet { ttl: Ttl(300), record_type: "A".into(), values }])?;
    }
    Ok(())
}

fn places(cast: &Cast, authority: &Authority) -> Result<BTreeMap<(IpAddr, usize), Place>, StageError> {
    let mut places = BTreeMap::new();
    for target in cast.config.targets.values() {
        for id in &target.checks {
            let Some((check, _)) = cast.config.checks.get(id) else { continue };
            for address in &target.addresses {
                // Two targets may share an address, and then its place.
                if let Entry::Vacant(empty) = places.entry((*address, Stage::key(check))) {
                    empty.insert(place(*address, check, &cast.parts[id], authority)?);
                }
            }
        }
    }
    for witness in cast.config.agent.witnesses.values() {
        let key = (witness.address, Stage::key(&witness.check));
        places.insert(key, place(witness.address, &witness.check, &part(&witness.check.kind).1, authority)?);
    }
    Ok(places)
}

fn place(address: IpAddr, check: &Check, part: &Part, authority: &Authority) -> Result<Place, StageError> {
    let act = match (part, &check.kind) {
        (Part::Scripted, _) => return Ok(Place::Scripted(AtomicBool::new(true))),
        (Part::Say(text), _) => Act::Say(text.clone()),
        (Part::Answer { response, tls: true }, kind) => {
            let acceptor = authority.acceptor(&certificate_name(kind, address));
            Act::Answer(response.clone(), Some(acceptor.map_err(StageError::Certificate)?))
        }
        (Part::Answer { response, .. }, _) => Act::Answer(response.clone(), None),
    };
    let seat = Seat::open(act)?;
    let port = seat.address().port();
    let (kind, own_port) = match &check.kind {
        CheckKind::Http(http) => {
            let host = Some(host_of(http, address));
            (
                CheckKind::Http(HttpCheck {
                    port,
                    host,
                    tls_settings: TlsSettings::default(),
                    ..http.clone()
                }),
                http.port,
            )
        }
        CheckKind::Tcp(tcp) => (CheckKind::Tcp(TcpCheck { port, ..tcp.clone() }), tcp.port),
        CheckKind::Tls(tls) => {
            let sni = Some(certificate_name(&check.kind, address));
            (CheckKind::Tls(TlsCheck { port, sni, settings: TlsSettings::default() }), tls.port)
        }
        CheckKind::Icmp(_) | CheckKind::Dns(_) | CheckKind::Exec(_) => (check.kind.clone(), 0),
    };
    let check = Arc::new(Check { kind, ..check.clone() });
    Ok(Place::Listener { seat, check, plays: SocketAddr::new(address, own_port) })
}
