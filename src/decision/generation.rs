//! What may be built on a marker, and what it proves of a write.

use jiff::Timestamp;
use providers::DomainName;

use super::marker::{GENERATIONS, VERSION};
use super::{Guard, Marker, MarkerSeen, Moment, Refusal};

/// What is remembered of the last marker that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMarker {
    /// Its generation.
    pub generation: u64,
    /// Who wrote it.
    pub writer: String,
    /// When, as the writer's clock has it.
    pub written: Timestamp,
    /// `hold_down` counts from here: no later change is older than this, whatever any clock says.
    pub changed: Moment,
}

/// What became of a write that carried a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was made.
    Made,
    /// It has not been made; it may still come.
    NotYet,
    /// It has not been made and cannot be any more: another change has its generation.
    Never,
    /// Later changes hide it: it may have been made.
    Hidden,
    /// The marker does not say.
    Unsaid,
}

/// The generation that the next change has, if it may be built on what was found.
///
/// # Errors
/// What is wrong with the marker, and what a person can do.
pub fn next_generation(
    name: &DomainName,
    seen: &MarkerSeen,
    known: Option<&KnownMarker>,
) -> Result<u64, Refusal> {
    let at = name.marker().map_or_else(|| "its marker".to_owned(), |marker| marker.to_string());
    let refusal = |guard, text: String, remedy: String| Refusal { guard, text, remedy, until: None };
    let look = format!("look at it with `dig +short TXT {at}`");
    let delete = format!("{look}; if nothing needs it, delete that TXT: the next change writes it anew");
    match seen {
        MarkerSeen::Absent => Ok(known.map_or(0, |known| known.generation) + 1),
        MarkerSeen::Known(marker) => match known {
            Some(known) if is_behind(marker, known) => Err(refusal(
                Guard::StaleGeneration,
                format!(
                    "the marker {at} shows generation {} by {}, and generation {} by {} was seen before: the provider's \
                     reader is late, or the zone was put back from a backup",
                    marker.generation(),
                    marker.writer(),
                    known.generation,
                    known.writer
                ),
                format!("{look}; if the zone is right as it is, run `failover ack {name}`"),
            )),
            _ if marker.generation() + 1 >= GENERATIONS => Err(refusal(
                Guard::StaleGeneration,
                format!("the marker {at} has generation {}, the last one there is", marker.generation()),
                delete,
            )),
            _ => Ok(marker.generation() + 1),
        },
        MarkerSeen::Newer(version) => Err(refusal(
            Guard::StaleGeneration,
            format!("the marker {at} has version {version}, and this agent knows version {VERSION}"),
            format!("upgrade this agent; {look}"),
        )),
        MarkerSeen::Foreign(text) => Err(refusal(
            Guard::Foreign,
            format!("the marker's name {at} holds a text of somebody else: \"{text}\""),
            delete,
        )),
        MarkerSeen::Several(count) => Err(refusal(
            Guard::Foreign,
            format!("the marker's name {at} holds {count} TXT records, and a marker is one"),
            format!("{look}; delete those that are none of failover's, or all of them"),
        )),
        MarkerSeen::Unreadable(why) => {
            Err(refusal(Guard::Foreign, format!("the marker {at} cannot be read: {why}"), delete))
        }
    }
}

/// Older than what was seen before, or of another history: the same generation, written by somebody else or another time.
fn is_behind(marker: &Marker, known: &KnownMarker) -> bool {
    marker.generation() < known.generation
        || (marker.generation() == known.generation
            && (marker.writer() != known.writer || marker.changed() != known.written))
}

/// What became of a write that was to put `ours` there, by what is there now. `same_values`: the record holds what was
/// written with it.
pub fn fate(ours: &Marker, seen: &MarkerSeen, same_values: bool) -> Fate {
    let Some(found) = seen.known() else { return Fate::Unsaid };
    if found.generation() < ours.generation() {
        return Fate::NotYet;
    }
    if found.generation() > ours.generation() {
        return Fate::Hidden;
    }
    // Another attempt of the same change has another time.
    if found == ours || (found.writer() == ours.writer() && same_values) { Fate::Made } else { Fate::Never }
}

