//! What is doubtful and stops nobody: each doubt has a place and says what to do.
//!
//! A doubt is worth its line only when most who see it will change something: the example, the documents and an
//! ordinary configuration have none.

mod checks;
mod reach;
mod records;
mod routes;
mod same;

use std::collections::BTreeMap;
use std::sync::Arc;

use providers::ProviderConfig;

use super::context::Fault;
use super::model::{AgentSettings, Target};
use super::read::Desk;
use super::records::Records;
use super::tree::{Node, Span};
use crate::decision::{CheckId, ProviderId, TargetId, Thresholds};
use crate::notify::NotifySettings;
use crate::probe::Check;

/// Everything that could be read.
pub(super) struct Whole<'a> {
    pub(super) desk: Desk<'a>,
    pub(super) root: &'a Node,
    pub(super) agent: Option<&'a AgentSettings>,
    pub(super) checks: &'a BTreeMap<CheckId, (Arc<Check>, Thresholds)>,
    pub(super) targets: &'a BTreeMap<TargetId, Target>,
    pub(super) providers: &'a BTreeMap<ProviderId, ProviderConfig>,
    pub(super) records: &'a Records<'a>,
    pub(super) notify: &'a NotifySettings,
}

/// Warns of all that is doubtful.
pub(super) fn warn(whole: &Whole<'_>) {
    checks::warn(whole);
    reach::warn(whole);
    records::warn(whole);
    routes::warn(whole);
    same::warn(whole);
}

impl Whole<'_> {
    fn warn(&self, at: Span, message: impl Into<String>, remedy: impl Into<String>) {
        self.desk.cx.warn(Fault::at(at, message).help(remedy));
    }

    /// The value at these keys, if it is written.
    fn node(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self.root, |node, key| node.get(key))
    }

    /// The place of the value at these keys, or of the deepest key on the way to it that is written.
    fn place(&self, path: &[&str]) -> Span {
        let (mut node, mut span) = (self.root, start(self.root));
        for key in path {
            let Some(entry) = node.entries().iter().find(|entry| entry.key == *key) else { return span };
            (node, span) = (&entry.node, entry.at);
        }
        node.span
    }

    /// The place of the last of these keys, or of the deepest on the way to it that is written.
    fn key(&self, path: &[&str]) -> Span {
        let (mut node, mut span) = (self.root, start(self.root));
        for key in path {
            let Some(entry) = node.entries().iter().find(|entry| entry.key == *key) else { return span };
            (node, span) = (&entry.node, entry.at);
        }
        span
    }
}

/// Where a value begins.
fn start(node: &Node) -> Span {
    Span::new(node.span.file, node.span.start, node.span.start)
}

/// The place of a key's value in a mapping, or that of the mapping.
fn place_in(node: &Node, key: &str) -> Span {
    node.get(key).map_or(start(node), |node| node.span)
}
