//! A map by name, made for how it is asked: many times in a row for the same name, then for any other one.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::Index;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// What is held of each record, or of each target, in the order of their names.
///
/// A dead site has ten thousand records, and each of them is looked up some ten times in a row before the next one is, in their
/// order: so the place of the last answer is looked at first, and the one after it while they come in order. The probes of ten
/// thousand targets come in any order, and a search among them is a dozen looks at names all over the memory: so they are found
/// by their hash. What is kept for that changes no answer, and its order is nobody's. Adding and removing are for a reload: they
/// move all that comes after.
pub struct ByName<K, V> {
    /// Sorted by name. Boxed, so that what moves is small.
    entries: Vec<(K, Box<V>)>,
    /// Where each is in `entries`.
    places: HashTable<u32>,
    last: AtomicUsize,
    /// Was that the one after the one before it?
    in_order: AtomicBool,
}

/// The same in every run. Names come from the configuration: nobody chooses them to collide.
fn hash<K: Hash>(name: &K) -> u64 {
    FixedState::default().hash_one(name)
}

/// So many names fit: a place has 32 bits.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("a configuration has fewer names than that")
}

impl<K, V> ByName<K, V> {
    fn of(entries: Vec<(K, Box<V>)>, places: HashTable<u32>) -> Self {
        ByName { entries, places, last: AtomicUsize::new(0), in_order: AtomicBool::new(false) }
    }
}

impl<K: Ord + Hash, V> ByName<K, V> {
    fn find(&self, name: &K) -> Option<usize> {
        let is = |at: usize| self.entries.get(at).is_some_and(|(one, _)| one == name);
        let last = self.last.load(Relaxed);
        if is(last) {
            return Some(last);
        }
        // Never for names in any order: there it would be a look at a name more.
        if self.in_order.load(Relaxed) && is(last + 1) {
            self.last.store(last + 1, Relaxed);
            return Some(last + 1);
        }
        let found = *self.places.find(hash(name), |at| is(*at as usize))? as usize;
        self.in_order.store(found == last + 1, Relaxed);
        self.last.store(found, Relaxed);
        Some(found)
    }

    /// What is held under this name.
    pub fn get(&self, name: &K) -> Option<&V> {
        self.find(name).map(|at| &*self.entries[at].1)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, name: &K) -> Option<&mut V> {
        self.find(name).map(|at| &mut *self.entries[at].1)
    }

    /// Is there such a name?
    pub fn contains_key(&self, name: &K) -> bool {
        self.find(name).is_some()
    }

    /// Adds a name; what was held under it before comes back.
    ///
    /// # Panics
    /// With more than four thousand million names.
    pub fn insert(&mut self, name: K, value: V) -> Option<V> {
        let at = match self.entries.binary_search_by(|(one, _)| one.cmp(&name)) {
            Ok(at) => return Some(std::mem::replace(&mut *self.entries[at].1, value)),
            Err(at) => at,
        };
        self.places.iter_mut().filter(|place| **place as usize >= at).for_each(|place| *place += 1);
        let hashed = hash(&name);
        self.entries.insert(at, (name, Box::new(value)));
        let Self { entries, places, .. } = self;
        places.insert_unique(hashed, place(at), |place| hash(&entries[*place as usize].0));
        None
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &K) -> Option<V> {
        let at = self.find(name)?;
        self.places.find_entry(hash(name), |place| *place as usize == at).ok()?.remove();
        self.places.iter_mut().filter(|place| **place as usize > at).for_each(|place| *place -= 1);
        Some(*self.entries.remove(at).1)
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.places.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(name, value)| (name, &**value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(name, _)| name)
    }

    /// What is held of them, by name.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| &**value)
    }

    /// All of them, by name, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(name, value)| (&*name, &mut **value))
    }

    /// What is held of them, to change.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| &mut **value)
    }
}

impl<K, V> Default for ByName<K, V> {
    fn default() -> Self {
        ByName::of(Vec::new(), HashTable::new())
    }
}

impl<K: Clone, V: Clone> Clone for ByName<K, V> {
    fn clone(&self) -> Self {
        ByName::of(self.entries.clone(), self.places.clone())
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for ByName<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Eq, V: Eq> Eq for ByName<K, V> {}

impl<K: Ord + Hash + fmt::Debug, V: fmt::Debug> fmt::Debug for ByName<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Of two of one name the later one stays.
impl<K: Ord + Hash, V> FromIterator<(K, V)> for ByName<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        let mut entries: Vec<(K, Box<V>)> =
            items.into_iter().map(|(name, value)| (name, Box::new(value))).collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        let mut places = HashTable::with_capacity(entries.len());
        for (at, (name, _)) in entries.iter().enumerate() {
            places.insert_unique(hash(name), place(at), |place| hash(&entries[*place as usize].0));
        }
        ByName::of(entries, places)
    }
}

impl<K: Ord + Hash, V, const N: usize> From<[(K, V); N]> for ByName<K, V> {
    fn from(items: [(K, V); N]) -> Self {
        items.into_iter().collect()
    }
}

impl<K: Ord + Hash, V> Index<&K> for ByName<K, V> {
    type Output = V;

    /// # Panics
    /// Without such a name.
    fn index(&self, name: &K) -> &V {
        self.get(name).expect("the caller has found the name")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use providers::DomainName;

    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn all(map: &ByName<DomainName, u8>) -> String {
        map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_answers_as_a_map_does_whatever_was_asked_before() {
        let mut map: ByName<DomainName, u8> = ["c", "a", "d", "a"].map(name).into_iter().zip(1..).collect();
        assert_eq!(all(&map), "a=4 c=1 d=3");
        for asked in ["d", "a", "a", "c", "b", "d", "e", "c", "a"] {
            let known = ["a", "c", "d"].contains(&asked);
            assert_eq!(
                (map.get(&name(asked)).is_some(), map.contains_key(&name(asked))),
                (known, known),
                "{asked}"
            );
        }
        assert_eq!((map[&name("c")], map[&name("d")]), (1, 3), "one and another");
        assert_eq!((map.insert(name("b"), 7), map.insert(name("a"), 8)), (None, Some(4)));
        assert_eq!((map.remove(&name("d")), map.remove(&name("d"))), (Some(3), None));
        *map.get_mut(&name("c")).unwrap() = 9;
        assert_eq!(all(&map), "a=8 b=7 c=9");
        assert!(map == map.clone() && map.get(&name("d")).is_none());
    }

    proptest! {
        #[test]
        fn in_whatever_order_it_is_asked(asked in proptest::collection::vec((0u8..40, 0u8..3), 0..200)) {
            let mut map: ByName<u8, u8> = (0..20).map(|one| (one * 2, one)).collect();
            let mut plain: BTreeMap<u8, u8> = map.iter().map(|(name, value)| (*name, *value)).collect();
            for (name, order) in asked {
                match order {
                    0 => prop_assert_eq!(map.remove(&name), plain.remove(&name)),
                    1 => prop_assert_eq!(map.insert(name, name), plain.insert(name, name)),
                    _ => prop_assert_eq!(map.get_mut(&name), plain.get_mut(&name)),
                }
                prop_assert_eq!(map.get(&name), plain.get(&name));
                prop_assert!(map.iter().eq(plain.iter()));
            }
        }
    }
}
