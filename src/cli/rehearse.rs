//! stub
use super::{Exit, Global};
/// Rehearse.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  failover rehearse")]
pub(super) struct Args {}
pub(super) fn main(_: &Global, _: &Args) -> Exit {
    Exit::Failed
}
