//! A DNS check.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use crate::dns;

/// One question to the target itself, and the answer it must give.
#[derive(Clone, Debug)]
pub struct DnsCheck {
    /// The port, of UDP and TCP alike.
    pub port: u16,
    /// How it is asked.
    pub transport: Transport,
    /// The name that is asked for.
    pub name: Name,
    /// The type that is asked for.
    pub kind: RecordType,
    /// The response code that passes; `None`: any answer to the question, whatever it says.
    pub rcode: Option<ResponseCode>,
    /// What the answer must hold; `None` with `NOERROR`: at least one record of the type.
    pub wanted: Option<Wanted>,
    /// Whether the answer must, or must not, be authoritative (AA); `None`: either will do.
    pub authoritative: Option<bool>,
    /// Asks the server to ask others (RD).
    pub recursion: bool,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By UDP, and by TCP where the answer is cut short.
    Udp,
    /// By TCP.
    Tcp,
}

/// Values, each in the form of [`DnsCheck::value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These and no others.
    Exactly(BTreeSet<String>),
    /// These, and others may stand beside them.
    AtLeast(BTreeSet<String>),
}

impl DnsCheck {
    /// Is there a DNS server at this port? Whatever it answers will do, be it that it refuses.
    ///
    /// It is asked for the servers of the root with RD, which resolvers and authoritative servers alike answer.
    pub fn any_answer(port: u16) -> Self {
        DnsCheck {
            port,
            transport: Transport::Udp,
            name: Name::root(),
            kind: RecordType::NS,
            rcode: None,
            wanted: None,
            authoritative: None,
            recursion: true,
        }
    }

    /// The types that can be asked for, by their names.
    pub const TYPES: &[(&str, RecordType)] = dns::WRITABLE;

    /// The form in which a value of this type is compared; `Err` says why it is none.
    pub fn value(kind: RecordType, written: &str) -> Result<String, String> {
        dns::text_from(kind, written)
    }

    /// The response code of this mnemonic.
    pub fn rcode(mnemonic: &str) -> Option<ResponseCode> {
        dns::response_code(mnemonic)
    }
}
