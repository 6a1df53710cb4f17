//! Record sets out of an answer.

use domain::base::name::ToName;
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname, Txt};

use crate::{DomainName, Fault, NonEmpty, RecordSet, RecordType, Ttl, Values};

/// The record set of this name and type in the answer section; `None` when there is none.
///
/// Records of other names and types (the end of an alias chain) are not looked at. Where the TTLs of a set
/// differ, which RFC 2181 section 5.2 forbids, the least counts.
///
/// # Errors
/// [`Fault::Unavailable`] when the answer cannot be read; [`Fault::Unsupported`] when an alias points at a name that
/// [`DomainName`] does not admit.
pub(super) fn record_set(
    message: &Message<Vec<u8>>,
    name: &DomainName,
    kind: RecordType,
) -> Result<Option<RecordSet>, Fault> {
    let unreadable =
        |why| Fault::Unavailable(format!("the answer about {name} {kind} cannot be read: {why}"));
    let section = || message.answer().map_err(|why| unreadable(why.to_string()));
    let mut ttls = Vec::new();
    macro_rules! values {
        ($data:ty, $value:expr) => {{
            let mut values = Vec::new();
            for record in section()?.limit_to_in::<$data>() {
                let record = record.map_err(|why| unreadable(why.to_string()))?;
                if is(record.owner(), name) {
                    ttls.push(Ttl(record.ttl().as_secs()));
                    values.push($value(record.data()));
                }
            }
            values
        }};
    }
    let values = match kind {
        RecordType::A => NonEmpty::new(values!(A, A::addr)).map(Values::A),
        RecordType::Aaaa => NonEmpty::new(values!(Aaaa, Aaaa::addr)).map(Values::Aaaa),
        RecordType::Cname => {
            let targets =
                values!(Cname<ParsedName<_>>, |data: &Cname<ParsedName<_>>| data.cname().to_string());
            let why = |why| Fault::Unsupported(format!("{name} is an alias of {why}"));
            targets.first().map(|target| alias(target)).transpose().map_err(why)?
        }
        RecordType::Txt => {
            let text = |data: &Txt<_>| crate::text::text_of(&data.iter().collect::<Vec<&[u8]>>());
            NonEmpty::new(values!(Txt<_>, text)).map(Values::Txt)
        }
    };
    Ok(values.zip(ttls.into_iter().min()).map(|(values, ttl)| RecordSet::new(ttl.min(Ttl::MAX), values)))
}

/// The value of an alias with this target, or why there is none.
pub(super) fn alias(target: &str) -> Result<Values, String> {
    let target = if target.is_empty() { "." } else { target };
    target
        .parse()
        .map(Values::Cname)
        .map_err(|why| format!("{target:?}, which cannot be handled here: {why}"))
}

/// Is this the same name? Case does not count (RFC 4343).
pub(super) fn is(owner: &impl ToName, name: &DomainName) -> bool {
    owner.to_vec().to_string().eq_ignore_ascii_case(name.as_str())
}

/// Does the answer section hold a record of this name and type?
pub(super) fn holds(message: &Message<Vec<u8>>, name: &DomainName, rtype: domain::base::Rtype) -> bool {
    let Ok(section) = message.answer() else { return false };
    section.flatten().any(|record| record.rtype() == rtype && is(&record.owner(), name))
}
