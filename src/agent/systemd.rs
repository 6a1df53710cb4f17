//! Word to systemd, where it started us: ready, alive, stopping. Elsewhere these do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The agent is ready.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows.
pub(super) fn reloading() {
    // systemd compares the time with its own and takes a message without one for an old one (sd_notify(3)).
    if let Ok(time) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, time]);
    }
}

/// The event loop turns.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// One line for `systemctl status`.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// The agent was asked to stop.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often [`alive`] must be told: half of what the unit's `WatchdogSec` allows; `None` without a watchdog.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
