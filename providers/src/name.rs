//! Names of the DNS: one canonical form inside, converted only at the edge.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// An absolute domain name: lower case, punycode, without the final dot.
///
/// The root is written `.`. Two spellings of one name are one value here, so that a provider that
/// answers `WWW.Example.COM.` and a configuration that says `www.example.com` compare equal.
///
/// ```
/// use failover_providers::DomainName;
/// let name: DomainName = "WWW.Example.com.".parse()?;
/// assert_eq!(name.as_str(), "www.example.com");
/// assert_eq!(name.fqdn(), "www.example.com.");
/// assert!(name.is_within(&"example.com".parse()?));
/// # Ok::<(), failover_providers::NameError>(())
/// ```
#[derive(Clone, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DomainName(Arc<str>);

/// Why a text is no domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a domain name cannot be empty")]
    Empty,
    /// RFC 1035 section 2.3.4: 255 octets on the wire, 253 characters in text.
    #[error("the name is {0} characters long; the DNS allows 253")]
    TooLong(usize),
    /// RFC 1035 section 2.3.4: a label has 1 to 63 octets.
    #[error("the label {0:?} is not 1 to 63 characters long")]
    Label(String),
    /// Only letters, digits, hyphen and underscore are written here (and `*` as the whole first label).
    #[error("{0:?} cannot stand in a domain name that this program manages")]
    Character(char),
    /// The international form cannot be turned into punycode.
    #[error("{0:?} is not a valid international domain name")]
    International(String),
}

/// The first label of a marker's name (RFC 8552: underscored, so that it is no host's).
const MARKER_LABEL: &str = "_failover";

impl DomainName {
    /// The name without the final dot, `.` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with the final dot, as zone files and PowerDNS want it.
    pub fn fqdn(&self) -> String {
        if self.is_root() { ".".into() } else { format!("{}.", self.0) }
    }

    /// Is this the root of the DNS?
    pub fn is_root(&self) -> bool {
        &*self.0 == "."
    }

    /// Is this name `zone` itself or below it? Whole labels count: `badexample.com` is not within `example.com`.
    pub fn is_within(&self, zone: &DomainName) -> bool {
        zone.is_root()
            || self.0 == zone.0
            || (self.0.len() > zone.0.len()
                && self.0.ends_with(&*zone.0)
                && self.0.as_bytes()[self.0.len() - zone.0.len() - 1] == b'.')
    }

    /// The name one label up; `None` for the root.
    pub fn parent(&self) -> Option<DomainName> {
        if self.is_root() {
            return None;
        }
        Some(DomainName(self.0.split_once('.').map_or(".", |(_, rest)| rest).into()))
    }

    /// The name beside this one that holds its marker, a TXT record: `_failover.` before it. `None` where there can be none:
    /// for a wildcard, and for a name that would become too long.
    ///
    /// ```
    /// # use failover_providers::DomainName;
    /// let www: DomainName = "www.example.com".parse().expect("a name");
    /// assert_eq!(www.marker().expect("short enough").as_str(), "_failover.www.example.com");
    /// assert!("*.example.com".parse::<DomainName>().expect("a name").marker().is_none());
    /// ```
    pub fn marker(&self) -> Option<DomainName> {
        if self.is_root() || self.0.starts_with("*.") {
            return None;
        }
        format!("{MARKER_LABEL}.{}", self.0).parse().ok()
    }

    /// Is this the name of a marker?
    pub fn is_marker(&self) -> bool {
        self.0.split('.').next() == Some(MARKER_LABEL)
    }

    /// How many labels the name has; the root has none.
    pub fn label_count(&self) -> usize {
        if self.is_root() { 0 } else { self.0.split('.').count() }
    }
}

// As they would be derived, but that most of what is compared is one and the same text: that is seen at once.
impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text == "." {
            return Ok(DomainName(".".into()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| NameError::International(text.to_owned()))?
        };
        if ascii.len() > 253 {
            return Err(NameError::TooLong(ascii.len()));
        }
        for (place, label) in ascii.split('.').enumerate() {
            if label.is_empty() || label.len() > 63 {
                return Err(NameError::Label(label.to_owned()));
            }
            if place == 0 && label == "*" {
                continue;
            }
            let odd = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
            if let Some(character) = label.chars().find(odd) {
                return Err(NameError::Character(character));
            }
        }
        Ok(DomainName(ascii.into()))
    }
}

impl TryFrom<String> for DomainName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl Serialize for DomainName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().expect("a valid name")
    }

    #[test]
    fn one_name_has_one_form() {
        for spelling in ["www.example.com", "WWW.EXAMPLE.COM", "www.example.com.", "Www.Example.Com."] {
            assert_eq!(name(spelling).as_str(), "www.example.com", "{spelling}");
        }
        assert_eq!(name("bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(name(".").fqdn(), ".");
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        let long = "a".repeat(64);
        assert_eq!("".parse::<DomainName>(), Err(NameError::Empty));
        assert_eq!("a..b".parse::<DomainName>(), Err(NameError::Label(String::new())));
        assert_eq!(long.parse::<DomainName>(), Err(NameError::Label(long.clone())));
        assert_eq!("a b.c".parse::<DomainName>(), Err(NameError::Character(' ')));
        assert_eq!("a.*.c".parse::<DomainName>(), Err(NameError::Character('*')));
        assert!(matches!(["abcdefgh"; 32].join(".").parse::<DomainName>(), Err(NameError::TooLong(_))));
    }

    #[test]
    fn whole_labels_count() {
        assert!(name("www.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
        assert!(!name("com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name(".")));
        assert_eq!(name("*.example.com").parent(), Some(name("example.com")));
        assert_eq!(name("com").parent(), Some(name(".")));
        assert_eq!(name(".").parent(), None);
    }
}
