//! Chance that can be played again.

use std::time::Duration;

/// The seed of this run: `FAILOVER_SEED`, or a new one; printed either way.
pub(crate) fn seed() -> u64 {
    let asked = std::env::var("FAILOVER_SEED").ok();
    let asked = asked.map(|text| text.parse().expect("FAILOVER_SEED is a number"));
    let seed = asked.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("FAILOVER_SEED={seed}");
    seed
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and every seed is a good one.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Throws of their own for this place of a run.
    pub(crate) fn new(seed: u64, place: u64) -> Dice {
        let mut dice = Dice(seed ^ place.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to `end`, without it.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// Other dice.
    pub(crate) fn another(&mut self) -> Dice {
        Dice(self.roll())
    }

    /// Any octet.
    pub(crate) fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("an octet")
    }

    /// Up to `end`, to the microsecond.
    pub(crate) fn within(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(end.as_micros()).expect("not so long").max(1)))
    }
}
