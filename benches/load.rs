//! So many probes that pass, of so many targets: what `bench/instructions` counts the instructions of.
//!
//! `load TARGETS PROBES`

#![allow(missing_docs, reason = "a benchmark has no callers")]

#[allow(dead_code, reason = "the benchmarks by time need more of it")]
mod stage;

use stage::Stage;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [targets, probes] = numbers[..] else { panic!("usage: load TARGETS PROBES") };
    let mut stage = Stage::new(targets, targets / 2);
    for _ in 0..probes {
        stage.pass();
    }
}
