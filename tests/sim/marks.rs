//! Markers, as the court reads them, and as a person spoils them.

use failover::decision::{Coordination, MarkerSeen};
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};

use crate::cast::Sets;
use crate::changes::Applying;
use crate::court::Court;
use crate::provider::words;
use crate::world::{World, note};

/// How a person, or another program, spoils a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    /// Somebody else's text stands there.
    Foreign,
    /// A second text beside it.
    Several,
    /// A version that nobody knows yet.
    Newer,
    /// Its end is cut off.
    Damaged,
    /// The one before it, as from a backup.
    Older,
    /// One that is some generations ahead; it is left there.
    Ahead,
    /// Deleted.
    Gone,
}

/// What stands at a marker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    Marker {
        generation: u64,
    },
    /// Nothing may be written beside it.
    Spoilt,
}

/// Read without the program's own parser: one text of version 1 with a generation, and everything else in place.
pub(crate) fn standing(set: Option<&RecordSet>) -> Standing {
    let Some(set) = set else { return Standing::Nothing };
    let texts = set.values.to_strings();
    let [text] = texts.as_slice() else { return Standing::Spoilt };
    let text = text.trim_matches('"');
    let fields: Vec<&str> = text.split("; ").collect();
    let [version, generation, writer, changed, penalty, targets] = fields.as_slice() else {
        return Standing::Spoilt;
    };
    let whole = *version == "v=failover1"
        && writer.starts_with("writer=agent-")
        && changed.starts_with("changed=2026-")
        && changed.ends_with('Z')
        && penalty.strip_prefix("penalty=").is_some_and(|number| number.parse::<u32>().is_ok())
        && targets.starts_with("targets=")
        && text.len() <= 255;
    match generation.strip_prefix("generation=").and_then(|number| number.parse().ok()) {
        Some(generation) if whole => Standing::Marker { generation },
        _ => Standing::Spoilt,
    }
}

fn one(ttl: Ttl, text: String) -> RecordSet {
    RecordSet::new(ttl, Values::Txt(NonEmpty::one(text)))
}

/// What stands there then; `None` where there is nothing to spoil in this way.
fn spoilt(how: Spoil, held: Option<&RecordSet>, before: Option<&RecordSet>) -> Option<Sets> {
    let ttl = held.map_or(Ttl(60), |set| set.ttl);
    let text = |set: &RecordSet| match &set.values {
        Values::Txt(texts) => texts.iter().next().cloned(),
        _ => None,
    };
    let found = held.and_then(text);
    let left = match how {
        Spoil::Foreign => Some(one(ttl, "v=spf1 -all".into())),
        Spoil::Newer => Some(one(ttl, "v=failover2; g=1".into())),
        Spoil::Several => {
            let texts = [found.unwrap_or_else(|| "one".into()), "google-site-verification=x".into()];
            Some(RecordSet::new(ttl, Values::Txt(NonEmpty::new(texts)?)))
        }
        Spoil::Damaged => Some(one(ttl, found?.split("; penalty").next()?.to_owned())),
        Spoil::Older => before.cloned(),
        Spoil::Ahead => {
            let Standing::Marker { generation } = standing(held) else { return None };
            let (old, new) = (format!("generation={generation};"), format!("generation={};", generation + 7));
            Some(one(ttl, found?.replace(&old, &new)))
        }
        Spoil::Gone => return held.map(|_| Sets::new()),
    };
    left.filter(|new| Some(new) != held).map(|new| Sets::from([(RecordType::Txt, new)]))
}

impl World {
    pub(crate) fn spoil_marker(&mut self, record: &DomainName, how: Spoil) {
        let vendor = self.setup.vendor_of(record);
        let Some(beside) = record.marker() else { return };
        let held = self.providers[vendor].marker_now(record).cloned();
        if standing(held.as_ref()) == Standing::Spoilt || self.spoilt.contains_key(record) {
            return;
        }
        let before = self.providers[vendor].marker_before(record).cloned();
        let Some(sets) = spoilt(how, held.as_ref(), before.as_ref()) else { return };
        note!(self, "a person makes the marker of {record} {}", words(&sets));
        // What is deleted hides the last change from who has not seen it, as an older one does.
        self.court.marker_edited(record, self.now, matches!(how, Spoil::Older | Spoil::Gone));
        self.providers[vendor].put(&beside, sets.clone(), self.now);
        if how != Spoil::Ahead {
            self.spoilt.insert(record.clone(), (held, sets));
        }
    }

    /// What was there before is put back, if nobody has changed it since.
    pub(crate) fn mend_marker(&mut self, record: &DomainName) {
        let Some((held, sets)) = self.spoilt.remove(record) else { return };
        let vendor = self.setup.vendor_of(record);
        let Some(beside) = record.marker() else { return };
        if self.providers[vendor].marker_now(record) != sets.get(&RecordType::Txt) {
            return;
        }
        note!(self, "a person puts the marker of {record} back");
        self.court.marker_edited(record, self.now, false);
        let sets = held.into_iter().map(|set| (RecordType::Txt, set)).collect();
        self.providers[vendor].put(&beside, sets, self.now);
    }
}

impl Court {
    /// Each change carries the next generation, beside a marker that can be followed.
    pub(crate) fn next_marker(&mut self, write: &Applying<'_>) {
        let name = write.work.swap.name();
        let writer = format!("agent-{}", write.agent);
        let before = standing(write.marker_before);
        if before == Standing::Spoilt {
            self.accuse("marker", format!("{name} was changed beside a marker that nobody can follow"));
        }
        if write.marker_after == write.marker_before {
            return self.accuse("chain", format!("{name} was changed without a new generation"));
        }
        let Standing::Marker { generation } = standing(write.marker_after) else {
            let text = format!("the change of {name} has {:?} for a marker", write.marker_after);
            return self.accuse("marker", text);
        };
        let seen = MarkerSeen::parse(write.marker_after);
        if seen.known().is_none_or(|marker| marker.generation() != generation || marker.writer() != writer) {
            self.accuse("marker", format!("the marker that {writer} wrote beside {name} says {seen:?}"));
        }
        if let Standing::Marker { generation: last } = before
            && generation != last + 1
        {
            self.accuse("chain", format!("{name} went from generation {last} to {generation}"));
        }
    }
}

/// Records that have a marker.
pub(crate) fn marked(setup: &crate::cast::Setup) -> Vec<DomainName> {
    let zone = setup.policy.records.values().filter(|record| record.coordination == Coordination::Zone);
    zone.map(|record| record.name.clone()).collect()
}
