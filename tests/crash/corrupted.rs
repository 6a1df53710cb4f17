//! A hundred ways in which a state file can be wrong between two runs. The program says what to do about it or nothing
//! at all, and what it writes is right either way.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use testkit::Mode;

use crate::agent::{Done, Site};
use crate::dice::Dice;
use crate::lane::{Lane, on_lanes};
use crate::moment::{After, Moment};
use crate::round::{AWAY, Round};
use crate::stage::{ALPHA, BETA, PRIMARY, Way};
use crate::wire::Weather;

/// Which server, and how many corruptions there.
const LANES: [(Way, u64); 3] = [(Way::Bind, 34); 3];
const PAGE: usize = 4096;

/// The files of a state, as an agent left them.
#[derive(Clone)]
struct Image {
    file: Vec<u8>,
    wal: Vec<u8>,
}

/// What is found by the run that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finds {
    /// The primary works, and the record is there.
    Order,
    /// The primary is dead, and the record is there.
    Outage,
    /// The primary is dead, and the record is at the stand-by already.
    FailedOver,
}

/// bad day: state: damaged in a hundred random ways between two runs | said with the remedy, or harmless; no wrong write
#[test]
fn a_state_that_is_damaged_at_random_never_leads_to_a_wrong_write() {
    let counts = on_lanes(&LANES, 400, Weather::Calm, |lane, times, dice| {
        let images = images(lane);
        let site = lane.stage.site();
        (0..times).map(|n| one_damage(lane, &site, &images, n, dice)).collect::<Vec<_>>()
    });
    let mut kinds: BTreeMap<(Finds, &str), u32> = BTreeMap::new();
    counts
        .iter()
        .flatten()
        .for_each(|(finds, outcome, _)| *kinds.entry((*finds, *outcome)).or_default() += 1);
    let writes: u32 = counts.iter().flatten().map(|(_, _, writes)| writes).sum();
    println!(
        "{} damaged state files {kinds:?}: {writes} writes, all of them due",
        counts.iter().flatten().count()
    );
    let said = kinds.keys().any(|(_, outcome)| *outcome == "said");
    assert!(said, "no damage was ever noticed: damage more: {kinds:?}");
}

/// What agents leave behind: while all is well, or in an outage.
struct Images {
    well: Vec<Image>,
    outage: Vec<Image>,
}

fn images(lane: &mut Lane) -> Images {
    let well = [true, false].map(|stops| {
        let round = lane.round("an image, all is well");
        leave(round, stops)
    });
    // One that ended, one that was killed after its failover, one in the middle of it.
    let outage = [None, Some(After::Told), Some(After::Kept)].map(|after| {
        let round = lane.round("an image, in an outage");
        round.outage();
        match after {
            Some(after) => Moment { after, delay: std::time::Duration::ZERO }.wait(&round),
            None => round.settled(AWAY),
        }
        leave(round, after.is_none())
    });
    Images { well: well.to_vec(), outage: outage.to_vec() }
}

/// The agent stops or is killed; what it leaves.
fn leave(mut round: Round, stops: bool) -> Image {
    if stops {
        round.agent.take().expect("it runs").terminate();
    } else {
        round.kill();
    }
    Image::of(&round.state_file())
}

impl Image {
    fn of(file: &Path) -> Image {
        let wal = fs::read(format!("{}-wal", file.display())).unwrap_or_default();
        Image { file: fs::read(file).unwrap(), wal }
    }

    fn put(&self, file: &Path) {
        fs::write(file, &self.file).unwrap();
        let beside = |end: &str| format!("{}{end}", file.display());
        // What an earlier run left may be there or not.
        let _ = fs::remove_file(beside("-shm"));
        let _ = fs::remove_file(beside("-wal"));
        if !self.wal.is_empty() {
            fs::write(beside("-wal"), &self.wal).unwrap();
        }
    }

