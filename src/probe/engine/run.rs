//! The loop of an engine.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::Events;

use super::handover::{COMPANY, Handover};
use super::reactor::{self, Reactor};
use super::slots::{Probe, Slot, Slots, State, What};
use super::turns::{self, Lane, Turns};
use super::wheel::Wheel;
use super::wires::Wires;
use super::{COMMANDS, Command, Id, Mailbox};
use crate::clock::Clock;
use crate::decision::{Moment, Outcome, Timings};
use crate::probe::Report;
use crate::probe::cadence::{Cadence, Pace};
use crate::probe::delays::Delays;
use crate::probe::system::{Kit, look};
use crate::probe::tls::Roots;

/// Sockets that are looked after in one turn.
const EVENTS: usize = 1024;
/// How often a probe is driven again at once when it woke itself; then others come first.
const AGAIN: usize = 64;
/// A probe that took more than this share of its time-out is a slow one.
const SLOW: u32 = 2;

/// So many probes are begun between two looks at the sockets: a crowd that is due at one moment must not make those under
/// way look slow.
const BEGINNINGS: usize = 128;
/// After something in the loop itself broke it rests so long: whatever breaks at once again must not fill the log.
const REST: Duration = Duration::from_millis(100);

/// Runs until it is told to stop.
pub(super) fn run(
    (mut poll, registry): (mio::Poll, mio::Registry),
    mailbox: &Mailbox,
    delays: Arc<Delays>,
    clock: Arc<dyn Clock>,
    roots: Roots,
    limit: usize,
) {
    let reactor = Reactor::begin(registry, Arc::clone(&clock), turns::most_spares(limit));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let mut engine = Loop {
        wheel: Wheel::new(reactor.now()),
        kit: Rc::new(Kit::new(clock, roots, turns::most_kept(limit))),
        waker: Waker::from(Arc::clone(&woken)),
        woken,
        reactor,
        slots: Slots::default(),
        limit,
        turns: Turns::new(limit),
        wires: Wires::new(),
        handover: Handover::default(),
        delays,
        commands: VecDeque::new(),
        due: VecDeque::new(),
        admits: false,
    };
    let mut events = Events::with_capacity(EVENTS);
    let mut is_sound = true;
    loop {
        // Probing must go on whatever is wrong with one turn: an agent that is up and sees nothing is worse than none.
        let turn = catch_unwind(AssertUnwindSafe(|| {
            if !std::mem::replace(&mut is_sound, true) {
                engine.begin_anew();
            }
            engine.turn(&mut poll, &mut events, mailbox)
        }));
        match turn {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => {
                tracing::error!(
                    "the engine of probes broke and begins anew; the log has the place, please report it"
                );
                is_sound = false;
                std::thread::sleep(REST);
            }
        }
    }
    drop(engine);
    reactor::end();
}

/// Set by what wakes itself while it is driven; nothing else can wake a probe here.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Loop {
    pub(super) kit: Rc<Kit>,
    pub(super) reactor: Rc<Reactor>,
    pub(super) waker: Waker,
    woken: Arc<Woken>,
    pub(super) slots: Slots,
    wheel: Wheel,
    pub(super) limit: usize,
    pub(super) turns: Turns,
    pub(super) wires: Wires,
    pub(super) handover: Handover,
    delays: Arc<Delays>,
    /// What it was told and has not done.
    commands: VecDeque<Command>,
    /// Those whose time has come.
    due: VecDeque<u32>,
    /// More may wait for a turn than were begun at once.
    admits: bool,
}

impl Loop {
    /// One turn: what it is told, whose time has come, who has a turn, and then what the sockets say. False for the order to
    /// stop.
    fn turn(&mut self, poll: &mut mio::Poll, events: &mut Events, mailbox: &Mailbox) -> bool {
        mailbox.take(&mut self.commands);
        while let Some(command) = self.commands.pop_front() {
            if !self.obey(command) {
                return false;
            }
        }
        let now = self.reactor.read_clock();
        self.fire(now);
        // Before those who wait until there is room: nothing else wakes them.
        self.handover.flush(now);
        self.admit();
        self.handover.flush(self.reactor.now());
        let pause = self.pause();
        self.reactor.asks();
        let polled = poll.poll(events, pause);
        self.reactor.read_clock();
        if let Err(error) = polled {
            // An interruption by a signal is a turn without events; nothing else is known to happen.
            if error.kind() != std::io::ErrorKind::Interrupted {
                tracing::warn!(%error, "the engine of probes cannot wait for its sockets");
                std::thread::sleep(REST);
            }
            return true;
        }
        for event in &*events {
            if event.token() != COMMANDS
                && let Some(place) = self.reactor.note(event)
            {
                self.drive(place);
                self.look_at_tripwire(place);
            }
        }
        true
    }

