//! Drain, pin, pause: what a person orders, with an agent and without one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use testkit::Mode;

use crate::agent::Ended;
use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, WWW};

const WHY: &[&str] = &["--for", "1h", "--reason", "new kernel", "--by", "alice"];

#[track_caller]
fn order(stage: &Stage, words: &[&str]) -> Ended {
    stage.run(&[words, WHY].concat())
}

#[track_caller]
fn done(ended: &Ended, says: &[&str]) {
    assert_eq!(ended.code, 0, "{ended:?}");
    // Where its lines are broken is no matter here.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in says {
        assert!(words(&ended.stdout).contains(&words(part)), "{part}: {ended:?}");
    }
}

#[test]
fn a_drain_moves_the_record_outlives_a_restart_and_is_ended() {
    let stage = Stage::new();
    stage.edit("failback: {mode: manual}", "failback: {after: 1s}");
    let agent = stage.agent();
    let drained = order(&stage, &["drain", "toronto"]);
    done(&drained, &["toronto is drained until 20", "by alice: new kernel", "failover undrain toronto"]);
    done(&drained, &[&format!("{WWW} moves to montreal")]);
    stage.wait_published(STANDBY);
    let told = stage.wait_told("override.set");
    assert!(told["summary"].as_str().unwrap().contains("alice drained toronto for 60 min"), "{told}");
    let moved = stage.wait_told("failover.completed");
    assert_eq!(moved["severity"], "warning", "planned: {moved}");
    assert!(moved["reason"].as_str().unwrap().contains("toronto is drained by alice"), "{moved}");
    stage.in_sync();
    done(&stage.run(&["status"]), &["order toronto is drained", ", drained"]);
    done(&stage.run(&["explain", WWW]), &["override  toronto is drained", "the drain of toronto ends in"]);
    done(&stage.run(&["plan", "--detailed-exitcode"]), &["order toronto is drained"]);

    agent.stop();
    done(&stage.run(&["status"]), &["order toronto is drained"]);
    let agent = stage.agent();
    let status = stage.status().expect("it runs");
    assert_eq!(
        (&status["overrides"][0]["kind"], &status["overrides"][0]["target"]),
        (&"drain".into(), &"toronto".into())
    );
    for key in ["until", "left_s", "reason", "by", "set", "end"] {
        assert!(!status["overrides"][0][key].is_null(), "{key}: {status}");
    }
    assert_eq!(stage.zone(), (2, STANDBY.into()));

    let ended = stage.run(&["undrain", "toronto", "--by", "bob", "-o", "json"]);
    done(&ended, &[]);
    assert_eq!((&ended.json()["in_force"], &ended.json()["source"]), (&false.into(), &"agent".into()));
    stage.wait_published(PRIMARY);
    let told = stage.wait_told("override.cleared");
    assert!(told["summary"].as_str().unwrap().ends_with("was ended by bob"), "{told}");
    let again = stage.run(&["undrain", "toronto"]);
    assert!(again.code == 1 && again.stderr.contains("toronto is not drained"), "{again:?}");
    agent.stop();
    assert_eq!(stage.status(), None);
    assert_eq!(stage.told("override.set").len(), 1, "once");
}

#[test]
fn a_pause_holds_what_is_due_until_it_expires() {
    let stage = Stage::new();
    let agent = stage.agent();
    done(
        &order(&stage, &["pause"]),
        &["everything is paused", "nothing moves", "paused by alice: new kernel"],
    );
    stage.kill_primary();
    stage.wait_told("target.down");
    stage.wait_status("held", |status| {
        let record = &status["records"][0];
        record["status"] == "holding" && record["reason"] == "paused by alice: new kernel"
    });
    let plan = stage.run(&["plan", "--detailed-exitcode"]);
    assert!(plan.code == 6 && plan.stdout.contains("paused by alice"), "{plan:?}");
    assert_eq!(stage.zone(), (1, PRIMARY.into()));
    // A shorter one takes its place.
    done(&stage.run(&["pause", "--for", "1s", "--reason", "enough", "--by", "alice"]), &[]);
    stage.wait_published(STANDBY);
    let told = stage.wait_told("override.expired");
    assert!(told["summary"].as_str().unwrap().contains("the pause of everything"), "{told}");
    stage.wait_status("no order left", |status| status["overrides"] == serde_json::json!([]));
    agent.stop();
}

#[test]
fn a_pin_moves_the_record_and_holds_it_there() {
    let stage = Stage::new();
    let agent = stage.agent();
    done(&order(&stage, &["pin", WWW, "montreal"]), &[&format!("{WWW} moves to montreal")]);
    stage.wait_published(STANDBY);
    stage.hosts.set(1, &Mode::Closed);
    let down = stage.wait_told("target.down");
    assert!(down["next"].as_str().unwrap().contains("failover unpin"), "{down}");
    stage.wait_status("held", |status| status["records"][0]["status"] == "holding");
    assert_eq!(stage.zone().1, STANDBY, "whatever else works");
    done(&stage.run(&["unpin", WWW]), &["the pin of", "to montreal is ended"]);
    stage.wait_published(PRIMARY);
    agent.stop();
}

