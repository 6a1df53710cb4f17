//! The most there may be of anything: told in words, at its place, and soon.

use std::fmt::Write as _;

use failover::config::Config;

use super::{SMALL, parse, parse_with};

/// The first fault of this text.
fn refused(text: &str) -> String {
    parse(text).expect_err("in a test").faults()[0].to_string()
}

fn many(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(", ")
}

/// Those that fit a small file are in `tests/bad_config`.
#[test]
fn there_is_a_most_of_everything() {
    let checks = refused(&format!("checks: {{{}}}", many(1001, |i| format!("c{i}: {{tcp: {{port: 1}}}}"))));
    assert!(checks.contains("1:9: 1001 checks, and there may be at most 1000; "), "{checks}");
    let targets = refused(&format!("targets: {{{}}}", many(100_001, |i| format!("t{i}: ~"))));
    assert!(targets.contains("1:10: 100001 targets, and there may be at most 100000; "), "{targets}");
    let channels =
        refused(&format!("notify: {{channels: {{{}}}}}", many(101, |i| format!("c{i}: {{type: log}}"))));
    assert!(channels.contains("101 channels, and there may be at most 100; "), "{channels}");
    let routes = refused(&format!("notify: {{routes: [{}]}}", many(1001, |_| "{channel: a}".into())));
    assert!(routes.contains("1001 routes, and there may be at most 1000; "), "{routes}");
    let adopt =
        format!("targets: [a, b], adopt: [{}]", many(257, |i| format!("10.0.{}.{}", i / 250, i % 250)));
    let adopt = refused(&SMALL.replace("targets: [a, b]", &adopt));
    assert!(adopt.contains("257 values, and there may be at most 256; "), "{adopt}");
    let targets = many(257, |i| format!("t{i}: {{address: 10.0.{}.{}, checks: up}}", i / 250, i % 250));
    let text = SMALL.replace("targets: {a:", &format!("targets: {{{targets}, a:"));
    let targets =
        refused(&text.replace("targets: [a, b]", &format!("targets: [{}]", many(257, |i| format!("t{i}")))));
    assert!(targets.contains("a record has 1 to 256 targets, and this has 257"), "{targets}");
}

#[test]
fn an_agent_probes_so_much_and_no_more() {
    let addresses = |t: usize| many(64, |i| format!("10.{}.{}.{i}", t / 250, t % 250));
    let mut text =
        format!("checks: {{{}}}\ntargets:\n", many(16, |i| format!("c{i}: {{tcp: {{port: {}}}}}", i + 1)));
    for target in 0..196 {
        let checks = many(16, |i| format!("c{i}"));
        let _ = writeln!(text, "  t{target}: {{address: [{}], checks: [{checks}]}}", addresses(target));
    }
    let said = refused(&text);
    assert!(
        said.contains("200704 things to probe (addresses times checks), and one agent probes at most 200000"),
        "{said}"
    );
}

#[test]
fn a_value_a_key_and_a_file_have_a_length() {
    let value = refused(&format!("agent: {{state: {}}}", "x".repeat(64 * 1024 + 1)));
    assert!(value.contains("1:16: `state` is longer than 64 KiB; shorten it"), "{value}");
    let from_outside = "x".repeat(64 * 1024 + 1);
    let value = parse_with("agent: {state: \"${LONG}\"}", &[("LONG", &from_outside)])
        .expect_err("in a test")
        .to_string();
    assert!(value.contains("longer than 64 KiB") && value.len() < 1000, "{value}");
    let key = refused(&format!("agent: {{{}: 1}}", "k".repeat(257)));
    assert!(key.contains("1:9: a key of more than 256 bytes; "), "{key}");
    let values = refused(&format!("records: [{}]", "a,".repeat(2_000_001)));
    assert!(values.contains("more than 2000000 values in all files; "), "{values}");
}

#[test]
fn a_folder_has_so_many_files_and_bytes() {
    let folder = tempfile::tempdir().expect("in a test");
    for file in 0..17 {
        std::fs::write(folder.path().join(format!("{file:02}.yaml")), "# 0123456789abcde\n".repeat(57_000))
            .expect("in a test");
    }
    let said = Config::load(folder.path(), &|_| None).expect_err("in a test").to_string();
    assert!(said.contains("16.yaml: with this file there are more than 16 MiB in the folder"), "{said}");
    let folder = tempfile::tempdir().expect("in a test");
    for file in 0..257 {
        std::fs::write(folder.path().join(format!("{file}.yaml")), "").expect("in a test");
    }
    let said = Config::load(folder.path(), &|_| None).expect_err("in a test").to_string();
    assert!(said.contains("257 files, and at most 256 are read"), "{said}");
}

/// All faults are counted, the first fifty are shown, and thousands take no longer than a person waits.
#[test]
fn thousands_of_faults_are_counted_and_the_first_are_shown() {
    let mut text = String::from("checks: {up: {tcp: {port: 80}}}\ntargets:\n");
    for target in 0..9_000 {
        let _ =
            writeln!(text, "  t{target}: {{address: 192.0.2.300, checks: [up, down{target}], wieght: 1}}");
    }
    let started = started();
    let errors = parse(&text).expect_err("in a test");
    let said = errors.to_string();
    assert_eq!(errors.faults().len(), 27_000);
    assert!(said.ends_with("27000 faults, 26950 of them not shown"), "{}", &said[said.len() - 100..]);
    assert_eq!(said.matches("= help: ").count(), 50);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
pub(crate) fn started() -> std::time::Instant {
    std::time::Instant::now()
}
