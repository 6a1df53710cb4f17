//! IPv4 and IPv6 of a name move together: whoever asks, in whatever order, never meets a half.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testkit::{Mode, ask};

use crate::stage::{ALPHA, BETA, PRIMARY, PRIMARY_V6, Stage, WWW, Way, on_each};

/// One question and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: &'static str,
    values: Vec<String>,
}

/// Asks A and AAAA in turn until `stop`; each change is kept, in order, with what was seen of the other family before
/// and after it.
fn poll(server: SocketAddr, stop: &AtomicBool) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let mut silent = 0;
    while !stop.load(Ordering::Relaxed) {
        for kind in ["A", "AAAA"] {
            // A datagram may be lost on a busy machine; a server that stays silent would be another matter.
            let Ok(reply) = ask(server, WWW, kind) else {
                silent += 1;
                assert!(silent < 10, "the server does not answer");
                continue;
            };
            assert_eq!(reply.rcode, "NOERROR", "the name is there at all times");
            let values = reply.values().into_iter().map(ToOwned::to_owned).collect();
            seen.push(Seen { kind, values });
        }
    }
    seen
}

/// The state of the name that an answer belongs to.
fn state(seen: &Seen) -> &'static str {
    let values: Vec<&str> = seen.values.iter().map(String::as_str).collect();
    match (seen.kind, values.as_slice()) {
        ("A", [ALPHA]) | ("AAAA", ["::1"]) => "alpha",
        ("A", [BETA]) | ("AAAA", []) => "beta",
        _ => panic!("an answer of no state: {seen:?}"),
    }
}

fn story(way: Way) {
    let stage = Stage::start(way).with_ipv6();
    let site = stage.site();
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let (serial, stop, server) = (stage.serial(), AtomicBool::new(false), stage.server.dns());
    let seen = thread::scope(|scope| {
        let poller = scope.spawn(|| poll(server, &stop));
        let stopper = Stopper(&stop);
        stage.backend.set(PRIMARY, &Mode::Closed);
        stage.backend.set(PRIMARY_V6, &Mode::Closed);
        stage.wait_for_answer(BETA);
        let event = stage.wait_until_told("failover.completed");
        assert_eq!(event["before"]["values"], serde_json::json!([ALPHA, "::1"]));
        assert_eq!(event["after"]["values"], serde_json::json!([BETA]));
        assert_eq!(stage.serial(), serial + 1, "one write for both families");
        stage.backend.set(PRIMARY, &Mode::Ok);
        stage.backend.set(PRIMARY_V6, &Mode::Ok);
        stage.wait_for_answer(ALPHA);
        stage.wait_until_told("failback.completed");
        assert_eq!(stage.serial(), serial + 2, "and one for the way back");
        drop(stopper);
        poller.join().expect("the poller saw nothing odd")
    });
    // Answers follow one another, so the states they belong to may change twice in all: there, and back. A dead AAAA
    // after the new A, or no AAAA before it, would show as a state that returns.
    let mut states: Vec<&str> = seen.iter().map(state).collect();
    let asked = states.len();
    states.dedup();
    assert_eq!(states, ["alpha", "beta", "alpha"], "of {asked} answers");
}

/// Ends the poller whatever happens.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn both_families_move_in_one_moment() {
    on_each(story);
}

/// Only IPv6 of the primary dies: it goes from the answer, and comes back; IPv4 stays all the time.
fn one_family(way: Way) {
    let stage = Stage::start(way).with_ipv6();
    let site = stage.site();
    let _agent = site.run();
    site.wait_for("in_sync", &["alpha"]);
    let serial = stage.serial();
    let v6 = || stage.server.ask(WWW, "AAAA").values().join(" ");
    stage.backend.set(PRIMARY_V6, &Mode::Closed);
    stage.wait_until_told("adjust.completed");
    assert_eq!((stage.answer(), v6(), stage.serial()), (vec![ALPHA.to_owned()], String::new(), serial + 1));
    stage.backend.set(PRIMARY_V6, &Mode::Ok);
    testkit::wait_until("IPv6 is back", crate::agent::PATIENCE, || (v6() == "::1").then_some(()));
    assert_eq!((stage.answer(), stage.serial()), (vec![ALPHA.to_owned()], serial + 2));
    stage.assert_told("failover.completed", 0);
}

#[test]
fn a_family_that_dies_alone_leaves_alone() {
    on_each(one_family);
}
