//! PURE: record data as text, in one form, so that what an operator writes and what a server sends can be compared.

use hickory_proto::rr::{RData, RecordType};

/// Types whose data is a domain name, or ends with one; letter case means nothing in all of it.
const NAMED: &[RecordType] =
    &[RecordType::CNAME, RecordType::NS, RecordType::PTR, RecordType::MX, RecordType::SRV];

/// Types whose data is so many fields without blanks or quotes within.
pub(super) const PLAIN: &[RecordType] = &[
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
];

/// Types of which values can be written, by their names in a zone file.
pub const WRITABLE: &[(&str, RecordType)] = &[
    ("A", RecordType::A),
    ("AAAA", RecordType::AAAA),
    ("CAA", RecordType::CAA),
    ("CNAME", RecordType::CNAME),
    ("HTTPS", RecordType::HTTPS),
    ("MX", RecordType::MX),
    ("NAPTR", RecordType::NAPTR),
    ("NS", RecordType::NS),
    ("PTR", RecordType::PTR),
    ("SOA", RecordType::SOA),
    ("SRV", RecordType::SRV),
    ("SSHFP", RecordType::SSHFP),
    ("SVCB", RecordType::SVCB),
    ("TLSA", RecordType::TLSA),
    ("TXT", RecordType::TXT),
];

/// The form of record data that came from a server: as in a zone file, names in lower case and with their final dot.
/// The strings of a TXT record are one text, as their readers see them (RFC 7208 section 3.3).
pub fn text_of(data: &RData) -> String {
    match data {
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        data if NAMED.contains(&data.record_type()) => data.to_string().to_lowercase(),
        RData::SOA(_) => data.to_string().to_lowercase(),
        data => data.to_string(),
    }
}

/// The same form of a value as written by hand, where a name may do without its final dot. `Err` says what is wrong.
pub fn text_from(kind: RecordType, written: &str) -> Result<String, String> {
    if kind == RecordType::TXT {
        return Ok(written.to_owned());
    }
    let written = written.trim();
    let form = parsed(kind, written)?;
    if !PLAIN.contains(&kind) {
        return Ok(form);
    }
    // The library does not look at what is left over, nor behind a `;`: a value that nobody meant would be compared.
    let [has, should] = [written, &form].map(|text| text.split_whitespace().count());
    match parsed(kind, &form) {
        _ if has != should => Err(format!("it has {has} fields, and the data of {kind} has {should}")),
        Ok(again) if again == form => Ok(form),
        _ => Err(format!("of it, only {form} is data of {kind}")),
    }
}

fn parsed(kind: RecordType, written: &str) -> Result<String, String> {
    let dot = if NAMED.contains(&kind) && !written.ends_with('.') { "." } else { "" };
    let data = RData::try_from_str(kind, &format!("{written}{dot}")).map_err(|error| error.to_string())?;
    Ok(text_of(&data))
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Name;
    use hickory_proto::rr::rdata::{MX, TXT};

    use super::*;

    #[test]
    fn what_is_written_and_what_is_sent_meet_in_one_form() {
        let same = |kind, written: &str, form: &str| {
            assert_eq!(text_from(kind, written).as_deref(), Ok(form), "{kind} {written}");
        };
        same(RecordType::A, "192.0.2.1", "192.0.2.1");
        same(RecordType::AAAA, "2001:DB8:0::1", "2001:db8::1");
        same(RecordType::CNAME, "WWW.example.com", "www.example.com.");
        same(RecordType::MX, "10 Mail.example.com", "10 mail.example.com.");
        same(RecordType::SRV, "0 5 5060 sip.example.com.", "0 5 5060 sip.example.com.");
        same(RecordType::TXT, "v=spf1 -all", "v=spf1 -all");
        let mail = Name::from_ascii("MAIL.example.com.").expect("a name");
        assert_eq!(text_of(&RData::MX(MX::new(10, mail))), "10 mail.example.com.");
        let halves = TXT::new(vec!["v=spf1 ".into(), "-all".into()]);
        assert_eq!(text_of(&RData::TXT(halves)), "v=spf1 -all");
    }

    /// The form is stable: written again it is itself.
    #[test]
    fn every_type_has_a_form_that_lasts() {
        let examples = [
            (RecordType::CAA, r#"0 issue "letsencrypt.org""#),
            (RecordType::HTTPS, "1 . alpn=h2"),
            (RecordType::NAPTR, r#"100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" ."#),
            (RecordType::SOA, "ns1.example.com. host.example.com. 7 3600 600 86400 60"),
            (RecordType::SSHFP, "1 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"),
            (RecordType::TLSA, "3 1 1 0d6fce3f4b0d6fce3f4b0d6fce3f4b0d6fce3f4b0d6fce3f4b0d6fce3f4b0d6f"),
        ];
        for (kind, written) in examples {
            let form = text_from(kind, written).unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(text_from(kind, &form), Ok(form.clone()), "{kind}");
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        for (kind, written) in [
            (RecordType::A, "2001:db8::1"),
            (RecordType::A, ""),
            (RecordType::MX, "mail.example.com"),
            (RecordType::CNAME, "a..b"),
            (RecordType::A, "192.0.2.1 192.0.2.2"),
            (RecordType::MX, "10 mail.example;com"),
            (RecordType::MX, "10 mail.example.com 20 mail.example.org"),
            (RecordType::SRV, "0 5 5060 0 sip.example.com"),
        ] {
            assert!(text_from(kind, written).is_err(), "{kind} {written}");
        }
    }
}
