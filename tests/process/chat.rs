//! A chat on a bad day delays nothing and loses nothing.

use serde_json::Value;
use testkit::wait_until;

use crate::stage::{PATIENCE, STANDBY, Stage, once_each};

/// Adds a channel that hears everything from info on.
fn add_channel(stage: &Stage, name: &str, settings: &str) {
    let channels = format!("  channels:\n    {name}: {settings}");
    let routes = format!("  routes:\n    - {{channel: {name}, events: [\"*\"]}}");
    stage.edit("  channels:", &channels).edit("  routes:", &routes);
}

fn deliveries(stage: &Stage, arguments: &[&str]) -> Vec<Value> {
    let listed = stage.run(&[&["deliveries", "list", "-o", "json"], arguments].concat());
    assert_eq!(listed.code, 0, "{listed:?}");
    listed.json().as_array().expect("a list").clone()
}

#[test]
fn a_chat_that_hangs_delays_no_failover_and_no_other_chat() {
    let stage = Stage::new();
    add_channel(&stage, "team", &format!("{{type: slack, url: \"{}\"}}", stage.chat.url("/hang")));
    let agent = stage.agent();
    stage.kill_primary();
    stage.wait_told("failover.completed");
    assert_eq!(stage.zone(), (2, STANDBY.into()));
    let waiting = deliveries(&stage, &["--channel", "team", "--state", "pending"]);
    assert!(waiting.iter().any(|d| d["event"]["type"] == "failover.completed"), "{waiting:?}");
    agent.stop();
}

#[test]
fn a_chat_that_was_down_gets_every_message() {
    let stage = Stage::new();
    add_channel(&stage, "team", &format!("{{type: webhook, url: \"{}\"}}", stage.chat.url("/failn/2/503")));
    let agent = stage.agent();
    stage.kill_primary();
    let heard = || {
        let all = stage.chat.received();
        all.into_iter().filter(|message| message.path == "/failn/2/503").collect::<Vec<_>>()
    };
    wait_until("the failover in the chat", PATIENCE, || {
        let arrived: Vec<_> = heard().into_iter().filter(|message| message.status == 200).collect();
        let all = ["agent.started", "target.down", "failover.completed"]
            .iter()
            .all(|kind| !once_each(&arrived, kind).is_empty());
        all.then_some(())
    });
    let refused = heard().iter().filter(|message| message.status == 503).count();
    assert_eq!(refused, 2, "it was down at first");
    agent.stop();
}

/// bad day: chat: says no with a 200 | not believed
/// Rocket.Chat says 200 to everything; its body says whether it took the message.
#[test]
fn a_rocketchat_that_says_no_with_a_200_is_not_believed() {
    let stage = Stage::new();
    let no = stage.chat.url("/say/%7B%22success%22%3Afalse%2C%22error%22%3A%22out%20of%20order%22%7D");
    let yes = stage.chat.url("/say/%7B%22success%22%3Atrue%7D");
    add_channel(&stage, "no", &format!("{{type: rocketchat, url: \"{no}\"}}"));
    add_channel(&stage, "yes", &format!("{{type: rocketchat, url: \"{yes}\"}}"));
    assert_eq!(stage.run(&["once"]).code, 0);
    stage.kill_primary();
    let once = stage.run(&["once", "--detailed-exitcode"]);
    assert_eq!(once.code, 5, "{once:?}");
    let of = |channel: &str| {
        let mut of = deliveries(&stage, &["--channel", channel]);
        of.retain(|delivery| delivery["event"]["type"] == "failover.completed");
        of.pop().expect("there is one")
    };
    assert_eq!(of("yes")["state"], "delivered");
    assert_eq!(of("no")["state"], "pending");
    assert!(of("no")["last_error"].as_str().unwrap().contains("out of order"), "{}", of("no"));
}

#[test]
fn notify_test_says_what_came_of_it() {
    let stage = Stage::new();
    let slack = |path: &str| format!("{{type: slack, url: \"{}\"}}", stage.chat.url(path));
    add_channel(&stage, "team", &slack("/team"));
    add_channel(&stage, "gone", &slack("/fail/404"));
    add_channel(&stage, "dead", &slack("/hang"));
    let one = stage.run(&["notify", "test", "team"]);
    assert_eq!((one.code, one.stdout.as_str()), (0, "team: delivered: ok\n"), "{one:?}");
    assert_eq!(stage.chat.received().len(), 1);
    let unknown = stage.run(&["notify", "test", "nobody"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("no channel nobody is configured; configured: dead, gone, ops, team"));

    // All of them: the one that hangs ends by itself.
    let all = stage.run(&["notify", "test"]);
    assert_eq!(all.code, 1, "{all:?}");
    // A long line is broken, and goes on indented.
    let whole = all.stdout.replace("\n    ", " ");
    let lines: Vec<&str> = whole.lines().collect();
    let [dead, gone, ops, team] = lines[..] else { panic!("{all:?}") };
    assert!(dead.starts_with("dead: not delivered: ") && dead.contains("10 s"), "{dead}");
    assert!(gone.starts_with("gone: refused: ") && gone.ends_with("answered 404: ok"), "{gone}");
    assert!(ops.starts_with("ops: delivered") && team.starts_with("team: delivered"), "{all:?}");
    assert!(!stage.path("failover.db").exists(), "a test leaves nothing behind");
}

/// bad day: chat: refuses a message for good | kept as dead, told in the other channels, sent again by hand
#[test]
fn a_dead_letter_is_shown_and_sent_again() {
    let stage = Stage::new();
    assert_eq!(stage.run(&["deliveries", "list"]).code, 1, "nothing has run yet");
    // The first message is refused for good, and what comes later is taken.
    add_channel(&stage, "team", &format!("{{type: webhook, url: \"{}\"}}", stage.chat.url("/failn/1/404")));
    let agent = stage.agent();
    let told = stage.wait_told("delivery.exhausted");
    let dead = deliveries(&stage, &["--state", "dead"]);
    assert_eq!(dead.len(), 1, "{dead:?}");
    let id = dead[0]["id"].to_string();
    assert_eq!(dead[0]["channel"], "team");
    assert!(told["remedy"].as_str().unwrap().ends_with(&format!("failover deliveries retry {id}")), "{told}");

    let list = stage.run(&["deliveries", "list", "--state", "dead"]);
    assert!(list.stdout.contains("after 1 attempt: 127.0.0.1:"), "{list:?}");
    let show = stage.run(&["deliveries", "show", &id]);
    assert!(show.stdout.contains("404") && show.stdout.contains("| "), "attempts and message: {show:?}");
    let json = stage.run(&["deliveries", "show", &id, "-o", "json"]).json();
    assert_eq!((&json["state"], &json["log"][0]["status"]), (&"dead".into(), &404.into()), "{json}");

    let retry = stage.run(&["deliveries", "retry", &id]);
    assert_eq!(retry.code, 0, "{retry:?}");
    wait_until("its delivery", PATIENCE, || {
        let json = stage.run(&["deliveries", "show", &id, "-o", "json"]).json();
        (json["state"] == "delivered" && json["log"].as_array()?.len() == 2).then_some(())
    });
    let unknown = stage.run(&["deliveries", "retry", "4711"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("there is no delivery 4711"), "{unknown:?}");
    agent.stop();
}
