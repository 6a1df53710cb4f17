//! `failover once`, as cron runs it.

use std::thread;

use testkit::{Mode, wait_until};

use crate::agent::{PATIENCE, Site};
use crate::stage::{ALPHA, BETA, PRIMARY, Stage, Way, on_each};

fn ten_in_a_row(site: &Site) -> Vec<i32> {
    (0..10).map(|_| site.once(&["--detailed-exitcode"]).code).collect()
}

/// As when cron starts the next run before the last one has ended.
fn three_at_once(site: &Site) -> Vec<i32> {
    thread::scope(|scope| {
        let runs = [(); 3].map(|()| scope.spawn(|| site.failover(&["once", "--detailed-exitcode"]).code));
        runs.map(|run| run.join().expect("it ran")).to_vec()
    })
}

fn ten_times_down_and_ten_times_up(way: Way) {
    let mut stage = Stage::start(way);
    // Long enough for ten runs in a row, mostly: then some that overlap find the failback due.
    stage.settings.failback_after = "4s";
    let site = stage.site();
    let serial = stage.serial();
    site.once(&["--detailed-exitcode"]).ended(0);
    site.forget();

    stage.backend.set(PRIMARY, &Mode::Closed);
    let codes = ten_in_a_row(&site);
    assert_eq!(codes, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], "the first run changes it, the others find it done");
    assert_eq!((stage.serial(), stage.answer()), (serial + 1, vec![BETA.to_owned()]));
    stage.assert_told("failover.completed", 1);

    stage.backend.set(PRIMARY, &Mode::Ok);
    let mut codes = ten_in_a_row(&site);
    wait_until("a run fails back", PATIENCE, || {
        if !codes.contains(&5) {
            codes.extend(three_at_once(&site));
        }
        codes.contains(&5).then_some(())
    });
    codes.sort_unstable();
    assert_eq!(codes.iter().position(|code| *code != 0), Some(codes.len() - 1), "one change in {codes:?}");
    site.once(&["--detailed-exitcode"]).ended(0);
    assert_eq!((stage.serial(), stage.answer()), (serial + 2, vec![ALPHA.to_owned()]), "{codes:?}");
    stage.assert_told("failover.completed", 1);
    stage.assert_told("failback.completed", 1);
}

#[test]
fn ten_runs_with_a_dead_primary_write_once_and_ten_with_a_living_one_once_more() {
    on_each(ten_times_down_and_ten_times_up);
}
