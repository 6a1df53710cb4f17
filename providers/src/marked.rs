//! Names and their markers, read as one picture.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Crowd, DomainName, Fault, ReadProvider, RecordSet, RecordType, Snapshot, Zone};

/// How often a picture is taken again that changed while it was taken.
const TRIES: u32 = 3;

/// What these names hold, as [`ReadProvider::read`]; for those in `marked` with the text at their markers.
///
/// A provider answers one question after the other, and a change can fall between two. Whoever then sees the old values
/// beside the new marker takes them for what the change made. So the markers are read before the names and once more after
/// them, until both say the same: between two equal markers no change was made that carries one.
///
/// # Errors
/// As [`ReadProvider::read`]; [`Fault::Unavailable`] when the markers changed each time.
pub async fn read_with_markers(
    reader: &dyn ReadProvider,
    zone: &Zone,
    names: &[DomainName],
    marked: &BTreeSet<DomainName>,
) -> Result<Vec<Snapshot>, Fault> {
    let wanted = names.iter().filter(|name| marked.contains(*name));
    let markers: Vec<DomainName> = wanted.filter_map(DomainName::marker).collect();
    if markers.is_empty() {
        return reader.read(zone, names).await;
    }
    let mut before = texts(reader, zone, &markers).await?;
    for _ in 0..TRIES {
        let mut snapshots = reader.read(zone, names).await?;
        let after = texts(reader, zone, &markers).await?;
        if after == before {
            for snapshot in snapshots.iter_mut().filter(|snapshot| marked.contains(&snapshot.name)) {
                snapshot.marker = snapshot.name.marker().and_then(|marker| after.get(&marker).cloned());
            }
            return Ok(snapshots);
        }
        before = after;
    }
    Err(Fault::Unavailable(format!("the markers in {} changed each time they were read", zone.name)))
}

/// What these names hold, as [`ReadProvider::read_crowd`]; for those in `marked` with the text at their markers. It is one
/// picture, in which no change can fall between a name and its marker.
///
/// # Errors
/// As [`ReadProvider::read_crowd`].
pub async fn read_crowd_with_markers(
    reader: &dyn ReadProvider,
    zone: &Zone,
    names: &[DomainName],
    marked: &BTreeSet<DomainName>,
) -> Result<Crowd, Fault> {
    let marker_of = |name: &DomainName| if marked.contains(name) { name.marker() } else { None };
    let mut asked = names.to_vec();
    asked.extend(names.iter().filter_map(marker_of));
    let Crowd { snapshots: mut found, why_not } = reader.read_crowd(zone, &asked).await?;
    let markers = found.split_off(names.len().min(found.len()));
    let mut markers = markers.into_iter();
    for (name, found) in names.iter().zip(&mut found) {
        if marker_of(name).is_none() {
            continue;
        }
        let marker = markers.next().flatten();
        *found = found.take().zip(marker).map(|(mut snapshot, mut marker)| {
            snapshot.marker = marker.sets.remove(&RecordType::Txt);
            snapshot
        });
    }
    Ok(Crowd { snapshots: found, why_not })
}

async fn texts(
    reader: &dyn ReadProvider,
    zone: &Zone,
    markers: &[DomainName],
) -> Result<BTreeMap<DomainName, RecordSet>, Fault> {
    let snapshots = reader.read(zone, markers).await?;
    let text = |mut snapshot: Snapshot| Some((snapshot.name, snapshot.sets.remove(&RecordType::Txt)?));
    Ok(snapshots.into_iter().filter_map(text).collect())
}
