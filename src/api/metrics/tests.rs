use super::super::Source;
use super::*;
use crate::decision::{Report, TargetId, TargetReport, WitnessId, WitnessReport};

fn status() -> Status {
    let target = |name: &str, verdict| TargetReport {
        name: TargetId::from(name),
        verdict,
        since: None,
        endpoints: Vec::new(),
    };
    let witness = |name: &str, seen| WitnessReport { name: WitnessId::from(name), seen };
    Status {
        source: Source::Agent,
        agent: "toronto-1".into(),
        version: "1.2.3".into(),
        started: Some("2026-01-01T00:00:00.5Z".parse().unwrap()),
        age_s: 0,
        state_trouble: None,
        pending_deliveries: 2,
        probe_delays: vec![Delay { within_us: 512, count: 1 }],
        report: Report {
            time: "2026-01-01T01:00:00Z".parse().unwrap(),
            blind_since: None,
            records: Vec::new(),
            targets: vec![
                target("toronto", Verdict::Down),
                target("montreal", Verdict::Up),
                target("dr", Verdict::Unknown),
            ],
            witnesses: vec![witness("tcp 192.0.2.1:443", Some(true)), witness("icmp 192.0.2.2", None)],
            overrides: Vec::new(),
        },
    }
}

fn text(tally: &Tally, status: Status) -> String {
    Metrics { status, tally: tally.clone() }.text().unwrap()
}

/// The samples that begin with this.
fn lines<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(begin)).collect()
}

#[test]
fn a_change_told_twice_counts_each_step_once() {
    let tally = Tally::default();
    let mut event =
        Event::new(EventKind::FailoverCompleted, "2026-01-01T00:00:00Z".parse().unwrap(), "moved");
    let mut phases =
        Phases { down_ms: Some(80), decided_ms: Some(90), written_ms: Some(100), ..Phases::default() };
    event.phases = Some(phases);
    tally.count(&event);
    event.kind = EventKind::PropagationCompleted;
    (phases.first_served_ms, phases.all_served_ms) = (Some(110), Some(700));
    event.phases = Some(phases);
    tally.count(&event);
    // Told of a change that has not arrived everywhere: the rest of it comes with the next event.
    event.kind = EventKind::PropagationSlow;
    tally.count(&event);

    let text = text(&tally, status());
    assert_eq!(
        lines(&text, "failover_change_phase_seconds_sum"),
        [
            r#"failover_change_phase_seconds_sum{phase="down"} 0.08"#,
            r#"failover_change_phase_seconds_sum{phase="decided"} 0.09"#,
            r#"failover_change_phase_seconds_sum{phase="written"} 0.1"#,
            r#"failover_change_phase_seconds_sum{phase="confirmed"} 0.0"#,
            r#"failover_change_phase_seconds_sum{phase="first_served"} 0.11"#,
            r#"failover_change_phase_seconds_sum{phase="all_served"} 0.7"#,
        ]
    );
    assert!(
        text.contains("failover_change_phase_seconds_bucket{le=\"0.1\",phase=\"written\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("failover_events_total{event=\"failover.completed\"} 1\n"), "{text}");
    assert!(
        text.contains("failover_events_total{event=\"drift.detected\"} 0\n"),
        "there from the start: {text}"
    );
}

#[test]
fn what_nobody_knows_is_no_number() {
    let text = text(&Tally::default(), status());
    assert_eq!(
        lines(&text, "failover_target"),
        [
            r#"failover_targets{verdict="up"} 1.0"#,
            r#"failover_targets{verdict="down"} 1.0"#,
            r#"failover_targets{verdict="unknown"} 1.0"#,
            r#"failover_target_up{target="toronto"} 0.0"#,
            r#"failover_target_up{target="montreal"} 1.0"#,
            r#"failover_target_up{target="dr"} NaN"#,
        ]
    );
    assert_eq!(
        lines(&text, "failover_witness_seen"),
        [r#"failover_witness_seen{witness="tcp 192.0.2.1:443"} 1.0"#],
        "one that was not probed yet is not unseen"
    );
    assert!(text.contains("failover_probe_start_delay_p99_seconds 0.000512\n"), "{text}");
    assert!(text.contains("failover_start_time_seconds 1767225600.5\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let mut status = status();
    status.report.targets[0].name = TargetId::from("a\"} 1\nfailover_blind 1\\");
    let text = text(&Tally::default(), status);
    assert!(text.contains("{target=\"a\\\"} 1\\nfailover_blind 1\\\\\"} 0.0\n"), "{text}");
}
