//! `failover schema`: the JSON Schema of the configuration.

use super::{Exit, Global, output};
use crate::config::Config;

/// Print a JSON Schema of the configuration, for editors and other tools.
///
/// Whatever loads is valid against it. What a schema cannot say (a name that is not defined, a timeout that is longer
/// than the interval) `failover validate` says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover schema > failover.schema.json
  failover schema -o jsonl                (in one line)

In an editor with the YAML language server, begin the configuration with
  # yaml-language-server: $schema=./failover.schema.json")]
pub(super) struct Args {}

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    output::json(global, &Config::schema());
    Exit::Done
}
