//! Keys of `checks:` and `targets:`.

use super::Form::{
    Address, Choice, Decimal, Domain, Duration, Either, Flag, List, Map, Name, Named, Number, OneOrMore,
    Path, Percent, Port, Regex, Scalar, Secret, Size, Status, Text,
};
use super::Harmless::{Empty, False, Never};
use super::{Key, Section, key, need};

pub(in crate::config) const CHECK: Section = Section {
    what: "a check",
    keys: &[
        key("http", Map(&HTTP), "An HTTP request"),
        key("grpc", Map(&GRPC), "A question by the gRPC health protocol"),
        key("tcp", Map(&TCP), "A TCP connection"),
        key("tls", Map(&TLS), "A TLS handshake, its certificate verified"),
        key("icmp", Map(&ICMP), "Echo requests, as ping sends them"),
        key("dns", Map(&DNS), "A question to the target, if it is a DNS server"),
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
        key(
            "tripwire",
            Flag,
            "A connection is held between probes, and a probe comes at once when it breaks; default: false",
        )
        .or("false"),
    ],
    later: &[("heartbeat", Never), ("postgres", Never), ("mysql", Never), ("redis", Never)],
};

pub(in crate::config) const HTTP: Section = Section {
    what: "an http check",
    keys: &[
        key("method", Choice(&["GET", "HEAD", "OPTIONS", "POST"]), "The method; default: GET").or("GET"),
        key("path", Text, "Path and query, begins with /; default: /").or("/"),
        key("port", Port, "The port; default: 443 with tls, else 80"),
        key("tls", Flag, "TLS, with the certificate verified; default: false").or("false"),
        key("host", Text, "The Host header; default: the address, or the target's host name"),
        key("sni", Text, "The name in the certificate; default: host"),
        key("ca", Path, "PEM file of authorities, these and no others; default: those of this machine"),
        key("mtls", Map(&MTLS), "A client certificate for servers that ask for one"),
        MIN_TLS_DAYS_KEY,
        key("headers", Named(&Secret), "More headers"),
        key("auth", Map(&AUTH), "Who asks; not with a header Authorization"),
        key("send", Text, "The body of the request; with POST only"),
        key("status", OneOrMore(&Status), "Codes and ranges that pass; default: 200-299").or("200-299"),
        key("body", Map(&BODY), "What the body must hold"),
        key("max_body", Size, "How much of the body is read, up to 16MiB; default: 64KiB").or("64KiB"),
        key("http2", Flag, "HTTP/2 and nothing else; default: false").or("false"),
        key("reuse", Flag, "The connection is kept for the next probe; not with POST; default: false")
            .or("false"),
    ],
    later: &[],
};

pub(in crate::config) const GRPC: Section = Section {
    what: "a grpc check",
    keys: &[
        need("port", Port, "The port"),
        key("service", Text, "Whose health is asked for; default: that of the server as a whole"),
        key("tls", Flag, "TLS, with the certificate verified; default: false").or("false"),
        key("host", Text, "The name of the host that is asked (:authority); default: the address"),
        key("sni", Text, "The name in the certificate; default: host"),
        key("ca", Path, "PEM file of authorities, these and no others; default: those of this machine"),
        key("mtls", Map(&MTLS), "A client certificate for servers that ask for one"),
        MIN_TLS_DAYS_KEY,
    ],
    later: &[("reuse", False)],
};

pub(in crate::config) const BODY: Section = Section {
    what: "what a body must hold",
    keys: &[
        key("contains", Text, "This text"),
        key("regex", Regex, "A match of this expression"),
        key("json", OneOrMore(&Map(&JSON)), "JSON, with these things in it"),
    ],
    later: &[],
};

pub(in crate::config) const JSON: Section = Section {
    what: "a place in JSON",
    keys: &[
        need("pointer", Text, "A JSON Pointer (RFC 6901), like /status/database"),
        key("equals", Scalar, "It is this"),
        key("not", Scalar, "It is there, and it is not this"),
        key("above", Decimal, "A number greater than this"),
        key("below", Decimal, "A number less than this"),
        key("at_least", Decimal, "This number, or a greater one"),
        key("at_most", Decimal, "This number, or a lesser one"),
        key("regex", Regex, "Text in which this matches"),
        key("exists", Flag, "Whether there is something, be it null"),
    ],
    later: &[],
};

pub(in crate::config) const AUTH: Section = Section {
    what: "who asks",
    keys: &[
        key("basic", Map(&BASIC), "A user and a password (RFC 7617)"),
        key("bearer", Secret, "A token (RFC 6750)"),
    ],
    later: &[("digest", Never)],
};

