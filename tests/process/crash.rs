//! kill -9 at any moment of a failover: after the next start there was exactly one write and one message.

use std::time::Duration;

use testkit::{Mode, wait_until};

use crate::stage::{PATIENCE, PRIMARY, STANDBY, Stage, once_each};

/// Companies that suffer side by side, each one outage after the other.
const COMPANIES: u64 = 3;
/// Outages of each.
const OUTAGES: u64 = 10;
/// Within this time of the primary's death a failover is over, as a rule.
const WINDOW: u64 = 800;

/// When the agent is killed.
#[derive(Debug)]
enum Blow {
    /// So long after the primary died.
    After(Duration),
    /// As soon as the new address stands in the zone: between the write and its record.
    AtTheWrite,
}

/// bad day: agent: killed again and again in an outage | one write, one message
#[test]
fn a_killed_agent_writes_once_and_tells_once() {
    // `CRASH_SEED=n` plays one run again.
    let asked = std::env::var("CRASH_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let seed = asked.unwrap_or_else(rand::random);
    println!("CRASH_SEED={seed}");
    let written: Vec<bool> = std::thread::scope(|scope| {
        let companies: Vec<_> =
            (0..COMPANIES).map(|n| scope.spawn(move || company(seed.wrapping_add(n)))).collect();
        companies.into_iter().flat_map(|company| company.join().expect("see above")).collect()
    });
    let after = written.iter().filter(|written| **written).count();
    println!("{after} of {} were killed after the write", written.len());
    assert!(after > 0 && after < written.len(), "the blows miss: move WINDOW");
}

/// One company's outages; for each, whether the blow fell after the write.
fn company(seed: u64) -> Vec<bool> {
    let stage = Stage::new();
    let mut random = seed;
    (0..OUTAGES)
        .map(|outage| {
            // Spread over the window and random within each part of it (Knuth's MMIX generator).
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let part = WINDOW / OUTAGES;
            let blow = match outage % 4 {
                3 => Blow::AtTheWrite,
                _ => Blow::After(Duration::from_millis(outage * part + (random >> 33) % part)),
            };
            println!("seed {seed}, outage {outage}: {blow:?}");
            one_outage(&stage, &blow)
        })
        .collect()
}

fn one_outage(stage: &Stage, blow: &Blow) -> bool {
    for name in ["failover.db", "failover.db-wal", "failover.db-shm", "agent.log"] {
        let _ = std::fs::remove_file(stage.path(name));
    }
    stage.hosts.set(0, &Mode::Ok);
    stage.publish(7, PRIMARY);
    let heard = stage.chat.received().len();
    let agent = stage.agent();

    stage.kill_primary();
    match blow {
        Blow::After(time) => std::thread::sleep(*time),
        Blow::AtTheWrite => wait_until("the write", PATIENCE, || {
            let mut looks = (0..1000).inspect(|_| std::thread::sleep(Duration::from_micros(200)));
            looks.any(|_| stage.zone().1 == STANDBY).then_some(())
        }),
    }
    agent.kill();
    let written = stage.zone().1 == STANDBY;

    let agent = stage.start();
    wait_until("the message of the failover", PATIENCE, || {
        once_each(&stage.chat.received()[heard..], "failover.completed").pop()
    });
    stage.wait_status("the record in sync", |status| status["records"][0]["status"] == "in_sync");
    agent.stop();

    let told = once_each(&stage.chat.received()[heard..], "failover.completed");
    assert_eq!(told.len(), 1, "{blow:?}: one message: {told:?}");
    assert_eq!(told[0]["before"]["values"][0], PRIMARY, "{blow:?}: {}", told[0]);
    assert_eq!(told[0]["after"]["values"][0], STANDBY, "{blow:?}: {}", told[0]);
    assert_eq!(stage.zone(), (8, STANDBY.into()), "{blow:?}: one write");
    let failed = once_each(&stage.chat.received()[heard..], "failover.failed");
    assert!(failed.is_empty(), "{blow:?}: nobody hears of a change that was not written: {failed:?}");
    // One that was begun and not written is closed as failed, and another one is made.
    let mut changes = changes(stage);
    changes.retain(|state| state != "failed");
    assert_eq!(changes, ["completed"], "{blow:?}");
    written
}

/// The state file by SQLite's own account: sound, and every change in it closed.
fn changes(stage: &Stage) -> Vec<String> {
    let file = rusqlite::Connection::open(stage.path("failover.db")).unwrap();
    let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let mut rows = file.prepare("SELECT state FROM changes").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
