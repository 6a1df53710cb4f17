//! How late probes began, in few numbers.

use serde::{Deserialize, Serialize};

/// So many probes began no later than that after they were due, and later than the bound before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// The bound, microseconds. The last possible one is none: what is later counts there as well.
    pub within_us: u64,
    /// How many.
    pub count: u64,
}

impl Delay {
    /// The bound that so many of 1,000 probes kept, microseconds; `None` before the first probe.
    pub fn bound_us(delays: &[Delay], of_1000: u64) -> Option<u64> {
        let all: u64 = delays.iter().map(|delay| delay.count).sum();
        let mut so_far = 0;
        let kept = |delay: &&Delay| {
            so_far += delay.count;
            so_far > 0 && u128::from(so_far) * 1000 >= u128::from(all) * u128::from(of_1000)
        };
        delays.iter().find(kept).map(|delay| delay.within_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_one_is_late() {
        let delays = [(256, 98), (512, 1), (1024, 0), (16_384, 1)]
            .map(|(within_us, count)| Delay { within_us, count });
        let bound = |of_1000| Delay::bound_us(&delays, of_1000);
        assert_eq!(
            [bound(0), bound(980), bound(981), bound(990), bound(991)],
            [256, 256, 512, 512, 16_384].map(Some)
        );
        assert_eq!(Delay::bound_us(&delays[2..], 0), Some(16_384), "nobody keeps what none has met");
        assert_eq!(Delay::bound_us(&[], 990), None);
    }
}
