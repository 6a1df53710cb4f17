//! What judgement costs, in time: `cargo bench -p failover-sim`. `bench/instructions` counts instructions instead, which noise
//! does not move.

#![allow(missing_docs, reason = "a benchmark has no callers")]

mod stage;

use divan::Bencher;
use failover::decision::{Effect, Moment, Outcome, Thresholds, Tracker};
use stage::Stage;

fn main() {
    divan::main();
}

/// One probe that says what was known, of so many targets, with half as many records.
#[divan::bench(args = [100, 10_000, 100_000, 1_000_000], sample_count = 20, sample_size = 10_000)]
fn a_probe_that_passes(bencher: Bencher, targets: usize) {
    let mut stage = Stage::new(targets, (targets / 2).min(10_000));
    bencher.bench_local(|| stage.pass());
}

/// Counting alone.
#[divan::bench(args = [100, 10_000, 1_000_000], sample_count = 20, sample_size = 10)]
fn a_tracker_counts(bencher: Bencher, times: usize) {
    let thresholds = Thresholds { fall: 3, rise: 3, clear: 6 };
    bencher.bench_local(|| {
        let mut tracker = Tracker::default();
        for number in 0..times {
            let outcome = if number % 7 == 0 { Outcome::Fail(String::new()) } else { Outcome::Pass };
            tracker.count(Moment::ZERO, &outcome, thresholds);
        }
        tracker
    });
}

/// One site dies under so many records: from the probe that makes it Down to the readings that are asked for.
#[divan::bench(args = [1, 100, 10_000], sample_count = 10, sample_size = 1)]
fn a_site_fails(bencher: Bencher, records: usize) {
    bencher
        .with_inputs(|| {
            let mut stage = Stage::new(2, records);
            stage.site_is_about_to_fail(0);
            stage
        })
        .bench_local_values(|mut stage| {
            let effects = stage.fail(0);
            assert!(effects.iter().filter(|effect| matches!(effect, Effect::Read(_))).count() == records);
            (stage, effects)
        });
}

/// The readings come: from them to the changes that are asked for.
#[divan::bench(args = [1, 100, 10_000], sample_count = 10, sample_size = 1)]
fn its_records_are_judged(bencher: Bencher, records: usize) {
    bencher
        .with_inputs(|| {
            let mut stage = Stage::new(2, records);
            stage.site_is_about_to_fail(0);
            let _ = stage.fail(0);
            let reads = stage.reads(0);
            (stage, reads)
        })
        .bench_local_values(|(mut stage, reads)| {
            let effects: Vec<Effect> = reads.into_iter().flat_map(|read| stage.take(read)).collect();
            let writes = effects.iter().filter(|effect| matches!(effect, Effect::Write(_))).count();
            assert_eq!(writes, records, "every record is changed");
            (stage, effects)
        });
}
