//! A target that passes and fails in turns goes down, with one change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::{Mode, wait_until};

use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, WWW};

/// A primary of our own: 200 to the first probes, and then a 503 to every other one. Gives the number of answers.
fn flapping_primary(port: u16, well_for: u64) -> Arc<AtomicU64> {
    let listener = TcpListener::bind((PRIMARY, port)).expect("the stage's own primary is closed");
    let answered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&answered);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let asked = stream.read(&mut [0; 2048]).unwrap_or(0);
            if asked == 0 {
                continue;
            }
            let number = count.fetch_add(1, Ordering::SeqCst);
            let status = if number >= well_for && number.is_multiple_of(2) { "503 Busy" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    answered
}

/// bad day: target: alternates between 200 and 503 | one change, and no way back while it goes on
#[test]
fn a_target_that_alternates_goes_down_with_one_change() {
    let stage = Stage::new();
    stage.kill_primary();
    // The rules of the defaults, ten times as fast: a minute of flapping in six seconds, failback by itself.
    stage
        .edit("rise: 1\n    clear: 1", "rise: 3\n    clear: 6")
        .edit("mode: manual", "mode: auto, after: 2s");
    let answered = flapping_primary(stage.hosts.port(), 3);
    let agent = stage.start();
    let told = stage.wait_told("failover.completed");
    assert!(told["reason"].as_str().unwrap().contains("503"), "{told}");
    // It goes on flapping, for twenty answers in all and twenty more.
    let then = answered.load(Ordering::SeqCst);
    wait_until("forty more answers", PATIENCE, || {
        (answered.load(Ordering::SeqCst) >= then + 40).then_some(())
    });
    let said = agent.stop();
    assert_eq!(stage.zone(), (2, STANDBY.into()), "one change: {said}");
    assert_eq!(stage.told("failover.completed").len(), 1);
    assert_eq!(stage.told("failback.completed").len(), 0);
    assert_eq!(stage.told("target.up").len(), 0, "three in a row never come");
}

/// bad day: record: changed too often | it is left alone over restarts, until it decays or `failover ack`
#[test]
fn a_record_that_changed_too_often_is_left_alone_over_restarts_until_a_person_lets_go() {
    let stage = Stage::new();
    // One change is too often here, and would be for an hour.
    stage.edit("hold_down: 0s", "hold_down: 0s\n    flapping: {half_life: 1h, suppress: 1000, reuse: 900}");
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_published(STANDBY);
    stage.wait_told("failover.completed");
    agent.stop();

    stage.hosts.set(0, &Mode::Ok);
    let agent = stage.start();
    stage.in_sync();
    assert_eq!(stage.run(&["failback", WWW]).code, 0);
    let refused = |status: &serde_json::Value| status["records"][0]["guard"] == "flapping";
    stage.wait_status("the change withheld by flapping", refused);
    let told = stage.wait_told("change.withheld");
    assert!(told["remedy"].as_str().unwrap().contains("`failover ack www.workshopco.test`"), "{told}");
    let why = stage.run(&["explain", WWW]).stdout;
    assert!(why.contains("flapping: www.workshopco.test changed too often"), "{why}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    let said = stage.run(&["ack", WWW]);
    assert_eq!(said.code, 0, "{said:?}");
    stage.wait_published(PRIMARY);
    stage.wait_told("record.acknowledged");
    stage.wait_told("failback.completed");
    agent.stop();

    // And without an agent, for cron.
    stage.kill_primary();
    let withheld = stage.run(&["once"]);
    assert_eq!((withheld.code, stage.zone().1.as_str()), (4, PRIMARY), "{withheld:?}");
    let said = stage.run(&["ack", WWW]);
    assert!(said.code == 0 && said.stdout.contains("no agent runs"), "{said:?}");
    let done = stage.run(&["once"]);
    assert_eq!((done.code, stage.zone().1.as_str()), (0, STANDBY), "{done:?}");
    assert_eq!(stage.told("record.acknowledged").len(), 2);
    assert_eq!(stage.run(&["ack", "nobody.workshopco.test"]).code, 1);
}
