//! A swap that is based on an old picture writes nothing. Every check here is one after the other: an adapter
//! without compare-and-swap at its server (T3) keeps these promises by reading again right before it writes.

use std::collections::BTreeSet;

use super::stage::{Stage, a, aaaa, answer, broken, must_conflict, nothing_written};
use super::{Breach, Fixture, RawSet, Verdict};
use crate::{Fault, Permission, RecordType, Swap};

fn v4(values: &[&str]) -> RawSet {
    RawSet::new(60, "A", values)
}

fn v6(values: &[&str]) -> RawSet {
    RawSet::new(60, "AAAA", values)
}

/// The story of every check: we read `read`, somebody else writes `meanwhile`, our swap must change nothing.
async fn stale(fixture: &dyn Fixture, label: &str, read: &[RawSet], meanwhile: &[RawSet]) -> Verdict {
    let stage = Stage::set(fixture, label, read).await?;
    let before = stage.read().await?;
    stage.arrange(meanwhile).await?;
    let theirs = stage.read().await?;
    let serial = fixture.serial().await;
    let result = stage.try_swap(before, answer([a(60, &["198.51.100.5"]), aaaa(60, &["2001:db8::5"])])).await;
    must_conflict(result)?;
    nothing_written(fixture, serial).await?;
    match stage.read().await? {
        now if now.sets == theirs.sets => Ok(()),
        now => Err(broken(format!("the other writer's {} became {}", theirs.summary(), now.summary()))),
    }
}

/// Another value in the set that we read.
pub async fn a_changed_value_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    let read = [v4(&["192.0.2.1"]), v6(&["2001:db8::1"])];
    stale(fixture, "stale-value", &read, &[v4(&["192.0.2.1"]), v6(&["2001:db8::66"])]).await
}

/// One more value in the set that we read: the set is compared, not its members.
pub async fn a_value_added_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "stale-more", &[v4(&["192.0.2.1"])], &[v4(&["192.0.2.1", "192.0.2.66"])]).await
}

/// A set that we did not see is there now: the absence of a set is compared as well.
pub async fn a_family_added_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "stale-added", &[v4(&["192.0.2.1"])], &[v4(&["192.0.2.1"]), v6(&["2001:db8::66"])]).await
}

/// A set that we saw is gone.
pub async fn a_family_removed_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    let read = [v4(&["192.0.2.1"]), v6(&["2001:db8::1"])];
    stale(fixture, "stale-removed", &read, &[v4(&["192.0.2.1"])]).await
}

/// We found nothing, and somebody made the name.
pub async fn a_name_made_meanwhile_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "stale-made", &[], &[v4(&["192.0.2.66"])]).await
}

/// We read an answer, and somebody removed the name: we do not bring it back.
pub async fn a_name_removed_meanwhile_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    stale(fixture, "stale-gone", &[v4(&["192.0.2.1"]), v6(&["2001:db8::1"])], &[]).await
}

/// We read addresses, and somebody made the name an alias.
pub async fn an_alias_made_meanwhile_is_a_conflict(fixture: &dyn Fixture) -> Verdict {
    let alias = RawSet::new(60, "CNAME", &["elsewhere.example.net."]);
    stale(fixture, "stale-alias", &[v4(&["192.0.2.1"])], &[alias]).await
}

/// Several names in one swap: all are written, or, when one of them is stale, none is.
pub async fn several_names_change_all_or_none(fixture: &dyn Fixture) -> Verdict {
    let one = Stage::set(fixture, "many-one", &[v4(&["192.0.2.1"])]).await?;
    if one.client.capabilities().names_per_swap < 2 {
        return Err(Breach::NotApplicable("one name per swap"));
    }
    let two = one.beside("many-two", &[v4(&["192.0.2.2"]), v6(&["2001:db8::2"])]).await?;
    let wish = answer([a(60, &["198.51.100.5"]), aaaa(60, &["2001:db8::5"])]);
    let swaps = [Swap::new(one.read().await?, wish.clone()), Swap::new(two.read().await?, wish.clone())];
    two.arrange(&[v4(&["192.0.2.66"])]).await?;
    let serial = fixture.serial().await;
    // The stale one last, then first: an adapter that goes name by name is caught by one of the two orders.
    must_conflict(one.client.swap(&one.zone, &swaps).await)?;
    let backwards = [swaps[1].clone(), swaps[0].clone()];
    must_conflict(one.client.swap(&one.zone, &backwards).await)?;
    nothing_written(fixture, serial).await?;
    one.holds(&answer([a(60, &["192.0.2.1"])])).await?;
    two.holds(&answer([a(60, &["192.0.2.66"])])).await?;

    let swaps = [swaps[0].clone(), Swap::new(two.read().await?, wish.clone())];
    one.client.swap(&one.zone, &swaps).await?;
    one.holds(&wish).await?;
    two.holds(&wish).await
}

/// More names than fit into one transaction are refused before anything is sent.
pub async fn more_names_than_the_card_says_are_refused(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "too-many", &[v4(&["192.0.2.1"])]).await?;
    let limit = stage.client.capabilities().names_per_swap;
    if limit > 1000 {
        return Err(Breach::NotApplicable("more than a thousand names per swap"));
    }
    let before = stage.read().await?;
    let serial = fixture.serial().await;
    let swaps: Vec<Swap> = (0..=limit)
        .map(|number| {
            let mut before = before.clone();
            before.name = super::stage::below(fixture, &format!("too-many-{number}"));
            before.sets.clear();
            Swap::new(before, answer([a(60, &["198.51.100.5"])]))
        })
        .collect();
    let result = stage.client.swap(&stage.zone, &swaps).await;
    nothing_written(fixture, serial).await?;
    match result {
        Err(Fault::Unsupported(_)) => Ok(()),
        other => Err(broken(format!("{} names at once must be refused, got {other:?}", swaps.len()))),
    }
}

/// Whoever asks whether a swap would be taken changes nothing by it: not a name that is there, not one that is missing,
/// and not one that somebody changes meanwhile, which is a conflict.
pub async fn asking_for_permission_changes_nothing(fixture: &dyn Fixture) -> Verdict {
    let sets = [v4(&["192.0.2.1", "192.0.2.2"]), v6(&["2001:db8::1"]), RawSet::new(60, "TXT", &["\"kept\""])];
    let stage = Stage::set(fixture, "ask-there", &sets).await?;
    let missing = stage.beside("ask-missing", &[]).await?;
    let types = BTreeSet::from(RecordType::ANSWER);
    for stage in [&stage, &missing] {
        let (before, serial) = (stage.read().await?, fixture.serial().await);
        let said = stage.client.permission(&stage.zone, &before, &types).await?;
        nothing_written(fixture, serial).await?;
        let now = stage.read().await?;
        if now != before {
            return Err(broken(format!("asking changed {} to {}", before.summary(), now.summary())));
        }
        if let Permission::NotTested(_) = said {
            return Err(Breach::NotApplicable("this provider cannot be asked without a change"));
        }
    }
    let before = stage.read().await?;
    stage.arrange(&[v4(&["192.0.2.66"])]).await?;
    let serial = fixture.serial().await;
    let said = stage.client.permission(&stage.zone, &before, &types).await;
    nothing_written(fixture, serial).await?;
    match said {
        Err(Fault::Conflict(_)) => Ok(()),
        other => Err(broken(format!("the name changed meanwhile, and the answer is {other:?}"))),
    }
}
