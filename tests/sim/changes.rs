//! What became of records: every change that took effect, and the writes that made it.

use failover::decision::{Coordination, Work};
use providers::{DomainName, RecordSet, RecordType};

use crate::cast::{Sets, Setup};
use crate::court::{Court, strangers};
use crate::provider::words;

/// A change that took effect.
pub(crate) struct Applied {
    pub(crate) at: i64,
    pub(crate) record: DomainName,
    pub(crate) agent: usize,
    pub(crate) work: String,
    pub(crate) decided: i64,
    pub(crate) after: Sets,
    pub(crate) late: bool,
}

/// A write at the provider.
pub(crate) struct Applying<'a> {
    pub(crate) at: i64,
    pub(crate) agent: usize,
    pub(crate) work: &'a Work,
    pub(crate) decided: i64,
    pub(crate) before: &'a Sets,
    pub(crate) after: &'a Sets,
    pub(crate) marker_before: Option<&'a RecordSet>,
    pub(crate) marker_after: Option<&'a RecordSet>,
    /// The provider compares in the same step as it writes.
    pub(crate) compared: bool,
    /// More of the same write follows.
    pub(crate) partial: bool,
    /// The agent no longer waited for it, or it is the second copy.
    pub(crate) late: bool,
    pub(crate) setup: &'a Setup,
}

impl Court {
    pub(crate) fn applied(&mut self, write: &Applying<'_>) {
        let (name, setup) = (write.work.swap.name(), write.setup);
        if write.after.is_empty() {
            return self.accuse("never_empty", format!("{name} holds nothing"));
        }
        if write.after.keys().any(|kind| *kind == RecordType::Txt) {
            self.accuse("never_another_key", format!("{name} was given a TXT record set"));
        }
        let record = &setup.policy.records[name];
        let strangers = strangers(setup, name, write.before);
        if write.compared && !strangers.is_empty() {
            self.accuse("never_foreign", format!("{name} held {strangers:?}, and was overwritten"));
        }
        if write.compared && write.before.is_empty() && !record.create {
            self.accuse("never_foreign", format!("{name} did not exist, and was made"));
        }
        if write.compared && *write.before != write.work.swap.before.sets {
            let text =
                format!("{name} held {}, and the change was made of something else", words(write.before));
            self.accuse("chain", text);
        }
        if record.coordination == Coordination::Zone && !write.partial {
            self.next_marker(write);
        }
        if write.partial || write.before == write.after {
            return;
        }
        if !self.applied.is_empty() {
            self.not_too_soon(write);
            self.not_too_often(write);
            self.not_too_many(write);
        }
        self.applied.push(Applied {
            at: write.at,
            record: name.clone(),
            agent: write.agent,
            work: write.work.id.clone(),
            decided: write.decided,
            after: write.after.clone(),
            late: write.late,
        });
    }
}
