//! What another configuration changes, in words.

use std::collections::BTreeMap;

use crate::config::Config;

/// A line for each section that differs: `targets: added paris, changed toronto`. Empty when nothing does.
pub(super) fn between(old: &Config, new: &Config) -> Vec<String> {
    let (before, after) = (old.policy(), new.policy());
    let mut lines = Vec::new();
    let mut line = |section: &str, words: String| {
        if !words.is_empty() {
            lines.push(format!("{section}: {words}"));
        }
    };
    let same = |section: &str, name: &str| old.marks.same(&new.marks, section, name);
    line(
        "records",
        words(&old.records, &new.records, |_, a, b| {
            a.policy == b.policy && a.zone == b.zone && a.nameservers == b.nameservers
        }),
    );
    line(
        "targets",
        words(&before.targets, &after.targets, |id, a, b| {
            same("targets", id.as_str()) && a.addresses == b.addresses && a.checks.keys().eq(b.checks.keys())
        }),
    );
    line(
        "checks",
        words(&old.checks, &new.checks, |id, (a, at), (b, bt)| {
            same("checks", id.as_str()) && at == bt && format!("{a:?}") == format!("{b:?}")
        }),
    );
    line(
        "providers",
        words(&old.providers, &new.providers, |id, a, b| {
            same("providers", id.as_str()) && format!("{a:?}") == format!("{b:?}")
        }),
    );
    line(
        "witnesses",
        words(&old.agent.witnesses, &new.agent.witnesses, |_, a, b| format!("{a:?}") == format!("{b:?}")),
    );
    if old.agent.startup_grace != new.agent.startup_grace
        || old.agent.live_interval != new.agent.live_interval
    {
        line("agent", "changed".into());
    }
    if !["channels", "routes"].iter().all(|part| same("notify", part)) {
        line("notify", "changed".into());
    }
    lines
}

/// What was added, removed and changed between two maps.
fn words<K: Ord + std::fmt::Display, V>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    same: impl Fn(&K, &V, &V) -> bool,
) -> String {
    let list = |label: &str, names: Vec<&K>| {
        let names: Vec<String> = names.into_iter().map(K::to_string).collect();
        if names.is_empty() { None } else { Some(format!("{label} {}", shortened(&names))) }
    };
    let added = new.keys().filter(|key| !old.contains_key(*key)).collect();
    let removed = old.keys().filter(|key| !new.contains_key(*key)).collect();
    let differs = |(key, value): &(&K, &V)| old.get(*key).is_some_and(|before| !same(key, before, value));
    let changed = new.iter().filter(differs).map(|(key, _)| key).collect();
    let parts = [list("added", added), list("removed", removed), list("changed", changed)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Ten names at most: a message is no list of a thousand records.
fn shortened(names: &[String]) -> String {
    const MOST: usize = 10;
    let shown = names[..names.len().min(MOST)].join(" ");
    let rest = names.len().saturating_sub(MOST);
    if rest > 0 { format!("{shown} and {rest} more") } else { shown }
}
