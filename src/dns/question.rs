//! PURE: one question as octets, and whether the octets that come back answer it.
//!
//! Deliberately absent: a second try without EDNS for servers that do not know it (RFC 6891 section 7; such servers
//! have had no answers since 2019), DNSSEC.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

/// The largest UDP answer asked for: what passes every path without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// A question as it is sent, and what an answer to it must repeat.
#[derive(Debug)]
pub struct Question {
    id: u16,
    query: Query,
    octets: Vec<u8>,
}

/// What a message from the server is.
#[derive(Debug)]
pub enum Reply {
    /// Not an answer to this question, for this reason; another may still come.
    NotOurs(String),
    /// Cut short (TC=1): ask again over TCP.
    Truncated,
    /// An answer to this question, with whatever it says.
    Answer(Box<Message>),
}

impl Question {
    /// Asks for one type at `name`, with EDNS and an id that cannot be guessed. `recursion` sets RD.
    ///
    /// `Err` says why it cannot be written to the wire.
    pub fn new(name: Name, kind: RecordType, recursion: bool) -> Result<Self, String> {
        let query = Query::query(name, kind);
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD).set_version(0);
        let mut message = Message::query();
        message.metadata.recursion_desired = recursion;
        message.add_query(query.clone()).set_edns(edns);
        let octets = message.to_vec().map_err(|error| error.to_string())?;
        Ok(Question { id: message.metadata.id, query, octets })
    }

    /// A question of this number, for a fuzz target: what it tries again must be the same.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn numbered(id: u16, query: Query) -> Self {
        let mut message = Message::query();
        message.metadata.id = id;
        message.add_query(query.clone());
        Question { id, query, octets: message.to_vec().expect("one question fits a message") }
    }

    /// What is asked.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// What an answer must repeat.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The message to send; over TCP its length goes before it (RFC 1035 section 4.2.2).
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Reads a message that came from the server's address.
    pub fn read(&self, octets: &[u8]) -> Reply {
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            Err(error) => return Reply::NotOurs(format!("an unreadable message ({error})")),
        };
        if let Err(why) = self.is_answered_by(&message) {
            return Reply::NotOurs(why.to_owned());
        }
        if message.metadata.truncation { Reply::Truncated } else { Reply::Answer(Box::new(message)) }
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
}

/// Response codes by the mnemonics of RFC 1035, RFC 2136 and RFC 6891, as `dig` prints them.
const CODES: &[(ResponseCode, &str)] = &[
    (ResponseCode::NoError, "NOERROR"),
    (ResponseCode::FormErr, "FORMERR"),
    (ResponseCode::ServFail, "SERVFAIL"),
    (ResponseCode::NXDomain, "NXDOMAIN"),
    (ResponseCode::NotImp, "NOTIMP"),
    (ResponseCode::Refused, "REFUSED"),
    (ResponseCode::YXDomain, "YXDOMAIN"),
    (ResponseCode::YXRRSet, "YXRRSET"),
    (ResponseCode::NXRRSet, "NXRRSET"),
    (ResponseCode::NotAuth, "NOTAUTH"),
    (ResponseCode::NotZone, "NOTZONE"),
    (ResponseCode::BADVERS, "BADVERS"),
];

/// The mnemonic of a response code, `RCODE 11` for one that has none.
pub fn mnemonic(code: ResponseCode) -> String {
    let named = CODES.iter().find(|(known, _)| *known == code);
    named.map_or_else(|| format!("RCODE {}", u16::from(code)), |(_, name)| (*name).to_owned())
}

/// The response code of a mnemonic, in either case.
pub fn response_code(mnemonic: &str) -> Option<ResponseCode> {
    CODES.iter().find(|(_, name)| name.eq_ignore_ascii_case(mnemonic)).map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question::new(Name::from_ascii("www.example.test.").expect("a name"), RecordType::A, false)
            .expect("a question")
    }

    fn answer(question: &Question, change: impl FnOnce(&mut Message)) -> Reply {
        let mut message = Message::response(question.id, OpCode::Query);
        message.add_query(question.query.clone());
        change(&mut message);
        question.read(&message.to_vec().expect("octets"))
    }

    #[test]
    fn a_question_asks_one_server_and_nobody_behind_it_unless_told() {
        for recursion in [false, true] {
            let name = Name::from_ascii("www.example.test.").expect("a name");
            let question = Question::new(name, RecordType::AAAA, recursion).expect("a question");
            let sent = Message::from_vec(question.octets()).expect("a message");
            assert_eq!(sent.metadata.recursion_desired, recursion);
            assert_eq!(sent.queries.len(), 1);
            assert_eq!(sent.edns.expect("EDNS").max_payload(), 1232);
        }
    }

    #[test]
    fn what_answers_another_question_is_not_ours() {
        let question = question();
        assert!(matches!(answer(&question, |_| {}), Reply::Answer(_)));
        let not_ours = |change: fn(&mut Message)| matches!(answer(&question, change), Reply::NotOurs(_));
        assert!(not_ours(|message| message.metadata.id = message.metadata.id.wrapping_add(1)));
        assert!(not_ours(|message| message.metadata.message_type = MessageType::Query));
        assert!(not_ours(|message| message.queries.clear()));
        assert!(not_ours(|message| {
            message.queries[0].set_query_type(RecordType::AAAA);
        }));
        assert!(not_ours(|message| {
            message.queries[0].set_name(Name::from_ascii("mail.example.test.").expect("a name"));
        }));
        assert!(matches!(question.read(b"\x00garbage"), Reply::NotOurs(_)));
        assert!(matches!(question.read(b""), Reply::NotOurs(_)));
    }

    #[test]
    fn only_an_error_may_come_without_its_question() {
        let refused = answer(&question(), |message| {
            message.metadata.response_code = ResponseCode::Refused;
            message.queries.clear();
        });
        assert!(matches!(refused, Reply::Answer(_)));
    }

    #[test]
    fn codes_and_mnemonics_lead_to_each_other() {
        for (code, name) in CODES {
            assert_eq!((mnemonic(*code).as_str(), response_code(&name.to_lowercase())), (*name, Some(*code)));
        }
        assert_eq!(mnemonic(ResponseCode::from(0, 11)), "RCODE 11");
        assert_eq!(response_code("NXDOMIAN"), None);
    }
}
