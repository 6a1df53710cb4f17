//! A server that one of `tests/servers/*.sh` starts and stops.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ports::free_ports;
use crate::process::{Guard, servers_folder};

/// More than any script takes.
const PORTS: usize = 8;

/// One running instance, with a state folder of its own that goes with it.
pub(crate) struct Script {
    path: PathBuf,
    base: PathBuf,
    env: Vec<(String, String)>,
    vars: BTreeMap<String, String>,
    _guard: Guard,
}

impl Script {
    /// Starts `tests/servers/<name>` with these settings and waits until it answers.
    pub(crate) fn start(name: &str, env: &[(&str, &str)]) -> Script {
        let path = servers_folder().join(name);
        let base = tempfile::Builder::new()
            .prefix("failover-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        // The guard comes first: a start that fails half-way is cleaned up as well.
        let last = r#"RC_BASE="$2" RC_INSTANCE= "$1" stop; rm -rf "$2""#;
        let guard = Guard::new(last, &[path.as_os_str(), base.as_os_str()]);
        let ports = ("RC_PORTS", &*free_ports(PORTS));
        let env = env.iter().chain([&ports]).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut script = Script { path, base, env, vars: BTreeMap::new(), _guard: guard };
        script.start_again();
        script
    }

    /// Starts it where it is stopped: same ports, same state.
    pub(crate) fn start_again(&mut self) {
        let output = self.run("start");
        assert!(
            output.status.success(),
            "{} does not start:\n{}",
            self.path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        self.vars = exports(&String::from_utf8_lossy(&output.stdout));
    }

    /// Stops it; its state stays.
    pub(crate) fn stop(&self) {
        let output = self.run("stop");
        assert!(output.status.success(), "{} does not stop", self.path.display());
    }

    /// What the script exported as `name`.
    pub(crate) fn var(&self, name: &str) -> &str {
        self.vars.get(name).unwrap_or_else(|| panic!("{} exports no {name}", self.path.display()))
    }

    /// What the script exported as `name`, a port.
    pub(crate) fn port(&self, name: &str) -> u16 {
        self.var(name).parse().unwrap_or_else(|_| panic!("{name} is no port: {}", self.var(name)))
    }

    /// The folder that holds the state of this instance.
    pub(crate) fn folder(&self) -> &Path {
        &self.base
    }

    fn run(&self, verb: &str) -> Output {
        Command::new(&self.path)
            .arg(verb)
            .env("RC_BASE", &self.base)
            .env_remove("RC_INSTANCE")
            .envs(self.env.iter().map(|(k, v)| (OsStr::new(k), OsStr::new(v))))
            .output()
            .unwrap_or_else(|why| panic!("cannot run {}: {why}", self.path.display()))
    }
}

/// The `export K=V` lines; `printf %q` escapes what is odd with backslashes, and an empty value is `''`.
fn exports(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("''", "").replace('\\', "")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_exports_are_read_as_the_shell_reads_them() {
        let vars = exports("noise\nexport A=1\nexport B=1\\ 2\nexport C=''\nexport D=MDE=\n");
        let want = [("A", "1"), ("B", "1 2"), ("C", ""), ("D", "MDE=")];
        assert_eq!(vars, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }
}
