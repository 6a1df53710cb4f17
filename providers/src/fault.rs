//! What can go wrong with a provider, said as the caller's next move.

use std::time::Duration;

use crate::Snapshot;

/// Why a provider did not do what it was asked, named after what the caller does next.
///
/// One rule stands above all of them: a name that already holds the wish is success, whatever the error said.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The name no longer holds what the swap was based on; nothing was written.
    /// **Next:** read again; the wish may already be there, else decide anew.
    #[error("changed by somebody else since it was read: {0}")]
    Conflict(String),
    /// The provider asks for patience; nothing was written.
    /// **Next:** wait `after` (or the usual back-off), then read again.
    #[error("the provider asks to slow down: {detail}")]
    Throttled {
        /// How long it asked to wait, if it said so.
        after: Option<Duration>,
        /// What it said.
        detail: String,
    },
    /// Busy with itself (a lock, a running job); nothing was written.
    /// **Next:** a short back-off, then read again.
    #[error("the provider is busy: {0}")]
    Busy(String),
    /// It could not be reached; nothing was sent.
    /// **Next:** try again with back-off.
    #[error("cannot reach the provider: {0}")]
    Unavailable(String),
    /// The request was sent and its outcome is not known.
    /// **Next:** read before anything else.
    #[error("sent, but the outcome is not known: {0}")]
    Unknown(String),
    /// The credentials were refused.
    /// **Next:** tell a person; trying again changes nothing.
    #[error("the provider refuses the credentials: {0}")]
    Auth(String),
    /// The configuration does not fit the provider (no such zone, two that match, no permission for the zone).
    /// **Next:** tell a person.
    #[error("the configuration does not fit the provider: {0}")]
    Config(String),
    /// The name holds something this program must not rewrite, or the provider cannot do it.
    /// **Next:** tell a person; nothing was written.
    #[error("cannot be done here: {0}")]
    Unsupported(String),
    /// A provider without transactions stopped half-way; `now` is what the name holds.
    /// **Next:** decide anew from `now`.
    #[error("only a part was written; the name now holds {}", now.summary())]
    Partial {
        /// What the name holds now.
        now: Box<Snapshot>,
    },
    /// The provider says that the value itself is wrong.
    /// **Next:** tell a person; the same value will be refused again.
    #[error("the provider refuses the value: {0}")]
    Invalid(String),
}

impl Fault {
    /// Can the same request succeed later without a person's help?
    pub fn is_transient(&self) -> bool {
        match self {
            Fault::Conflict(_)
            | Fault::Throttled { .. }
            | Fault::Busy(_)
            | Fault::Unavailable(_)
            | Fault::Unknown(_)
            | Fault::Partial { .. } => true,
            Fault::Auth(_) | Fault::Config(_) | Fault::Unsupported(_) | Fault::Invalid(_) => false,
        }
    }

    /// May the write have happened all the same?
    pub fn may_have_written(&self) -> bool {
        matches!(self, Fault::Unknown(_) | Fault::Partial { .. })
    }

    /// A short stable word for logs, metrics and JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Conflict(_) => "conflict",
            Fault::Throttled { .. } => "throttled",
            Fault::Busy(_) => "busy",
            Fault::Unavailable(_) => "unavailable",
            Fault::Unknown(_) => "unknown",
            Fault::Auth(_) => "auth",
            Fault::Config(_) => "config",
            Fault::Unsupported(_) => "unsupported",
            Fault::Partial { .. } => "partial",
            Fault::Invalid(_) => "invalid",
        }
    }
}
