//! The zone file: its form, and writes that two processes can race for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, OFlags, access};
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::zone::{Node, StoredSet, ZoneState, Zones, answer_set};
use crate::{DomainName, Fault, Ttl};

/// More than any zone a person keeps by hand.
const MAX_BYTES: u64 = 16 << 20;
/// How often the lock is tried, and how long between: two seconds in all.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The file form, see the [module page](super).
#[derive(serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    zones: Unique<ZoneForm>,
}

#[derive(serde::Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ZoneForm {
    #[serde(default = "first_serial")]
    serial: u32,
    #[serde(default)]
    records: Unique<NodeForm>,
}

fn first_serial() -> u32 {
    1
}

#[derive(serde::Deserialize, Serialize)]
#[serde(try_from = "Vec<SetForm>", into = "Vec<SetForm>")]
#[derive(Clone)]
struct NodeForm(Node);

/// Checked one by one, so that an error points right behind the set and not at the end of the name.
#[derive(serde::Deserialize, Serialize)]
#[serde(try_from = "UncheckedSet")]
struct SetForm {
    ttl: Ttl,
    #[serde(rename = "type")]
    record_type: String,
    values: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedSet {
    ttl: Ttl,
    #[serde(rename = "type")]
    record_type: String,
    values: Vec<String>,
}

impl TryFrom<UncheckedSet> for SetForm {
    type Error = String;

    fn try_from(set: UncheckedSet) -> Result<Self, String> {
        let UncheckedSet { ttl, record_type, values } = set;
        let set = StoredSet { ttl, record_type: record_type.to_ascii_uppercase(), values };
        if set.values.is_empty() {
            return Err(format!("the {} set has no values; remove the whole set", set.record_type));
        }
        if ttl > Ttl::MAX {
            return Err(format!("the TTL {} is above {} (RFC 2181 section 8)", ttl.0, Ttl::MAX.0));
        }
        answer_set(&set)?;
        Ok(SetForm { ttl, record_type: set.record_type, values: set.values })
    }
}

impl TryFrom<Vec<SetForm>> for NodeForm {
    type Error = String;

    fn try_from(sets: Vec<SetForm>) -> Result<Self, String> {
        let stored =
            |set: SetForm| StoredSet { ttl: set.ttl, record_type: set.record_type, values: set.values };
        Node::of(sets.into_iter().map(stored).collect()).map(NodeForm)
    }
}

impl From<NodeForm> for Vec<SetForm> {
    fn from(node: NodeForm) -> Self {
        let form =
            |set: StoredSet| SetForm { ttl: set.ttl, record_type: set.record_type, values: set.values };
        node.0.stored().into_iter().map(form).collect()
    }
}

/// A JSON object by names, in which no name may stand twice, however it is spelt: of two, one would be lost.
#[derive(Serialize)]
#[serde(transparent)]
struct Unique<T>(BTreeMap<DomainName, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Unique(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose keys are domain names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut unique = BTreeMap::new();
                while let Some(name) = map.next_key::<DomainName>()? {
                    match unique.entry(name) {
                        Entry::Occupied(taken) => {
                            return Err(de::Error::custom(format!("{} stands here twice", taken.key())));
                        }
                        Entry::Vacant(free) => drop(free.insert(map.next_value()?)),
                    }
                }
                Ok(Unique(unique))
            }
        }
        deserializer.deserialize_map(Names(PhantomData))
    }
}

/// The zones that a text describes.
///
/// # Errors
/// What is wrong, with line and column where the text itself is.
pub(super) fn parse(text: &str) -> Result<Zones, String> {
    let form: FileForm = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut zones = BTreeMap::new();
    for (apex, ZoneForm { serial, records }) in form.zones.0 {
        let mut state = ZoneState { serial, nodes: BTreeMap::new() };
        for (name, node) in records.0 {
            if !name.is_within(&apex) {
                return Err(format!("{name} is not a name in the zone {apex}"));
            }
            state.put(&name, node.0);
        }
        zones.insert(apex, state);
    }
    Ok(Zones(zones))
}

/// The text that describes the zones.
pub(super) fn print(zones: &Zones) -> String {
    let form = |state: &ZoneState| {
        let records = state.nodes.iter().map(|(name, node)| (name.clone(), NodeForm(node.clone())));
        ZoneForm { serial: state.serial, records: Unique(records.collect()) }
    };
    let zones = zones.0.iter().map(|(apex, state)| (apex.clone(), form(state))).collect();
    let form = FileForm { zones: Unique(zones) };
    serde_json::to_string_pretty(&form).expect("names and strings always have a JSON form") + "\n"
}

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum FileError {
    /// The system says no.
    Io(io::Error),
    /// It is not what it should be.
    Content(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Io(error) => error.fmt(f),
            FileError::Content(why) => f.write_str(why),
        }
    }
}

/// A zone file on a disk.
#[derive(Debug)]
pub(super) struct ZoneFile {
    path: PathBuf,
    /// What is there while there is no file.
    empty: Zones,
}

