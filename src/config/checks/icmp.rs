//! `icmp:` of a check.

use super::super::keys;
use super::super::read::{Item, Optional, Read};
use crate::probe::IcmpCheck;

/// An icmp check.
pub(super) fn read(item: Item<'_>) -> Read<IcmpCheck> {
    let usual = IcmpCheck::default();
    let map = item.map(&keys::ICMP)?;
    let count = map.get("count", |item| item.number(1..=u32::from(IcmpCheck::MAX_COUNT)));
    let size = map
        .get("size", |item| item.number(u32::from(IcmpCheck::MIN_SIZE)..=u32::from(IcmpCheck::MAX_SIZE)))
        .otherwise(u32::from(usual.size));
    let max_loss = map.get("max_loss", |item| item.percent(99));
    if let (Some(item), Ok(Some(percent)), Ok(count)) = (map.item("max_loss"), max_loss, count) {
        let count = count.unwrap_or(u32::from(usual.count));
        if percent > 0 && u32::from(percent) * count < 100 {
            let message = format!("max_loss {percent}% of {count} is less than one request");
            let more = 100_u32.div_ceil(u32::from(percent));
            let remedy = if more <= u32::from(IcmpCheck::MAX_COUNT) {
                format!("write 0%, or a `count` of {more} or more")
            } else {
                format!("write 0%, or at least {}%", 100_u32.div_ceil(count))
            };
            item.fault(message, remedy);
        }
    }
    Ok(IcmpCheck {
        count: u8::try_from(count?.unwrap_or(u32::from(usual.count))).expect("the range is within a byte"),
        max_loss_percent: max_loss?,
        size: u16::try_from(size?).expect("the range is within 16 bits"),
    })
}
