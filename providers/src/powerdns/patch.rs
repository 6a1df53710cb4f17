//! The body of a PATCH. Pure.

use serde_json::{Value, json};

use super::model::{Holding, RrSet};
use crate::{Change, RecordSet, Swap, Values};

/// All changes of all names in one body; sets that go come first, so that no alias meets an address.
pub(super) fn body(swaps: &[(&Swap, Holding)]) -> Value {
    let mut gone = Vec::new();
    let mut come = Vec::new();
    for (swap, now) in swaps {
        for change in swap.changes() {
            let old = now.set(change.record_type);
            match &change.after {
                Some(set) => come.push(replace(&change, set, old)),
                None => gone.push(remove(&change, old)),
            }
        }
    }
    gone.append(&mut come);
    json!({ "rrsets": gone })
}

/// The new values, and the disabled records that were there. Comments are not mentioned, and so kept.
fn replace(change: &Change, set: &RecordSet, old: Option<&RrSet>) -> Value {
    let new = contents(&set.values);
    let mut records: Vec<Value> =
        new.iter().map(|content| json!({ "content": content, "disabled": false })).collect();
    // One that is wanted now is enabled instead: the API refuses the same record twice.
    records.extend(disabled(old).filter(|content| !new.iter().any(|new| new == content)).map(parked));
    json!({
        "name": change.name.fqdn(),
        "type": change.record_type.as_str(),
        "ttl": set.ttl.seconds(),
        "changetype": "REPLACE",
        "records": records,
    })
}

/// DELETE, unless something is stored beside the values that would go with it.
fn remove(change: &Change, old: Option<&RrSet>) -> Value {
    let (name, kind) = (change.name.fqdn(), change.record_type.as_str());
    let records: Vec<Value> = disabled(old).map(parked).collect();
    match old {
        Some(old) if !records.is_empty() || !old.comments.is_empty() => json!({
            "name": name,
            "type": kind,
            "ttl": old.ttl,
            "changetype": "REPLACE",
            "records": records,
            "comments": old.comments,
        }),
        _ => json!({ "name": name, "type": kind, "changetype": "DELETE" }),
    }
}

fn disabled(old: Option<&RrSet>) -> impl Iterator<Item = &str> {
    let records = old.into_iter().flat_map(|set| &set.records);
    records.filter(|record| record.disabled).map(|record| record.content.as_str())
}

fn parked(content: &str) -> Value {
    json!({ "content": content, "disabled": true })
}

fn contents(values: &Values) -> Vec<String> {
    match values {
        Values::Cname(target) => vec![target.fqdn()],
        other => other.to_strings(),
    }
}
