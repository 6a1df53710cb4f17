//! What somebody may type for a range, and what a target may make a plugin say.

use super::nagios::plain;
use super::range::Range;

/// A range is taken as it was written or refused; what is told to Nagios is one line that begins no performance data.
pub(crate) fn nagios(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Range>() {
        Ok(range) => {
            assert_eq!(range.to_string(), text);
            for value in [f64::MIN, -1.0, 0.0, 0.5, 10.0, f64::MAX] {
                let turned = text.strip_prefix('@').map_or_else(|| format!("@{text}"), str::to_owned);
                let turned: Range = turned.parse().expect("the same, turned round");
                assert_ne!(range.alerts(value), turned.alerts(value), "{text} at {value}");
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
    let told = plain(&text);
    assert!(told.len() <= 1024, "{} characters", told.len());
    assert!(
        told.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && !"|`~$&'\"<>\\;".contains(c)),
        "{told:?}"
    );
}
