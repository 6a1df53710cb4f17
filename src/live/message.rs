//! PURE: one question to an authoritative server as octets, and what the octets that come back say.
//!
//! Deliberately absent: following a CNAME (the record is the alias, not what it leads to), a second try without
//! EDNS for servers that do not know it (RFC 6891 section 7; such servers have had no answers since 2019), DNSSEC.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Soa;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as WireType};
use providers::{DomainName, NonEmpty, RecordSet, RecordType, Ttl, Values};

/// The largest UDP answer asked for: what passes every path without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// A question as it is sent, and what an answer to it must repeat.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    query: Query,
    octets: Vec<u8>,
}

/// What a message from the server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<T = Option<RecordSet>> {
    /// Not an answer to this question; another may still come.
    NotOurs(String),
    /// Cut short (TC=1): ask again over TCP.
    Truncated,
    /// What the name holds of the type that was asked for, or the CNAME that stands in its place.
    Holds(T),
    /// An answer from which nothing can be learned.
    Useless(String),
}

impl Question {
    /// Asks for one type at `name`, RD=0, with EDNS and an id that cannot be guessed.
    ///
    /// `Err` says why the name cannot be written to the wire.
    pub(super) fn new(name: &DomainName, kind: WireType) -> Result<Self, String> {
        let name = Name::from_ascii(name.fqdn()).map_err(|error| error.to_string())?;
        let query = Query::query(name, kind);
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD).set_version(0);
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(query.clone()).set_edns(edns);
        let octets = message.to_vec().map_err(|error| error.to_string())?;
        Ok(Question { id: message.metadata.id, query, octets })
    }

    /// The message to send; over TCP its length goes before it (RFC 1035 section 4.2.2).
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Reads a message that came from the server's address.
    pub(super) fn read(&self, octets: &[u8]) -> Reply {
        self.read_with(octets, |answers| self.held(answers))
    }

    /// Reads the answer to a question for the SOA of a zone.
    pub(super) fn read_soa(&self, octets: &[u8]) -> Reply<Soa> {
        self.read_with(octets, |answers| {
            let own = answers.iter().filter(|record| record.name == self.query.name);
            let mut soas = own.filter_map(|record| match &record.data {
                RData::SOA(soa) => Some(Soa {
                    serial: soa.serial,
                    negative_ttl: wire_ttl(record.ttl).min(wire_ttl(soa.minimum)),
                }),
                _ => None,
            });
            soas.next().ok_or_else(|| "it has no SOA there: it does not serve that zone".into())
        })
    }

    /// Reads the answer to a question whose records do not matter: how many there are.
    pub(super) fn read_count(&self, octets: &[u8]) -> Reply<usize> {
        let is_it = |record: &&Record| {
            record.name == self.query.name && record.record_type() == self.query.query_type
        };
        self.read_with(octets, |answers| Ok(answers.iter().filter(is_it).count()))
    }

    fn read_with<T>(&self, octets: &[u8], found: impl FnOnce(&[Record]) -> Result<T, String>) -> Reply<T> {
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            Err(error) => return Reply::NotOurs(format!("an unreadable message ({error})")),
        };
        if let Err(why) = self.is_answered_by(&message) {
            return Reply::NotOurs(why.to_owned());
        }
        if message.metadata.truncation {
            return Reply::Truncated;
        }
        match message.metadata.response_code {
            // RFC 6604 section 3: with a CNAME in the answer, NXDOMAIN speaks of where the alias leads.
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            other => return Reply::Useless(format!("it answers {}", mnemonic(other))),
        }
        if !message.metadata.authoritative {
            return Reply::Useless("it answers without authority".into());
        }
        match found(&message.answers) {
            Ok(held) => Reply::Holds(held),
            Err(why) => Reply::Useless(why),
        }
    }

    /// RFC 5452 section 9.1: the id and the question must be repeated. Only an error may come without a question.
    fn is_answered_by(&self, message: &Message) -> Result<(), &'static str> {
        let head = &message.metadata;
        if head.id != self.id {
            return Err("a message with another id");
        }
        if head.message_type != MessageType::Response || head.op_code != OpCode::Query {
            return Err("a message that is no answer");
        }
        let data = matches!(head.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        let repeated = match message.queries.as_slice() {
            [query] => query == &self.query,
            [] => !data,
            _ => false,
        };
        if repeated { Ok(()) } else { Err("an answer to another question") }
    }

    /// The record set in the answer whose owner is the name asked for; what else is there does not count.
    fn held(&self, answers: &[Record]) -> Result<Option<RecordSet>, String> {
        let mut ttl = Ttl::MAX;
        let (mut v4, mut v6, mut aliases) = (Vec::<Ipv4Addr>::new(), Vec::<Ipv6Addr>::new(), Vec::new());
        for record in answers {
            if record.name != self.query.name || record.dns_class != DNSClass::IN {
                continue;
            }
            match &record.data {
                RData::A(a) if self.query.query_type == WireType::A => v4.push(a.0),
                RData::AAAA(aaaa) if self.query.query_type == WireType::AAAA => v6.push(aaaa.0),
                RData::CNAME(alias) => aliases.push(domain_name(&alias.0)?),
                _ => continue,
            }
            // RFC 2181 section 5.2: where the TTLs of one set differ, the lowest counts.
            ttl = ttl.min(wire_ttl(record.ttl));
        }
        let addresses = NonEmpty::new(v4).map(Values::A).or(NonEmpty::new(v6).map(Values::Aaaa));
        match (addresses, aliases.as_slice()) {
            (Some(_), [_, ..]) => Err("it answers an address and a CNAME for one name".into()),
            (None, [one]) => Ok(Some(RecordSet::new(ttl, Values::Cname(one.clone())))),
            (None, [_, _, ..]) => Err("it answers more than one CNAME for one name".into()),
            (addresses, []) => Ok(addresses.map(|values| RecordSet::new(ttl, values))),
        }
    }
}

