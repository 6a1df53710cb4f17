//! How results look.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Global, Output, setup};
use crate::config::wrapped_at;
use crate::decision::{
    ChangeReport, MarkerReport, OverrideReport, RecordReport, RecordStatus, Report, TargetId, Verdict, What,
    counted, human,
};

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a document as JSON, indented or in one line as asked.
pub(super) fn json(global: &Global, document: &impl Serialize) {
    let text = match global.output {
        Output::Jsonl => serde_json::to_string(document),
        Output::Json | Output::Table => serde_json::to_string_pretty(document),
    };
    print(&format!("{}\n", text.expect("reports have text keys and no other obstacle to JSON")));
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) fn new(global: &Global) -> Self {
        Paint(setup::coloured(global, std::io::stdout().is_terminal()))
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub(super) fn doubtful(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(super) fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

/// `12:04:30 UTC`, with the date when it is another day than `now`'s.
pub(super) fn clock(time: Timestamp, now: Timestamp) -> String {
    let same_day = time.strftime("%F").to_string() == now.strftime("%F").to_string();
    time.strftime(if same_day { "%T UTC" } else { "%F %T UTC" }).to_string()
}

pub(super) fn names(targets: &[TargetId]) -> String {
    if targets.is_empty() {
        return "nobody's".into();
    }
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" + ")
}

/// That the agent is cut off, if it is.
pub(super) fn blindness(report: &Report, paint: Paint) -> String {
    report.blind_since.map_or_else(String::new, |since| {
        let since = clock(since, report.time);
        paint.bad(&format!("BLIND since {since}: no witness answers; nothing is counted or written")) + "\n"
    })
}

/// `drained until 14:00:00 UTC by alice: a new kernel; to end it: failover undrain toronto`.
pub(super) fn override_words(order: &OverrideReport, now: Timestamp) -> String {
    let what = match &order.what {
        What::Drain { target } => format!("{target} is drained"),
        What::Pin { record, target } => format!("{record} is pinned to {target}"),
        What::Pause { record: Some(record) } => format!("{record} is paused"),
        What::Pause { record: None } => "everything is paused".to_owned(),
    };
    let OverrideReport { until, reason, by, end, .. } = order;
    format!("{what} until {} by {by}: {reason}; to end it: {end}", clock(*until, now))
}

/// What a person orders, a line each.
pub(super) fn overrides(report: &Report, paint: Paint) -> String {
    let line = |order: &OverrideReport| {
        let line = wrapped(&format!("order {}", override_words(order, report.time)), 6);
        format!("{}\n", paint.doubtful(&line))
    };
    report.overrides.iter().map(line).collect()
}

/// Every record: what is published, whose it is, where it stands and why.
pub(super) fn records(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    for record in &report.records {
        let _ = writeln!(text, "{}  {}", paint.strong(record.name.as_str()), standing(record, paint));
        row(&mut text, "serves", &published(record));
        row(&mut text, reason_label(record.status), &record.reason);
        if let Some(change) = &record.change {
            planned(&mut text, change, report.time, paint);
        }
        if let Some(guard) = &record.guard {
            row(&mut text, "guard", guard);
        }
        if let Some(remedy) = &record.remedy {
            row(&mut text, "remedy", remedy);
        }
        for server in &record.servers {
            let serves = if server.agrees { server.serves.clone() } else { paint.doubtful(&server.serves) };
            let _ = writeln!(text, "  {:<9} {} serves {serves}", "server", server.server);
        }
        if let Some(time) = record.last_change {
            let mut line = clock(time, report.time);
            if let Some(by) = record.effective_by.filter(|by| *by > report.time) {
                let _ = write!(line, "; effective everywhere by {}", clock(by, report.time));
            }
            row(&mut text, "changed", &line);
        }
        if let Some(marker) = &record.marker {
            let mut line = marker_line(marker);
            if let Some(generation) = record.change.as_ref().and_then(|change| change.generation) {
                let _ = write!(line, "; the change writes generation {generation}");
            }
            row(&mut text, "marker", &line);
        }
        if let Some(next) = &record.next {
            row(&mut text, "next", next);
        }
    }
    text
}

/// The marker of a record: its number, who wrote it, and how long ago.
pub(super) fn marker_line(marker: &MarkerReport) -> String {
    let MarkerReport { generation, writer, age_s, trouble, .. } = marker;
    let mut line = match (generation, writer, age_s) {
        (Some(generation), Some(writer), Some(age)) => {
            format!("generation {generation} by {writer}, {} ago", human(Duration::from_secs(*age)))
        }
        _ => "none".to_owned(),
    };
    if let Some(trouble) = trouble {
        let _ = write!(line, "; {trouble}");
    }
    line
}

pub(super) fn row(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "{}", wrapped(&format!("  {label:<9} {value}"), 12));
}

/// How wide output is where no terminal says: a mail of cron, a pager, a ticket. Programs have `-o json`.
const COLUMNS: usize = 100;

