//! `failover deliveries`: messages on their way.

use std::fmt::Write as _;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::clock::{Clock, SystemClock};
use crate::decision::{ChannelId, counted};
use crate::store::{Attempt, Delivery, DeliveryFilter, DeliveryState, Store, StoreError};

/// Messages on their way: list, show, retry.
///
/// What waits, what was delivered, what was given up, and every attempt.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  failover deliveries list --state dead
  failover deliveries show 12
  failover deliveries retry 12")]
pub(super) enum Command {
    /// List deliveries, newest first
    #[command(after_help = "\
Examples:
  failover deliveries list
  failover deliveries list --state dead --channel team")]
    List {
        /// Only those in this state.
        #[arg(long, value_enum)]
        state: Option<StateName>,
        /// Only those to this channel.
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// One delivery with every attempt
    #[command(after_help = "Example:\n  failover deliveries show 12")]
    Show {
        /// Its number.
        id: i64,
    },
    /// Send one again, whatever became of it
    ///
    /// The running agent sends it within 10 seconds; without one, the next `failover once` does.
    #[command(after_help = "Example:\n  failover deliveries retry 12")]
    Retry {
        /// Its number.
        id: i64,
    },
}

/// The states, as they are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StateName {
    /// Not delivered yet.
    Pending,
    /// Delivered.
    Delivered,
    /// Given up.
    Dead,
}

pub(super) fn main(global: &Global, command: &Command) -> Exit {
    setup::log(global, LevelFilter::ERROR);
    let config = match setup::load(global) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let state = &config.agent.state;
    let result = setup::block_on(async {
        match command {
            Command::List { state: wanted, channel, limit } => {
                let filter = DeliveryFilter {
                    state: wanted.map(StateName::state),
                    channel: channel.as_deref().map(ChannelId::from),
                };
                list(global, &Store::open_read_only(state)?, filter, *limit).await
            }
            Command::Show { id } => show(global, &Store::open_read_only(state)?, *id).await,
            Command::Retry { id } => {
                // A read-only look first, so that asking makes no state file.
                drop(Store::open_read_only(state)?);
                retry(&Store::open(state)?, *id).await
            }
        }
    });
    match result {
        Ok(exit) => exit,
        Err(StoreError::Missing { .. }) => {
            setup::fail(&"no run has left a state yet: there are no deliveries")
        }
        Err(error) => setup::fail(&error),
    }
}

impl StateName {
    fn state(self) -> DeliveryState {
        match self {
            StateName::Pending => DeliveryState::Pending,
            StateName::Delivered => DeliveryState::Delivered,
            StateName::Dead => DeliveryState::Dead,
        }
    }
}

async fn list(
    global: &Global,
    store: &Store,
    filter: DeliveryFilter,
    limit: u32,
) -> Result<Exit, StoreError> {
    let deliveries = store.deliveries(filter, limit).await?;
    match global.output {
        Output::Json => output::json(global, &deliveries),
        Output::Jsonl => deliveries.iter().for_each(|delivery| output::json(global, delivery)),
        Output::Table => {
            let now = SystemClock::start().now().wall;
            let paint = Paint::new(global);
            let mut text = String::new();
            for delivery in &deliveries {
                let _ = writeln!(text, "{}", line(delivery, now, paint));
            }
            output::print(if text.is_empty() { "no deliveries\n" } else { &text });
        }
    }
    Ok(Exit::Done)
}

fn line(delivery: &Delivery, now: jiff::Timestamp, paint: Paint) -> String {
    let (id, channel, kind) = (delivery.id, &delivery.channel, delivery.kind());
    let plain = format!("{:<9}", delivery.state.as_str());
    let state = match delivery.state {
        DeliveryState::Pending => paint.doubtful(&plain),
        DeliveryState::Delivered => paint.good(&plain),
        DeliveryState::Dead => paint.bad(&plain),
    };
    let when = output::clock(delivery.created, now);
    let summary = &delivery.event.event.summary;
    let error = match (&delivery.last_error, delivery.state) {
        (Some(error), DeliveryState::Pending | DeliveryState::Dead) => {
            let tried = counted(delivery.attempts as usize, "attempt");
            format!("\n{}", output::wrapped(&format!("      after {tried}: {error}"), 6))
        }
        _ => String::new(),
    };
    let line = format!("{id:>5} {plain} {channel:<12} {when}  {kind}: {summary}");
    output::wrapped(&line, 6).replacen(&plain, &state, 1) + &error
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    delivery: &'a Delivery,
    log: &'a [Attempt],
}

async fn show(global: &Global, store: &Store, id: i64) -> Result<Exit, StoreError> {
    let Some((delivery, log)) = store.delivery(id).await? else {
        return Ok(setup::fail(&format!("there is no delivery {id}; see failover deliveries list")));
    };
    if global.output != Output::Table {
        output::json(global, &Document { delivery: &delivery, log: &log });
        return Ok(Exit::Done);
    }
    let now = SystemClock::start().now().wall;
    let mut text = format!("{}\n", line(&delivery, now, Paint::new(global)));
    if let Some(next) = delivery.next_attempt {
        let _ = writeln!(text, "      next attempt {}", output::clock(next, now));
    }
    for attempt in &log {
        let outcome = match (attempt.delivered, &attempt.error) {
            (true, _) => "delivered".to_owned(),
            (false, Some(error)) => error.clone(),
            (false, None) => "failed".to_owned(),
        };
        let status = attempt.status.map_or_else(String::new, |status| format!(" {status}"));
        let _ = writeln!(
            text,
            "      {}{status} {outcome} ({} ms)",
            output::clock(attempt.at, now),
            attempt.took_ms
        );
    }
    let message = crate::notify::Message::of(&delivery.event, now).text();
    for row in message.lines() {
        let _ = writeln!(text, "      | {row}");
    }
    output::print(&text);
    Ok(Exit::Done)
}

async fn retry(store: &Store, id: i64) -> Result<Exit, StoreError> {
    let now = SystemClock::start().now().wall;
    if !store.retry(id, now).await? {
        return Ok(setup::fail(&format!("there is no delivery {id}; see failover deliveries list")));
    }
    output::print(&format!("delivery {id} waits again; the agent, or the next `failover once`, sends it\n"));
    Ok(Exit::Done)
}
