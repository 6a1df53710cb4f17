//! The command line: one file per command, no logic of its own.

mod ack;
mod completions;
mod config;
mod deliveries;
mod doctor;
mod exit;
mod explain;
mod failback;
mod history;
mod man;
mod notify;
mod once;
mod orders;
mod output;
mod plan;
mod playbill;
mod probe;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use probe::fuzzing;
mod rehearse;
mod run;
mod schema;
mod setup;
mod status;
#[cfg(test)]
mod tests;
mod validate;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use exit::Exit;

/// Watches a primary host and its stand-bys and keeps DNS pointing at one that works.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  failover rehearse                      play an outage of your configuration on this machine
  failover validate -c failover.yaml     check the configuration
  failover plan -c failover.yaml         what would be done now, and why; writes nothing
  failover run -c failover.yaml          the agent
  failover once -c failover.yaml         one look and at most one change, for cron
  failover doctor                        is everything in place for the day it matters?
  failover probe montreal                one target now, with where the time goes

Exit codes: 0 done, in the desired state, or holding; 1 failed; 2 usage; 3 configuration invalid;
4 refused by a guard. plan and once with --detailed-exitcode: 5 a change is pending (plan) or was
made (once), 6 holding. probe has its own: see failover probe --help.";

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The configuration: a file, or a folder of YAML files. Else `FAILOVER_CONFIG`, ./failover.yaml,
    /// /etc/failover/failover.yaml.
    #[arg(short, long, global = true, value_name = "FILE|DIR")]
    config: Option<PathBuf>,
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t = Output::Table)]
    output: Output,
    /// How the log, on standard error, is written; text on a terminal and JSON elsewhere, unless said.
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace. `RUST_LOG` says it in more detail.
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true)]
    log_level: Option<tracing::Level>,
    /// When colour is used.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON document a line.
    Json,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Once(once::Args),
    Plan(plan::Args),
    Status(status::Args),
    Probe(probe::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    History(history::Args),
    Validate(validate::Args),
    #[command(subcommand)]
    Config(config::Command),
    Schema(schema::Args),
    Failback(failback::Args),
    Drain(orders::Drain),
    Undrain(orders::Undrain),
    Pin(orders::Pin),
    Unpin(orders::Unpin),
    Pause(orders::Pause),
    Resume(orders::Resume),
    Ack(ack::Args),
    #[command(subcommand)]
    Notify(notify::Command),
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    Rehearse(rehearse::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> Exit {
    setup::keep_memory_private();
    setup::take_descriptors();
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        // Who runs a plugin reads its first line on standard output and its exit code, whatever went wrong.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--nagios") => {
            output::print(&probe::excuse(&error.to_string()));
            return Exit::Plugin(probe::State::Unknown.code());
        }
        Err(error) => {
            // Help and version are no errors; a closed pipe is nobody's fault.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    match command {
        Command::Run(args) => run::main(&global, &args),
        Command::Once(args) => once::main(&global, &args),
        Command::Plan(args) => plan::main(&global, &args),
        Command::Status(args) => status::main(&global, &args),
        Command::Doctor(args) => doctor::main(&global, &args),
        Command::Probe(args) => probe::main(&global, &args),
        Command::Explain(args) => explain::main(&global, &args),
        Command::History(args) => history::main(&global, &args),
        Command::Validate(args) => validate::main(&global, &args),
        Command::Config(command) => config::main(&global, &command),
        Command::Schema(args) => schema::main(&global, &args),
        Command::Failback(args) => failback::main(&global, &args),
        Command::Drain(args) => orders::drain(&global, &args),
        Command::Undrain(args) => orders::undrain(&global, &args),
        Command::Pin(args) => orders::pin(&global, &args),
        Command::Unpin(args) => orders::unpin(&global, &args),
        Command::Pause(args) => orders::pause(&global, &args),
        Command::Resume(args) => orders::resume(&global, &args),
        Command::Ack(args) => ack::main(&global, &args),
        Command::Notify(command) => notify::main(&global, &command),
        Command::Deliveries(command) => deliveries::main(&global, &command),
        Command::Rehearse(args) => rehearse::main(&global, &args),
        Command::Completions(args) => completions::main(&args),
        Command::Man(args) => man::main(&args),
    }
}