#[test]
fn without_an_agent_orders_are_kept_and_once_obeys_them() {
    let stage = Stage::new();
    let drained = order(&stage, &["drain", "toronto"]);
    done(&drained, &["kept in the state file; the next `failover once` or `failover run` obeys it"]);
    done(&stage.run(&["status"]), &["order toronto is drained"]);
    let plan = stage.run(&["plan", "--detailed-exitcode"]);
    assert!(plan.code == 5 && plan.stdout.contains("toronto is drained by alice"), "{plan:?}");
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!((once.code, stage.zone()), (5, (2, STANDBY.into())), "{once:?}");
    stage.wait_told("override.set");
    assert_eq!(stage.run(&["once", "--detailed-exitcode"]).code, 0, "again: nothing to do");
    let mut undrain = stage.command(&["undrain", "toronto", "-o", "json"]);
    let ended = Ended::of(undrain.env_remove("SUDO_USER").env("USER", "bob"));
    assert_eq!((ended.code, &ended.json()["source"]), (0, &"state".into()), "{ended:?}");
    assert_eq!(stage.run(&["undrain", "toronto"]).code, 1, "it is over");
    done(&order(&stage, &["pause", WWW]), &[]);
    stage.hosts.set(1, &Mode::Closed);
    let held = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!((held.code, stage.zone().0), (6, 2), "{held:?}");
    let told = stage.wait_told("override.cleared");
    assert!(told["summary"].as_str().unwrap().ends_with("was ended by bob"), "{told}");
    done(&stage.run(&["resume", WWW]), &[]);
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!((once.code, stage.zone()), (5, (3, PRIMARY.into())), "{once:?}");
}

/// What the agent answers to a request of somebody who writes it by hand.
fn raw(stage: &Stage, head: &str, body: &str) -> String {
    let mut socket = UnixStream::connect(stage.path("failover.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(socket, "{head} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    // One that is refused for its length may find the rest of its body unread.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn orders_that_are_refused() {
    let stage = Stage::new();
    for (words, says) in [
        (&["drain", "toronto", "--for", "1h"][..], "needs a reason: add --reason"),
        (&["drain", "toronto", "--reason", "x"], "needs an end: add --for 2h"),
        (&["drain", "toronto", "--for", "31d", "--reason", "x"], "at most 30 days"),
        (&["drain", "toronto", "--for", "0s", "--reason", "x"], "at least 1 s"),
        (&["drain", "toronto", "--until", "2026-01-01T00:00:00Z", "--reason", "x"], "would be over already"),
        (&["pause", "--for", "1h", "--reason", "two\nlines"], "control characters"),
        (
            &["pause", "--for", "1h", "--until", "2099-01-01T00:00:00Z", "--reason", "x"],
            "cannot be used with",
        ),
    ] {
        let ended = stage.run(words);
        assert!(ended.code == 2 && ended.stderr.contains(says), "{words:?}: {ended:?}");
    }
    assert!(!stage.path("failover.db").exists(), "nothing was kept");
    for agent in [false, true] {
        let running = agent.then(|| stage.agent());
        for (words, says) in [
            (&["drain", "nowhere"][..], "no target nowhere is configured"),
            (&["pin", WWW, "nowhere"], "which has toronto, montreal"),
            (&["pin", "mail.workshopco.test", "toronto"], "no record mail.workshopco.test"),
            (&["pause", "mail.workshopco.test"], "no record mail.workshopco.test"),
        ] {
            let ended = order(&stage, words);
            assert!(ended.code == 1 && ended.stderr.contains(says), "{words:?}: {ended:?}");
        }
        let ended = stage.run(&["resume"]);
        assert!(ended.code == 1 && ended.stderr.contains("there is no pause of everything"), "{ended:?}");
        if let Some(running) = running {
            let kilobytes = " ".repeat(5000);
            for (head, body, says) in [
                ("POST /v1/overrides", "", "400"),
                (
                    "POST /v1/overrides",
                    r#"{"kind": "drain", "target": "toronto", "for_s": 9, "by": "b"}"#,
                    "needs a reason",
                ),
                ("POST /v1/overrides", kilobytes.as_str(), "413"),
                ("DELETE /v1/overrides/pause?by=", "", "needs a name"),
                ("DELETE /v1/overrides/melt/toronto?by=b", "", "is no override"),
                ("GET /v1/overrides", "", "[]"),
            ] {
                let answer = raw(&stage, head, body);
                assert!(answer.contains(says), "{head} {says}: {answer}");
            }
            running.stop();
        }
    }
    assert_eq!(stage.zone().0, 1);
}

#[test]
fn an_order_that_cannot_be_kept_is_obeyed_and_says_so() {
    let stage = Stage::new();
    let folder = stage.folder.path().display().to_string();
    stage.edit(&format!("state: {folder}/failover.db"), &format!("state: {folder}/nowhere/failover.db"));
    let none = order(&stage, &["drain", "toronto"]);
    assert_eq!(none.code, 1, "without an agent there is nobody to remember it: {none:?}");
    let agent = stage.agent();
    let drained = order(&stage, &["drain", "toronto"]);
    done(&drained, &[&format!("{WWW} moves to montreal")]);
    assert!(drained.stderr.contains("WARNING") && drained.stderr.contains("does not survive"), "{drained:?}");
    stage.wait_published(STANDBY);
    agent.stop();
}
