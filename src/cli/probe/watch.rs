//! `failover probe --watch`: again and again, and at the end a sum, as ping gives it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::output::{self, Paint};
use super::super::run::asked_to_stop;
use super::super::{Global, Output};
use super::show::{Probe, millis, word};
use super::{Last, Look, Plan, verdict};
use crate::clock::Clock;
use crate::decision::{Endpoint, Observation, Outcome, Verdict};
use crate::probe::{Prober, look};

/// Nobody is probed more often than this by a person's whim.
const SHORTEST: Duration = Duration::from_millis(100);

/// How often, and how many times.
pub(super) struct Pace {
    /// The check's own when `None`.
    pub(super) interval: Option<Duration>,
    /// Without end when `None`.
    pub(super) count: Option<u64>,
}

/// Probes until it is stopped or has counted to its end. Gives the verdict of the last probes.
pub(super) async fn watch(
    global: &Global,
    plan: Plan,
    pace: Pace,
    prober: Arc<dyn Prober>,
    clock: Arc<dyn Clock>,
) -> Verdict {
    let stop = asked_to_stop();
    let (sender, mut findings) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    let mut sums: BTreeMap<Endpoint, Sum> = BTreeMap::new();
    let width = plan.looks.iter().map(|look| place_of(&look.endpoint).chars().count()).max().unwrap_or(0);
    for each in &plan.looks {
        sums.insert(each.endpoint.clone(), Sum::default());
        let each = Look { endpoint: each.endpoint.clone(), check: Arc::clone(&each.check) };
        let interval = pace.interval.unwrap_or(each.check.interval).max(SHORTEST);
        let (prober, clock, sender) = (Arc::clone(&prober), Arc::clone(&clock), sender.clone());
        tasks.spawn(again(each, interval, pace.count, prober, clock, sender));
    }
    drop(sender);
    let mut last = Last::new();
    let paint = Paint::new(global);
    tokio::pin!(stop);
    loop {
        let seen: Observation = tokio::select! {
            seen = findings.recv() => match seen {
                Some(seen) => seen,
                None => break,
            },
            () = &mut stop => break,
        };
        let now = clock.now();
        let probe = Probe::new(&seen, &now);
        match global.output {
            Output::Table => {
                let time = output::clock(now.wall_of(seen.started), now.wall);
                let line = format!("{time}  {:<width$}  {}", probe.place(), probe.said(paint));
                output::print(&format!("{}\n", output::wrapped(&line, width + 16)));
            }
            Output::Jsonl => output::json(global, &Line::Probe(&probe)),
            Output::Json => {}
        }
        if let Some(sum) = sums.get_mut(&seen.endpoint) {
            sum.add(&seen);
        }
        last.insert(seen.endpoint.clone(), seen);
    }
    tasks.abort_all();
    let verdict = verdict(&plan, last.values());
    let summary = Summary {
        command: "probe",
        target: plan.target.as_str(),
        verdict: word(verdict),
        endpoints: sums.iter().map(|(endpoint, sum)| sum.of(endpoint)).collect(),
    };
    match global.output {
        Output::Table => output::print(&summary.text(paint)),
        Output::Json => output::json(global, &summary),
        Output::Jsonl => output::json(global, &Line::Summary(&summary)),
    }
    verdict
}

/// Probes one endpoint on a grid: planned + interval, never end + interval; a probe that outlasts its slot skips slots.
async fn again(
    each: Look,
    interval: Duration,
    count: Option<u64>,
    prober: Arc<dyn Prober>,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<Observation>,
) {
    let mut due = clock.now().moment;
    let mut left = count.unwrap_or(u64::MAX);
    loop {
        let seen = look(&*prober, &*clock, &each.endpoint, &each.check).await;
        if out.send(seen).await.is_err() {
            return;
        }
        left -= 1;
        if left == 0 {
            return;
        }
        let now = clock.now().moment;
        while due <= now {
            due = due + interval;
        }
        sleep(due.since(now)).await;
    }
}

fn place_of(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.check, endpoint.address)
}

/// What is kept of all probes of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sent: u64,
    passed: u64,
    failed: u64,
    /// Of those that passed.
    least: Option<Duration>,
    most: Option<Duration>,
    all: Duration,
}

impl Sum {
    fn add(&mut self, seen: &Observation) {
        self.sent += 1;
        match seen.outcome {
            Outcome::Fail(_) => self.failed += 1,
            Outcome::Unknown(_) => {}
            Outcome::Pass => {
                let total = seen.timings.total;
                self.passed += 1;
                self.least = Some(self.least.map_or(total, |least| least.min(total)));
                self.most = self.most.max(Some(total));
                self.all = self.all.saturating_add(total);
            }
        }
    }

    fn of(self, endpoint: &Endpoint) -> Numbers {
        let mean = u32::try_from(self.passed).ok().and_then(|passed| self.all.checked_div(passed));
        Numbers {
            check: endpoint.check.to_string(),
            address: endpoint.address.to_string(),
            sent: self.sent,
            passed: self.passed,
            failed: self.failed,
            unknown: self.sent - self.passed - self.failed,
            min_ms: self.least.map(millis),
            mean_ms: mean.map(millis),
            max_ms: self.most.map(millis),
        }
    }
}

/// One line of `-o jsonl`, by its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Probe(&'a Probe<'a>),
    Summary(&'a Summary<'a>),
}

/// The end of a watch; with `-o json` all of it.
#[derive(Serialize)]
struct Summary<'a> {
    command: &'static str,
    target: &'a str,
    /// By the last probe of each endpoint.
    verdict: &'static str,
    endpoints: Vec<Numbers>,
}

/// The numbers of one endpoint; times are of the probes that passed.
#[derive(Serialize)]
struct Numbers {
    check: String,
    address: String,
    sent: u64,
    passed: u64,
    failed: u64,
    unknown: u64,
    min_ms: Option<f64>,
    mean_ms: Option<f64>,
    max_ms: Option<f64>,
}

impl Summary<'_> {
    fn text(&self, paint: Paint) -> String {
        let mut text = format!("\n{}\n", paint.strong(self.target));
        for numbers in &self.endpoints {
            let Numbers { check, address, sent, passed, failed, unknown, .. } = numbers;
            let _ = write!(
                text,
                "  {check} {address}: {sent} sent, {passed} passed, {failed} failed, {unknown} unknown"
            );
            if let (Some(min), Some(mean), Some(max)) = (numbers.min_ms, numbers.mean_ms, numbers.max_ms) {
                let _ = write!(text, "; min/mean/max {min:.1}/{mean:.1}/{max:.1} ms");
            }
            text.push('\n');
        }
        text
    }
}
