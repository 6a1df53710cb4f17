//! How late probes begin: whether an agent keeps its cadence.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decision::{Delay, Moment};

/// Bounds are powers of two, from 256 µs on; the last one stands for all above, 17 s and more.
const SHORTEST_BITS: u32 = 8;
const BUCKETS: usize = 18;

/// Counts the delays of one engine. One thread counts, any may read.
#[derive(Debug, Default)]
pub(super) struct Delays {
    buckets: [AtomicU64; BUCKETS],
}

impl Delays {
    /// A probe that was due then begins now.
    pub(super) fn count(&self, due: Moment, now: Moment) {
        let late = u64::try_from(now.since(due).as_micros()).unwrap_or(u64::MAX);
        let bits = u64::BITS - late.saturating_sub(1).leading_zeros();
        let bucket = bits.saturating_sub(SHORTEST_BITS) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// All bounds that are of use, those in front even if nothing counts there; empty before the first probe.
    pub(super) fn told(&self) -> Vec<Delay> {
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let each = (0..).zip(counts).map(|(n, count)| Delay { within_us: 1 << (SHORTEST_BITS + n), count });
        let mut all: Vec<Delay> = each.collect();
        all.truncate(all.iter().rposition(|delay| delay.count > 0).map_or(0, |last| last + 1));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(late_us: &[i64]) -> Vec<Delay> {
        let delays = Delays::default();
        for late in late_us {
            delays.count(Moment::ZERO, Moment::from_micros(*late));
        }
        delays.told()
    }

    #[test]
    fn each_counts_under_the_first_bound_that_it_keeps() {
        let bounds = |late: i64| counted(&[late]).last().map(|delay| (delay.within_us, delay.count));
        assert_eq!(counted(&[]), []);
        assert_eq!(bounds(-5), Some((256, 1)), "early is in time");
        assert_eq!(bounds(0), Some((256, 1)));
        assert_eq!(bounds(256), Some((256, 1)));
        assert_eq!(bounds(257), Some((512, 1)));
        assert_eq!(bounds(512), Some((512, 1)));
        assert_eq!(bounds(10_000_000), Some((16_777_216, 1)));
        assert_eq!(bounds(i64::MAX), Some((33_554_432, 1)), "the last has no end");
    }
}
