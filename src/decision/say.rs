//! The words of events: what a person woken at three in the morning needs, in the order they need it.
//! `say_change.rs` has those of changes.

use std::collections::BTreeSet;

use providers::{DomainName, RecordSet, RecordType, Snapshot};

use super::all_down::serves;
use super::engine::values_of;
use super::{
    Event, EventKind, FailbackMode, Guard, Moment, Now, Place, Policy, ProviderId, RecordPolicy, Refusal,
    ServerSeen, Severity, Side, Sight, Sighting, TargetId, Targets, Verdict, Wish, counted, human, owners,
};

pub(super) fn target_changed(
    now: &Now,
    target: &TargetId,
    verdict: Verdict,
    targets: &Targets,
    sight: &Sight,
) -> Event {
    let since = targets.since(target, sight);
    let (kind, summary) = match verdict {
        Verdict::Down => (EventKind::TargetDown, format!("{target} is down")),
        Verdict::Up => (EventKind::TargetUp, format!("{target} is up")),
        Verdict::Unknown => {
            (EventKind::TargetUnknown, format!("it is no longer known whether {target} works"))
        }
    };
    let mut event = Event::new(kind, now.wall, summary);
    event.target = Some(target.clone());
    match verdict {
        Verdict::Down => {
            event.reason = targets.complaint(target);
            event.since = targets.first_failure(target).map(|m| now.wall_of(m));
        }
        Verdict::Up => event.since = since.map(|m| now.wall_of(m)),
        Verdict::Unknown => {
            let why = "no probe of it has been counted for three intervals";
            let last = targets.complaint(target).map(|last| format!("; the last one said: {last}"));
            event.reason = Some(format!("{why}{}", last.unwrap_or_default()));
        }
    }
    event
}

/// What a target's new verdict leads to. `records` are those that name it, each with the targets that serve it now;
/// `settings` finds those of a record.
pub(super) fn next_for_records<'a>(
    target: &TargetId,
    verdict: Verdict,
    records: impl Iterator<Item = (&'a DomainName, &'a [TargetId])>,
    settings: impl Fn(&DomainName) -> &'a RecordPolicy,
) -> Option<String> {
    let mut moves = Vec::new();
    let mut returns = Vec::new();
    for (name, current) in records {
        if verdict == Verdict::Down && current.contains(target) {
            moves.push(name.as_str());
        }
        if verdict != Verdict::Up {
            continue;
        }
        let record = settings(name);
        let tier = |targets: &[TargetId]| targets.iter().filter_map(|t| record.tier_of(t)).min();
        let better = tier(std::slice::from_ref(target)) < tier(current);
        match record.failback {
            FailbackMode::Auto if better => {
                let after = human(record.failback_after);
                returns.push(format!("{} goes back to it when it has been up for {after}", record.name));
            }
            FailbackMode::Manual if better => {
                returns.push(format!("to go back to it, run `failover failback {}`", record.name));
            }
            FailbackMode::Auto | FailbackMode::Manual => {}
        }
    }
    match verdict {
        Verdict::Down if moves.is_empty() => Some("no record points at it now: nothing is changed".into()),
        Verdict::Down if moves.len() == 1 => {
            Some(format!("{} moves to a target that works, if there is one", moves.concat()))
        }
        Verdict::Down => {
            Some(format!("these move to a target that works, if there is one: {}", few(moves, ", ")))
        }
        Verdict::Unknown => Some("nobody is moved to it, and nobody away from it, until it is known".into()),
        Verdict::Up if returns.is_empty() => None,
        Verdict::Up => Some(few(returns, "; ")),
    }
}

/// The first of them, and how many there are besides: a message is no list of ten thousand records.
fn few(all: Vec<impl ToString>, separator: &str) -> String {
    const NAMED: usize = 5;
    let others = all.len().saturating_sub(NAMED);
    let named = all.into_iter().take(NAMED).map(|one| one.to_string());
    named.chain((others > 0).then(|| counted(others, "other"))).collect::<Vec<_>>().join(separator)
}