#[cfg(test)]
mod tests {
    use providers::{NonEmpty, RecordSet, Ttl, Values};

    use super::super::fixture::at;
    use super::*;

    fn seen(texts: &[&str]) -> MarkerSeen {
        let texts = NonEmpty::new(texts.iter().map(|text| (*text).to_owned())).unwrap();
        MarkerSeen::parse(Some(&RecordSet::new(Ttl(60), Values::Txt(texts))))
    }

    fn marker_at(generation: u64, writer: &str, changed: Timestamp) -> Marker {
        Marker::new(generation, writer, changed, &["montreal".into()], 1000).unwrap()
    }

    fn marker(generation: u64, writer: &str) -> Marker {
        marker_at(generation, writer, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_next_generation_or_why_there_is_none() {
        let www: DomainName = "www.example.com".parse().unwrap();
        let known = |generation, writer: &str| KnownMarker {
            generation,
            writer: writer.into(),
            written: marker(1, "a").changed(),
            changed: at(0),
        };
        let next =
            |found: &MarkerSeen, known: Option<KnownMarker>| next_generation(&www, found, known.as_ref());
        let of = |generation, writer| MarkerSeen::Known(marker(generation, writer));
        assert_eq!(next(&MarkerSeen::Absent, None), Ok(1));
        assert_eq!(next(&MarkerSeen::Absent, Some(known(7, "a"))), Ok(8), "it was deleted");
        assert_eq!(next(&of(7, "a"), None), Ok(8));
        assert_eq!(next(&of(9, "b"), Some(known(7, "a"))), Ok(10));
        assert_eq!(next(&of(7, "a"), Some(known(7, "a"))), Ok(8));
        let refused = [
            (of(6, "a"), Some(known(7, "a")), Guard::StaleGeneration, "failover ack www.example.com"),
            (of(7, "b"), Some(known(7, "a")), Guard::StaleGeneration, "failover ack www.example.com"),
            (of(GENERATIONS - 1, "a"), None, Guard::StaleGeneration, "delete that TXT"),
            (MarkerSeen::Newer(2), None, Guard::StaleGeneration, "upgrade this agent"),
            (seen(&["v=spf1 -all"]), None, Guard::Foreign, "delete that TXT"),
            (seen(&["a", "b"]), None, Guard::Foreign, "delete those"),
            (seen(&["v=failover1"]), None, Guard::Foreign, "delete that TXT"),
        ];
        for (found, known, guard, remedy) in refused {
            let refusal = next(&found, known).unwrap_err();
            assert_eq!(refusal.guard, guard, "{refusal:?}");
            assert!(refusal.remedy.contains(remedy), "{refusal:?}");
            assert!(refusal.remedy.contains("dig +short TXT _failover.www.example.com"), "{refusal:?}");
        }
    }

    #[test]
    fn the_fate_of_a_write() {
        let ours = marker(7, "us");
        let of = |generation, writer| MarkerSeen::Known(marker(generation, writer));
        let later = marker_at(7, "us", Timestamp::from_second(1).unwrap());
        assert_eq!(
            fate(&ours, &of(7, "us"), false),
            Fate::Made,
            "even if a person has changed the values since"
        );
        assert_eq!(fate(&ours, &MarkerSeen::Known(later.clone()), true), Fate::Made, "another attempt of it");
        assert_eq!(fate(&ours, &MarkerSeen::Known(later), false), Fate::Never, "another change of ours");
        assert_eq!(fate(&ours, &of(6, "peer"), true), Fate::NotYet);
        assert_eq!(fate(&ours, &of(7, "peer"), true), Fate::Never);
        assert_eq!(fate(&ours, &of(8, "peer"), true), Fate::Hidden);
        assert_eq!(fate(&ours, &MarkerSeen::Absent, true), Fate::Unsaid);
    }
}
