//! The key of the zone may change what the agent writes and nothing else: with the very settings that the documents show,
//! on the servers that they are shown for.

use std::path::Path;

use testkit::{Bind, DnsServer, Knot, Mode, Pdns, Reply, Tsig, ZONE};

use crate::stage::{ALPHA, BETA, PRIMARY, Settings, Stage, WWW};

const MARKER: &str = "_failover.www.example.test";
const COORDINATION: &str = "docs/coordination.md";
const THREATS: &str = "docs/threat-model.md";

/// The code block of a document in which this stands, for the zone of the tests instead of that of the documents.
fn shown(document: &str, what: &str) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document));
    let text = text.unwrap_or_else(|why| panic!("{document}: {why}"));
    let mut blocks = text.split("```").skip(1).step_by(2).filter(|block| block.contains(what));
    let block = blocks.next().unwrap_or_else(|| panic!("{document} shows no {what}"));
    assert_eq!(blocks.next(), None, "{document} shows {what} twice");
    let (_language, block) = block.split_once('\n').expect("a line with the language");
    assert!(block.contains("www.workshopco.ca"), "{block}");
    block.replace("workshopco.ca", ZONE)
}

/// The name of the key that the documents show.
fn key(document: &str) -> &'static str {
    if document == COORDINATION { "failover-key" } else { "failover" }
}

fn bind(document: &str) -> Bind {
    let block = shown(document, "update-policy {");
    let (_, rules) = block.split_once('{').expect("braces");
    let (rules, _) = rules.rsplit_once('}').expect("braces");
    Bind::start_with(&[("BIND_SECONDARIES", "0"), ("BIND_KEY_NAME", key(document)), ("BIND_POLICY", rules)])
}

fn knot(document: &str) -> Knot {
    Knot::start_with(&[("KNOT_KEY_NAME", key(document)), ("KNOT_ACL", &shown(document, "acl:"))])
}

fn pdns() -> Pdns {
    let policy = shown(THREATS, "function updatepolicy");
    Pdns::start_with(&[("PDNS_TSIG_NAME", key(THREATS)), ("PDNS_UPDATE_POLICY", &policy)])
}

/// A server that is set up with no more rights than the agent has.
struct Narrow<S>(S);

impl<S: DnsServer> DnsServer for Narrow<S> {
    fn label(&self) -> &'static str {
        self.0.label()
    }
    fn dns(&self) -> std::net::SocketAddr {
        self.0.dns()
    }
    fn tsig(&self) -> Tsig {
        self.0.tsig()
    }
    fn pid(&self) -> String {
        self.0.pid()
    }
    fn stop(&self) {
        self.0.stop();
    }
    fn start_again(&mut self) {
        self.0.start_again();
    }
    fn set(&self, name: &str, records: &[&str]) {
        let added = records.iter().map(|record| format!("update add {name}. {record}"));
        let deleted = std::iter::once(format!("update delete {name}. A"));
        self.nsupdate(&deleted.chain(added).collect::<Vec<_>>().join("\n"));
    }
}

/// How a server does it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Each name has types of its own; a message is refused as a whole.
    Exact,
    /// The same, but that the types of one name are those of the other as well.
    TypesOfBoth,
    /// Each record is looked at alone: what is not allowed is left out, and the server says that all is well.
    LeavesOut,
}

fn holds(server: impl DnsServer + Send + Sync + 'static, manner: Manner) {
    let label = server.label();
    let mut stage = Stage::around(Narrow(server));
    stage.settings = Settings { more: "    coordination: zone".into(), ..Settings::default() };
    let records = |name: &str, kind: &str| stage.server.ask(name, kind).records;

    // Both in one message, as the agent sends it.
    stage.server.nsupdate(&format!(
        "update delete {WWW}. A\nupdate add {WWW}. 60 A {BETA}\nupdate add {WWW}. 60 AAAA ::1\n\
         update add {MARKER}. 60 TXT \"a marker\""
    ));
    assert_eq!((stage.answer(), records(MARKER, "TXT").len()), (vec![BETA.to_owned()], 1), "{label}");
    stage.server.nsupdate(&format!("update delete {WWW}. AAAA\nupdate delete {MARKER}. TXT"));
    stage.publish(&[ALPHA]);

    let others = [
        ("other.example.test", "A", "192.0.2.1"),
        ("sub.www.example.test", "A", "192.0.2.1"),
        ("other._failover.www.example.test", "TXT", "\"x\""),
        ("_failover.other.example.test", "TXT", "\"x\""),
        (WWW, "MX", "10 mail.example.test."),
        (MARKER, "MX", "10 mail.example.test."),
        (ZONE, "TXT", "\"x\""),
        ("ns1.example.test", "A", "192.0.2.1"),
    ];
    let crossed = [(WWW, "TXT", "\"x\""), (MARKER, "A", "192.0.2.1")];
    let (taken, crossed) = crossed.split_at(if manner == Manner::TypesOfBoth { 2 } else { 0 });
    for (name, kind, value) in taken {
        stage.server.nsupdate(&format!("check-names no\nupdate add {name}. 60 {kind} {value}"));
        stage.server.nsupdate(&format!("update delete {name}. {kind}"));
    }
    stage.publish(&[ALPHA]);
    for (name, kind, value) in others.iter().chain(crossed) {
        let before: Reply = stage.server.ask(name, kind);
        let (serial, line) = (stage.serial(), format!("update add {name}. 60 {kind} {value}"));
        // Else nsupdate itself would hold back an address at a name with an underscore.
        let said = stage.server.try_nsupdate(&format!("check-names no\n{line}"));
        assert_eq!(stage.server.ask(name, kind), before, "{label} took {line}");
        assert_eq!(stage.serial(), serial, "{label}: {line}");
        // Knot says that the key is not the one for this.
        let refused = |why: &String| why.contains("REFUSED") || why.contains("NOTAUTH(BADKEY)");
        let is_so =
            if manner == Manner::LeavesOut { said.is_ok() } else { said.as_ref().is_err_and(refused) };
        assert!(is_so, "{label}: {line}: {said:?}");
    }
    // Nor may it take away.
    let _ = stage.server.try_nsupdate("update delete ns1.example.test. A");
    assert_eq!(records("ns1.example.test", "A").len(), 1, "{label}");

    // What it may do is all that a failover needs.
    stage.backend.set(PRIMARY, &Mode::Closed);
    stage.site().once(&[]).ended(0);
    assert_eq!(stage.answer(), [BETA], "{label}");
    let marker = records(MARKER, "TXT");
    assert!(marker.len() == 1 && marker[0].contains("generation=1;"), "{label}: {marker:?}");
}

#[test]
fn bind_takes_what_the_agent_writes_and_nothing_else() {
    for document in [COORDINATION, THREATS] {
        holds(bind(document), Manner::Exact);
    }
}

#[test]
fn knot_takes_what_the_agent_writes_and_nothing_else() {
    for document in [COORDINATION, THREATS] {
        holds(knot(document), Manner::TypesOfBoth);
    }
}

#[test]
fn powerdns_takes_what_the_agent_writes_and_nothing_else() {
    holds(pdns(), Manner::LeavesOut);
}
