//! Changing every check of a configuration once, wherever it is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::probe::Check;

/// Replaces every check of the configuration and of its targets by what `renew` makes of it, given what it is called.
/// What is shared stays shared; a check that a target has for itself is called `web of montreal`.
pub(super) fn recast(config: &mut Config, mut renew: impl FnMut(&str, &Check) -> Check) {
    // With the old one, so that its place in memory is nobody else's as long as it stands for it here.
    let mut renewed: BTreeMap<usize, (Arc<Check>, Arc<Check>)> = BTreeMap::new();
    let mut replace = |check: &mut Arc<Check>, name: &dyn Fn() -> String| {
        let key = Arc::as_ptr(check).addr();
        let renew = || (Arc::clone(check), Arc::new(renew(&name(), check)));
        let (_, new) = renewed.entry(key).or_insert_with(renew);
        *check = Arc::clone(new);
    };
    for (id, (check, _)) in &mut config.checks {
        replace(check, &|| id.to_string());
    }
    for (target, settings) in &mut config.targets {
        for (id, (check, _)) in &mut settings.checks {
            replace(check, &|| format!("{id} of {target}"));
        }
    }
}
