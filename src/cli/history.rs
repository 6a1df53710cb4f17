//! `failover history`: what happened, and how long probes took.

use std::time::Duration;

use clap::ValueEnum;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use providers::DomainName;
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::clock::{Clock, SystemClock};
use crate::decision::{Recorded, Severity, TargetId, human};
use crate::store::{EventFilter, LatencyPoint, Span, Store, StoreError};

/// What happened: events and changes, oldest first.
///
/// They are read from the state file, also beside a running agent; it keeps 90 days. Without `--since` and `--limit` the
/// newest 100 are shown. With `--latency` it shows how long the probes of a target took instead.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover history --since 24h
  failover history --since 2026-11-20 --record www.example.com
  failover history -o jsonl | jq -r 'select(.severity == \"critical\") | .summary'
  failover history --latency toronto --by minute --since 1h")]
pub(super) struct Args {
    /// From then on: so long ago (30m, 24h, 7d), a day (2026-11-20) or a time (2026-11-20T12:00:00Z), both UTC.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Only of this record.
    #[arg(long, value_name = "NAME", conflicts_with = "latency")]
    record: Option<DomainName>,
    /// Only of this target, and changes from it or to it.
    #[arg(long, value_name = "NAME", conflicts_with = "latency")]
    target: Option<String>,
    /// The newest so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// How long the probes of this target took, added up; 24 hours of it, or an hour by the minute, without `--since`.
    #[arg(long, value_name = "TARGET")]
    latency: Option<String>,
    /// What is added up; minutes are kept for 48 hours, hours for 90 days.
    #[arg(long, value_enum, requires = "latency", default_value_t = By::Hour)]
    by: By,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
}

/// Read at a time, so that a long history needs no memory.
const PIECE: u32 = 500;
/// Shown where nothing else is said.
const USUAL: u32 = 100;

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::ERROR);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let now = SystemClock::start().now().wall;
    let result = setup::block_on(async {
        let store = Store::open_read_only(&config.agent.state)?;
        match &args.latency {
            Some(target) => latency(global, args, &store, target.as_str().into(), now).await,
            None => events(global, args, &store, now).await,
        }
    });
    match result {
        Ok(()) => Exit::Done,
        Err(StoreError::Missing { .. }) => setup::fail(&"no run has left a state yet: there is no history"),
        Err(error) => setup::fail(&error),
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Since::At(time));
    }
    if let Ok(day) = text.parse::<Date>() {
        let midnight = day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok(Since::At(midnight.timestamp()));
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err("write 30m, 24h, 7d, 2026-11-20 or 2026-11-20T12:00:00Z".into()),
    };
    let number: u64 = number.parse().map_err(|_| "write a number before the unit, like 24h".to_owned())?;
    Ok(Since::Ago(Duration::from_secs(number.saturating_mul(seconds))))
}

