//! Keys of `checks:` and `targets:`.

use super::Form::{
    Address, Choice, Domain, Duration, Either, Flag, List, Map, Name, Named, Number, OneOrMore, Percent,
    Port, Regex, Secret, Size, Status, Text,
};
use super::Harmless::{Empty, False, Never, Word};
use super::{Section, key, need};

pub(in crate::config) const CHECK: Section = Section {
    what: "a check",
    keys: &[
        key("http", Map(&HTTP), "An HTTP/1.1 request"),
        key("tcp", Map(&TCP), "A TCP connection"),
        key("icmp", Map(&ICMP), "Echo requests, as ping sends them"),
        key("dns", Map(&DNS), "A question to the target, if it is a DNS server"),
        key("exec", Map(&EXEC), "A program that obeys the rules of Nagios plugins"),
        key("interval", Duration, "Between two probes when all is calm, 10ms to 24h; default: 10s"),
        key(
            "fast_interval",
            Duration,
            "From the first failure until all is calm, up to interval; default: 1s",
        ),
        key("timeout", Duration, "The longest a probe may take, up to interval; default: 3s"),
        key(
            "jitter",
            Percent,
            "Each probe is moved by up to this share of the interval, 0% to 50%; default: 10%",
        ),
        key("fall", Number(1, 1000), "Failures that make a target Down; default: 3"),
        key("rise", Number(1, 1000), "Passes in a row that make it Up again; default: 3"),
        key("clear", Number(1, 1000), "Passes in a row that forgive earlier failures; default: 6"),
    ],
    later: &[
        ("tripwire", False),
        ("tls", Never),
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
        key("method", Choice(&["GET", "HEAD", "OPTIONS", "POST"]), "The method; default: GET"),
        key("path", Text, "Path and query, begins with /; default: /"),
        key("port", Port, "The port; default: 443 with tls, else 80"),
        key("tls", Flag, "TLS, with the certificate verified; default: false"),
        key("host", Text, "The Host header; default: the address"),
        key("sni", Text, "The name in the certificate; default: host"),
        key("headers", Named(&Secret), "More headers"),
        key("status", OneOrMore(&Status), "Codes and ranges that pass; default: 200-299"),
        key("body", Map(&BODY), "What the body must hold"),
        key("max_body", Size, "How much of the body is read, up to 16MiB; default: 64KiB"),
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

pub(in crate::config) const ICMP: Section = Section {
    what: "an icmp check",
    keys: &[
        key("count", Number(1, 10), "Echo requests in one probe; default: 1"),
        key(
            "max_loss",
            Percent,
            "The share that may stay unanswered, 0% to 99%; default: one reply is enough",
        ),
        key("size", Number(16, 1472), "Bytes after the ICMP header; default: 56"),
    ],
    later: &[("interval", Never), ("ttl", Never)],
};

pub(in crate::config) const DNS: Section = Section {
    what: "a dns check",
    keys: &[
        need("name", Domain, "The name that is asked for; . is the root"),
        key("type", Choice(DNS_TYPES), "The type that is asked for; default: A"),
        key("port", Port, "The port; default: 53"),
        key(
            "transport",
            Choice(&["udp", "tcp"]),
            "How it is asked; udp goes on to TCP where the answer is cut short; default: udp",
        ),
        key("values", OneOrMore(&Text), "The answer holds these values and no others, at most 64"),
        key("contains", OneOrMore(&Text), "The answer holds these values, others may stand beside them"),
        key("rcode", Choice(DNS_CODES), "The response code that passes; default: NOERROR"),
        key(
            "authoritative",
            Flag,
            "The answer must (true) or must not (false) have authority; default: either",
        ),
        key("recursion", Flag, "The server may ask others for the answer (RD); default: false"),
    ],
    later: &[("tls", False), ("dnssec", False)],
};

/// Types that can be asked for.
pub(in crate::config) const DNS_TYPES: &[&str] = &[
    "A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SSHFP", "SVCB", "TLSA",
    "TXT",
];

/// Response codes that a check can wait for.
pub(in crate::config) const DNS_CODES: &[&str] =
    &["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "NOTAUTH"];

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
