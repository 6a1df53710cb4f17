//! Finds out how this machine is: the state file, the socket, open files, trusted roots.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use providers::ProviderConfig;
use rustix::fs::{Access, access, statvfs};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use rustix::process::{Resource, getrlimit};

use super::judge::{self, Door, Entry, StateFacts};
use super::{Finding, Topic};
use crate::api::Client;
use crate::config::{Config, Target};
use crate::decision::Place;
use crate::probe::{Check, CheckKind};
use crate::store::{StateLock, Store, StoreError};

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let facts = state_facts(&config.agent.state);
    let mut findings = judge::state(&facts);
    let socket = config.socket.as_deref();
    let door = door(socket).await;
    let shown = socket.map(|path| path.display().to_string()).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    findings.push(judge::socket(&shown, &door, facts.holder.as_deref(), version));
    let endpoints: usize =
        config.targets.values().map(|target| target.places.len() * target.checks.len()).sum();
    let wires = |target: &Target| {
        let wired = target.checks.values().filter(|(check, _)| check.tripwire).count();
        if target.host_name().is_some() { 0 } else { target.places.len() * wired }
    };
    let tripwires = config.targets.values().map(wires).sum();
    let limit = getrlimit(Resource::Nofile).current;
    findings.push(judge::descriptors(limit, endpoints + config.agent.witnesses.len(), tripwires));
    findings.extend(icmp(config));
    findings.push(roots(config));
    findings
}

fn state_facts(path: &Path) -> StateFacts {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let broken = match Store::open_read_only(path) {
        Ok(_) | Err(StoreError::Missing { .. }) => None,
        Err(error) => Some(error.to_string()),
    };
    StateFacts {
        path: path.to_owned(),
        folder: folder.to_owned(),
        folder_entry: entry(folder),
        file_entry: entry(path),
        free: statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        broken,
        holder: StateLock::holder(path).unwrap_or_default(),
    }
}

fn entry(path: &Path) -> Option<Entry> {
    let found = path.metadata().ok()?;
    let unwritable = access(path, Access::WRITE_OK).err().map(|error| error.to_string());
    Some(Entry { mode: found.mode(), uid: found.uid(), unwritable })
}

async fn door(socket: Option<&Path>) -> Door {
    let Some(path) = socket else { return Door::None };
    match Client::new(path).status().await {
        Ok(status) => Door::Agent(status.agent, status.version),
        Err(error) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Door::Nobody(error.to_string(), folder.unwrap_or(Path::new(".")).is_dir())
        }
    }
}

/// May this user send echo requests? Asked only where a check or a witness does.
fn icmp(config: &Config) -> Option<Finding> {
    let is_icmp = |check: &Check| matches!(check.kind, CheckKind::Icmp(_));
    let targets = config.targets.values().flat_map(|target| {
        let pings = target.checks.values().any(|(check, _)| is_icmp(check));
        target.places.iter().filter(move |_| pings).filter_map(Place::address)
    });
    let witnesses = config.agent.witnesses.values().filter(|witness| is_icmp(&witness.check));
    let families: BTreeSet<bool> =
        targets.chain(witnesses.map(|witness| witness.address)).map(|address| address.is_ipv6()).collect();
    if families.is_empty() {
        return None;
    }
    let open = |v6: bool, kind| {
        let (family, protocol) =
            if v6 { (AddressFamily::INET6, ipproto::ICMPV6) } else { (AddressFamily::INET, ipproto::ICMP) };
        socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol)).map(drop)
    };
    let refused = families.into_iter().find_map(|v6| {
        open(v6, SocketType::DGRAM).or_else(|_| open(v6, SocketType::RAW)).err().map(|error| (v6, error))
    });
    let groups = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    let refused = refused.map(|(v6, error)| (if v6 { "IPv6" } else { "IPv4" }, error.to_string()));
    Some(judge::icmp(refused, groups.trim(), rustix::process::getegid().as_raw()))
}

/// The authorities that the system trusts, as a probe with TLS would load them.
fn roots(config: &Config) -> Finding {
    let checks = config.checks.values().any(|(check, _)| check.kind.tls().is_some());
    let providers = config.providers.values().any(|provider| match provider {
        ProviderConfig::PowerDns(settings) => settings.url.scheme() == "https",
        ProviderConfig::Mock(_) | ProviderConfig::Rfc2136(_) => false,
    });
    let loaded = rustls_platform_verifier::Verifier::new(Arc::new(rustls::crypto::ring::default_provider()));
    match loaded {
        Ok(_) => Finding::ok(Topic::Roots, "", "this machine trusts certificate authorities"),
        Err(error) => {
            let text = format!("this machine trusts no certificate authority: {error}");
            let remedy = "apt-get install ca-certificates";
            if checks || providers || !config.notify.channels.is_empty() {
                Finding::fail(Topic::Roots, "", text, remedy)
            } else {
                Finding::skip(Topic::Roots, "", format!("{text}; nothing here uses TLS"))
            }
        }
    }
}
