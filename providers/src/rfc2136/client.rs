//! Requests signed and sent, answers verified; what they say is judged elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use domain::base::iana::{Opcode, Rcode};
use domain::base::{Message, Rtype};
use domain::tsig::ValidationError;

use super::badtime;
use super::message;
use super::message::Request;
use super::picture::Picture;
use super::records;
use super::sign::{Signer, Transaction};
use super::tcp::{self, Lost};
use super::transfer::{OCTETS, Why, most_records};
use crate::DomainName;

/// One primary server and how to speak to it.
pub(super) struct Client {
    server: SocketAddr,
    limit: Duration,
    signer: Option<Signer>,
}

/// An answer that belongs to its question. Its signature is right, or it has none.
pub(super) struct Reply {
    pub(super) message: Message<Vec<u8>>,
    unverified: bool,
    /// When the server signed it, Unix seconds; only where the signature is right.
    signed_at: Option<u64>,
}

impl Reply {
    pub(super) fn rcode(&self) -> Rcode {
        self.message.header().rcode()
    }

    /// Was the request signed and the answer not? Then anybody may have written it.
    pub(super) fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// What the server's clock showed when it signed this (RFC 8945 section 5.3), Unix seconds.
    pub(super) fn signed_at(&self) -> Option<u64> {
        self.signed_at
    }

    /// Is there a record of this name and type in the answer section?
    pub(super) fn answers(&self, name: &DomainName, rtype: Rtype) -> bool {
        records::holds(&self.message, name, rtype)
    }
}

/// Why there is no answer to judge.
#[derive(Debug)]
pub(super) enum Failure {
    /// The exchange failed.
    Lost(Lost),
    /// An answer came that is none, or whose signature is wrong.
    Nonsense(String),
    /// The server does not know the key (BADKEY).
    BadKey,
    /// The server's secret of this key is another (BADSIG).
    BadSig,
    /// The server's clock, Unix seconds, is too far from the time we signed (BADTIME).
    BadTime(u64),
}

/// Why there is no transfer.
pub(super) enum NoTransfer {
    /// The server cannot be reached, or hangs.
    Lost(Lost),
    /// The server's clock, Unix seconds, is too far from the time we signed (BADTIME).
    BadTime(u64),
    /// There is none to be had.
    No(Why),
}

impl From<Lost> for NoTransfer {
    fn from(lost: Lost) -> Self {
        NoTransfer::Lost(lost)
    }
}

