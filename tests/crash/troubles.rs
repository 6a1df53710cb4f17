//! The agent's own machine fails it in the middle of a failover: the disk is full, the state file is held by somebody
//! else, overwritten, cut off or gone, no file descriptor is left, a second agent is started. And in the middle of that
//! it may be killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;

use crate::agent::PATIENCE;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::lane::{Lane, on_lanes};
use crate::moment::{After, Moment};
use crate::round::Round;
use crate::stage::Way;
use crate::wire::Weather;

const LANES: [(Way, usize); 2] = [(Way::Bind, 21), (Way::PowerDnsUpdate, 21)];
/// The longest that a trouble lasts which ends.
const LASTS: Duration = Duration::from_secs(3);
const LATENCY: Duration = Duration::from_millis(12);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    DiskFull,
    Locked,
    NoDescriptors,
    SecondAgent,
    Overwritten,
    CutOff,
    Gone,
}

const ALL: [Trouble; 7] = [
    Trouble::DiskFull,
    Trouble::Locked,
    Trouble::NoDescriptors,
    Trouble::SecondAgent,
    Trouble::Overwritten,
    Trouble::CutOff,
    Trouble::Gone,
];

impl Trouble {
    /// What is kept meanwhile is lost with the agent.
    fn forgets(self) -> bool {
        !matches!(self, Trouble::NoDescriptors | Trouble::SecondAgent)
    }

    /// The file is another one afterwards than the agent made it.
    fn damages(self) -> bool {
        matches!(self, Trouble::Overwritten | Trouble::CutOff | Trouble::Gone)
    }
}

/// bad day: agent: disk, state file or descriptors taken away in a failover, and killed in it | one write
#[test]
fn whatever_the_machine_takes_away_in_a_failover_it_is_one_write() {
    let counts = on_lanes(&LANES, 300, Weather::Far(LATENCY), |lane, times, dice| {
        let play = |n: usize| {
            let trouble = ALL[n % ALL.len()];
            // Each is played without a kill and with one.
            (trouble, one_trouble(lane, trouble, (n / ALL.len()) % 2 == 1, dice))
        };
        (0..times).map(play).collect::<Vec<_>>()
    });
    let mut played: BTreeMap<Trouble, u32> = BTreeMap::new();
    counts.iter().flatten().for_each(|(trouble, _)| *played.entry(*trouble).or_default() += 1);
    let writes: u32 = counts.iter().flatten().map(|(_, writes)| writes).sum();
    println!("{} failovers in trouble {played:?}: {writes} writes", played.values().sum::<u32>());
    assert_eq!(writes, played.values().sum::<u32>(), "one write a failover");
}

fn one_trouble(lane: &mut Lane, trouble: Trouble, killed: bool, dice: &mut Dice) -> u32 {
    let any = Moment::any(dice, lane.whole);
    // What is over must not come too late to be noticed.
    let moment = if any.after == After::Told { Moment { after: After::Outage, ..any } } else { any };
    let lasts = dice.within(LASTS);
    let name = format!("{trouble:?} at {moment:?} for {lasts:?}, killed: {killed}");
    let disk = Disk::new();
    let mut round = if trouble == Trouble::DiskFull {
        let config = lane.stage.config().replace("{folder}/failover.db", &disk.inside("failover.db"));
        lane.round_in(&name, &config, disk.place(), disk.outside("failover.db"))
    } else {
        lane.round(&name)
    };
    // The first write that fails is waited for, longer than a verdict of so fast a check stays fresh.
    round.also.extend(["state.unwritable", "state.recovered", "target.unknown"]);
    if trouble == Trouble::NoDescriptors {
        round.also.extend(["provider.unavailable", "provider.recovered", "failover.failed"]);
    }
    round.outage();
    moment.wait(&round);
    let lock = begin(trouble, &round, &disk, dice);
    round.damaged = trouble.damages();
    std::thread::sleep(lasts / 2);
    if killed {
        round.forgot = trouble.forgets();
        round.kill();
        round.start();
    }
    std::thread::sleep(lasts / 2);
    end(trouble, &round, &disk, lock);
    round.in_the_end()
}

fn begin(trouble: Trouble, round: &Round, disk: &Disk, dice: &mut Dice) -> Option<Connection> {
    let file = round.state_file();
    match trouble {
        Trouble::DiskFull => disk.fill(),
        Trouble::Locked => {
            let other = Connection::open(&file).unwrap();
            other.busy_timeout(PATIENCE).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Some(other);
        }
        Trouble::NoDescriptors => descriptors(round, 4),
        Trouble::SecondAgent => {
            let second = round.site.failover(&["run"]);
            assert_eq!(second.code, 1, "{second:?}");
            assert!(second.err.contains("agent.state"), "what to do: {second:?}");
        }
        Trouble::Overwritten => {
            let length = fs::metadata(&file).unwrap().len();
            let noise: Vec<u8> = (0..2000).map(|_| dice.octet()).collect();
            File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .write_all_at(&noise, dice.below(length))
                .unwrap();
        }
        Trouble::CutOff => {
            let open = File::options().write(true).open(&file).unwrap();
            open.set_len(dice.below(open.metadata().unwrap().len())).unwrap();
        }
        Trouble::Gone => forget(round),
    }
    None
}

fn end(trouble: Trouble, round: &Round, disk: &Disk, lock: Option<Connection>) {
    match trouble {
        Trouble::DiskFull => disk.free(),
        Trouble::NoDescriptors => descriptors(round, 1024),
        _ => drop(lock),
    }
}

/// Removes the state file as [`Trouble::Gone`] does.
pub(crate) fn forget(round: &Round) {
    for end in ["", "-wal", "-shm"] {
        // Not all of them are there at every moment.
        let _ = fs::remove_file(format!("{}{end}", round.state_file().display()));
    }
}

/// Sets how many file descriptors the running agent may have; what it has it keeps.
fn descriptors(round: &Round, limit: u32) {
    let pid = round.agent.as_ref().expect("it runs").pid().to_string();
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={limit}:")]).status();
    assert!(status.expect("prlimit (util-linux) is there").success());
}
