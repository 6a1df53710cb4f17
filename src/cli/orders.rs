//! `failover drain`, `pin`, `pause`, and what ends them: an operator's word over the verdicts.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use providers::DomainName;
use tracing_subscriber::filter::LevelFilter;

use super::once::duration;
use super::{Exit, Global, Output, output, setup};
use crate::agent::{OrderError, drop_order, keep_order};
use crate::api::{ApiError, Client, Ordered, OverrideRequest, Source};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::{OverrideFault, OverrideKey, TargetId, What};

/// Move records off a target while another one works.
///
/// For planned work on a host: no record is moved to it, and those that point at it move to another of their targets
/// that works. Where there is none they stay: a drain never takes the last working target away. Probes and verdicts go
/// on underneath. Ends with `undrain`, or by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover drain toronto --for 2h --reason 'new kernel'
  failover drain toronto --until 2026-11-22T18:00:00Z --reason 'moving the rack'")]
pub(super) struct Drain {
    /// The target.
    target: String,
    #[command(flatten)]
    word: Word,
}

/// End the drain of a target.
///
/// The usual rules hold again: a record goes back to the target once that has been up for `failback.after`, the time
/// of the drain included; so at once after work that its checks did not notice.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  failover undrain toronto && failover status")]
pub(super) struct Undrain {
    /// The target.
    target: String,
    #[command(flatten)]
    who: Who,
}

/// Keep a record at one target, whatever its priority.
///
/// While the target is up the record points at it and at no other; while it is not the record stays as it is. Ends
/// with `unpin`, or by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  failover pin www.workshopco.ca montreal --for 1d --reason 'the load test runs there'")]
pub(super) struct Pin {
    /// The record.
    record: DomainName,
    /// The target, one of the record's.
    target: String,
    #[command(flatten)]
    word: Word,
}

/// End the pin of a record.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  failover unpin www.workshopco.ca && failover explain www.workshopco.ca")]
pub(super) struct Unpin {
    /// The record.
    record: DomainName,
    #[command(flatten)]
    who: Who,
}

/// Write nothing, for one record or for all.
///
/// Probes, verdicts and messages go on. Ends with `resume`, or by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  failover pause --for 30m --reason 'the zone is being moved'
  failover pause www.workshopco.ca --for 30m --reason 'editing by hand'")]
pub(super) struct Pause {
    /// The record; every one when left out.
    record: Option<DomainName>,
    #[command(flatten)]
    word: Word,
}

/// End the pause of a record, or, without one, the pause of everything.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  failover resume && failover status")]
pub(super) struct Resume {
    /// The record whose own pause ends.
    record: Option<DomainName>,
    #[command(flatten)]
    who: Who,
}

