//! What probes found, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::super::output::{self, Paint};
use crate::decision::{Certificate, Now, Observation, Outcome, TargetId, Verdict};

/// The form of `-o json`.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    command: &'static str,
    target: &'a str,
    /// `pass`, `fail` or `unknown`: what the probes together say, by the rule that the agent goes by.
    verdict: &'static str,
    probes: Vec<Probe<'a>>,
}

/// One probe.
#[derive(Serialize)]
pub(super) struct Probe<'a> {
    check: &'a str,
    address: String,
    time: Timestamp,
    outcome: &'static str,
    /// Why it is no pass.
    reason: Option<&'a str>,
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: f64,
    certificate: Option<Shown<'a>>,
}

/// The certificate that was shown.
#[derive(Serialize)]
struct Shown<'a> {
    names: &'a str,
    not_after: Timestamp,
    /// Whole days; negative when it has expired.
    days_left: i64,
    fingerprint: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn new(target: &'a TargetId, verdict: Verdict, seen: &'a [Observation], now: &Now) -> Self {
        let probes = seen.iter().map(|seen| Probe::new(seen, now)).collect();
        Document { command: "probe", target: target.as_str(), verdict: word(verdict), probes }
    }
}

impl<'a> Probe<'a> {
    pub(super) fn new(seen: &'a Observation, now: &Now) -> Self {
        let timings = &seen.timings;
        let reason = Some(seen.outcome.reason()).filter(|reason| !reason.is_empty());
        let certificate = seen.certificate.as_deref().map(|shown| Shown {
            names: &shown.names,
            not_after: shown.not_after,
            days_left: days_left(shown, now.wall),
            fingerprint: &shown.fingerprint,
        });
        Probe {
            check: seen.endpoint.check.as_str(),
            address: seen.endpoint.address.to_string(),
            time: now.wall_of(seen.started),
            outcome: outcome(&seen.outcome),
            reason,
            resolve_ms: timings.resolve.map(millis),
            connect_ms: timings.connect.map(millis),
            tls_ms: timings.tls.map(millis),
            first_byte_ms: timings.first_byte.map(millis),
            total_ms: millis(timings.total),
            certificate,
        }
    }

    /// `pass  12.3 ms (connect 1.1, TLS 5.0, first byte 4.2)`, or why it is none.
    pub(super) fn said(&self, paint: Paint) -> String {
        let word = match self.outcome {
            "pass" => paint.good("pass   "),
            "fail" => paint.bad("fail   "),
            _ => paint.doubtful("unknown"),
        };
        let phases = [
            ("resolve", self.resolve_ms),
            ("connect", self.connect_ms),
            ("TLS", self.tls_ms),
            ("first byte", self.first_byte_ms),
        ];
        let phases: Vec<String> =
            phases.iter().filter_map(|(name, ms)| ms.map(|ms| format!("{name} {ms:.1}"))).collect();
        let phases = if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) };
        let why = self.reason.map_or_else(String::new, |why| format!(": {why}"));
        format!("{word}  {:.1} ms{phases}{why}", self.total_ms)
    }

    /// `web 198.51.100.5`.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.check, self.address)
    }
}

/// The probes of one look, one a line.
pub(super) fn table(document: &Document<'_>, paint: Paint) -> String {
    let verdict = match document.verdict {
        "pass" => paint.good("passes"),
        "fail" => paint.bad("fails"),
        _ => paint.doubtful("cannot be judged"),
    };
    let mut text = format!("{} {verdict}\n", paint.strong(document.target));
    let width = document.probes.iter().map(|probe| probe.place().chars().count()).max().unwrap_or(0);
    for probe in &document.probes {
        let line = format!("  {:<width$}  {}", probe.place(), probe.said(paint));
        let _ = writeln!(text, "{}", output::wrapped(&line, width + 4));
        if let Some(shown) = &probe.certificate {
            let (plain, days) = match shown.days_left {
                days if days < 0 => {
                    let plain = format!("expired {} days ago", -days);
                    (plain.clone(), paint.bad(&plain))
                }
                days => {
                    let plain = format!("{days} days left");
                    (plain.clone(), if days < 21 { paint.doubtful(&plain) } else { plain })
                }
            };
            let line = format!("  {:<width$}  certificate, {plain}, for {}", "", shown.names);
            let _ = writeln!(text, "{}", output::wrapped(&line, width + 4).replacen(&plain, &days, 1));
        }
    }
    text
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Up => "pass",
        Verdict::Down => "fail",
        Verdict::Unknown => "unknown",
    }
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail(_) => "fail",
        Outcome::Unknown(_) => "unknown",
    }
}

fn days_left(certificate: &Certificate, now: Timestamp) -> i64 {
    certificate.not_after.duration_since(now).as_secs().div_euclid(24 * 60 * 60)
}

/// Milliseconds to the microsecond: what is measured is no finer.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_a_day_over_is_one_less_than_none() {
        let of = |not_after: &str| Certificate {
            fingerprint: String::new(),
            names: String::new(),
            not_after: not_after.parse().unwrap(),
        };
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (not_after, days) in [
            ("2026-11-22T13:00:00Z", 0),
            ("2026-11-23T12:00:00Z", 1),
            ("2026-11-22T11:59:00Z", -1),
            ("2027-02-20T12:00:00Z", 90),
        ] {
            assert_eq!(days_left(&of(not_after), now), days, "{not_after}");
        }
    }
}
