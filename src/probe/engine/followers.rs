//! Probes that do not wait for the end of one that is not answered.
//!
//! A target that hangs uses up the whole time of each probe; one after the other, `fall` of them would take `fall` time-outs.
//! So while a probe waits longer than is usual the next ones follow it as fast ones would, `fall` under way at the most, and
//! what is silent for one time-out and `fall - 1` fast intervals is Down.
//!
//! That must not make more of a short disturbance than it is. A pass overtakes: follow-ups that began before it and wait for
//! an answer still are dropped and never told, so they count only where nothing was answered that began after them. With the
//! end of the first probe the job's next begins, and so there is always one that looks again before the verdict.
//!
//! Follow-ups have no turn of their own: they take one of the slow ones if it is free and nobody waits for it, and are left
//! out otherwise.

use super::run::Loop;
use super::slots::{Slot, Slots, What};
use super::turns::Lane;
use crate::decision::{Moment, Outcome};
use crate::probe::Report;

impl Loop {
    /// Begins the follow-up of a probe under way that is due, if there is room for it.
    pub(super) fn follow_up(&mut self, place: u32) {
        let now = self.reactor.now();
        let (may, kept) = (!self.handover.is_blocked(), self.kept());
        let Some(slot) = self.slots.at(place) else { return };
        if slot.follow_up().is_some_and(|due| due <= now) {
            let follower = slot.following(place);
            let begins = may && self.turns.take(Lane::Slow, kept);
            if let What::Job { cadence, .. } = &mut slot.what {
                cadence.followed(now, begins);
            }
            if begins {
                self.begin_follower(place, follower);
            }
        }
        if let Some(due) = self.slots.at(place).and_then(|slot| slot.due()) {
            self.arm(place, due);
        }
    }

    fn begin_follower(&mut self, of: u32, follower: Slot) {
        let place = self.slots.add_nameless(follower);
        if let Some(What::Job { followers, .. }) = self.slots.at(of).map(|slot| &mut slot.what) {
            followers.push(place);
        }
        self.start(place);
    }

    /// A follow-up has ended: it is told as any other probe of its job.
    pub(super) fn followed(
        &mut self,
        of: u32,
        place: u32,
        (started, ended): (Moment, Moment),
        report: Report,
    ) {
        let passed = report.outcome == Outcome::Pass;
        if let Some(What::Job { key, cadence, followers, .. }) = self.slots.at(of).map(|slot| &mut slot.what)
        {
            followers.retain(|follower| *follower != place);
            cadence.told(passed.then_some(report.timings.total));
            self.handover.add(key.finding(started, ended, report), true, ended);
        }
        self.slots.remove_nameless(place);
        self.turns.give_back(Lane::Slow);
        if passed {
            self.overtake(of, started);
        }
        // There is room for another.
        if let Some(due) = self.slots.at(of).and_then(|slot| slot.due()) {
            self.arm(of, due.max(ended));
        }
    }

    /// A probe of a job that began then has passed: what began earlier and follows is dropped.
    pub(super) fn overtake(&mut self, of: u32, passed: Moment) {
        let followers = |slots: &mut Slots| match &mut slots.at(of)?.what {
            What::Job { followers, .. } if !followers.is_empty() => Some(std::mem::take(followers)),
            _ => None,
        };
        let Some(mut all) = followers(&mut self.slots) else { return };
        all.retain(|place| {
            let stays =
                self.slots.at(*place).is_some_and(|slot| slot.began().is_some_and(|began| began >= passed));
            if !stays {
                self.drop_follower(*place);
            }
            stays
        });
        if let Some(What::Job { followers, .. }) = self.slots.at(of).map(|slot| &mut slot.what) {
            *followers = all;
        }
    }

    pub(super) fn drop_follower(&mut self, place: u32) {
        if self.slots.remove_nameless(place).is_some() {
            self.turns.give_back(Lane::Slow);
        }
    }
}
