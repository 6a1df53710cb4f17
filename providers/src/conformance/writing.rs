//! What a swap is promised to write, and what not.

use hickory_proto::rr::RecordType as WireType;

use super::stage::{Stage, a, aaaa, answer, broken, cname, nothing_written};
use super::{Fixture, RawSet, Verdict};
use crate::{AnswerSets, Swap, Ttl};

fn dual_stack() -> [RawSet; 2] {
    [RawSet::new(60, "A", &["192.0.2.1"]), RawSet::new(60, "AAAA", &["2001:db8::1"])]
}

/// Where nothing is, the whole answer is made.
pub async fn a_missing_name_is_created(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "create", &[]).await?;
    stage.swap_to(answer([a(60, &["192.0.2.2", "192.0.2.3"]), aaaa(60, &["2001:db8::2"])])).await
}

/// IPv4 and IPv6 move in one swap, and the serial says that it was one.
pub async fn both_families_move_together(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "together", &dual_stack()).await?;
    let serial = fixture.serial().await;
    stage.swap_to(answer([a(60, &["198.51.100.5"]), aaaa(60, &["2001:db8::5"])])).await?;
    let growth = fixture.serial().await.wrapping_sub(serial);
    let one_write = fixture.serial_counts_writes() && stage.client.capabilities().atomic_name;
    if growth == 0 || (one_write && growth != 1) {
        return Err(broken(format!("one swap of both families made the serial grow by {growth}")));
    }
    Ok(())
}

/// The dead primary's AAAA does not stay behind when the stand-by has IPv4 alone.
pub async fn a_family_that_the_new_target_lacks_goes(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "family", &dual_stack()).await?;
    stage.swap_to(answer([a(60, &["198.51.100.5"])])).await?;
    stage.swap_to(answer([aaaa(60, &["2001:db8::5"])])).await
}

/// A swap without changes is a success that sends nothing.
pub async fn nothing_to_change_writes_nothing(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "idle", &dual_stack()).await?;
    let before = stage.read().await?;
    let same =
        AnswerSets::new(before.sets.values().cloned()).ok_or_else(|| broken("the name reads empty"))?;
    let serial = fixture.serial().await;
    stage.try_swap(before, same.clone()).await?;
    stage.client.swap(&stage.zone, &[]).await?;
    stage.holds(&same).await?;
    nothing_written(fixture, serial).await
}

/// Running it twice changes nothing the second time: after a swap, the normalised wish is what is read.
pub async fn the_second_time_there_is_nothing_to_do(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "twice", &dual_stack()).await?;
    let wish = stage.client.normalize(answer([a(60, &["198.51.100.5"]), aaaa(60, &["2001:db8::5"])]));
    stage.swap_to(wish.clone()).await?;
    let serial = fixture.serial().await;
    let again = Swap::new(stage.read().await?, wish);
    if !again.changes().is_empty() {
        return Err(broken(format!("after the swap there is still something to do: {:?}", again.changes())));
    }
    stage.client.swap(&stage.zone, &[again]).await?;
    nothing_written(fixture, serial).await
}

/// A change of the TTL alone is written, though RFC 2136 section 2.4.2 does not compare TTLs, and though some
/// servers drop an addition whose value is already there.
pub async fn a_new_ttl_takes_effect(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "ttl", &dual_stack()).await?;
    stage.swap_to(answer([a(300, &["192.0.2.1"]), aaaa(300, &["2001:db8::1"])])).await?;
    stage.swap_to(answer([a(120, &["192.0.2.1"]), aaaa(300, &["2001:db8::1"])])).await
}

/// Other names, and other types at the same name, are not ours.
pub async fn neighbours_are_left_alone(fixture: &dyn Fixture) -> Verdict {
    let [v4, v6] = dual_stack();
    let mx = RawSet::new(300, "MX", &["10 mail.example.com.", "20 mail2.example.com."]);
    let txt = RawSet::new(300, "TXT", &["\"v=spf1 -all\"", "\"two words\""]);
    let stage = Stage::set(fixture, "neighbour", &[v4.clone(), v6.clone(), mx, txt]).await?;
    let deeper = stage.beside("deeper.neighbour", std::slice::from_ref(&v4)).await?;
    let other = stage.beside("neighbour2", &[v4, v6]).await?;
    let before = (stage.others(WireType::MX).await?, stage.others(WireType::TXT).await?);
    if (before.0.len(), before.1.len()) != (2, 2) {
        return Err(broken(format!("the fixture did not arrange MX and TXT: {before:?}")));
    }
    let stays = (deeper.read().await?, other.read().await?);
    stage.swap_to(answer([a(60, &["198.51.100.5"])])).await?;
    let after = (stage.others(WireType::MX).await?, stage.others(WireType::TXT).await?);
    if after != before {
        return Err(broken(format!("MX and TXT at the same name went from {before:?} to {after:?}")));
    }
    if (deeper.read().await?, other.read().await?) != stays {
        return Err(broken("another name changed"));
    }
    Ok(())
}

/// From addresses to another name and back, each in one swap: never both (RFC 1034 section 3.6.2), never neither.
pub async fn addresses_become_an_alias_and_addresses_again(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "alias", &dual_stack()).await?;
    stage.swap_to(answer([cname(60, "standby.example.net")])).await?;
    stage.swap_to(answer([cname(60, "other.example.net")])).await?;
    stage.swap_to(answer([a(60, &["192.0.2.1"]), aaaa(60, &["2001:db8::1"])])).await
}

/// Where another type stands, an alias cannot (RFC 1034 section 3.6.2). A server that gets such an update
/// drops the alias silently (RFC 2136 section 3.4.2.2), after the addresses have gone: an empty answer.
/// So the provider refuses, and nothing is written.
pub async fn an_alias_beside_other_types_is_refused(fixture: &dyn Fixture) -> Verdict {
    let [v4, v6] = dual_stack();
    let txt = RawSet::new(300, "TXT", &["\"not ours\""]);
    let stage = Stage::set(fixture, "crowded", &[v4, v6, txt]).await?;
    let before = stage.read().await?;
    let serial = fixture.serial().await;
    let result = stage.try_swap(before, answer([cname(60, "standby.example.net")])).await;
    nothing_written(fixture, serial).await?;
    stage.holds(&answer([a(60, &["192.0.2.1"]), aaaa(60, &["2001:db8::1"])])).await?;
    match result {
        Err(fault) if !fault.may_have_written() => Ok(()),
        other => Err(broken(format!("an alias beside a TXT record must be refused, got {other:?}"))),
    }
}

/// `normalize` is idempotent, keeps the values, and foretells what is read, at the ends of the TTL range too.
pub async fn what_is_read_is_what_normalize_said(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "normal", &dual_stack()).await?;
    let card = stage.client.capabilities();
    for ttl in [Ttl(1), card.ttl_min, Ttl(3600), Ttl(86_400).min(card.ttl_max)] {
        let wish = answer([a(ttl.0, &["192.0.2.9", "192.0.2.8"]), aaaa(ttl.0, &["2001:DB8:0:0::9"])]);
        let normal = stage.client.normalize(wish.clone());
        if stage.client.normalize(normal.clone()) != normal {
            return Err(broken(format!("normalising {ttl} twice gives something else")));
        }
        if normal.addresses() != wish.addresses() {
            return Err(broken(format!("normalising changes the values to {normal}")));
        }
        stage.swap_to(wish).await?;
    }
    Ok(())
}
