//! Fuzz targets as ordinary tests: every file of a corpus, and seeded changes of each, within a time.
//!
//! `FUZZ_SEED` replays the changes of a run (its number is printed by a failure), `FUZZ_SECONDS` gives each target
//! another time than its usual one. What fails is written to a file, to be kept in the corpus: there it is tried first, for ever.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The seed of every ordinary run, so that two runs on one commit try the same.
const SEED: u64 = 2026;
/// Changes of one file at most.
const CHANGES: u64 = 4_000;
/// One input that takes longer hangs, also without optimisation on a busy machine.
const HANGS: Duration = Duration::from_mins(1);
/// No input is longer, bytes.
const LONGEST: usize = 64 * 1024;

/// What begins or ends something, or is the end of a range, in the formats that are read here.
const ODD: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xc0\x0c",
    b"0",
    b"-1",
    b"1e999",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"18446744073709551615",
    b"9999999999999999999999",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b": ",
    b",",
    b"#",
    b"&a ",
    b"*a ",
    b"<<: ",
    b"${",
    b"${X}",
    b"%",
    b"@",
    b"|",
    b"-",
    b".",
    b";",
    b"=",
    b"null",
    b"true",
    b"\xc3\xa9",
    b"\xe2\x80\xa8",
    b"\xf0\x9f\x9a\x80",
    b"\xef\xbb\xbf",
    b"\x1b[31m",
];

/// `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>): small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below this one.
    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.number() % (most.max(1) as u64)).expect("it is below a usize")
    }

    /// A part of something so long, most often a short one.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 8 };
        start..start + self.below(most.min(length - start) + 1)
    }
}

/// One to four changes of `input`; `other` is what may be spliced in.
fn changed(input: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        let part = dice.part(bytes.len());
        match dice.below(8) {
            0 if !bytes.is_empty() => {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            1 if !bytes.is_empty() => {
                let at = dice.below(bytes.len());
                bytes[at] = bytes[at].wrapping_add([1, 255, 16, 128][dice.below(4)]);
            }
            2 => bytes.truncate(part.end),
            3 => drop(bytes.drain(part)),
            4 => {
                let again = bytes[part.clone()].repeat([1, 2, 16, 300][dice.below(4)]);
                drop(bytes.splice(part.end..part.end, again));
            }
            5 => drop(bytes.splice(part.start..part.start, ODD[dice.below(ODD.len())].iter().copied())),
            6 => drop(bytes.splice(part, ODD[dice.below(ODD.len())].iter().copied())),
            _ => drop(bytes.splice(part, other[dice.part(other.len())].iter().copied())),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// Tries `target` with every file of `corpus`, then with changes of each, in turn, for `seconds`.
///
/// # Panics
/// When the target panics, when one input takes more than a minute (the process then ends), and when there is no corpus.
#[expect(clippy::disallowed_methods, reason = "it watches over the time of what it tries")]
pub fn smoke(name: &str, corpus: &Path, target: fn(&[u8]), seconds: u64) {
    let seed = number("FUZZ_SEED").unwrap_or(SEED);
    let time = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(seconds));
    let mut files: Vec<_> = fs::read_dir(corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.expect("a folder that can be read").path())
        .collect();
    files.sort();
    let inputs: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(file).expect("a file of the corpus")).collect();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    let watched = Watched::new(name, seed);
    for (file, input) in files.iter().zip(&inputs) {
        watched.run(target, input, &format!("{} as it is", file.display()));
    }
    let began = Instant::now();
    let mut tried = 0u64;
    'rounds: for round in 0..CHANGES {
        for (place, input) in inputs.iter().enumerate() {
            if began.elapsed() > time {
                break 'rounds;
            }
            // Each change follows from its own number alone: the time decides how many there are, not which.
            let mut own = DefaultHasher::new();
            (seed, name, place, round).hash(&mut own);
            let mut dice = Dice(own.finish());
            let other = &inputs[dice.below(inputs.len())];
            let input = changed(input, other, &mut dice);
            watched.run(target, &input, &format!("change {round} of {}", files[place].display()));
            tried += 1;
        }
    }
    println!("{name}: {} files and {tried} changes of them, seed {seed}", files.len());
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Runs inputs, and tells of the one that panics or does not end.
struct Watched<'a> {
    name: &'a str,
    seed: u64,
    begun: mpsc::Sender<Option<Vec<u8>>>,
}

impl<'a> Watched<'a> {
    fn new(name: &'a str, seed: u64) -> Self {
        let (begun, watched) = mpsc::channel::<Option<Vec<u8>>>();
        let shown = name.to_owned();
        std::thread::spawn(move || {
            let mut running = None;
            loop {
                match (watched.recv_timeout(HANGS), running.take()) {
                    (Ok(next), _) => running = next,
                    (Err(RecvTimeoutError::Disconnected), _) => return,
                    (Err(RecvTimeoutError::Timeout), None) => {}
                    (Err(RecvTimeoutError::Timeout), Some(input)) => {
                        // Past the capture of the test runner, which shows nothing of a process that ends.
                        let told =
                            format!("{shown}: does not end within {HANGS:?}: {}\n", kept(&shown, &input));
                        let _ = std::io::stderr().write_all(told.as_bytes());
                        std::process::abort();
                    }
                }
            }
        });
        Watched { name, seed, begun }
    }

    fn run(&self, target: fn(&[u8]), input: &[u8], what: &str) {
        self.begun.send(Some(input.to_vec())).expect("the watch goes on");
        let ended = catch_unwind(AssertUnwindSafe(|| target(input)));
        self.begun.send(None).expect("the watch goes on");
        assert!(
            ended.is_ok(),
            "{}: {what} fails (FUZZ_SEED={}): {}",
            self.name,
            self.seed,
            kept(self.name, input)
        );
    }
}

/// Writes an input where a person finds it, and says where.
fn kept(name: &str, input: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let file = std::env::temp_dir().join(format!("{name}-{:016x}", hash.finish()));
    match fs::write(&file, input) {
        Ok(()) => format!("kept in {}; mend it and add the file to fuzz/corpus/{name}/", file.display()),
        Err(error) => format!("{error}; it was \"{}\"", input.escape_ascii()),
    }
}
