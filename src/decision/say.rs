//! The words of events: what a person woken at three in the morning needs, in the order they need it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use providers::{DomainName, Snapshot};

use super::{
    Event, EventKind, Motive, Now, Policy, RecordPolicy, Refusal, ServerSeen, Severity, Side, Sight,
    TargetId, Targets, Verdict, Wish, human, owners,
};

/// The three events of a change: begun, done, failed.
pub(super) fn kinds(motive: Motive) -> [EventKind; 3] {
    match motive {
        Motive::Failover => {
            [EventKind::FailoverStarted, EventKind::FailoverCompleted, EventKind::FailoverFailed]
        }
        Motive::Failback => {
            [EventKind::FailbackStarted, EventKind::FailbackCompleted, EventKind::FailbackFailed]
        }
        Motive::Stay => [EventKind::AdjustStarted, EventKind::AdjustCompleted, EventKind::AdjustFailed],
    }
}

pub(super) fn target_changed(
    now: &Now,
    target: &TargetId,
    verdict: Verdict,
    targets: &Targets,
    policy: &Policy,
    sight: &Sight,
) -> Event {
    let since = targets.since(target, policy, sight);
    let complaint = targets.complaint(target);
    let (kind, summary) = match verdict {
        Verdict::Down => (EventKind::TargetDown, format!("{target} is down")),
        Verdict::Up => (EventKind::TargetUp, format!("{target} is up")),
        Verdict::Unknown => (EventKind::TargetUnknown, format!("nothing is known of {target} any more")),
    };
    let mut event = Event::new(kind, now.wall, summary);
    event.target = Some(target.clone());
    match verdict {
        Verdict::Down => {
            event.reason = complaint;
            event.since = targets.first_failure(target).map(|m| now.wall_of(m));
        }
        Verdict::Up => event.since = since.map(|m| now.wall_of(m)),
        Verdict::Unknown => event.reason = Some("no probe of it has been counted for three intervals".into()),
    }
    event
}

/// Side of a change: these addresses and whose they are.
pub(super) fn side(policy: &Policy, record: &RecordPolicy, snapshot: &Snapshot) -> Side {
    let addresses: BTreeSet<IpAddr> = snapshot.addresses().into_iter().collect();
    let mut values: Vec<String> = snapshot.addresses().iter().map(ToString::to_string).collect();
    values.extend(snapshot.cname().map(DomainName::to_string));
    Side { targets: owners(policy, record, &addresses), values }
}

pub(super) fn side_of_wish(wish: &Wish) -> Side {
    Side { targets: wish.targets.clone(), values: wish.addresses.iter().map(ToString::to_string).collect() }
}

/// What [`change_completed`] tells.
pub(super) struct Telling<'a> {
    pub(super) now: &'a Now,
    pub(super) policy: &'a Policy,
    pub(super) record: &'a RecordPolicy,
    pub(super) targets: &'a Targets,
    pub(super) sight: &'a Sight,
    pub(super) snapshot: &'a Snapshot,
    pub(super) wish: &'a Wish,
    pub(super) failback_asked: bool,
    pub(super) incident: Option<String>,
}