impl Since {
    fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Since::At(time) => time,
            Since::Ago(ago) => {
                let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
                now.checked_sub(ago).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

/// Prints documents one after the other: a list, or a line each.
struct Printer {
    output: Output,
    printed: usize,
}

impl Printer {
    fn new(global: &Global) -> Self {
        Printer { output: global.output, printed: 0 }
    }

    /// One document; `row` makes the line for people.
    fn one(&mut self, document: &impl Serialize, row: impl FnOnce() -> String) {
        let text = match self.output {
            Output::Table => row(),
            Output::Jsonl => json(document),
            Output::Json => format!("{}{}", if self.printed == 0 { "[\n" } else { ",\n" }, json(document)),
        };
        let end = if self.output == Output::Json { "" } else { "\n" };
        output::print(&(text + end));
        self.printed += 1;
    }

    fn end(self, nothing: &str) {
        match (self.output, self.printed) {
            (Output::Json, 0) => output::print("[]\n"),
            (Output::Json, _) => output::print("\n]\n"),
            (Output::Table, 0) => output::print(&format!("{nothing}\n")),
            (Output::Table | Output::Jsonl, _) => {}
        }
    }
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("events have text keys and no other obstacle to JSON")
}

async fn events(global: &Global, args: &Args, store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let filter = EventFilter {
        since: args.since.map(|since| since.time(now)),
        record: args.record.clone(),
        target: args.target.as_deref().map(TargetId::from),
    };
    let limit = args.limit.or(args.since.is_none().then_some(USUAL));
    let mut after = match limit {
        Some(limit) => store.before_newest(filter.clone(), limit).await?,
        None => 0,
    };
    let (paint, mut printer) = (Paint::new(global), Printer::new(global));
    loop {
        let (events, last) = store.events_after(filter.clone(), after, PIECE).await?;
        for recorded in &events {
            printer.one(recorded, || line(recorded, now, paint));
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    printer.end("nothing happened that is remembered");
    Ok(())
}

fn line(recorded: &Recorded, now: Timestamp, paint: Paint) -> String {
    let event = &recorded.event;
    let plain = event.kind.as_str();
    let kind = match event.severity {
        Severity::Debug => paint.faint(plain),
        Severity::Info => plain.to_owned(),
        Severity::Warning => paint.doubtful(plain),
        Severity::Critical => paint.bad(plain),
    };
    let line = format!("{}  {plain}  {}", output::clock(event.time, now), event.summary);
    let mut text = output::wrapped(&line, 6).replacen(plain, &kind, 1);
    if let Some(phases) = event.phases.filter(|_| event.kind.as_str().ends_with(".completed")) {
        text += "\n";
        text += &paint.faint(&output::wrapped(&format!("      after the first failure: {phases}"), 6));
    }
    text
}

/// A point with what is reckoned from it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    point: &'a LatencyPoint,
    mean_us: Option<u128>,
    p50_us: Option<u128>,
    p95_us: Option<u128>,
}

async fn latency(
    global: &Global,
    args: &Args,
    store: &Store,
    target: TargetId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (span, usual) = match args.by {
        By::Minute => (Span::Minute, Duration::from_hours(1)),
        By::Hour => (Span::Hour, Duration::from_hours(24)),
    };
    let since = args.since.unwrap_or(Since::Ago(usual)).time(now);
    let mut printer = Printer::new(global);
    let mut skip = 0;
    let most = args.limit.unwrap_or(u32::MAX);
    while skip < most {
        let piece = PIECE.min(most - skip);
        let points = store.latency(target.clone(), span, Some(since), (skip, piece)).await?;
        for point in &points {
            if printer.printed == 0 && printer.output == Output::Table {
                output::print(&header());
            }
            let micros = |time: Option<Duration>| time.map(|time| time.as_micros());
            let rollup = &point.rollup;
            let document = Document {
                point,
                mean_us: micros(rollup.mean()),
                p50_us: micros(rollup.percentile(50)),
                p95_us: micros(rollup.percentile(95)),
            };
            printer.one(&document, || latency_line(point));
        }
        if points.len() < piece as usize {
            break;
        }
        skip += piece;
    }
    printer.end(&format!("no probe of {target} is remembered in that time"));
    Ok(())
}

fn header() -> String {
    format!(
        "{:<16} {:>6} {:>6} {:>7} {:>8} {:>8} {:>8} {:>8}  endpoint\n",
        "UTC", "probes", "failed", "unknown", "min", "mean", "p95", "max"
    )
}

fn latency_line(point: &LatencyPoint) -> String {
    let rollup = &point.rollup;
    let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), human);
    let micros = |micros: u64| rollup.mean().map(|_| Duration::from_micros(micros));
    format!(
        "{:<16} {:>6} {:>6} {:>7} {:>8} {:>8} {:>8} {:>8}  {} {}",
        point.start.strftime("%F %H:%M").to_string(),
        rollup.count,
        rollup.failures,
        rollup.unknown,
        time(micros(rollup.min_us)),
        time(rollup.mean()),
        time(rollup.percentile(95)),
        time(micros(rollup.max_us)),
        point.endpoint.check,
        point.endpoint.address
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, time) in [
            ("24h", "2026-11-21T12:00:00Z"),
            ("30m", "2026-11-22T11:30:00Z"),
            ("7d", "2026-11-15T12:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T12:00:00+01:00", "2026-11-20T11:00:00Z"),
        ] {
            assert_eq!(since(text).unwrap().time(now).to_string(), time, "{text}");
        }
        for wrong in ["", "h", "24", "24x", "yesterday", "-1h", "99999999999999999999h"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert_eq!(since("9999999999999999w").unwrap().time(now), Timestamp::MIN);
    }
}
