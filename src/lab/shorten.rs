//! What is made shorter for a rehearsal, and what the same takes with the configured times.

use std::time::Duration;

use serde::Serialize;

use super::recast::recast;
use crate::config::{Config, RecordSettings};
use crate::decision::{FailbackMode, RecordPolicy, Require, Serve, Thresholds};
use crate::probe::Check;

const INTERVAL: Duration = Duration::from_secs(1);
const FAST_INTERVAL: Duration = Duration::from_millis(200);
const HALF_LIFE: Duration = Duration::from_secs(1);
const FAILBACK_AFTER: Duration = Duration::from_secs(3);
const HOLD_DOWN: Duration = Duration::from_secs(1);
/// An upper limit, which a rehearsal never waits for.
const STARTUP_GRACE: Duration = Duration::from_secs(10);
const LIVE_INTERVAL: Duration = Duration::from_secs(2);

/// One time that was made shorter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortened {
    /// Whose: `check web`, `agent`, the name of a record.
    pub of: String,
    /// The key in the configuration.
    pub key: &'static str,
    /// As configured.
    #[serde(rename = "configured_s", serialize_with = "seconds")]
    pub configured: Duration,
    /// As rehearsed.
    #[serde(rename = "rehearsed_s", serialize_with = "seconds")]
    pub rehearsed: Duration,
}

/// Seconds with milliseconds, for JSON.
pub(super) fn seconds<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(rounded(*duration))
}

/// The same for a time that may be absent.
#[expect(clippy::ref_option, reason = "serde hands references")]
pub(super) fn maybe_seconds<S: serde::Serializer>(
    duration: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => to.serialize_f64(rounded(*duration)),
        None => to.serialize_none(),
    }
}

fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What an outage of a record takes with the times as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usual {
    /// From the outage until the target is Down, at most: `interval` and twice its jitter, and `fall - 1` times
    /// `fast_interval`; a target that hangs and does not refuse adds `fall` times `timeout`.
    #[serde(rename = "detect_within_s", serialize_with = "seconds")]
    pub detect: Duration,
    /// The record's TTL: so long the last cache keeps the old answer.
    #[serde(rename = "caches_s", serialize_with = "seconds")]
    pub caches: Duration,
    /// From the return until the way back is written, at most: the same with `rise` in place of `fall`, and
    /// `failback.after` where it is waited for: a pool takes a member back at once, and a manual failback waits for a
    /// person instead.
    #[serde(rename = "failback_within_s", serialize_with = "seconds")]
    pub failback: Duration,
}

impl Usual {
    /// By the checks of the record's first target.
    pub(super) fn of(config: &Config, record: &RecordSettings) -> Usual {
        let target = record.policy.targets().next().and_then(|id| config.targets.get(id));
        let after = |count: fn(&Thresholds) -> u32, checks: fn(Require, usize) -> usize| {
            let target = target?;
            let mut reaches: Vec<Duration> =
                target.checks.values().map(|(check, t)| reach(check, count(t))).collect();
            reaches.sort();
            reaches.get(checks(target.require, reaches.len())).copied()
        };
        // Down by the first check that falls, or the first that is one too many; Up by the last that must rise.
        let detect = after(|t| t.fall, Require::spare).unwrap_or_default();
        let up = after(|t| t.rise, |require, count| require.needed(count) - 1).unwrap_or_default();
        Usual {
            detect,
            caches: Duration::from_secs(record.policy.ttl.seconds().into()),
            failback: up + waited_for(&record.policy),
        }
    }
}

fn waited_for(policy: &RecordPolicy) -> Duration {
    let rejoins = policy.serve == Serve::All && policy.tiers.first().is_some_and(|tier| tier.len() > 1);
    let waits = !rejoins && policy.failback == FailbackMode::Auto;
    if waits { policy.failback_after } else { Duration::ZERO }
}

fn reach(check: &Check, count: u32) -> Duration {
    // One probe may be early by its jitter, the next late.
    let jitter = check.interval * u32::from(check.jitter_percent) / 100;
    check.interval + jitter * 2 + check.fast_interval * count.saturating_sub(1)
}

/// Makes the times of a configuration shorter; what is short already stays.
pub(super) fn shorten(config: &mut Config) -> Vec<Shortened> {
    let mut list = Vec::new();
    let mut cut = |of: &dyn Fn() -> String, key, time: &mut Duration, limit| {
        if *time > limit {
            list.push(Shortened { of: of(), key, configured: *time, rehearsed: limit });
            *time = limit;
        }
    };
    recast(config, |name, check| {
        let mut shorter = check.clone();
        let of = || format!("check {name}");
        cut(&of, "interval", &mut shorter.interval, INTERVAL);
        cut(&of, "fast_interval", &mut shorter.fast_interval, FAST_INTERVAL);
        shorter
    });
    for witness in config.agent.witnesses.values_mut() {
        let mut shorter = Check::clone(&witness.check);
        shorter.interval = shorter.interval.min(INTERVAL);
        shorter.fast_interval = shorter.fast_interval.min(FAST_INTERVAL);
        witness.check = shorter.into();
    }
    for (name, record) in &mut config.records {
        let of = || name.to_string();
        cut(&of, "failback.after", &mut record.policy.failback_after, FAILBACK_AFTER);
        cut(&of, "hold_down", &mut record.policy.hold_down, HOLD_DOWN);
        // A play has more changes in a minute than a record should have in an hour.
        cut(&of, "flapping.half_life", &mut record.policy.flapping.half_life, HALF_LIFE);
    }
    // The play is about one outage, and nobody waits for minutes; the bound is on the real provider.
    config.velocity.clear();
    let of = || "agent".to_owned();
    cut(&of, "startup_grace", &mut config.agent.startup_grace, STARTUP_GRACE);
    cut(&of, "live_interval", &mut config.agent.live_interval, LIVE_INTERVAL);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_become_short_and_are_named_and_short_ones_stay() {
        let text = Config::EXAMPLE.replace("hold_down: 60s", "hold_down: 500ms");
        let mut config = Config::parse("test", &text, &|_| None).unwrap();
        let shortened = shorten(&mut config);
        let keys: Vec<&str> = shortened.iter().map(|one| one.key).collect();
        assert_eq!(
            keys,
            [
                "interval",
                "fast_interval",
                "failback.after",
                "flapping.half_life",
                "startup_grace",
                "live_interval"
            ]
        );
        let (check, thresholds) = config.checks.values().next().unwrap();
        assert_eq!((check.interval, check.fast_interval), (INTERVAL, FAST_INTERVAL));
        assert_eq!(
            check.timeout,
            Duration::from_secs(3),
            "it costs nothing here, and a busy machine needs it"
        );
        assert_eq!((thresholds.fall, thresholds.rise, thresholds.clear), (3, 3, 6));
        let record = config.records.values().next().unwrap();
        assert_eq!(record.policy.hold_down, Duration::from_millis(500));
    }

    #[test]
    fn the_times_of_the_example_as_configured() {
        let config = Config::example();
        let record = config.records.values().next().unwrap();
        let usual = Usual::of(&config, record);
        assert_eq!(usual.detect, Duration::from_secs(12 + 2), "two probes are at most 12 s apart");
        assert_eq!(usual.caches, Duration::from_mins(1));
        assert_eq!(usual.failback, Duration::from_secs(12 + 2 + 300));
    }
}
