//! When a check is due.

use std::time::Duration;

use super::tcp_only;
use crate::decision::Moment;
use crate::probe::Check;
use crate::probe::cadence::*;

fn at(millis: i64) -> Moment {
    Moment::from_micros(millis * 1000)
}

fn millis(moment: Moment) -> i64 {
    moment.micros() / 1000
}

/// Interval 10 s, fast 1 s, no jitter; the first slot is somewhere in the first second.
fn plain(seed: u64) -> (Cadence, Moment) {
    let cadence =
        Cadence::new(Check { jitter_percent: 0, ..tcp_only(1) }.rhythm(), SPREAD, Moment::ZERO, seed);
    let first = cadence.due();
    assert!((0..1000).contains(&millis(first)), "{first:?}");
    (cadence, first)
}

fn run(cadence: &mut Cadence, takes: Duration) -> Moment {
    let start = cadence.due();
    cadence.started(start);
    cadence.ended(start + takes);
    start
}

#[test]
fn a_slot_that_passed_is_skipped_and_the_grid_stays() {
    let (mut cadence, first) = plain(7);
    run(&mut cadence, Duration::from_secs(25));
    assert_eq!(cadence.due(), first + Duration::from_secs(30));
    run(&mut cadence, Duration::from_secs(10));
    assert_eq!(cadence.due(), first + Duration::from_secs(50), "a slot reached while running is passed");
}

#[test]
fn fast_counts_from_the_last_start_and_steady_returns_to_the_grid() {
    let (mut cadence, first) = plain(7);
    let ms = Duration::from_millis;
    run(&mut cadence, ms(20));
    cadence.set_pace(Pace::Fast, first + ms(30));
    assert_eq!(cadence.due(), first + ms(1000));
    run(&mut cadence, ms(20));
    assert_eq!(cadence.due(), first + ms(2000));
    run(&mut cadence, ms(3000));
    assert_eq!(cadence.due(), first + ms(5000), "at once after a slow one");
    cadence.set_pace(Pace::Steady, first + ms(5500));
    assert_eq!(cadence.due(), first + ms(10_000));
    cadence.set_pace(Pace::Fast, first + ms(9000));
    assert_eq!(cadence.due(), first + ms(9000), "the last start is longer ago than a fast interval");
}

#[test]
fn going_fast_does_not_lose_a_steady_slot_by_itself() {
    let (mut cadence, first) = plain(7);
    run(&mut cadence, Duration::ZERO);
    cadence.set_pace(Pace::Fast, first + Duration::from_millis(10));
    cadence.set_pace(Pace::Steady, first + Duration::from_millis(20));
    assert_eq!(cadence.due(), first + Duration::from_secs(10));
}

#[test]
fn a_nudge_is_an_extra_probe() {
    let (mut cadence, first) = plain(7);
    run(&mut cadence, Duration::ZERO);
    cadence.nudge();
    assert!(cadence.due() < at(0));
    cadence.started(first + Duration::from_secs(4));
    cadence.ended(first + Duration::from_secs(5));
    assert_eq!(cadence.due(), first + Duration::from_secs(10));
}

#[test]
fn ten_thousand_probes_do_not_drift_and_keep_within_the_jitter() {
    for seed in 0..20 {
        let check = Check { jitter_percent: 50, ..tcp_only(1) };
        let mut cadence = Cadence::new(check.rhythm(), SPREAD, Moment::ZERO, seed);
        let first = run(&mut cadence, Duration::from_millis(3));
        let (mut early, mut late) = (0, 0);
        for n in 1..=10_000 {
            let start = run(&mut cadence, Duration::from_millis(3));
            let off = start.micros() - (first + Duration::from_secs(10) * n).micros();
            assert!(off.abs() <= 5_000_000, "seed {seed}, probe {n}: {off} us off the grid");
            assert_eq!(start.micros() % 4000, 0, "together with those of others");
            early += u32::from(off < -2_500_000);
            late += u32::from(off > 2_500_000);
        }
        assert!((2000..3000).contains(&early) && (2000..3000).contains(&late), "{early} {late}");
    }
}

