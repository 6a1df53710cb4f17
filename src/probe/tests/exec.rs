//! Programs that obey the rules of Nagios plugins, and programs that do not.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use super::{check, failure, probe, unknown};
use crate::decision::Outcome;
use crate::probe::{CheckKind, ExecCheck, Report};

/// A script in a directory of its own, run by `sh` (a file just written may still be "busy" for `exec`).
struct Script {
    directory: TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("plugin"), text).unwrap();
        Script { directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    async fn run(&self, timeout: Duration) -> Report {
        let command = vec!["/bin/sh".into(), self.file("plugin"), "{address}".into(), "at={address}".into()];
        let mut check = check(CheckKind::Exec(ExecCheck { command }));
        check.timeout = timeout;
        probe(check).await
    }
}

const LONG: Duration = Duration::from_secs(20);

async fn run(text: &str) -> Report {
    Script::new(text).run(LONG).await
}

#[tokio::test]
async fn the_exit_code_speaks() {
    assert_eq!(run("exit 0").await.outcome, Outcome::Pass);
    assert_eq!(run("echo 'WARNING - slow'; exit 1").await.outcome, Outcome::Pass);
    let critical = run("echo; echo 'HTTP CRITICAL: no answer | time=3s'; echo more; exit 2").await;
    assert_eq!(failure(&critical), "HTTP CRITICAL: no answer");
    assert_eq!(failure(&run("echo oops >&2; exit 2").await), "oops");
    assert_eq!(failure(&run("exit 2").await), "/bin/sh exited with 2 (critical)");
    assert_eq!(
        unknown(&run("echo 'no such host'; exit 3").await),
        "/bin/sh exited with 3 (unknown): no such host"
    );
    assert_eq!(unknown(&run("exit 127").await), "/bin/sh exited with 127, which is none of 0 to 3");
    assert!(unknown(&run("kill -9 $$").await).contains("signal"));
}

/// The agent raises its own limit for its probes; programs have what they are used to.
#[tokio::test]
async fn it_has_the_usual_limit_of_open_files() {
    let told =
        run("i=0; while [ $(ulimit -Sn) -gt 1024 ] && [ $i -lt 200 ]; do sleep 0.1; i=$((i+1)); done; \
                    echo $(($(ulimit -Sn) > 1024)); exit 2");
    assert_eq!(failure(&told.await), "0");
}

#[tokio::test]
async fn it_is_told_the_address_and_nothing_of_us() {
    let script = Script::new(
        r#"{ echo "$1 $2 $FAILOVER_ADDRESS"; env | cut -d= -f1 | sort | tr '\n' ' '; } >"$(dirname "$0")/seen"; cat"#,
    );
    assert_eq!(script.run(LONG).await.outcome, Outcome::Pass, "stdin is empty, so cat ends");
    let seen = std::fs::read_to_string(script.file("seen")).unwrap();
    let (arguments, names) = seen.split_once('\n').unwrap();
    assert_eq!(arguments, "127.0.0.1 at=127.0.0.1 127.0.0.1");
    // The shell itself adds PWD and its like; cargo's own variables would be there if ours were passed on.
    assert!(names.contains("PATH") && !names.contains("CARGO") && !names.contains("HOME"), "{names}");
}

/// bad day: check: a program prints megabytes | read away; only the beginning is kept
#[tokio::test]
async fn ten_megabytes_of_output_neither_block_nor_stay() {
    let report = run("head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2; echo END; exit 2").await;
    let reason = failure(&report);
    assert!(reason.len() <= 200, "{} bytes", reason.len());
}

#[tokio::test]
async fn control_characters_do_not_reach_a_terminal() {
    let report = run(r"printf '\033[31mred\a\n'; exit 2").await;
    assert_eq!(failure(&report), "[31mred");
}

/// The pid a script wrote.
fn pid(file: &str) -> Pid {
    Pid::from_raw(std::fs::read_to_string(file).unwrap().trim().parse().unwrap()).unwrap()
}

/// Gone, or dead and not yet reaped.
fn is_dead(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("stat"));
    test_kill_process(pid).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

async fn dies(pid: Pid) {
    let dead = async {
        while !is_dead(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), dead).await.expect("the process is still there");
}

/// Writes its own pid and that of a grandchild, says that it did, and hangs.
const HANGS: &str =
    r#"cd "$(dirname "$0")"; sleep 1000 & echo $! >grandchild; echo $$ >child; : >ready; wait"#;

/// bad day: check: a program hangs | killed at the time-out with all its children; a failure
#[tokio::test]
async fn one_that_hangs_fails_at_the_deadline_and_its_grandchildren_die_with_it() {
    let script = Script::new(HANGS);
    let report = script.run(Duration::from_millis(500)).await;
    assert_eq!(failure(&report), "no result within 500ms");
    dies(pid(&script.file("child"))).await;
    dies(pid(&script.file("grandchild"))).await;
}

#[tokio::test]
async fn a_dropped_probe_leaves_nobody_behind() {
    let script = Script::new(HANGS);
    tokio::select! {
        report = script.run(LONG) => panic!("{report:?}"),
        () = async {
            while !Path::new(&script.file("ready")).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    dies(pid(&script.file("child"))).await;
    dies(pid(&script.file("grandchild"))).await;
}

#[tokio::test]
async fn one_that_leaves_a_grandchild_is_not_waited_for() {
    let script = Script::new(r#"sleep 1000 & echo $! >"$(dirname "$0")/grandchild"; echo bad; exit 2"#);
    let report = script.run(LONG).await;
    assert_eq!(failure(&report), "bad");
    assert!(report.timings.total < LONG);
    dies(pid(&script.file("grandchild"))).await;
}

/// bad day: check: a program cannot be started | unknown, nobody is down for it
#[tokio::test]
async fn what_cannot_be_started_is_our_trouble() {
    let start =
        async |program: String| probe(check(CheckKind::Exec(ExecCheck { command: vec![program] }))).await;
    assert!(unknown(&start("/nowhere/plugin".into()).await).contains("/nowhere/plugin: no such program"));
    let script = Script::new("exit 0");
    assert!(unknown(&start(script.file("plugin")).await).contains("may not execute"));
    let empty = probe(check(CheckKind::Exec(ExecCheck { command: Vec::new() }))).await;
    assert!(unknown(&empty).contains("no such program"));
}
