//! Choosing and judging: what may be published at all.

use std::collections::BTreeSet;

use failover::decision::{
    Answer, Bench, Current, Judgement, Moment, Motive, Now, Observation, Outcome, Overrides, Place, Policy,
    Selection, Sight, Sighting, TargetId, Targets, Timings, Verdict, View, foreign_values, judge, owner_of,
    select,
};
use proptest::prelude::*;
use providers::{AnswerSets, Ttl};

use crate::world::{cases, endpoints, name, picked, policies, pool, sets_of, snapshot};

/// A policy, what was seen of it (endpoint, outcome, seconds since the one before; every seventh is the witness),
/// what is published, and when it is looked at.
#[derive(Debug, Clone)]
struct Picture {
    policy: Policy,
    seen: Vec<(usize, u8, i64)>,
    published: u16,
    ttl: u32,
    since_change: Option<u8>,
    asked: bool,
}

fn pictures() -> impl Strategy<Value = Picture> {
    let seen = proptest::collection::vec((0..64usize, 0..8u8, 0..4i64), 0..60);
    let rest = (any::<u16>(), prop_oneof![Just(60), Just(300)], any::<Option<u8>>(), any::<bool>());
    (policies(), seen, rest).prop_map(|(policy, seen, (published, ttl, since_change, asked))| Picture {
        policy,
        seen,
        published: published & published >> 3,
        ttl,
        since_change,
        asked,
    })
}

struct Known {
    now: Moment,
    targets: Targets,
    sight: Sight,
    published: BTreeSet<Place>,
    current: Vec<TargetId>,
}

fn known(picture: &Picture) -> Known {
    let Picture { policy, .. } = picture;
    let start = Now { moment: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH };
    let mut targets = Targets::new(policy, &std::collections::BTreeMap::new(), &start);
    let mut sight = Sight::new(&policy.witnesses);
    let endpoints = endpoints(policy);
    let mut at = Moment::ZERO;
    for (number, outcome, later) in &picture.seen {
        at = at + std::time::Duration::from_secs(later.unsigned_abs());
        let outcome = match outcome {
            0..4 => Outcome::Pass,
            4..7 => Outcome::Fail("refused".into()),
            _ => Outcome::Unknown("no route".into()),
        };
        if number % 7 == 6 {
            sight.count(&Sighting { witness: "w".into(), started: at, ended: at, outcome });
        } else if sight.counts(at) {
            let endpoint = endpoints[number % endpoints.len()].clone();
            let observation = Observation {
                endpoint,
                started: at,
                ended: at,
                outcome,
                timings: Timings::default(),
                certificate: None,
            };
            targets.count(&observation, std::time::Duration::ZERO);
        }
    }
    let published = Place::published(&snapshot(sets_of(&picked(&pool(policy), picture.published), 60)));
    let record = &policy.records[&name()];
    let current = failover::decision::owners(policy, record, &published);
    Known { now: at, targets, sight, published, current }
}

impl Known {
    fn select(&self, picture: &Picture, current: Current<'_>) -> Selection {
        let view = View {
            now: self.now,
            policy: &picture.policy,
            targets: &self.targets,
            sight: &self.sight,
            settles_until: Moment::ZERO,
            overrides: Overrides::NONE,
            one_shot: false,
        };
        select(&view, &picture.policy.records[&name()], current)
    }

