//! The capability card of a provider: what may be relied on, and what it costs.

use serde::Serialize;

use crate::Ttl;

/// How a provider protects a swap against another writer, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SwapTier {
    /// T1: the server compares values or a version and swaps in one step.
    ServerCompared,
    /// T2: the swap names the record ids that were read and fails when they are gone.
    RecordIds,
    /// T3: the record set is replaced in one step, and the last writer wins.
    AtomicReplace,
    /// T4: one record a call; a set of several values can be seen mixed.
    RecordByRecord,
    /// T5: the whole zone is replaced. Refused unless enabled.
    WholeZone,
}

/// When a reader of the provider's authoritative servers sees a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Consistency {
    /// As soon as the write is acknowledged.
    Immediate,
    /// Some time later; `Provider::settled` tells when.
    Eventual,
}

/// What a provider can do. A plan that needs more is refused before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Protection against other writers.
    pub tier: SwapTier,
    /// All record sets of one swap (A and AAAA together) change in one transaction.
    pub atomic_name: bool,
    /// A TXT set at the name's marker ([`DomainName::marker`](crate::DomainName::marker)) changes in the same transaction,
    /// compared like the name itself.
    pub marker: bool,
    /// How many names one call may rewrite in one transaction, at least 1; fewer where they do not fit one request.
    pub names_per_swap: usize,
    /// Smaller TTLs are raised to this.
    pub ttl_min: Ttl,
    /// Larger TTLs are lowered to this.
    pub ttl_max: Ttl,
    /// When readers see a write.
    pub consistency: Consistency,
}
