//! DNS UPDATE (RFC 2136) with TSIG (RFC 8945): BIND, Knot, `PowerDNS` and every other server that takes updates.
//!
//! The server itself compares: each swap is one message whose prerequisites spell out what was read, so a change made
//! meanwhile by anybody makes the server refuse the whole message.
//!
//! | rule | source |
//! |---|---|
//! | Prerequisite "`RRset` exists, value dependent": the set is compared whole, TTLs are not | RFC 2136 2.4.2 |
//! | Prerequisite "`RRset` does not exist" for each answer type that was absent, so that a family which appears meanwhile is a conflict too | RFC 2136 2.4.3 |
//! | Prerequisites and updates of one message are atomic | RFC 2136 3.7 |
//! | A set is changed by deleting and adding it in one message: Knot ignores an added record that differs in its TTL only | measured, Knot 3.2.6 |
//! | Deletions come first: BIND and Knot answer NOERROR and ignore a CNAME added beside an address | measured; RFC 2136 3.4.2.2 |
//! | A name that becomes an alias must hold nothing else (MX, TXT ...), or the same silence would leave it without an address; this too is a prerequisite | RFC 1034 3.6.2, RFC 2136 3.4.2.2 |
//! | Everything goes over TCP, which has no spoofed answers and no size trouble | RFC 7766 |
//! | The primary is asked itself, with RD=0, signed where there is a key; an answer without AA is no evidence | RFC 1035 4.1.1 |
//! | Whether an update would be allowed is asked by one that deletes, under the same prerequisites, what is not there: it changes nothing and moves no serial | RFC 2136 3.4.2.4; measured, BIND 9.18.49, Knot 3.2.6, PowerDNS 4.7.3 |
//! | A marker is a TXT at another name of the zone: its set is a prerequisite like the others, or that it does not exist, and it is replaced in the same message | RFC 2136 2.4.2, 2.4.3, 3.7 |
//! | Many names are read by one transfer of the zone, signed message by message, where the server allows it; else by questions | RFC 5936, RFC 8945 5.3.1 |
//! | BADTIME carries the server's clock, signed: sign once more with its time | RFC 8945 5.2.3 |
//! | PowerDNS answers TSIG trouble with an unsigned REFUSED (update) or NOTAUTH (query), Knot an update of an unknown zone with an unsigned NOTAUTH | measured, PowerDNS 4.7.3, Knot 3.2.6 |
//!
//! A swap is not verified here by reading back: the caller looks at every authoritative server.
//! Deliberately absent: UDP, forwarding through a secondary, GSS-TSIG, SIG(0).
//!
//! A name that exists only through a wildcard reads as if it held the wildcard's values (the DNS does not tell);
//! a swap of it is then a conflict that does not end. The message of the conflict says so.

mod badtime;
mod client;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod message;
mod picture;
mod records;
mod sign;
mod tcp;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::base::Rtype;
use domain::base::iana::Rcode;

use crate::{
    AnswerSets, BuildError, Capabilities, Consistency, Crowd, DomainName, Fault, Permission, Provider,
    ReadProvider, Receipt, RecordSet, RecordType, Rfc2136Config, Settled, Snapshot, Swap, SwapTier, Ttl,
    Version, Zone, permission,
};
use client::{Client, Failure, NoTransfer, Reply};
use fault::Purpose;
use message::Request;
use sign::Signer;
use tcp::Lost;
use transfer::{Declined, Why};

/// So many short names with one address each fit a message of 64 KiB; of others fewer do, down to 60 of full length, and a
/// message that would be too large is not sent. BIND writes its journal for each message, and so needs a third of the time
/// for 10,000 names by 500 that it needs by 60 (9.18).
const NAMES_PER_SWAP: usize = 500;

/// How many names of one refused message are asked for what keeps them from becoming aliases.
const ALIASES_LOOKED_AT: usize = 60;

/// How many questions are sent before their answers are awaited (RFC 7766 section 6.2.1.1). Small enough that
/// neither side can fill the other's buffers and wait for ever.
const QUESTIONS_AT_ONCE: usize = 60;

