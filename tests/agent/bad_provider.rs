//! A provider that fails in every way it can.

use std::time::Duration;

use failover::decision::{RecordStatus, Severity};
use providers::mock::{Call, FaultStep, Trouble};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP, WWW};

/// The outage of the story, after an agent has come to rest and with this script at the provider.
async fn outage_with(steps: impl IntoIterator<Item = FaultStep>) -> Stage {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.script(steps);
    stage.host("toronto", Host::Refuses);
    stage
}

/// Whatever happened on the way: one write, one message of it, and then peace.
async fn ends_well(stage: &Stage) {
    stage.hear("failover.completed").await;
    stage.pass(300).await;
    assert!(stage.mock.script_is_done());
    assert_eq!((stage.writes(), stage.www().as_str()), (1, MONTREAL), "{:#?}", stage.lines());
    assert_eq!(stage.heard("failover.completed").len(), 1, "{:#?}", stage.lines());
    assert!(
        stage.heard("drift.detected").is_empty(),
        "what we wrote ourselves is no drift: {:#?}",
        stage.lines()
    );
    assert_eq!(stage.record_status().await.status, RecordStatus::InSync);
    stage.check();
}

/// bad day: provider: writes and then answers with an error, or not at all | one write, one message
#[tokio::test(start_paused = true)]
async fn an_error_after_applying_and_a_lost_reply_are_one_write_and_one_message() {
    for trouble in [Trouble::ErrorAfter, Trouble::LoseReply] {
        let stage = outage_with([FaultStep::on_swap(trouble)]).await;
        ends_well(&stage).await;
        assert_eq!(stage.calls(Call::Swap), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_before_applying_is_tried_again() {
    let stage = outage_with([FaultStep::on_swap(Trouble::ErrorBefore)]).await;
    ends_well(&stage).await;
    assert_eq!(stage.calls(Call::Swap), 2);
    assert!(stage.heard("failover.failed").is_empty(), "once is no news");
}

/// bad day: provider: fails every write for an hour | told once; tried with pauses of up to 30 s; done when it works
#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_every_write_is_not_hammered_and_people_are_told_once() {
    for trouble in [Trouble::ErrorBefore, Trouble::Refuse, Trouble::Throttle(None)] {
        let stage = outage_with([FaultStep::on_swap(trouble.clone()).times(usize::MAX)]).await;
        let heard = stage.hear("failover.failed").await;
        let text = heard.text();
        assert!(text.contains("montreal (198.51.100.5)") && text.contains("Next:"), "{text}");
        stage.pass(3600).await;
        assert_eq!(stage.heard("failover.failed").len(), 1, "{trouble:?}: {:#?}", stage.lines());
        let swaps = stage.calls(Call::Swap);
        assert!((30..=150).contains(&swaps), "{trouble:?}: {swaps} writes tried in an hour");
        assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
        stage.mock.clear_script();
        ends_well(&stage).await;
    }
}

/// bad day: provider: refuses the credentials of a write | told at once, and once; looked at again with pauses
#[tokio::test(start_paused = true)]
async fn wrong_credentials_are_told_at_once_and_once() {
    let stage = outage_with([FaultStep::on_swap(Trouble::Deny).times(20)]).await;
    let heard = stage.hear("failover.failed").await;
    let words = heard.text();
    assert!(words.contains("the provider refuses the credentials: 401 Unauthorized"), "{words}");
    assert!(words.contains("a person must put it right"), "{words}");
    assert_eq!(stage.calls(Call::Swap), 1, "told at the first");
    stage.pass(300).await;
    assert!(stage.calls(Call::Swap) <= 11, "{} in five minutes", stage.calls(Call::Swap));
    ends_well(&stage).await;
    assert_eq!(stage.heard("failover.failed").len(), 1);
}

/// bad day: provider: refuses the credentials from the start | told at once as critical, and when it is over
#[tokio::test(start_paused = true)]
async fn wrong_credentials_for_reading_are_told_at_the_start() {
    let stage = Stage::new().await;
    stage.script([FaultStep::on_read(Trouble::Deny).times(4)]);
    stage.start().await;
    let heard = stage.hear("provider.unavailable").await;
    assert_eq!(heard.event.event.severity, Severity::Critical);
    stage.hear("provider.recovered").await;
    assert_eq!(stage.heard("provider.unavailable").len(), 1);
    stage.host("toronto", Host::Refuses);
    ends_well(&stage).await;
}

/// bad day: provider: answers 429 with `Retry-After` | waited for as long as it asks
#[tokio::test(start_paused = true)]
async fn a_provider_that_asks_for_patience_gets_it() {
    let wait = Duration::from_secs(45);
    let stage = outage_with([FaultStep::on_swap(Trouble::Throttle(Some(wait)))]).await;
    stage.until("the first try", |stage| stage.calls(Call::Swap) == 1).await;
    stage.pass(40).await;
    assert_eq!(stage.calls(Call::Swap), 1, "Retry-After: 45");
    ends_well(&stage).await;
    assert_eq!(stage.calls(Call::Swap), 2);
}

/// bad day: provider: answers 429 without `Retry-After` for an hour | few calls, told once; the change is made when it ends
#[tokio::test(start_paused = true)]
async fn an_hour_of_429_is_few_calls_and_one_event() {
    for on in [FaultStep::on_read, FaultStep::on_swap] {
        let stage = outage_with([on(Trouble::Throttle(None)).times(usize::MAX)]).await;
        stage.hear("target.down").await;
        let (reads, swaps) = (stage.calls(Call::Read), stage.calls(Call::Swap));
        stage.pass(3600).await;
        let (reads, swaps) = (stage.calls(Call::Read) - reads, stage.calls(Call::Swap) - swaps);
        assert!(reads <= 300 && swaps <= 150, "{reads} readings and {swaps} writes in an hour");
        let told = ["provider.unavailable", "failover.failed"].map(|kind| stage.heard(kind).len());
        assert_eq!(told.iter().sum::<usize>(), 1, "{:#?}", stage.lines());
        assert_eq!((stage.writes(), stage.www().as_str()), (0, TORONTO));
        stage.mock.clear_script();
        ends_well(&stage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_time_the_usual_pauses() {
    let stage = outage_with([FaultStep::on_swap(Trouble::Throttle(None)).times(4)]).await;
    ends_well(&stage).await;
    assert_eq!(stage.calls(Call::Swap), 5);
    assert_eq!(stage.heard("failover.failed").len(), 1, "told at the third");
}

/// bad day: provider: makes half of a write | the other half follows; one message
#[tokio::test(start_paused = true)]
async fn half_a_write_is_made_whole() {
    let both = "montreal: {address: [198.51.100.5, \"2001:db8::5\"], checks: [web]}";
    let stage =
        Stage::with(&WORKSHOP.replace("montreal: {address: 198.51.100.5, checks: [web]}", both)).await;
    stage.edit(WWW, &[TORONTO]);
    stage.start_and_settle().await;
    stage.script([FaultStep::on_swap(Trouble::Partial)]);
    stage.host("toronto", Host::Refuses);
    stage.until("both", |stage| stage.www() == "198.51.100.5, 2001:db8::5").await;
    stage.pass(600).await;
    assert_eq!(stage.writes(), 2, "the half and the other half");
    let told: Vec<String> = stage.kinds();
    let changes = told.iter().filter(|k| k.ends_with(".completed") && !k.starts_with("propagation")).count();
    assert_eq!(changes, 1, "{:#?}", stage.lines());
    assert_eq!(stage.heard("failover.completed").len(), 1, "{:#?}", stage.lines());
    assert!(stage.heard("drift.detected").is_empty(), "{:#?}", stage.lines());
    stage.check();
}

/// bad day: provider: its readers are late | no second write
#[tokio::test(start_paused = true)]
async fn readers_that_are_late_after_the_write_cause_no_second_one() {
    // The first reading of the outage is good, those after the write are not.
    let stage =
        outage_with([FaultStep::on_read(Trouble::Nothing), FaultStep::on_read(Trouble::Stale(1)).times(4)])
            .await;
    ends_well(&stage).await;
    assert_eq!(stage.calls(Call::Swap), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_and_late_readers_are_still_one_write_and_one_message() {
    for late in [1, 2, 5] {
        let stage = outage_with([
            FaultStep::on_swap(Trouble::LoseReply),
            FaultStep::on_read(Trouble::Nothing),
            FaultStep::on_read(Trouble::Stale(1)).times(late),
        ])
        .await;
        ends_well(&stage).await;
    }
}

/// bad day: provider: down at the start | `provider.unavailable` once; the change follows when it works
#[tokio::test(start_paused = true)]
async fn down_at_the_start() {
    let stage = Stage::new().await;
    stage.script([FaultStep::on_zone(Trouble::Refuse).times(usize::MAX)]);
    stage.host("toronto", Host::Refuses);
    stage.start().await;
    let heard = stage.hear("provider.unavailable").await;
    assert!(heard.text().contains("the DNS provider \"zone\" cannot be used"), "{}", heard.text());
    stage.pass(600).await;
    assert_eq!(stage.record_status().await.status, RecordStatus::Failed);
    assert!(stage.calls(Call::Zone) < 40, "{} tries in ten minutes", stage.calls(Call::Zone));
    stage.mock.clear_script();
    ends_well(&stage).await;
    assert_eq!(stage.heard("provider.unavailable").len(), 1);
    assert_eq!(stage.heard("provider.recovered").len(), 1);
}

/// bad day: provider: goes down in the middle of an outage | told once; the change follows when it works
#[tokio::test(start_paused = true)]
async fn down_in_the_middle_of_an_outage() {
    let stage = outage_with([FaultStep::on_read(Trouble::Refuse).times(6)]).await;
    ends_well(&stage).await;
    assert_eq!(stage.heard("provider.unavailable").len(), 1);
    assert_eq!(stage.heard("provider.recovered").len(), 1);
}

/// bad day: provider: never answers | cut off, and tried again
#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_cut_off() {
    for step in [FaultStep::on_read(Trouble::Hang), FaultStep::on_swap(Trouble::Hang)] {
        let stage = outage_with([step]).await;
        ends_well(&stage).await;
    }
}

/// bad day: provider: keeps a TTL of its own | not written for ever
#[tokio::test(start_paused = true)]
async fn a_provider_that_keeps_a_ttl_of_its_own_is_not_written_for_ever() {
    let stage = Stage::new().await;
    stage.mock.set_silent_ttl(Some(providers::Ttl(300)));
    stage.start_and_settle().await;
    stage.host("toronto", Host::Refuses);
    stage.hear("failover.completed").await;
    stage.pass(7200).await;
    assert_eq!(stage.www(), MONTREAL);
    assert!(stage.calls(Call::Swap) <= 3, "{} writes", stage.calls(Call::Swap));
    assert_eq!(stage.heard("failover.completed").len(), 1);
    assert!(stage.heard("failover.failed").is_empty(), "{:#?}", stage.lines());
    stage.check();
}