    /// How long it may wait for sockets and commands.
    fn pause(&self) -> Option<Duration> {
        if self.admits || !self.due.is_empty() {
            return Some(Duration::ZERO);
        }
        let closes = [self.kit.shelf.next_close(), self.reactor.next_close()];
        let news = [self.wheel.next(), self.handover.due()].into_iter().chain(closes);
        news.flatten().min().map(|next| next.since(self.reactor.read_clock()))
    }

    /// After something broke: what was under way is given up, and everything is planned anew.
    fn begin_anew(&mut self) {
        let now = self.reactor.read_clock();
        (self.turns, self.wheel) = (Turns::new(self.limit), Wheel::new(now));
        self.due.clear();
        for place in self.slots.all() {
            let Some(slot) = self.slots.at(place) else { continue };
            slot.armed = None;
            let before = std::mem::replace(&mut slot.state, State::Idle);
            let (is_extra, runs) =
                (matches!(slot.what, What::Follower { .. }), matches!(before, State::Runs { .. }));
            if let What::Job { cadence, followers, .. } = &mut slot.what {
                followers.clear();
                if runs {
                    cadence.ended(now);
                }
            }
            // Whatever broke may break again as it is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(before)));
            if is_extra {
                self.slots.remove_nameless(place);
            } else {
                self.due.push_back(place);
            }
        }
    }