impl ZoneFile {
    pub(super) fn new(path: &Path, empty: Zones) -> Self {
        ZoneFile { path: path.to_owned(), empty }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says now; needs no lock, because a write replaces the file in one step.
    pub(super) fn load(&self) -> Result<Zones, FileError> {
        let mut text = String::new();
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.empty.clone()),
            Err(error) => return Err(FileError::Io(error)),
        };
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(FileError::Io)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(FileError::Content(format!("larger than {MAX_BYTES} bytes")));
        }
        let zones = parse(&text).map_err(FileError::Content)?;
        Ok(if zones.0.is_empty() { self.empty.clone() } else { zones })
    }

    /// Reads, changes and writes under the lock. `change` gives `None` when there is nothing to write;
    /// `written` is called under the lock once the file is in place.
    pub(super) fn update(
        &self,
        change: impl FnOnce(&Zones) -> Result<Option<Zones>, Fault>,
        written: impl FnOnce(&Zones, &Zones),
    ) -> Result<Zones, Fault> {
        let _lock = self.lock()?;
        let now = self.load().map_err(|error| self.fault(&error))?;
        let Some(next) = change(&now)? else { return Ok(now) };
        let cannot = |error| Fault::Unavailable(format!("cannot write {}: {error}", self.path.display()));
        self.replace(&print(&next)).map_err(cannot)?;
        written(&now, &next);
        Ok(next)
    }

    /// Could the file be replaced? Nothing is opened for writing.
    pub(super) fn may_replace(&self) -> Result<(), Fault> {
        let (lock, new) = (self.beside(".lock"), self.beside(".new"));
        let folder = new.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let existing = [&lock, &new].into_iter().filter(|path| path.exists()).map(PathBuf::as_path);
        for path in std::iter::once(folder).chain(existing) {
            access(path, Access::WRITE_OK).map_err(|error| {
                Fault::Unavailable(format!("{} cannot be written: {error}", path.display()))
            })?;
        }
        Ok(())
    }

    pub(super) fn fault(&self, error: &FileError) -> Fault {
        let text = format!("{}: {error}", self.path.display());
        match error {
            FileError::Io(_) => Fault::Unavailable(text),
            FileError::Content(_) => Fault::Config(text),
        }
    }

    /// The lock is a file of its own beside the zone file, which is itself replaced by each write. It stays
    /// there: removing it would let two processes lock two different files of that name.
    fn lock(&self) -> Result<File, Fault> {
        let path = self.beside(".lock");
        let cannot = |error| Fault::Unavailable(format!("cannot lock {}: {error}", path.display()));
        let file = private().create(true).append(true).open(&path).map_err(cannot)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
            }
        }
        Err(Fault::Busy(format!("{} is locked by another process", path.display())))
    }

    /// A temporary file, flushed, then renamed over the old one: a reader sees the old text or the new one,
    /// and a crash leaves one of them.
    fn replace(&self, text: &str) -> io::Result<()> {
        // A link stays a link: its target is replaced.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let temporary = self.beside(".new");
        // What a crash left, or a link that somebody put there: made anew, never written through.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().write(true).create_new(true).open(&temporary)?;
        if let Ok(metadata) = fs::metadata(&target) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        // From here on the write has happened. A directory that cannot be flushed is no reason to deny it.
        if let Some(Ok(directory)) = target.parent().map(File::open) {
            let _ = directory.sync_all();
        }
        Ok(())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()).into_os_string();
        path.push(ending);
        path.into()
    }
}

/// What is made is the agent's alone, whatever the umask: who can write the zone decides where it points. A zone file that
/// is there keeps its mode.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
  "zones": {
    "workshopco.ca": {
      "serial": 7,
      "records": {
        "WWW.workshopco.ca": [
          {"ttl": 60, "type": "A", "values": ["203.0.113.10"]},
          {"ttl": 300, "type": "MX", "values": ["10 mail.workshopco.ca."]}
        ]
      }
    }
  }
}"#;

    #[test]
    fn what_is_written_is_what_was_read() {
        let zones = parse(EXAMPLE).expect("the example");
        assert_eq!(parse(&print(&zones)).expect("our own writing"), zones);
        assert!(print(&zones).contains("\"10 mail.workshopco.ca.\""), "an unknown type is kept as it is");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("{\"zones\": {", "line 1 column 11"),
            (
                &EXAMPLE.replace("203.0.113.10", "203.0.113.300"),
                "\"203.0.113.300\" is no value of type A at line 8",
            ),
            (&EXAMPLE.replace("\"ttl\": 60", "\"tll\": 60"), "unknown field `tll`"),
            (
                &EXAMPLE.replace("\"MX\"", "\"A\"").replace("10 mail.workshopco.ca.", "192.0.2.9"),
                "two A sets",
            ),
            (&EXAMPLE.replace("\"MX\"", "\"CNAME\""), "10 mail"),
            (&EXAMPLE.replace("WWW.workshopco.ca", "www.example.com"), "not a name in the zone"),
            (&EXAMPLE.replace("[\"203.0.113.10\"]", "[]"), "no values"),
            (r#"{"zones": {"a.example": {}, "A.example.": {}}}"#, "a.example stands here twice"),
            ("", "EOF"),
        ];
        for (text, expected) in cases {
            let error = parse(text).expect_err(expected);
            assert!(error.contains(expected), "{error:?} should say {expected:?}");
        }
    }
}
