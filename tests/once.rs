//! What one run of `failover once` leaves behind, and what the next one makes of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Backend, Mode};

/// The primary is 127.0.0.2, the stand-by 127.0.0.3, the witness 127.0.0.4.
struct Town {
    backend: Backend,
    folder: tempfile::TempDir,
}

impl Town {
    fn new() -> Town {
        let town = Town {
            backend: Backend::start(&["127.0.0.2", "127.0.0.3", "127.0.0.4"]),
            folder: testkit::folder(),
        };
        let port = town.backend.port();
        let config = format!(
            r#"
agent: {{id: test, state: ./failover.db, witnesses: [{{tcp: "127.0.0.4:{port}"}}]}}
checks: {{web: {{http: {{port: {port}}}, interval: 500ms, fast_interval: 100ms}}}}
targets:
  primary: {{address: 127.0.0.2, checks: [web]}}
  standby: {{address: 127.0.0.3, checks: [web]}}
providers: {{zone: {{type: mock, file: ./zone.json}}}}
records: [{{name: www.example.test, provider: zone, targets: [primary, standby]}}]
"#
        );
        testkit::assert_valid(failover::config::Config::schema, &config);
        fs::write(town.path().join("failover.yaml"), config).expect("written");
        town
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody edits the zone by hand.
    fn publish(&self, address: &str) {
        let zone = format!(
            r#"{{"zones": {{"example.test": {{"records": {{"www.example.test": [
                {{"ttl": 60, "type": "A", "values": ["{address}"]}}]}}}}}}}}"#
        );
        fs::write(self.path().join("zone.json"), zone).expect("written");
    }

    fn run(&self, words: &[&str]) -> (i32, Value, Output) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_failover"));
        let output =
            command.args(words).args(["-o", "json"]).current_dir(self.path()).output().expect("it starts");
        let document =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"));
        (output.status.code().expect("no signal"), document, output)
    }
}

/// The first run knows that the primary is down and may not write. When a person has put the record right, the next
/// run fails over, though that the primary is down is no news to it.
#[test]
fn a_change_that_an_earlier_run_could_not_make_is_made() {
    let town = Town::new();
    town.publish("198.51.100.77");
    town.backend.set(0, &Mode::Closed);
    let (code, document, output) = town.run(&["once"]);
    assert_eq!(code, 4, "{output:?}");
    assert_eq!(document["records"][0]["guard"], "foreign");

    town.publish("127.0.0.2");
    let (code, document, output) = town.run(&["once", "--detailed-exitcode"]);
    assert_eq!(code, 5, "{output:?}");
    assert_eq!(document["records"][0]["values"], serde_json::json!(["127.0.0.3"]));

    let (code, document, output) = town.run(&["once", "--detailed-exitcode"]);
    assert_eq!(code, 0, "{output:?}");
    assert_eq!(document["records"][0]["status"], "in_sync", "nothing is left to do or to wait for");
}

/// Without an agent `status` tells what the last run found out, however long ago, and says how old it is.
#[test]
fn status_tells_what_the_last_run_found_out() {
    let town = Town::new();
    town.publish("127.0.0.2");
    town.backend.set(0, &Mode::Closed);
    assert_eq!(town.run(&["once"]).0, 0);
    let (code, document, output) = town.run(&["status"]);
    assert_eq!(code, 0, "{output:?}");
    assert_eq!(document["source"], "state");
    let verdict = |place: usize| document["targets"][place]["verdict"].as_str().expect("a verdict");
    assert_eq!((verdict(0), verdict(1)), ("down", "up"), "{document:#}");
}
