//! Primaries that misbehave, as the program itself sees them: each is left for the stand-by, with the reason, and costs
//! no more than the limits allow.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::stage::{PRIMARY, STANDBY, Stage};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Answers well for so many requests, and then leaves each connection to `then`, request read.
fn primary(port: u16, well_for: u64, then: impl Fn(TcpStream) + Send + Sync + 'static) {
    let listener = TcpListener::bind((PRIMARY, port)).expect("the stage's own primary is closed");
    let (then, asked) = (Arc::new(then), AtomicU64::new(0));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if stream.read(&mut [0; 2048]).unwrap_or(0) == 0 {
                continue;
            }
            if asked.fetch_add(1, Ordering::SeqCst) < well_for {
                // A probe that was dropped does not read it.
                let _ = stream.write_all(OK);
            } else {
                let then = Arc::clone(&then);
                std::thread::spawn(move || then(stream));
            }
        }
    });
}

/// The most memory the process ever had, bytes (`proc(5)`, `VmHWM`).
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The failover away from a primary that does `then`, with the reason given; the peak of memory meanwhile.
fn is_left(then: impl Fn(TcpStream) + Send + Sync + 'static, reason: &str) -> u64 {
    let stage = Stage::new();
    stage.kill_primary();
    stage.edit("path: /healthz", "path: /healthz, body: {contains: ok}");
    primary(stage.hosts.port(), 2, then);
    let agent = stage.start();
    let told = stage.wait_told("failover.completed");
    assert!(told["reason"].as_str().unwrap().contains(reason), "{reason}: {told}");
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    let peak = peak(agent.pid());
    agent.stop();
    assert_eq!(stage.told("failover.completed").len(), 1);
    peak
}

/// bad day: target: sends 1 GB, seen by the whole program | left for the stand-by; no memory is used for it
#[test]
fn a_gigabyte_is_not_read_and_costs_no_memory() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let flood = move |mut stream: TcpStream| {
        let megabyte = vec![b'x'; 1 << 20];
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        while stream.write_all(&megabyte).is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    };
    let peak = is_left(flood, "bytes of the body do not hold");
    assert!(peak < 128 << 20, "{peak} bytes at the peak");
    assert!(sent.load(Ordering::SeqCst) < 512, "{sent:?} MB went through, of several GB");
}

/// bad day: target: a byte a second, a reset in the middle, garbage, seen by the whole program | left, with the reason
#[test]
fn a_primary_that_trickles_resets_or_speaks_garbage_is_left() {
    let trickle = |mut stream: TcpStream| {
        for byte in OK {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            sleep(Duration::from_secs(1));
        }
    };
    let reset = |mut stream: TcpStream| {
        let _ = stream.write_all(&OK[..30]);
        // What was sent is on its way before the reset overtakes it; unread data makes the close one.
        sleep(Duration::from_millis(50));
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    };
    let garbage = |mut stream: TcpStream| {
        let _ = stream.write_all(b"\x16\x03garbage\x00\r\n\r\n");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| is_left(trickle, "within 500ms"));
        scope.spawn(|| is_left(reset, "reset the connection"));
        scope.spawn(|| is_left(garbage, "is not HTTP/1.1"));
    });
}

/// bad day: target: redirects to a healthy host, seen by the whole program | left; the other host is never asked
#[test]
fn a_redirect_to_a_healthy_host_saves_nobody() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let there = elsewhere.local_addr().unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let redirect = move |mut stream: TcpStream| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes());
    };
    is_left(redirect, "redirects are judged, not followed");
    assert!(elsewhere.accept().is_err(), "nobody came");
}
