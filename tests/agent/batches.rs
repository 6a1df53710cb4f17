//! Several records of one zone.

use std::time::Duration;

use providers::mock::{Author, Call, Edit, FaultStep, Trouble};

use crate::hosts::Host;
use crate::stage::{MONTREAL, Stage, TORONTO, WORKSHOP, sets};

const NAMES: [&str; 5] =
    ["a.workshopco.ca", "b.workshopco.ca", "c.workshopco.ca", "shop.workshopco.ca", "workshopco.ca"];

async fn five_records() -> Stage {
    let records: String = NAMES
        .map(|name| format!("  - {{name: {name}, provider: zone, ttl: 60, targets: [toronto, montreal]}}\n"))
        .concat();
    let (before, rest) = WORKSHOP.split_once("records:\n").unwrap();
    let (_, after) = rest.split_once("notify:").unwrap();
    let stage = Stage::with(&format!("{before}records:\n{records}notify:{after}")).await;
    for name in NAMES {
        stage.edit(name, &[TORONTO]);
    }
    stage.start_and_settle().await;
    stage
}

#[tokio::test(start_paused = true)]
async fn the_records_of_a_zone_move_in_one_call() {
    let stage = five_records().await;
    let (reads, swaps) = (stage.calls(Call::Read), stage.calls(Call::Swap));
    assert_eq!((reads, swaps), (1, 0), "read together at the start");
    assert_eq!(stage.calls(Call::Zone), 5, "each name's zone is found once");
    stage.host("toronto", Host::Refuses);
    stage.until("all moved", |stage| stage.heard("failover.completed").len() == 5).await;
    assert_eq!(stage.calls(Call::Swap) - swaps, 1);
    assert!(stage.calls(Call::Read) - reads <= 3, "{} readings", stage.calls(Call::Read) - reads);
    assert_eq!(stage.calls(Call::Zone), 5);
    assert_eq!(stage.writes(), 1);
    for name in NAMES {
        assert_eq!(stage.holds(name), MONTREAL);
    }
    stage.check();
}

/// bad day: record: fought over while others of its zone must move | the others move
#[tokio::test(start_paused = true)]
async fn one_that_is_fought_over_does_not_hold_up_the_rest() {
    let stage = five_records().await;
    let edit = Edit { name: "shop.workshopco.ca".parse().unwrap(), sets: sets(&["192.0.2.99"], 60) };
    stage.script([FaultStep::on_swap(Trouble::Intruder(edit))]);
    stage.host("toronto", Host::Refuses);
    stage.until("the rest moved", |stage| stage.heard("failover.completed").len() == 4).await;
    stage.pass(600).await;
    for name in NAMES {
        let expected = if name.starts_with("shop") { "192.0.2.99" } else { MONTREAL };
        assert_eq!(stage.holds(name), expected);
    }
    let by_us = stage.mock.journal().into_iter().filter(|write| write.author == Author::Swap);
    let touched: Vec<String> =
        by_us.flat_map(|write| write.changes).map(|change| change.name.to_string()).collect();
    assert_eq!(touched.len(), 4, "each once: {touched:?}");
    assert_eq!(stage.heard("change.withheld").len(), 1);
    stage.check();
}

/// bad day: agent: stands still between a decision and its write, or its batch is slow | it is not sent; all is judged anew
#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_not_sent() {
    let stage = five_records().await;
    // The batch is refused after so long that the single writes in its place are too old to be sent.
    let edit = Edit { name: "shop.workshopco.ca".parse().unwrap(), sets: sets(&["192.0.2.99"], 60) };
    stage.script([FaultStep::on_swap(Trouble::Intruder(edit)).delayed(Duration::from_secs(15))]);
    stage.host("toronto", Host::Refuses);
    stage.until("the batch was sent", |stage| stage.calls(Call::Swap) == 1).await;
    stage.host("toronto", Host::Works);
    stage.pass(600).await;
    for name in NAMES.into_iter().filter(|name| !name.starts_with("shop")) {
        assert_eq!(stage.holds(name), TORONTO, "it works again: {:#?}", stage.lines());
    }
    assert_eq!(stage.calls(Call::Swap), 1);
    assert_eq!(stage.heard("failover.failed").len(), 0, "and the provider is not to blame");
    stage.check();
}
