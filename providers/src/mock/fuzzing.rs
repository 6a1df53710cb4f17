//! The zone file as a person may write it.

use super::file::{parse, print};

/// What is read is the same when it is written and read again; what is refused is refused with a reason.
pub(crate) fn mock_zone(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(zones) => {
            let written = print(&zones);
            assert_eq!(parse(&written).as_ref(), Ok(&zones), "{written}");
            for (apex, zone) in &zones.0 {
                assert!(zone.nodes.iter().all(|(name, node)| name.is_within(apex) && !node.is_empty()));
            }
        }
        Err(why) => assert!(!why.is_empty() && why.len() < 12 * data.len() + 1024, "{why}"),
    }
}
