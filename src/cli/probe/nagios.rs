//! One line for Nagios and everything that runs its plugins (monitoring-plugins development guidelines). Pure.
//!
//! ```text
//! FAILOVER OK - montreal passes: 2 of 2 probes, slowest 0.012 s|time=0.012345s;0.5;1;0;3 ...
//! ```
//!
//! What a target answers ends up in this line, and so in the command lines, logs and pages of a monitoring system.
//! Hence the short alphabet of [`plain`].

use std::fmt::Write as _;

use super::range::Range;
use crate::decision::{Observation, Outcome, Verdict, counted};

/// The longest text before the performance data, characters; the guidelines want it short.
const LONGEST: usize = 300;

/// The four states of a plugin, worst last but for `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    pub(in crate::cli) fn code(self) -> u8 {
        match self {
            State::Ok => 0,
            State::Warning => 1,
            State::Critical => 2,
            State::Unknown => 3,
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Warning => "WARNING",
            State::Critical => "CRITICAL",
            State::Unknown => "UNKNOWN",
        }
    }
}

/// When the total time alerts.
#[derive(Clone, Debug, Default)]
pub(super) struct Thresholds {
    pub(super) warning: Option<Range>,
    pub(super) critical: Option<Range>,
}

/// What a plugin says when it could not do its work: a bad command line, a bad configuration.
pub(in crate::cli) fn excuse(why: &str) -> String {
    format!("FAILOVER UNKNOWN - {}\n", plain(why))
}

/// The line, its end included, and the state.
///
/// | state | when |
/// |---|---|
/// | CRITICAL | the target fails, or the slowest probe is in the critical range |
/// | UNKNOWN | nothing can be said of the target |
/// | WARNING | it passes, but one of its addresses fails, or the slowest probe is in the warning range |
/// | OK | else |
pub(super) fn line(
    target: &str,
    verdict: Verdict,
    seen: &[(&Observation, f64)],
    thresholds: &Thresholds,
) -> (State, String) {
    let slowest = seen.iter().map(|(seen, _)| seconds(seen)).fold(0.0, f64::max);
    let alerts = |range: &Option<Range>| range.as_ref().is_some_and(|range| range.alerts(slowest));
    let trouble = seen.iter().map(|(seen, _)| *seen).find(|seen| matches!(seen.outcome, Outcome::Fail(_)));
    let state = match verdict {
        Verdict::Down => State::Critical,
        Verdict::Unknown => State::Unknown,
        Verdict::Up if alerts(&thresholds.critical) => State::Critical,
        Verdict::Up if alerts(&thresholds.warning) || trouble.is_some() => State::Warning,
        Verdict::Up => State::Ok,
    };
    let does = match verdict {
        Verdict::Up => "passes",
        Verdict::Down => "fails",
        Verdict::Unknown => "cannot be judged",
    };
    let passed = seen.iter().filter(|(seen, _)| seen.outcome == Outcome::Pass).count();
    let mut text = format!(
        "{target} {does}: {passed} of {} passed, slowest {slowest:.3} s",
        counted(seen.len(), "probe")
    );
    let worst =
        trouble.or_else(|| seen.iter().map(|(seen, _)| *seen).find(|seen| seen.outcome != Outcome::Pass));
    if let Some(worst) = worst {
        let (endpoint, why) = (&worst.endpoint, worst.outcome.reason());
        let _ = write!(text, ", {} at {}: {why}", endpoint.check, endpoint.address);
    }
    (state, format!("FAILOVER {} - {}|{}\n", state.word(), plain(&text), data(seen, slowest, thresholds)))
}

/// Performance data: `label=value[UOM];[warn];[crit];[min];[max]`, separated by spaces.
///
/// `time` is what the thresholds are held against. Of one probe its phases follow, of several the time of each.
fn data(seen: &[(&Observation, f64)], slowest: f64, thresholds: &Thresholds) -> String {
    let range = |range: &Option<Range>| range.as_ref().map(ToString::to_string).unwrap_or_default();
    let limit = seen.iter().map(|(_, timeout)| *timeout).fold(0.0, f64::max);
    let (warning, critical) = (range(&thresholds.warning), range(&thresholds.critical));
    let mut data = vec![format!("time={slowest:.6}s;{warning};{critical};0;{limit}")];
    if let [(seen, _)] = seen {
        let timings = &seen.timings;
        for (label, time) in
            [("connect", timings.connect), ("tls", timings.tls), ("first_byte", timings.first_byte)]
        {
            data.extend(time.map(|time| format!("{label}={:.6}s;;;0;{limit}", time.as_secs_f64())));
        }
    } else {
        data.extend(seen.iter().map(|(seen, timeout)| {
            let label = label(&format!("{}_{}", seen.endpoint.check, seen.endpoint.address));
            format!("{label}={:.6}s;;;0;{timeout}", seconds(seen))
        }));
    }
    data.join(" ")
}

fn seconds(seen: &Observation) -> f64 {
    seen.timings.total.as_secs_f64()
}

/// A label of performance data that needs no quotes.
fn label(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.:".contains(c) { c } else { '_' }).collect()
}

/// One line of harmless characters: printable ASCII without `|`, which would begin the performance data, and without
/// what Nagios itself takes out of the output of plugins before a shell sees it (`illegal_macro_output_chars`).
pub(super) fn plain(text: &str) -> String {
    let harmless = |c: char| match c {
        '|' | '`' | '~' | '$' | '&' | '\'' | '"' | '<' | '>' | '\\' => ' ',
        ';' => ',',
        c if c.is_ascii_graphic() => c,
        c if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    };
    let text: String = text.chars().map(harmless).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
#[path = "tests/nagios.rs"]
mod tests;
