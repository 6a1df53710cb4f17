//! Which slots hold a tripwire, and which give theirs up when descriptors become few.

use std::collections::BTreeSet;
use std::task::Context;
use std::time::Duration;

use super::run::Loop;
use super::slots::What;
use super::turns::most_kept;

/// The slots that hold one.
pub(super) type Wires = BTreeSet<u32>;

impl Loop {
    /// Connections that have no turn, and a descriptor.
    pub(super) fn kept(&self) -> usize {
        self.kit.shelf.len() + self.wires.len()
    }

    /// Gives up spare sockets: what runs, and what is kept, come first.
    pub(super) fn make_room(&self) {
        self.reactor.most_spares(self.turns.room(self.kept()));
    }

    /// After a probe that passed: looks once more if it was for a tripwire that broke, and holds another if one is wanted and
    /// there is room for it.
    pub(super) fn hold_tripwire(&mut self, place: u32) {
        let (now, room) = (self.reactor.now(), self.turns.room(self.kept()));
        let Some(slot) = self.slots.at(place) else { return };
        if let (Some(tripwire), What::Job { cadence, .. }) = (&mut slot.tripwire, &mut slot.what)
            && tripwire.passed()
        {
            cadence.hasten(now);
        }
        let Some(tripwire) = slot.tripwire.as_mut().filter(|tripwire| tripwire.may_be_held(now)) else {
            return;
        };
        // A quarter is for probes: given up below, and made above it, none is made only to be given up.
        if room > self.limit - most_kept(self.limit) {
            tripwire.hold(slot.address, &slot.check, now);
            self.wires.insert(place);
            self.make_room();
            self.look_at_tripwire(place);
        }
    }

    /// There was news of a slot: if its tripwire broke, it is probed.
    pub(super) fn look_at_tripwire(&mut self, place: u32) {
        let now = self.reactor.now();
        let Some(slot) = self.slots.at(place) else { return };
        let Some(tripwire) = slot.tripwire.as_mut().filter(|tripwire| tripwire.is_held()) else { return };
        let mut cx = Context::from_waker(&self.waker);
        let look = || tripwire.is_broken(&slot.check, now, &mut cx);
        // Its socket serves this once.
        let (broken, _) = self.reactor.drive(place, Duration::MAX, look);
        if !tripwire.is_held() {
            self.wires.remove(&place);
        }
        if broken {
            if let What::Job { cadence, .. } = &mut slot.what {
                cadence.hasten(now);
            }
            self.tend(place);
        }
    }

    /// Gives up as many tripwires as stand in the way of probes and of connections that are kept for probes.
    pub(super) fn spare_tripwires(&mut self) {
        let now = self.reactor.now();
        while self.turns.room(self.kept()) == 0 || self.kept() > most_kept(self.limit) {
            let Some(place) = self.wires.pop_last() else { return };
            if let Some(tripwire) = self.slots.at(place).and_then(|slot| slot.tripwire.as_mut()) {
                tripwire.give_up(now);
            }
        }
    }
}
