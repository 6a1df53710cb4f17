//! The kit itself: servers start side by side, answer, take updates, and leave nothing behind.
#![allow(missing_docs)]

use std::path::Path;
use std::time::Duration;

use testkit::{Backend, Bind, ChatSink, DnsServer, FaultProxy, Knot, Mode, Pdns, ZONE, ask, wait_until};

fn takes_an_update(server: &impl DnsServer) {
    let before = server.serial(ZONE);
    server.set("www.example.test", &["60 A 192.0.2.1", "60 A 192.0.2.2"]);
    let reply = server.ask("www.example.test", "A");
    assert!(reply.authoritative);
    assert_eq!(reply.values(), ["192.0.2.1", "192.0.2.2"]);
    assert!(server.serial(ZONE) > before);
    server.set("www.example.test", &[]);
    assert_eq!(server.ask("www.example.test", "A").rcode, "NXDOMAIN");
}

/// A zombie does not count: in a container nobody may come to reap it.
fn process_is_there(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[test]
fn two_of_each_run_side_by_side_and_are_gone_afterwards() {
    let (one, two) = (Bind::start(0), Bind::start(0));
    assert_ne!(one.dns(), two.dns());
    takes_an_update(&one);
    takes_an_update(&two);
    let (knot, pdns) = (Knot::start(), Pdns::start());
    takes_an_update(&knot);
    takes_an_update(&pdns);
    let (status, body) = pdns.api("GET", "/zones", None);
    assert_eq!(status, 200);
    assert!(body.contains("example.test."), "{body}");
    let folder = pdns.folder().to_owned();
    let pids = [one.pid(), two.pid(), knot.pid(), pdns.pid()];
    assert!(pids.iter().all(|pid| process_is_there(pid)));
    drop((one, two, knot, pdns));
    assert!(!pids.iter().any(|pid| process_is_there(pid)), "a server is still there");
    assert!(!folder.exists());
}

#[test]
fn a_panic_stops_the_server_too() {
    let pid = std::sync::Mutex::new(String::new());
    let story = std::panic::catch_unwind(|| {
        let knot = Knot::start();
        *pid.lock().unwrap() = knot.pid();
        panic!("a test fails");
    });
    assert!(story.is_err());
    assert!(!process_is_there(&pid.lock().unwrap()));
}

#[test]
#[ignore = "the victim of the next test, which runs it in a process of its own"]
fn victim() {
    let knot = Knot::start();
    std::fs::write(std::env::var("VICTIM_FILE").expect("set by the next test"), knot.pid()).expect("written");
    std::thread::park();
}

#[test]
fn a_killed_test_process_leaves_no_server_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let mut test = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "victim", "--ignored"])
        .env("VICTIM_FILE", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let limit = Duration::from_secs(40);
    let pid = wait_until("the victim has a server", limit, || {
        std::fs::read_to_string(&file).ok().filter(|pid| !pid.is_empty())
    });
    assert!(process_is_there(&pid));
    test.kill().expect("SIGKILL");
    test.wait().expect("it is dead");
    wait_until("the guard has stopped the server", limit, || (!process_is_there(&pid)).then_some(()));
}

#[test]
fn a_frozen_secondary_keeps_the_old_answer_and_catches_up() {
    let bind = Bind::start(1);
    let secondary = bind.secondaries()[0];
    bind.freeze_secondary(0);
    bind.set("www.example.test", &["60 A 192.0.2.1"]);
    assert!(ask(secondary, "www.example.test", "A").is_err());
    bind.thaw_secondary(0);
    wait_until("the secondary catches up", Duration::from_secs(20), || {
        ask(secondary, "www.example.test", "A").ok().filter(|reply| reply.values() == ["192.0.2.1"])
    });
}

#[test]
fn a_stopped_server_keeps_its_zone() {
    let mut bind = Bind::start(0);
    bind.set("www.example.test", &["60 A 192.0.2.1"]);
    let address = bind.dns();
    bind.stop();
    assert!(ask(address, "www.example.test", "A").is_err());
    bind.start_again();
    assert_eq!(bind.dns(), address);
    assert_eq!(bind.ask("www.example.test", "A").values(), ["192.0.2.1"]);
}

#[test]
fn targets_chat_and_faults() {
    let backend = Backend::start(&["127.0.0.2", "127.0.0.3"]);
    let chat = ChatSink::start();
    let proxy = FaultProxy::start(backend.targets()[1]);
    let get = |url: &str| {
        let output = std::process::Command::new("curl").args(["-sS", "-m", "5", url]).output().expect("curl");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let url = |address| format!("http://{address}/healthz");
    assert!(get(&url(backend.targets()[0])).is_some());
    backend.set(0, &Mode::Closed);
    assert!(get(&url(backend.targets()[0])).is_none());
    backend.set(1, &Mode::Body("a b&c".into()));
    assert_eq!(get(&url(proxy.address())).as_deref(), Some("a b&c"));
    proxy.set("mode=reset");
    assert!(get(&url(proxy.address())).is_none());
    assert_eq!(backend.requests(1), 1);

    get(&chat.url("/hook?a=1"));
    let received = chat.wait_for(1, Duration::from_secs(5));
    assert_eq!((received[0].method.as_str(), received[0].path.as_str()), ("GET", "/hook?a=1"));
}
