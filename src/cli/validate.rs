//! `failover validate`: is the configuration right?

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::config::{Config, ConfigErrors};
use crate::decision::counted;

/// Check the configuration.
///
/// Every fault at once, each with its place and what to do. Nothing else is touched: no file, no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover validate
  failover validate -c conf.d/        (a folder: its files are read as one)")]
pub(super) struct Args {}

/// The form of `-o json` for a valid configuration.
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
    let (path, config) = match find(global) {
        Ok(found) => found,
        Err((path, errors)) if global.output != Output::Table => return invalid(global, path, &errors),
        Err((_, errors)) => return setup::complain(global, &errors),
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
        "{} {} is valid: {}, {}",
        paint.good("ok:"),
        document.file,
        counted(document.records, "record"),
        counted(document.targets, "target")
    );
    output::print(&text);
    Exit::Done
}

/// The configuration, or what is wrong with it and where it is, if it was found.
fn find(global: &Global) -> Result<(PathBuf, Config), (Option<PathBuf>, ConfigErrors)> {
    let path = Config::find(global.config.as_deref()).map_err(|errors| (None, errors))?;
    match Config::load(&path, &|name| std::env::var(name).ok()) {
        Ok(config) => Ok((path, config)),
        Err(errors) => Err((Some(path), errors)),
    }
}

/// The form of `-o json` for one that is not.
#[derive(Serialize)]
struct Invalid<'a> {
    valid: bool,
    file: Option<String>,
    faults: Vec<Fault<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    place: &'a str,
    message: &'a str,
    remedy: &'a str,
}

fn invalid(global: &Global, path: Option<PathBuf>, errors: &ConfigErrors) -> Exit {
    let faults = errors
        .faults()
        .iter()
        .map(|fault| Fault { place: &fault.place, message: &fault.message, remedy: &fault.remedy })
        .collect();
    let file = path.map(|path| path.display().to_string());
    output::json(global, &Invalid { valid: false, file, faults });
    Exit::Config
}
