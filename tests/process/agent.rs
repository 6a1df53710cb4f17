//! The program as a process: it never outlives the test that started it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use testkit::wait_until;

use crate::stage::{PATIENCE, text};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_failover");
/// No command but `run` may take longer, seconds.
const LIMIT: &str = "120";

/// The program with nothing of our own environment that would change what it does. The kernel kills it when the
/// thread that started it is gone, however that came about.
pub(crate) fn program() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", BINARY]);
    clean(&mut command);
    command
}

pub(crate) fn clean(command: &mut Command) {
    for name in ["FAILOVER_CONFIG", "RUST_LOG", "NOTIFY_SOCKET", "NO_COLOR", "WATCHDOG_USEC", "WATCHDOG_PID"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

/// A command that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Runs it; one that does not end within [`LIMIT`] has failed.
    #[track_caller]
    pub(crate) fn of(command: &mut Command) -> Ended {
        let mut limited = Command::new("timeout");
        limited.args(["-k", "1", LIMIT]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            limited.current_dir(folder);
        }
        let output = limited.stdin(Stdio::null()).output().expect("timeout (coreutils) is there");
        let ended = Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert_ne!(ended.code, 124, "{command:?} did not end: {ended:?}");
        ended
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The lines of a log with this event.
pub(crate) fn events(log: &str, event: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == event).collect()
}

/// A running `failover run`.
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
    /// How much an earlier one left in the log.
    from: usize,
}

impl Agent {
    /// Starts it with its log in this file, after what is there.
    pub(crate) fn start(mut command: Command, log: &Path) -> Agent {
        let from = text(log).len();
        let file = File::options().create(true).append(true).open(log).unwrap();
        let out = file.try_clone().unwrap();
        let child = command.stdout(out).stderr(file).spawn().expect("setpriv (util-linux) is there");
        Agent { child, log: log.to_owned(), from }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        text(&self.log).split_off(self.from)
    }

    /// The lines of the log with this event.
    pub(crate) fn logged(&self, event: &str) -> Vec<Value> {
        events(&self.said(), event)
    }

    #[track_caller]
    pub(crate) fn wait_logged(&self, event: &str) -> Value {
        wait_until(&format!("{event} in the log {}", self.log.display()), PATIENCE, || {
            self.logged(event).pop()
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -s {name}");
    }

    /// Freezes it; returns once it stands still.
    #[track_caller]
    pub(crate) fn freeze(&self) {
        testkit::freeze(&self.pid().to_string());
    }

    pub(crate) fn thaw(&self) {
        testkit::thaw(&self.pid().to_string());
    }

    /// Waits for its end; the exit code, -1 when a signal ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: std::time::Duration) -> i32 {
        self.wait_status(limit).code().unwrap_or(-1)
    }

    /// Waits for its end, however that comes.
    #[track_caller]
    pub(crate) fn wait_status(&mut self, limit: std::time::Duration) -> std::process::ExitStatus {
        wait_until("the end of the agent", limit, || self.child.try_wait().unwrap())
    }

    /// Stops it; everything it said.
    #[track_caller]
    pub(crate) fn stop(mut self) -> String {
        self.signal("TERM");
        let code = self.wait(PATIENCE);
        assert_eq!(code, 0, "{}", self.said());
        self.said()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("--- the agent said:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
