//! Verdicts of places, families and targets, and what is said of them.

use std::time::Duration;

use super::super::fixture::{A4, A6, B4, at, observation, place, places, policy, probed};
use super::*;

/// Verdicts of `a`: of its IPv4, of its IPv6, of all of it.
fn verdicts(v4: Option<bool>, v6: Option<bool>) -> [Verdict; 3] {
    let (policy, sight) = (policy(), Sight::default());
    let targets = probed(&policy, &[(1, A4, v4), (1, A6, v6)]);
    let a = "a".into();
    let family = |v6| targets.family(&a, v6, &sight).unwrap();
    [family(false), family(true), targets.target(&a, &sight)]
}

#[test]
fn the_table_of_verdicts() {
    use Verdict::{Down, Unknown, Up};
    assert_eq!(verdicts(Some(true), Some(true)), [Up, Up, Up]);
    assert_eq!(verdicts(Some(true), Some(false)), [Up, Down, Up]);
    assert_eq!(verdicts(Some(false), Some(false)), [Down, Down, Down]);
    assert_eq!(verdicts(Some(false), None), [Down, Unknown, Down], "no IPv6 here must not save a dead host");
    assert_eq!(verdicts(Some(true), None), [Up, Unknown, Up]);
    assert_eq!(verdicts(None, None), [Unknown, Unknown, Unknown]);
    let none = probed(&policy(), &[]).family(&"b".into(), true, &Sight::default());
    assert_eq!(none, None, "b has no IPv6");
}

#[test]
fn every_check_of_an_address_must_pass_and_one_that_fails_is_enough() {
    let mut policy = policy();
    let b = policy.targets.get_mut(&"b".into()).unwrap();
    let check = *b.checks.values().next().unwrap();
    b.checks.insert("ssh".into(), check);
    let mut targets = probed(&policy, &[(1, B4, Some(true))]);
    let of_b = |targets: &Targets| targets.address(&"b".into(), &place(B4), &Sight::default());
    assert_eq!(of_b(&targets), Verdict::Unknown, "ssh is not known");
    targets.count(&observation("ssh", B4, (2, 2), Some(false)), Duration::ZERO);
    assert_eq!(of_b(&targets), Verdict::Down);
    assert_eq!(targets.complaint(&"b".into()).unwrap(), "connection refused (ssh at 198.51.100.5)");
}

#[test]
fn what_is_wrong_is_said_even_when_the_last_probe_passed() {
    let mut policy = policy();
    for target in policy.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.rise = 3);
    }
    let targets = probed(&policy, &[(1, B4, Some(true)), (2, B4, Some(false)), (3, B4, Some(true))]);
    assert_eq!(targets.complaint(&"b".into()).unwrap(), "connection refused");
    assert!(!targets.is_verified(&"b".into(), &place(B4), None), "Down, though its last probe passed");
    assert_eq!(targets.trouble_since(&"b".into(), &places(&[B4]), &Sight::default()), Some(at(2)));
}

#[test]
fn a_probe_that_took_too_long_says_more_of_us_and_an_old_one_nothing() {
    let policy = policy();
    let mut targets = probed(&policy, &[]);
    let slow = observation("web", B4, (1, 7), Some(false));
    targets.count(&slow, Duration::ZERO);
    assert_eq!(targets.target(&"b".into(), &Sight::default()), Verdict::Unknown);
    let mut hear = |second| {
        let now = Now { moment: at(second), wall: jiff::Timestamp::UNIX_EPOCH };
        targets.hear(&now, &slow, Duration::ZERO).is_some()
    };
    assert!(hear(40));
    assert!(!hear(41), "three intervals and a time-out");
}

/// A neighbour that is given up fails all probes that wait for it at one moment; those that time out end one after the other.
#[test]
fn what_fails_together_counts_once() {
    let mut policy = policy();
    let checks = policy.targets.get_mut(&"b".into()).unwrap().checks.values_mut();
    checks.for_each(|check| check.thresholds = crate::decision::Thresholds { fall: 3, rise: 1, clear: 1 });
    let after = |probes: &[(i64, i64)]| {
        let mut targets = probed(&policy, &[(0, B4, Some(true))]);
        for (started, ended) in probes {
            targets.count(&observation("web", B4, (*started, *ended), Some(false)), Duration::ZERO);
        }
        targets.target(&"b".into(), &Sight::default())
    };
    assert_eq!(after(&[(10, 13), (11, 13), (12, 13)]), Verdict::Up, "one event");
    assert_eq!(after(&[(10, 13), (11, 13), (12, 13), (13, 14)]), Verdict::Up, "two");
    assert_eq!(after(&[(10, 13), (11, 13), (12, 13), (13, 14), (14, 15)]), Verdict::Down);
    assert_eq!(after(&[(10, 13), (11, 14), (12, 15)]), Verdict::Down, "each in its own time");
    assert_eq!(after(&[(10, 10), (11, 11), (12, 12)]), Verdict::Down);
}

