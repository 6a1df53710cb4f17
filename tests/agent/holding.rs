//! Days on which the right thing is to change nothing.

use failover::decision::{RecordStatus, Verdict};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP, WWW};

/// bad day: targets: all are down | the record stays; `all_down`, once
#[tokio::test(start_paused = true)]
async fn when_every_target_is_down_the_record_stays_and_one_message_says_so() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.host("montreal", Host::Hangs);
    let heard = stage.hear("all_down").await;
    assert_eq!(
        heard.text(),
        "🔴 every target of www.workshopco.ca is down; the record stays at toronto (203.0.113.10)\n\
         Record: www.workshopco.ca\n\
         From:   toronto (203.0.113.10)\n\
         Why:    toronto: connection refused; montreal: no answer within 3 s\n\
         Since:  <time>\n\
         When:   <time>\n\
         Next:   the record moves as soon as one of them passes its checks"
    );
    stage.pass(3600).await;
    assert_eq!(stage.heard("all_down").len(), 1);
    assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
    assert_eq!(stage.record_status().await.status, RecordStatus::Holding);

    stage.host("montreal", Host::Works);
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}

/// bad day: agent: cannot reach anything, its witnesses neither | blind: nothing counted, nothing written, told once
#[tokio::test(start_paused = true)]
async fn a_cut_uplink_is_not_a_dead_primary() {
    for cut in [Host::Hangs, Host::Refuses, Host::NoRoute] {
        let stage = Stage::new().await;
        stage.start_and_settle().await;
        stage.uplink(cut);
        stage.hear("agent.blind").await;
        stage.pass(1800).await;
        assert!(stage.status().await.blind_since.is_some());
        stage.uplink(Host::Works);
        stage.hear("agent.sighted").await;
        stage.pass(600).await;
        let told: Vec<String> = stage.kinds().into_iter().filter(|kind| kind != "agent.started").collect();
        assert_eq!(told, ["agent.blind", "agent.sighted"], "{cut:?}");
        assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
        stage.check();
    }
}

/// bad day: agent: blind while the primary dies | handled once it sees again
#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_the_witnesses_are_lost_and_a_real_outage_is_handled_afterwards() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.witnesses(Host::Hangs);
    let heard = stage.hear("agent.blind").await;
    assert!(heard.text().contains("Next:"), "{}", heard.text());
    stage.host("toronto", Host::Refuses);
    stage.pass(900).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
    stage.witnesses(Host::Works);
    stage.hear("failover.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL));
    stage.check();
}

/// bad day: witnesses: one of two is lost | nobody is blind
#[tokio::test(start_paused = true)]
async fn one_lost_witness_of_two_blinds_nobody() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.address("192.0.2.1", Host::Hangs);
    stage.pass(60).await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    assert!(stage.heard("agent.blind").is_empty());
    stage.check();
}

/// bad day: record: holds a foreign value | never touched; told with the `adopt:` line to add
#[tokio::test(start_paused = true)]
async fn somebody_elses_value_is_never_touched_and_the_message_has_the_line_to_add() {
    let stage = Stage::new().await;
    stage.edit(WWW, &["192.0.2.99"]);
    stage.start().await;
    let heard = stage.hear("change.withheld").await;
    let remedy = "if it may be replaced, add `adopt: [\"192.0.2.99\"]` to the record www.workshopco.ca; \
                  else correct the record by hand";
    assert_eq!(heard.event.event.remedy.as_deref(), Some(remedy));
    stage.pass(3600).await;
    assert_eq!(stage.heard("change.withheld").len(), 1, "told once, not every 30 s");
    let record = stage.record_status().await;
    assert_eq!((record.status, record.guard.as_deref()), (RecordStatus::Refused, Some("foreign")));
    assert_eq!(record.remedy.as_deref(), Some(remedy));
    assert_eq!((stage.writes(), stage.www().as_str()), (0, "192.0.2.99"));

    // The primary dying makes it no more ours.
    stage.host("toronto", Host::Refuses);
    stage.pass(600).await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, "192.0.2.99"));
    stage.check();
}

#[tokio::test(start_paused = true)]
async fn with_the_line_added_the_value_is_replaced() {
    let stage =
        Stage::with(&WORKSHOP.replace("hold_down: 60s", "hold_down: 60s, adopt: [\"192.0.2.99\"]")).await;
    stage.edit(WWW, &["192.0.2.99"]);
    stage.start().await;
    stage.hear("adjust.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, TORONTO));
    stage.check();
}

/// bad day: record: not there at the start | not made without `create: true`
#[tokio::test(start_paused = true)]
async fn a_missing_record_is_not_made_unless_the_configuration_says_so() {
    let stage = Stage::with(WORKSHOP).await;
    stage.start().await;
    let heard = stage.hear("change.withheld").await;
    assert!(heard.text().contains("`create: true`"), "{}", heard.text());
    stage.pass(600).await;
    assert_eq!(stage.writes(), 0);
    stage.check();

    let stage = Stage::with(&WORKSHOP.replace("hold_down: 60s", "hold_down: 60s, create: true")).await;
    stage.start().await;
    stage.hear("adjust.completed").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (1, TORONTO));
}

/// bad day: agent: has no route to a target | unknown: nobody moves
#[tokio::test(start_paused = true)]
async fn our_own_trouble_with_a_target_moves_nobody() {
    // Of a check that is quicker than the sweep for silence the next probe finds out first.
    for interval in ["10s", "500ms"] {
        let quick = format!("interval: {interval}, fast_interval: 500ms, timeout: 500ms");
        let yaml = WORKSHOP.replace("interval: 10s, fast_interval: 1s, timeout: 3s", &quick);
        let stage = Stage::with(&yaml).await;
        stage.edit(WWW, &[TORONTO]);
        stage.start_and_settle().await;
        stage.host("toronto", Host::NoRoute);
        stage.pass(1800).await;
        assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
        let report = stage.status().await;
        let toronto = report.targets.iter().find(|target| target.name.as_str() == "toronto").unwrap();
        assert_eq!(toronto.verdict, Verdict::Unknown);
        assert_eq!(stage.heard("target.unknown").len(), 1, "{interval}: {:#?}", stage.lines());
        stage.check();
    }
}

/// bad day: targets: primary and stand-by die together | no move on an old verdict
#[tokio::test(start_paused = true)]
async fn nobody_moves_to_a_stand_by_that_died_at_the_same_time() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.host("toronto", Host::Hangs);
    stage.host("montreal", Host::Hangs);
    stage.hear("all_down").await;
    assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
    stage.check();
}
