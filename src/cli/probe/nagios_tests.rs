use std::time::Duration;

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::decision::{Endpoint, Moment, Timings};

fn seen(address: &str, outcome: Outcome, millis: u64) -> Observation {
    let endpoint =
        Endpoint { target: "montreal".into(), check: "web".into(), address: address.parse().unwrap() };
    let total = Duration::from_millis(millis);
    let timings = Timings { connect: Some(total / 2), total, ..Timings::default() };
    let (started, ended) = (Moment::ZERO, Moment::ZERO + total);
    Observation { endpoint, started, ended, outcome, timings, certificate: None }
}

fn told(verdict: Verdict, seen: &[Observation], warning: &str, critical: &str) -> (State, String) {
    let range = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    let thresholds = Thresholds { warning: range(warning), critical: range(critical) };
    let seen: Vec<(&Observation, f64)> = seen.iter().map(|seen| (seen, 3.0)).collect();
    line("montreal", verdict, &seen, &thresholds)
}

#[test]
fn the_line_of_one_probe() {
    let passed = [seen("198.51.100.5", Outcome::Pass, 12)];
    let (state, line) = told(Verdict::Up, &passed, "0.5", "1:");
    assert_eq!(state, State::Critical, "1: alerts below one second");
    assert_eq!(
        line,
        "FAILOVER CRITICAL - montreal passes: 1 of 1 probe passed, slowest 0.012 s\
         |time=0.012000s;0.5;1:;0;3 connect=0.006000s;;;0;3\n"
    );
}

#[test]
fn the_table_of_states() {
    let pass = || seen("198.51.100.5", Outcome::Pass, 700);
    let fail = || seen("2001:db8::5", Outcome::Fail("connection refused".into()), 1);
    let cases = [
        (Verdict::Up, vec![pass()], "", "", State::Ok),
        (Verdict::Up, vec![pass()], "1", "2", State::Ok),
        (Verdict::Up, vec![pass()], "0.5", "1", State::Warning),
        (Verdict::Up, vec![pass()], "0.1", "0.5", State::Critical),
        (Verdict::Up, vec![pass()], "@0.5:1", "", State::Warning),
        (Verdict::Up, vec![pass(), fail()], "", "", State::Warning),
        (Verdict::Down, vec![fail()], "", "", State::Critical),
        (Verdict::Down, vec![fail()], "10", "20", State::Critical),
        (
            Verdict::Unknown,
            vec![seen("::1", Outcome::Unknown("no IPv6 here".into()), 0)],
            "",
            "",
            State::Unknown,
        ),
    ];
    for (verdict, seen, warning, critical, expected) in cases {
        assert_eq!(told(verdict, &seen, warning, critical).0, expected, "{verdict:?} {warning} {critical}");
    }
    let (_, line) = told(Verdict::Up, &[pass(), fail()], "", "");
    assert!(line.contains(", web at 2001:db8::5: connection refused|time="), "{line}");
    assert!(line.contains(" web_198.51.100.5=0.700000s;;;0;3 web_2001:db8::5=0.001000s;;;0;3\n"), "{line}");
}

/// The grammar of the guidelines ("Plugin Output", "Performance data"), strictly.
fn is_by_the_guidelines(line: &str) -> bool {
    let range = r"(@?((-?\d+(\.\d+)?|~)?:)?(-?\d+(\.\d+)?)?)?";
    let datum =
        format!(r"[^\s=']+=-?\d+(\.\d+)?(s|%|c|[KMGT]?B)?;{range};{range};(\d+(\.\d+)?)?;(\d+(\.\d+)?)?");
    let whole = format!(r"^FAILOVER (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n']+\|{datum}( {datum})*\n$");
    Regex::new(&whole).unwrap().is_match(line)
}

proptest! {
    /// Whatever a target answers: one line, one bar, no quote, nothing that a shell would take.
    #[test]
    fn what_a_target_answers_cannot_leave_its_place(why in ".{0,600}", target in "\\PC{1,40}") {
        for (verdict, outcome) in [
            (Verdict::Down, Outcome::Fail(why.clone())),
            (Verdict::Up, Outcome::Fail(why.clone())),
            (Verdict::Unknown, Outcome::Unknown(why.clone())),
        ] {
            let seen = seen("192.0.2.1", outcome, 5);
            let (_, line) = line(&target, verdict, &[(&seen, 3.0)], &Thresholds::default());
            prop_assert!(is_by_the_guidelines(&line), "{}", line);
            prop_assert!(line.len() < 700);
            let text = line.split('|').next().unwrap_or_default();
            prop_assert!(!text.contains(['$', '`', '"', '\'', '<', '>', '&', ';', '\\', '~']), "{}", line);
        }
        let excuse = excuse(&why);
        prop_assert_eq!(excuse.matches('\n').count(), 1);
        prop_assert!(!excuse.contains('|') && excuse.is_ascii());
    }
}

#[test]
fn an_attempt_to_break_out() {
    let why = "said \"x\n\nOK|time=0s;;;\r\u{2028}$(reboot) `id` 'q' <script> \u{1b}[31m\", wanted 200";
    let (_, line) = told(Verdict::Down, &[seen("192.0.2.1", Outcome::Fail(why.into()), 5)], "", "");
    assert_eq!(
        line,
        "FAILOVER CRITICAL - montreal fails: 0 of 1 probe passed, slowest 0.005 s, web at 192.0.2.1: \
         said x OK time=0s,,, (reboot) id q script [31m , wanted 200|time=0.005000s;;;0;3 connect=0.002500s;;;0;3\n"
    );
}
