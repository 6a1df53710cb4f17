//! A target that passes and fails in turns goes down, with one change.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::wait_until;

use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage};

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
