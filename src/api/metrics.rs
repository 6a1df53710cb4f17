//! What the agent counts and what it knows, as OpenMetrics text for Prometheus.
//!
//! Only one dimension of a metric grows with the configuration: a line for each target, each record and each witness.
//! Addresses, reasons and messages are in `status` and in the history; as labels they would be a new series each time.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Status;
use crate::decision::{Delay, Event, EventKind, Phases, RecordStatus, Verdict};

/// The form of [`Metrics::text`], for the `Content-Type` of HTTP.
/// Source: OpenMetrics 1.0.0, section "Protocol Negotiation" (prometheus/OpenMetrics, `specification/OpenMetrics.md`).
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the classes of a phase, seconds: a tripwire's failover is in the first ones, one at an interval of a
/// minute in the last.
const PHASE_CLASSES_S: [f64; 13] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0];

/// What is counted while the agent runs. A clone counts into the same numbers. Every kind of event and every phase is
/// there from the start, and in its order: a counter that comes into being with its first event has no increase.
#[derive(Clone, Debug)]
pub struct Tally {
    events: Arc<[(EventKind, Counter)]>,
    phases: Arc<[(&'static str, Histogram)]>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            events: EventKind::ALL.iter().map(|kind| (*kind, Counter::default())).collect(),
            phases: Phases::default()
                .steps()
                .map(|(phase, _)| (phase, Histogram::new(PHASE_CLASSES_S)))
                .into(),
        }
    }
}

impl Tally {
    /// Counts one event, and the times of the steps that it ends.
    pub fn count(&self, event: &Event) {
        for (_, counter) in self.events.iter().filter(|(kind, _)| *kind == event.kind) {
            counter.inc();
        }
        let Some(phases) = event.phases else { return };
        // Each change is told of twice: when it was read back, and when all servers serve it.
        let ended = match event.kind {
            EventKind::FailoverCompleted | EventKind::FailbackCompleted | EventKind::AdjustCompleted => {
                Phases { first_served_ms: None, all_served_ms: None, ..phases }
            }
            EventKind::PropagationCompleted => Phases {
                first_served_ms: phases.first_served_ms,
                all_served_ms: phases.all_served_ms,
                ..Phases::default()
            },
            _ => return,
        };
        for ((_, histogram), (_, ms)) in self.phases.iter().zip(ended.steps()) {
            if let Some(ms) = ms {
                histogram.observe(count(ms) / 1000.0);
            }
        }
    }
}

impl Collector for Tally {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Events by their kind, since the start";
        let mut family = encoder.encode_descriptor("events", help, None, MetricType::Counter)?;
        for (kind, counter) in &*self.events {
            counter.encode(family.encode_family(&[("event", kind.as_str())])?)?;
        }
        let help =
            "From the first failure that led to a change to the end of each of its steps, since the start";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor("change_phase", help, unit, MetricType::Histogram)?;
        for (phase, histogram) in &*self.phases {
            histogram.encode(family.encode_family(&[("phase", *phase)])?)?;
        }
        Ok(())
    }
}

/// What is told to whoever collects metrics.
#[derive(Debug)]
pub struct Metrics {
    /// What is known now.
    pub status: Status,
    /// What was counted since the start.
    pub tally: Tally,
}

impl Metrics {
    /// All of it as OpenMetrics text, with `# EOF` at the end.
    ///
    /// # Errors
    /// None but those of writing to memory.
    pub(super) fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("failover");
        registry.register_collector(Box::new(self.tally));
        registry.register_collector(Box::new(Known(self.status)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// What is known, written down without a copy.
#[derive(Debug)]
struct Known(Status);

impl Collector for Known {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        let Status { report, .. } = &self.0;
        let version = [("version", self.0.version.as_str()), ("agent", self.0.agent.as_str())];
        gauges(out, "build_info", "The program and the agent's name", [(version, 1.0)])?;
        if let Some(started) = self.0.started {
            let started = started.as_duration().as_secs_f64();
            gauge(out, "start_time_seconds", "When the agent started, Unix time", started)?;
        }
        gauge(
            out,
            "blind",
            "1 while no witness answers: nothing is changed then",
            flag(report.blind_since.is_some()),
        )?;
        gauge(
            out,
            "state_writable",
            "0 while the state file cannot be written",
            flag(self.0.state_trouble.is_none()),
        )?;
        gauge(
            out,
            "deliveries_pending",
            "Messages that wait for their delivery",
            count(self.0.pending_deliveries),
        )?;
        gauge(
            out,
            "overrides",
            "Orders of a person that are in force",
            count(report.overrides.len() as u64),
        )?;
        if let Some(bound_us) = Delay::bound_us(&self.0.probe_delays, 990) {
            let help = "99 of 100 steady probes over TCP began no later than this after they were due, since the start";
            gauge(out, "probe_start_delay_p99_seconds", help, count(bound_us) / 1_000_000.0)?;
        }
        self.targets(out)?;
        self.records(out)
    }
}

impl Known {
    fn targets(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let report = &self.0.report;
        let of = |verdict| count(report.targets.iter().filter(|t| t.verdict == verdict).count() as u64);
        let verdicts = [("up", Verdict::Up), ("down", Verdict::Down), ("unknown", Verdict::Unknown)];
        let verdicts = verdicts.map(|(text, verdict)| ([("verdict", text)], of(verdict)));
        gauges(out, "targets", "Targets by verdict", verdicts)?;
        let up = report.targets.iter().map(|target| {
            let up = match target.verdict {
                Verdict::Up => 1.0,
                Verdict::Down => 0.0,
                Verdict::Unknown => f64::NAN,
            };
            ([("target", target.name.as_str())], up)
        });
        gauges(out, "target_up", "1 when the target is up, 0 when it is down, NaN when nobody knows", up)?;
        // What has not been probed yet is neither.
        let seen =
            report.witnesses.iter().filter_map(|w| Some(([("witness", w.name.as_str())], flag(w.seen?))));
        gauges(out, "witness_seen", "1 when the witness answered last time", seen)
    }

    fn records(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let records = &self.0.report.records;
        let of = |status| count(records.iter().filter(|r| r.status == status).count() as u64);
        let statuses = RecordStatus::ALL.map(|status| ([("status", status.as_str())], of(status)));
        gauges(out, "records", "Records by where they stand", statuses)?;
        let name = |n: usize| ("record", records[n].name.as_str());
        let all = 0..records.len();
        let in_sync = all.clone().map(|n| ([name(n)], flag(records[n].status == RecordStatus::InSync)));
        gauges(out, "record_in_sync", "1 when the record holds what it should", in_sync)?;
        let serving = all.clone().flat_map(|n| {
            records[n].targets.iter().map(move |target| ([name(n), ("target", target.as_str())], 1.0))
        });
        gauges(out, "record_serving", "1 for each target whose values are published", serving)?;
        let help = "Changes written and read back, since the start";
        let mut family = out.encode_descriptor("record_changes", help, None, MetricType::Counter)?;
        for n in all {
            let changes = ConstCounter::new(u64::from(records[n].changes_made));
            changes.encode(family.encode_family(&[name(n)])?)?;
        }
        Ok(())
    }
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Exact up to 2^53, which nothing here reaches.
#[expect(clippy::cast_precision_loss)]
fn count(number: u64) -> f64 {
    number as f64
}

fn gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let encoder = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(encoder)
}

fn gauges<'a, const N: usize>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'static str, &'a str); N], f64)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
