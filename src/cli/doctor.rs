//! `failover doctor`: is everything in place for the day it matters?

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::once::duration;
use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::clock::{Clock, SystemClock};
use crate::decision::counted;
use crate::doctor::{Finding, Instruments, Level, Topic, examine};
use crate::probe::{Roots, SystemProber};

/// Is everything in place for the day it matters? Looks, and changes nothing.
///
/// The configuration, this machine, every provider, record and authoritative server, every target and witness, all at
/// once. Each line is ok, skip (not tested), warn or fail, with the remedy. Whether a record may be changed is asked
/// without changing anything, where the protocol allows it. No message is sent. What asks for the rights of a user (the
/// state, the socket) is asked for the user that runs doctor: run it as the agent's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover doctor
  failover doctor --only servers --only permission
  failover doctor -o json | jq '.findings[] | select(.level == \"fail\")'

Ends with 0 when nothing failed, else with 1.")]
pub(super) struct Args {
    /// Only this; can be given several times.
    #[arg(long, value_enum, value_name = "CHECK")]
    only: Vec<Topic>,
    /// The longest it may take.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    deadline: Duration,
}

/// The form of `-o json`.
#[derive(Serialize)]
struct Document<'a> {
    command: &'static str,
    /// Nothing failed.
    ok: bool,
    failed: usize,
    warned: usize,
    findings: &'a [Finding],
}

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::OFF);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let only: BTreeSet<Topic> = args.only.iter().copied().collect();
    let findings = setup::block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let prober = Arc::new(SystemProber::new(Arc::clone(&clock), Roots::System));
        examine(&config, &Instruments { clock, prober }, &only, args.deadline).await
    });
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failed, warned) = (count(Level::Fail), count(Level::Warn));
    if global.output == Output::Table {
        output::print(&table(&findings, Paint::new(global)));
        let sum = format!("{}: {failed} failed, {warned} to look at", counted(findings.len(), "line"));
        output::print(&format!("\n{sum}\n"));
    } else {
        let document = Document { command: "doctor", ok: failed == 0, failed, warned, findings: &findings };
        output::json(global, &document);
    }
    if failed == 0 { Exit::Done } else { Exit::Failed }
}

fn table(findings: &[Finding], paint: Paint) -> String {
    /// `ok    descriptors  `.
    const INDENT: usize = 19;
    let mut text = String::new();
    for finding in findings {
        let subject =
            if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
        let line = format!("{:6}{:<11}  {subject}{}", "", finding.check.as_str(), finding.text);
        let word = match finding.level {
            Level::Ok => paint.good("ok    "),
            Level::Skip => paint.faint("skip  "),
            Level::Warn => paint.doubtful("warn  "),
            Level::Fail => paint.bad("fail  "),
        };
        let _ = writeln!(text, "{word}{}", output::wrapped(&line, INDENT).trim_start());
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{}", output::wrapped(&format!("{:INDENT$}-> {remedy}", ""), INDENT + 3));
        }
    }
    text
}
