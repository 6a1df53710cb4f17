//! The places of one target.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Place;

/// Some places, each once, in order; held in memory once, however many hold them.
///
/// Nearly every target has one address: a set of it takes ten times as much, and there may be a hundred thousand targets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Places(Arc<[Place]>);

impl Places {
    /// These, and one more.
    #[must_use]
    pub fn with(&self, one: Place) -> Places {
        self.iter().cloned().chain([one]).collect()
    }

    /// Is it the same one in memory? Of equal ones that is not said.
    pub fn is(&self, other: &Places) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Places {
    type Target = [Place];

    fn deref(&self) -> &[Place] {
        &self.0
    }
}

impl From<BTreeSet<Place>> for Places {
    fn from(places: BTreeSet<Place>) -> Self {
        Places(places.into_iter().collect())
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        places.into_iter().collect::<BTreeSet<Place>>().into()
    }
}

impl<'a> IntoIterator for &'a Places {
    type Item = &'a Place;
    type IntoIter = std::slice::Iter<'a, Place>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&*self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_there_once_and_in_order() {
        let places: Places = ["2001:db8::1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]
            .map(|text| text.parse().unwrap())
            .into_iter()
            .collect();
        assert_eq!(
            places.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
        );
        assert!(places.is(&places.clone()) && places.contains(&"192.0.2.1".parse().unwrap()));
    }
}