/// A primary server that takes DNS UPDATE.
pub struct Rfc2136Provider {
    client: Client,
    declined: Declined,
}

impl Rfc2136Provider {
    /// A provider that talks to `config.server`. Nothing is sent.
    ///
    /// # Errors
    /// [`BuildError::Setting`] when the TSIG secret is no base64 or empty, or the key's name is no domain name.
    pub fn new(config: &Rfc2136Config) -> Result<Self, BuildError> {
        Self::with_clock(config, sign::wall_clock)
    }

    /// The same with another wall clock (Unix seconds), for tests: TSIG signs the time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(config: &Rfc2136Config, clock: fn() -> u64) -> Result<Self, BuildError> {
        let signer = config.tsig.as_ref().map(|tsig| Signer::new(tsig, clock)).transpose()?;
        let client = Client::new(config.server, config.timeout, signer);
        Ok(Rfc2136Provider { client, declined: Declined::default() })
    }

    /// Asks questions, `QUESTIONS_AT_ONCE` in one exchange; the answers are in the order of the questions.
    async fn ask(&self, questions: Vec<(DomainName, Rtype)>) -> Result<Vec<Reply>, Fault> {
        let mut replies = Vec::with_capacity(questions.len());
        for some in questions.chunks(QUESTIONS_AT_ONCE) {
            let first: u16 = rand::random();
            let ids = (0..).map(|place| first.wrapping_add(place));
            let requests: Vec<Request> =
                some.iter().zip(ids).map(|((name, rtype), id)| message::question(name, *rtype, id)).collect();
            let answers = self.client.exchange(&requests).await;
            replies
                .extend(answers.map_err(|failure| fault::of_failure(failure, Purpose::Read, &self.client))?);
        }
        Ok(replies)
    }

    /// The answer to one question, which must come from an authority of the zone.
    fn set_of(
        &self,
        zone: &Zone,
        name: &DomainName,
        kind: RecordType,
        reply: &Reply,
    ) -> Result<Option<RecordSet>, Fault> {
        match reply.rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN if reply.is_unverified() => {
                Err(fault::unsigned_answer(&self.client))
            }
            Rcode::NOERROR | Rcode::NXDOMAIN if !reply.message.header().aa() => Err(Fault::Config(format!(
                "{} is no authority for {name}: `server` must be the primary of {}, and {name} must not be delegated away",
                self.client.server(),
                zone.name,
            ))),
            // NXDOMAIN may be said of where an alias leads (RFC 6604 section 2.1): the alias is in the answer then.
            Rcode::NOERROR | Rcode::NXDOMAIN => records::record_set(&reply.message, name, kind),
            _ => Err(fault::of_refusal(reply, Purpose::Read, &zone.name, &self.client)),
        }
    }

    /// Why did a name that was to become an alias hold something it must not? `None` when it no longer does.
    /// It takes 18 questions a name: of more names than these it is not asked, and the caller tries fewer.
    async fn company_of_aliases(&self, swaps: &[&Swap]) -> Result<Option<Fault>, Fault> {
        if swaps.len() > ALIASES_LOOKED_AT {
            return Ok(None);
        }
        let names = swaps.iter().filter(|swap| message::becomes_alias(swap)).map(|swap| swap.name());
        let questions: Vec<(DomainName, Rtype)> =
            names.flat_map(|name| message::NO_COMPANY.map(|rtype| (name.clone(), rtype))).collect();
        let replies = self.ask(questions.clone()).await?;
        let found = questions.iter().zip(&replies).find(|((name, rtype), reply)| reply.answers(name, *rtype));
        Ok(found.map(|((name, rtype), _)| {
            Fault::Unsupported(format!(
                "{name} also holds {rtype}, and a CNAME must stand alone (RFC 1034 section 3.6.2): \
                 use addresses, or remove the {rtype}"
            ))
        }))
    }
}

