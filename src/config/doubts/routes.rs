//! Doubts about routes: events that nobody hears of, and routes that bring nothing.

use super::super::tree::{Node, Value};
use super::Whole;
use crate::decision::EventKind;
use crate::notify::Route;

/// What somebody should hear of, if anybody hears of anything.
const VITAL: &[EventKind] = &[EventKind::FailoverCompleted, EventKind::FailoverFailed, EventKind::AllDown];

pub(super) fn warn(whole: &Whole<'_>) {
    let routes = &whole.notify.routes;
    let written = match whole.node(&["notify", "routes"]).map(|node| &node.value) {
        // Only then does each route have its node.
        Some(Value::List(items)) if items.len() == routes.len() => items.as_slice(),
        _ => return,
    };
    for (place, (route, node)) in routes.iter().zip(written).enumerate() {
        too_severe(whole, route, node);
        let covers = |other: &Route| other.channel == route.channel && covers(other, route);
        if let Some(first) = routes[..place].iter().position(covers) {
            let message = format!(
                "route {} brings `{}` nothing that route {} does not",
                place + 1,
                route.channel,
                first + 1
            );
            whole.warn(node.span, message, "remove it, or name another channel");
        }
    }
    let heard = |kind: &EventKind| routes.iter().any(|route| route.takes(*kind, kind.severity()));
    let unheard: Vec<&str> = VITAL.iter().filter(|kind| !heard(kind)).map(|kind| kind.as_str()).collect();
    if !routes.is_empty() && !unheard.is_empty() {
        let message = format!("no channel is told of: {}", unheard.join(", "));
        let remedy = "add them to the `events` of a route, or add `{channel: ..., min_severity: critical}`";
        whole.warn(whole.key(&["notify", "routes"]), message, remedy);
    }
}

/// Patterns none of whose events is ever as severe as the route demands.
fn too_severe(whole: &Whole<'_>, route: &Route, node: &Node) {
    let takes = |pattern: &str| {
        let one = Route { events: vec![pattern.to_owned()], ..route.clone() };
        EventKind::ALL.iter().any(|kind| one.takes(*kind, kind.highest_severity()))
    };
    let never: Vec<&str> =
        route.events.iter().map(String::as_str).filter(|pattern| !takes(pattern)).collect();
    if never.is_empty() {
        return;
    }
    let at = ["events", "min_severity"].iter().find_map(|key| node.get(key)).unwrap_or(node).span;
    let message = format!(
        "this route never brings {}: no such event is of severity {} or more",
        never.join(", "),
        route.min_severity.as_str()
    );
    whole.warn(at, message, "lower `min_severity`, or remove these events");
}

/// Does `one` take every event that `other` takes?
fn covers(one: &Route, other: &Route) -> bool {
    one.min_severity <= other.min_severity
        && EventKind::ALL.iter().all(|kind| {
            let severity = kind.highest_severity().max(other.min_severity).max(one.min_severity);
            !other.takes(*kind, severity) || one.takes(*kind, severity)
        })
}