/// How long, why and who.
#[derive(Debug, clap::Args)]
struct Word {
    /// How long, 1 s to 30 days: 2h, 1d 12h. This or --until is needed.
    #[arg(long = "for", value_name = "DURATION", value_parser = length, conflicts_with = "until")]
    length: Option<Duration>,
    /// Until when: 2026-11-22T18:00:00Z, or with an offset.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Why, for whoever finds it; needed, 200 characters at most.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
struct Who {
    /// Who says so; your login name when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// `2h`, and `1d`, which is 24 hours.
fn length(text: &str) -> Result<Duration, String> {
    let Some((days, rest)) = text.split_once('d') else { return duration(text) };
    let days: u32 =
        days.trim().parse().map_err(|_| format!("{text:?} is no duration; write 2h or 1d 12h"))?;
    let rest = if rest.trim().is_empty() { Duration::ZERO } else { duration(rest.trim())? };
    Ok(Duration::from_hours(24) * days + rest)
}

impl Who {
    /// As given, or as the login says.
    fn name(&self) -> String {
        let said = |name: &&str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let login = || ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(said);
        let number = || format!("uid {}", rustix::process::getuid().as_raw());
        self.by.clone().or_else(login).unwrap_or_else(number)
    }
}

pub(super) fn drain(global: &Global, args: &Drain) -> Exit {
    set(global, What::Drain { target: TargetId::from(args.target.as_str()) }, &args.word)
}

pub(super) fn undrain(global: &Global, args: &Undrain) -> Exit {
    clear(global, &OverrideKey::Drain(args.target.as_str().into()), &args.who)
}

pub(super) fn pin(global: &Global, args: &Pin) -> Exit {
    let (record, target) = (args.record.clone(), args.target.as_str().into());
    set(global, What::Pin { record, target }, &args.word)
}

pub(super) fn unpin(global: &Global, args: &Unpin) -> Exit {
    clear(global, &OverrideKey::Pin(args.record.clone()), &args.who)
}

pub(super) fn pause(global: &Global, args: &Pause) -> Exit {
    set(global, What::Pause { record: args.record.clone() }, &args.word)
}

pub(super) fn resume(global: &Global, args: &Resume) -> Exit {
    clear(global, &OverrideKey::Pause(args.record.clone()), &args.who)
}

fn set(global: &Global, what: What, word: &Word) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let request = OverrideRequest {
        what,
        for_s: word.length.map(|length| length.as_secs()),
        until: word.until,
        reason: word.reason.clone().unwrap_or_default(),
        by: word.who.name(),
    };
    let clock = SystemClock::start();
    // What is wrong in itself is the command line's fault, whoever would be asked.
    if let Err(fault) = request.order(&clock.now()) {
        return misused(&fault);
    }
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let work = async {
        match by_agent(&config, async |client| client.order(&request).await).await? {
            Ok(ordered) => Ok((ordered, String::new())),
            Err(silence) => Ok((keep_order(&config, &clock, &request).await?, silence)),
        }
    };
    answer(global, setup::block_on(work))
}

fn clear(global: &Global, key: &OverrideKey, who: &Who) -> Exit {
    setup::log(global, LevelFilter::WARN);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let (clock, by) = (SystemClock::start(), who.name());
    let work = async {
        match by_agent(&config, async |client| client.end_order(key, &by).await).await? {
            Ok(ordered) => Ok((ordered, String::new())),
            Err(silence) => Ok((drop_order(&config, &clock, key, &by).await?, silence)),
        }
    };
    answer(global, setup::block_on(work))
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Agent(#[from] ApiError),
    #[error(transparent)]
    State(#[from] OrderError),
}

/// What the running agent answers; the inner error is why there is none.
async fn by_agent(
    config: &Config,
    ask: impl AsyncFnOnce(Client) -> Result<Ordered, ApiError>,
) -> Result<Result<Ordered, String>, Failed> {
    let Some(socket) = &config.socket else {
        return Ok(Err("no agent can be asked without `api.socket` in the configuration".into()));
    };
    match ask(Client::new(socket)).await {
        Ok(ordered) => Ok(Ok(ordered)),
        Err(error @ ApiError::Nobody { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn misused(fault: &OverrideFault) -> Exit {
    let _ = setup::fail(fault);
    Exit::Usage
}

/// So many records are told one by one.
const TOLD: usize = 20;

fn answer(global: &Global, result: Result<(Ordered, String), Failed>) -> Exit {
    let (ordered, silence) = match result {
        Ok(result) => result,
        Err(Failed::State(OrderError::Fault(fault @ OverrideFault::Nobody))) => return misused(&fault),
        Err(error) => return setup::fail(&error),
    };
    if let Some(why) = &ordered.state_trouble {
        eprintln!(
            "failover: WARNING: the agent obeys, but this does not survive its restart: the state cannot be kept: {why}"
        );
    }
    if global.output != Output::Table {
        output::json(global, &ordered);
        return Exit::Done;
    }
    output::print(&words(&ordered, &silence));
    Exit::Done
}

fn words(ordered: &Ordered, silence: &str) -> String {
    let order = &ordered.order;
    let head = if ordered.in_force {
        // With the date: it may be another day, and this is kept in a ticket.
        output::override_words(order, Timestamp::UNIX_EPOCH)
    } else {
        format!("{} is ended; it would have lasted until {}", order.what, order.until.strftime("%F %T UTC"))
    };
    let mut text = output::wrapped(&head, 2) + "\n";
    if ordered.source == Source::State {
        let line =
            format!("{silence}: kept in the state file; the next `failover once` or `failover run` obeys it");
        return text + &output::wrapped(&line, 2) + "\n";
    }
    if !ordered.consequences.iter().any(|one| one.moves) {
        text.push_str("nothing moves\n");
    }
    for one in ordered.consequences.iter().take(TOLD) {
        text.push_str(&(output::wrapped(&format!("  {}", one.text), 4) + "\n"));
    }
    if ordered.consequences.len() > TOLD {
        let _ = writeln!(text, "  and {} more: failover status", ordered.consequences.len() - TOLD);
    }
    text
}
