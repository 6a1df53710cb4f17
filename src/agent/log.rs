//! Events in the program's own log: one line each, with the fields that a machine can use.

use crate::decision::{Recorded, Severity, Side};

/// Writes one event at the level of its severity.
pub(super) fn event(recorded: &Recorded) {
    let event = &recorded.event;
    let kind = event.kind.as_str();
    let record = event.record.as_ref().map(tracing::field::display);
    let target = event.target.as_ref().map(tracing::field::display);
    let before = event.before.as_ref().map(Side::to_string);
    let after = event.after.as_ref().map(Side::to_string);
    let (reason, guard, remedy, next) =
        (event.reason.as_deref(), event.guard.as_deref(), event.remedy.as_deref(), event.next.as_deref());
    let effective_by = event.effective_by.map(|t| t.to_string());
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                event = kind,
                id = recorded.id,
                incident = event.incident,
                record,
                target,
                before,
                after,
                reason,
                guard,
                remedy,
                effective_by,
                next,
                "{}",
                event.summary
            )
        };
    }
    match event.severity {
        Severity::Debug => line!(debug),
        Severity::Info => line!(info),
        Severity::Warning => line!(warn),
        Severity::Critical => line!(error),
    }
}
