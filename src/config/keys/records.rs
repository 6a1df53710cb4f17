//! Keys of `records:`.

use super::Form::{
    Address, Choice, Domain, Duration, Either, Flag, List, Map, Name, Number, OneOrMore, SocketAddress,
};
use super::Harmless::{Empty, False, Word};
use super::{Section, key, need};

pub(in crate::config) const RECORD: Section = Section {
    what: "a record",
    keys: &[
        need("name", Domain, "The full name"),
        need("provider", Name, "Where it is written"),
        key("zone", Domain, "The zone; default: found at the provider, longest suffix"),
        key(
            "nameservers",
            OneOrMore(&SocketAddress),
            "Who is asked for the live record; default: the zone's NS",
        ),
        key("ttl", Number(0, 2_147_483_647), "Seconds, without a unit; default: 60").or("60"),
        need(
            "targets",
            Either(&[Name, List(&Either(&[Name, List(&Name)]))]),
            "In order of priority; a list in it is a tier",
        ),
        key(
            "serve",
            Choice(&["first", "all"]),
            "One target of the tier, or every one that is Up; default: first",
        )
        .or("first"),
        key("failback", Map(&FAILBACK), "When to go back to a better target").or("{}"),
        key(
            "all_down",
            Either(&[Choice(&["hold", "serve_all"]), Map(&ALL_DOWN)]),
            "What to publish when every target is Down; default: hold, what is there",
        )
        .or("hold"),
        key("flapping", Map(&FLAPPING), "When a record that changes too often is left alone").or("{}"),
        key("hold_down", Duration, "The shortest time between two changes; default: 60s").or("60s"),
        key("adopt", OneOrMore(&Either(&[Address, Domain])), "Values of others that may be replaced"),
        key("create", Flag, "Make the record if it does not exist; default: false").or("false"),
        key(
            "coordination",
            Choice(&["none", "zone"]),
            "How several agents agree: zone, by a marker beside it; default: none",
        )
        .or("none"),
    ],
    later: &[
        ("require", Word("all")),
        ("best_effort", False),
        ("before_change", Empty),
        ("after_change", Empty),
    ],
};

pub(in crate::config) const ALL_DOWN: Section = Section {
    what: "`all_down`",
    keys: &[need("fallback", Name, "The target of this record that is published, whether it works or not")],
    later: &[],
};

pub(in crate::config) const FLAPPING: Section = Section {
    what: "`flapping`",
    keys: &[
        key("half_life", Duration, "In this time the penalty halves, from 1s; default: 15m").or("15m"),
        key(
            "suppress",
            Number(1000, 1_000_000),
            "From here on no change is made; each change adds 1000; default: 4000",
        )
        .or("4000"),
        key("reuse", Number(2, 1_000_000), "Until it is below this; at most `suppress`; default: 1000")
            .or("1000"),
    ],
    later: &[],
};

pub(in crate::config) const FAILBACK: Section = Section {
    what: "`failback`",
    keys: &[
        key("mode", Choice(&["auto", "manual"]), "manual waits for `failover failback`; default: auto")
            .or("auto"),
        key("after", Duration, "How long a better target must have been Up; default: 5m").or("5m"),
    ],
    later: &[],
};