pub(in crate::config) const BASIC: Section = Section {
    what: "basic auth",
    keys: &[need("username", Text, "The user, without a colon"), need("password", Secret, "The password")],
    later: &[],
};

pub(in crate::config) const MTLS: Section = Section {
    what: "a client certificate",
    keys: &[
        need("certificate", Path, "PEM file: the certificate, then its intermediates"),
        need("key", Path, "PEM file: its private key, unencrypted"),
    ],
    later: &[],
};

const MIN_TLS_DAYS_KEY: Key = key(
    "min_tls_days",
    Either(&[Number(1, 3650), Map(&MIN_TLS_DAYS)]),
    "Warns when the certificate ends in so many days or fewer; with fail: true the probe fails",
);

pub(in crate::config) const MIN_TLS_DAYS: Section = Section {
    what: "how long a certificate must last",
    keys: &[
        need("days", Number(1, 3650), "So many days left, or fewer, are too few"),
        key("fail", Flag, "Too few are a failure, and not a warning only; default: false").or("false"),
    ],
    later: &[],
};

pub(in crate::config) const TLS: Section = Section {
    what: "a tls check",
    keys: &[
        key("port", Port, "The port; default: 443").or("443"),
        key("sni", Text, "The name in the certificate; default: the address"),
        key("ca", Path, "PEM file of authorities, these and no others; default: those of this machine"),
        key("mtls", Map(&MTLS), "A client certificate for servers that ask for one"),
        MIN_TLS_DAYS_KEY,
    ],
    later: &[],
};

pub(in crate::config) const EXPECT: Section = Section {
    what: "what a server must say",
    keys: &[key("contains", Text, "This text"), key("regex", Regex, "A match of this expression")],
    later: &[],
};

pub(in crate::config) const TCP: Section = Section {
    what: "a tcp check",
    keys: &[
        need("port", Port, "The port"),
        key("half_open", Flag, "The server's program never hears of the connection; default: false")
            .or("false"),
        key("starttls", Choice(&["smtp"]), "Changes to TLS first, its certificate verified"),
        key("sni", Text, "With starttls: the name in the certificate; default: the address"),
        key("ca", Path, "With starttls: PEM file of authorities, these and no others"),
        key("mtls", Map(&MTLS), "With starttls: a client certificate"),
        MIN_TLS_DAYS_KEY,
        key("send", Text, "Sent once connected"),
        key("expect", Either(&[Text, Map(&EXPECT)]), "Must come within 64 KiB and the timeout"),
    ],
    later: &[("tls", False), ("reuse", False)],
};

pub(in crate::config) const ICMP: Section = Section {
    what: "an icmp check",
    keys: &[
        key("count", Number(1, 10), "Echo requests in one probe; default: 1").or("1"),
        key(
            "max_loss",
            Percent,
            "The share that may stay unanswered, 0% to 99%; default: one reply is enough",
        ),
        key("size", Number(16, 1472), "Bytes after the ICMP header; default: 56").or("56"),
    ],
    later: &[("interval", Never), ("ttl", Never)],
};

pub(in crate::config) const DNS: Section = Section {
    what: "a dns check",
    keys: &[
        need("name", Domain, "The name that is asked for; . is the root"),
        key("type", Choice(DNS_TYPES), "The type that is asked for; default: A").or("A"),
        key("port", Port, "The port; default: 53").or("53"),
        key(
            "transport",
            Choice(&["udp", "tcp"]),
            "How it is asked; udp goes on to TCP where the answer is cut short; default: udp",
        )
        .or("udp"),
        key("values", OneOrMore(&Text), "The answer holds these values and no others, at most 64"),
        key("contains", OneOrMore(&Text), "The answer holds these values, others may stand beside them"),
        key("rcode", Choice(DNS_CODES), "The response code that passes; default: NOERROR").or("NOERROR"),
        key(
            "authoritative",
            Flag,
            "The answer must (true) or must not (false) have authority; default: either",
        ),
        key("recursion", Flag, "The server may ask others for the answer (RD); default: false").or("false"),
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
        need(
            "address",
            OneOrMore(&Either(&[Address, Domain])),
            "1 to 64 IP addresses, of both families; or one host name, published as a CNAME",
        ),
        need(
            "checks",
            OneOrMore(&Either(&[Name, Named(&Map(&CHECK))])),
            "Names of checks; {name: {keys}} is that check with these keys changed",
        ),
        key(
            "require",
            Either(&[Choice(&["all", "any"]), Number(1, 1000)]),
            "How many of the checks must pass at each address; default: all",
        ),
    ],
    later: &[("weight", Never)],
};
