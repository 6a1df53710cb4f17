//! Reading single values: text, numbers, durations, sizes, addresses, names.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use providers::DomainName;
use regex::{Regex, RegexBuilder};
use secrecy::SecretString;
use url::Url;

use super::limits;
use super::read::{Item, Read, nearest};

/// No duration may be longer: whoever writes more has mistaken the unit.
const MAX_DURATION: Duration = Duration::from_hours(24);
/// A regular expression may need this much memory when compiled, bytes.
const MAX_REGEX: usize = 1024 * 1024;

impl Item<'_> {
    /// Text as written. Numbers are text, too; booleans are a mistake.
    pub(super) fn text(self) -> Read<String> {
        let scalar = self.scalar("text")?;
        if scalar.plain && self.node.form() == "a boolean" {
            return Err(self.expected("text", "put it in quotes if that is what you mean"));
        }
        if scalar.text.is_empty() {
            return Err(
                self.fault(format!("`{}` is empty", self.name), "give it a value, or remove the line")
            );
        }
        if scalar.text.len() > limits::TEXT {
            let message = format!("`{}` is longer than {} KiB", self.name, limits::TEXT / 1024);
            return Err(self.fault(message, "shorten it"));
        }
        Ok(scalar.text.clone())
    }

    /// Text that is never shown.
    pub(super) fn secret(self) -> Read<SecretString> {
        self.text().map(SecretString::from)
    }

    /// `true` or `false`.
    pub(super) fn flag(self) -> Read<bool> {
        match self.scalar("true or false")?.text.as_str() {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(self.fault(
                format!("`{}` must be true or false, and not `{}`", self.name, self.shown()),
                "write true or false",
            )),
        }
    }

    /// A whole number within `range`.
    pub(super) fn number(self, range: RangeInclusive<u32>) -> Read<u32> {
        let (name, least, most) = (self.name, range.start(), range.end());
        let scalar = self.scalar("a whole number")?;
        let between = format!("write a whole number between {least} and {most}");
        let Ok(number) = scalar.text.parse::<i128>() else {
            let message = format!("{name} `{}` is not a whole number", self.shown());
            return Err(self.fault(message, between));
        };
        u32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
            self.fault(format!("{name} {} is not between {least} and {most}", self.shown()), between)
        })
    }

    /// A port, 1 to 65535.
    pub(super) fn port(self) -> Read<u16> {
        self.number(1..=65535).map(|port| u16::try_from(port).expect("the range is that of a port"))
    }

    /// A length of time with its unit, from `least` to a day.
    pub(super) fn duration(self, least: Duration) -> Read<Duration> {
        let text = self.scalar("a duration")?.text.trim();
        let (name, shown) = (self.name, self.shown());
        if text.parse::<f64>().is_ok_and(|number| number != 0.0 || least.is_zero()) {
            let remedy = format!("add a unit: `{shown}s`, `{shown}ms`, `{shown}m`");
            return Err(self.fault(format!("{name} `{shown}` has no unit"), remedy));
        }
        let zero = text.parse::<f64>().is_ok().then_some(SignedDuration::ZERO);
        let Some(duration) = zero.or_else(|| text.parse().ok()) else {
            let message = format!("{name} `{shown}` is not a duration");
            return Err(self.fault(message, "write a number and a unit: 500ms, 10s, `1m 30s`, 2h"));
        };
        let Ok(duration) = Duration::try_from(duration) else {
            return Err(self.fault(format!("{name} `{shown}` is negative"), "write it without the sign"));
        };
        if duration < least && duration.is_zero() {
            let remedy = format!("write at least {}", words(least));
            return Err(self.fault(format!("{name} cannot be zero"), remedy));
        }
        if duration < least || duration > MAX_DURATION {
            let between = format!("{} and {}", words(least), words(MAX_DURATION));
            return Err(self.fault(format!("{name} {shown} is not between {between}"), "check the unit"));
        }
        Ok(duration)
    }

    /// A number of bytes, plain or with a unit (`64KiB`), from 1 to `most`.
    pub(super) fn size(self, most: usize) -> Read<usize> {
        const UNITS: &[(&str, usize)] =
            &[("", 1), ("B", 1), ("kB", 1000), ("KiB", 1024), ("MB", 1_000_000), ("MiB", 1024 * 1024)];
        let text = self.scalar("a size")?.text.trim();
        let (name, shown) = (self.name, self.shown());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = UNITS.iter().find(|(unit, _)| *unit == text[digits..].trim_start());
        let (Ok(number), Some((_, factor))) = (text[..digits].parse::<usize>(), unit) else {
            let remedy = "write a number of bytes, or one with B, kB, KiB, MB or MiB: 64KiB";
            return Err(self.fault(format!("{name} `{shown}` is not a size"), remedy));
        };
        number.checked_mul(*factor).filter(|size| (1..=most).contains(size)).ok_or_else(|| {
            self.fault(format!("{name} {shown} is not between 1 and {most} bytes"), "choose one in between")
        })
    }

    /// A share from 0 to `most` percent.
    pub(super) fn percent(self, most: u8) -> Read<u8> {
        let text = self.scalar("a percentage")?.text.trim();
        let (name, shown) = (self.name, self.shown());
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<u8>().ok());
        match number {
            Some(number) if number <= most => Ok(number),
            Some(_) => {
                let message = format!("{name} {shown} is not between 0% and {most}%");
                Err(self.fault(message, format!("write at most {most}%")))
            }
            None => Err(self.fault(format!("{name} `{shown}` is not a percentage"), "write it like 10%")),
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(self, choices: &[(&'static str, T)], later: &[&str]) -> Read<T> {
        let scalar = self.scalar("a word")?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == scalar.text) {
            return Ok(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        if later.contains(&scalar.text.as_str()) {
            let remedy = format!("this version knows: {}", words.join(", "));
            return Err(self.later(&format!("`{}: {}`", self.name, scalar.text), &remedy));
        }
        let remedy = match nearest(&scalar.text, words.iter().chain(later).copied()) {
            Some(near) if later.contains(&near) => {
                format!("`{near}` is not in this version yet; choose one of: {}", words.join(", "))
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("choose one of: {}", words.join(", ")),
        };
        Err(self.fault(format!("unknown {} `{}`", self.name, self.shown()), remedy))
    }

    /// A path, relative to the current directory unless it begins with `/`.
    pub(super) fn path(self) -> Read<PathBuf> {
        let text = self.text()?;
        if text.contains('\0') {
            return Err(self.fault(format!("`{}` holds a NUL character", self.name), "remove it"));
        }
        Ok(PathBuf::from(text))
    }

    /// A domain name.
    pub(super) fn domain(self) -> Read<DomainName> {
        let text = self.text()?;
        if looks_like_an_address(&text) {
            let message = format!("`{}` must be a domain name, and `{}` is none", self.name, self.shown());
            return Err(self.fault(message, "write a name like www.example.com"));
        }
        let name = text.parse::<DomainName>().map_err(|error| {
            let message = format!("`{}` is no domain name{}", self.shown(), self.because(error));
            self.fault(message, "write a name like www.example.com")
        })?;
        // The DNS could hold it (RFC 2181 section 11). Resolvers and our own library ask for none, so nobody could see it.
        if name.as_str().split('.').any(|label| label.starts_with('-')) {
            let message =
                format!("`{}` has a label that begins with a hyphen, which no host name has", self.shown());
            return Err(self
                .fault(message, "write a name whose labels begin with a letter or a digit (RFC 1123 2.1)"));
        }
        Ok(name)
    }

    /// An address to connect to, without a port. `what` names what is meant: "a target".
    pub(super) fn address(self, what: &str) -> Read<IpAddr> {
        let text = self.text()?;
        let shown = self.shown();
        let error = match text.parse::<IpAddr>() {
            Ok(address) => return self.usable(address, what),
            Err(error) => error,
        };
        let (message, remedy) = if text.parse::<SocketAddr>().is_ok() {
            (format!("`{shown}` has a port"), "leave the port out; it belongs to the check")
        } else if text.contains('/') {
            (format!("`{shown}` is a network or a URL and no address"), "write single addresses")
        } else if looks_like_an_address(&text) || text.parse::<DomainName>().is_err() {
            (
                format!("`{shown}` is no IP address{}", self.because(error)),
                "write 192.0.2.1 or \"2001:db8::1\"",
            )
        } else {
            return Err(self.later(&format!("a host name (`{shown}`) as {what}"), "write its addresses"));
        };
        Err(self.fault(message, remedy))
    }

    fn usable(self, address: IpAddr, what: &str) -> Read<IpAddr> {
        let shown = self.shown();
        let why = match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                let remedy = format!("write {}", address.to_canonical());
                return Err(self.fault(format!("`{shown}` is an IPv4 address in IPv6 form"), remedy));
            }
            _ if address.is_unspecified() => "an address to listen on",
            _ if address.is_multicast() => "a multicast address",
            IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
            _ => return Ok(address),
        };
        let remedy = format!("write the address at which {what} is reached");
        Err(self.fault(format!("`{shown}` is {why} and cannot be {what}"), remedy))
    }

    /// An address and a port, `192.0.2.1:53`. `least` is 0 where the system may choose the port.
    pub(super) fn socket_address(self, least: u16, usual: u16) -> Read<SocketAddr> {
        let text = self.text()?;
        let (name, shown) = (self.name, self.shown());
        if let Ok(address) = text.parse::<SocketAddr>() {
            if address.port() < least {
                return Err(
                    self.fault(format!("port 0 in `{shown}` cannot be connected to"), "write the port")
                );
            }
            return Ok(address);
        }
        let (message, remedy) = if let Ok(address) = text.parse::<IpAddr>() {
            let full = SocketAddr::new(address, usual);
            (format!("`{shown}` has no port"), format!("write \"{full}\""))
        } else if let Some((_, port)) =
            text.rsplit_once(':').filter(|(host, _)| host.parse::<IpAddr>().is_ok())
        {
            let range = if least == 0 { "0 and 65535" } else { "1 and 65535" };
            let port = if self.because("").is_empty() { "in it" } else { port };
            (format!("port {port} is not between {range}"), "write a port that exists".into())
        } else {
            let form = format!("write an IP address and a port, like \"192.0.2.1:{usual}\"");
            (format!("{name} `{shown}` is not an IP address with a port"), form)
        };
        Err(self.fault(message, remedy))
    }

    /// An absolute `http` or `https` URL. It may be a secret, so it is not repeated in faults.
    pub(super) fn url(self) -> Read<Url> {
        let remedy = "write it in full, like https://host.example.com/path";
        let text = self.text()?;
        let url = text.parse::<Url>();
        let url = url.map_err(|error| self.fault(format!("`{}` is no URL: {error}", self.name), remedy))?;
        // The parser mends much (`https:/host`, spaces): nobody should rely on that.
        let start = text.to_ascii_lowercase();
        let whole = start.starts_with("http://") || start.starts_with("https://");
        if !whole || !url.has_host() || text.contains(char::is_whitespace) {
            return Err(self.fault(format!("`{}` is no http or https URL", self.name), remedy));
        }
        Ok(url)
    }

    /// A regular expression.
    pub(super) fn regex(self) -> Read<Regex> {
        let text = self.text()?;
        RegexBuilder::new(&text).size_limit(MAX_REGEX).build().map_err(|error| {
            // The last line says why; those before draw a picture of the expression.
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = format!("`{}` is no regular expression{}", self.shown(), self.because(why));
            self.fault(message, "mend it; look-around and back-references do not exist here")
        })
    }
}

/// Digits and dots, or colons: somebody meant an address, whatever else it may parse as.
pub(super) fn looks_like_an_address(text: &str) -> bool {
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or("");
    text.contains(':') || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A duration as a person writes it.
pub(super) fn words(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (0, 0) => "0s".to_owned(),
        (0, millis) => format!("{millis}ms"),
        (seconds, 0) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}s {millis}ms"),
    }
}
