//! A secret that is not the server's.

use crate::stage::{ALPHA, PRIMARY, Stage, Way, on_each};
use testkit::Mode;

fn story(way: Way) {
    let mut stage = Stage::start(way);
    let wrong = stage.spoil_the_secret();
    let (site, serial) = (stage.site(), stage.serial());
    stage.backend.set(PRIMARY, &Mode::Closed);
    let clue = if way == Way::PowerDnsHttp { "check `api_key`" } else { "TSIG key failover-key" };
    for command in ["plan", "once"] {
        let done = site.failover(&[command]).ended(1);
        let text = done.text();
        assert!(text.contains("refuses the credentials") || text.contains(clue), "{text}");
        assert!(text.contains(clue), "{text}");
        assert!(!text.contains(wrong), "the secret is printed: {text}");
    }
    // The agent says it once, and a person must come.
    let agent = site.run();
    let event = testkit::wait_until("the agent tells it", crate::agent::PATIENCE, || {
        stage.told("provider.unavailable").into_values().find(|event| event["severity"] == "critical")
    });
    assert!(event["summary"].as_str().is_some_and(|text| text.contains(clue)), "{event:#}");
    site.wait_for("failed", &[]);
    assert!(!agent.log().contains(wrong), "the secret is in the log");
    agent.terminate();
    assert_eq!((stage.serial(), stage.answer()), (serial, vec![ALPHA.to_owned()]), "nothing was written");
    assert!(!stage.gist().join("\n").contains(wrong), "the secret was sent to the chat");
}

/// bad day: provider: a real server refuses the secret | named, never shown; nothing is written
#[test]
fn a_wrong_secret_is_named_and_writes_nothing() {
    on_each(story);
}
