//! What a person reads in each story: the messages, and after them `status` and `explain`. `words.golden` has all of it.

use std::fmt::Write as _;
use std::path::Path;

use failover::decision::{Decision, Event, Now};
use providers::DomainName;

/// One message, a line for each of its parts.
pub(crate) fn of_event(event: &Event) -> String {
    let mut out = format!("  {} {}: {}\n", event.severity.as_str(), event.kind, event.summary);
    let parts = [
        ("reason", event.reason.clone()),
        ("next", event.next.clone()),
        ("remedy", event.remedy.clone()),
        ("incident", event.incident.clone()),
        ("since", event.since.map(|at| at.to_string())),
        ("effective by", event.effective_by.map(|at| at.to_string())),
    ];
    for (name, part) in parts {
        if let Some(part) = part {
            let _ = writeln!(out, "    {name}: {part}");
        }
    }
    out
}

/// One step: what was told, and what a person would see who looked then.
pub(crate) fn of_step(script: &str, told: &str, decision: &Decision, now: &Now, name: &DomainName) -> String {
    format!("{script}\n{told}{}", of_standing(decision, now, name))
}

fn of_standing(decision: &Decision, now: &Now, name: &DomainName) -> String {
    let why = decision.explain(now, name).expect("it is configured");
    let (record, mut out) = (&why.record, String::new());
    let rest = if decision.is_quiescent() { ", at rest" } else { "" };
    let status = serde_json::to_value(record.status).expect("a word");
    let (status, changes) = (status.as_str().expect("a word"), record.changes_made);
    let _ = writeln!(out, "  = {status}{rest}, changed {changes} times: {}", record.reason);
    for (name, part) in [("next", &record.next), ("remedy", &record.remedy)] {
        if let Some(part) = part {
            let _ = writeln!(out, "    {name}: {part}");
        }
    }
    if let Some(trouble) = &why.trouble {
        let _ = writeln!(out, "    trouble: {} since {}", trouble.fault, trouble.since);
    }
    let quiet = ["has nothing against it", "the provider has no bound"];
    for guard in why.guards.iter().filter(|guard| guard.refuses || !quiet.contains(&guard.text.as_str())) {
        let refuses = if guard.refuses { "refuses" } else { "sees" };
        let _ = writeln!(out, "    {} {refuses}: {}", guard.guard, guard.text);
    }
    for target in &why.targets {
        let serves = if target.serves { ", serves" } else { "" };
        let since = target.since.map_or_else(String::new, |since| format!(" since {since}"));
        let _ = writeln!(out, "    {} is {}{since}{serves}", target.name, target.verdict.as_str());
    }
    for step in &why.next {
        let _ = writeln!(out, "    then: {}", step.text);
    }
    out
}

/// All that was read in all stories, as it is kept; `UPDATE_STORIES=1` keeps what is read now.
pub(crate) fn check(folder: &Path, all: &str) {
    let golden = folder.join("words.golden");
    if std::env::var_os("UPDATE_STORIES").is_some() {
        std::fs::write(&golden, all).expect("a file of ours");
    }
    let kept = std::fs::read_to_string(&golden).unwrap_or_default();
    let other = kept.lines().zip(all.lines()).position(|(kept, said)| kept != said);
    let line = other.unwrap_or(kept.lines().count().min(all.lines().count()));
    let around =
        |text: &str| text.lines().skip(line.saturating_sub(3)).take(7).collect::<Vec<_>>().join("\n");
    assert!(
        kept == all,
        "words.golden, line {}\n--- kept\n{}\n--- said\n{}",
        line + 1,
        around(&kept),
        around(all)
    );
}
