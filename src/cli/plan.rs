//! `failover plan`: what would be done now. It holds readers alone; a plan that could write does not compile.

use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use super::once::{Limits, print, verdict};
use super::run::asked_to_stop;
use super::{Exit, Global, setup};
use crate::agent::{Agent, Ending, Mode, assemble_dry};
use crate::config::Config;

/// What would be done now, and why; writes nothing, keeps nothing.
///
/// It probes as `once` does and confirms a first failure at the fast interval. It tells nobody, and holds nothing that
/// could write.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover plan
  failover plan -o json | jq '.records[] | {name, status, change}'
  failover plan --detailed-exitcode; echo $?      (0 nothing to do, 5 a change is due, 6 holding)")]
pub(super) struct Args {
    #[command(flatten)]
    limits: Limits,
    /// End with 5 when a change is due, and with 6 when a record is held.
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match setup::block_on(plan(config, args.limits)) {
        Ok(ending) => {
            print(global, "plan", &ending);
            verdict(&ending, args.detailed_exitcode)
        }
        Err(exit) => exit,
    }
}

async fn plan(config: Arc<Config>, limits: Limits) -> Result<Ending, Exit> {
    let world = assemble_dry(&config).await.map_err(|error| setup::fail(&error))?;
    let mode = Mode::Plan { deadline: limits.deadline, max_age: limits.max_age };
    let agent = Agent::new(config, world, mode).await.map_err(|error| setup::fail(&error))?;
    Ok(agent.run(asked_to_stop()).await)
}
