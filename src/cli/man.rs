//! `failover man`: the manual, a page for each command.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Exit, output, setup};

/// The manual: the main page, or all pages into a folder.
///
/// Each command has a page of its own: `man failover-probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover man | man -l -
  failover man --out /usr/local/share/man/man1")]
pub(super) struct Args {
    /// Write every page into this folder: failover.1, failover-run.1 ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Exit {
    let mut command = Cli::command();
    command.build();
    let written = match &args.out {
        None => page(&command, "failover").map(|text| output::print(&String::from_utf8_lossy(&text))),
        Some(folder) => std::fs::create_dir_all(folder).and_then(|()| pages(&command, "failover", folder)),
    };
    match (written, &args.out) {
        (Ok(()), _) => Exit::Done,
        (Err(error), folder) => {
            let place = folder.as_deref().unwrap_or(Path::new("standard output"));
            setup::fail(&format!("the manual cannot be written to {}: {error}", place.display()))
        }
    }
}

/// One page and those of the commands below, each under its full name.
fn pages(command: &Command, name: &str, folder: &Path) -> std::io::Result<()> {
    write(&folder.join(format!("{name}.1")), &page(command, name)?)?;
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    below.into_iter().try_for_each(|sub| pages(sub, &format!("{name}-{}", sub.get_name()), folder))
}

/// Everybody may read a page, and nobody else write it, whatever the umask.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).open(path)?.write_all(text)
}

fn page(command: &Command, name: &str) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let manual = format!("failover {}", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name.to_ascii_uppercase()).source(manual).render(&mut text)?;
    Ok(text)
}