/// The types that are asked for: a marker's name holds texts only.
fn questions_about(name: &DomainName) -> &'static [RecordType] {
    if name.is_marker() { &[RecordType::Txt] } else { &[RecordType::A, RecordType::Aaaa] }
}

/// What an answer to a question of this type shows. An alias is in the answer whatever is asked for (RFC 1034 section 3.6.2),
/// and stands alone, so it needs no question of its own.
fn answered_with(asked: RecordType) -> &'static [RecordType] {
    match asked {
        RecordType::A => &[RecordType::A, RecordType::Cname],
        RecordType::Aaaa => &[RecordType::Aaaa],
        RecordType::Cname => &[RecordType::Cname],
        RecordType::Txt => &[RecordType::Txt],
    }
}

#[async_trait]
impl ReadProvider for Rfc2136Provider {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            tier: SwapTier::ServerCompared,
            atomic_name: true,
            marker: true,
            names_per_swap: NAMES_PER_SWAP,
            ttl_min: Ttl(0),
            ttl_max: Ttl::MAX,
            // The primary answers with the new set once it has acknowledged; its secondaries are the caller's to watch.
            consistency: Consistency::Immediate,
        }
    }

    fn normalize(&self, wish: AnswerSets) -> AnswerSets {
        wish.map(|set| RecordSet { ttl: set.ttl.min(Ttl::MAX), ..set })
    }

    /// SOA questions for the name and each name above it; the longest that is answered with its own SOA is the zone.
    async fn zone(&self, name: &DomainName) -> Result<Zone, Fault> {
        let apexes: Vec<DomainName> = std::iter::successors(Some(name.clone()), DomainName::parent)
            .filter(|apex| !apex.is_root())
            .collect();
        let replies = self.ask(apexes.iter().map(|apex| (apex.clone(), Rtype::SOA)).collect()).await?;
        for (apex, reply) in apexes.into_iter().zip(&replies) {
            if reply.rcode() == Rcode::NOTAUTH {
                return Err(fault::of_refusal(reply, Purpose::Read, &apex, &self.client));
            }
            if reply.message.header().aa() && reply.answers(&apex, Rtype::SOA) {
                if reply.is_unverified() {
                    return Err(fault::unsigned_answer(&self.client));
                }
                return Ok(Zone { id: apex.to_string(), name: apex });
            }
        }
        Err(Fault::Config(format!(
            "{} serves no zone that holds {name}: set `server` to the primary of its zone",
            self.client.server()
        )))
    }

    async fn read(&self, zone: &Zone, names: &[DomainName]) -> Result<Vec<Snapshot>, Fault> {
        fault::all_within(zone, names.iter())?;
        let asked = names.iter().flat_map(|name| {
            questions_about(name).iter().map(move |kind| (name.clone(), message::rtype(*kind)))
        });
        let mut replies = self.ask(asked.collect()).await?.into_iter();
        let snapshot = |name: &DomainName| {
            let mut sets = BTreeMap::new();
            for (kind, reply) in questions_about(name).iter().zip(replies.by_ref()) {
                for kind in answered_with(*kind) {
                    if let Some(set) = self.set_of(zone, name, *kind, &reply)? {
                        sets.insert(*kind, set);
                    }
                }
            }
            let native = serde_json::Value::Null;
            Ok(Snapshot { name: name.clone(), sets, version: Version::Values, marker: None, native })
        };
        names.iter().map(snapshot).collect()
    }

    /// By a transfer of the zone, where the server gives one.
    async fn read_crowd(&self, zone: &Zone, names: &[DomainName]) -> Result<Crowd, Fault> {
        fault::all_within(zone, names.iter())?;
        if !self.declined.may_be_tried(&zone.name, names.len()) {
            return Ok(Crowd::unseen(names.len()));
        }
        let why = match self.client.transfer(&zone.name, names).await {
            Ok(picture) => return Ok(Crowd::of(names.iter().map(|name| picture.snapshot(name)).collect())),
            // Nor would it answer questions.
            Err(NoTransfer::Lost(lost @ Lost::BeforeSend(_))) => {
                return Err(fault::of_failure(Failure::Lost(lost), Purpose::Read, &self.client));
            }
            Err(NoTransfer::Lost(Lost::AfterSend(why))) => Why::Refused(why),
            Err(NoTransfer::BadTime(_)) => {
                Why::Refused("the server refuses the time of our signature".into())
            }
            Err(NoTransfer::No(why)) => why,
        };
        let why = self.declined.note(&zone.name, names.len(), why);
        Ok(Crowd { why_not: Some(why), ..Crowd::unseen(names.len()) })
    }

    async fn permission(
        &self,
        zone: &Zone,
        now: &Snapshot,
        types: &BTreeSet<RecordType>,
    ) -> Result<Permission, Fault> {
        fault::all_within(zone, std::iter::once(&now.name))?;
        let request = message::question_of_permission(&zone.name, now, &permission::touched(now, types));
        let replies = self.client.exchange(&[request]).await;
        // Nothing could be written, so an answer that does not come leaves nothing in doubt.
        let replies = replies.map_err(|failure| fault::of_failure(failure, Purpose::Read, &self.client))?;
        let reply = &replies[0];
        match reply.rcode() {
            Rcode::NOERROR if reply.is_unverified() => Err(fault::unsigned_answer(&self.client)),
            Rcode::NOERROR => Ok(Permission::Granted),
            _ => match fault::of_refusal(reply, Purpose::Swap, &zone.name, &self.client) {
                Fault::Unknown(why) => Err(Fault::Unavailable(why)),
                fault => Err(fault),
            },
        }
    }

    /// The time in the signature of an answer; without a key nobody tells.
    async fn server_time(&self, zone: &Zone) -> Result<Option<u64>, Fault> {
        let replies = self.ask(vec![(zone.name.clone(), Rtype::SOA)]).await?;
        Ok(replies[0].signed_at())
    }
}

