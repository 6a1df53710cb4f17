//! The fuzz targets of this crate: what comes from outside and is parsed, one function for each way in.
//!
//! `fuzz/` runs each of them with libFuzzer; the test below runs them on any toolchain, over `fuzz/corpus/` and changes
//! of it. A target panics when something is wrong: with a panic of the code under it, or with a property that does not
//! hold.

use crate::{cli, config, decision, dns, live, notify, probe, store};

/// A name, and what takes any octets and panics when something is wrong.
pub type Target = (&'static str, fn(&[u8]));

/// The targets by name. `fuzz/corpus/` has a folder for each.
pub const TARGETS: &[Target] = &[
    ("certificate", probe::fuzzing::certificate),
    ("chat_reply", notify::fuzzing::chat_reply),
    ("config", config::fuzzing::config),
    ("dns_answer", dns_answer),
    ("dns_value", dns::fuzzing::dns_value),
    ("exec_output", probe::fuzzing::exec_output),
    ("grpc_health", probe::fuzzing::grpc_health),
    ("http1", probe::fuzzing::http1),
    ("http2", probe::fuzzing::http2),
    ("json_body", probe::fuzzing::json_body),
    ("marker", decision::fuzzing::marker),
    ("nagios", cli::fuzzing::nagios),
    ("signing_secret", notify::fuzzing::signing_secret),
    ("smtp_reply", probe::fuzzing::smtp_reply),
    ("state_row", store::fuzzing::state_row),
];

/// One message as the two who ask DNS servers read it: the `dns` check, and `live`.
fn dns_answer(data: &[u8]) {
    probe::fuzzing::dns_answer(data);
    live::fuzzing::live(data);
}

/// Runs a target once.
///
/// # Panics
/// When what it holds does not hold, and for a name that is none.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1(data);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn smoke(name: &str) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
        // A configuration is large and read slowly; all targets together take a minute at most.
        testkit::smoke(name, &corpus, *target, if name == "config" { 9 } else { 3 });
    }

    macro_rules! smoke {
        ($($name:ident),*) => {
            $(#[test] fn $name() { smoke(stringify!($name)); })*

            #[test]
            fn every_target_is_tried() {
                let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
                assert_eq!(names, [$(stringify!($name)),*]);
            }
        };
    }
    smoke!(
        certificate,
        chat_reply,
        config,
        dns_answer,
        dns_value,
        exec_output,
        grpc_health,
        http1,
        http2,
        json_body,
        marker,
        nagios,
        signing_secret,
        smtp_reply,
        state_row
    );
}
