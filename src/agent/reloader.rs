//! Looks after the files of the configuration: loads them again when they have changed or somebody asks for it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use providers::ProviderConfig;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::assemble::reassemble;
use super::reload::{Refused, Reload};
use super::{Hands, systemd};
use crate::config::{Config, ConfigErrors, Loading, Prints};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(4);
/// The pause before the second look at a change: it counts when two looks in a row see the same, as somebody may be writing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often a file that changes while it is loaded is loaded again at once; after that, with the next look.
const TRIES: u32 = 3;

/// Watches the configuration that an agent runs with.
pub struct Reloader {
    path: PathBuf,
    env: fn(&str) -> Option<String>,
    current: Arc<Config>,
    hands: Hands,
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

impl Reloader {
    /// `path` is where `current` came from, `hands` are the agent's. Everything that changes in the files from now on is
    /// seen; `env` answers for the environment.
    pub fn new(path: PathBuf, env: fn(&str) -> Option<String>, current: Arc<Config>, hands: Hands) -> Self {
        let mut reloader = Reloader {
            path,
            env,
            current,
            hands,
            taken: BTreeSet::new(),
            loaded: Prints::default(),
            seen: Prints::default(),
        };
        // Which files values are taken from is known only by loading; what was written since the start is seen.
        let loading = Loading::of(&reloader.path, &reloader.env);
        reloader.taken = loading.taken;
        reloader.seen.look(&reloader.path, &reloader.taken);
        let unchanged = loading.result.is_ok_and(|config| config.marks == reloader.current.marks);
        if unchanged {
            reloader.loaded = reloader.seen.clone();
        }
        reloader
    }

    /// Watches until nobody listens any more. `asked` wakes it (SIGHUP): then the files are loaded at once, changed or not.
    pub async fn run(mut self, mut asked: mpsc::Receiver<()>, out: mpsc::Sender<Reload>) {
        loop {
            let pause = if self.seen.same(&self.loaded) { LOOK } else { LOOK_AGAIN };
            let why = tokio::select! {
                Some(()) = asked.recv() => Why::Asked,
                () = sleep(pause) => Why::Changed,
                () = out.closed() => return,
            };
            let Ok((next, word)) = tokio::task::spawn_blocking(move || self.look(why)).await else {
                tracing::error!("the watch over the configuration ended: restart the agent after a change");
                return;
            };
            self = next;
            if let Some(word) = self.judge(word).await
                && out.send(word).await.is_err()
            {
                return;
            }
        }
    }

    /// Looks, and loads where that is due. Blocks.
    fn look(mut self, why: Why) -> (Self, Option<Result<Config, ConfigErrors>>) {
        let before = self.seen.clone();
        self.seen.look(&self.path, &self.taken);
        let due = !self.seen.same(&self.loaded) && self.seen.same(&before);
        if why == Why::Changed && !due {
            return (self, None);
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
            return (self, None);
        }
        (self, Some(loading.result))
    }

    /// What the agent is told, if anything.
    async fn judge(&mut self, loaded: Option<Result<Config, ConfigErrors>>) -> Option<Reload> {
        let config = match loaded? {
            Ok(mut config) => {
                // Nobody wrote another name: the machine got one, and the agent keeps the one that it speaks by.
                if config.marks.same(&self.current.marks, "agent", "id") {
                    config.agent.id.clone_from(&self.current.agent.id);
                }
                Arc::new(config)
            }
            Err(errors) => return Some(Reload::Refuse(Refused::Faults(faults(&errors)))),
        };
        let keys = needs_restart(&self.current, &config);
        if !keys.is_empty() {
            return Some(Reload::Refuse(Refused::NeedsRestart(keys)));
        }
        match reassemble(&config, &self.current, &self.hands).await {
            Ok(fresh) => {
                self.current = config;
                self.hands = fresh.hands.clone();
                Some(Reload::Take(Box::new(fresh)))
            }
            Err(error) => Some(Reload::Refuse(Refused::Unbuilt(error.to_string()))),
        }
    }
}

fn faults(errors: &ConfigErrors) -> Vec<String> {
    let line = |fault: &crate::config::Finding| {
        let remedy = if fault.remedy.is_empty() { String::new() } else { format!(" ({})", fault.remedy) };
        format!("{}: {}{remedy}", fault.place(), fault.message)
    };
    errors.faults().iter().map(line).collect()
}

/// The keys that cannot change while the process runs.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    let mut key = |changed: bool, name: &str| {
        if changed {
            keys.push(name.to_owned());
        }
    };
    key(old.agent.id != new.agent.id, "agent.id");
    key(old.agent.state != new.agent.state, "agent.state");
    key(old.agent.resolvers != new.agent.resolvers, "agent.resolvers");
    key(old.socket != new.socket, "api.socket");
    for (id, before) in &old.providers {
        let ProviderConfig::Mock(before) = before else { continue };
        match new.providers.get(id) {
            // Its listener holds the address, and a zone in memory is lost with it.
            Some(ProviderConfig::Mock(after)) => {
                key(before.dns != after.dns, &format!("providers.{id}.dns"));
                let in_memory = before.file.is_none();
                key(
                    before.file != after.file && (in_memory || before.dns.is_some()),
                    &format!("providers.{id}.file"),
                );
                key(
                    in_memory && before.zones != after.zones,
                    &format!("the zones of the mock {id} without a file"),
                );
            }
            Some(_) => key(before.dns.is_some(), &format!("providers.{id}.type")),
            None => {}
        }
    }
    keys
}
