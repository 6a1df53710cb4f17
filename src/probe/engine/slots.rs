//! What is probed, or was asked for once, and where it stands.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::tripwire::Tripwire;
use super::turns::Lane;
use super::{EngineJob, Id, Look};
use crate::decision::Moment;
use crate::probe::cadence::{Cadence, Pace};
use crate::probe::{Check, JobKey, Report};

/// A probe under way.
pub(super) type Probe = Pin<Box<dyn Future<Output = Report>>>;

/// A job or a look, in its place in the engine.
pub(super) struct Slot {
    pub(super) id: Id,
    pub(super) address: IpAddr,
    pub(super) check: Arc<Check>,
    pub(super) what: What,
    pub(super) state: State,
    pub(super) lane: Lane,
    /// The next timer that is armed for it. There may be later ones; they find nothing to do.
    pub(super) armed: Option<Moment>,
    /// If its check asks for one.
    pub(super) tripwire: Option<Box<Tripwire>>,
}

pub(super) enum What {
    Job {
        key: JobKey,
        cadence: Cadence,
        pace: Pace,
        /// It was told to probe now.
        nudged: bool,
        /// Where its follow-ups are, those begun first in front.
        followers: Vec<u32>,
    },
    /// Another probe of the job in that place, whose own is not answered.
    Follower { of: u32 },
    /// Until it begins it knows who waits, and after it as well.
    Look { time: Duration, answer: Option<oneshot::Sender<Report>> },
}

pub(super) enum State {
    Idle,
    /// Due, and waits for its turn.
    Waits,
    Runs {
        probe: Probe,
        started: Moment,
        /// When it wants to be driven again at the latest.
        wake: Option<Moment>,
        /// It was begun out of turn: somebody waits for what it finds.
        urgent: bool,
    },
}

impl Slot {
    pub(super) fn of_job(job: EngineJob) -> Slot {
        let EngineJob { id, key, address, check, cadence } = job;
        let what = What::Job { key, cadence, pace: Pace::Steady, nudged: false, followers: Vec::new() };
        let tripwire = check.tripwire.then(Box::default);
        Slot { id, address, check, what, state: State::Idle, lane: Lane::Quick, armed: None, tripwire }
    }

    pub(super) fn of_look(look: Look) -> Slot {
        let Look { id, address, check, time, answer } = look;
        let what = What::Look { time, answer: Some(answer) };
        Slot { id, address, check, what, state: State::Idle, lane: Lane::Asked, armed: None, tripwire: None }
    }

    /// A follow-up of the job in that place.
    pub(super) fn following(&self, place: u32) -> Slot {
        let (address, check, what) = (self.address, Arc::clone(&self.check), What::Follower { of: place });
        Slot {
            id: self.id,
            address,
            check,
            what,
            state: State::Idle,
            lane: Lane::Slow,
            armed: None,
            tripwire: None,
        }
    }

    /// In how long at most such a probe is made again.
    pub(super) fn again(&self) -> Duration {
        match &self.what {
            What::Job { .. } => self.check.interval,
            What::Follower { .. } | What::Look { .. } => Duration::MAX,
        }
    }

    /// When its probe under way began.
    pub(super) fn began(&self) -> Option<Moment> {
        if let State::Runs { started, .. } = &self.state { Some(*started) } else { None }
    }

    /// When another probe should follow the one under way.
    pub(super) fn follow_up(&self) -> Option<Moment> {
        match (&self.state, &self.what) {
            (State::Runs { .. }, What::Job { key: JobKey::Endpoint(_), cadence, followers, .. })
                if followers.len() + 1 < self.check.fall as usize =>
            {
                cadence.follow_up()
            }
            _ => None,
        }
    }

    /// When it has something to do without any news.
    pub(super) fn due(&self) -> Option<Moment> {
        match (&self.state, &self.what) {
            (State::Runs { wake, .. }, _) => wake.iter().copied().chain(self.follow_up()).min(),
            (State::Idle, What::Job { cadence, .. }) => Some(cadence.due()),
            (State::Idle, What::Look { .. } | What::Follower { .. }) => Some(Moment::ZERO),
            (State::Waits, _) => None,
        }
    }
}

/// All slots of one engine.
#[derive(Default)]
pub(super) struct Slots {
    all: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    places: BTreeMap<Id, u32>,
}

impl Slots {
    pub(super) fn add(&mut self, slot: Slot) -> u32 {
        let id = slot.id;
        let place = self.add_nameless(slot);
        self.places.insert(id, place);
        place
    }

    /// One that is known by its place alone.
    pub(super) fn add_nameless(&mut self, slot: Slot) -> u32 {
        let slot = Some(Box::new(slot));
        if let Some(place) = self.free.pop() {
            self.all[place as usize] = slot;
            return place;
        }
        self.all.push(slot);
        u32::try_from(self.all.len() - 1).expect("a configuration has fewer targets than that")
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Box<Slot>> {
        let place = self.places.remove(&id)?;
        self.remove_nameless(place)
    }

    pub(super) fn remove_nameless(&mut self, place: u32) -> Option<Box<Slot>> {
        let slot = self.all.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(slot)
    }

    /// All places, taken or free.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        (0..).take(self.all.len())
    }

    pub(super) fn place(&self, id: Id) -> Option<u32> {
        self.places.get(&id).copied()
    }

    pub(super) fn at(&mut self, place: u32) -> Option<&mut Slot> {
        self.all.get_mut(place as usize)?.as_deref_mut()
    }
}
