//! `failover validate`: is the configuration right?

use std::fmt::Write as _;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};

/// Checks the configuration: every fault at once, each with its place and what to do. Touches nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover validate
  failover validate -c conf.d/        (a folder: its files are read as one)")]
pub(super) struct Args {}

#[derive(Serialize)]
struct Document {
    valid: bool,
    file: String,
    records: usize,
    targets: usize,
    warnings: Vec<String>,
}

pub(super) fn main(global: &Global, _: &Args) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let (path, config) = match setup::load_named(global) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let warnings: Vec<String> = config
        .warnings
        .iter()
        .map(|w| w.place.as_ref().map_or_else(|| w.text.clone(), |place| format!("{place}: {}", w.text)))
        .collect();
    let document = Document {
        valid: true,
        file: path.display().to_string(),
        records: config.records.len(),
        targets: config.targets.len(),
        warnings,
    };
    if global.output != Output::Table {
        output::json(global, &document);
        return Exit::Done;
    }
    let paint = Paint::new(global);
    let mut text = String::new();
    for warning in &document.warnings {
        let _ = writeln!(text, "{} {warning}", paint.doubtful("warning:"));
    }
    let _ = writeln!(
        text,
        "{} {} is valid: {} records, {} targets",
        paint.good("ok:"),
        document.file,
        document.records,
        document.targets
    );
    output::print(&text);
    Exit::Done
}
