//! A map by name, made for how it is asked: many times in a row for the same name, then for the next one.

use std::fmt;
use std::ops::Index;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What is held of each record, or of each target, in the order of their names.
///
/// A dead site has ten thousand records, and each of them is looked up some ten times in a row before the next one is; a probe
/// asks three times for its target. So the place of the last answer is looked at first, then the one after it, and only then
/// is there a search. What is kept for that changes no answer. Adding and removing are for a reload: they move all that
/// comes after.
pub struct ByName<K, V> {
    /// Sorted by name. Boxed, so that what moves is small.
    entries: Vec<(K, Box<V>)>,
    last: AtomicUsize,
}

impl<K: Ord, V> ByName<K, V> {
    /// Where it is, or where it would be.
    fn find(&self, name: &K) -> Result<usize, usize> {
        let last = self.last.load(Relaxed);
        let near = [last, last + 1];
        let found = near.into_iter().find(|at| self.entries.get(*at).is_some_and(|(one, _)| one == name));
        let found = match found {
            Some(found) => found,
            None => self.entries.binary_search_by(|(one, _)| one.cmp(name))?,
        };
        self.last.store(found, Relaxed);
        Ok(found)
    }

    /// What is held under this name.
    pub fn get(&self, name: &K) -> Option<&V> {
        self.find(name).ok().map(|at| &*self.entries[at].1)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, name: &K) -> Option<&mut V> {
        self.find(name).ok().map(|at| &mut *self.entries[at].1)
    }

    /// Is there such a name?
    pub fn contains_key(&self, name: &K) -> bool {
        self.find(name).is_ok()
    }

    /// Adds a name; what was held under it before comes back.
    pub fn insert(&mut self, name: K, value: V) -> Option<V> {
        match self.find(&name) {
            Ok(at) => Some(std::mem::replace(&mut *self.entries[at].1, value)),
            Err(at) => {
                self.entries.insert(at, (name, Box::new(value)));
                None
            }
        }
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &K) -> Option<V> {
        let at = self.find(name).ok()?;
        Some(*self.entries.remove(at).1)
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.entries.clear();
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
        ByName { entries: Vec::new(), last: AtomicUsize::new(0) }
    }
}

impl<K: Clone, V: Clone> Clone for ByName<K, V> {
    fn clone(&self) -> Self {
        ByName { entries: self.entries.clone(), ..Self::default() }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for ByName<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Eq, V: Eq> Eq for ByName<K, V> {}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for ByName<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Of two of one name the later one stays.
impl<K: Ord, V> FromIterator<(K, V)> for ByName<K, V> {
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
        ByName { entries, last: AtomicUsize::new(0) }
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for ByName<K, V> {
    fn from(items: [(K, V); N]) -> Self {
        items.into_iter().collect()
    }
}

impl<K: Ord, V> Index<&K> for ByName<K, V> {
    type Output = V;

    /// # Panics
    /// Without such a name.
    fn index(&self, name: &K) -> &V {
        self.get(name).expect("the caller has found the name")
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!((map[&name("c")], map[&name("d")]), (1, 3), "one after the other");
        assert_eq!((map.insert(name("b"), 7), map.insert(name("a"), 8)), (None, Some(4)));
        assert_eq!((map.remove(&name("d")), map.remove(&name("d"))), (Some(3), None));
        *map.get_mut(&name("c")).unwrap() = 9;
        assert_eq!(all(&map), "a=8 b=7 c=9");
        assert!(map == map.clone() && map.get(&name("d")).is_none());
    }
}
