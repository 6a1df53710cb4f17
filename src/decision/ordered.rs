//! What selection makes of each order, picture by picture.

use super::fixture::{A4, A6, B4, at, places, policy, probed, record};
use super::*;

type Probes<'a> = &'a [(i64, &'a str, Option<bool>)];

const WELL: Probes<'_> = &[(1, A4, Some(true)), (1, A6, Some(true)), (1, B4, Some(true))];
const A_DEAD: Probes<'_> = &[(1, A4, Some(false)), (1, A6, Some(false)), (2, B4, Some(true))];

/// What should serve under these orders, which all end at 900.
fn ordered(orders: &[What], probes: Probes<'_>, current: &str, published: &[&str], now: i64) -> Selection {
    let order = |what: &What| Override::new(what.clone(), at(0), at(900), "new kernel", "alice").unwrap();
    let overrides = &Overrides::new(orders.iter().map(order));
    let (policy, sight) = (&policy(), &Sight::default());
    let targets = &probed(policy, probes);
    let (now, settles_until) = (at(now), at(0));
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
