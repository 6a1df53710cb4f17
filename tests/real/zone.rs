//! `coordination: zone` on a real BIND: two agents that see opposite things, and markers that nobody may follow.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use failover::decision::{Flapping, MarkerSeen, changes_at_most};
use providers::{NonEmpty, RecordSet, Ttl, Values};
use testkit::{Mode, wait_until};

use crate::agent::{PATIENCE, Site};
use crate::stage::{ALPHA, BETA, PRIMARY, Settings, Stage, Way};

const MARKER: &str = "_failover.www.example.test";

fn stage(hold_down: &str) -> Stage {
    let mut stage = Stage::start(Way::Bind);
    stage.settings = Settings { more: "    coordination: zone".to_owned(), ..Settings::default() };
    stage.settings.more.push_str(hold_down);
    stage
}

/// Makes the marker's name hold these records, as a person would.
fn mark(stage: &Stage, records: &[&str]) {
    let added = records.iter().map(|record| format!("update add {MARKER}. {record}"));
    let lines: Vec<String> = std::iter::once(format!("update delete {MARKER}. TXT")).chain(added).collect();
    stage.server.nsupdate(&lines.join("\n"));
}

/// What stands at the marker's name, asked by a DNS question of our own.
fn marker(stage: &Stage) -> Option<String> {
    let reply = stage.server.ask(MARKER, "TXT");
    reply.values().first().map(|text| text.trim_matches('"').to_owned())
}

/// The generation that stands there; 0 without a marker.
fn generation(stage: &Stage) -> u64 {
    let set = marker(stage).map(|text| RecordSet::new(Ttl(60), Values::Txt(NonEmpty::one(text))));
    match MarkerSeen::parse(set.as_ref()) {
        MarkerSeen::Known(marker) => marker.generation(),
        MarkerSeen::Absent => 0,
        other => panic!("{other:?}"),
    }
}

/// bad day: agents: a marker newer, foreign, twice, or damaged | nothing is written beside it; told with the remedy
#[test]
fn markers_that_nobody_may_follow() {
    let stage = stage("");
    let site = stage.site();
    stage.backend.set(PRIMARY, &Mode::Closed);
    let good = "v=failover1; generation=3; writer=other; changed=2026-11-22T09:30:00.123456Z; penalty=0; \
                targets=beta";
    let bad: [(&[&str], &str, &str); 6] = [
        (&["60 TXT \"v=failover2; generation=3\""], "stale_generation", "upgrade this agent"),
        (&["60 TXT \"v=spf1 -all\""], "foreign", "delete that TXT"),
        (&["60 TXT \"v=failover1; \" \"generation=3\""], "foreign", "delete that TXT"),
        (&[&format!("60 TXT \"{good}\""), "60 TXT \"v=spf1 -all\""], "foreign", "delete those"),
        (&["60 TXT \"v=failover1; generation=three\""], "foreign", "delete that TXT"),
        (&["60 TXT \"\\255\\000\\007\""], "foreign", "delete that TXT"),
    ];
    for (records, guard, remedy) in bad {
        mark(&stage, records);
        let serial = stage.serial();
        for done in [site.plan(&[]).ended(4), site.once(&[]).ended(4)] {
            let record = done.record();
            assert_eq!(record["guard"], guard, "{records:?}: {record:#}");
            let said = record["remedy"].as_str().expect("a remedy");
            assert!(
                said.contains(remedy) && said.contains(&format!("dig +short TXT {MARKER}")),
                "{record:#}"
            );
        }
        assert_eq!(stage.serial(), serial, "something was written beside {records:?}");
    }
    // A person deletes it, and the change is made.
    mark(&stage, &[]);
    let record = site.once(&[]).ended(0).record();
    assert_eq!(
        (&record["marker"]["generation"], &record["marker"]["writer"]),
        (&1.into(), &"tester".into()),
        "{record:#}"
    );
    assert_eq!(generation(&stage), 1);
    assert_eq!(stage.answer(), [BETA]);
}

/// A port of this address that takes connections.
fn open(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    let accepting = listener.try_clone().expect("a descriptor");
    // Ends with the process.
    thread::spawn(move || accepting.incoming().for_each(drop));
    (listener, port)
}

/// An agent that reaches only what listens on this port.
fn one_eyed(stage: &Stage, id: &str, port: u16) -> Site {
    let http = format!("http: {{path: /healthz, port: {}}}", stage.backend.port());
    let config = stage.config().replace(&http, &format!("tcp: {{port: {port}}}"));
    // The penalty would end this after five changes; here it is `hold_down` that must.
    let bounds = format!("hold_down: {}ms\n    flapping: {{suppress: {SUPPRESS}}}", HOLD_DOWN.as_millis());
    let config = config.replace("hold_down: 0s", &bounds);
    let grace = format!("id: {id}, startup_grace: 1s, state");
    Site::new(
        &config.replace("id: tester, state", &grace).replace("live_interval: 1s", "live_interval: 200ms"),
    )
}

const HOLD_DOWN: Duration = Duration::from_secs(2);
const SUPPRESS: u32 = 1_000_000;

/// bad day: agents: two that see opposite things, restart, stand still | one chain of changes, `hold_down` apart
#[test]
#[expect(clippy::disallowed_methods, reason = "the bound is one on real time")]
fn two_agents_that_see_opposite_things() {
    let stage = stage("");
    let ((_beta, to_beta), (_alpha, to_alpha)) = (open(BETA), open(ALPHA));
    let sites = [one_eyed(&stage, "one", to_beta), one_eyed(&stage, "two", to_alpha)];
    let first = stage.serial();
    let began = std::time::Instant::now();
    let [mut one, mut two] = [sites[0].run(), sites[1].run()];
    let reaches = |generation_wanted: u64| {
        let what = format!("generation {generation_wanted}");
        wait_until(&what, PATIENCE, || {
            let found = generation(&stage);
            // Each change moves the serial once and the generation once: a gap, or a change without a marker, would show.
            let written = u64::from(stage.serial().wrapping_sub(first));
            assert!(written >= found, "generation {found} after {written} writes");
            (found >= generation_wanted).then_some(())
        });
    };
    reaches(2);
    one.kill();
    one = sites[0].run();
    reaches(4);
    two.kill();
    sites[1].forget();
    two = sites[1].run();
    reaches(5);
    // Stands still for longer than hold_down, wherever it is, and goes on.
    one.freeze();
    thread::sleep(HOLD_DOWN * 2);
    one.thaw();
    reaches(8);
    one.terminate();
    two.terminate();
    let changes = generation(&stage);
    assert_eq!(
        u64::from(stage.serial().wrapping_sub(first)),
        changes,
        "a change without the next generation"
    );
    let bound =
        changes_at_most(began.elapsed(), HOLD_DOWN, &Flapping { suppress: SUPPRESS, ..Flapping::default() });
    assert!(changes <= bound, "{changes} changes, {bound} at most");
    assert!(!stage.told("change.by_peer").is_empty(), "{:#?}", stage.gist());
    assert!(stage.told("drift.detected").is_empty(), "a peer's change is no drift: {:#?}", stage.gist());
}
