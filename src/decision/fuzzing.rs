//! What may stand at a marker's name: whoever may write the zone may have put it there.

use providers::{NonEmpty, RecordSet, Ttl, Values};

use super::marker::GENERATIONS;
use super::{Fate, KnownMarker, Marker, MarkerSeen, Moment, fate, is_writer, next_generation};

/// TXT records, one a line. A marker that is followed is the same when it is written again, in one string; the next change
/// has a later generation; what is not followed is told with a reason that is short and on one line, and a remedy.
pub(crate) fn marker(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts = NonEmpty::new(text.split('\n').map(str::to_owned)).expect("one at least");
    let seen = MarkerSeen::parse(Some(&RecordSet::new(Ttl(60), Values::Txt(texts))));
    let name = "www.example.test".parse().expect("a name");
    match next_generation(&name, &seen, None) {
        Ok(next) => {
            let marker = seen.known().expect("what is built on was read");
            assert!(marker.generation() > 0 && marker.generation() < next && next < GENERATIONS);
        }
        Err(refusal) => {
            let remedy = refusal.remedy.clone();
            assert!(!remedy.is_empty() && refusal.text.len() + remedy.len() < 2048, "{refusal:?}");
            assert!(!refusal.text.contains(char::is_control), "{refusal:?}");
        }
    }
    if let Some(marker) = seen.known() {
        followed(marker, &seen);
    }
}

fn followed(marker: &Marker, seen: &MarkerSeen) {
    let text = marker.text();
    assert!(text.len() <= 255 && text.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{text}");
    assert_eq!(MarkerSeen::parse(Some(&marker.record_set(Ttl(60)))), *seen, "{text}");
    assert!(is_writer(marker.writer()));
    assert_eq!(fate(marker, seen, false), Fate::Made, "{text}");
    let name = "www.example.test".parse().expect("a name");
    let mut known = KnownMarker {
        generation: marker.generation(),
        writer: marker.writer().to_owned(),
        written: marker.changed(),
        changed: Moment::ZERO,
    };
    let alone = next_generation(&name, seen, None);
    assert_eq!(next_generation(&name, seen, Some(&known)), alone, "what was seen before is no news");
    known.generation += 1;
    assert!(next_generation(&name, seen, Some(&known)).is_err(), "an older one than was seen");
}
