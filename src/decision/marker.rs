//! The marker beside a record: the text of one TXT. `generation.rs` has what may be built on it, `docs/coordination.md` the
//! format.
//!
//! ```text
//! v=failover1; generation=42; writer=toronto-1; changed=2026-11-22T09:30:00.123456Z; penalty=1000; targets=montreal
//! ```
//!
//! | key | value |
//! |---|---|
//! | `v` | `failover` and the version, always first |
//! | `generation` | 1 for the first change, one more with each; below 10^15, without leading zeros |
//! | `writer` | `agent.id`: 1 to 64 of `A-Z a-z 0-9 . _ -` |
//! | `changed` | when the writer decided it, by its own clock, RFC 3339 in UTC |
//! | `penalty` | the flap penalty right after this change |
//! | `targets` | the targets published, by comma, at most 71 characters; `+3` at the end for those that are left out |
//!
//! Other keys of version 1 are read over and not carried into the next marker. The form fits 255 octets, one string of a
//! TXT record (RFC 1035 section 3.3), whatever the values.

use jiff::Timestamp;
use providers::{NonEmpty, RecordSet, Ttl, Values};

use super::TargetId;

/// The version of this form.
pub(super) const VERSION: u32 = 1;
/// What the text of every version begins with.
const START: &str = "v=failover";
/// Generations are below this: fifteen digits, a change a second for thirty million years.
pub(super) const GENERATIONS: u64 = 1_000_000_000_000_000;
/// Characters for the name of the writer, and of a target.
const MAX_NAME: usize = 64;
/// Characters for the list of targets.
const MAX_TARGETS: usize = 71;
/// The longest string of a TXT record, octets (RFC 1035 section 3.3).
const MAX_TEXT: usize = 255;
/// Characters of a stranger's text that are repeated.
const SHOWN: usize = 80;

/// What a marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    generation: u64,
    writer: String,
    changed: Timestamp,
    targets: Vec<TargetId>,
    /// Targets that the list has no room for.
    omitted: usize,
    penalty: u32,
}

/// What was found at a marker's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkerSeen {
    /// Nothing.
    Absent,
    /// A marker of our version.
    Known(Marker),
    /// A marker of this newer version.
    Newer(u32),
    /// Somebody else's text.
    Foreign(String),
    /// So many TXT records.
    Several(usize),
    /// A marker that is damaged, and how.
    Unreadable(String),
}

impl Marker {
    /// A marker; `None` when the writer has no name that fits, or the generation is 0 or 10^15 and more. Targets that do not
    /// fit, or whose names are not plain ASCII, are counted instead of listed.
    pub fn new(
        generation: u64,
        writer: &str,
        changed: Timestamp,
        targets: &[TargetId],
        penalty: u32,
    ) -> Option<Marker> {
        if !is_writer(writer) || generation == 0 || generation >= GENERATIONS {
            return None;
        }
        let changed = Timestamp::from_microsecond(changed.as_microsecond()).unwrap_or_default();
        let changed = changed.max(Timestamp::UNIX_EPOCH);
        // `,+` and a count below 10^6, should the rest not fit.
        let room = MAX_TARGETS - 8;
        let mut length = 0;
        let mut listed = Vec::new();
        for target in targets.iter().filter(|target| is_plain(target.as_str())) {
            if length + target.as_str().len() >= room {
                break;
            }
            length += target.as_str().len() + 1;
            listed.push(target.clone());
        }
        let omitted = (targets.len() - listed.len()).min(999_999);
        Some(Marker { generation, writer: writer.to_owned(), changed, targets: listed, omitted, penalty })
    }

    /// Its number: one more with each change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The agent that wrote it.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// When that agent decided the change, by its own clock.
    pub fn changed(&self) -> Timestamp {
        self.changed
    }

    /// The targets published by the change, as far as there was room.
    pub fn targets(&self) -> &[TargetId] {
        &self.targets
    }

    /// How many more there were.
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The flap penalty right after the change.
    pub fn penalty(&self) -> u32 {
        self.penalty
    }

    /// The text, at most 255 octets of printable ASCII.
    pub fn text(&self) -> String {
        let mut targets: Vec<String> = self.targets.iter().map(ToString::to_string).collect();
        if self.omitted > 0 {
            targets.push(format!("+{}", self.omitted));
        }
        format!(
            "{START}{VERSION}; generation={}; writer={}; changed={}; penalty={}; targets={}",
            self.generation,
            self.writer,
            self.changed.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            self.penalty,
            targets.join(",")
        )
    }

