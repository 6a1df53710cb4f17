//! What an answer that is no success means for the caller, with the remedy in words.

use domain::base::iana::Rcode;

use super::client::{Client, Failure, Reply};
use super::tcp::Lost;
use crate::{DomainName, Fault, Zone};

/// What the exchange was for: a read that failed has changed nothing, a write may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Swap,
}

/// All names belong to the zone (RFC 2136 section 3.1.1 would answer NOTZONE).
pub(super) fn all_within<'a>(
    zone: &Zone,
    mut names: impl Iterator<Item = &'a DomainName>,
) -> Result<(), Fault> {
    match names.find(|name| !name.is_within(&zone.name)) {
        Some(name) => Err(Fault::Config(format!("{name} is not within the zone {}", zone.name))),
        None => Ok(()),
    }
}

/// No usable answer.
pub(super) fn of_failure(failure: Failure, purpose: Purpose, client: &Client) -> Fault {
    let key = key_label(client);
    match failure {
        Failure::Lost(Lost::BeforeSend(why)) => Fault::Unavailable(why),
        Failure::Lost(Lost::AfterSend(why)) | Failure::Nonsense(why) => match purpose {
            Purpose::Read => Fault::Unavailable(why),
            Purpose::Swap => Fault::Unknown(why),
        },
        Failure::BadKey => Fault::Auth(format!(
            "{} does not know the TSIG key {key} (BADKEY): check the key's name and algorithm on both sides",
            client.server()
        )),
        Failure::BadSig => Fault::Auth(format!(
            "{} has another secret for the TSIG key {key} (BADSIG): check `secret`",
            client.server()
        )),
        Failure::BadTime(_) => Fault::Auth(format!(
            "{} refuses the time of our signature (BADTIME), even by its own clock, which differs from ours \
             by {} s: set both clocks",
            client.server(),
            client.signer().map_or(0, super::sign::Signer::offset)
        )),
    }
}

/// A signed question was answered without a signature: nobody knows by whom.
pub(super) fn unsigned_answer(client: &Client) -> Fault {
    Fault::Auth(format!(
        "{} answers without the signature of the TSIG key {}: is something else listening there?",
        client.server(),
        key_label(client)
    ))
}

/// An answer with a response code other than NOERROR. In each of them nothing was written, except where
/// the code says nothing about it.
pub(super) fn of_refusal(reply: &Reply, purpose: Purpose, zone: &DomainName, client: &Client) -> Fault {
    let (server, code) = (client.server(), reply.rcode());
    if reply.is_unverified() {
        return of_unsigned_refusal(code, purpose, zone, client);
    }
    match (code, purpose) {
        // RFC 2136 section 2.2: the prerequisites that were not met.
        (Rcode::NXRRSET, Purpose::Swap) => Fault::Conflict(format!(
            "{server} holds other values now (NXRRSET), or answers the name from a wildcard"
        )),
        (Rcode::YXRRSET, Purpose::Swap) => {
            Fault::Conflict(format!("{server} holds a record set now that was not there (YXRRSET)"))
        }
        (Rcode::NXDOMAIN | Rcode::YXDOMAIN, Purpose::Swap) => {
            Fault::Conflict(format!("{server}: the name has gone or come since ({code})"))
        }
        (Rcode::SERVFAIL, _) => Fault::Busy(format!("{server} answers SERVFAIL for {zone}")),
        (Rcode::NOTZONE, _) => Fault::Config(format!("{server}: a name is not within {zone} (NOTZONE)")),
        (Rcode::NOTIMP, _) => Fault::Unsupported(format!(
            "{server} takes no DNS UPDATE (NOTIMP): switch it on there (PowerDNS: dnsupdate=yes)"
        )),
        (Rcode::FORMERR, _) => Fault::Invalid(format!("{server} cannot read the request (FORMERR)")),
        (Rcode::NOTAUTH, _) if client.signer().is_some() => not_authoritative(zone, client),
        (Rcode::REFUSED | Rcode::NOTAUTH, Purpose::Swap) => refused_update(code, zone, client),
        (Rcode::REFUSED | Rcode::NOTAUTH, Purpose::Read) => Fault::Config(format!(
            "{server} refuses questions about {zone} ({code}): it does not serve that zone, or not to us"
        )),
        (_, Purpose::Swap) => Fault::Unknown(format!("{server} answers {code} to an update of {zone}")),
        (_, Purpose::Read) => Fault::Unavailable(format!("{server} answers {code} for {zone}")),
    }
}

fn refused_update(code: Rcode, zone: &DomainName, client: &Client) -> Fault {
    let server = client.server();
    if client.signer().is_none() {
        return Fault::Auth(format!(
            "{server} refuses an update of {zone} without a key ({code}): configure `tsig`, or allow this address there"
        ));
    }
    Fault::Auth(format!(
        "{server} refuses an update of {zone} with the key {} ({code}): allow it (BIND update-policy, Knot acl, \
         PowerDNS TSIG-ALLOW-DNSUPDATE); a secondary or a frozen zone refuses as well",
        key_label(client)
    ))
}

fn not_authoritative(zone: &DomainName, client: &Client) -> Fault {
    Fault::Config(format!(
        "{} is not the primary of {zone} (NOTAUTH): set `server` to it, and check the zone's name",
        client.server()
    ))
}

/// Some servers do not sign what they refuse; the same code then means different things by server and by purpose
/// (measured: BIND 9.18.49, Knot 3.2.6, PowerDNS 4.7.3). None of these is believed to be a success or a conflict.
fn of_unsigned_refusal(code: Rcode, purpose: Purpose, zone: &DomainName, client: &Client) -> Fault {
    let (server, key) = (client.server(), key_label(client));
    match (code, purpose) {
        // PowerDNS: any trouble with the key, the secret or the clock.
        (Rcode::REFUSED, Purpose::Swap) | (Rcode::NOTAUTH, Purpose::Read) => Fault::Auth(format!(
            "{server} refuses the TSIG key {key} without saying why ({code}, unsigned): check the key's name, \
             algorithm and secret, \
             that it may change {zone} (PowerDNS: TSIG-ALLOW-DNSUPDATE), and both clocks"
        )),
        // Knot: a zone it does not serve.
        (Rcode::NOTAUTH, Purpose::Swap) => not_authoritative(zone, client),
        (Rcode::REFUSED, Purpose::Read) => Fault::Config(format!(
            "{server} refuses questions about {zone} (REFUSED): it does not serve that zone, or not to us"
        )),
        (Rcode::NOTIMP, _) => Fault::Unsupported(format!(
            "{server} takes no DNS UPDATE (NOTIMP): switch it on there (PowerDNS: dnsupdate=yes)"
        )),
        (Rcode::SERVFAIL, _) => Fault::Busy(format!("{server} answers SERVFAIL for {zone}")),
        (_, Purpose::Swap) => Fault::Unknown(format!("{server} answers {code} without a signature")),
        (_, Purpose::Read) => Fault::Unavailable(format!("{server} answers {code} without a signature")),
    }
}

fn key_label(client: &Client) -> String {
    client.signer().map_or_else(|| "(none)".to_owned(), super::sign::Signer::label)
}
