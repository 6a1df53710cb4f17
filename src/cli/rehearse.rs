//! stub
use super::{Exit, Global};
/// Rehearse.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) fn main(_: &Global, _: &Args) -> Exit {
    Exit::Failed
}
