//! What can happen next to a record, one step at a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Moment, Now, human};

/// Something that can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// What, and what would make it.
    pub text: String,
    /// When, if a clock brings it about; absent where something else must happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// In how many seconds that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_s: Option<u64>,
}

/// Steps as they are found.
pub(super) struct Steps<'a> {
    pub(super) now: &'a Now,
    pub(super) found: Vec<NextStep>,
}

impl Steps<'_> {
    pub(super) fn at(&mut self, at: Moment, text: impl FnOnce(&str) -> String) {
        let left = at.since(self.now.moment);
        let text = text(&human(left));
        self.found.push(NextStep { text, at: Some(self.now.wall_of(at)), in_s: Some(left.as_secs()) });
    }

    pub(super) fn when(&mut self, text: impl Into<String>) {
        self.found.push(NextStep { text: text.into(), at: None, in_s: None });
    }
}
