//! What selection makes of each order, picture by picture.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fixture::{A4, A6, B4, at, place, places, policy, probed, record};
use super::select::{Current, View};
use super::*;

type Probes<'a> = &'a [(i64, &'a str, Option<bool>)];

const WELL: Probes<'_> = &[(1, A4, Some(true)), (1, A6, Some(true)), (1, B4, Some(true))];
const A_DEAD: Probes<'_> = &[(1, A4, Some(false)), (1, A6, Some(false)), (2, B4, Some(true))];

/// What should serve under these orders, which all end at 900.
fn ordered(orders: &[What], probes: Probes<'_>, current: &str, published: &[&str], now: i64) -> Selection {
    settled(at(0), orders, probes, current, published, now)
}

/// The same while a target without a verdict is waited for.
fn ordered_while_settling(orders: &[What], probes: Probes<'_>) -> Selection {
    settled(at(5), orders, probes, "a", &[A4, A6], 4)
}

fn settled(
    settles_until: Moment,
    orders: &[What],
    probes: Probes<'_>,
    current: &str,
    published: &[&str],
    now: i64,
) -> Selection {
    let order = |what: &What| Override::new(what.clone(), at(0), at(900), "new kernel", "alice").unwrap();
    let overrides = &Overrides::new(orders.iter().map(order));
    let (policy, sight) = (&policy(), &Sight::default());
    let targets = &probed(policy, probes);
    let now = at(now);
    let view = View { now, policy, targets, sight, settles_until, overrides, one_shot: false };
    let current: Vec<TargetId> = current.split_whitespace().map(Into::into).collect();
    let places = places(published);
    select(&view, &record(), Current { targets: &current, places: &places, failback_asked: false })
}

fn drain(target: &str) -> What {
    What::Drain { target: target.into() }
}

fn pin(target: &str) -> What {
    What::Pin { record: record().name, target: target.into() }
}

fn pause(record: Option<&str>) -> What {
    What::Pause { record: record.map(|name| name.parse().unwrap()) }
}

/// The orders, the probes, what serves; what should, or why it stays.
type Case<'a> = (&'a [What], Probes<'a>, &'a str, Result<(&'a [&'a str], Motive), Hold>);

const B_DEAD: Probes<'_> = &[(1, A4, Some(true)), (1, A6, Some(true)), (1, B4, Some(false))];

#[test]
fn what_each_order_makes_of_each_picture() {
    let (move_to, stay) = (Motive::Failover, Motive::Stay);
    let held = |hold| Err(hold);
    let drained = |target: &str| Hold::Drained { target: target.into() };
    let pinned = |target: &str| Hold::Pinned { target: target.into() };
    let paused = || Hold::Paused { by: "alice".into(), reason: "new kernel".into() };
    let (a, b) = (&[A4, A6][..], &[B4][..]);
    let cases: &[Case<'_>] = &[
        (&[drain("a")], WELL, "a", Ok((b, move_to))),
        (&[drain("b")], WELL, "a", Ok((a, stay))),
        (&[drain("a")], WELL, "b", Ok((b, stay))),
        (&[drain("b")], WELL, "b", Ok((a, move_to))),
        (&[drain("a"), drain("b")], WELL, "a", held(drained("a"))),
        (&[drain("a")], B_DEAD, "a", held(drained("a"))),
        (&[drain("b")], A_DEAD, "a", held(drained("b"))),
        (&[drain("b")], A_DEAD, "b", held(drained("b"))),
        (&[drain("a")], A_DEAD, "a", Ok((b, move_to))),
        (&[pin("a")], WELL, "b", Ok((a, Motive::Failback))),
        (&[pin("b")], WELL, "a", Ok((b, move_to))),
        (&[pin("b")], WELL, "b", Ok((b, stay))),
        (&[pin("b")], B_DEAD, "b", held(pinned("b"))),
        (&[pin("a")], A_DEAD, "a", held(pinned("a"))),
        (&[pin("a")], &[], "a", held(pinned("a"))),
        (&[pin("a"), drain("a")], WELL, "a", Ok((a, stay))),
        (&[pause(None), pin("b"), drain("a")], WELL, "a", held(paused())),
        (&[pause(Some("www.example.com"))], A_DEAD, "a", held(paused())),
        (&[pause(Some("mail.example.com"))], A_DEAD, "a", Ok((b, move_to))),
    ];
    for (orders, probes, current, expected) in cases {
        let published = if *current == "a" { a } else { b };
        // Past every `failback.after` too: a drained target is nobody's better one.
        let said = ordered(orders, probes, current, published, 400);
        let said = match said {
            Selection::Serve(wish) => {
                let places = wish.answer.places().iter().map(ToString::to_string).collect();
                Ok((places, wish.motive))
            }
            Selection::Hold(hold) => Err(hold),
        };
        let names = |places: &[&str]| places.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = expected.clone().map(|(places, motive)| (names(places), motive));
        assert_eq!(said, expected, "{orders:?} while {current} serves");
    }
}

#[test]
fn an_order_that_is_over_orders_nothing() {
    let later = |orders: &[What]| ordered(orders, WELL, "a", &[A4, A6], 900);
    for order in [drain("a"), pin("b"), pause(None)] {
        let Selection::Serve(wish) = later(&[order]) else { panic!("held") };
        assert_eq!((wish.targets, wish.motive), (vec!["a".into()], Motive::Stay));
    }
}

