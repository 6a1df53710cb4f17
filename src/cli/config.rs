//! `failover config show`: what is in force.

use tracing_subscriber::filter::LevelFilter;

use super::{Exit, Global, Output, output, setup};
use crate::config::Config;

/// Look at the configuration.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Command {
    Show(Show),
}

const EXAMPLES: &str = "\
Examples:
  failover config show                          what was written, all files as one
  failover config show --defaults               with every default filled in
  failover config show --defaults -o json | jq .checks";

/// Print the effective configuration: all files as one, references resolved, secrets masked as `***`.
///
/// It is YAML that loads again, but for what is masked: the values of keys that hold secrets, and in free text
/// (paths and headers of requests, arguments of commands) whatever a `${...}` gave.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// Fill in the default of every key that is not written.
    #[arg(long)]
    defaults: bool,
}

pub(super) fn main(global: &Global, command: &Command) -> Exit {
    let Command::Show(show) = command;
    setup::log(global, LevelFilter::WARN);
    let effective = Config::find(global.config.as_deref())
        .and_then(|path| Config::show(&path, &|name| std::env::var(name).ok(), show.defaults));
    match effective {
        Err(errors) => return setup::complain(global, &errors),
        Ok(effective) if global.output == Output::Table => output::print(&effective.yaml()),
        Ok(effective) => output::json(global, &effective.json()),
    }
    Exit::Done
}
