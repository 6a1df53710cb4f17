//! `failover validate`: is the configuration right?

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::config::{Config, ConfigErrors, Finding, render_warnings};
use crate::decision::counted;

/// Check the configuration.
///
/// Every fault at once, each with its place and what to do, then what is doubtful and stops nobody. Nothing is
/// touched: files are read, and nothing is written, connected to or resolved.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover validate
  failover validate -c conf.d/        (a folder: its files are read as one)
  failover validate -o json | jq -r '.faults[] | \"\\(.file):\\(.line):\\(.column): \\(.message)\"'

Exit codes: 0 valid, with or without warnings; 3 not valid, or nothing found.")]
pub(super) struct Args {}

/// The form of `-o json`; docs/configuration.md describes it.
#[derive(Serialize)]
struct Document<'a> {
    valid: bool,
    file: Option<String>,
    records: usize,
    targets: usize,
    faults: Vec<Entry<'a>>,
    warnings: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    remedy: &'a str,
}

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    setup::log(global, LevelFilter::WARN);
    match find(global) {
        Ok((path, config)) => valid(global, &path, &config),
        Err((path, errors)) => invalid(global, path.as_deref(), &errors),
    }
}

/// The configuration, or what is wrong with it and where it is, if it was found.
fn find(global: &Global) -> Result<(PathBuf, Config), (Option<PathBuf>, ConfigErrors)> {
    let path = Config::find(global.config.as_deref()).map_err(|errors| (None, errors))?;
    match Config::load(&path, &|name| std::env::var(name).ok()) {
        Ok(config) => Ok((path, config)),
        Err(errors) => Err((Some(path), errors)),
    }
}

fn valid(global: &Global, path: &Path, config: &Config) -> Exit {
    let (records, targets) = (config.records.len(), config.targets.len());
    if global.output != Output::Table {
        let file = Some(path.display().to_string());
        let warnings = entries(&config.warnings);
        output::json(global, &Document { valid: true, file, records, targets, faults: Vec::new(), warnings });
        return Exit::Done;
    }
    let paint = Paint::new(global);
    let mut text =
        render_warnings(&config.warnings, setup::coloured(global, std::io::stdout().is_terminal()));
    let doubts = match config.warnings.len() {
        0 => String::new(),
        count => format!(", {}", counted(count, "warning")),
    };
    let _ = writeln!(
        text,
        "{} {} is valid: {}, {}{doubts}",
        paint.good("ok:"),
        path.display(),
        counted(records, "record"),
        counted(targets, "target")
    );
    output::print(&text);
    Exit::Done
}

fn invalid(global: &Global, path: Option<&Path>, errors: &ConfigErrors) -> Exit {
    if global.output == Output::Table {
        let colour = setup::coloured(global, std::io::stderr().is_terminal());
        eprint!("{}", render_warnings(errors.warnings(), colour));
        return setup::complain(global, errors);
    }
    let file = path.map(|path| path.display().to_string());
    let (faults, warnings) = (entries(errors.faults()), entries(errors.warnings()));
    output::json(global, &Document { valid: false, file, records: 0, targets: 0, faults, warnings });
    Exit::Config
}

fn entries(findings: &[Finding]) -> Vec<Entry<'_>> {
    let entry = |finding| {
        let Finding { file, line, column, message, remedy, .. }: &Finding = finding;
        Entry { file: file.as_deref(), line: *line, column: *column, message, remedy }
    };
    findings.iter().map(entry).collect()
}
