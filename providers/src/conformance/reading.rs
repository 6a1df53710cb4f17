//! What a reader is promised.

use super::ask::{Transport, ask};
use super::stage::{Stage, a, answer, below, broken};
use super::{Breach, Fixture, RawSet, Verdict};
use crate::{DomainName, Fault, RecordType};

/// A name with nothing is an empty snapshot, not an error: an error would stop the creation of a record.
pub async fn a_missing_name_is_an_empty_snapshot(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "read-missing", &[]).await?;
    match stage.read().await? {
        snapshot if snapshot.is_missing() => Ok(()),
        snapshot => Err(broken(format!("a missing name reads {}", snapshot.summary()))),
    }
}

/// Several names in one call come back in the order asked, the missing ones among them.
pub async fn names_are_read_in_the_order_asked(fixture: &dyn Fixture) -> Verdict {
    let last = Stage::set(fixture, "read-z", &[RawSet::new(60, "A", &["192.0.2.1"])]).await?;
    let gone = last.beside("read-m", &[]).await?;
    let first = last.beside("read-a", &[RawSet::new(60, "AAAA", &["2001:db8::2"])]).await?;
    let names = [last.name.clone(), gone.name.clone(), first.name.clone()];
    let got = last.client.read(&last.zone, &names).await?;
    let summaries: Vec<String> = got.iter().map(|s| format!("{} {}", s.name, s.summary())).collect();
    let expected = [
        format!("{} 192.0.2.1", last.name),
        format!("{} nothing", gone.name),
        format!("{} 2001:db8::2", first.name),
    ];
    if summaries == expected {
        Ok(())
    } else {
        Err(broken(format!("asked in this order: {expected:?}, got {summaries:?}")))
    }
}

/// The zone of a name is the longest suffix that the provider serves; the apex belongs to its own zone.
pub async fn the_zone_is_the_longest_suffix(fixture: &dyn Fixture) -> Verdict {
    let client = fixture.client().await;
    let mut cases = vec![
        (fixture.zone(), fixture.zone()),
        (below(fixture, "one"), fixture.zone()),
        (below(fixture, "three.two.one"), fixture.zone()),
    ];
    if let Some(child) = fixture.child_zone() {
        let inside = format!("one.{child}").parse().expect("a label below a valid zone");
        cases.push((inside, child));
    }
    for (name, expected) in cases {
        let zone = client.zone(&name).await?;
        if zone.name != expected {
            return Err(broken(format!("{name} is in {expected}, not in {}", zone.name)));
        }
    }
    if fixture.child_zone().is_none() {
        return Err(Breach::NotApplicable("the plain cases pass; the fixture has no zone below its zone"));
    }
    Ok(())
}

/// A name in no zone of the provider is a fault of the configuration, which a person must put right.
pub async fn a_name_in_no_zone_is_a_configuration_fault(fixture: &dyn Fixture) -> Verdict {
    match fixture.client().await.zone(&fixture.foreign_name()).await {
        Err(Fault::Config(_)) => Ok(()),
        Err(fault) => Err(broken(format!("expected a configuration fault, got {}: {fault}", fault.kind()))),
        Ok(zone) => Err(broken(format!("{} was found in {}", fixture.foreign_name(), zone.name))),
    }
}

/// Names compare without regard to case (RFC 4343), as owners and as values: what somebody wrote in capitals is
/// read, swapped and not doubled.
pub async fn spelling_does_not_matter(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "spelling", &[]).await?;
    let owner = format!("SpelLing.{}", fixture.zone().as_str().to_ascii_uppercase());
    fixture.arrange(&owner, &[RawSet::new(60, "CNAME", &["TARGET.Example.COM."])]).await;
    let before = stage.read().await?;
    if before.cname().map(ToString::to_string).as_deref() != Some("target.example.com") {
        return Err(broken(format!("TARGET.Example.COM. reads {}", before.summary())));
    }
    let wish = answer([a(60, &["192.0.2.7"])]);
    stage.try_swap(before, wish.clone()).await?;
    stage.holds(&wish).await?;
    let kind = super::stage::wire(RecordType::A);
    let reply = ask(fixture.dns(), Transport::Udp, &format!("{owner}."), kind).await?;
    match reply.values(&stage.name, kind) {
        values if values.len() == 1 && values.contains("192.0.2.7") => Ok(()),
        values => Err(broken(format!("asked in capitals, the server says {values:?}"))),
    }
}

