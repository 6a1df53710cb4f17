//! Processes that end with the test.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::wait_until;

/// The folder of the start scripts.
pub(crate) fn servers_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/servers"))
}

/// Waits for the end of its standard input, then does `$0` (a shell text). The pipe ends when the guard is
/// dropped and when the test process dies in whatever way, since nobody else holds it (Rust opens pipes close-on-exec).
pub(crate) struct Guard(Child);

impl Guard {
    /// A guard that runs the shell text `last` with these arguments (`$1`, `$2` ...) when its time has come.
    pub(crate) fn new(last: &str, arguments: &[&OsStr]) -> Guard {
        let text = format!("trap '' HUP INT TERM; cat >/dev/null; {last}");
        let child = Command::new("bash")
            .args(["-c", &text, "guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash starts");
        Guard(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A program that runs beside the test and is stopped with it (TERM, after 2 s KILL).
pub(crate) struct Helper(Child);

impl Helper {
    /// Starts a Python program of `tests/servers` and waits for the line `ready`.
    pub(crate) fn python(program: &str, arguments: &[String]) -> Helper {
        Helper::python_at(&[], program, arguments)
    }

    /// The same behind these words, which run it elsewhere.
    pub(crate) fn python_at(place: &[String], program: &str, arguments: &[String]) -> Helper {
        let mut words: Vec<OsString> = place.iter().map(OsString::from).collect();
        words.extend(["python3".into(), servers_folder().join(program).into_os_string()]);
        words.extend(arguments.iter().map(OsString::from));
        let mut child = guarded(&words).stdout(Stdio::piped()).spawn().expect("bash starts");
        let stdout = child.stdout.take().expect("it was piped");
        let helper = Helper(child);
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        assert_eq!(line.trim(), "ready", "{program} {arguments:?} did not start (is python3 installed?)");
        helper
    }

    /// Starts any program; what it says is dropped.
    pub(crate) fn program(words: &[OsString]) -> Helper {
        let mut command = guarded(words);
        Helper(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash starts"))
    }
}

/// A shell that gives the program its own group, waits for the end of our pipe and stops it by its pid.
fn guarded(words: &[OsString]) -> Command {
    let text = r#"trap '' HUP INT TERM
        "$@" </dev/null & p=$!
        exec >/dev/null
        cat >/dev/null
        kill -TERM $p; for i in {1..40}; do kill -0 $p 2>/dev/null || exit 0; sleep 0.05; done; kill -KILL $p"#;
    let mut command = Command::new("bash");
    command.args(["-c", text, "helper"]).args(words).stdin(Stdio::piped()).process_group(0);
    command
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Freezes a process (SIGSTOP) and returns once every thread of it stands still, so that nothing is answered, sent
/// or written from then on.
///
/// `kill` returns as soon as the signal is queued: on a loaded machine a thread that is running, or ready to run,
/// answers for a while longer. Panics when there is no such process, or when it still runs after a minute.
#[track_caller]
pub fn freeze(pid: &str) {
    signal(pid, "STOP");
    wait_until(&format!("process {pid} stands still"), Duration::from_mins(1), || {
        stands_still(pid).then_some(())
    });
}

/// Lets a frozen process go on (SIGCONT).
#[track_caller]
pub fn thaw(pid: &str) {
    signal(pid, "CONT");
}

/// Kills a process (SIGKILL) and waits until it is gone, or dead and not reaped yet by whoever adopted it.
#[track_caller]
pub(crate) fn kill(pid: &str) {
    signal(pid, "KILL");
    wait_until(&format!("the end of process {pid}"), Duration::from_mins(1), || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])).then_some(())
    });
}

/// Is every thread of it stopped (state T of `proc_pid_stat(5)`), or dead and not reaped yet (Z, X)?
fn stands_still(pid: &str) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let states: Vec<Option<char>> = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        // The name, in parentheses, may hold anything: the state follows the last of them.
        .map(|stat| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()))
        .collect();
    states.contains(&Some('T')) && states.iter().all(|state| matches!(state, Some('T' | 'Z' | 'X')))
}

#[track_caller]
fn signal(pid: &str, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, pid]).status().expect("kill is there");
    assert!(status.success(), "kill -s {signal} {pid}");
}
