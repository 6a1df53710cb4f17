//! Where a target is, and what a name should resolve to.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use providers::{AnswerSets, DomainName, NonEmpty, RecordSet, Snapshot, Ttl, Values};
use serde::{Deserialize, Serialize};

/// A place that a record may point at: an address, or a host name.
///
/// Its stored and its JSON form is a plain string, `203.0.113.10` or `dr.example.net`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A host name, whose own owner says where it leads.
    Name(DomainName),
}

impl Place {
    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Place::Address(address) => Some(*address),
            Place::Name(_) => None,
        }
    }

    /// The host name, if it is one.
    pub fn name(&self) -> Option<&DomainName> {
        match self {
            Place::Address(_) => None,
            Place::Name(name) => Some(name),
        }
    }

    /// What a name that holds this leads to: its addresses, or its canonical name.
    pub fn published(snapshot: &Snapshot) -> BTreeSet<Place> {
        let addresses = snapshot.addresses().into_iter().map(Place::Address);
        addresses.chain(snapshot.cname().cloned().map(Place::Name)).collect()
    }
}

impl From<IpAddr> for Place {
    fn from(address: IpAddr) -> Self {
        Place::Address(address)
    }
}

impl From<DomainName> for Place {
    fn from(name: DomainName) -> Self {
        Place::Name(name)
    }
}

impl FromStr for Place {
    type Err = <DomainName as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Place::Address).or_else(|_| text.parse().map(Place::Name))
    }
}

impl TryFrom<String> for Place {
    type Error = <DomainName as FromStr>::Err;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => f.pad(&address.to_string()),
            Place::Name(name) => f.pad(name.as_str()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a name should resolve to: addresses, or one host name. It cannot be empty, and not both (RFC 1034 section
/// 3.6.2), by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These addresses of both families.
    Addresses(NonEmpty<IpAddr>),
    /// One canonical name.
    Name(DomainName),
}

impl Answer {
    /// The answer that leads to these places; `None` for none. Of places that cannot stand together, which no checked
    /// configuration has, the addresses count, and of several names the first.
    pub fn of<'a>(places: impl IntoIterator<Item = &'a Place>) -> Option<Answer> {
        let (mut addresses, mut names) = (BTreeSet::new(), BTreeSet::new());
        for place in places {
            match place {
                Place::Address(address) => addresses.extend(Some(*address)),
                Place::Name(name) => names.extend(Some(name)),
            }
        }
        let name = || names.first().map(|name| Answer::Name((*name).clone()));
        NonEmpty::try_from(addresses).ok().map(Answer::Addresses).or_else(name)
    }

    /// Where it leads.
    pub fn places(&self) -> BTreeSet<Place> {
        self.each().collect()
    }

    /// The same one by one, in order.
    pub(super) fn each(&self) -> impl Iterator<Item = Place> {
        let (addresses, name) = match self {
            Answer::Addresses(addresses) => (Some(addresses), None),
            Answer::Name(name) => (None, Some(name)),
        };
        let addresses = addresses.into_iter().flat_map(NonEmpty::iter).copied().map(Place::Address);
        addresses.chain(name.cloned().map(Place::Name))
    }

    /// Does it lead to these places and to no others?
    pub(super) fn leads_to(&self, places: &BTreeSet<Place>) -> bool {
        self.each().eq(places.iter().cloned())
    }

    /// The record sets that publish it.
    pub fn sets(&self, ttl: Ttl) -> AnswerSets {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let name = match self {
            Answer::Name(name) => Some(Values::Cname(name.clone())),
            Answer::Addresses(addresses) => {
                for address in addresses.iter() {
                    match address {
                        IpAddr::V4(address) => v4.push(*address),
                        IpAddr::V6(address) => v6.push(*address),
                    }
                }
                None
            }
        };
        let addresses = [NonEmpty::new(v4).map(Values::A), NonEmpty::new(v6).map(Values::Aaaa)];
        let values = addresses.into_iter().chain([name]).flatten();
        let sets = AnswerSets::new(values.map(|values| RecordSet::new(ttl, values)));
        sets.expect("a CNAME alone, or at least one address with each family once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_a_plain_string() {
        for text in ["203.0.113.10", "2001:db8::5", "dr.example.net"] {
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::to_string(&place(text)).unwrap(), json);
            assert_eq!(serde_json::from_str::<Place>(&json).unwrap(), place(text));
        }
        assert_eq!(place("DR.Example.net."), place("dr.example.net"));
        assert!(serde_json::from_str::<Place>("\"two words\"").is_err());
    }

    #[test]
    fn an_answer_is_addresses_or_one_name_and_never_nothing() {
        assert_eq!(Answer::of(&[]), None);
        let name = Answer::of(&[place("dr.example.net")]).unwrap();
        assert_eq!(name.sets(Ttl(60)).to_string(), "dr.example.net");
        assert_eq!(name.places(), BTreeSet::from([place("dr.example.net")]));
        let both = [place("2001:db8::5"), place("203.0.113.10")];
        assert_eq!(Answer::of(&both).unwrap().places(), both.into_iter().collect());
    }
}