/// What an alias is read as does not depend on where it leads: to a name of the zone, to one that it does not have (an answer
/// may say NXDOMAIN of that, RFC 6604 section 2.1), or elsewhere.
pub async fn an_alias_is_read_wherever_it_leads(fixture: &dyn Fixture) -> Verdict {
    let stage = Stage::set(fixture, "leads", &[]).await?;
    let (owner, led) = (format!("leads.{}", fixture.zone()), format!("led.{}", fixture.zone()));
    fixture.arrange(&led, &[RawSet::new(60, "A", &["192.0.2.9"])]).await;
    for target in [led, format!("nobody.{}", fixture.zone()), "elsewhere.example.net".to_owned()] {
        fixture.arrange(&owner, &[RawSet::new(60, "CNAME", &[&format!("{target}.")])]).await;
        let read = stage.read().await?;
        let is_alias = read.cname().is_some_and(|found| found.as_str() == target);
        if !is_alias || !read.addresses().is_empty() {
            return Err(broken(format!("an alias of {target} reads {}", read.summary())));
        }
    }
    Ok(())
}

/// What the picture of a whole zone says of a name is what a reading of the name finds, types, values and TTLs; where it cannot
/// know, it says nothing: below a delegation, under an alias of a whole tree, where a wildcard answers.
pub async fn a_crowd_reads_as_its_names_do(fixture: &dyn Fixture) -> Verdict {
    let zone = fixture.zone();
    let cases: [(&str, &[RawSet]); 14] = [
        ("crowd-a", &[RawSet::new(61, "A", &["192.0.2.1", "192.0.2.2"])]),
        ("crowd-both", &[RawSet::new(62, "A", &["192.0.2.3"]), RawSet::new(63, "AAAA", &["2001:db8::3"])]),
        ("crowd-aaaa", &[RawSet::new(0, "AAAA", &["2001:db8::4"])]),
        ("crowd-alias", &[RawSet::new(64, "CNAME", &["Elsewhere.Example.NET."])]),
        ("crowd-led", &[RawSet::new(65, "CNAME", &[&format!("crowd-a.{zone}.")])]),
        ("CroWd-Spelt", &[RawSet::new(66, "A", &["192.0.2.5"])]),
        (
            "crowd-company",
            &[RawSet::new(60, "A", &["192.0.2.6"]), RawSet::new(60, "MX", &["10 mail.example.net."])],
        ),
        ("crowd-mail", &[RawSet::new(60, "MX", &["10 mail.example.net."])]),
        ("_failover.crowd-a", &[RawSet::new(67, "TXT", &["\"v=failover1; crowd\""])]),
        ("deep.below.crowd-nothing", &[RawSet::new(60, "A", &["192.0.2.7"])]),
        ("crowd-cut", &[RawSet::new(60, "NS", &["ns.elsewhere.example.net."])]),
        ("*.crowd-wild", &[RawSet::new(60, "A", &["192.0.2.8"])]),
        ("own.crowd-wild", &[RawSet::new(60, "A", &["192.0.2.9"])]),
        ("crowd-tree", &[RawSet::new(60, "DNAME", &["tree.example.net."])]),
    ];
    let stage = Stage::set(fixture, "crowd", &[]).await?;
    for (label, sets) in &cases {
        fixture.arrange(&format!("{label}.{zone}"), sets).await;
    }
    let others = [
        "crowd-gone",
        "below.crowd-nothing",
        "below.crowd-cut",
        "any.crowd-wild",
        "deeper.any.crowd-wild",
        "crowd-wild",
        "below.crowd-tree",
    ];
    let labels = cases.iter().map(|(label, _)| *label).chain(others);
    let mut names: Vec<DomainName> = labels.map(|label| below(fixture, label)).collect();
    names.push(zone);
    let crowd = stage.client.read_crowd(&stage.zone, &names).await?.snapshots;
    if crowd.len() != names.len() {
        return Err(broken(format!("{} names were asked for, {} came back", names.len(), crowd.len())));
    }
    let mut told = 0;
    for (name, seen) in names.iter().zip(&crowd) {
        let alone = stage.client.read(&stage.zone, std::slice::from_ref(name)).await;
        let alone = alone.map(|mut snapshots| snapshots.pop());
        match (seen, &alone) {
            (Some(seen), Ok(Some(alone))) if seen == alone => told += 1,
            (Some(seen), alone) => {
                return Err(broken(format!("{name} is {seen:?} in the crowd, and alone {alone:?}")));
            }
            (None, _) => {}
        }
    }
    // By every picture of a zone these ten can be told: all that are there, but for the cut, the wildcards and the tree.
    let plain = crowd[..10].iter().flatten().count();
    match (fixture.shows_zones(), told) {
        (true, _) if plain == 10 => Ok(()),
        (true, told) => {
            Err(broken(format!("{told} of {} names were told of, {plain} of 10 plain ones", names.len())))
        }
        (false, 0) => Err(Breach::NotApplicable("there is no picture of a whole zone here")),
        (false, told) => Err(broken(format!("{told} names were told of where no zone is shown"))),
    }
}
