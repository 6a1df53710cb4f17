//! `failover probe`: for a person, for a program, and as a plugin.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::{Mode, wait_until};

use crate::agent::{BINARY, Ended, clean};
use crate::stage::{PATIENCE, PRIMARY, Stage, text};

/// Wraps a plugin and turns its result round; it understands the output of plugins only.
const NEGATE: &str = "/usr/lib/nagios/plugins/negate";

/// The files of the stage and their contents.
fn files(stage: &Stage) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(stage.folder.path()).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), text(&path)))
        .collect();
    files.sort();
    files
}

#[test]
fn a_target_that_passes_fails_or_cannot_be_known() {
    let stage = Stage::new();
    stage.config();
    let before = files(&stage);
    let passes = stage.run(&["probe", "toronto"]);
    assert_eq!((passes.code, passes.stderr.as_str()), (0, ""), "{passes:?}");
    assert!(passes.stdout.starts_with("toronto passes\n  web 127.0.0.2  pass "), "{passes:?}");
    assert!(passes.stdout.contains("connect ") && passes.stdout.contains("first byte "), "{passes:?}");

    stage.kill_primary();
    let fails = stage.run(&["probe", "toronto"]);
    assert_eq!(fails.code, 1, "{fails:?}");
    assert!(fails.stdout.contains("refused"), "{fails:?}");
    assert_eq!(stage.run(&["probe", "montreal"]).code, 0);

    // A plugin that says "unknown" says nothing of the target.
    let plugin = "exec: {command: [/bin/sh, -c, \"echo no idea; exit 3\"]}";
    let http = format!("http: {{port: {}, path: /healthz}}", stage.hosts.port());
    stage.edit(&http, plugin);
    let unknown = stage.run(&["probe", "montreal"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert!(
        unknown.stdout.contains("montreal cannot be judged") && unknown.stdout.contains("no idea"),
        "{unknown:?}"
    );
    stage.edit(plugin, &http);
    stage.config();
    assert_eq!(files(&stage), before, "a probe writes nothing");
    assert!(stage.chat.received().is_empty(), "and tells nobody");
}

#[test]
fn addresses_combine_as_the_agent_combines_them_and_can_be_singled_out() {
    let stage = Stage::new();
    stage.edit(&format!("address: {PRIMARY}"), &format!("address: [{PRIMARY}, 127.0.0.4]"));
    stage.kill_primary();
    let one = stage.run(&["probe", "toronto", "-o", "json"]);
    assert_eq!(one.code, 0, "one address of the family is enough: {one:?}");
    let seen = one.json();
    assert_eq!(
        (&seen["command"], &seen["target"], &seen["verdict"]),
        (&"probe".into(), &"toronto".into(), &"pass".into())
    );
    let probes = seen["probes"].as_array().unwrap();
    let of = |key: &str| probes.iter().map(|probe| probe[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("address"), ["127.0.0.2", "127.0.0.4"]);
    assert_eq!(of("outcome"), ["fail", "pass"]);
    assert!(probes[0]["reason"].as_str().is_some_and(|why| why.contains("refused")), "{seen:#}");
    assert_eq!(probes[1]["reason"], Value::Null);
    for key in ["connect_ms", "first_byte_ms", "total_ms"] {
        assert!(probes[1][key].as_f64().is_some_and(|ms| ms > 0.0), "{key}: {seen:#}");
    }
    assert_eq!((&probes[1]["tls_ms"], &probes[1]["certificate"]), (&Value::Null, &Value::Null));
    assert!(probes[1]["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{seen:#}");

    assert_eq!(stage.run(&["probe", "toronto", "--address", PRIMARY]).code, 1);
    assert_eq!(stage.run(&["probe", "toronto", "--address", "127.0.0.4", "--check", "web"]).code, 0);
    for (arguments, says) in [
        (&["probe", "torronto"] as &[&str], "montreal, toronto"),
        (&["probe", "toronto", "--check", "ssh"], "there is: web"),
        (&["probe", "toronto", "--address", "127.0.0.9"], "127.0.0.2, 127.0.0.4"),
    ] {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
    }
}

/// The timeout of the check is half a second. What a loaded machine takes to start a program is not the program's: it
/// is measured on a target that answers at once, and one good pair of looks is enough.
#[test]
fn it_ends_within_the_timeout_and_a_second() {
    let stage = Stage::new();
    let look = |mode: &Mode| {
        stage.hosts.set(0, mode);
        #[expect(clippy::disallowed_methods, reason = "how long a process runs is real time")]
        let started = std::time::Instant::now();
        let seen = stage.run(&["probe", "toronto"]);
        (started.elapsed(), seen)
    };
    wait_until("one that ends in time", PATIENCE, || {
        let (took, hangs) = look(&Mode::Hang);
        assert_eq!(hangs.code, 1, "{hangs:?}");
        assert!(hangs.stdout.contains("no answer within 500ms"), "{hangs:?}");
        let (answered, _) = look(&Mode::Ok);
        (took < answered + Duration::from_millis(1500)).then_some(())
    });
}

#[test]
fn a_watch_counts_to_its_end_and_sums_up() {
    let stage = Stage::new();
    stage.hosts.set(0, &Mode::Alternating(503));
    let watch = ["probe", "toronto", "--watch", "--interval", "100ms", "--count", "4"];
    let lines = stage.run(&[&watch[..], &["-o", "jsonl"]].concat());
    let lines: Vec<Value> = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["type"]).collect();
    assert_eq!(kinds, ["probe", "probe", "probe", "probe", "summary"]);
    let sum = &lines[4]["endpoints"][0];
    let numbers = ["sent", "passed", "failed", "unknown"].map(|key| sum[key].as_u64().unwrap());
    assert_eq!(numbers, [4, 2, 2, 0], "{sum:#}");
    let [min, mean, max] = ["min_ms", "mean_ms", "max_ms"].map(|key| sum[key].as_f64().unwrap());
    assert!(0.0 < min && min <= mean && mean <= max, "{sum:#}");
    let last = lines[3]["outcome"].as_str().unwrap();
    assert_eq!(lines[4]["verdict"], last, "by the last probe");

    let people = stage.run(&watch);
    assert_eq!(
        people.stdout.lines().filter(|line| line.contains(" UTC  web 127.0.0.2  ")).count(),
        4,
        "{people:?}"
    );
    assert!(
        people
            .stdout
            .contains("\ntoronto\n  web 127.0.0.2: 4 sent, 2 passed, 2 failed, 0 unknown; min/mean/max "),
        "{people:?}"
    );
    let json = stage.run(&[&watch[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["endpoints"][0]["sent"], 4);
}

#[test]
fn ctrl_c_ends_a_watch_with_its_sum() {
    let stage = Stage::new();
    let out = stage.path("watch.txt");
    let mut command = stage.command(&["probe", "toronto", "--watch", "--interval", "100ms"]);
    let file = std::fs::File::create(&out).unwrap();
    let mut child = command.stdout(file).stderr(Stdio::null()).spawn().unwrap();
    wait_until("three lines", PATIENCE, || (text(&out).lines().count() >= 3).then_some(()));
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let status = wait_until("its end", Duration::from_secs(10), || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "the last probe passed");
    assert!(text(&out).contains(" sent, "), "{}", text(&out));
}

fn nagios(stage: &Stage, more: &[&str]) -> Ended {
    stage.run(&[&["probe", "toronto", "--nagios"], more].concat())
}

#[test]
fn a_plugin_in_its_four_states() {
    let stage = Stage::new();
    let ok = nagios(&stage, &[]);
    assert_eq!((ok.code, ok.stderr.as_str()), (0, ""), "{ok:?}");
    assert!(ok.stdout.starts_with("FAILOVER OK - toronto passes: 1 of 1 probe passed, slowest 0."), "{ok:?}");
    assert!(ok.stdout.contains("|time=0.") && ok.stdout.ends_with(";0;0.5\n"), "{ok:?}");
    assert_eq!(nagios(&stage, &["--warning", "@0:10"]).code, 1);
    assert_eq!(nagios(&stage, &["--warning", "@0:10", "--critical", "~:0"]).code, 2);
    assert_eq!(nagios(&stage, &["--warning", "10", "--critical", "20:"]).code, 2, "below 20 seconds");
    assert_eq!(nagios(&stage, &["--warning", "10", "--critical", "20"]).code, 0);
    stage.kill_primary();
    let critical = nagios(&stage, &[]);
    assert_eq!(critical.code, 2, "{critical:?}");
    assert!(critical.stdout.starts_with("FAILOVER CRITICAL - toronto fails: "), "{critical:?}");

    // Whatever is wrong with the call itself: one line, 3.
    stage.edit("hold_down: 0s", "hold_down: 0");
    let bad_config = nagios(&stage, &[]);
    stage.edit("hold_down: 0", "hold_down: 0s");
    let bad = [
        bad_config,
        nagios(&stage, &["--warning", "ten"]),
        nagios(&stage, &["--frobnicate"]),
        nagios(&stage, &["--check", "ssh"]),
        stage.run(&["probe", "--nagios"]),
        stage.run(&["probe", "torronto", "--nagios"]),
    ];
    for ended in bad {
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.stdout.starts_with("FAILOVER UNKNOWN - "), "{ended:?}");
        assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    }
    // `-c` is the configuration, and says so.
    let help = stage.run(&["probe", "--help"]).stdout;
    assert!(help.contains("-c is the configuration"), "{help}");
}

/// `negate` of the monitoring plugins runs a plugin, reads what it says and turns OK and CRITICAL round.
fn negated(stage: &Stage, more: &[&str]) -> Ended {
    let config = stage.config();
    let mut command = Command::new(NEGATE);
    clean(&mut command);
    Ended::of(command.args(["-s", BINARY, "probe", "toronto", "--nagios", "-c"]).arg(config).args(more))
}

#[test]
fn the_wrapper_of_the_monitoring_plugins_understands_it() {
    let stage = Stage::new();
    let turned = negated(&stage, &[]);
    assert_eq!(turned.code, 2, "OK becomes CRITICAL: {turned:?}");
    assert!(turned.stdout.contains("CRITICAL - toronto passes"), "{turned:?}");
    assert_eq!(negated(&stage, &["--warning", "@0:10"]).code, 1, "a warning stays one");
    stage.kill_primary();
    let turned = negated(&stage, &[]);
    assert_eq!(turned.code, 0, "CRITICAL becomes OK: {turned:?}");
    assert!(turned.stdout.contains("OK - toronto fails"), "{turned:?}");
    assert_eq!(negated(&stage, &["--frobnicate"]).code, 3, "UNKNOWN stays");
}

#[test]
fn what_a_target_answers_cannot_break_out_of_the_line() {
    let stage = Stage::new();
    let http = format!("http: {{port: {}, path: /healthz}}", stage.hosts.port());
    let body = format!("http: {{port: {}, path: /healthz, body: {{contains: never}}}}", stage.hosts.port());
    stage.edit(&http, &body);
    let evil = "x|time=0s;;;\nFAILOVER OK - 'fine' \"fine\" $(reboot) `id` <b>";
    stage.hosts.set(0, &Mode::Body(evil.into()));
    let people = stage.run(&["probe", "toronto"]);
    assert_eq!(people.code, 1, "{people:?}");
    let line = nagios(&stage, &[]);
    assert_eq!(line.code, 2, "{line:?}");
    assert_eq!((line.stdout.lines().count(), line.stdout.matches('|').count()), (1, 1), "{line:?}");
    assert!(line.stdout.starts_with("FAILOVER CRITICAL - "), "{line:?}");
    let harmful = ['\'', '"', '$', '`', '<', '>', '&', '\\'];
    assert!(!line.stdout.contains(harmful), "{line:?}");
}
