//! Doubts about checks: how soon they judge, and settings that contradict each other.

use std::time::Duration;

use super::super::scalar::words;
use super::Whole;
use crate::decision::{CheckId, Thresholds};
use crate::probe::{Check, CheckKind, ExecCheck, HttpCheck, announces, told};

/// The ports that everybody takes for http and for https (RFC 9110 sections 4.2.1 and 4.2.2).
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

pub(super) fn warn(whole: &Whole<'_>) {
    for (id, (check, thresholds)) in whole.checks {
        if thresholds.fall == 1 {
            let at = whole.place(&["checks", id.as_str(), "fall"]);
            let message = format!("a single failed probe of `{id}` makes a target Down");
            whole.warn(at, message, "one lost packet is no outage: write `fall: 2` or more");
        }
        match &check.kind {
            CheckKind::Http(http) => of_http(whole, id, http),
            CheckKind::Exec(exec) => of_exec(whole, id, exec),
            _ => {}
        }
        if check.tripwire {
            of_tripwire(whole, id);
        }
    }
    grace(whole);
}

fn of_http(whole: &Whole<'_>, id: &CheckId, http: &HttpCheck) {
    let at = |key: &str| whole.place(&["checks", id.as_str(), "http", key]);
    if !http.tls && http.port == HTTPS {
        let message = format!("`{id}` speaks plain HTTP to port {HTTPS}");
        whole.warn(at("port"), message, "add `tls: true`, or name the port of plain HTTP");
    }
    if http.tls && http.port == HTTP {
        let message = format!("`{id}` speaks TLS to port {HTTP}");
        whole.warn(at("port"), message, "remove `port` (443 with TLS), or remove `tls`");
    }
    if http.tls && http.host.is_none() && http.sni.is_none() {
        let message = format!("`{id}` asks for a certificate for the target's bare address");
        whole.warn(at("tls"), message, "add `host: www.example.com`, the name of the service");
    }
    if http.body.is_none() && whole.node(&["checks", id.as_str(), "http", "max_body"]).is_some() {
        let message = format!("`max_body` of `{id}` has no effect: nothing is looked for in the body");
        whole.warn(at("max_body"), message, "add `body: {contains: ...}`, or remove it");
    }
}

/// What answers at a name changes, so nothing is held there.
fn of_tripwire(whole: &Whole<'_>, id: &CheckId) {
    let mut users = whole.targets.values().filter(|target| target.checks.contains_key(id)).peekable();
    if users.peek().is_some() && users.all(|target| target.host_name().is_some()) {
        let at = whole.place(&["checks", id.as_str(), "tripwire"]);
        let message = format!("the tripwire of `{id}` has no effect: its targets have host names");
        whole.warn(at, message, "write their addresses, or remove it");
    }
}

/// proc(5): the arguments of a process are for everybody to see.
fn of_exec(whole: &Whole<'_>, id: &CheckId, exec: &ExecCheck) {
    let mut arguments = exec.command.iter().skip(1);
    if arguments.any(|argument| announces(argument) || !told(argument).is_empty()) {
        let at = whole.place(&["checks", id.as_str(), "exec", "command"]);
        let message = format!(
            "an argument of `{id}` is a secret, and every user of this machine sees it while the program runs"
        );
        whole.warn(at, message, "let the program read it from a file");
    }
}

/// A grace that ends before a check can find a target Down.
fn grace(whole: &Whole<'_>) {
    let Some(agent) = whole.agent else { return };
    let slowest = whole.checks.iter().map(|(id, (check, thresholds))| (until_down(check, *thresholds), id));
    let Some((longest, id)) = slowest.max() else { return };
    // Zero is a wish: wait for nothing.
    if agent.startup_grace.is_zero() || longest <= agent.startup_grace {
        return;
    }
    let written = whole.node(&["agent", "startup_grace"]);
    let at = written.map_or_else(|| whole.key(&["checks", id.as_str()]), |node| node.span);
    let message = format!(
        "startup_grace {} is over before `{id}` can find a dead target Down, which takes {}",
        words(agent.startup_grace),
        words(longest)
    );
    whole.warn(at, message, format!("write `startup_grace: {}` or more", words(longest)));
}

/// How long the failures take that make a target Down which never answered, at the longest.
fn until_down(check: &Check, thresholds: Thresholds) -> Duration {
    let step = check.fast_interval.max(check.timeout);
    step.saturating_mul(thresholds.fall.saturating_sub(1)).saturating_add(check.timeout)
}