/// Breaks a line that is wider than the terminal between words; what follows is indented by `indent` columns.
/// The text must be without colours.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    wrapped_at(text, indent, if columns == 0 { COLUMNS } else { columns })
}

pub(super) fn reason_label(status: RecordStatus) -> &'static str {
    match status {
        RecordStatus::InSync | RecordStatus::Pending | RecordStatus::Changing => "because",
        RecordStatus::Holding | RecordStatus::Refused | RecordStatus::Failed | RecordStatus::Unread => "why",
    }
}

pub(super) fn standing(record: &RecordReport, paint: Paint) -> String {
    match record.status {
        RecordStatus::InSync => paint.good("in the desired state"),
        RecordStatus::Pending => paint.doubtful("a change is due"),
        RecordStatus::Changing => paint.doubtful("changing"),
        RecordStatus::Holding => paint.doubtful("holding: left as it is"),
        RecordStatus::Refused => paint.bad("refused: a change was withheld"),
        RecordStatus::Failed => paint.bad("failed"),
        RecordStatus::Unread => paint.faint("not read yet"),
    }
}

pub(super) fn published(record: &RecordReport) -> String {
    let ttl = record.ttl.map_or_else(String::new, |ttl| format!(", TTL {ttl} s"));
    match (record.values.is_empty(), record.targets.is_empty()) {
        (true, true) if matches!(record.status, RecordStatus::Unread | RecordStatus::Failed) => {
            "not known".into()
        }
        (true, true) => "nothing".into(),
        (true, false) => names(&record.targets),
        (false, _) => format!("{} ({}{ttl})", names(&record.targets), record.values.join(", ")),
    }
}

fn planned(text: &mut String, change: &ChangeReport, now: Timestamp, paint: Paint) {
    let creates = change.changes.iter().all(|one| one.before.is_none());
    let what = if creates { "creation, at".to_owned() } else { format!("{} to", change.kind) };
    row(text, "change", &format!("{what} {}", names(&change.targets)));
    for one in &change.changes {
        for (sign, set) in [("-", &one.before), ("+", &one.after)] {
            if let Some(set) = set {
                let line = format!(
                    "{sign} {} {} {:<5} {}",
                    one.name,
                    set.ttl.seconds(),
                    one.record_type,
                    set.values
                );
                let line = if sign == "-" { paint.bad(&line) } else { paint.good(&line) };
                let _ = writeln!(text, "{:12}{line}", "");
            }
        }
    }
    if let Some(by) = change.effective_by {
        row(text, "effective", &format!("by {} in every cache", clock(by, now)));
    }
}

/// Every target: its verdict, since when, and what was seen last of each address that does not pass.
pub(super) fn targets(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    let width = report.targets.iter().map(|t| t.name.as_str().len()).max().unwrap_or(0);
    for target in &report.targets {
        let since =
            target.since.map_or_else(String::new, |since| format!(" since {}", clock(since, report.time)));
        let verdict = verdict(target.verdict, paint);
        let drained =
            |order: &OverrideReport| matches!(&order.what, What::Drain { target: of } if *of == target.name);
        let since = if report.overrides.iter().any(drained) { since + ", drained" } else { since };
        let _ = writeln!(text, "  {:<width$}  {verdict}{since}", target.name.as_str());
        for endpoint in &target.endpoints {
            let Some(outcome) = &endpoint.outcome else { continue };
            if outcome.reason().is_empty() {
                continue;
            }
            let counted = if endpoint.failures > 0 && endpoint.verdict != Verdict::Down {
                format!(" ({} counted)", counted(endpoint.failures as usize, "failure"))
            } else {
                String::new()
            };
            let (check, address, why) = (&endpoint.check, &endpoint.address, outcome.reason());
            let line = format!("  {:<width$}  {check} {address}: {why}{counted}", "");
            let _ = writeln!(text, "{}", wrapped(&line, width + 6));
        }
    }
    for witness in &report.witnesses {
        let word = match witness.seen {
            Some(true) => paint.good("seen"),
            Some(false) => paint.bad("not seen"),
            None => paint.faint("not asked yet"),
        };
        let _ = writeln!(text, "  witness {}  {word}", witness.name);
    }
    text
}

pub(super) fn verdict(verdict: Verdict, paint: Paint) -> String {
    match verdict {
        Verdict::Up => paint.good("up"),
        Verdict::Down => paint.bad("down"),
        Verdict::Unknown => paint.doubtful("unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words_and_nothing_is_lost() {
        let text = "  why       one two three four five";
        assert_eq!(
            wrapped_at(text, 12, 20),
            "  why       one two\n            three\n            four\n            five"
        );
        assert_eq!(wrapped_at(text, 12, 200), text);
        // A word that fits nowhere stands alone.
        assert_eq!(
            wrapped_at("  why       unbreakable yes", 12, 14),
            "  why       unbreakable\n            yes"
        );
        for columns in 1..60 {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&wrapped_at(text, 12, columns)), words(text), "{columns} columns");
        }
    }
}