    /// Damages it in one way, and says in which.
    fn damage(&mut self, dice: &mut Dice) -> String {
        // Each octet is as likely to be hit as any other: most of a young state is in its log.
        let in_wal = index(dice, self.file.len() + self.wal.len()) >= self.file.len();
        let bytes = if in_wal { &mut self.wal } else { &mut self.file };
        let end = bytes.len();
        let at = |dice: &mut Dice| index(dice, end);
        let what = match dice.below(7) {
            0 => {
                let flips = 1 + dice.below(16);
                for _ in 0..flips {
                    let place = at(dice);
                    bytes[place] ^= 1 << dice.below(8);
                }
                format!("{flips} bits flipped")
            }
            1 => {
                let range = piece(at(dice), 1 + index(dice, 2 * PAGE), end);
                bytes[range.clone()].iter_mut().for_each(|octet| *octet = dice.octet());
                format!("noise at {range:?}")
            }
            2 => {
                let range = piece(at(dice) / PAGE * PAGE, PAGE, end);
                bytes[range.clone()].fill(0);
                format!("zeros at {range:?}")
            }
            3 => {
                let length = at(dice);
                bytes.truncate(length);
                format!("cut at {length}")
            }
            4 => {
                let (from, to) = (at(dice) / PAGE * PAGE, at(dice) / PAGE * PAGE);
                let page = bytes[piece(from, PAGE, end)].to_vec();
                let range = piece(to, page.len(), end);
                bytes[range.clone()].copy_from_slice(&page[..range.len()]);
                format!("page at {from} over {to}")
            }
            5 => {
                // The header: https://www.sqlite.org/fileformat.html#the_database_header
                let place = index(dice, 100.min(end));
                bytes[place] = dice.octet();
                format!("octet {place}")
            }
            _ => {
                let range = piece(at(dice), 1 + index(dice, PAGE), end);
                bytes.drain(range.clone());
                format!("{range:?} taken out")
            }
        };
        format!("{what} of {end} in the {}", if in_wal { "-wal" } else { "file" })
    }
}

fn index(dice: &mut Dice, end: usize) -> usize {
    usize::try_from(dice.below(end.max(1) as u64)).expect("below a usize")
}

fn piece(start: usize, length: usize, end: usize) -> Range<usize> {
    start..(start + length).min(end)
}

fn one_damage(
    lane: &Lane,
    site: &Site,
    images: &Images,
    n: u64,
    dice: &mut Dice,
) -> (Finds, &'static str, u32) {
    let finds = [Finds::Order, Finds::Outage, Finds::FailedOver][index(dice, 3)];
    // One that ended has all its pages in the file, where nothing else guards them.
    let images = if finds == Finds::Order { &images.well } else { &images.outage };
    let mut image = images[index(dice, images.len() + 1).saturating_sub(1)].clone();
    let damage = image.damage(dice);
    image.put(&site.path("failover.db"));
    let stage = &lane.stage;
    stage.backend.set(PRIMARY, &if finds == Finds::Order { Mode::Ok } else { Mode::Closed });
    stage.publish(&[if finds == Finds::FailedOver { BETA } else { ALPHA }]);
    let serial = stage.serial();

    let once = site.once(&["--detailed-exitcode"]);

    let writes = stage.serial() - serial;
    let due = (u32::from(finds == Finds::Outage), if finds == Finds::Order { ALPHA } else { BETA });
    let happened = format!("{n}: {damage}, {finds:?}: {once:#?}");
    assert_eq!((writes, stage.answer().join(" ").as_str()), due, "{happened}");
    // 0: in the desired state; 5: it is now, and that may have been the write of a run that was killed.
    let codes: &[i32] = match finds {
        Finds::Order => &[0],
        Finds::Outage => &[5],
        Finds::FailedOver => &[0, 5],
    };
    assert!(codes.contains(&once.code), "{happened}");
    // Whoever asks what is there gets an answer, or hears what to do.
    let status = site.failover(&["status"]);
    assert!([0, 1].contains(&status.code), "{happened}\n{status:#?}");
    outcome(&status, &happened);
    (finds, outcome(&once, &happened), writes)
}

/// Was the damage said, with what to do about it?
#[track_caller]
fn outcome(done: &Done, happened: &str) -> &'static str {
    let text = done.text();
    assert!(!text.contains("panicked"), "{happened}\n{text}");
    if !text.contains("the state cannot be kept") && done.code != 1 {
        return "not noticed";
    }
    let remedies = [
        "move it away (mv ",
        "run that version, or point agent.state at another file",
        // One octet of the header makes a file that `SQLite` may only read.
        "look at the disk, and at the owner and mode of the file",
    ];
    assert!(remedies.iter().any(|remedy| text.contains(remedy)), "no remedy: {text}: {happened}");
    "said"
}
