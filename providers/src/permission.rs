//! Whether a swap would be allowed, found out without making one.

use std::collections::BTreeSet;

use crate::{RecordType, Snapshot};

/// What a provider says when it is asked whether it would take a swap. That it would not is a [`Fault`](crate::Fault).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It would take one.
    Granted,
    /// It cannot be asked without changing something, and why.
    NotTested(String),
}

/// The types that a swap of a name may touch: those that are there, and those that shall be.
pub fn touched(now: &Snapshot, wanted: &BTreeSet<RecordType>) -> BTreeSet<RecordType> {
    let answer = |kind: &RecordType| RecordType::ANSWER.contains(kind);
    now.sets.keys().chain(wanted).copied().filter(answer).collect()
}