    /// The record set to write at the marker's name.
    pub fn record_set(&self, ttl: Ttl) -> RecordSet {
        RecordSet::new(ttl, Values::Txt(NonEmpty::one(self.text())))
    }
}

/// May an agent of this name write markers? 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn is_writer(name: &str) -> bool {
    is_plain(name)
}

fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fits)
}

impl MarkerSeen {
    /// Reads what stands at a marker's name. Never fails: what it cannot follow it names.
    pub fn parse(found: Option<&RecordSet>) -> MarkerSeen {
        let Some(set) = found else { return MarkerSeen::Absent };
        let Values::Txt(texts) = &set.values else {
            return MarkerSeen::Unreadable(format!("it is of type {}", set.record_type()));
        };
        let mut all = texts.iter();
        match (all.next(), all.next()) {
            (Some(text), None) => parse_text(text),
            _ => MarkerSeen::Several(texts.as_set().len()),
        }
    }

    /// The marker, if it can be followed.
    pub fn known(&self) -> Option<&Marker> {
        match self {
            MarkerSeen::Known(marker) => Some(marker),
            _ => None,
        }
    }
}

fn parse_text(text: &str) -> MarkerSeen {
    let mut fields = text.split(';').map(str::trim);
    let version = fields.next().and_then(|first| first.strip_prefix(START));
    let Some(version) = version else { return MarkerSeen::Foreign(shown(text)) };
    match number::<u32>(version) {
        Some(VERSION) => match version_1(text, fields) {
            Ok(marker) => MarkerSeen::Known(marker),
            Err(why) => MarkerSeen::Unreadable(why),
        },
        Some(newer) if newer > VERSION => MarkerSeen::Newer(newer),
        _ => MarkerSeen::Unreadable(format!("`{}` is no version", shown(version))),
    }
}

fn version_1<'a>(text: &str, fields: impl Iterator<Item = &'a str>) -> Result<Marker, String> {
    const KEYS: [&str; 5] = ["generation", "writer", "changed", "penalty", "targets"];
    if text.len() > MAX_TEXT || !text.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')) {
        return Err("it is longer than 255 octets, or has characters that no marker has".into());
    }
    let mut found = [None; KEYS.len()];
    for field in fields {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("`{}` has no `=`", shown(field)))?;
        // What is not known was added later, and may be left out.
        let Some(at) = KEYS.iter().position(|known| *known == key) else { continue };
        if found[at].replace(value).is_some() {
            return Err(format!("`{key}` occurs twice"));
        }
    }
    let value = |at: usize| found[at].ok_or_else(|| format!("`{}` is missing", KEYS[at]));
    let bad = |at: usize, value: &str| format!("`{}={}` cannot be read", KEYS[at], shown(value));
    let generation = value(0)?;
    let number_of = number::<u64>(generation).ok_or_else(|| bad(0, generation))?;
    let writer = value(1)?;
    let changed = time(value(2)?).ok_or_else(|| bad(2, value(2).unwrap_or_default()))?;
    let penalty = number::<u32>(value(3)?).ok_or_else(|| bad(3, value(3).unwrap_or_default()))?;
    let (targets, omitted) = targets(value(4)?).ok_or_else(|| bad(4, value(4).unwrap_or_default()))?;
    let marker = Marker::new(number_of, writer, changed, &targets, penalty)
        .ok_or_else(|| format!("`generation={}` or `writer={}` is out of range", number_of, shown(writer)))?;
    if marker.omitted > 0 {
        return Err(bad(4, value(4)?));
    }
    Ok(Marker { omitted, ..marker })
}

/// A number as it is printed: digits, without a sign or leading zeros.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

fn time(text: &str) -> Option<Timestamp> {
    let shape = text.len() == 27 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
    text.parse().ok().filter(|time| shape && *time >= Timestamp::UNIX_EPOCH)
}

