//! Echo requests between two hosts, and on hosts that forbid them.
//!
//! The probe itself runs in a process of its own: this test program again, behind `ip netns exec`, told by its
//! environment what to probe.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use testkit::Hosts;

use crate::{probe, told, written};

const TORONTO: &str = "198.18.0.10";
const TORONTO_V6: &str = "fd00:18::10";
/// What the process is told: `address|timeout in ms|check`.
const ORDER: &str = "FAILOVER_TEST_PING";
/// Nobody, of the group of nobody.
const UNPRIVILEGED: &[&str] = &["--reuid", "65534", "--regid", "65534", "--clear-groups"];
/// Root without the one capability.
const NO_NET_RAW: &[&str] = &["--bounding-set", "-net_raw", "--inh-caps", "-net_raw"];

/// As the packaged unit runs it: no capability, no new privileges, a user namespace of its own (`PrivateUsers=`).
const AS_IN_THE_UNIT: &[&str] = &[
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
    "--bounding-set",
    "-all",
    "--inh-caps",
    "-all",
    "--no-new-privs",
    "--",
    "unshare",
    "--user",
];

/// What the process saw, and how long the probe took.
#[derive(Debug)]
struct Seen {
    said: String,
    took: Duration,
}

/// A host with a program to probe from it.
struct Here {
    hosts: Hosts,
    folder: tempfile::TempDir,
}

impl Here {
    /// `groups`: who may send echo requests without a capability.
    fn start(groups: &str) -> Here {
        let here = Here { hosts: Hosts::start(), folder: tempfile::tempdir().unwrap() };
        // Nobody must be able to run it.
        std::fs::set_permissions(here.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), here.program()).unwrap();
        here.allow(groups);
        here
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("probing")
    }

    fn allow(&self, groups: &str) {
        let text = format!("echo '{groups}' > /proc/sys/net/ipv4/ping_group_range");
        self.run(&self.hosts.here(), &["sh", "-c", &text]);
    }

    /// Runs a command behind these words.
    fn run(&self, place: &[String], words: &[&str]) {
        let status = Command::new(&place[0]).args(&place[1..]).args(words).status().unwrap();
        assert!(status.success(), "{words:?}: {status}");
    }

    fn nft(&self, rule: &str) {
        let words: Vec<&str> = ["nft"].into_iter().chain(rule.split(' ')).collect();
        self.run(&self.hosts.there(), &words);
    }

    /// Probes `address` from here, as a process with these restrictions.
    fn ping(&self, restricted: &[&str], address: &str, check: &str, timeout: Duration) -> Seen {
        let place = self.hosts.here();
        let mut command = Command::new(&place[0]);
        command.args(&place[1..]).arg("setpriv").args(restricted).arg("--").arg(self.program());
        command.args(["--ignored", "--exact", "icmp::there", "--nocapture"]).current_dir("/");
        command.env(ORDER, format!("{address}|{}|{check}", timeout.as_millis()));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let seen = text.lines().find_map(|line| line.split_once("seen after "));
        let Some((took, said)) = seen.and_then(|(_, seen)| seen.split_once(" ms: ")) else {
            panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
        };
        Seen { said: said.to_owned(), took: Duration::from_millis(took.parse().unwrap()) }
    }
}

/// Run by the other tests, on other hosts.
#[tokio::test]
#[ignore = "it is the process that the others start"]
async fn there() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let [address, timeout, check] = order.split('|').collect::<Vec<_>>()[..] else { panic!("{order}") };
    let check = written(check, Duration::from_millis(timeout.parse().unwrap()));
    let report = probe(address.parse().unwrap(), check).await;
    println!("\nseen after {} ms: {}", report.timings.total.as_millis(), told(&report.outcome));
}

const PATIENT: Duration = Duration::from_secs(10);

/// bad day: agent: the kernel forbids echo requests | unknown, with the sysctl and the capability; nobody is down for it
#[test]
fn a_kernel_that_forbids_both_sockets_is_our_own_trouble_and_the_remedy_is_named() {
    let here = Here::start("1 0");
    for restricted in [UNPRIVILEGED, NO_NET_RAW] {
        for address in [TORONTO, TORONTO_V6] {
            let seen = here.ping(restricted, address, "{icmp: {}}", PATIENT);
            assert!(seen.said.starts_with("unknown: this machine forbids echo requests"), "{seen:?}");
            assert!(seen.said.contains("net.ipv4.ping_group_range=\""), "{seen:?}");
            assert!(seen.said.contains("CAP_NET_RAW"), "{seen:?}");
        }
    }
    // The remedy helps, and so does the other one, for which root needs no sysctl.
    here.allow("65534 65534");
    for address in [TORONTO, TORONTO_V6] {
        for restricted in [UNPRIVILEGED, AS_IN_THE_UNIT] {
            assert_eq!(here.ping(restricted, address, "{icmp: {}}", PATIENT).said, "pass");
        }
        let seen = here.ping(NO_NET_RAW, address, "{icmp: {}}", PATIENT);
        assert!(seen.said.starts_with("unknown: "), "the group of root is another one: {seen:?}");
    }
}

