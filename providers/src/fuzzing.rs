//! The fuzz targets of this crate: what providers answer. `fuzz/` runs each of them with libFuzzer; the test below runs
//! them on any toolchain, over `fuzz/corpus/` and changes of it.

use crate::{mock, powerdns, rfc2136};

/// The zone that is spoken of.
pub(crate) const ZONE: &str = "example.test";

/// A name, and what takes any octets and panics when something is wrong.
pub type Target = (&'static str, fn(&[u8]));

/// The targets by name. `fuzz/corpus/` has a folder for each.
pub const TARGETS: &[Target] = &[
    ("dns_update", rfc2136::fuzzing::dns_update),
    ("mock_zone", mock::fuzzing::mock_zone),
    ("powerdns", powerdns::fuzzing::powerdns),
];

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

    fn smoke(place: usize) {
        let (name, target) = TARGETS[place];
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
        testkit::smoke(name, &corpus, target, 3);
    }

    #[test]
    fn dns_update() {
        smoke(0);
    }

    #[test]
    fn mock_zone() {
        smoke(1);
    }

    #[test]
    fn powerdns() {
        smoke(2);
    }
}