    /// Does as it is told; false for the order to stop.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Tell(out) => self.handover.tell(out),
            Command::Begin(job) => {
                let place = self.slots.add(Slot::of_job(*job));
                self.tend(place);
            }
            Command::Retire(id) => self.retire(id),
            Command::Pace(id, pace) => self.adjust(id, |cadence, told, _, now| {
                *told = pace;
                cadence.set_pace(pace, now);
            }),
            Command::ProbeNow(id) => self.adjust(id, |cadence, _, nudged, _| {
                *nudged = true;
                cadence.nudge();
            }),
            Command::Look(look) => {
                let place = self.slots.add(Slot::of_look(*look));
                self.tend(place);
            }
            Command::Forget(check) => {
                if let Some(check) = check.upgrade() {
                    self.kit.shelf.forget_all(&check);
                }
            }
            Command::Stop => return false,
        }
        true
    }

    fn adjust(&mut self, id: Id, adjust: impl FnOnce(&mut Cadence, &mut Pace, &mut bool, Moment)) {
        let now = self.reactor.now();
        let Some(place) = self.slots.place(id) else { return };
        if let Some(Slot { what: What::Job { cadence, pace, nudged, .. }, .. }) = self.slots.at(place) {
            adjust(cadence, pace, nudged, now);
        }
        self.tend(place);
    }

    /// Drops a job or a look with everything that is under way.
    fn retire(&mut self, id: Id) {
        if let Some(place) = self.slots.place(id) {
            self.wires.remove(&place);
        }
        let Some(slot) = self.slots.remove(id) else { return };
        if let State::Runs { .. } = slot.state {
            self.turns.give_back(slot.lane);
        }
        if let What::Job { followers, .. } = &slot.what {
            for follower in followers {
                self.drop_follower(*follower);
            }
            self.kit.shelf.forget(slot.address, &slot.check);
        }
    }

    fn fire(&mut self, now: Moment) {
        let Loop { wheel, slots, due, .. } = self;
        wheel.fire(now, |place| {
            if let Some(slot) = slots.at(place) {
                slot.armed = slot.armed.filter(|armed| *armed > now);
                due.push_back(place);
            }
        });
        self.kit.shelf.close_idle(now);
        self.reactor.close_old_spares(now);
        for _ in 0..BEGINNINGS {
            let Some(place) = self.due.pop_front() else { break };
            self.tend(place);
        }
    }

    /// Does what is due in a slot, and arms a timer for what will be.
    pub(super) fn tend(&mut self, place: u32) {
        let now = self.reactor.now();
        let Some(slot) = self.slots.at(place) else { return };
        let Some(due) = slot.due() else { return };
        if due > now {
            return self.arm(place, due);
        }
        match slot.state {
            State::Idle => self.begin(place),
            State::Runs { .. } => {
                self.drive(place);
                self.follow_up(place);
            }
            State::Waits => {}
        }
    }

    pub(super) fn arm(&mut self, place: u32, due: Moment) {
        if let Some(slot) = self.slots.at(place)
            && slot.armed.is_none_or(|armed| due < armed)
        {
            slot.armed = Some(due);
            self.wheel.arm(due, place);
        }
    }

    /// Begins a probe, if there is a turn for it; else it waits for one.
    fn begin(&mut self, place: u32) {
        let may = !self.handover.is_blocked();
        self.spare_tripwires();
        let kept = self.kept();
        let Some(slot) = self.slots.at(place) else { return };
        if (may || slot.lane == Lane::Asked) && self.turns.take(slot.lane, kept) {
            self.start(place);
        } else {
            slot.state = State::Waits;
            self.turns.wait(slot.lane, place);
        }
    }

    /// Begins those that waited for a turn.
    fn admit(&mut self) {
        self.admits = false;
        for _ in 0..BEGINNINGS {
            let may = !self.handover.is_blocked();
            let next = self.turns.next(self.kept(), |lane| may || lane == Lane::Asked);
            let Some((place, lane)) = next else { return };
            match self.slots.at(place) {
                Some(slot) if matches!(slot.state, State::Waits) => {
                    slot.lane = lane;
                    self.start(place);
                }
                // It has gone, and perhaps another is in its place that does not wait.
                _ => self.turns.give_back(lane),
            }
        }
        // There may be more.
        self.admits = true;
    }

    /// Begins a probe whose turn was taken.
    pub(super) fn start(&mut self, place: u32) {
        let started = self.reactor.read_clock();
        let kit = Rc::clone(&self.kit);
        let Some(slot) = self.slots.at(place) else { return };
        let (time, urgent) = match &mut slot.what {
            What::Job { cadence, pace, nudged, .. } => {
                if let Some(due) = cadence.steady_due() {
                    self.delays.count(due, started);
                }
                cadence.started(started);
                (slot.check.timeout, std::mem::take(nudged) || *pace == Pace::Fast)
            }
            What::Look { time, .. } => (*time, true),
            What::Follower { .. } => (slot.check.timeout, true),
        };
        let probe: Probe = Box::pin(look(kit, slot.address, Arc::clone(&slot.check), time, started));
        slot.state = State::Runs { probe, started, wake: None, urgent };
        self.make_room();
        self.drive(place);
    }

    /// Drives the probe of a slot, if one is under way.
    fn drive(&mut self, place: u32) {
        let Some(slot) = self.slots.at(place) else { return };
        let again = slot.again();
        let State::Runs { probe, wake, .. } = &mut slot.state else { return };
        let mut cx = Context::from_waker(&self.waker);
        let woken = &self.woken.0;
        let driven = || {
            for _ in 0..AGAIN {
                woken.store(false, Ordering::Relaxed);
                let polled = probe.as_mut().poll(&mut cx);
                if polled.is_ready() || !woken.load(Ordering::Relaxed) {
                    return polled;
                }
            }
            Poll::Pending
        };
        // One probe that breaks must not take the others with it.
        let (polled, wanted) = self.reactor.drive(place, again, || catch_unwind(AssertUnwindSafe(driven)));
        match polled {
            Ok(Poll::Ready(report)) => self.finish(place, report),
            Ok(Poll::Pending) => {
                let again = woken.load(Ordering::Relaxed).then(|| self.reactor.now());
                *wake = again.or(wanted);
                if let Some(due) = slot.due() {
                    self.arm(place, due);
                }
            }
            Err(_) => self.finish(place, broken()),
        }
    }

    fn finish(&mut self, place: u32, report: Report) {
        let ended = self.reactor.read_clock();
        let Some(slot) = self.slots.at(place) else { return };
        let State::Runs { started, urgent, .. } = std::mem::replace(&mut slot.state, State::Idle) else {
            return;
        };
        let lane = slot.lane;
        let slow = report.timings.total > slot.check.timeout / SLOW;
        let (passed, failed) = (report.outcome == Outcome::Pass, matches!(report.outcome, Outcome::Fail(_)));
        match &mut slot.what {
            What::Job { key, cadence, .. } => {
                cadence.told(passed.then_some(report.timings.total));
                slot.lane = if slow { Lane::Slow } else { Lane::Quick };
                // Company that does not come is not waited for: it would cost another turn.
                let alone =
                    self.wheel.next().is_none_or(|next| next > ended + COMPANY) && self.turns.is_calm();
                let urgent = urgent || !passed || alone;
                self.handover.add(key.finding(started, ended, report), urgent, ended);
                cadence.ended(ended);
                self.turns.give_back(lane);
                if passed {
                    self.overtake(place, started);
                    self.hold_tripwire(place);
                } else if failed && let Some(tripwire) = &mut slot.tripwire {
                    tripwire.failed();
                }
                // Not at once, even if it is late: the others come first.
                let due = self.slots.at(place).and_then(|slot| slot.due()).map(|due| due.max(ended));
                if let Some(due) = due {
                    self.arm(place, due);
                }
            }
            What::Follower { of } => {
                let of = *of;
                self.followed(of, place, (started, ended), report);
            }
            What::Look { answer, .. } => {
                if let Some(answer) = answer.take() {
                    // Whoever waited may have gone.
                    let _ = answer.send(report);
                }
                let id = slot.id;
                let _ = self.slots.remove(id);
                self.turns.give_back(lane);
            }
        }
    }
}

/// What a probe says that has failed as a program.
fn broken() -> Report {
    Report {
        outcome: Outcome::Unknown(
            "the probe itself broke; the log has the place, please report it".to_owned(),
        ),
        timings: Timings { total: Duration::ZERO, ..Timings::default() },
        certificate: None,
    }
}