/// On both kinds of socket: datagrams where every group may, raw where none may and the process has the capability.
#[test]
fn replies_are_seen_on_datagram_sockets_and_on_raw_ones() {
    let here = Here::start("0 2147483647");
    for groups in ["0 2147483647", "1 0"] {
        here.allow(groups);
        for address in [TORONTO, TORONTO_V6] {
            for check in ["{icmp: {}}", "{icmp: {count: 5, max_loss: 0%, size: 1472}}", "{icmp: {size: 17}}"]
            {
                assert_eq!(
                    here.ping(&[], address, check, PATIENT).said,
                    "pass",
                    "{groups}: {address}: {check}"
                );
            }
        }
    }
}

/// bad day: target: the network drops its echo requests | a failure at the time-out
#[test]
fn a_host_that_is_cut_off_fails_when_the_time_is_up() {
    let here = Here::start("0 2147483647");
    let timeout = Duration::from_millis(700);
    for groups in ["0 2147483647", "1 0"] {
        here.allow(groups);
        for address in [TORONTO, TORONTO_V6] {
            here.hosts.set(&["drop", address]);
            let seen = here.ping(&[], address, "{icmp: {}}", timeout);
            assert_eq!(seen.said, format!("fail: no echo reply from {address} within 700ms"), "{groups}");
            assert!(seen.took >= timeout && seen.took < timeout + Duration::from_secs(5), "{seen:?}");
            let seen = here.ping(&[], address, "{icmp: {count: 4, max_loss: 50%}}", timeout);
            let words = format!("fail: {address} answered 0 of 4 echo requests within 700ms, wanted 2");
            assert_eq!(seen.said, words, "{groups}");
            here.hosts.set(&["mend", address]);
        }
    }
}

/// An address that nobody has on a link that is up: the neighbour does not answer, which Linux tells as silence.
/// bad day: agent: has no route for an echo request | unknown: nobody moves
#[test]
fn an_address_that_nobody_has_fails_and_one_without_a_route_is_our_own_trouble() {
    let here = Here::start("0 2147483647");
    for address in ["198.18.0.99", "fd00:18::99"] {
        let seen = here.ping(&[], address, "{icmp: {}}", Duration::from_millis(500));
        assert!(seen.said.starts_with("fail: "), "{seen:?}");
    }
    for address in ["192.0.2.1", "2001:db8::1"] {
        let seen = here.ping(&[], address, "{icmp: {}}", PATIENT);
        assert!(seen.said.starts_with("unknown: ") && seen.said.contains("no route"), "{seen:?}");
        assert!(seen.took < PATIENT, "{seen:?}");
    }
}

/// bad day: target: an ICMP error comes back for an echo request | a failure at once where Linux tells of it
#[test]
fn an_icmp_error_that_linux_tells_fails_at_once() {
    let here = Here::start("0 2147483647");
    for groups in ["0 2147483647", "1 0"] {
        here.allow(groups);
        for (address, family) in [(TORONTO, "ip"), (TORONTO_V6, "ip6")] {
            // The rejection that nft chooses, and an administrator's.
            let port = format!("add rule inet fault i {family} daddr {address} reject");
            let filter = format!("{port} with icmpx type admin-prohibited");
            for (rule, said) in [(port, "port unreachable"), (filter, "prohibited by a filter")] {
                here.nft(&rule);
                let seen = here.ping(&[], address, "{icmp: {count: 3}}", PATIENT);
                let words = format!("fail: an ICMP error came back for {address}: ");
                assert!(
                    seen.said.starts_with(&words) && seen.said.ends_with(said),
                    "{groups}: {rule}: {seen:?}"
                );
                assert!(seen.took < PATIENT / 2, "{seen:?}");
                here.hosts.set(&["mend", address]);
            }
        }
    }
}

#[test]
fn lost_requests_are_counted_against_what_may_be_lost() {
    let here = Here::start("0 2147483647");
    for (check, said) in [
        ("{icmp: {count: 4}}", "pass"),
        ("{icmp: {count: 4, max_loss: 50%}}", "pass"),
        (
            "{icmp: {count: 4, max_loss: 25%}}",
            "fail: 198.18.0.10 answered 2 of 4 echo requests within 2s, wanted 3",
        ),
    ] {
        // Every second one is dropped, from the first on.
        here.nft("add rule inet fault i icmp type echo-request numgen inc mod 2 0 drop");
        assert_eq!(here.ping(&[], TORONTO, check, Duration::from_secs(2)).said, said, "{check}");
        here.hosts.set(&["mend", TORONTO]);
    }
}
