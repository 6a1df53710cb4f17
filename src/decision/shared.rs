//! What many hold and hardly anybody changes is in memory once.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that may be held in many places. Whoever changes it gets a copy of his own first.
///
/// Ten thousand targets with the same checks share one list of them: a map of one entry takes a kilobyte.
#[derive(Default, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T: FromIterator<I>, I> FromIterator<I> for Shared<T> {
    fn from_iter<A: IntoIterator<Item = I>>(items: A) -> Self {
        Shared(Arc::new(items.into_iter().collect()))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<'a, T> IntoIterator for &'a Shared<T>
where
    &'a T: IntoIterator,
{
    type Item = <&'a T as IntoIterator>::Item;
    type IntoIter = <&'a T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (**self).into_iter()
    }
}

impl<'a, T: Clone> IntoIterator for &'a mut Shared<T>
where
    &'a mut T: IntoIterator,
{
    type Item = <&'a mut T as IntoIterator>::Item;
    type IntoIter = <&'a mut T as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (**self).into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Shared<T> {
    /// Is it the same one in memory? Of equal ones that is not said.
    pub fn is(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_it_changes_it_for_himself() {
        let one: Shared<Vec<u8>> = [1, 2].into_iter().collect();
        let mut other = one.clone();
        assert!(one.is(&other));
        other.push(3);
        assert_eq!((one.as_slice(), other.as_slice()), (&[1, 2][..], &[1, 2, 3][..]));
        assert!(!one.is(&other) && one != other);
        assert_eq!(format!("{one:?}"), "[1, 2]");
    }
}