/// `a,b,+3`, or nothing at all.
fn targets(text: &str) -> Option<(Vec<TargetId>, usize)> {
    let mut listed: Vec<&str> = text.split(',').collect();
    let omitted = match listed.last().and_then(|last| last.strip_prefix('+')) {
        Some(count) => {
            listed.pop();
            number::<usize>(count).filter(|count| (1..=999_999).contains(count))?
        }
        None => 0,
    };
    if listed == [""] && omitted == 0 {
        listed.clear();
    }
    listed
        .iter()
        .all(|name| is_plain(name))
        .then(|| (listed.into_iter().map(TargetId::from).collect(), omitted))
}

fn shown(text: &str) -> String {
    let clean: String = text.chars().take(SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().count() > SHOWN { format!("{clean}...") } else { clean }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "v=failover1; generation=42; writer=toronto-1; changed=2026-11-22T09:30:00.123456Z; penalty=1000; \
                        targets=montreal";

    fn seen(texts: &[&str]) -> MarkerSeen {
        let texts = NonEmpty::new(texts.iter().map(|text| (*text).to_owned())).unwrap();
        MarkerSeen::parse(Some(&RecordSet::new(Ttl(60), Values::Txt(texts))))
    }

    fn marker(generation: u64, writer: &str) -> Marker {
        let changed = "2026-11-22T09:30:00.123456Z".parse().unwrap();
        Marker::new(generation, writer, changed, &["montreal".into()], 1000).unwrap()
    }

    #[test]
    fn the_form() {
        assert_eq!(marker(42, "toronto-1").text(), TEXT);
        assert_eq!(seen(&[TEXT]), MarkerSeen::Known(marker(42, "toronto-1")));
        assert_eq!(MarkerSeen::parse(None), MarkerSeen::Absent);
    }

    #[test]
    fn a_long_list_is_cut_and_counted_and_what_is_not_ascii_is_left_out() {
        let many: Vec<TargetId> = (0..40).map(|n| format!("target-{n:02}").into()).collect();
        let marker = Marker::new(1, "a", Timestamp::UNIX_EPOCH, &many, 0).unwrap();
        assert!(
            marker
                .text()
                .ends_with("targets=target-00,target-01,target-02,target-03,target-04,target-05,+34")
        );
        let odd =
            Marker::new(1, "a", Timestamp::UNIX_EPOCH, &["m\u{fc}nchen".into(), "b".into()], 0).unwrap();
        assert!(odd.text().ends_with("targets=b,+1"), "{}", odd.text());
        assert_eq!(seen(&[&odd.text()]), MarkerSeen::Known(odd));
    }

    #[test]
    fn the_longest_fits() {
        let (longest, names) = ("w".repeat(64), ["t".repeat(50), "u".repeat(64)].map(TargetId::from));
        let marker = Marker::new(GENERATIONS - 1, &longest, Timestamp::MAX, &names, u32::MAX).unwrap();
        assert!(marker.text().len() <= MAX_TEXT, "{}", marker.text().len());
        assert_eq!(seen(&[&marker.text()]), MarkerSeen::Known(marker));
    }

    #[test]
    fn who_may_not_write() {
        let long = "w".repeat(65);
        for writer in ["", "two words", "a;b", "caf\u{e9}", &long] {
            assert_eq!(Marker::new(1, writer, Timestamp::UNIX_EPOCH, &[], 0), None, "{writer}");
        }
        for generation in [0, GENERATIONS] {
            assert_eq!(Marker::new(generation, "a", Timestamp::UNIX_EPOCH, &[], 0), None);
        }
    }

    #[test]
    fn what_version_1_does_not_know_is_read_over() {
        assert_eq!(seen(&[&format!("{TEXT}; quorum=3")]), MarkerSeen::Known(marker(42, "toronto-1")));
    }

    /// Its text is one string of a TXT record.
    #[test]
    fn a_marker_has_255_octets_at_most_as_it_stands_there_and_as_it_would_be_written() {
        let padded = |length: usize| format!("{TEXT}; note={}", "x".repeat(length - TEXT.len() - 7));
        assert_eq!(seen(&[&padded(255)]), MarkerSeen::Known(marker(42, "toronto-1")));
        for length in [256, 300] {
            assert!(matches!(seen(&[&padded(length)]), MarkerSeen::Unreadable(_)), "{length}");
        }
        let names = ["t".repeat(64), "u".repeat(64)].join(",");
        let tight = TEXT.replace("; ", ";").replace("montreal", &names);
        let tight = tight.replace("toronto-1", &"w".repeat(255 - tight.len() + "toronto-1".len()));
        assert_eq!(tight.len(), 255);
        assert!(matches!(seen(&[&tight]), MarkerSeen::Unreadable(_)), "with its blanks it is longer");
    }

    #[test]
    fn what_is_shown_of_a_strange_text_is_cut_and_harmless() {
        let shown = |text: &str| match seen(&[text]) {
            MarkerSeen::Foreign(shown) => shown,
            other => panic!("{other:?}"),
        };
        let (fits, long) = ("x".repeat(SHOWN), "x".repeat(SHOWN + 1));
        assert_eq!((shown(&fits), shown(&long)), (fits.clone(), format!("{fits}...")));
        assert_eq!(shown("a\u{1b}[2J"), "a?[2J");
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let text = |what: &str, with: &str| TEXT.replace(what, with);
        assert_eq!(seen(&[&text("failover1", "failover2")]), MarkerSeen::Newer(2));
        assert_eq!(seen(&["v=spf1 -all"]), MarkerSeen::Foreign("v=spf1 -all".into()));
        assert_eq!(seen(&[""]), MarkerSeen::Foreign(String::new()));
        assert_eq!(seen(&[TEXT, "v=spf1 -all"]), MarkerSeen::Several(2));
        let unreadable = [
            ("failover1", "failover"),
            ("failover1", "failover0"),
            ("failover1", "failover01"),
            ("failover1", "failover99999999999"),
            ("generation=42", "generation=042"),
            ("generation=42", "generation=0"),
            ("generation=42", "generation=-1"),
            ("generation=42", "generation=1000000000000000"),
            ("generation=42", "generation=42; generation=43"),
            ("generation=42; ", ""),
            ("writer=toronto-1", "writer="),
            ("writer=toronto-1", "writer=to ronto"),
            ("writer=toronto-1", "writer"),
            ("2026-11-22T09:30:00.123456Z", "yesterday"),
            ("2026-11-22T09:30:00.123456Z", "1926-11-22T09:30:00.123456Z"),
            ("2026-11-22T09:30:00.123456Z", "2026-11-22 09:30:00.123456Z"),
            ("penalty=1000", "penalty=5000000000"),
            ("targets=montreal", "targets=mont real"),
            ("targets=montreal", "targets=+0"),
            ("targets=montreal", "targets=,"),
            ("generation=42", "generation=+42"),
            ("2026-11-22T09:30:00.123456Z", "2026-11-22T09:30:00Z"),
            ("2026-11-22T09:30:00.123456Z", "2026-11-22T09:30:00.1234+00"),
            ("targets=montreal", "targets=montreal; note=\"a\""),
            ("targets=montreal", "targets=montreal; note=a\\b"),
        ];
        for (what, with) in unreadable {
            let found = seen(&[&text(what, with)]);
            assert!(matches!(found, MarkerSeen::Unreadable(_)), "{with}: {found:?}");
        }
        let quoted = "\"v=failover1\" \"generation=1\"";
        assert!(matches!(seen(&[quoted]), MarkerSeen::Foreign(_)), "two strings in one record");
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(
            generation in 1..GENERATIONS,
            writer in "[A-Za-z0-9._-]{1,64}",
            micros in 0..253_000_000_000_000_000_i64,
            targets in prop::collection::vec("[a-z\u{e9}.-]{1,64}", 0..12),
            penalty: u32,
        ) {
            let targets: Vec<TargetId> = targets.into_iter().map(TargetId::from).collect();
            let changed = Timestamp::from_microsecond(micros).unwrap();
            let marker = Marker::new(generation, &writer, changed, &targets, penalty).unwrap();
            prop_assert!(marker.text().len() <= MAX_TEXT);
            prop_assert_eq!(marker.targets.len() + marker.omitted, targets.len());
            prop_assert_eq!(seen(&[&marker.text()]), MarkerSeen::Known(marker));
        }

        #[test]
        fn no_text_is_too_much(text in ".{0,300}", cut in 0..TEXT.len(), junk in ".{0,8}") {
            let _ = seen(&[&text]);
            let _ = seen(&[&format!("v=failover1; {text}")]);
            if let MarkerSeen::Known(marker) = seen(&[&format!("{}{junk}{}", &TEXT[..cut], &TEXT[cut..])]) {
                prop_assert_eq!(seen(&[&marker.text()]), MarkerSeen::Known(marker));
            }
        }
    }
}
