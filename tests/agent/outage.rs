//! The story that the program exists for, and its near relatives.

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP, WWW};

/// bad day: target: the primary dies and comes back | one change there, one back after `failback.after`, one message each
#[tokio::test(start_paused = true)]
async fn outage_and_return() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    let failed_over = stage.hear("failover.completed").await;
    assert_eq!(stage.www(), MONTREAL);
    stage.pass(600).await;
    stage.host("toronto", Host::Works);
    let up = stage.hear("target.up").await;
    assert_eq!(stage.www(), MONTREAL, "up is not yet trusted");
    let failed_back = stage.hear("failback.completed").await;
    assert_eq!(stage.www(), TORONTO);
    stage.pass(3600).await;

    assert_eq!(
        stage.kinds(),
        [
            "agent.started",
            "target.down",
            "failover.completed",
            "propagation.completed",
            "target.up",
            "failback.completed",
            "propagation.completed"
        ]
    );
    assert_eq!((stage.writes(), stage.www().as_str()), (2, TORONTO));
    let trusted = failed_back.event.event.time.duration_since(up.event.event.time);
    assert_eq!(trusted.as_secs(), 300, "failback.after");
    let incident = failed_over.event.event.incident.clone();
    assert!(incident.is_some());
    for heard in stage.chat.heard().iter().skip(1) {
        assert_eq!(heard.event.event.incident, incident, "one outage, one incident: {}", heard.text());
    }
    let (since, time) = (failed_over.event.event.since.unwrap(), failed_over.event.event.time);
    assert!((1..=5).contains(&time.duration_since(since).as_secs()), "{since} {time}");
    assert_eq!(failed_over.event.event.effective_by.unwrap().duration_since(time).as_secs(), 60);
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn the_words_of_an_outage() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.pass(600).await;
    stage.host("toronto", Host::Works);
    stage.hear("failback.completed").await;
    stage.pass(60).await;
    let words: Vec<String> = stage.chat.heard().iter().map(crate::chat::Heard::text).collect();
    let expected = include_str!("outage.txt");
    assert_eq!(words.join("\n\n"), expected.trim_end(), "\n{}\n", words.join("\n\n"));
}

/// bad day: target: passes and fails by turns | down with one change; not served again before it has settled
#[tokio::test(start_paused = true)]
async fn a_target_that_passes_and_fails_by_turns_goes_down_once() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Alternates);
    stage.pass(60).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    assert_eq!(stage.heard("target.down").len(), 1);
    stage.pass(3600).await;
    assert_eq!(stage.writes(), 1, "and it does not come back as long as it goes on");
    stage.host("toronto", Host::Works);
    stage.hear("failback.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (2, TORONTO));
    stage.check();
}

/// bad day: target: hangs | as dead as one that refuses
#[tokio::test(start_paused = true)]
async fn a_hanging_primary_is_as_dead_as_one_that_refuses() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Hangs);
    let heard = stage.hear("failover.completed").await;
    assert_eq!(heard.event.event.reason.as_deref(), Some("toronto is down: no answer within 3 s"));
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_dead_primary_at_the_start() {
    let stage = Stage::new().await;
    stage.host("toronto", Host::Refuses);
    stage.start().await;
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn manual_failback_waits_for_a_person() {
    let stage = Stage::with(&WORKSHOP.replace("{mode: auto, after: 5m}", "{mode: manual}")).await;
    stage.edit(WWW, &[TORONTO]);
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    let heard = stage.hear("failover.completed").await;
    let next = "when toronto is well again, run `failover failback www.workshopco.ca`";
    assert_eq!(heard.event.event.next.as_deref(), Some(next));
    stage.host("toronto", Host::Works);
    stage.pass(7200).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.failback().await;
    let heard = stage.hear("failback.completed").await;
    assert!(heard.event.event.reason.unwrap().contains("a person asked"));
    assert_eq!((stage.writes(), stage.www().as_str()), (2, TORONTO));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn a_second_change_waits_for_hold_down() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    let first = stage.hear("failover.completed").await;
    stage.host("toronto", Host::Works);
    stage.host("montreal", Host::Refuses);
    let withheld = stage.hear("change.withheld").await;
    assert_eq!(withheld.event.event.guard.as_deref(), Some("hold_down"));
    stage.until("back", |stage| stage.www() == TORONTO).await;
    stage.pass(600).await;
    let both = stage.heard("failover.completed");
    assert_eq!((both.len(), stage.writes()), (2, 2));
    let between = both[1].event.event.time.duration_since(first.event.event.time).as_secs();
    assert!((60..75).contains(&between), "{between}");
    assert_eq!(stage.heard("change.withheld").len(), 1);
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn both_families_move_in_one_transaction() {
    let both = "toronto: {address: [203.0.113.10, \"2001:db8::10\"], checks: [web]}";
    let stage = Stage::with(&WORKSHOP.replace("toronto: {address: 203.0.113.10, checks: [web]}", both)).await;
    stage.edit(WWW, &[TORONTO, "2001:db8::10"]);
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL), "the dead AAAA went with it");
    stage.host("toronto", Host::Works);
    let heard = stage.hear("failback.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (2, "203.0.113.10, 2001:db8::10"));
    assert_eq!(heard.event.event.after.as_ref().unwrap().values, ["203.0.113.10", "2001:db8::10"]);
    for write in stage.mock.journal().iter().skip(1) {
        assert_eq!(write.changes.len(), 2, "A and AAAA together");
    }
    stage.check();
}

/// bad day: target: one of its families dies | that address leaves, and comes back
#[tokio::test(start_paused = true)]
async fn one_dead_family_leaves_and_comes_back_and_the_message_says_which() {
    let both = "toronto: {address: [203.0.113.10, \"2001:db8::10\"], checks: [web]}";
    let stage = Stage::with(&WORKSHOP.replace("toronto: {address: 203.0.113.10, checks: [web]}", both)).await;
    stage.edit(WWW, &[TORONTO, "2001:db8::10"]);
    stage.start_and_settle().await;
    stage.address("2001:db8::10", Host::Refuses);
    let heard = stage.hear("adjust.completed").await;
    assert_eq!(stage.www(), TORONTO);
    let text = heard.text();
    assert!(text.contains("2001:db8::10") && text.contains("connection refused"), "{text}");
    assert!(heard.event.event.since.is_some(), "{text}");
    stage.address("2001:db8::10", Host::Works);
    stage.until("both", |stage| stage.www() == "203.0.113.10, 2001:db8::10").await;
    stage.pass(60).await;
    assert_eq!(stage.writes(), 2);
    stage.check();
}
