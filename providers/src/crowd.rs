//! What one picture of a zone tells of many names.

use crate::Snapshot;

/// What one picture of a zone tells of the names that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// In the order asked. `None` for a name of which the picture does not tell, or of which a reading would find something
    /// else: it is to be read.
    pub snapshots: Vec<Option<Snapshot>>,
    /// Why there is no picture, for a person; told once, and not each time that is so.
    pub why_not: Option<String>,
}

impl Crowd {
    /// What a picture tells.
    pub fn of(snapshots: Vec<Option<Snapshot>>) -> Crowd {
        Crowd { snapshots, why_not: None }
    }

    /// There is no picture.
    pub fn unseen(names: usize) -> Crowd {
        Crowd::of(vec![None; names])
    }
}
