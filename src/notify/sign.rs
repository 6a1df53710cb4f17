//! Signatures of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>), symmetric scheme.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// Bytes of a key that the specification asks for.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs what is sent.
#[derive(Debug)]
pub struct SigningKey(SecretSlice<u8>);

/// Why a text is no signing secret; never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64.
    #[error("a signing secret is `whsec_` and base64; make one with: echo whsec_$(openssl rand -base64 32)")]
    Base64,
    /// Too short to be safe, or longer than receivers take.
    #[error(
        "a signing secret has 24 to 64 bytes, this one has {0}; make one with: echo whsec_$(openssl rand -base64 32)"
    )]
    Length(usize),
}

impl SigningKey {
    /// Reads `whsec_<base64>`; the prefix may be missing.
    ///
    /// # Errors
    /// [`KeyError`], when it is not base64 of 24 to 64 bytes.
    pub fn parse(secret: &SecretString) -> Result<Self, KeyError> {
        let text = secret.expose_secret().trim();
        let key =
            STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| KeyError::Base64)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(KeyError::Length(key.len()));
        }
        Ok(SigningKey(key.into()))
    }

    /// The signature of one attempt: `v1,<base64>` over `id.timestamp.body`. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .expect("HMAC takes a key of any length (RFC 2104 section 3)");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SigningKey, KeyError> {
        SigningKey::parse(&text.into())
    }

    /// The vector of the specification's own test suite.
    #[test]
    fn the_vector_of_standard_webhooks() {
        for secret in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"] {
            let signature = parse(secret).unwrap().sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            );
            assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        assert_eq!(parse("whsec_not base64!").unwrap_err(), KeyError::Base64);
        assert_eq!(parse("whsec_").unwrap_err(), KeyError::Length(0));
        assert_eq!(parse("c2hvcnQ=").unwrap_err(), KeyError::Length(5));
        let key = parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert!(!format!("{key:?}").contains("MfKQ"), "{key:?}");
    }
}
