//! A program that obeys the rules of Nagios plugins
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>).

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::progress::{Phase, Progress};
use super::{ExecCheck, Step};
use crate::decision::Outcome;

/// How much of a program's output is kept, bytes; the rest is read and dropped, so that the program can go on.
pub(super) const KEPT: usize = 8 * 1024;
/// The longest line that is passed on, characters.
const LINE: usize = 200;
/// How long the output may stay open once the program and its group are gone.
const LINGER: Duration = Duration::from_millis(200);
/// The limit of open files with which Linux begins.
const USUAL_DESCRIPTORS: u64 = 1024;

/// What a program is given of our environment: `PATH` and `LANG`, nothing else, least of all secrets.
pub(super) struct Surroundings {
    variables: Vec<(&'static str, OsString)>,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let given = |name| std::env::var_os(name).map(|value| (name, value));
        Surroundings { variables: ["PATH", "LANG"].into_iter().filter_map(given).collect() }
    }
}

/// Runs the program without a shell, in a process group of its own, with `{address}` in its arguments and
/// `FAILOVER_ADDRESS` in its environment set to the target's address.
///
/// | ends with | outcome |
/// |---|---|
/// | 0 (OK), 1 (WARNING) | `Pass` |
/// | 2 (CRITICAL) | `Fail`, the first line of its output |
/// | 3 (UNKNOWN), any other code, a signal | `Unknown`, the first line of its output |
/// | it cannot be started | `Unknown` |
///
/// When the program ends, when its time is up and when the future is dropped, whatever is left of its group is
/// killed. A grandchild that left the group (`setsid`) is out of reach.
pub(super) async fn probe(
    address: IpAddr,
    check: &ExecCheck,
    surroundings: &Surroundings,
    progress: &mut Progress<'_>,
) -> Step<()> {
    progress.phase = Phase::Program;
    let program = check.command.first().map_or("", String::as_str);
    let mut running = start(address, check, surroundings).map_err(|error| not_started(program, &error))?;
    let mut output = Kept::default();
    let mut errors = Kept::default();
    let status = finish(&mut running, &mut output, &mut errors)
        .await
        .map_err(|error| Outcome::Unknown(format!("{program}: {error}")))?;
    judge(program, status, &output, &errors)
}

/// A program and its group. The group is killed when this is dropped.
struct Running {
    // Dropped before the child: as long as that is not reaped, its number, and its group's, belong to nobody else.
    group: Group,
    child: Child,
}

struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            // The one error there is: nobody is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(address: IpAddr, check: &ExecCheck, surroundings: &Surroundings) -> io::Result<Running> {
    let (program, arguments) =
        check.command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let address = address.to_string();
    let child = Command::new(program)
        .args(arguments.iter().map(|argument| argument.replace("{address}", &address)))
        .env_clear()
        .envs(surroundings.variables.iter().map(|(name, value)| (name, value)))
        .env("FAILOVER_ADDRESS", &address)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(leader) = leader {
        spare_descriptors(leader);
    }
    Ok(Running { group: Group(leader), child })
}

/// Gives a program the usual limit of descriptors and not ours: select(2) knows no more, and some close each number up to it.
fn spare_descriptors(program: Pid) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.unwrap_or(u64::MAX).min(USUAL_DESCRIPTORS));
    // It may have ended already, or be somebody else's.
    let _ = prlimit(Some(program), Resource::Nofile, Rlimit { current, maximum });
}

/// Waits for the program's end; its group then ends too.
async fn finish(running: &mut Running, output: &mut Kept, errors: &mut Kept) -> io::Result<ExitStatus> {
    let stdout = running.child.stdout.take();
    let stderr = running.child.stderr.take();
    let drained = async { tokio::join!(output.drain(stdout), errors.drain(stderr)) };
    tokio::pin!(drained);
    let mut open = true;
    let status = loop {
        tokio::select! {
            status = running.child.wait() => break status,
            _ = &mut drained, if open => open = false,
        }
    };
    // The leader was reaped this instant; for its number to name another group by now, all numbers of the system
    // would have to be handed out in between.
    running.group.kill();
    if open {
        // Only somebody who left the group can still hold the other end, and is not waited for.
        let _ = timeout(LINGER, drained).await;
    }
    status
}

/// The beginning of an output.
#[derive(Default)]
pub(super) struct Kept(pub(super) Vec<u8>);

impl Kept {
    async fn drain(&mut self, source: Option<impl AsyncRead + Unpin>) {
        let Some(mut source) = source else { return };
        let mut buffer = vec![0; KEPT];
        // An unreadable pipe is an empty one: the exit code has the word.
        while let Ok(read @ 1..) = source.read(&mut buffer).await {
            let room = KEPT - self.0.len();
            self.0.extend_from_slice(&buffer[..read.min(room)]);
        }
    }

    /// The first line with something in it, without the performance data after `|`.
    fn first_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let lines =
            text.lines().map(|line| line.split('|').next().unwrap_or("").replace(char::is_control, " "));
        let line = lines.map(|line| line.trim().to_owned()).find(|line| !line.is_empty())?;
        Some(line.chars().take(LINE).collect())
    }
}

pub(super) fn judge(program: &str, status: ExitStatus, output: &Kept, errors: &Kept) -> Step<()> {
    let said = || output.first_line().or_else(|| errors.first_line());
    match status.code() {
        Some(0 | 1) => Ok(()),
        Some(2) => {
            Err(Outcome::Fail(said().unwrap_or_else(|| format!("{program} exited with 2 (critical)"))))
        }
        _ => {
            let ended = match status.code() {
                Some(3) => "exited with 3 (unknown)".to_owned(),
                Some(code) => format!("exited with {code}, which is none of 0 to 3"),
                None => format!("was ended by a signal ({status})"),
            };
            let said = said().map(|line| format!(": {line}")).unwrap_or_default();
            Err(Outcome::Unknown(format!("{program} {ended}{said}")))
        }
    }
}

fn not_started(program: &str, error: &io::Error) -> Outcome {
    Outcome::Unknown(match error.kind() {
        io::ErrorKind::NotFound => format!("{program}: no such program (or its interpreter is missing)"),
        io::ErrorKind::PermissionDenied => format!("{program}: this user may not execute it"),
        _ => format!("{program} cannot be started: {error}"),
    })
}
