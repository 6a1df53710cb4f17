//! A tripwire on real processes: what is killed is found at once, however long the interval is.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use testkit::wait_until;

use crate::agent::clean;
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

/// A web server as a process of its own. It never outlives the test.
struct Primary(Child);

impl Primary {
    fn start(port: u16) -> Primary {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "python3", "-m", "http.server"]);
        command.arg(port.to_string()).args(["--bind", PRIMARY, "--directory", "/var/empty"]);
        clean(&mut command);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3 is there");
        wait_until("the primary listens", PATIENCE, || TcpStream::connect((PRIMARY, port)).ok());
        Primary(child)
    }

    /// As `kill -KILL` does it.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn stage() -> (Stage, Primary) {
    let stage = Stage::new();
    stage.kill_primary();
    stage.edit("path: /healthz", "path: /, status: [200-499]");
    let primary = Primary::start(stage.hosts.port());
    (stage, primary)
}

/// bad day: target: its process is killed, the next probe due in hours | with `tripwire` the record moves within fast intervals
#[test]
fn a_primary_that_is_killed_is_left_though_its_next_probe_is_hours_away() {
    let (stage, mut primary) = stage();
    stage.edit("interval: 500ms\n    fast", "interval: 5h\n    tripwire: true\n    fast");
    let agent = stage.agent();
    primary.kill();
    stage.wait_published(STANDBY);
    let told = stage.wait_told("failover.completed");
    assert!(told["reason"].as_str().unwrap().contains("toronto is down"), "{told}");
    let phase = |name: &str| told["phases"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {told}"));
    assert!(phase("down_ms") <= phase("decided_ms"), "{told}");
    assert!(
        phase("decided_ms") <= phase("written_ms") && phase("written_ms") <= phase("confirmed_ms"),
        "{told}"
    );
    agent.stop();
    let history = stage.run(&["history"]).stdout;
    assert!(history.contains("after the first failure: down "), "{history}");
}