impl Client {
    pub(super) fn new(server: SocketAddr, limit: Duration, signer: Option<Signer>) -> Client {
        Client { server, limit, signer }
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// Sends the requests in one exchange. A server that complains about our clock is believed (its complaint is
    /// signed) and asked once more; it has not acted on what it refused (RFC 8945 section 5.2.3).
    pub(super) async fn exchange(&self, requests: &[Request]) -> Result<Vec<Reply>, Failure> {
        match (self.try_exchange(requests).await, &self.signer) {
            (Err(Failure::BadTime(server)), Some(signer)) => {
                signer.learn(server);
                self.try_exchange(requests).await
            }
            (result, _) => result,
        }
    }

    async fn try_exchange(&self, requests: &[Request]) -> Result<Vec<Reply>, Failure> {
        let mut transactions = Vec::with_capacity(requests.len());
        let mut octets = Vec::with_capacity(requests.len());
        for request in requests {
            let mut request = request.clone();
            let sign =
                |signer: &Signer| signer.sign(&mut request).expect("a request leaves room for a TSIG record");
            transactions.push(self.signer.as_ref().map(sign));
            octets.push(request.finish().into_target());
        }
        let answers = tcp::exchange(self.server, self.limit, &octets).await.map_err(Failure::Lost)?;
        let sent = requests.iter().zip(&octets).zip(&transactions);
        let checked = answers.into_iter().zip(sent);
        checked
            .map(|(answer, ((request, octets), transaction))| {
                self.check(answer, request, octets, transaction.as_ref())
            })
            .collect()
    }

    /// What one transfer of the zone says of these names, every message of it verified.
    pub(super) async fn transfer(
        &self,
        zone: &DomainName,
        names: &[DomainName],
    ) -> Result<Picture, NoTransfer> {
        match (self.try_transfer(zone, names).await, &self.signer) {
            (Err(NoTransfer::BadTime(server)), Some(signer)) => {
                signer.learn(server);
                self.try_transfer(zone, names).await
            }
            (result, _) => result,
        }
    }

    async fn try_transfer(&self, zone: &DomainName, names: &[DomainName]) -> Result<Picture, NoTransfer> {
        let request = message::question(zone, Rtype::AXFR, rand::random());
        let mut signed = request.clone();
        let sign = |signer: &Signer| {
            signer.sign_for_many(&mut signed).expect("a question leaves room for a TSIG record")
        };
        let mut sequence = self.signer.as_ref().map(sign);
        let sent = signed.finish().into_target();
        let (mut picture, mut octets, most) = (Picture::new(zone, names), 0, most_records(names.len()));
        let no = |why: String| NoTransfer::No(Why::Refused(format!("{}: {why}", self.server)));
        let take = |answer: Vec<u8>| {
            octets += answer.len();
            let mut message = Message::from_octets(answer).map_err(|_| no("no header".into()))?;
            if let (Some(sequence), Some(signer)) = (&mut sequence, &self.signer)
                && let Err(why) = sequence.answer(&mut message, signer.now())
            {
                let rcode = message.header().rcode();
                return Err(match (signer.server_time(&sent, message.as_slice()), rcode) {
                    (Some(server), _) => NoTransfer::BadTime(server),
                    (None, Rcode::NOERROR) => no(format!("its signature is not right: {why}")),
                    (None, rcode) => no(format!("{rcode}, not signed")),
                });
            }
            let header = message.header();
            if header.rcode() != Rcode::NOERROR {
                return Err(no(header.rcode().to_string()));
            }
            let is_first = picture.records() == 0;
            let asked = message.question().next().is_none() && !is_first || same_question(&message, &request);
            if !header.qr()
                || header.opcode() != Opcode::QUERY
                || header.id() != request.header().id()
                || !asked
            {
                return Err(no("an answer to something else".into()));
            }
            // Knot 3.2 sets no AA here; whoever gives a transfer has the zone.
            if header.tc() {
                return Err(no("an answer that is cut off".into()));
            }
            picture.take(&message).map_err(no)?;
            if is_first && picture.records() == 0 {
                return Err(no("an empty answer".into()));
            }
            if octets > OCTETS || picture.records() > most {
                return Err(NoTransfer::No(Why::TooLarge(format!(
                    "it has more than {} records, too many for {} names",
                    picture.records(),
                    names.len()
                ))));
            }
            Ok(picture.is_whole())
        };
        tcp::stream(self.server, self.limit, &sent, take).await?;
        if let Some(Err(why)) = sequence.map(domain::tsig::ClientSequence::done) {
            return Err(no(format!("its end is not signed: {why}")));
        }
        Ok(picture)
    }

    pub(super) fn check(
        &self,
        answer: Vec<u8>,
        request: &Request,
        sent: &[u8],
        transaction: Option<&Transaction>,
    ) -> Result<Reply, Failure> {
        let nonsense = |why: &str| Failure::Nonsense(format!("{}: {why}", self.server));
        let mut message = Message::from_octets(answer).map_err(|_| nonsense("an answer without a header"))?;
        let (mut unverified, mut signed_at) = (false, None);
        if let (Some(transaction), Some(signer)) = (transaction, &self.signer) {
            let said = badtime::time_signed(message.as_slice());
            match transaction.answer(&mut message, signer.now()) {
                Ok(()) => signed_at = said,
                Err(ValidationError::ServerUnsigned) => unverified = true,
                Err(ValidationError::ServerBadKey) => return Err(Failure::BadKey),
                Err(ValidationError::ServerBadSig) => return Err(Failure::BadSig),
                Err(ValidationError::ServerBadTime { server, .. }) => {
                    return Err(Failure::BadTime(server.into()));
                }
                // `domain` cannot verify a right BADTIME answer; if ever it can, this is not reached.
                Err(ValidationError::BadSig)
                    if let Some(server) = signer.server_time(sent, message.as_slice()) =>
                {
                    return Err(Failure::BadTime(server));
                }
                Err(why) => {
                    return Err(nonsense(&format!("the signature of the answer is not right: {why}")));
                }
            }
        }
        let (header, asked) = (message.header(), request.header());
        if !header.qr() || header.opcode() != asked.opcode() {
            return Err(nonsense("an answer to another kind of request"));
        }
        if header.tc() {
            return Err(nonsense("a truncated answer, over TCP"));
        }
        if !same_question(&message, request) {
            return Err(nonsense("an answer to another question"));
        }
        Ok(Reply { message, unverified, signed_at })
    }
}

/// The question of an answer is ours. Only the answer to a query must repeat it (RFC 2136 section 3.8), and even there
/// a refusal may leave it out.
fn same_question(message: &Message<Vec<u8>>, request: &Request) -> bool {
    let may_be_missing = request.header().opcode() == Opcode::UPDATE
        || !matches!(message.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
    match message.header_counts().qdcount() {
        0 => may_be_missing,
        _ => message.question() == request.as_message().question(),
    }
}
