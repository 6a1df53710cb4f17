//! What surrounds the agents: a zone, a network, a clock, a person; and what must be true of all of it.

use std::collections::BTreeMap;

use failover::decision::{Flapping, Input, Work};
use providers::{AnswerSets, Fault, NonEmpty, RecordSet, RecordType, Snapshot, Swap, Ttl, Values, Version};
use stateright::{Model, Property};

use crate::mind::{HOLD_DOWN_STEPS, Mind, Reading, Writing, address, at, www};

/// How much may happen. The numbers of lost, late, killed and edited are of the whole exploration, not of each agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) agents: usize,
    /// Steps of the clock after the first moment.
    pub(crate) steps: i64,
    pub(crate) losses: u8,
    pub(crate) late: u8,
    pub(crate) kills: u8,
    pub(crate) edits: u8,
    /// With `coordination: zone`?
    pub(crate) marker: bool,
    /// Does a killed agent lose its disk?
    pub(crate) forgets: bool,
}

/// The model.
pub(crate) struct Company {
    pub(crate) bounds: Bounds,
}

/// A swap that took effect.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) struct Applied {
    change: String,
    writer: usize,
    /// The step at which it was decided.
    decided: i64,
    /// The step at which it took effect.
    step: i64,
    target: String,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    step: i64,
    agents: Vec<Mind>,
    answer: BTreeMap<RecordType, RecordSet>,
    marker: Option<RecordSet>,
    applied: Vec<Applied>,
    /// Writes that may still arrive, though nobody waits for them.
    late: Vec<(usize, i64, Work)>,
    refused: u8,
    losses: u8,
    lates: u8,
    kills: u8,
    edits: u8,
}

impl std::hash::Hash for World {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (
            self.step,
            &self.agents,
            &self.applied,
            self.refused,
            self.losses,
            self.lates,
            self.kills,
            self.edits,
        )
            .hash(state);
        format!("{:?}{:?}{:?}", self.answer, self.marker, self.late).hash(state);
    }
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// Time goes on; whoever is not woken stands still.
    Clock,
    /// An agent looks at its targets and at the time.
    Wake(usize),
    /// The provider answers a reading.
    ServeReading(usize),
    /// The agent hears the answer.
    HearReading(usize),
    /// A write arrives at the provider.
    Apply(usize),
    /// The agent hears what came of it.
    HearWriting(usize),
    /// The answer to a write is lost: the agent knows nothing.
    LoseReply(usize),
    /// A write is held up on its way; the agent knows nothing, and it may still arrive.
    HoldUp(usize),
    /// A write arrives twice: now, and perhaps later.
    Double(usize),
    /// One that was held up arrives.
    ArriveLate(usize),
    Kill(usize),
    /// A person points the record elsewhere, and knows nothing of markers.
    Edit,
}

fn answer(target: &str) -> AnswerSets {
    let values = Values::A(NonEmpty::one(address(target).parse().unwrap()));
    AnswerSets::new([RecordSet::new(Ttl(60), values)]).unwrap()
}

fn sets(answer: &AnswerSets) -> BTreeMap<RecordType, RecordSet> {
    answer.iter().map(|set| (set.record_type(), set.clone())).collect()
}

impl World {
    fn snapshot(&self, marker: bool) -> Snapshot {
        Snapshot {
            name: www(),
            sets: self.answer.clone(),
            version: Version::Values,
            marker: self.marker.clone().filter(|_| marker),
            native: serde_json::Value::Null,
        }
    }

    /// Compares and swaps, as RFC 2136 does: all or nothing.
    fn swap(&mut self, writer: usize, decided: i64, work: &Work) -> Result<(), Fault> {
        let Swap { before, after, marker } = &work.swap;
        if before.sets != self.answer || (marker.is_some() && before.marker != self.marker) {
            self.refused = self.refused.saturating_add(1).min(1);
            return Err(Fault::Conflict("it holds something else".into()));
        }
        self.answer = sets(after);
        if marker.is_some() {
            self.marker.clone_from(marker);
        }
        let target = work.targets.first().map(ToString::to_string).unwrap_or_default();
        let change = work.id.clone();
        self.applied.push(Applied { change, writer, decided, step: self.step, target });
        Ok(())
    }
}

