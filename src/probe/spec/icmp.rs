//! An ICMP check.

/// Echo requests and their replies, as `ping` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpCheck {
    /// Echo requests in one probe, 1 to [`MAX_COUNT`](Self::MAX_COUNT).
    pub count: u8,
    /// The share of the requests that may stay unanswered, 0 to 99 percent; `None`: one reply is enough.
    pub max_loss_percent: Option<u8>,
    /// Bytes after the ICMP header, [`MIN_SIZE`](Self::MIN_SIZE) to [`MAX_SIZE`](Self::MAX_SIZE).
    pub size: u16,
}

impl IcmpCheck {
    /// The most requests of one probe.
    pub const MAX_COUNT: u8 = 10;
    /// The least: room for the token by which a reply is known.
    pub const MIN_SIZE: u16 = 16;
    /// The most: what fits one IPv4 packet of 1500 bytes.
    pub const MAX_SIZE: u16 = 1472;
    /// What `ping` sends.
    pub const DEFAULT_SIZE: u16 = 56;

    /// How many requests must be answered: at least one, whatever may be lost.
    pub fn wanted(&self) -> u8 {
        let count = u16::from(self.count.max(1));
        let may_be_lost = match self.max_loss_percent {
            None => count - 1,
            Some(percent) => (count * u16::from(percent) / 100).min(count - 1),
        };
        u8::try_from(count - may_be_lost).unwrap_or(u8::MAX)
    }
}

impl Default for IcmpCheck {
    fn default() -> Self {
        IcmpCheck { count: 1, max_loss_percent: None, size: IcmpCheck::DEFAULT_SIZE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reply_is_always_wanted_and_no_more_lost_than_allowed() {
        let wanted =
            |count, max_loss_percent| IcmpCheck { count, max_loss_percent, ..IcmpCheck::default() }.wanted();
        assert_eq!([wanted(1, None), wanted(5, None), wanted(1, Some(99))], [1, 1, 1]);
        assert_eq!([wanted(5, Some(0)), wanted(5, Some(20)), wanted(5, Some(39))], [5, 4, 4]);
        assert_eq!([wanted(10, Some(99)), wanted(3, Some(33)), wanted(3, Some(34))], [1, 3, 2]);
    }
}
