//! The program under test, in a folder of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use testkit::wait_until;

/// How long anything may take that takes a second on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// A folder with a configuration, a state file and a socket.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    runs: AtomicU32,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// What `-o json` printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("no JSON ({why}): {self:?}"))
    }

    /// The one record of a report.
    #[track_caller]
    pub(crate) fn record(&self) -> Value {
        self.json()["records"][0].clone()
    }

    /// The words of both streams, for a search: a long line is broken between any two of them.
    pub(crate) fn text(&self) -> String {
        let words: Vec<&str> = self.out.split_whitespace().chain(self.err.split_whitespace()).collect();
        words.join(" ")
    }

    /// The same, once it is certain how it ended.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code: {self:#?}");
        self
    }
}

impl Site {
    /// A site with this configuration; `{folder}` in it stands for the folder.
    pub(crate) fn new(config: &str) -> Site {
        let folder = testkit::folder();
        let site = Site { folder, runs: AtomicU32::new(0) };
        site.configure(config);
        site
    }

    /// Another configuration, for what starts from now on.
    pub(crate) fn configure(&self, config: &str) {
        let config = config.replace("{folder}", &self.folder.path().display().to_string());
        testkit::assert_valid(failover::config::Config::schema, &config);
        fs::write(self.config(), config).expect("the folder is ours");
    }

    fn config(&self) -> PathBuf {
        self.path("failover.yaml")
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the files in the folder, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// What is kept between two runs, as one file.
    pub(crate) fn state(&self) -> Vec<u8> {
        fs::read(self.path("failover.db")).expect("a run left it")
    }

    /// Forgets what earlier runs left behind.
    pub(crate) fn forget(&self) {
        for file in self.files().iter().filter(|name| name.starts_with("failover.db")) {
            fs::remove_file(self.path(file)).expect("the folder is ours");
        }
    }

    /// The program with the agent's end as its own: it gets SIGKILL when the thread that started it ends (prctl(2),
    /// `PR_SET_PDEATHSIG`), so that nothing is left behind even by a test that is killed.
    fn program(&self, arguments: &[&str]) -> Command {
        self.program_behind(&[], arguments)
    }

    /// The same behind these words, which run it elsewhere.
    fn program_behind(&self, place: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(place).args([env!("CARGO_BIN_EXE_failover"), "-c"]);
        command.arg(self.config()).args(arguments).current_dir(self.folder.path());
        for name in ["FAILOVER_CONFIG", "RUST_LOG", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }

    /// One command to its end.
    pub(crate) fn failover(&self, arguments: &[&str]) -> Done {
        let output =
            self.program(arguments).output().expect("setpriv is missing: apt-get install util-linux");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {}", output.status));
        Done { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// `failover once` with a deadline that an idle machine never needs.
    pub(crate) fn once(&self, arguments: &[&str]) -> Done {
        self.failover(&[&["once", "-o", "json"], arguments].concat())
    }

    /// `failover plan`, the same.
    pub(crate) fn plan(&self, arguments: &[&str]) -> Done {
        self.failover(&[&["plan", "-o", "json"], arguments].concat())
    }

    /// What the running agent says of itself, asked over its socket as `failover status` does; `None` while none answers.
    pub(crate) fn status(&self) -> Option<Value> {
        let mut socket = UnixStream::connect(self.path("failover.sock")).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        socket.write_all(b"GET /v1/status HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until the running agent says that the record stands so (`in_sync`, `holding` ...) at these targets.
    #[track_caller]
    pub(crate) fn wait_for(&self, status: &str, targets: &[&str]) -> Value {
        let what = format!("the agent says {status} at {targets:?}");
        wait_until(&what, PATIENCE, || {
            let record = self.status()?["records"][0].clone();
            (record["status"] == status && record["targets"] == serde_json::json!(targets)).then_some(record)
        })
    }

    /// Starts the agent.
    pub(crate) fn run(&self) -> Agent {
        self.run_behind(&[])
    }

    /// The same behind these words, which run it elsewhere and end in it.
    pub(crate) fn run_behind(&self, place: &[&str]) -> Agent {
        let number = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.path(&format!("run-{number}.log"));
        let file = File::create(&log).expect("the folder is ours");
        let child = self
            .program_behind(place, &["run"])
            .env("RUST_LOG", "info,failover=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("setpriv is missing: apt-get install util-linux");
        Agent { child, log }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- {}\n{}", self.config().display(), read(&self.config()));
        }
    }
}

/// A running agent; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// SIGKILL, now.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is dead");
    }

    /// SIGSTOP, until every thread of it stands still.
    pub(crate) fn freeze(&self) {
        testkit::freeze(&self.child.id().to_string());
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        testkit::thaw(&self.child.id().to_string());
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and its end with exit code 0.
    #[track_caller]
    pub(crate) fn terminate(mut self) {
        let sent =
            Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill is there");
        assert!(sent.success());
        let child = &mut self.child;
        let status = wait_until("the agent ends", PATIENCE, || child.try_wait().expect("it is ours"));
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"probed\"")).collect();
            println!("--- {}\n{}", self.log.display(), lines[lines.len().saturating_sub(80)..].join("\n"));
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
