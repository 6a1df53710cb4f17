//! What a record with `coordination: zone` needs of the rest of the configuration.

use std::collections::BTreeMap;

use providers::ProviderConfig;

use super::context::Fault;
use super::read::Desk;
use super::records::Records;
use super::tree::{Node, Value};
use crate::decision::{Coordination, ProviderId, is_writer};

/// Notes each record that no marker can be written for: by its provider, or because this agent has no name of its own.
pub(super) fn check(
    desk: Desk<'_>,
    root: &Node,
    providers: &BTreeMap<ProviderId, ProviderConfig>,
    records: &Records<'_>,
) {
    let id = root.get("agent").and_then(|agent| agent.get("id"));
    let marked = records.values().filter(|placed| placed.record.policy.coordination == Coordination::Zone);
    for placed in marked {
        let at = placed.coordination.unwrap_or(placed.node.span);
        let policy = &placed.record.policy;
        if let Some(ProviderConfig::PowerDns(_)) = providers.get(&policy.provider) {
            let message = format!(
                "the provider `{}` cannot compare and write a marker: the HTTP API of PowerDNS compares nothing",
                policy.provider
            );
            let remedy =
                "use the DNS UPDATE of PowerDNS (`type: rfc2136`), or `coordination: none` and one agent";
            desk.cx.fault(Fault::at(at, message).help(remedy));
        }
        let text = match id.map(|id| &id.value) {
            Some(Value::Scalar(scalar)) => scalar.text.as_str(),
            _ => "",
        };
        if !is_writer(text) {
            let message = match text {
                "" => "an agent that writes markers needs a name of its own".to_owned(),
                _ => "the name of this agent cannot stand in a marker".to_owned(),
            };
            let remedy = "set `agent.id` to 1 to 64 of A-Z a-z 0-9 . _ -, another one for each agent";
            let fault = Fault::at(at, message).help(remedy);
            desk.cx.fault(match id.filter(|_| !text.is_empty()) {
                Some(id) => fault.also(id.span, "this name"),
                None => fault,
            });
            // One fault tells it.
            return;
        }
    }
}