/// The type on the wire.
pub(super) fn wire_type(kind: RecordType) -> WireType {
    match kind {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Cname => WireType::CNAME,
        RecordType::Txt => WireType::TXT,
    }
}

/// RFC 2181 section 8: a TTL with the highest bit set is zero.
fn wire_ttl(ttl: u32) -> Ttl {
    if ttl > Ttl::MAX.seconds() { Ttl(0) } else { Ttl(ttl) }
}

/// A name from the wire as this program writes names.
pub(super) fn domain_name(name: &Name) -> Result<DomainName, String> {
    name.to_ascii().parse().map_err(|error| format!("it answers a name that cannot be read: {error}"))
}

/// The mnemonic of RFC 1035 and RFC 2136, as `dig` prints it.
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: WireType) -> Question {
        Question::new(&"www.example.test".parse().expect("a name"), kind).expect("a question")
    }

    fn answer(question: &Question, change: impl FnOnce(&mut Message)) -> Reply {
        let mut message = Message::response(question.id, OpCode::Query);
        message.metadata.authoritative = true;
        message.add_query(question.query.clone());
        change(&mut message);
        question.read(&message.to_vec().expect("octets"))
    }

    fn record(name: &str, ttl: u32, data: &str, kind: WireType) -> Record {
        let data = RData::try_from_str(kind, data).expect("record data");
        Record::from_rdata(Name::from_ascii(name).expect("a name"), ttl, data)
    }

    fn set(ttl: u32, values: Values) -> Reply {
        Reply::Holds(Some(RecordSet::new(Ttl(ttl), values)))
    }

    #[test]
    fn a_question_asks_one_server_and_nobody_behind_it() {
        let question = question(WireType::AAAA);
        let sent = Message::from_vec(question.octets()).expect("a message");
        assert!(!sent.metadata.recursion_desired);
        assert_eq!(sent.queries.len(), 1);
        assert_eq!(sent.edns.expect("EDNS").max_payload(), 1232);
    }

    #[test]
    fn only_the_owner_s_records_count_and_the_lowest_ttl() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "192.0.2.2", WireType::A));
            message.add_answer(record("WWW.example.test.", 30, "192.0.2.1", WireType::A));
            message.add_answer(record("www.example.test.", 5, "2001:db8::1", WireType::AAAA));
            message.add_answer(record("other.example.test.", 1, "192.0.2.9", WireType::A));
        });
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().expect("IPv4"));
        assert_eq!(reply, set(30, Values::A(NonEmpty::new(addresses).expect("two"))));
    }

    #[test]
    fn an_alias_is_reported_and_not_followed() {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
            let reply = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.add_answer(record("www.example.test.", 60, "a.example.net.", WireType::CNAME));
                message.add_answer(record("a.example.net.", 60, "192.0.2.1", WireType::A));
            });
            assert_eq!(reply, set(60, Values::Cname("a.example.net".parse().expect("a name"))), "{code}");
        }
    }

    #[test]
    fn a_loop_of_aliases_is_one_alias() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "b.example.test.", WireType::CNAME));
            message.add_answer(record("b.example.test.", 60, "www.example.test.", WireType::CNAME));
        });
        assert_eq!(reply, set(60, Values::Cname("b.example.test".parse().expect("a name"))));
    }

    #[test]
    fn what_contradicts_itself_teaches_nothing() {
        let two = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "a.example.test.", WireType::CNAME));
            message.add_answer(record("www.example.test.", 60, "b.example.test.", WireType::CNAME));
        });
        assert_eq!(two, Reply::Useless("it answers more than one CNAME for one name".into()));
        let both = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", 60, "a.example.test.", WireType::CNAME));
            message.add_answer(record("www.example.test.", 60, "192.0.2.1", WireType::A));
        });
        assert_eq!(both, Reply::Useless("it answers an address and a CNAME for one name".into()));
    }

    #[test]
    fn nothing_with_authority_is_an_answer_and_without_it_is_none() {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
            let clear = answer(&question(WireType::A), |message| message.metadata.response_code = code);
            assert_eq!(clear, Reply::Holds(None));
            let referral = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.metadata.authoritative = false;
            });
            assert_eq!(referral, Reply::Useless("it answers without authority".into()));
        }
    }

    #[test]
    fn an_error_code_is_told_by_its_mnemonic() {
        for (code, text) in [(ResponseCode::ServFail, "SERVFAIL"), (ResponseCode::Refused, "REFUSED")] {
            let reply = answer(&question(WireType::A), |message| {
                message.metadata.response_code = code;
                message.queries.clear();
            });
            assert_eq!(reply, Reply::Useless(format!("it answers {text}")));
        }
    }

    #[test]
    fn what_answers_another_question_is_not_ours() {
        let question = question(WireType::A);
        let not_ours = |change: fn(&mut Message)| matches!(answer(&question, change), Reply::NotOurs(_));
        assert!(not_ours(|message| message.metadata.id = message.metadata.id.wrapping_add(1)));
        assert!(not_ours(|message| message.metadata.message_type = MessageType::Query));
        assert!(not_ours(|message| message.queries.clear()));
        assert!(not_ours(|message| {
            message.queries[0].set_query_type(WireType::AAAA);
        }));
        assert!(not_ours(|message| {
            message.queries[0].set_name(Name::from_ascii("mail.example.test.").expect("a name"));
        }));
        assert!(matches!(question.read(b"\x00garbage"), Reply::NotOurs(_)));
        assert!(matches!(question.read(b""), Reply::NotOurs(_)));
    }

    #[test]
    fn a_ttl_with_the_highest_bit_is_zero() {
        let reply = answer(&question(WireType::A), |message| {
            message.add_answer(record("www.example.test.", u32::MAX, "192.0.2.1", WireType::A));
        });
        assert_eq!(reply, set(0, Values::A(NonEmpty::one("192.0.2.1".parse().expect("IPv4")))));
    }
}
