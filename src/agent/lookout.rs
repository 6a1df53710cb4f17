//! Looks at the files of the configuration, and loads them when they have changed or somebody asks for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::systemd;
use crate::config::{Config, ConfigErrors, Loading, Prints};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(4);
/// The pause before the second look at a change: it counts when two looks in a row see the same, as somebody may be writing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a file that changes while it is loaded is loaded again at once; after that, with the next look.
const TRIES: u32 = 3;

/// Knows the files as they were looked at last.
pub(super) struct Lookout {
    path: PathBuf,
    env: fn(&str) -> Option<String>,
    /// The files that values were taken from.
    taken: BTreeSet<PathBuf>,
    /// What was there when it was loaded last, good or bad.
    loaded: Prints,
    seen: Prints,
}

/// Why it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Changed,
    Asked,
}

impl Lookout {
    /// `path` is where `current` came from; `env` answers for the environment. What was written since is seen at the first look.
    pub(super) fn new(path: PathBuf, env: fn(&str) -> Option<String>, current: &Config) -> Self {
        // Which files values are taken from is known only by loading; what was written since the start is seen.
        let loading = Loading::of(&path, &env);
        let mut seen = Prints::default();
        seen.look(&path, &loading.taken);
        let unchanged = loading.result.is_ok_and(|config| config.marks == current.marks);
        let loaded = if unchanged { seen.clone() } else { Prints::default() };
        Lookout { path, env, taken: loading.taken, loaded, seen }
    }

    /// Looks until nobody can ask or nobody listens any more, and hands over what it loaded. Whoever asks is answered at
    /// once. Blocks.
    pub(super) fn watch(mut self, asked: &Receiver<()>, out: &Sender<Result<Config, ConfigErrors>>) {
        loop {
            let pause = if self.seen.same(&self.loaded) { LOOK } else { LOOK_AGAIN };
            let why = match asked.recv_timeout(pause) {
                Ok(()) => Why::Asked,
                Err(RecvTimeoutError::Timeout) => Why::Changed,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(loaded) = self.look(why)
                && out.blocking_send(loaded).is_err()
            {
                return;
            }
        }
    }

    /// Looks, and loads where that is due. Blocks.
    fn look(&mut self, why: Why) -> Option<Result<Config, ConfigErrors>> {
        let before = self.seen.clone();
        self.seen.look(&self.path, &self.taken);
        let due = !self.seen.same(&self.loaded) && self.seen.same(&before);
        if why == Why::Changed && !due {
            return None;
        }
        let known = self.seen.same(&self.loaded);
        systemd::reloading();
        let mut loading = Loading::of(&self.path, &self.env);
        for _ in 0..TRIES {
            let read = self.seen.clone();
            self.taken = std::mem::take(&mut loading.taken);
            self.seen.look(&self.path, &self.taken);
            if self.seen.agree(&read) {
                break;
            }
            loading = Loading::of(&self.path, &self.env);
        }
        self.loaded = self.seen.clone();
        if let (Err(errors), true) = (&loading.result, known) {
            // It was told when it was new.
            tracing::warn!(faults = errors.faults().len(), "the configuration is as wrong as before");
            systemd::ready();
            return None;
        }
        Some(loading.result)
    }
}
