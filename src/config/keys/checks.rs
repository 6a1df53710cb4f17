//! Keys of `checks:` and `targets:`.

use super::Form::{
    Address, Choice, Duration, Either, Flag, List, Map, Name, Named, Number, OneOrMore, Percent, Port, Regex,
    Secret, Size, Status, Text,
};
use super::Harmless::{Empty, False, Never, Word};
use super::{Section, key, need};

pub(in crate::config) const CHECK: Section = Section {
    what: "a check",
    keys: &[
        key("http", Map(&HTTP), "An HTTP/1.1 request"),
        key("tcp", Map(&TCP), "A TCP connection"),
        key("exec", Map(&EXEC), "A program that obeys the rules of Nagios plugins"),
        key("interval", Duration, "Between two probes when all is calm, 10ms to 24h; default: 10s").or("10s"),
        key(
            "fast_interval",
            Duration,
            "From the first failure until all is calm, up to interval; default: 1s",
        )
        .or("1s"),
        key("timeout", Duration, "The longest a probe may take, up to interval; default: 3s").or("3s"),
        key(
            "jitter",
            Percent,
            "Each probe is moved by up to this share of the interval, 0% to 50%; default: 10%",
        )
        .or("10%"),
        key("fall", Number(1, 1000), "Failures that make a target Down; default: 3").or("3"),
        key("rise", Number(1, 1000), "Passes in a row that make it Up again; default: 3").or("3"),
        key("clear", Number(1, 1000), "Passes in a row that forgive earlier failures; default: 6").or("6"),
    ],
    later: &[
        ("tripwire", False),
        ("tls", Never),
        ("icmp", Never),
        ("dns", Never),
        ("grpc", Never),
        ("heartbeat", Never),
        ("postgres", Never),
        ("mysql", Never),
        ("redis", Never),
    ],
};

pub(in crate::config) const HTTP: Section = Section {
    what: "an http check",
    keys: &[
        key("method", Choice(&["GET", "HEAD", "OPTIONS", "POST"]), "The method; default: GET").or("GET"),
        key("path", Text, "Path and query, begins with /; default: /").or("/"),
        key("port", Port, "The port; default: 443 with tls, else 80"),
        key("tls", Flag, "TLS, with the certificate verified; default: false").or("false"),
        key("host", Text, "The Host header; default: the address"),
        key("sni", Text, "The name in the certificate; default: host"),
        key("headers", Named(&Secret), "More headers"),
        key("status", OneOrMore(&Status), "Codes and ranges that pass; default: 200-299").or("200-299"),
        key("body", Map(&BODY), "What the body must hold"),
        key("max_body", Size, "How much of the body is read, up to 16MiB; default: 64KiB").or("64KiB"),
    ],
    later: &[
        ("auth", Never),
        ("mtls", Never),
        ("client_certificate", Never),
        ("client_key", Never),
        ("ca", Never),
        ("min_tls_days", Never),
        ("reuse", False),
        ("http2", False),
        ("send", Never),
    ],
};

pub(in crate::config) const BODY: Section = Section {
    what: "what a body must hold",
    keys: &[key("contains", Text, "This text"), key("regex", Regex, "A match of this expression")],
    later: &[("json", Never), ("json_pointer", Never), ("pointer", Never)],
};

pub(in crate::config) const TCP: Section = Section {
    what: "a tcp check",
    keys: &[
        need("port", Port, "The port"),
        key("send", Text, "Sent once connected"),
        key("expect", Either(&[Text, Map(&BODY)]), "Must come within 64 KiB and the timeout"),
    ],
    later: &[("tls", False), ("reuse", False)],
};

pub(in crate::config) const EXEC: Section = Section {
    what: "an exec check",
    keys: &[need(
        "command",
        List(&Text),
        "An absolute path and its arguments; {address} is replaced; no shell",
    )],
    later: &[("environment", Empty), ("directory", Never)],
};

pub(in crate::config) const TARGET: Section = Section {
    what: "a target",
    keys: &[
        need("address", OneOrMore(&Address), "1 to 64 IP addresses, of both families"),
        need("checks", OneOrMore(&Name), "Names of checks; an address is Up when all of them are"),
    ],
    later: &[("require", Word("all")), ("weight", Never)],
};