#[test]
fn nobody_waits_for_the_verdict_of_what_is_drained() {
    let only_b: Probes<'_> = &[(1, B4, Some(true))];
    let by = |orders: &[What]| ordered_while_settling(orders, only_b);
    let waits = Hold::Settling { waiting_for: vec!["a".into()] };
    assert_eq!(by(&[]), Selection::Hold(waits));
    let Selection::Serve(wish) = by(&[drain("a")]) else { panic!("held") };
    assert_eq!(wish.targets, ["b".into()]);
}

/// Another target of the same tier is no better one.
#[test]
fn a_pin_within_a_tier_is_no_failback() {
    let overrides =
        &Overrides::new([Override::new(pin("b"), at(0), at(900), "new kernel", "alice").unwrap()]);
    let (policy, sight, settles_until) = (&policy(), &Sight::default(), at(0));
    let targets = &probed(policy, WELL);
    let view = View { now: at(400), policy, targets, sight, settles_until, overrides, one_shot: false };
    let pool = RecordPolicy { tiers: vec![vec!["a".into(), "b".into()]], ..record() };
    let places = places(&[A4, A6]);
    let current = Current { targets: &["a".into()], places: &places, failback_asked: false };
    let Selection::Serve(wish) = select(&view, &pool, current) else { panic!("held") };
    assert_eq!((wish.targets, wish.motive), (vec!["b".into()], Motive::Failover));
}

/// What `all_down` publishes, or why it stays, while `a` and `b` are Down; with so many passes of `a` since.
fn nothing_works(all_down: AllDown, published: &[&str], passes: i64) -> Selection {
    let mut policy = policy();
    for target in policy.targets.values_mut() {
        target.checks.values_mut().for_each(|check| check.thresholds.rise = 3);
    }
    let mut probes: Vec<(i64, &str, Option<bool>)> = [A4, A6, B4].map(|place| (1, place, Some(false))).into();
    probes.extend((0..passes).flat_map(|pass| [(2 + pass, A4, Some(true)), (2 + pass, A6, Some(true))]));
    let (policy, targets, sight) = (&policy, &probed(&policy, &probes), &Sight::default());
    let (now, settles_until, overrides) = (at(9), at(0), Overrides::NONE);
    let view = View { now, policy, targets, sight, settles_until, overrides, one_shot: false };
    let places = places(published);
    let current = Current { targets: &["a".into()], places: &places, failback_asked: false };
    select(&view, &RecordPolicy { all_down, ..record() }, current)
}

#[test]
fn when_nothing_works_what_comes_back_is_waited_for_unless_it_is_done_already() {
    let all: &[&str] = &[A4, A6, B4];
    let words = |selection: Selection| match selection {
        Selection::Serve(wish) => all_down::serves(&wish),
        Selection::Hold(hold) => hold.text(),
    };
    let fallback = || AllDown::Fallback("b".into());
    let recovers = "a passes its checks again: the record waits for it";
    let served = "all of them are served (198.51.100.5, 203.0.113.10, 2001:db8::10)";
    assert_eq!(words(nothing_works(AllDown::ServeAll, &[A4, A6], 0)), served);
    assert_eq!(words(nothing_works(AllDown::ServeAll, &[A4, A6], 1)), recovers);
    assert_eq!(words(nothing_works(AllDown::ServeAll, all, 1)), served, "it is so already");
    assert_eq!(words(nothing_works(fallback(), &[A4, A6], 0)), "it is left to b (198.51.100.5)");
    assert_eq!(words(nothing_works(fallback(), &[A4, A6], 1)), recovers);
    assert_eq!(nothing_works(AllDown::Hold, &[A4, A6], 1), Selection::Hold(Hold::AllDown));
}

#[test]
fn several_host_names_cannot_be_served_together_and_one_can() {
    let mut policy = policy();
    for (target, name) in [("a", "a.example.net"), ("b", "b.example.net")] {
        policy.targets.get_mut(&target.into()).unwrap().places = places(&[name]).into();
    }
    let start = Now { moment: at(0), wall: jiff::Timestamp::UNIX_EPOCH };
    let mut targets = Targets::new(&policy, &BTreeMap::new(), &start);
    for target in ["a", "b"] {
        let place = place(&format!("{target}.example.net"));
        let endpoint = Endpoint { target: target.into(), check: "web".into(), address: place };
        let refused = fixture::observation("web", A4, (1, 1), Some(false));
        targets.count(&Observation { endpoint, ..refused }, Duration::ZERO);
    }
    let published = |all_down| {
        let (policy, targets, sight, overrides) = (&policy, &targets, &Sight::default(), Overrides::NONE);
        let (now, settles_until) = (at(2), at(0));
        let view = View { now, policy, targets, sight, settles_until, overrides, one_shot: false };
        let places = places(&["a.example.net"]);
        let current = Current { targets: &["a".into()], places: &places, failback_asked: false };
        match select(&view, &RecordPolicy { all_down, ..record() }, current) {
            Selection::Serve(wish) => Ok(wish.answer.places()),
            Selection::Hold(hold) => Err(hold),
        }
    };
    assert_eq!(published(AllDown::Fallback("b".into())), Ok(places(&["b.example.net"])));
    assert_eq!(published(AllDown::ServeAll), Err(Hold::AllDown));
}
