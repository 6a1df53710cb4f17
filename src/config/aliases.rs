//! What only the whole shows of host names: where a CNAME cannot stand, and where it must not lead.

use std::collections::{BTreeMap, BTreeSet};

use providers::DomainName;

use super::context::Fault;
use super::model::Target;
use super::read::Desk;
use super::records::{Placed, Records};
use crate::decision::{AllDown, Serve, TargetId};

/// Notes every record whose targets cannot be published, or would be judged by what the record itself says.
pub(super) fn check(desk: Desk<'_>, targets: &BTreeMap<TargetId, Target>, records: &Records<'_>) {
    let name_of = |id: &TargetId| targets.get(id).and_then(Target::host_name);
    let leads_to: BTreeMap<&DomainName, BTreeSet<&DomainName>> = records
        .iter()
        .map(|(name, placed)| (name, placed.record.policy.targets().filter_map(name_of).collect()))
        .collect();
    for (name, placed) in records {
        let policy = &placed.record.policy;
        let aliases: Vec<(&TargetId, &DomainName)> =
            policy.targets().filter_map(|id| Some((id, name_of(id)?))).collect();
        let Some((alias, _)) = aliases.first() else { continue };
        let addressed = policy.targets().find(|id| targets.contains_key(id) && name_of(id).is_none());
        if let Some(addressed) = addressed {
            mixed(desk, placed, alias, addressed);
        }
        if policy.serve == Serve::All {
            let message = format!("`serve: all` with host names: {name} can have one CNAME and not several");
            let at = placed.serve.unwrap_or(placed.node.span);
            desk.cx.fault(Fault::at(at, message).help("write `serve: first`, or use targets with addresses"));
        }
        if policy.all_down == AllDown::ServeAll {
            let message =
                format!("`all_down: serve_all` with host names: {name} can have one CNAME and not several");
            let at = placed.all_down.unwrap_or(placed.node.span);
            let help =
                format!("write `all_down: {{fallback: {alias}}}` or `hold`, or use targets with addresses");
            desk.cx.fault(Fault::at(at, message).help(help));
        }
        apex(desk, name, placed);
        for (id, alias) in &aliases {
            circle(desk, name, placed, id, alias, &leads_to);
        }
    }
}

fn mixed(desk: Desk<'_>, placed: &Placed<'_>, alias: &TargetId, addressed: &TargetId) {
    let message = format!(
        "targets of one record with a host name (`{alias}`) and with addresses (`{addressed}`): \
         it would be a CNAME now and addresses then"
    );
    let fault = Fault::at(placed.place_of(alias), message).also(placed.place_of(addressed), "addresses");
    desk.cx.fault(fault.help("use targets of one sort; a host name can be replaced by its addresses"));
}

/// A zone's own name holds SOA and NS, beside which no CNAME can stand (RFC 1912 section 2.4).
fn apex(desk: Desk<'_>, name: &DomainName, placed: &Placed<'_>) {
    match (&placed.record.zone, placed.zone) {
        (Some(zone), Some(at)) if zone == name => {
            let message =
                format!("{name} is its zone's own name, where no CNAME can stand (RFC 1912 section 2.4)");
            desk.cx.fault(Fault::at(at, message).help("use targets with addresses"));
        }
        (None, _) if name.label_count() == 2 => {
            let message = format!("{name} looks like its zone's own name, where no CNAME can stand");
            let remedy = "use targets with addresses, or say which zone it is in with `zone`";
            desk.cx.warn(Fault::at(placed.node.span, message).help(remedy));
        }
        _ => {}
    }
}

/// A probe that went through the record it decides about would find whatever that record says.
fn circle(
    desk: Desk<'_>,
    name: &DomainName,
    placed: &Placed<'_>,
    id: &TargetId,
    alias: &DomainName,
    leads_to: &BTreeMap<&DomainName, BTreeSet<&DomainName>>,
) {
    let message = if alias == name {
        format!("the target `{id}` is the record itself")
    } else if alias.is_within(name) {
        format!("the target `{id}` ({alias}) is a name below the record {name}")
    } else if reaches(alias, name, leads_to) {
        format!("the target `{id}` ({alias}) is a record that leads back to {name}")
    } else {
        return;
    };
    let help = "a check must never go through the record that it decides about: use a name that always means that host";
    desk.cx.fault(Fault::at(placed.place_of(id), message).help(help));
}

fn reaches(
    from: &DomainName,
    to: &DomainName,
    leads_to: &BTreeMap<&DomainName, BTreeSet<&DomainName>>,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            next.extend(leads_to.get(name).into_iter().flatten());
        }
    }
    false
}
