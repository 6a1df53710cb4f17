//! `agent:` and `api:`

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::checks::{self, Proof};
use super::keys;
use super::limits;
use super::model::{AgentSettings, Witness};
use super::names::{is_name, name_rule};
use super::read::{Item, Noted, Optional, Read};
use super::tree::Span;
use crate::decision::WitnessId;
use crate::resolve::Resolvers;

const STATE: &str = "./failover.db";
const STARTUP_GRACE: Duration = Duration::from_secs(30);
const LIVE_INTERVAL: Duration = Duration::from_secs(30);
/// The live record is not looked at more often than this.
const SHORTEST_LIVE_INTERVAL: Duration = Duration::from_millis(100);
/// The room for a path in `sockaddr_un` on Linux, without the final zero (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// `agent:`
pub(super) fn read(item: Item<'_>) -> Read<AgentSettings> {
    let map = item.map(&keys::AGENT)?;
    let id = map.get("id", |item| {
        let id = item.text()?;
        if !is_name(&id) {
            return Err(item.fault(format!("`{}` cannot be the name of an agent", item.shown()), name_rule()));
        }
        Ok(id)
    });
    let state = map.get("state", Item::path).otherwise(STATE.into());
    let startup_grace =
        map.get("startup_grace", |item| item.duration(Duration::ZERO)).otherwise(STARTUP_GRACE);
    let live_interval =
        map.get("live_interval", |item| item.duration(SHORTEST_LIVE_INTERVAL)).otherwise(LIVE_INTERVAL);
    let resolvers = map.get("resolvers", resolvers).otherwise(Resolvers::System);
    let witnesses = map.get("witnesses", witnesses).otherwise(BTreeMap::new());
    Ok(AgentSettings {
        id: id?.unwrap_or_else(host_name),
        state: state?,
        startup_grace: startup_grace?,
        live_interval: live_interval?,
        witnesses: witnesses?,
        resolvers: resolvers?,
    })
}

/// `api:`; the path of the local socket.
pub(super) fn read_api(item: Item<'_>) -> Read<Option<PathBuf>> {
    item.map(&keys::API)?.get("socket", |item| {
        let path = item.path()?;
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            let message = format!("the path of a socket has at most {MAX_SOCKET_PATH} bytes");
            return Err(item.fault(message, "choose a shorter one, like /run/failover/failover.sock"));
        }
        Ok(path)
    })
}

fn resolvers(item: Item<'_>) -> Read<Resolvers> {
    item.at_most(limits::RESOLVERS, "resolvers", "two or three are plenty")?;
    let resolvers = item.one_or_list(|item| item.socket_address(1, 53))?;
    if resolvers.is_empty() {
        let message = "an empty list of resolvers finds no name";
        return Err(item.fault(message, "write address and port of one or two, or remove `resolvers`"));
    }
    Ok(Resolvers::Given(resolvers))
}

fn witnesses(item: Item<'_>) -> Read<BTreeMap<WitnessId, Witness>> {
    item.at_most(limits::WITNESSES, "witnesses", "three independent ones are plenty")?;
    let mut witnesses = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut all = Ok(());
    for read in item.list(|item| Ok(witness(item)))? {
        let Ok((id, witness, span)) = read else {
            all = Err(Noted);
            continue;
        };
        if let Some(first) = places.insert(id.clone(), span) {
            item.desk.cx.twice(id.as_str(), span, first);
            all = Err(Noted);
        }
        witnesses.insert(id, witness);
    }
    all.map(|()| witnesses)
}

fn witness(item: Item<'_>) -> Read<(WitnessId, Witness, Span)> {
    let map = item.map(&keys::WITNESS)?;
    let written = |address: SocketAddr, id: String, proof, item: Item<'_>| {
        let check = Arc::new(checks::witness(proof));
        (WitnessId::from(id), Witness { address: address.ip(), check }, item.node.span)
    };
    let kinds = [
        map.get("tcp", |item| {
            let address = item.socket_address(1, 443)?;
            Ok(written(address, address.to_string(), Proof::Tcp(address.port()), item))
        }),
        map.get("icmp", |item| {
            let address = item.address("a witness")?;
            Ok(written((address, 0).into(), format!("icmp:{address}"), Proof::Icmp, item))
        }),
        map.get("dns", |item| {
            let address = dns_server(item)?;
            Ok(written(address, format!("dns:{address}"), Proof::Dns(address.port()), item))
        }),
    ];
    let mut kinds = kinds.into_iter().filter_map(Read::transpose);
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => kind,
        (Some(_), Some(_)) => {
            Err(map.fault("a witness is of one kind, and this has two", "make two witnesses of it"))
        }
        // The kinds of later versions, and what is no kind, were noted already.
        (None, _) if !item.node.entries().is_empty() => Err(Noted),
        (None, _) => Err(map.fault("a witness needs a kind", "write `tcp: 192.0.2.1:443`, or icmp, or dns")),
    }
}

/// An address, with or without a port.
fn dns_server(item: Item<'_>) -> Read<SocketAddr> {
    if item.text()?.parse::<IpAddr>().is_ok() {
        return Ok((item.address("a witness")?, 53).into());
    }
    item.socket_address(1, 53)
}

/// The machine's name, as the kernel has it.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "failover".to_owned(),
        name => name.to_owned(),
    }
}
