//! An idle connection to a target. When it breaks, somebody may have died: a probe looks at once, and not only when the next
//! one is due. It never says anything of the target itself.
//!
//! It is made after a probe that passed. Many servers hang up on whoever says nothing, and that is no news; so one that stood
//! for less than an interval is made again later each time. What it costs is bounded by that: of early probes there are two an
//! interval at most, or two in five minutes where the server hangs up at once. A break that a failed probe bears out was worth
//! its probe: then it is made again after a second, so that the next death is seen as soon.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Socket;
use crate::decision::{Moment, Outcome};
use crate::probe::Check;
use crate::probe::trouble::classify;

/// The pause after the first connection that stood too short ...
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// ... and the longest.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// See the module.
#[derive(Default)]
pub(super) struct Tripwire {
    held: Option<Held>,
    /// After one that stood too short: how long is waited.
    pause: Duration,
    not_before: Option<Moment>,
    alarm: Alarm,
}

/// What a break has come to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Alarm {
    /// There was none, or it is settled.
    #[default]
    Settled,
    /// It broke, and no probe has ended since.
    Raised,
    /// One has passed since, which is not believed: see [`Tripwire::passed`].
    Doubted,
}

struct Held {
    since: Moment,
    /// Until it has broken; whether that was the target's doing.
    broken: Pin<Box<dyn Future<Output = bool>>>,
}

impl Tripwire {
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn may_be_held(&self, now: Moment) -> bool {
        self.held.is_none() && self.not_before.is_none_or(|at| now >= at)
    }

    /// Makes the connection; [`is_broken`](Self::is_broken) is to be asked at once, and with all news of this slot.
    pub(super) fn hold(&mut self, address: IpAddr, check: &Check, now: Moment) {
        let Some(port) = check.kind.tcp_port() else { return };
        let broken = Box::pin(until_broken(SocketAddr::new(address, port), check.fast_interval));
        self.held = Some(Held { since: now, broken });
    }

    /// Whether it was held and has broken by the target's doing. Must be driven by the engine.
    pub(super) fn is_broken(&mut self, check: &Check, now: Moment, cx: &mut Context<'_>) -> bool {
        let Some(Held { since, broken }) = &mut self.held else { return false };
        let Poll::Ready(by_target) = broken.as_mut().poll(cx) else { return false };
        if now.since(*since) < check.interval {
            self.wait(now);
        } else {
            self.pause = Duration::ZERO;
        }
        self.held = None;
        if by_target {
            self.alarm = Alarm::Raised;
        }
        by_target
    }

    /// A probe passed; whether another one should follow soon. A program that is killed loses its connections one after the
    /// other: the first probe after the break may still have met its last socket.
    pub(super) fn passed(&mut self) -> bool {
        let was = self.alarm;
        self.alarm = if was == Alarm::Raised { Alarm::Doubted } else { Alarm::Settled };
        was == Alarm::Raised
    }

    /// A probe failed. If the tripwire had said so, it is no server that hangs up on whoever says nothing.
    pub(super) fn failed(&mut self) {
        if std::mem::take(&mut self.alarm) != Alarm::Settled && !self.pause.is_zero() {
            let broke = self.not_before.map(|until| until - self.pause);
            self.pause = Duration::ZERO;
            self.not_before = broke.map(|broke| broke + FIRST_PAUSE);
        }
    }

    /// Closes it: its descriptor is needed.
    pub(super) fn give_up(&mut self, now: Moment) {
        if self.held.take().is_some() {
            self.wait(now);
        }
    }

    fn wait(&mut self, now: Moment) {
        self.pause = self.pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.not_before = Some(now + self.pause);
    }
}

async fn until_broken(peer: SocketAddr, silence: Duration) -> bool {
    let ended = match Socket::connect_idle(peer, silence).await {
        Ok(mut socket) => socket.until_ended().await,
        Err(error) => Err(error),
    };
    // Trouble of our own, like too few descriptors, is no news of the target.
    !ended.is_err_and(|error| matches!(classify(&error, "connecting", peer), Outcome::Unknown(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(times: usize, lives: Duration) -> Vec<u64> {
        let mut tripwire = Tripwire::default();
        let check = crate::probe::tests::tcp_only(1);
        let mut now = Moment::ZERO;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut waited = Vec::new();
        for _ in 0..times {
            assert!(tripwire.may_be_held(now));
            tripwire.held = Some(Held { since: now, broken: Box::pin(std::future::ready(true)) });
            assert!(!tripwire.may_be_held(now), "one is enough");
            now = now + lives;
            assert!(tripwire.is_broken(&check, now, &mut cx));
            assert!(!tripwire.is_held() && !tripwire.is_broken(&check, now, &mut cx), "once");
            let until = tripwire.not_before.filter(|at| *at > now).unwrap_or(now);
            waited.push(until.since(now).as_secs());
            now = until;
        }
        waited
    }

    #[test]
    fn one_that_breaks_soon_is_made_again_later_each_time() {
        assert_eq!(pauses(11, Duration::ZERO), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn one_that_stood_for_an_interval_is_made_again_at_once() {
        let interval = crate::probe::tests::tcp_only(1).interval;
        assert_eq!(pauses(3, interval), [0, 0, 0]);
    }

    /// `b`: it broke at once; `+`, `-`: a probe passed or failed; ` `: the next one may be made. The pauses after the breaks.
    fn story(letters: &str) -> Vec<u64> {
        let mut tripwire = Tripwire::default();
        let check = crate::probe::tests::tcp_only(1);
        let mut now = Moment::ZERO;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut waited = Vec::new();
        for letter in letters.chars() {
            match letter {
                'b' => {
                    tripwire.held = Some(Held { since: now, broken: Box::pin(std::future::ready(true)) });
                    assert!(tripwire.is_broken(&check, now, &mut cx));
                }
                '+' => drop(tripwire.passed()),
                '-' => tripwire.failed(),
                _ => {
                    let until = tripwire.not_before.expect("it broke");
                    waited.push(until.since(now).as_secs());
                    now = until;
                }
            }
        }
        waited
    }

    #[test]
    fn a_break_that_a_probe_bears_out_is_no_reason_to_wait_longer() {
        assert_eq!(story("b+ b+ b+ "), [1, 2, 4], "a server that hangs up");
        assert_eq!(story("b- b- b- b- "), [1, 1, 1, 1], "one that dies each time");
        assert_eq!(story("b+ b+ b- b+ b+ "), [1, 2, 1, 1, 2], "what was learned of it is forgotten");
        assert_eq!(story("b+- b+- b+- "), [1, 1, 1], "the first probe may have met its last socket");
        assert_eq!(story("b++- b++- b++- "), [1, 2, 4], "a failure later has nothing to do with it");
        assert_eq!(story("b-- b+ "), [1, 1], "told once");
    }

    #[test]
    fn one_that_was_given_up_for_its_descriptor_waits_as_well() {
        let mut tripwire = Tripwire::default();
        tripwire.give_up(Moment::ZERO);
        assert!(tripwire.may_be_held(Moment::ZERO), "there was none");
        tripwire.held = Some(Held { since: Moment::ZERO, broken: Box::pin(std::future::pending()) });
        tripwire.give_up(Moment::ZERO);
        assert!(!tripwire.is_held() && !tripwire.may_be_held(Moment::ZERO));
        assert!(tripwire.may_be_held(Moment::ZERO + FIRST_PAUSE));
    }
}
