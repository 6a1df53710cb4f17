//! Takes over what the files of the configuration say now, and refuses what cannot be taken over.

use std::path::PathBuf;
use std::sync::{Arc, mpsc as blocking};
use std::thread;

use providers::ProviderConfig;
use tokio::sync::mpsc;

use super::Hands;
use super::assemble::reassemble;
use super::lookout::Lookout;
use super::reload::{Refused, Reload};
use crate::config::{Config, ConfigErrors};

/// Watches the configuration that an agent runs with.
pub struct Reloader {
    lookout: Lookout,
    current: Arc<Config>,
    hands: Hands,
}

impl Reloader {
    /// `path` is where `current` came from, `hands` are the agent's. Everything that changes in the files from now on is
    /// seen; `env` answers for the environment.
    pub fn new(path: PathBuf, env: fn(&str) -> Option<String>, current: Arc<Config>, hands: Hands) -> Self {
        Reloader { lookout: Lookout::new(path, env, &current), current, hands }
    }

    /// Watches until nobody listens any more. `asked` wakes it (SIGHUP): then the files are loaded at once, changed or not.
    ///
    /// The files are looked at on a thread of its own. One of the runtime's would be woken by a timer of the runtime, and wake it
    /// again to say that there is nothing: that was half of what an agent at rest woke for.
    pub async fn run(self, mut asked: mpsc::Receiver<()>, out: mpsc::Sender<Reload>) {
        let Reloader { lookout, mut current, mut hands } = self;
        let (ask, is_asked) = blocking::sync_channel(1);
        let (found, mut loaded) = mpsc::channel(1);
        // It ends with `ask`; nobody waits for it, as a file system may keep it for ever.
        let watching =
            thread::Builder::new().name("files".into()).spawn(move || lookout.watch(&is_asked, &found));
        if let Err(error) = watching {
            tracing::error!(%error, "no thread can be had to watch the configuration: restart the agent after a change");
            return;
        }
        loop {
            let found = tokio::select! {
                Some(()) = asked.recv() => {
                    // One that waits already stands for this one, too.
                    let _ = ask.try_send(());
                    continue;
                }
                found = loaded.recv() => found,
                () = out.closed() => return,
            };
            let Some(found) = found else {
                tracing::error!("the watch over the configuration ended: restart the agent after a change");
                return;
            };
            let word = judge(found, &mut current, &mut hands).await;
            if out.send(word).await.is_err() {
                return;
            }
        }
    }
}

/// What the agent is told.
async fn judge(loaded: Result<Config, ConfigErrors>, current: &mut Arc<Config>, hands: &mut Hands) -> Reload {
    let config = match loaded {
        Ok(mut config) => {
            // Nobody wrote another name: the machine got one, and the agent keeps the one that it speaks by.
            if config.marks.same(&current.marks, "agent", "id") {
                config.agent.id.clone_from(&current.agent.id);
            }
            Arc::new(config)
        }
        Err(errors) => return Reload::Refuse(Refused::Faults(faults(&errors))),
    };
    let keys = needs_restart(current, &config);
    if !keys.is_empty() {
        return Reload::Refuse(Refused::NeedsRestart(keys));
    }
    match reassemble(&config, current, hands).await {
        Ok(fresh) => {
            *current = config;
            *hands = fresh.hands.clone();
            Reload::Take(Box::new(fresh))
        }
        Err(error) => Reload::Refuse(Refused::Unbuilt(error.to_string())),
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
