//! `failover failback`: a person's word to go back.

use providers::DomainName;
use tracing_subscriber::filter::LevelFilter;

use super::{Exit, Global, output, setup};
use crate::api::Client;

/// Take a record back to its best target now.
///
/// The running agent does it, without waiting for `failback.after`. Guards hold all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  failover failback www.workshopco.ca && failover status")]
pub(super) struct Args {
    /// The record.
    record: DomainName,
}

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(socket) = &config.socket else {
        return setup::fail(&"no agent can be reached: set `api.socket` in the configuration");
    };
    match setup::block_on(Client::new(socket).failback(&args.record)) {
        Ok(()) => {
            output::print(&format!("{}: the agent goes back as soon as the guards allow\n", args.record));
            Exit::Done
        }
        Err(error) => setup::fail(&error),
    }
}