pub(super) fn went_blind(now: &Now, sighting: &Sighting) -> Event {
    let summary =
        "this agent is cut off: none of its witnesses answers; it counts nothing and writes nothing";
    let mut event = Event::new(EventKind::AgentBlind, now.wall, summary);
    event.reason = Some(format!("{}: {}", sighting.witness, sighting.outcome.reason()));
    event.next = Some("every record stays as it is until a witness answers again".into());
    event.remedy = Some("look at the uplink of the machine that this agent runs on".into());
    event
}

pub(super) fn sighted(now: &Now, since: Moment) -> Event {
    let blind = human(now.moment.since(since));
    let mut event = begins_anew(now, format!("this agent sees again; it was cut off for {blind}"));
    event.since = Some(now.wall_of(since));
    event
}

pub(super) fn stood_still(now: &Now, late: std::time::Duration) -> Event {
    let mut event = begins_anew(now, format!("this agent stood still for {}", human(late)));
    event.reason = Some("the process or the whole machine was frozen or suspended".into());
    event.since = Some(now.wall_of(now.moment - late));
    event
}

fn begins_anew(now: &Now, summary: String) -> Event {
    let mut event = Event::new(EventKind::AgentSighted, now.wall, summary);
    event.next = Some("verdicts are formed anew; no record is changed before that".into());
    event
}

/// Side of a change: what is published and whose it is.
pub(super) fn side(policy: &Policy, record: &RecordPolicy, snapshot: &Snapshot) -> Side {
    side_at(policy, record, &Place::published(snapshot))
}