#[test]
fn the_first_probes_of_few_jobs_come_at_once() {
    assert_eq!((spread(2), spread(1000)), (Duration::from_millis(2), SPREAD));
    for seed in 0..20 {
        assert!(Cadence::new(tcp_only(1).rhythm(), spread(2), Moment::ZERO, seed).due() < at(2));
    }
}

#[test]
fn settings_of_zero_are_survived() {
    let check =
        Check { interval: Duration::ZERO, fast_interval: Duration::ZERO, jitter_percent: 255, ..tcp_only(1) };
    let mut cadence = Cadence::new(check.rhythm(), SPREAD, Moment::ZERO, 1);
    let first = run(&mut cadence, Duration::ZERO);
    assert!(cadence.due() > first);
}

#[test]
fn a_hastened_probe_comes_besides_the_plan_and_no_sooner_than_a_fast_one() {
    let (mut cadence, first) = plain(7);
    let ms = Duration::from_millis;
    run(&mut cadence, ms(20));
    let planned = cadence.due();
    cadence.hasten(first + ms(300));
    assert_eq!(cadence.due(), first + ms(1000));
    cadence.hasten(first + ms(400));
    run(&mut cadence, ms(20));
    assert_eq!(cadence.due(), planned, "once, and the grid is as it was");
    cadence.hasten(first + ms(5000));
    assert_eq!(cadence.due(), first + ms(5000), "at once when the last was long ago");
    run(&mut cadence, ms(20));
    cadence.hasten(planned + ms(10));
    assert_eq!(cadence.due(), planned, "never later than planned");
}

#[test]
fn what_is_not_answered_is_followed_after_a_fast_interval_or_twice_what_is_usual() {
    let ms = Duration::from_millis;
    let (mut cadence, first) = plain(7);
    assert_eq!(cadence.follow_up(), None, "nothing is under way");
    cadence.started(first);
    assert_eq!(cadence.follow_up(), Some(first + ms(1000)));
    cadence.followed(first + ms(1000), true);
    assert_eq!(cadence.follow_up(), Some(first + ms(2000)));
    cadence.told(Some(ms(1600)));
    assert_eq!(cadence.follow_up(), Some(first + ms(4200)), "an answer takes its time here");
    cadence.told(Some(ms(8)));
    assert_eq!(cadence.follow_up(), Some(first + ms(3800)), "and is quicker by and by");
    (0..50).for_each(|_| cadence.told(Some(ms(8))));
    assert_eq!(cadence.follow_up(), Some(first + ms(2000)));
}

#[test]
fn what_was_in_trouble_is_followed_only_while_something_is_under_way() {
    let ms = Duration::from_millis;
    let (mut cadence, first) = plain(7);
    run(&mut cadence, ms(20));
    cadence.told(None);
    assert_eq!(cadence.follow_up(), None);
    cadence.set_pace(Pace::Fast, first + ms(30));
    assert_eq!(cadence.follow_up(), Some(first + ms(1000)));
    cadence.set_pace(Pace::Steady, first + ms(40));
    cadence.told(Some(ms(1)));
    assert_eq!(cadence.follow_up(), Some(first + ms(1000)));
}

/// One that was left out is thought of again a fast interval later, and puts off no other probe.
#[test]
fn a_follow_up_that_is_left_out_moves_no_plan() {
    let ms = Duration::from_millis;
    let (mut cadence, first) = plain(7);
    cadence.set_pace(Pace::Fast, first);
    cadence.started(first);
    cadence.followed(first + ms(1000), false);
    assert_eq!(cadence.follow_up(), Some(first + ms(2000)));
    cadence.ended(first + ms(1500));
    assert_eq!(cadence.due(), first + ms(1500));
}

#[test]
fn a_crowd_never_begins_faster_than_it_can_go_on() {
    let ms = |jobs| spread(jobs).as_millis();
    assert_eq!([ms(3), ms(1000), ms(10_000), ms(50_000), ms(100_000)], [3, 1000, 1000, 5000, 10_000]);
}
