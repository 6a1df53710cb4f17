//! The agent on a host of its own, whose wire to everything else is cut. Needs root.

use testkit::{Backend, Hosts};

use crate::agent::{Agent, clean, events};
use crate::stage::{PRIMARY, STANDBY, Stage};

const TORONTO: &str = "198.18.0.10";
const MONTREAL: &str = "198.18.0.11";

/// Primary, stand-by and witness on the other host; the agent on this one. The chat cannot be reached from there:
/// what is told is read in the log.
struct Cut {
    stage: Stage,
    hosts: Hosts,
    servers: Backend,
}

impl Cut {
    fn new() -> Cut {
        let hosts = Hosts::start();
        let servers = Backend::start_there(&hosts, &[TORONTO, MONTREAL, "198.18.0.2"]);
        let stage = Stage::new();
        let (was, is) = (stage.hosts.port().to_string(), servers.port().to_string());
        stage.edit(&format!("127.0.0.4:{was}"), &format!("198.18.0.2:{is}"));
        stage.edit(&format!("port: {was}"), &format!("port: {is}"));
        stage.edit(PRIMARY, TORONTO).edit(STANDBY, MONTREAL);
        stage.publish(1, TORONTO);
        Cut { stage, hosts, servers: servers }
    }

    /// The witness proves that it is there by an echo reply.
    fn with_an_echo(self) -> Cut {
        let port = self.servers.port();
        self.stage.edit(&format!("{{tcp: \"198.18.0.2:{port}\"}}"), "{icmp: 198.18.0.2}");
        self
    }

    fn agent(&self) -> Agent {
        let command = self.stage.command(&["run"]);
        let mut inside = std::process::Command::new("setpriv");
        inside.args(["--pdeathsig", "KILL", "--"]).args(self.hosts.here());
        inside.arg(command.get_program()).args(command.get_args()).current_dir(self.stage.folder.path());
        clean(&mut inside);
        let agent = Agent::start(inside, &self.stage.path("agent.log"));
        self.stage.in_sync();
        agent
    }

    fn unchanged(&self) {
        assert_eq!(self.stage.zone(), (1, TORONTO.into()), "nothing was written");
    }
}

/// bad day: agent: its wire is cut and comes back | blind, told once; no change
#[test]
fn a_cut_uplink_is_no_dead_primary() {
    let cut = Cut::new();
    let agent = cut.agent();
    // Twice: a wire that comes and goes.
    for times in 1..=2 {
        cut.hosts.set(&["linkdown"]);
        let blind = agent.wait_logged("agent.blind");
        assert_eq!(blind["level"], "WARN", "{blind}");
        cut.stage.wait_status("blind", |status| status["blind_since"].is_string());
        let shown = cut.stage.run(&["status"]);
        assert!(shown.stdout.contains("BLIND since"), "{shown:?}");
        cut.unchanged();

        cut.hosts.set(&["linkup"]);
        agent.wait_logged("agent.sighted");
        cut.stage.wait_status("sight", |status| status["blind_since"].is_null());
        cut.stage.in_sync();
        cut.unchanged();
        assert_eq!(agent.logged("agent.blind").len(), times, "{}", agent.said());
        assert_eq!(agent.logged("agent.sighted").len(), times, "{}", agent.said());
    }
    for event in ["failover.completed", "all_down", "target.down"] {
        assert_eq!(agent.logged(event).len(), 0, "{event}: {}", agent.said());
    }
    agent.stop();
}

/// bad day: target: the network drops or rejects it alone | left for the stand-by
#[test]
fn a_primary_that_is_cut_off_alone_is_left() {
    for fault in ["drop", "reject"] {
        let cut = Cut::new();
        let agent = cut.agent();
        cut.hosts.set(&[fault, TORONTO]);
        let done = agent.wait_logged("failover.completed");
        println!("{fault}: {}", done["reason"]);
        assert_eq!(cut.stage.zone(), (2, MONTREAL.into()), "{fault}");
        assert_eq!(agent.logged("agent.blind").len(), 0, "{fault}: {}", agent.said());
        agent.stop();
    }
}

/// bad day: targets: all are cut off and the witness is not | one event, no change
#[test]
fn all_targets_cut_off_and_the_witness_not_is_one_event_and_no_change() {
    let cut = Cut::new();
    let agent = cut.agent();
    cut.hosts.set(&["drop", TORONTO]);
    cut.hosts.set(&["drop", MONTREAL]);
    agent.wait_logged("all_down");
    cut.stage.wait_status("both down", |status| {
        (0..2).all(|n| status["targets"][n]["verdict"] == "down")
            && status["records"][0]["status"] == "holding"
    });
    // A stop sees to it that nothing is still on its way.
    let said = agent.stop();
    cut.unchanged();
    assert_eq!(events(&said, "all_down").len(), 1, "{said}");
    assert_eq!(events(&said, "failover.completed").len(), 0, "{said}");
}

#[test]
fn a_witness_that_replies_to_echo_requests_tells_a_dead_primary_from_a_cut_wire() {
    let cut = Cut::new().with_an_echo();
    let agent = cut.agent();
    cut.hosts.set(&["linkdown"]);
    agent.wait_logged("agent.blind");
    let shown = cut.stage.run(&["status"]);
    assert!(shown.stdout.contains("icmp:198.18.0.2"), "{shown:?}");
    cut.hosts.set(&["linkup"]);
    agent.wait_logged("agent.sighted");
    cut.stage.in_sync();
    cut.unchanged();

    cut.hosts.set(&["drop", TORONTO]);
    agent.wait_logged("failover.completed");
    assert_eq!(cut.stage.zone(), (2, MONTREAL.into()));
    agent.stop();
}
