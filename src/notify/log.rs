//! The channel `log`: one line in the program's own log, for whoever reads that.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{SendResult, Sender};
use crate::decision::Severity;
use crate::store::Delivery;

/// Writes each event as one structured line at the level of its severity; always delivered.
#[derive(Debug)]
pub(super) struct LogSender;

/// The level must be known where the line is written, so the line stands there once per level.
macro_rules! line {
    ($level:ident, $delivery:ident) => {{
        let recorded = &$delivery.event;
        let event = &recorded.event;
        tracing::$level!(
            target: "failover::notify",
            event = event.kind.as_str(),
            id = recorded.id,
            incident = event.incident,
            record = event.record.as_ref().map(tracing::field::display),
            target = event.target.as_ref().map(tracing::field::display),
            before = event.before.as_ref().map(tracing::field::display),
            after = event.after.as_ref().map(tracing::field::display),
            reason = event.reason,
            since = event.since.map(tracing::field::display),
            effective_by = event.effective_by.map(tracing::field::display),
            phases = event.phases.map(tracing::field::display),
            guard = event.guard,
            next = event.next,
            remedy = event.remedy,
            time = %event.time,
            "{}", event.summary
        );
    }};
}

#[async_trait]
impl Sender for LogSender {
    async fn send(&self, delivery: &Delivery, _now: Timestamp) -> SendResult {
        match delivery.event.event.severity {
            Severity::Debug => line!(debug, delivery),
            Severity::Info => line!(info, delivery),
            Severity::Warning => line!(warn, delivery),
            Severity::Critical => line!(error, delivery),
        }
        SendResult::Delivered { status: None, said: "written to the log".into() }
    }
}