    fn chosen(&self, picture: &Picture) -> Selection {
        let current =
            Current { targets: &self.current, places: &self.published, failback_asked: picture.asked };
        self.select(picture, current)
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn what_is_chosen_works_and_stays_chosen(picture in pictures()) {
        let known = known(&picture);
        let chosen = known.chosen(&picture);
        prop_assert_eq!(&chosen, &known.chosen(&picture), "the same twice");
        let Selection::Serve(wish) = chosen else { return Ok(()) };
        let record = &picture.policy.records[&name()];
        let mut any_up = false;
        for place in &wish.answer.places() {
            let owner = owner_of(&picture.policy, record, place).expect("every wish is some target's");
            prop_assert!(wish.targets.contains(&owner));
            let verdict = known.targets.address(&owner, place, &known.sight);
            prop_assert_ne!(verdict, Verdict::Down, "{} of {}", place, owner);
            prop_assert!(verdict == Verdict::Up || known.published.contains(place), "{} is not known", place);
            any_up |= verdict == Verdict::Up;
        }
        prop_assert!(any_up || wish.motive == Motive::Stay, "moved to where nothing is known");
        let tiers: BTreeSet<_> = wish.targets.iter().map(|target| record.tier_of(target)).collect();
        prop_assert_eq!(tiers.len(), 1, "one tier: {:?}", wish.targets);

        // Published, and nothing new is known: the same again, and no reason to move.
        let now_published = wish.answer.places();
        let current = Current { targets: &wish.targets, places: &now_published, failback_asked: false };
        match known.select(&picture, current) {
            Selection::Serve(again) => {
                prop_assert_eq!(&again.answer, &wish.answer);
                prop_assert_eq!(again.motive, Motive::Stay);
            }
            Selection::Hold(hold) => prop_assert!(false, "chosen, and then held: {:?}", hold),
        }
    }

    #[test]
    fn a_judgement_is_in_sync_exactly_when_the_name_holds_the_wish_and_never_clobbers(picture in pictures()) {
        let known = known(&picture);
        let Selection::Serve(wish) = known.chosen(&picture) else { return Ok(()) };
        let record = &picture.policy.records[&name()];
        let found = snapshot(sets_of(&known.published, picture.ttl));
        let after = wish.answer.sets(Ttl(60));
        let bench = Bench {
            now: known.now,
            policy: &picture.policy,
            record,
            targets: &known.targets,
            sight: &known.sight,
            last_change: picture.since_change.map(|age| known.now - std::time::Duration::from_secs(age.into())),
            penalty: None,
            turn: None,
            atomic_name: true,
        };
        let judgement = judge(&bench, &wish, &found, after.clone());
        prop_assert_eq!(judgement == Judgement::InSync, found.holds(&after));
        let strangers = foreign_values(record, &found, &|place| owner_of(&picture.policy, record, place));
        match judgement {
            Judgement::InSync => {}
            Judgement::Write(swap) => {
                prop_assert!(strangers.is_empty(), "clobbers {:?}", strangers);
                prop_assert!(!found.is_missing() || record.create);
                prop_assert!(picture.since_change.is_none_or(|age| age >= 20), "within hold_down");
                prop_assert_eq!(&swap.before, &found);
                let applied = snapshot(swap.after.iter().map(|s| (s.record_type(), s.clone())).collect());
                prop_assert_eq!(judge(&bench, &wish, &applied, after), Judgement::InSync);
            }
            Judgement::Refused { refusal, withheld } => {
                prop_assert!(!refusal.remedy.is_empty() && !refusal.text.is_empty());
                prop_assert_eq!(withheld.after, after);
                if !strangers.is_empty() {
                    prop_assert_eq!(refusal.guard.as_str(), "foreign");
                    prop_assert!(strangers.iter().all(|stranger| refusal.remedy.contains(stranger.as_str())));
                }
            }
        }
    }

    #[test]
    fn an_answer_has_each_address_once_in_the_set_of_its_family(bits in 1u16..256) {
        let all: Vec<Place> = (1..5)
            .flat_map(|n| [format!("192.0.2.{n}").parse().unwrap(), format!("2001:db8::{n}").parse().unwrap()])
            .collect();
        let chosen = picked(&all, bits);
        let answer: AnswerSets = Answer::of(&chosen).unwrap().sets(Ttl(60));
        prop_assert_eq!(answer.addresses().into_iter().map(Place::Address).collect::<BTreeSet<_>>(), chosen);
    }
}
