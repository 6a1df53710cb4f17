//! The rules, fed with text that breaks them.

use super::*;

fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|breach| breach.line).collect()
}

#[test]
fn a_sibling_is_not_imported_by_any_spelling() {
    let text = "use crate::decision::Now;\n\
                use crate::store::Batch;\n\
                use crate::{\n    clock,\n    notify::{Channel, config},\n};\n\
                fn f(x: crate::agent::Agent) {}\n\
                use super::super::probe::Check;\n\
                use super::watch::Watched;\n";
    let breaches = walls(&Source::parse("src/live/system.rs", text));
    assert_eq!(lines(&breaches), [2, 5, 7, 8]);
    assert!(
        breaches[0].to_string().starts_with("src/live/system.rs:2: `live` imports `store`"),
        "{}",
        breaches[0]
    );
    assert_eq!(lines(&walls(&Source::parse("src/live/mod.rs", "use super::store;"))), [1]);
    assert_eq!(lines(&walls(&Source::parse("src/main.rs", "use failover::agent;"))), [1]);
    assert_eq!(walls(&Source::parse("src/agent/mod.rs", text)), []);
}

#[test]
fn a_new_room_needs_a_row() {
    assert_eq!(lines(&walls(&Source::parse("src/attic/mod.rs", ""))), [1]);
}

#[test]
fn tests_texts_and_comments_are_no_imports() {
    let text = "// use crate::store::Batch;\n\
                /* crate::store */ const X: &str = \"crate::store::Batch\";\n\
                const Y: &str = r#\"a \" crate::store\"#; const Z: char = '\"'; // crate::store\n\
                fn f<'a>(x: &'a str) {}\n\
                #[cfg(test)]\nmod tests {\n    use crate::store::Batch;\n    fn f() { if true { } }\n}\n\
                #[cfg(test)]\nuse crate::store::Batch;\n\
                use crate::notify::Channel;\n";
    assert_eq!(lines(&walls(&Source::parse("src/live/system.rs", text))), [12]);
}

#[test]
fn judgement_does_nothing() {
    let text = "use std::time::Duration;\n\
                use std::time::Instant;\n\
                fn f() { let now = Timestamp::now(); }\n\
                async fn g() {}\n\
                fn h() { tracing::info!(\"x\"); println!(\"x\"); }\n\
                use std::net::{IpAddr, TcpStream};\n\
                use providers::{DomainName, Provider};\n\
                // Instant, tokio, println!\n\
                fn random_instants(known_at: &'static str) {}\n";
    let mut found = lines(&purity(&Source::parse("src/decision/x.rs", text)));
    found.sort_unstable();
    assert_eq!(found, [2, 3, 4, 5, 5, 6, 7]);
    assert_eq!(purity(&Source::parse("src/live/x.rs", text)), []);
}

#[test]
fn long_files_and_wide_lines_are_found() {
    let long = Source::parse("src/live/x.rs", &"\n".repeat(501));
    assert_eq!(lines(&size(&long, &[])), [501]);
    assert_eq!(size(&long, &[("src/live/x.rs", 501)]), []);
    assert_eq!(lines(&size(&long, &[("src/live/x.rs", 500)])), [501], "it has grown");
    let short = Source::parse("src/live/x.rs", &"\n".repeat(500));
    assert_eq!(size(&short, &[]), []);
    assert_eq!(lines(&size(&short, &[("src/live/x.rs", 600)])), [500], "it may leave the list");
    let wide = Source::parse("src/live/x.rs", &format!("fn f() {{}}\n//{0}\n//! | {0} |\n", "é".repeat(129)));
    assert_eq!(lines(&size(&wide, &[])), [2]);
}

#[test]
fn what_is_unfinished_is_found() {
    let text = "fn f() { g().unwrap() }\n\
                fn h() { todo!() }\n\
                /// x.unwrap()\n\
                fn i() { \"todo!()\"; my_todo!() }\n\
                #![allow(dead_code)]\n\
                #[cfg(test)]\nmod tests { fn f() { g().unwrap() } }\n";
    let mut found = lines(&words(&Source::parse("providers/src/x.rs", text)));
    found.sort_unstable();
    assert_eq!(found, [1, 2, 5]);
    assert_eq!(lines(&words(&Source::parse("tests/x.rs", text))), [2]);
}

#[test]
fn the_module_of_a_test_is_a_test() {
    let parent = Source::parse("src/live/mod.rs", "#[cfg(test)]\nmod fake;\nmod watch;\n");
    assert_eq!(parent.test_files(), ["src/live/fake"]);
    let child = Source::parse("src/live/watch.rs", "#[cfg(test)]\nmod tests;\n");
    assert_eq!(child.test_files(), ["src/live/watch/tests"]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let text = format!("fine\nsee {}notes.md\n", MACHINE_PATHS[0]);
    assert_eq!(lines(&machine_paths("README.md", &text)), [2]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "[a](b.md) [c](https://example.com/x)\n[d](../e.md#part) [f](#g)\n";
    let exists = |path: &Path| path == Path::new("docs/b.md");
    assert_eq!(lines(&links("docs/x.md", text, exists)), [2]);
}

#[test]
fn commands_are_read_from_code_blocks_only() {
    let text = "failover nonsense\n```sh\n$ failover plan -o json\ncargo run --release -- rehearse\n\
                sudo failover -c x.yaml --color never once\n./failover.yaml\n```\nfailover more\n";
    let found: Vec<String> = commands(text).into_iter().map(|(_, command)| command).collect();
    assert_eq!(found, ["plan", "rehearse", "once"]);
}
