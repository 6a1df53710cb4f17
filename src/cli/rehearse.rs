//! `failover rehearse`: an outage of the user's own configuration, played on this machine.

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output;
use super::playbill::Playbill;
use super::run::asked_to_stop;
use super::{Exit, Global, Output, setup};
use crate::config::Config;
use crate::lab::{Cast, Entry, Outcome, Shortened, rehearse};

/// Play an outage of your configuration on this machine, with no network and no risk.
///
/// It plays in real time, and holds what happens against the promises:
/// the primary is killed and brought back. No network, no root, no risk: the zone is a mock in memory with a DNS
/// server of its own, the targets are listeners on 127.0.0.1, no message is sent and no file is written. What decides,
/// probes, writes and asks is the real program. Without a configuration the example is played.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover rehearse                             the configuration found as usual, else the example
  failover rehearse -c failover.yaml -v         every probe, and each message in full
  failover rehearse --real-intervals            as long as it takes with the times as configured
  failover rehearse -o json | jq .promises      for programs; -o jsonl tells each line as it happens

Ends with 0 when every promise was kept, else with 1 and the broken one named.")]
pub(super) struct Args {
    /// Do not shorten intervals, waiting times and limits.
    #[arg(long)]
    real_intervals: bool,
    /// Show every failed probe, events that nobody is told of, and each message in full.
    #[arg(short, long)]
    verbose: bool,
}

/// What is played when there is no configuration.
const EXAMPLE: &str = "the example configuration";

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    // What the agent would log is what the timeline tells.
    setup::log(global, LevelFilter::ERROR);
    let (name, config) = match found(global) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let cast = Cast::of(&config, args.real_intervals);
    setup::block_on(play(global, args, &name, &cast))
}

/// The configuration found as usual, with its name; the example where none is found.
fn found(global: &Global) -> Result<(String, Config), Exit> {
    let Ok(path) = Config::find(global.config.as_deref()) else {
        return Ok((EXAMPLE.into(), Config::example()));
    };
    let config = Config::load(&path, &|name| std::env::var(name).ok());
    let config = config.map_err(|errors| setup::complain(global, &errors))?;
    Ok((path.display().to_string(), config))
}

async fn play(global: &Global, args: &Args, name: &str, cast: &Cast) -> Exit {
    let playbill = Playbill::new(global, args.verbose);
    match global.output {
        Output::Table => playbill.opening(name, name == EXAMPLE, cast, args.real_intervals),
        Output::Json => {}
        Output::Jsonl => output::json(global, &Line::Opening(Opening::of(name, args, cast))),
    }
    let mut view = |entry: &Entry| match global.output {
        Output::Table => playbill.line(entry),
        Output::Json => {}
        Output::Jsonl => output::json(global, &Line::Event(entry)),
    };
    let ended = tokio::select! {
        ended = rehearse(cast, &mut view) => ended,
        () = asked_to_stop() => {
            eprintln!("failover: the rehearsal was stopped before its end; nothing of yours was touched");
            return Exit::Failed;
        }
    };
    let outcome = match ended {
        Ok(outcome) => outcome,
        Err(error) => return setup::fail(&error),
    };
    match global.output {
        Output::Table => playbill.closing(&outcome),
        Output::Json => {
            output::json(global, &Document { opening: Opening::of(name, args, cast), outcome: &outcome });
        }
        Output::Jsonl => {
            // The timeline has been told line by line.
            output::json(global, &Line::Outcome(&Outcome { timeline: Vec::new(), ..outcome.clone() }));
        }
    }
    if outcome.kept { Exit::Done } else { Exit::Failed }
}

/// What is played.
#[derive(Serialize)]
struct Opening<'a> {
    command: &'a str,
    configuration: &'a str,
    real_intervals: bool,
    shortened: &'a [Shortened],
    notes: &'a [String],
}

impl<'a> Opening<'a> {
    fn of(name: &'a str, args: &Args, cast: &'a Cast) -> Self {
        let real_intervals = args.real_intervals;
        let (shortened, notes) = (&cast.shortened, &cast.notes);
        Opening { command: "rehearse", configuration: name, real_intervals, shortened, notes }
    }
}

/// The form of `-o json`.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    opening: Opening<'a>,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// One line of `-o jsonl`, by its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Opening(Opening<'a>),
    Event(&'a Entry),
    Outcome(&'a Outcome),
}
