//! Which parts of two configurations are the same, secrets included, without keeping what they say.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use super::tree::{Node, Value};

/// The key of this process: a mark says nothing to anybody else, not even to one who guesses a secret.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A mark for each entry of each section, of its text with all references resolved.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<(String, String), u64>);

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Marks {
    pub(super) fn of(whole: &Node) -> Marks {
        let mut marks = BTreeMap::new();
        for section in whole.entries() {
            match &section.node.value {
                Value::Map(entries) => {
                    for entry in entries {
                        marks.insert((section.key.clone(), entry.key.clone()), mark(&entry.node));
                    }
                }
                _ => {
                    marks.insert((section.key.clone(), String::new()), mark(&section.node));
                }
            }
        }
        Marks(marks)
    }

    /// Does this entry (`providers`, `zone`) say the same in both?
    pub fn same(&self, other: &Marks, section: &str, name: &str) -> bool {
        let key = (section.to_owned(), name.to_owned());
        self.0.get(&key) == other.0.get(&key)
    }
}

fn mark(node: &Node) -> u64 {
    let mut hasher = KEY.build_hasher();
    feed(node, &mut hasher);
    hasher.finish()
}

fn feed(node: &Node, hasher: &mut impl Hasher) {
    match &node.value {
        Value::Null => 0u8.hash(hasher),
        Value::Lost => 1u8.hash(hasher),
        Value::Scalar(scalar) => (2u8, &scalar.text, scalar.plain).hash(hasher),
        Value::List(items) => {
            (3u8, items.len()).hash(hasher);
            for item in items {
                feed(item, hasher);
            }
        }
        Value::Map(entries) => {
            (4u8, entries.len()).hash(hasher);
            for entry in entries {
                entry.key.hash(hasher);
                feed(&entry.node, hasher);
            }
        }
    }
}
