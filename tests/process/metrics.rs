//! What a collector of metrics is given, read by the parser of somebody else.

#![expect(clippy::float_cmp, reason = "counts and flags are whole numbers")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::wait_until;

use crate::agent::clean;
use crate::stage::{PATIENCE, STANDBY, Stage};

/// Prometheus' own library for Python reads OpenMetrics strictly, and fails on what it should not be.
const READ: &str = r"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(json.dumps([[s.name, s.labels, str(s.value)] for f in families(sys.stdin.read()) for s in f.samples]))
";

/// Every sample: its name, labels and value.
struct Samples(Vec<Value>);

impl Samples {
    fn of(text: &str) -> Samples {
        let mut command = Command::new("/usr/bin/python3");
        clean(&mut command);
        command.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("python3 is there");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let read = child.wait_with_output().unwrap();
        assert!(read.status.success(), "not OpenMetrics, or python3-prometheus-client is missing:\n{text}");
        Samples(serde_json::from_slice(&read.stdout).unwrap())
    }

    #[track_caller]
    fn value(&self, name: &str, labels: &Value) -> f64 {
        let same = |sample: &&Value| sample[0] == name && sample[1] == *labels;
        let found = self.0.iter().find(same).unwrap_or_else(|| panic!("no {name} of {labels}: {:?}", self.0));
        found[2].as_str().unwrap().parse().unwrap()
    }

    /// How long a phase of the only change took, seconds.
    #[track_caller]
    fn phase(&self, phase: &str) -> f64 {
        let labels = serde_json::json!({"phase": phase});
        assert_eq!(self.value("failover_change_phase_seconds_count", &labels), 1.0, "{phase}");
        self.value("failover_change_phase_seconds_sum", &labels)
    }
}

fn collect(stage: &Stage) -> Samples {
    let mut socket = UnixStream::connect(stage.path("failover.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    Samples::of(text)
}

#[test]
fn a_failover_is_in_the_metrics_with_the_time_of_each_phase() {
    let stage = Stage::new();
    stage.edit("zone.json}", "zone.json, dns: \"127.0.0.1:0\"}");
    let agent = stage.agent();
    let before = collect(&stage);
    let of = |key: &str, value: &str| serde_json::json!({key: value});
    assert_eq!(before.value("failover_target_up", &of("target", "toronto")), 1.0);
    assert_eq!(before.value("failover_events_total", &of("event", "failover.completed")), 0.0);

    stage.kill_primary();
    stage.wait_published(STANDBY);
    stage.wait_told("propagation.completed");
    let after = wait_until("the targets that serve now", PATIENCE, || {
        let after = collect(&stage);
        let serves =
            after.0.iter().any(|s| s[0] == "failover_record_serving" && s[1]["target"] == "montreal");
        serves.then_some(after)
    });
    assert_eq!(after.value("failover_target_up", &of("target", "toronto")), 0.0);
    assert_eq!(after.value("failover_records", &of("status", "in_sync")), 1.0);
    assert_eq!(after.value("failover_record_changes_total", &of("record", "www.workshopco.test")), 1.0);
    assert_eq!(after.value("failover_events_total", &of("event", "failover.completed")), 1.0);
    let steps = ["down", "decided", "written", "confirmed"].map(|phase| after.phase(phase));
    assert!(steps.is_sorted(), "{steps:?}");
    assert!(after.phase("first_served") <= after.phase("all_served"));
    agent.stop();
}
