//! `Retry-After` (RFC 9110 section 10.2.3): seconds or a date. Pure.

use std::time::Duration;

use jiff::fmt::rfc2822;

/// Nobody is believed who asks for more than this.
const LONGEST: Duration = Duration::from_hours(1);

/// How long to wait: `value` is the field, `date` the answer's `Date`, against which a date is measured, so that no
/// clock of ours is needed. `None` when it cannot be told.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => u64::try_from(unix(value)?.saturating_sub(unix(date?)?)).unwrap_or(0),
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in Unix seconds.
pub(super) fn unix(date: &str) -> Option<i64> {
    rfc2822::parse(date.trim()).ok().map(|date| date.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_nonsense_is_not() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(" 7 ", date), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
        assert_eq!(retry_after("99999999999", None), Some(LONGEST));
    }
}