/// Nobody looks before a verdict can have ended, and then it has.
#[test]
fn each_verdict_ends_in_its_own_silence() {
    let mut policy = policy();
    let checks = policy.targets.get_mut(&"b".into()).unwrap().checks.values_mut();
    checks.for_each(|check| check.interval = Duration::from_secs(1));
    let mut targets = probed(&policy, &[(0, A4, Some(true))]);
    let mut story = Vec::new();
    for second in 0..40 {
        if second == 20 {
            // 6 s for this one: it was not heard of when everything was looked at last.
            targets.count(&observation("web", B4, (20, 20), Some(true)), Duration::ZERO);
        }
        let lost = targets.expire(at(second), Duration::ZERO);
        story.extend(lost.into_iter().map(|target| format!("{second}: {target}")));
    }
    assert_eq!(story, ["27: b", "34: a"]);
}

#[test]
fn durations_as_a_person_says_them() {
    for (millis, words) in [
        (850, "850 ms"),
        (4000, "4 s"),
        (6200, "6.2 s"),
        (119_000, "119 s"),
        (120_000, "2 min"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (7_200_000, "2 h"),
        (7_260_000, "2 h 1 min"),
    ] {
        assert_eq!(human(Duration::from_millis(millis)), words);
    }
}

#[test]
fn number_and_noun() {
    assert_eq!((counted(1, "record"), counted(2, "record")), ("1 record".into(), "2 records".into()));
}

/// `a` is on its way back as a whole, or some of it is on its way up.
#[test]
fn coming_back_takes_a_pass_of_what_is_down() {
    let mut policy = policy();
    for target in policy.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.rise = 3);
    }
    let after = |probes: &[(i64, &str, Option<bool>)]| {
        let targets = probed(&policy, probes);
        (targets.is_recovering(&"a".into()), targets.is_rising(&"a".into()))
    };
    let (fell4, fell6) = ((1, A4, Some(false)), (1, A6, Some(false)));
    let (back4, back6) = ((2, A4, Some(true)), (2, A6, Some(true)));
    assert_eq!(after(&[]), (false, false), "nothing is known of it");
    assert_eq!(after(&[back4, back6]), (false, false), "it never fell");
    assert_eq!(after(&[fell4, fell6]), (false, false));
    assert_eq!(after(&[fell4, fell6, back4]), (false, true), "one family");
    assert_eq!(after(&[fell4, fell6, back4, back6]), (true, true));
}

#[test]
fn a_check_that_passes_beside_one_that_does_not_is_no_way_up() {
    let mut policy = policy();
    let b = policy.targets.get_mut(&"b".into()).unwrap();
    let check = *b.checks.values().next().unwrap();
    b.checks.insert("ssh".into(), check);
    let mut targets = probed(&policy, &[(1, B4, Some(true)), (2, B4, Some(true)), (3, B4, Some(true))]);
    targets.count(&observation("ssh", B4, (4, 4), Some(false)), Duration::ZERO);
    assert!(!targets.is_rising(&"b".into()));
}

/// When a one-shot run may stop asking.
#[test]
fn more_probes_will_not_tell_of_what_answered_without_a_verdict() {
    let mut policy = policy();
    for target in policy.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.fall = 3);
    }
    let done = |probes: &[(i64, &str, Option<bool>)]| probed(&policy, probes).is_inscrutable(&"b".into());
    assert!(!done(&[]), "not asked yet");
    assert!(!done(&[(1, B4, Some(false))]), "the second and third failure would make it Down");
    assert!(done(&[(1, B4, None)]), "no route from here");
    assert!(done(&[(1, B4, Some(true)), (2, B4, Some(false))]), "it is Up");
}
