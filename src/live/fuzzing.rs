//! What authoritative servers may answer.

use providers::Ttl;

use super::message::{count, held, soa};
use crate::dns::fuzzing::answered;

/// What an answer says is of the name and type that was asked for, its TTL is one, and a fault says why.
pub(crate) fn live(data: &[u8]) {
    let Some((question, message)) = answered(data) else { return };
    let code = u16::from(message.metadata.response_code);
    match held(&question, &message) {
        Ok(set) => {
            assert!(message.metadata.authoritative && matches!(code, 0 | 3), "no authority, or an error");
            if let Some(set) = set {
                let record = |wanted| {
                    message
                        .answers
                        .iter()
                        .any(|one| one.name == question.query().name && one.record_type() == wanted)
                };
                assert!(record(super::message::wire_type(set.record_type())), "a set that nobody sent");
                assert!(set.ttl <= Ttl::MAX && !set.values.to_strings().is_empty());
            }
        }
        Err(why) => assert!(!why.is_empty() && why.len() < 2048, "{why}"),
    }
    if let Ok(soa) = soa(&question, &message) {
        assert!(soa.negative_ttl <= Ttl::MAX);
    }
    if let Ok(count) = count(&question, &message) {
        assert!(count <= message.answers.len());
    }
}
