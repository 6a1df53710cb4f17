//! A whole day of everything that can go wrong, one thing a minute, by a seed: targets that flap, a provider with every
//! fault, a chat that is down, people who edit, clocks that jump, a process that stands still or is killed, a cut line.
//! Then peace. The promises hold all the while, and neither the memory nor the state file has grown.
//!
//! A binary of its own, so that nothing else is in the memory that is measured.

#![expect(clippy::unwrap_used, reason = "a story that cannot set its stage fails")]

#[expect(dead_code, reason = "shared with the stories of the whole agent")]
#[path = "agent/chat.rs"]
mod chat;
#[path = "agent/clock.rs"]
mod clock;
#[expect(dead_code, reason = "shared with the stories of the whole agent")]
#[path = "agent/hosts.rs"]
mod hosts;
#[expect(dead_code, reason = "shared with the stories of the whole agent")]
#[path = "agent/nameservers.rs"]
mod nameservers;
#[expect(dead_code, reason = "shared with the stories of the whole agent")]
#[path = "agent/stage.rs"]
mod stage;

use std::time::Duration;

use failover::decision::RecordStatus;
use failover::store::Store;
use providers::mock::{FaultStep, Trouble};
use tokio::time::advance;

use chat::Mood;
use hosts::Host;
use nameservers::Manner;
use stage::{Kept, MONTREAL, Stage, TORONTO, WWW, www};

/// How much more memory the process may use at the end of the day than after its first hours. What the stage itself
/// remembers (every message, every write) is in it.
const GROWTH: u64 = 24 << 20;
/// How large the state file may be after the day.
const FILE: u64 = 24 << 20;

/// Chance that is the same every time (a linear congruential generator, the constants of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.throw(all.len() as u64)).unwrap()]
    }
}

/// Bytes of this process in memory (`proc(5)`, `VmRSS`).
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn something_happens(stage: &Stage, dice: &mut Dice) {
    match dice.throw(20) {
        0..=4 => {
            let host = dice.of(&[Host::Refuses, Host::Hangs, Host::Alternates, Host::NoRoute, Host::Refuses]);
            stage.host(dice.of(&["toronto", "toronto", "montreal"]), host);
        }
        5..=9 => ["toronto", "montreal"].into_iter().for_each(|target| stage.host(target, Host::Works)),
        10 => {
            let trouble = dice.of(&[0, 1, 2, 3, 4, 5, 6]);
            let trouble = match trouble {
                0 => Trouble::Refuse,
                1 => Trouble::ErrorBefore,
                2 => Trouble::ErrorAfter,
                3 => Trouble::LoseReply,
                4 => Trouble::Throttle(None),
                5 => Trouble::Deny,
                _ => Trouble::Hang,
            };
            let times = usize::try_from(dice.throw(9) + 1).unwrap();
            stage.script([FaultStep::on_swap(trouble).times(times)]);
        }
        11 => {
            let trouble = if dice.throw(2) == 0 { Trouble::Refuse } else { Trouble::Throttle(None) };
            stage.script([FaultStep::on_read(trouble).times(20)]);
        }
        12 => stage.chat.set(dice.of(&[Mood::Hangs, Mood::Fails])),
        13 => stage.chat.set(Mood::Takes),
        14 => stage.edit(WWW, dice.of(&[&[TORONTO], &[MONTREAL], &["192.0.2.99"], &[] as &[&str]])),
        15 => stage.step_wall_clock(dice.of(&[3600, -3600])),
        16 => advance(Duration::from_mins(10)).await,
        17 => {
            stage.uplink(Host::Hangs);
            stage.pass(dice.throw(120)).await;
            stage.uplink(Host::Works);
        }
        18 => {
            let manner = dice.of(&[0, 1]);
            if manner == 0 {
                stage.nameservers.freeze("ns2", &www());
            } else {
                stage.nameservers.set("ns2", Manner::Silent);
            }
        }
        _ => {
            stage.crash().await;
            stage.pass(dice.throw(60)).await;
            stage.start().await;
        }
    }
}

/// All is well again, and a person repairs the record.
async fn peace(stage: &Stage) {
    stage.mock.clear_script();
    stage.uplink(Host::Works);
    stage.chat.set(Mood::Takes);
    stage.nameservers.set("ns2", Manner::Honest);
    if stage.www() != TORONTO && stage.www() != MONTREAL {
        stage.edit(WWW, &[TORONTO]);
    }
    stage.pass(600).await;
}

/// bad day: everything: 24 hours of all of it | memory and state stay bounded, every queue empties, every write is told
#[tokio::test(start_paused = true)]
async fn a_day_of_everything_leaves_nothing_behind() {
    let seed = 20_261_122;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    // In memory where there is such a disk: the day has many commits, each of which waits for the disk.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let file = folder.path().join("failover.db");
    let mut stage = Stage::new().await;
    stage.kept = Kept::Store(Store::open(&file).unwrap());
    stage.start_and_settle().await;
    let begun = stage.true_wall();
    let mut after_two_hours = 0;
    let mut hour = 0;
    while hour < 24 {
        something_happens(&stage, &mut dice).await;
        stage.pass(60).await;
        assert!(stage.mock.violations().is_empty(), "{:?}", stage.mock.violations());
        let now = stage.true_wall().duration_since(begun).as_hours();
        if now > hour {
            hour = now;
            peace(&stage).await;
            if hour == 2 {
                after_two_hours = memory();
            }
        }
    }
    // Whatever waits (the longest pause of a message is an hour) comes to its end.
    stage.pass(2 * 3600).await;
    let grown = memory().saturating_sub(after_two_hours);
    let size = std::fs::metadata(&file).unwrap().len();
    let (told, writes) = (stage.kinds().len(), stage.writes());
    println!("{writes} writes, {told} messages, {} kB more memory, {} kB of state", grown >> 10, size >> 10);

    assert!(writes >= 20 && told >= 100, "an eventful day");
    assert_eq!(stage.record_status().await.status, RecordStatus::InSync, "{:#?}", stage.lines());
    let Kept::Store(store) = &stage.kept else { unreachable!("a stage keeps a store") };
    assert_eq!(store.pending().await.unwrap(), 0, "every lane is empty");
    assert!(store.load(None, stage.true_wall()).await.unwrap().open_changes.is_empty(), "no change is open");
    // No write without news. A person may undo a write before it is proved: then the news is that it failed, or drift.
    let changes = ["failover.completed", "failback.completed", "adjust.completed"];
    let completed: usize = changes.iter().map(|kind| stage.heard(kind).len()).sum();
    let doubtful: usize = ["failover.failed", "failback.failed", "adjust.failed", "drift.detected"]
        .iter()
        .map(|kind| stage.heard(kind).len())
        .sum();
    assert!(
        completed <= writes && writes <= completed + doubtful,
        "{completed} of {writes}: {:#?}",
        stage.lines()
    );
    assert!(grown < GROWTH, "{grown} bytes more memory");
    assert!(size < FILE, "a state file of {size} bytes");
    stage.check();
}
