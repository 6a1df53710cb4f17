//! TSIG (RFC 8945): the key, and whose clock is right.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::base::message_builder::PushError;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientSequence, ClientTransaction, Key, KeyName};
use secrecy::ExposeSecret;

use super::badtime::BadTimeCheck;
use super::message::Request;
use crate::{BuildError, TsigAlgorithm, TsigConfig};

/// One request under way and what its answer must be signed with.
pub(super) type Transaction = ClientTransaction<Arc<Key>>;

/// One request that is answered by many messages.
pub(super) type Sequence = ClientSequence<Arc<Key>>;

/// A key, a clock, and what the server has told us about its own.
pub(super) struct Signer {
    key: Arc<Key>,
    badtime: BadTimeCheck,
    clock: fn() -> u64,
    /// The server's clock minus ours, seconds; 0 until it complained.
    offset: AtomicI64,
}

impl Signer {
    /// Takes the secret in; it goes nowhere else.
    pub(super) fn new(tsig: &TsigConfig, clock: fn() -> u64) -> Result<Signer, BuildError> {
        let wrong = |why: &str| BuildError::Setting(format!("the TSIG key {}: {why}", tsig.name));
        let secret = STANDARD
            .decode(tsig.secret.expose_secret().trim())
            .map_err(|_| wrong("its secret is not base64"))?;
        if secret.is_empty() {
            return Err(wrong("its secret is empty"));
        }
        let algorithm = match tsig.algorithm {
            TsigAlgorithm::HmacSha256 => Algorithm::Sha256,
            TsigAlgorithm::HmacSha384 => Algorithm::Sha384,
            TsigAlgorithm::HmacSha512 => Algorithm::Sha512,
        };
        let name = KeyName::from_str(&tsig.name.fqdn()).map_err(|_| wrong("its name is no domain name"))?;
        // No truncation: neither sent nor accepted (RFC 8945 section 5.2.2.1 leaves it to local policy).
        let key = Key::new(algorithm, &secret, name, None, None).map_err(|_| wrong("it cannot be used"))?;
        let badtime = BadTimeCheck::new(tsig.algorithm, secret);
        Ok(Signer { key: Arc::new(key), badtime, clock, offset: AtomicI64::new(0) })
    }

    /// The key, for a fuzz target that signs in a server's place.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The name and algorithm of the key, for messages.
    pub(super) fn label(&self) -> String {
        format!("{} ({})", self.key.name(), self.key.algorithm())
    }

    /// The time in the server's eyes, as far as we know.
    pub(super) fn now(&self) -> Time48 {
        let time = (self.clock)().saturating_add_signed(self.offset.load(Ordering::Relaxed));
        Time48::from_u64(time.min((1 << 48) - 1))
    }

    /// The server's clock shows `server` (Unix seconds, from a verified BADTIME): sign with its time from now on.
    pub(super) fn learn(&self, server: u64) {
        let offset = server.cast_signed().saturating_sub((self.clock)().cast_signed());
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// What the server's clock shows, if `answer` is its signed complaint (BADTIME) about `request`.
    pub(super) fn server_time(&self, request: &[u8], answer: &[u8]) -> Option<u64> {
        self.badtime.server_time(&self.key, request, answer)
    }

    /// By how many seconds the server's clock differs from ours.
    pub(super) fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Adds the signature.
    pub(super) fn sign(&self, request: &mut Request) -> Result<Transaction, PushError> {
        ClientTransaction::request(Arc::clone(&self.key), request, self.now())
    }

    /// The same for a request that is answered by many messages.
    pub(super) fn sign_for_many(&self, request: &mut Request) -> Result<Sequence, PushError> {
        ClientSequence::request(Arc::clone(&self.key), request, self.now())
    }
}

/// Unix seconds.
#[expect(clippy::disallowed_methods, reason = "TSIG signs the wall clock; RFC 8945 5.2.3")]
pub(super) fn wall_clock() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