impl Model for Company {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            step: 0,
            agents: (0..self.bounds.agents).map(|number| Mind::new(number, self.bounds.marker)).collect(),
            answer: sets(&answer("a")),
            marker: None,
            applied: Vec::new(),
            late: Vec::new(),
            refused: 0,
            losses: 0,
            lates: 0,
            kills: 0,
            edits: 0,
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        let bounds = &self.bounds;
        if world.step < bounds.steps {
            acts.push(Act::Clock);
        }
        for (n, agent) in world.agents.iter().enumerate() {
            if agent.awake < world.step {
                acts.push(Act::Wake(n));
            }
            match &agent.reading {
                Some(Reading::Asked) => acts.push(Act::ServeReading(n)),
                Some(Reading::Answered(_)) => acts.push(Act::HearReading(n)),
                None => {}
            }
            match &agent.writing {
                Some(Writing::Sent(_)) => {
                    acts.push(Act::Apply(n));
                    if world.lates < bounds.late {
                        acts.extend([Act::HoldUp(n), Act::Double(n)]);
                    }
                }
                Some(Writing::Done(_)) => {
                    acts.push(Act::HearWriting(n));
                    if world.losses < bounds.losses {
                        acts.push(Act::LoseReply(n));
                    }
                }
                None => {}
            }
            if world.kills < bounds.kills {
                acts.push(Act::Kill(n));
            }
        }
        acts.extend((0..world.late.len()).map(Act::ArriveLate));
        if world.edits < bounds.edits && world.step > 0 {
            acts.push(Act::Edit);
        }
    }

    fn next_state(&self, last: &World, act: Act) -> Option<World> {
        let mut world = last.clone();
        let step = world.step;
        let now = at(step, 5);
        match act {
            Act::Clock => world.step += 1,
            Act::Wake(n) => world.agents[n].wake(step),
            Act::ServeReading(n) => {
                let seen = world.snapshot(self.bounds.marker);
                world.agents[n].reading = Some(Reading::Answered(seen));
                world.agents[n].settle();
            }
            Act::HearReading(n) => {
                let Some(Reading::Answered(seen)) = world.agents[n].reading.take() else { return None };
                world.agents[n].hear(&now, Input::Read { record: www(), result: Ok(seen) });
            }
            Act::Apply(n) | Act::Double(n) => {
                let Some(Writing::Sent(work)) = world.agents[n].writing.take() else { return None };
                let decided = step_of(&work);
                if act == Act::Double(n) {
                    world.lates += 1;
                    world.late.push((n, decided, Work::clone(&work)));
                }
                let result = world.swap(n, decided, &work);
                world.agents[n].writing = Some(Writing::Done(result));
                world.agents[n].settle();
            }
            Act::HearWriting(n) => {
                let Some(Writing::Done(result)) = world.agents[n].writing.take() else { return None };
                world.agents[n].hear(&now, Input::Written { record: www(), result });
            }
            Act::LoseReply(n) => {
                world.losses += 1;
                world.agents[n].writing = None;
                let result = Err(Fault::Unknown("no answer".into()));
                world.agents[n].hear(&now, Input::Written { record: www(), result });
            }
            Act::HoldUp(n) => {
                let Some(Writing::Sent(work)) = world.agents[n].writing.take() else { return None };
                world.lates += 1;
                world.late.push((n, step_of(&work), Work::clone(&work)));
                let result = Err(Fault::Unknown("no answer".into()));
                world.agents[n].hear(&now, Input::Written { record: www(), result });
            }
            Act::ArriveLate(k) => {
                let (writer, decided, work) = world.late.remove(k);
                // Nobody hears what came of it.
                let _ = world.swap(writer, decided, &work);
            }
            Act::Kill(n) => {
                world.kills += 1;
                // What was sent may arrive all the same.
                if let Some(Writing::Sent(work)) = world.agents[n].writing.take() {
                    world.late.push((n, step_of(&work), Work::clone(&work)));
                }
                world.agents[n].restart(&now, self.bounds.marker, self.bounds.forgets);
            }
            Act::Edit => {
                world.edits += 1;
                let other = if world.answer == sets(&answer("a")) { "b" } else { "a" };
                world.answer = sets(&answer(other));
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![
            Property::always("never a name without an answer", |_, world: &World| !world.answer.is_empty()),
            Property::always("never to a target that its writer knows to be down", |_, world: &World| {
                world.applied.iter().all(|one| one.target == if one.writer % 2 == 0 { "b" } else { "a" })
            }),
            Property::always(
                "a change that was told was made, by the agent that tells it",
                |_, world: &World| {
                    world.agents.iter().enumerate().all(|(n, agent)| {
                        let made = |change: &String| {
                            let it =
                                |one: &Applied| one.writer == n && agent.is_attempt_of(change, &one.change);
                            world.applied.iter().any(it)
                        };
                        agent.told.iter().all(made)
                    })
                },
            ),
            Property::always("changes are hold_down apart", |_, world: &World| {
                world.applied.windows(2).all(|pair| pair[1].decided - pair[0].decided >= HOLD_DOWN_STEPS)
            }),
            Property::sometimes("the record was changed", |_, world: &World| !world.applied.is_empty()),
        ];
        if self.bounds.marker {
            all.push(Property::always("generations are 1, 2, 3 ...", |_, world: &World| {
                let generation = world.marker.as_ref().map_or(0, generation_of);
                generation == world.applied.len() as u64
            }));
        }
        if self.bounds.agents > 1 && self.bounds.steps >= HOLD_DOWN_STEPS {
            all.push(Property::sometimes("both sides changed it", |_, world: &World| {
                world.applied.iter().any(|one| one.writer == 0)
                    && world.applied.iter().any(|one| one.writer == 1)
            }));
        }
        if self.bounds.agents > 2 || self.bounds.edits > 0 || self.bounds.late > 0 {
            all.push(Property::sometimes("a write on an old picture was refused", |_, world: &World| {
                world.refused > 0
            }));
        }
        let _ = Flapping::default();
        all
    }
}

/// The step of the clock at which a change was decided.
fn step_of(work: &Work) -> i64 {
    work.decided.micros().div_euclid(10_000_000)
}

fn generation_of(set: &RecordSet) -> u64 {
    let text = set.values.to_strings().join("");
    let number = text.split("generation=").nth(1).and_then(|rest| rest.split(';').next());
    number.and_then(|number| number.trim().parse().ok()).unwrap_or(u64::MAX)
}

/// The same to the checker: what goes into the hash.
impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let print = |world: &World| {
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(world, &mut hasher);
            std::hash::Hasher::finish(&hasher)
        };
        print(self) == print(other)
    }
}
