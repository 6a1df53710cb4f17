//! Keys of `agent:` and `api:`.

use super::Form::{Address, Duration, Either, List, Map, Name, OneOrMore, Path, SocketAddress};
use super::Harmless::{Empty, False, Never, Word};
use super::{Section, key};

pub(in crate::config) const AGENT: Section = Section {
    what: "`agent`",
    keys: &[
        key("id", Name, "Who speaks in events; default: the host name"),
        key("state", Path, "The SQLite file, in a folder that exists; default: ./failover.db")
            .or("./failover.db"),
        key(
            "startup_grace",
            Duration,
            "Hold until every target has a verdict, at most this long; default: 30s",
        )
        .or("30s"),
        key("live_interval", Duration, "Time between two looks at the live record, from 100ms; default: 30s")
            .or("30s"),
        key(
            "resolvers",
            OneOrMore(&SocketAddress),
            "Who is asked where host names lead, at most 8; default: the system's",
        ),
        key("witnesses", List(&Map(&WITNESS)), "Things that have nothing to do with the targets, at most 16"),
    ],
    later: &[("vantage", Never), ("coordination", Word("none"))],
};

pub(in crate::config) const WITNESS: Section = Section {
    what: "a witness",
    keys: &[
        key("tcp", SocketAddress, "A connection to it is the proof"),
        key("icmp", Address, "An echo reply from it is the proof"),
        key("dns", Either(&[Address, SocketAddress]), "Any answer to `. NS` is the proof; port: 53"),
    ],
    later: &[("http", Never), ("tls", Never)],
};

pub(in crate::config) const API: Section = Section {
    what: "`api`",
    keys: &[key(
        "socket",
        Path,
        "Where the command line reaches the agent; made with mode 0600; default: nowhere",
    )],
    later: &[("listen", Never), ("tokens", Empty), ("tls", Never), ("dashboard", False)],
};