/// The same, where it is known already where that leads.
pub(super) fn side_at(policy: &Policy, record: &RecordPolicy, published: &BTreeSet<Place>) -> Side {
    Side {
        targets: owners(policy, record, published),
        values: published.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn side_of_wish(wish: &Wish) -> Side {
    let values = wish.answer.each().map(|place| place.to_string()).collect();
    Side { targets: wish.targets.clone(), values }
}

/// The side that these record sets are.
fn side_of_sets(
    policy: &Policy,
    record: &RecordPolicy,
    sets: &std::collections::BTreeMap<RecordType, RecordSet>,
) -> Side {
    let (name, native) = (record.name.clone(), serde_json::Value::Null);
    side(
        policy,
        record,
        &Snapshot { name, sets: sets.clone(), version: providers::Version::Values, marker: None, native },
    )
}

pub(super) fn withheld(
    now: &Now,
    record: &RecordPolicy,
    refusal: &Refusal,
    before: Side,
    wish: &Wish,
) -> Event {
    let mut event = Event::new(
        EventKind::ChangeWithheld,
        now.wall,
        if refusal.until.is_some() {
            format!("a change of {} has to wait: {}", record.name, refusal.text)
        } else {
            format!("a change of {} was withheld: {}", record.name, refusal.text)
        },
    );
    event.record = Some(record.name.clone());
    event.before = Some(before);
    event.after = Some(side_of_wish(wish));
    event.guard = Some(refusal.guard.as_str().into());
    match refusal.guard {
        Guard::Foreign | Guard::Capability | Guard::Flapping | Guard::StaleGeneration => {
            event.remedy = Some(refusal.remedy.clone());
            event.next = Some("the record stays as it is; the agent looks again every 30 s".into());
        }
        Guard::HoldDown | Guard::Velocity | Guard::UnverifiedTarget | Guard::Family => {
            event.next = Some(refusal.remedy.clone());
        }
    }
    if refusal.guard == Guard::Flapping {
        let until = refusal.until.map_or(now.wall, |until| now.wall_of(until));
        event.next =
            Some(format!("the record stays as it is until {}", until.strftime("%Y-%m-%d %H:%M:%SZ")));
    } else if refusal.until.is_some() {
        event.severity = Severity::Info;
    }
    event
}

/// Records that wait because their provider may be asked for no more changes a minute; the last has its turn at `last`.
pub(super) fn queue(
    now: &Now,
    provider: &ProviderId,
    waiting: &[&DomainName],
    allowed: usize,
    last: Moment,
) -> Event {
    let (changes, have) = (counted(waiting.len(), "change"), if waiting.len() == 1 { "has" } else { "have" });
    let allowed = counted(allowed, "record");
    let summary = format!("{changes} at {provider} {have} to wait: it may change {allowed} a minute");
    let mut event = Event::new(EventKind::ChangeWithheld, now.wall, summary);
    event.guard = Some(Guard::Velocity.as_str().into());
    event.reason = Some(format!("in this order: {}", few(waiting.to_vec(), ", ")));
    let until = now.wall_of(last).strftime("%Y-%m-%d %H:%M:%SZ");
    let left = human(last.since(now.moment));
    event.next =
        Some(format!("they follow in order by themselves; the last has its turn in {left} ({until})"));
    event.remedy = Some(format!(
        "if so many changes are right and urgent, raise `velocity` of the provider {provider} and reload"
    ));
    event
}

/// A kept penalty that cannot be true.
pub(super) fn penalty_corrected(now: &Now, name: &DomainName, wrong: &str) -> Event {
    let summary = format!("the flap penalty that was kept of {name} cannot be true: {wrong}");
    let mut event = Event::new(EventKind::StateCorrected, now.wall, summary);
    event.record = Some(name.clone());
    event.remedy = Some("look at the clock of this machine; `failover ack` clears a penalty".into());
    event
}

pub(super) fn acknowledged(now: &Now, name: &DomainName, penalty: u32) -> Event {
    let cleared =
        if penalty == 0 { String::new() } else { format!("; its flap penalty of {penalty} is cleared") };
    let summary = format!("a person acknowledged {name}{cleared}");
    let mut event = Event::new(EventKind::RecordAcknowledged, now.wall, summary);
    event.record = Some(name.clone());
    event.next = Some("a change that is due is tried at once; the other guards hold all the same".into());
    event
}

/// `wish` is what is published now that nothing works; without one the record stays.
pub(super) fn all_down(
    now: &Now,
    record: &RecordPolicy,
    targets: &Targets,
    current: Side,
    wish: Option<&Wish>,
) -> Event {
    let name = &record.name;
    let summary = match wish {
        None => format!("every target of {name} is down; the record stays at {current}"),
        Some(wish) => format!("every target of {name} is down; as `all_down` says, {}", serves(wish)),
    };
    let mut event = Event::new(EventKind::AllDown, now.wall, summary);
    event.record = Some(record.name.clone());
    let complaints: Vec<String> = record
        .targets()
        .filter_map(|target| targets.complaint(target).map(|what| format!("{target}: {what}")))
        .collect();
    event.reason = Some(complaints.join("; "));
    event.since = record.targets().filter_map(|t| targets.first_failure(t)).max().map(|m| now.wall_of(m));
    event.before = Some(current);
    event.next = Some("the record moves as soon as one of them passes its checks".into());
    event
}

/// Somebody else changed the record. `expected` is what it should hold.
pub(super) fn drift(
    now: &Now,
    policy: &Policy,
    record: &RecordPolicy,
    snapshot: &Snapshot,
    expected: &std::collections::BTreeMap<RecordType, RecordSet>,
    next: &str,
) -> Event {
    let (should, is) = (values_of(expected), values_of(&snapshot.sets));
    let mut event = Event::new(
        EventKind::DriftDetected,
        now.wall,
        format!("{} was changed by somebody else: it held {should} and now holds {is}", record.name),
    );
    event.record = Some(record.name.clone());
    event.before = Some(side_of_sets(policy, record, expected));
    event.after = Some(side(policy, record, snapshot));
    event.next = Some(next.to_owned());
    event
}

pub(super) fn server_drift(
    now: &Now,
    record: &RecordPolicy,
    server: &str,
    serves: &str,
    holds: &str,
) -> Event {
    let mut event = Event::new(
        EventKind::DriftDetected,
        now.wall,
        format!("{server} serves {serves} for {}, while the provider holds {holds}", record.name),
    );
    event.record = Some(record.name.clone());
    event.servers = vec![ServerSeen { server: server.to_owned(), at: None, serves: serves.to_owned() }];
    event.remedy =
        Some(format!("look at the zone transfer to {server}; there is nothing to write at the provider"));
    event.next = Some("the agent goes on looking, and says when all servers agree again".into());
    event
}

pub(super) fn servers_agree_again(now: &Now, record: &RecordPolicy, servers: &[String]) -> Event {
    let name = &record.name;
    let summary = format!("{} again serve what the provider holds for {name}", servers.join(" and "));
    let summary =
        if servers.len() == 1 { summary.replace(" again serve ", " again serves ") } else { summary };
    let mut event = Event::new(EventKind::PropagationCompleted, now.wall, summary);
    event.record = Some(name.clone());
    event
}

/// How far a change has come on the authoritative servers.
pub(super) fn arrival(now: &Now, name: &DomainName, published: Side, servers: Vec<ServerSeen>) -> Event {
    let behind: Vec<&str> = servers.iter().filter(|s| s.at.is_none()).map(|s| s.server.as_str()).collect();
    let all = servers.len();
    let mut event = if behind.is_empty() {
        let summary = match all {
            1 => format!("the authoritative server serves the change of {name}"),
            2 => format!("both authoritative servers serve the change of {name}"),
            _ => format!("all {all} authoritative servers serve the change of {name}"),
        };
        Event::new(EventKind::PropagationCompleted, now.wall, summary)
    } else {
        let (late, verb) = (behind.len(), if behind.len() == 1 { "does" } else { "do" });
        let whose = if all == 1 {
            "the authoritative server".into()
        } else {
            format!("{late} of {all} authoritative servers")
        };
        let summary = format!("{whose} {verb} not serve the change of {name} yet: {}", behind.join(", "));
        let mut event = Event::new(EventKind::PropagationSlow, now.wall, summary);
        event.remedy = Some(remedy_for(&servers));
        event.next =
            Some("the agent goes on asking for ten minutes, and looks from time to time after that".into());
        event
    };
    event.record = Some(name.clone());
    event.after = Some(published);
    event.servers = servers;
    event
}

/// A server that answers with old values needs its transfers looked at, one that does not answer needs more.
fn remedy_for(servers: &[ServerSeen]) -> String {
    let behind = servers.iter().filter(|server| server.at.is_none());
    let (silent, stale): (Vec<&ServerSeen>, Vec<&ServerSeen>) =
        behind.partition(|server| server.serves.starts_with("unknown"));
    let names =
        |servers: &[&ServerSeen]| servers.iter().map(|s| s.server.clone()).collect::<Vec<_>>().join(" and ");
    let mut steps = Vec::new();
    if !stale.is_empty() {
        steps.push(format!("look at the zone transfer to {}", names(&stale)));
    }
    if !silent.is_empty() {
        steps.push(format!("find out why there is no answer from {}", names(&silent)));
    }
    steps.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::record;
    use super::*;

    fn now() -> Now {
        Now { moment: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    /// What happened after a change, by server: `None` where it serves the change, else what it serves.
    fn arrived(served: &[Option<&str>]) -> Event {
        let seen = |(number, serves): (usize, Option<&str>)| ServerSeen {
            server: format!("ns{}", number + 1),
            at: serves.is_none().then_some(jiff::Timestamp::UNIX_EPOCH),
            serves: serves.unwrap_or("198.51.100.5").to_owned(),
        };
        let servers = served.iter().copied().enumerate().map(seen).collect();
        arrival(&now(), &record().name, Side::default(), servers)
    }

    #[test]
    fn one_two_and_many_servers() {
        let name = "the change of www.example.com";
        assert_eq!(arrived(&[None]).summary, format!("the authoritative server serves {name}"));
        assert_eq!(arrived(&[None; 2]).summary, format!("both authoritative servers serve {name}"));
        assert_eq!(arrived(&[None; 3]).summary, format!("all 3 authoritative servers serve {name}"));
        let old = Some("203.0.113.10");
        let one = format!("the authoritative server does not serve {name} yet: ns1");
        assert_eq!(arrived(&[old]).summary, one);
        let two = format!("2 of 3 authoritative servers do not serve {name} yet: ns1, ns3");
        assert_eq!(arrived(&[old, None, old]).summary, two);
    }

    #[test]
    fn a_late_server_and_a_silent_one_need_different_things() {
        let slow = arrived(&[Some("203.0.113.10"), Some("unknown: ns2 does not answer"), None]);
        let remedy = "look at the zone transfer to ns1; find out why there is no answer from ns2";
        assert_eq!(slow.remedy.as_deref(), Some(remedy));
        assert_eq!(slow.severity, Severity::Warning);
    }

    #[test]
    fn what_follows_from_a_verdict() {
        let record = record();
        let next = |target: &str, verdict, current: &[TargetId]| {
            let records = [(&record.name, current)].into_iter();
            next_for_records(&target.into(), verdict, records, |_| &record).unwrap_or_default()
        };
        let (a, b) = (["a".into()], ["b".into()]);
        let moves = "www.example.com moves to a target that works, if there is one";
        assert_eq!(next("a", Verdict::Down, &a), moves);
        assert_eq!(next("b", Verdict::Down, &a), "no record points at it now: nothing is changed");
        let returns = "www.example.com goes back to it when it has been up for 5 min";
        assert_eq!(next("a", Verdict::Up, &b), returns);
        assert_eq!(next("b", Verdict::Up, &a), "");
    }

    #[test]
    fn who_stood_still_did_so_until_now() {
        let late = std::time::Duration::from_mins(2);
        let told = stood_still(&now(), late);
        assert_eq!(told.since, Some(now().wall - late));
    }

    #[test]
    fn what_follows_for_one_record_and_for_several_and_by_whose_hand() {
        let mut second = record();
        second.name = "mail.example.com".parse().unwrap();
        second.failback = FailbackMode::Manual;
        let (first, a, b): (_, TargetId, TargetId) = (record(), "a".into(), "b".into());
        let next = |target: &TargetId, verdict, served: &TargetId, records: &[&RecordPolicy]| {
            let current = std::slice::from_ref(served);
            let names = records.iter().map(|record| (&record.name, current));
            let settings = |name: &DomainName| if *name == first.name { &first } else { &second };
            next_for_records(target, verdict, names, settings)
        };
        let (one, both) = ([&first], [&first, &second]);
        let (of_one, of_both) = (next(&a, Verdict::Down, &a, &one), next(&a, Verdict::Down, &a, &both));
        let works = "to a target that works, if there is one";
        assert_eq!(of_one, Some(format!("www.example.com moves {works}")));
        assert_eq!(of_both, Some(format!("these move {works}: www.example.com, mail.example.com")));
        let back = "www.example.com goes back to it when it has been up for 5 min; to go back to it, run \
                    `failover failback mail.example.com`";
        assert_eq!(next(&a, Verdict::Up, &b, &both).as_deref(), Some(back));
        assert_eq!(next(&b, Verdict::Up, &a, &both), None, "it is no better one");
    }

    #[test]
    fn of_many_five_are_named() {
        let names = |count: usize| (1..=count).map(|n| format!("r{n}")).collect::<Vec<_>>();
        assert_eq!(few(names(5), ", "), "r1, r2, r3, r4, r5");
        assert_eq!(few(names(6), "; "), "r1; r2; r3; r4; r5; 1 other");
        assert_eq!(few(names(10_000), ", "), "r1, r2, r3, r4, r5, 9995 others");
        assert_eq!(few(Vec::<String>::new(), ", "), "");
    }
}