#[async_trait]
impl Provider for Rfc2136Provider {
    async fn swap(&self, zone: &Zone, swaps: &[Swap]) -> Result<Receipt, Fault> {
        // The DNS does not tell the serial in the answer to an update.
        let receipt = Receipt { serial: None, handle: None };
        if swaps.len() > NAMES_PER_SWAP {
            return Err(Fault::Unsupported(format!(
                "{} names in one update; {NAMES_PER_SWAP} are allowed",
                swaps.len()
            )));
        }
        fault::all_within(zone, swaps.iter().map(Swap::name))?;
        let swaps: Vec<&Swap> = swaps.iter().filter(|swap| !swap.changes().is_empty()).collect();
        if swaps.is_empty() {
            return Ok(receipt);
        }
        if let Some(swap) = swaps.iter().find(|swap| swap.marker.is_some() && swap.name().marker().is_none())
        {
            return Err(Fault::Unsupported(format!("{} can have no marker beside it", swap.name())));
        }
        let update = message::update(&zone.name, &swaps)?;
        let replies = self.client.exchange(&[update]).await;
        let replies = replies.map_err(|failure| fault::of_failure(failure, Purpose::Swap, &self.client))?;
        let reply = &replies[0];
        match reply.rcode() {
            Rcode::NOERROR if reply.is_unverified() => Err(Fault::Unknown(format!(
                "{} took the update but did not sign its answer",
                self.client.server()
            ))),
            Rcode::NOERROR => Ok(receipt),
            Rcode::YXRRSET
                if !reply.is_unverified() && swaps.iter().any(|swap| message::becomes_alias(swap)) =>
            {
                // Nothing was written. The reason matters more than a failure to find it.
                let company = self.company_of_aliases(&swaps).await.unwrap_or(None);
                Err(company
                    .unwrap_or_else(|| fault::of_refusal(reply, Purpose::Swap, &zone.name, &self.client)))
            }
            _ => Err(fault::of_refusal(reply, Purpose::Swap, &zone.name, &self.client)),
        }
    }

    /// The primary has it when it says NOERROR; nobody knows more there.
    async fn settled(&self, _: &Receipt) -> Result<Settled, Fault> {
        Ok(Settled::Done)
    }
}
