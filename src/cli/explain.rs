//! `failover explain`: why a record is where it is, and what can change it.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use providers::DomainName;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::status::{Remembered, remembered};
use super::{Exit, Global, Output, setup};
use crate::api::{ApiError, Client, Explained, Source};
use crate::config::Config;
use crate::decision::{EndpointExplained, GuardExplained, Letter, TargetExplained, Verdict, human};
use crate::store::StoreError;

/// Why a record is where it is, and what can change it next.
///
/// What is published and since when, what holds it there, every target with its counters and last probes, the guards
/// that would refuse a change, and what would make the next one. The running agent is asked; without one, the state
/// file says what the last run knew.
///
/// Probes are shown as letters, the newest last: P passed, F failed, u said nothing of the target.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover explain www.example.com
  failover explain www.example.com -o json | jq -r '.next[].text'")]
pub(super) struct Args {
    /// The record.
    #[arg(value_name = "RECORD")]
    record: DomainName,
}

/// What a guard says that counts nothing and sees nothing wrong.
const SILENT: &str = "has nothing against it";

/// So many probes are shown of an endpoint.
const PROBES_SHOWN: usize = 30;

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::ERROR);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match setup::block_on(find(&config, &args.record)) {
        Ok((explained, silence)) => {
            print(global, &explained, &silence);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// What is known of the record, and why no running agent told it.
async fn find(config: &Config, record: &DomainName) -> Result<(Explained, String), Exit> {
    let silence = match &config.socket {
        Some(socket) => match Client::new(socket).explain(record).await {
            Ok(explained) => return Ok((explained, String::new())),
            Err(error @ ApiError::Refused(_)) => return Err(setup::fail(&error)),
            Err(error) => error.to_string(),
        },
        None => "no agent can be asked without `api.socket` in the configuration".into(),
    };
    match remembered(config).await {
        Ok(Remembered { decision, now, age, .. }) => {
            let Some(mut explanation) = decision.explain(&now, record) else {
                return Err(setup::fail(&format!("no record {record} is configured")));
            };
            // Nobody is there who would do it.
            explanation.next.clear();
            let (agent, age_s) = (config.agent.id.clone(), age.as_secs());
            Ok((Explained { source: Source::State, agent, age_s, explanation }, silence))
        }
        Err(StoreError::Missing { .. }) => Err(setup::fail(&format!(
            "{silence}, and no run has left a state: start `failover run` or `failover once`"
        ))),
        Err(error) => Err(setup::fail(&format!("{silence}, and {error}"))),
    }
}

fn print(global: &Global, explained: &Explained, silence: &str) {
    if global.output != Output::Table {
        return output::json(global, explained);
    }
    let paint = Paint::new(global);
    if explained.source == Source::State {
        let age = human(Duration::from_secs(explained.age_s.max(1)));
        let head =
            format!("{silence}\nthis is what the last run left {age} ago; without an agent nothing changes");
        output::print(&format!("{}\n", paint.doubtful(&head)));
    }
    output::print(&text(explained, paint));
}

fn text(explained: &Explained, paint: Paint) -> String {
    let why = &explained.explanation;
    let (record, now) = (&why.record, why.time);
    let mut text = format!("{}  {}\n", paint.strong(record.name.as_str()), output::standing(record, paint));
    let mut row = |label: &str, value: &str| output::row(&mut text, label, value);
    let since =
        why.published_since.map_or_else(String::new, |at| format!(" since {}", output::clock(at, now)));
    row("serves", &(output::published(record) + &since));
    row(output::reason_label(record.status), &record.reason);
    if let Some(change) = &why.change {
        row("change", &format!("decided {}: {}", output::clock(change.decided, now), change.text));
        if let Some(phases) = change.phases {
            row("", &format!("after the first failure: {phases}"));
        }
    }
    if let Some(since) = why.blind_since {
        row("blind", &format!("since {}: no witness answers", output::clock(since, now)));
    }
    for guard in why.guards.iter().filter(|guard| guard.refuses) {
        let until = guard.until.map_or_else(String::new, |at| format!(" (until {})", output::clock(at, now)));
        row("guard", &format!("{}: {}; {}{until}", guard.guard, guard.text, guard.remedy));
    }
    if let Some(marker) = &record.marker {
        row("marker", &output::marker_line(marker));
    }
    let calm = |guard: &&GuardExplained| !guard.refuses;
    let (counting, silent): (Vec<_>, Vec<_>) =
        why.guards.iter().filter(calm).partition(|guard| guard.text != SILENT);
    for guard in counting {
        row("guard", &format!("{}: {}", guard.guard, guard.text));
    }
    let silent: Vec<&str> = silent.iter().map(|guard| guard.guard.as_str()).collect();
    if !silent.is_empty() {
        row("guard", &format!("{}: {SILENT}", silent.join(", ")));
    }
    for order in &why.overrides {
        row("override", &output::override_words(order, now));
    }
    if let Some(trouble) = &why.trouble {
        let since = output::clock(trouble.since, now);
        row("provider", &format!("{} cannot be used since {since}: {}", trouble.provider, trouble.fault));
    }
    for (number, step) in why.next.iter().enumerate() {
        row(if number == 0 { "next" } else { "" }, &step.text);
    }
    for server in &record.servers {
        let serves =
            if server.agrees { server.serves.clone() } else { format!("{} (differs)", server.serves) };
        row("server", &format!("{} serves {serves}", server.server));
    }
    text.push_str("targets\n");
    for target in &why.targets {
        text.push_str(&of_target(target, now, paint));
    }
    text
}

fn of_target(target: &TargetExplained, now: Timestamp, paint: Paint) -> String {
    let since = target.since.map_or_else(String::new, |at| format!(" since {}", output::clock(at, now)));
    let serves = if target.serves { ", serves" } else { "" };
    let verdict = output::verdict(target.verdict, paint);
    let mut text = format!("  {} (priority {}{serves})  {verdict}{since}\n", target.name, target.tier);
    for endpoint in &target.endpoints {
        text.push_str(&of_endpoint(endpoint, now));
    }
    text
}

fn of_endpoint(endpoint: &EndpointExplained, now: Timestamp) -> String {
    let EndpointExplained { address, check, failures, fall, passes, rise, .. } = endpoint;
    let counted = match endpoint.verdict {
        Verdict::Down => format!("passes {passes} of {rise}"),
        Verdict::Up | Verdict::Unknown => format!("failures {failures} of {fall}"),
    };
    let probes = &endpoint.probes[endpoint.probes.len().saturating_sub(PROBES_SHOWN)..];
    let letters: String = probes.iter().map(|probe| Letter::letter(probe.said)).collect();
    let last = probes.last().map_or_else(
        || "not probed in this run".to_owned(),
        |probe| {
            let ago = now.duration_since(probe.at).unsigned_abs();
            let took = human(Duration::from_micros(probe.took_us));
            format!("{letters}, the last one {} ago in {took}", human(ago))
        },
    );
    let line = format!("    {check} {address}: {counted}; {last}");
    let mut text = output::wrapped(&line, 6) + "\n";
    if let Some(reason) = &endpoint.reason {
        let _ = writeln!(text, "{}", output::wrapped(&format!("      {reason}"), 8));
    }
    text
}
