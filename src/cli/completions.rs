//! `failover completions`: what the shell completes.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit, output};

/// Completions for your shell, to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover completions bash > /etc/bash_completion.d/failover
  failover completions zsh > ~/.zfunc/_failover      (with fpath+=~/.zfunc before compinit)
  failover completions fish > ~/.config/fish/completions/failover.fish")]
pub(super) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn main(args: &Args) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "failover", &mut text);
    output::print(&String::from_utf8_lossy(&text));
    Exit::Done
}