impl Telling<'_> {
    fn names(&self) -> String {
        self.wish.targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" + ")
    }

    fn fallen(&self, before: &Side) -> Vec<TargetId> {
        let down = |t: &&TargetId| self.targets.target(t, self.policy, self.sight) == Verdict::Down;
        before.targets.iter().filter(down).cloned().collect()
    }

    /// The event of the finished change; that of its beginning is the same with another kind and tense.
    pub(super) fn completed(&self) -> Event {
        let before = side(self.policy, self.record, self.snapshot);
        let name = &self.record.name;
        let fallen = self.fallen(&before);
        let summary = match self.wish.motive {
            Motive::Failover => format!("{name} now points at {}: failover", self.names()),
            Motive::Failback => format!("{name} is back at {}: failback", self.names()),
            Motive::Stay if self.snapshot.is_missing() => {
                format!("{name} was created and points at {}", self.names())
            }
            Motive::Stay => format!("{name} was corrected and points at {}", self.names()),
        };
        let mut event = Event::new(kinds(self.wish.motive)[1], self.now.wall, summary);
        event.record = Some(name.clone());
        event.incident.clone_from(&self.incident);
        (event.reason, event.since) = self.reason(&before, &fallen);
        event.target = fallen.first().cloned();
        if self.wish.motive == Motive::Stay && !fallen.is_empty() {
            event.severity = Severity::Warning;
        }
        event.before = Some(before);
        event.after = Some(side_of_wish(self.wish));
        event.next = Some(self.next());
        event
    }

    fn reason(&self, before: &Side, fallen: &[TargetId]) -> (Option<String>, Option<jiff::Timestamp>) {
        if let Some(target) = fallen.first() {
            let what = self.targets.complaint(target).unwrap_or_else(|| "it fails its checks".into());
            let since = self.targets.first_failure(target).map(|m| self.now.wall_of(m));
            return (Some(format!("{target} is down: {what}")), since);
        }
        if self.wish.motive == Motive::Failback {
            let Some(target) = self.wish.targets.first() else { return (None, None) };
            let since = self.targets.since(target, self.policy, self.sight);
            let held =
                since.map_or_else(String::new, |s| format!(" for {}", human(self.now.moment.since(s))));
            let asked = if self.failback_asked { "; a person asked for the failback" } else { "" };
            return (Some(format!("{target} has been up{held}{asked}")), since.map(|m| self.now.wall_of(m)));
        }
        if self.snapshot.is_missing() {
            return (Some("the record did not exist".into()), None);
        }
        let ttls: Vec<String> = self.snapshot.sets.values().map(|set| set.ttl.to_string()).collect();
        (Some(format!("the record held {before} with TTL {}", ttls.join(" and "))), None)
    }

    fn next(&self) -> String {
        let tier = self.wish.targets.iter().filter_map(|t| self.record.tier_of(t)).min().unwrap_or(0);
        if tier == 0 {
            return "watching; nothing to do".into();
        }
        let better =
            self.record.tiers[..tier].iter().flatten().map(TargetId::as_str).collect::<Vec<_>>().join(" or ");
        match self.record.failback {
            super::FailbackMode::Auto => format!(
                "when {better} has been up for {}, {} goes back to it by itself",
                human(self.record.failback_after),
                self.record.name
            ),
            super::FailbackMode::Manual => {
                format!("when {better} is well again, run `failover failback {}`", self.record.name)
            }
        }
    }
}

/// A change about to be written, told before the effect.
pub(super) fn started(completed: &Event, motive: Motive, now: &Now) -> Event {
    let mut event = completed.clone();
    event.kind = kinds(motive)[0];
    event.severity = event.kind.severity();
    event.time = now.wall;
    let name = event.record.as_ref().map(DomainName::to_string).unwrap_or_default();
    let to = event.after.as_ref().map(Side::to_string).unwrap_or_default();
    event.summary = format!("about to change {name} to {to}");
    event.next = None;
    event
}

/// A change that could not be written.
pub(super) fn failed(completed: &Event, motive: Motive, now: &Now, why: &str, helps: bool) -> Event {
    let mut event = completed.clone();
    event.kind = kinds(motive)[2];
    event.severity = event.kind.severity();
    event.time = now.wall;
    let name = event.record.as_ref().map(DomainName::to_string).unwrap_or_default();
    let to = event.after.as_ref().map(Side::to_string).unwrap_or_default();
    event.summary = format!("{name} could not be changed to {to}: {why}");
    event.effective_by = None;
    event.next = Some(
        if helps {
            "the agent goes on trying"
        } else {
            "the agent looks again every 30 s; a person must put it right"
        }
        .into(),
    );
    event
}

/// How long a cache may hold what a name holds now, once it is replaced.
pub(super) fn cached_for(old: &Snapshot) -> Option<Duration> {
    old.longest_ttl().map(|ttl| Duration::from_secs(ttl.seconds().into()))
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
        format!("a change of {} was withheld: {}", record.name, refusal.text),
    );
    event.record = Some(record.name.clone());
    event.before = Some(before);
    event.after = Some(side_of_wish(wish));
    event.guard = Some(refusal.guard.as_str().into());
    event.remedy = Some(refusal.remedy.clone());
    if refusal.until.is_some() {
        event.severity = Severity::Info;
    }
    event
}

pub(super) fn all_down(now: &Now, record: &RecordPolicy, targets: &Targets, current: Side) -> Event {
    let mut event = Event::new(
        EventKind::AllDown,
        now.wall,
        format!("every target of {} is down; the record stays at {current}", record.name),
    );
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

pub(super) fn drift(now: &Now, record: &RecordPolicy, found: &Side, expected: &str, next: &str) -> Event {
    let mut event = Event::new(
        EventKind::DriftDetected,
        now.wall,
        format!("{} was changed by somebody else: it holds {found}, expected {expected}", record.name),
    );
    event.record = Some(record.name.clone());
    event.after = Some(found.clone());
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
    event
}
