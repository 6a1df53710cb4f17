//! What is asked and answered of overrides, over the socket and without an agent.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Source;
use crate::decision::{Consequence, Now, Override, OverrideFault, OverrideReport, What};

/// An override to be put into force: the body of `POST /v1/overrides`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRequest {
    /// `kind`: `drain` with a `target`, `pin` with a `record` and a `target`, `pause` with a `record` or for every one.
    #[serde(flatten)]
    pub what: What,
    /// How long, seconds: 1 to 30 days. Either this or `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why: 1 to 200 characters.
    #[serde(default)]
    pub reason: String,
    /// Who says so: 1 to 64 characters.
    #[serde(default)]
    pub by: String,
}

impl OverrideRequest {
    /// The override that is asked for, if it is a proper one.
    ///
    /// # Errors
    /// [`OverrideFault`].
    pub fn order(&self, now: &Now) -> Result<Override, OverrideFault> {
        let until = match (self.for_s, self.until) {
            (Some(seconds), None) => now.moment + Duration::from_secs(seconds),
            (None, Some(until)) => now.moment_ahead(until),
            _ => return Err(OverrideFault::NoEnd),
        };
        Override::new(self.what.clone(), now.moment, until, &self.reason, &self.by)
    }
}

/// What became of it. The form of `-o json` of the commands that order something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// `agent` when a running agent obeys it, `state` when it waits in the state file for the next run.
    pub source: Source,
    /// Is it in force now? `false` when it was ended.
    pub in_force: bool,
    /// The override.
    #[serde(rename = "override")]
    pub order: OverrideReport,
    /// What follows for each record; empty without an agent.
    pub consequences: Vec<Consequence>,
    /// Why the state cannot be written, if it cannot: what was ordered does not survive a restart then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Moment;

    fn now() -> Now {
        Now { moment: Moment::from_micros(60_000_000), wall: "2026-11-22T12:00:00Z".parse().unwrap() }
    }

    fn asked(json: &str) -> Result<Override, String> {
        let request: OverrideRequest = serde_json::from_str(json).map_err(|error| error.to_string())?;
        request.order(&now()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_request_with_an_end_of_either_form() {
        let two_hours =
            r#"{"kind": "drain", "target": "a", "for_s": 7200, "reason": " new kernel ", "by": "alice"}"#;
        let order = asked(two_hours).unwrap();
        assert_eq!(
            (order.until, order.reason.as_str()),
            (now().moment + Duration::from_hours(2), "new kernel")
        );
        let until =
            r#"{"kind": "pause", "until": "2026-11-22T14:00:00Z", "reason": "new kernel", "by": "alice"}"#;
        let pause = asked(until).unwrap();
        assert_eq!((pause.until, pause.what), (order.until, What::Pause { record: None }));
    }

    #[test]
    fn what_is_refused_and_what_is_told() {
        let long = "x".repeat(201);
        let cases = [
            ("", "needs an end"),
            (r#""for_s": 60, "until": "2026-11-22T14:00:00Z","#, "needs an end"),
            (r#""for_s": 0,"#, "at least 1 s"),
            (r#""until": "2026-11-22T11:59:00Z","#, "would be over already"),
            (r#""for_s": 2592001,"#, "at most 30 days"),
            (r#""for_s": 18446744073709551615,"#, "at most 30 days"),
        ];
        for (end, expected) in cases {
            let json = format!(r#"{{"kind": "drain", "target": "a", {end} "reason": "r", "by": "b"}}"#);
            let fault = asked(&json).unwrap_err();
            assert!(fault.contains(expected), "{json}: {fault}");
        }
        for (reason, by, expected) in [
            ("", "alice", "needs a reason"),
            ("  ", "alice", "needs a reason"),
            ("two\\nlines", "alice", "control characters"),
            ("\\u001b[31mred", "alice", "control characters"),
            (long.as_str(), "alice", "at most 200 characters"),
            ("r", "", "--by NAME"),
            ("r", long.as_str(), "at most 64 characters"),
        ] {
            let json = format!(
                r#"{{"kind": "drain", "target": "a", "for_s": 9, "reason": "{reason}", "by": "{by}"}}"#
            );
            let fault = asked(&json).unwrap_err();
            assert!(fault.contains(expected), "{json}: {fault}");
        }
        assert!(asked(r#"{"kind": "melt", "for_s": 9, "reason": "r", "by": "b"}"#).is_err());
        assert!(asked(r#"{"kind": "pin", "record": "www", "for_s": 9, "reason": "r", "by": "b"}"#).is_err());
    }
}
