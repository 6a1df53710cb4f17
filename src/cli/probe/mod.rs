//! `failover probe`: one look at a target, as its checks are configured. Nothing is written and no state is touched.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod nagios;
mod range;
mod show;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use futures_util::future::join_all;
use tracing_subscriber::filter::LevelFilter;

pub(super) use nagios::{State, excuse};

use self::range::Range;
use super::once::duration;
use super::output::{self, Paint};
use super::{Exit, Global, Output, setup};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::decision::{CheckId, Endpoint, Observation, OneLook, Place, Policy, TargetId, Verdict};
use crate::probe::{Check, Prober, Roots, SystemProber, look};

/// Probe a target now, as configured, and show where the time goes.
///
/// Each address by each check, once, all at once. Nothing is written and no state is touched: a running agent does not
/// notice. Ends within the check's timeout plus a second.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The target.
    target: String,
    /// By this check only.
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// At this address only.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Place>,
    /// Go on at the check's interval, a line per probe, until Ctrl-C; then sum up, as ping does.
    #[arg(long)]
    watch: bool,
    /// With --watch: the time between two probes.
    #[arg(long, value_name = "DURATION", requires = "watch", value_parser = duration)]
    interval: Option<Duration>,
    /// With --watch: end after so many probes of each address.
    #[arg(long, value_name = "N", requires = "watch", value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    count: Option<u64>,
    /// Be a plugin for Nagios, Icinga and their like: one line with performance data.
    #[arg(long, conflicts_with = "watch")]
    nagios: bool,
    /// With --nagios: WARNING when the slowest probe's seconds are in this range.
    #[arg(long, value_name = "RANGE", requires = "nagios", allow_hyphen_values = true)]
    warning: Option<Range>,
    /// With --nagios: CRITICAL when they are in this one.
    #[arg(long, value_name = "RANGE", requires = "nagios", allow_hyphen_values = true)]
    critical: Option<Range>,
}

const EXAMPLES: &str = "\
Examples:
  failover probe montreal
  failover probe montreal --check web --address 198.51.100.5 -o json
  failover probe montreal --watch --interval 1s --count 10
  failover probe montreal --nagios --warning 0.5 --critical 2

Exit codes: 0 the target passes, 1 it fails, 3 it cannot be known (or the configuration is
invalid), 2 usage. With --watch: by the last probe of each address.

With --nagios: 0 OK, 1 WARNING (it passes, but an address fails or the time is in the warning
range), 2 CRITICAL, 3 UNKNOWN (and usage). Ranges are those of the monitoring plugins: 10 (alert
below 0 and above 10), 10: (below 10), ~:10 (above 10), 10:20 (outside), @10:20 (inside). They have
long names only: -c is the configuration, here as everywhere.";

/// One thing to probe.
struct Look {
    endpoint: Endpoint,
    check: Arc<Check>,
}

/// What was asked for, found in the configuration.
struct Plan {
    target: TargetId,
    looks: Vec<Look>,
    /// The policy of what is looked at, so that it combines as the decision combines it.
    policy: Policy,
}

pub(super) fn main(global: &Global, args: &Args) -> Exit {
    setup::log(global, LevelFilter::ERROR);
    let config = match config(global, args) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let plan = match plan(&config, args) {
        Ok(plan) => plan,
        Err(why) if args.nagios => {
            output::print(&excuse(&why));
            return Exit::Plugin(State::Unknown.code());
        }
        Err(why) => {
            eprintln!("failover: {why}");
            return Exit::Usage;
        }
    };
    setup::block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let prober: Arc<dyn Prober> = Arc::new(SystemProber::with_resolvers(
            Arc::clone(&clock),
            Roots::System,
            config.agent.resolvers.clone(),
        ));
        if args.watch {
            let pace = watch::Pace { interval: args.interval, count: args.count };
            return exit_of(watch::watch(global, plan, pace, prober, clock).await);
        }
        let looks = plan.looks.iter().map(|each| look(&*prober, &*clock, &each.endpoint, &each.check));
        let seen = join_all(looks).await;
        let verdict = verdict(&plan, &seen);
        if args.nagios {
            let timeouts = plan.looks.iter().map(|look| look.check.timeout.as_secs_f64());
            let seen: Vec<(&Observation, f64)> = seen.iter().zip(timeouts).collect();
            let thresholds =
                nagios::Thresholds { warning: args.warning.clone(), critical: args.critical.clone() };
            let (state, line) = nagios::line(plan.target.as_str(), verdict, &seen, &thresholds);
            output::print(&line);
            return Exit::Plugin(state.code());
        }
        let now = clock.now();
        let document = show::Document::new(&plan.target, verdict, &seen, &now);
        if global.output == Output::Table {
            output::print(&show::table(&document, Paint::new(global)));
        } else {
            output::json(global, &document);
        }
        exit_of(verdict)
    })
}

/// The configuration; a plugin says on its one line that it has none.
fn config(global: &Global, args: &Args) -> Result<Arc<Config>, Exit> {
    if !args.nagios {
        return setup::load(global);
    }
    let config = Config::find(global.config.as_deref())
        .and_then(|path| Config::load(&path, &|name| std::env::var(name).ok()));
    config.map(Arc::new).map_err(|errors| {
        output::print(&excuse(&format!("the configuration cannot be used: {}", errors.render(false))));
        Exit::Plugin(State::Unknown.code())
    })
}

fn plan(config: &Config, args: &Args) -> Result<Plan, String> {
    let target = TargetId::from(args.target.as_str());
    let mut policy = config.policy();
    policy.targets.retain(|id, _| *id == target);
    let Some(wanted) = policy.targets.get_mut(&target) else {
        let names = config.targets.keys().map(TargetId::as_str);
        return Err(undefined("target", &args.target, names));
    };
    if let Some(check) = &args.check {
        let known: Vec<CheckId> = wanted.checks.keys().cloned().collect();
        wanted.checks.retain(|id, _| id.as_str() == check);
        if wanted.checks.is_empty() {
            return Err(undefined(&format!("check of {target}"), check, known.iter().map(CheckId::as_str)));
        }
    }
    if let Some(address) = &args.address {
        let known: Vec<String> = wanted.places.iter().map(ToString::to_string).collect();
        wanted.places = wanted.places.iter().filter(|one| *one == address).cloned().collect();
        if wanted.places.is_empty() {
            let what = format!("address of {target}");
            return Err(undefined(&what, &address.to_string(), known.iter().map(String::as_str)));
        }
    }
    let mut looks = Vec::new();
    for check in wanted.checks.keys() {
        let Some((how, _)) = config.targets.get(&target).and_then(|t| t.checks.get(check)) else { continue };
        for place in &wanted.places {
            let endpoint = Endpoint { target: target.clone(), check: check.clone(), address: place.clone() };
            looks.push(Look { endpoint, check: Arc::clone(how) });
        }
    }
    Ok(Plan { target, looks, policy })
}

fn undefined<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    format!("no {what} is called {name}; there is: {}", known.join(", "))
}

fn verdict<'a>(plan: &Plan, seen: impl IntoIterator<Item = &'a Observation>) -> Verdict {
    let mut one = OneLook::new(&plan.policy);
    for observation in seen {
        one.see(observation);
    }
    one.target(&plan.target)
}

/// The last probe of each endpoint.
type Last = BTreeMap<Endpoint, Observation>;

fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Up => Exit::Done,
        Verdict::Down => Exit::Failed,
        Verdict::Unknown => Exit::Unknown,
    }
}
