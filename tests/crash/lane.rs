//! One server and everything around it, for one failover after the other. Lanes run side by side: they mostly wait.

use std::thread;
use std::time::Duration;

use crate::dice::{Dice, seed};
use crate::relay::Protocol;
use crate::stage::{Settings, Stage, Way};
use crate::wire::{Weather, Wire};

/// Plays a story on each of these servers, as often as it says there, with dice of its own; what each of them counted.
/// `first`: no two tests play with the same dice.
pub(crate) fn on_lanes<T: Copy + Send, R: Send>(
    lanes: &[(Way, T)],
    first: u64,
    weather: Weather,
    story: impl Fn(&mut Lane, T, &mut Dice) -> R + Sync,
) -> Vec<R> {
    let seed = seed();
    let lanes = (first..)
        .zip(lanes)
        .map(|(place, (way, times))| (format!("{way:?} {place}"), (*way, *times, Dice::new(seed, place))));
    side_by_side(lanes.collect(), |(way, times, mut dice)| {
        let mut lane = Lane::start(way, &mut dice, weather);
        story(&mut lane, times, &mut dice)
    })
}

/// A stage on which many failovers are played, each with an agent, a state file and a serial of its own.
pub(crate) struct Lane {
    pub(crate) way: Way,
    pub(crate) stage: Stage,
    /// The network between the agent and the provider.
    pub(crate) wire: Wire,
    /// The one between the agent and the name server, where that is another.
    names: Option<Wire>,
    /// How long a failover takes here, from the outage to its message.
    pub(crate) whole: Duration,
}

/// Probes so fast that a failover is over in half a second.
const CHECK: &str = "interval: 600ms, fast_interval: 50ms, timeout: 600ms, fall: 3, rise: 1, clear: 1";

impl Lane {
    /// A lane with this weather, and the first failover on it, which nobody disturbs and which shows how long one takes.
    pub(crate) fn start(way: Way, dice: &mut Dice, weather: Weather) -> Lane {
        let mut stage = Stage::start(way);
        stage.settings = Settings { check: CHECK, failback_after: "1h", ..Settings::default() };
        let (protocol, server) = stage.provider();
        let wire = Wire::start(protocol, server, dice.another());
        stage.reach_by(wire.address());
        // DNS goes one way for updates and questions; an HTTP API has its own.
        let names = (protocol == Protocol::Http)
            .then(|| Wire::start(Protocol::Dns, stage.server.dns(), dice.another()));
        stage.nameservers = vec![names.as_ref().unwrap_or(&wire).address()];
        let mut lane = Lane { way, stage, wire, names, whole: Duration::ZERO };
        lane.set(weather);
        let begun = now();
        let mut round = lane.round("undisturbed");
        let ready = now();
        round.outage();
        round.wait_told();
        let whole = now() - ready;
        round.in_the_end();
        println!("{way:?}: a failover that nobody disturbs takes {whole:?}, its round {:?}", now() - begun);
        lane.whole = whole;
        lane
    }

    /// Changes the weather on all its ways.
    pub(crate) fn set(&self, weather: Weather) {
        self.wires().for_each(|wire| wire.set(weather));
    }

    /// Its networks.
    pub(crate) fn wires(&self) -> impl Iterator<Item = &Wire> {
        [&self.wire].into_iter().chain(&self.names)
    }
}

/// Plays on lanes side by side; what each of them counted. A failure of one is the failure of all, after their end.
fn side_by_side<T: Send, R: Send>(lanes: Vec<(String, T)>, play: impl Fn(T) -> R + Sync) -> Vec<R> {
    let play = &play;
    thread::scope(|scope| {
        let start = |(name, lane): (String, T)| {
            let thread = thread::Builder::new().name(name.clone());
            (name, thread.spawn_scoped(scope, move || play(lane)).expect("a thread"))
        };
        let playing: Vec<_> = lanes.into_iter().map(start).collect();
        let ended: Vec<_> = playing.into_iter().map(|(name, thread)| (name, thread.join())).collect();
        let failed: Vec<&str> =
            ended.iter().filter_map(|(name, result)| result.is_err().then_some(name.as_str())).collect();
        assert!(failed.is_empty(), "failed: {}", failed.join(", "));
        ended.into_iter().filter_map(|(_, result)| result.ok()).collect()
    })
}

#[expect(clippy::disallowed_methods, reason = "how long a real failover takes is real time")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
