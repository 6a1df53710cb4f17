//! PURE: what is to be said of a provider, its clock, and the permission to change a record.

use std::time::Duration;

use providers::{Fault, Permission};

use crate::decision::human;
use crate::doctor::{Finding, Topic};

/// A signature that is older or younger than this is refused (RFC 8945 section 10).
const CLOCK_FAIL: u64 = 300;
/// Clocks that are kept by NTP differ by far less than this.
const CLOCK_WARN: u64 = 60;

/// A provider: what came of the search for the zones of its records. `zones` names each zone once.
pub(in crate::doctor) fn provider(
    id: &str,
    built: Result<(), &str>,
    found: &[Result<String, Fault>],
) -> Vec<Finding> {
    if let Err(why) = built {
        let remedy = "put its settings right in the configuration";
        return vec![Finding::fail(Topic::Provider, id, why, remedy)];
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut zones: Vec<&str> = Vec::new();
    for result in found {
        match result {
            Ok(zone) if !zones.contains(&zone.as_str()) => zones.push(zone),
            Ok(_) => {}
            Err(fault) => {
                let finding = Finding::fail(Topic::Provider, id, fault.to_string(), fault_remedy(fault));
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    if findings.is_empty() && zones.is_empty() {
        return vec![Finding::skip(Topic::Provider, id, "no record uses it")];
    }
    if !zones.is_empty() {
        let noun = if zones.len() == 1 { "zone" } else { "zones" };
        let text = format!("answers, takes the credentials, serves the {noun} {}", zones.join(", "));
        findings.insert(0, Finding::ok(Topic::Provider, id, text));
    }
    findings
}

/// What a person does about a fault. Its own text says more.
pub(in crate::doctor) fn fault_remedy(fault: &Fault) -> &'static str {
    match fault {
        Fault::Unavailable(_) => {
            "is the server up, and its address and port right? does a firewall stand between?"
        }
        Fault::Auth(_) => "check the key, its secret and what it may change, on both sides",
        Fault::Config(_) => "check the server, the zone and the record's name against each other",
        Fault::Throttled { .. } | Fault::Busy(_) => "wait, and run doctor again",
        Fault::Conflict(_) => {
            "somebody changes this name right now, or a wildcard answers for it; run doctor again"
        }
        Fault::Unsupported(_) | Fault::Invalid(_) | Fault::Partial { .. } => "as it says",
        Fault::Unknown(_) => "run doctor again; look at the server's log if it stays",
    }
}

/// The clock of a provider against ours, both in Unix seconds; `None` where it does not tell.
pub(in crate::doctor) fn clock(id: &str, told: &Result<Option<u64>, Fault>, ours: u64) -> Option<Finding> {
    // What hinders the question hinders the search for the zone, where it is said.
    let told = told.as_ref().ok()?;
    let Some(theirs) = told else {
        return Some(Finding::skip(Topic::Clock, id, "it does not tell what its clock shows"));
    };
    let apart = theirs.abs_diff(ours);
    let text = match apart {
        0..=1 => return Some(Finding::ok(Topic::Clock, id, "its clock and ours agree")),
        apart => format!(
            "its clock is {} {} ours",
            human(Duration::from_secs(apart)),
            if *theirs > ours { "ahead of" } else { "behind" }
        ),
    };
    let remedy = "keep both clocks by NTP (timedatectl set-ntp true): signatures are good for 300 s only";
    Some(match apart {
        ..=CLOCK_WARN => Finding::ok(Topic::Clock, id, text),
        ..=CLOCK_FAIL => Finding::warn(Topic::Clock, id, text, remedy),
        _ => Finding::fail(Topic::Clock, id, text, remedy),
    })
}

/// May the record be changed?
pub(in crate::doctor) fn permission(record: &str, said: &Result<Permission, Fault>) -> Finding {
    match said {
        Ok(Permission::Granted) => {
            Finding::ok(Topic::Permission, record, "may be changed (asked without changing anything)")
        }
        Ok(Permission::NotTested(why)) => {
            Finding::skip(Topic::Permission, record, format!("not tested: {why}"))
        }
        Err(fault) => Finding::fail(Topic::Permission, record, fault.to_string(), fault_remedy(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn a_provider_is_one_line_when_all_is_well_and_each_fault_is_said_once() {
        let zone = || Ok("example.test".to_owned());
        let said = provider("dns", Ok(()), &[zone(), zone(), Ok("example.net".into())]);
        assert_eq!(said.len(), 1);
        assert_eq!(
            said[0].text,
            "answers, takes the credentials, serves the zones example.test, example.net"
        );
        let down = || Err(Fault::Unavailable("192.0.2.53:53: connection refused".into()));
        let said = provider("dns", Ok(()), &[down(), down()]);
        assert_eq!((said.len(), said[0].level), (1, Level::Fail));
        let said = provider("dns", Ok(()), &[zone(), Err(Fault::Config("no zone holds x".into()))]);
        assert_eq!(said.iter().map(|f| f.level).collect::<Vec<_>>(), [Level::Ok, Level::Fail]);
        assert_eq!(provider("dns", Err("the TSIG key is not base64"), &[])[0].level, Level::Fail);
        assert_eq!(provider("dns", Ok(()), &[])[0].level, Level::Skip);
    }

    #[test]
    fn clocks_a_minute_apart_warn_and_five_minutes_fail() {
        let level = |theirs| clock("dns", &Ok(Some(theirs)), 10_000).unwrap().level;
        assert_eq!([level(10_000), level(9_999), level(10_060), level(9_940)], [Level::Ok; 4]);
        assert_eq!([level(10_061), level(9_700)], [Level::Warn; 2]);
        assert_eq!([level(10_301), level(6_400)], [Level::Fail; 2]);
        assert_eq!(clock("dns", &Ok(None), 10_000).unwrap().level, Level::Skip);
        assert!(clock("dns", &Err(Fault::Auth("BADSIG".into())), 10_000).is_none(), "said elsewhere");
        let text = clock("dns", &Ok(Some(13_600)), 10_000).unwrap().text;
        assert_eq!(text, "its clock is 60 min ahead of ours");
    }
}
