//! Did somebody else write between our look at the zone and our write? What the serial tells. Pure.
//!
//! | server and SOA-EDIT-API | what it tells |
//! |---|---|
//! | the two headers differ (current releases) | a race unless the old one is the serial that we read |
//! | they are equal (4.7.3), INCREASE | a race unless it is the serial that we read, plus one |
//! | the same, DEFAULT | likewise; the first write of a day is `YYYYMMDD01` |
//! | the same, EPOCH or SOA-EDIT | nothing: several writes can share a serial |
//! | no headers, no SOA-EDIT-API | nothing: the serial does not grow (and no secondary learns of the write) |
//!
//! The serial belongs to the whole zone: a write to another name is reported as a race too. That costs the
//! caller one read. Measured on 4.7.3 with `SQLite`, which lets one writer in at a time.

/// The serials in the answer to a PATCH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serials {
    /// `X-PDNS-Old-Serial`: before the write; in 4.7.3 it repeats the new one.
    pub old: Option<u32>,
    /// `X-PDNS-New-Serial`: after the write.
    pub new: Option<u32>,
}

/// What the serials say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// Nobody else wrote.
    None,
    /// Somebody else wrote to the zone in between, and we may have overwritten it.
    Somebody,
    /// This server, or its way of counting, does not tell.
    CannotTell,
}

/// `edit` is the zone's SOA-EDIT-API, `read` the serial that came with what was compared.
pub fn race(edit: &str, read: u32, written: Serials) -> Race {
    let Some(new) = written.new else { return Race::CannotTell };
    if let Some(old) = written.old.filter(|old| *old != new) {
        return if old == read { Race::None } else { Race::Somebody };
    }
    let next = new == read.wrapping_add(1);
    let first_of_a_day = new % 100 == 1 && new / 100 > read / 100;
    match edit {
        "INCREASE" if next => Race::None,
        "DEFAULT" if next || first_of_a_day => Race::None,
        "INCREASE" | "DEFAULT" => Race::Somebody,
        _ => Race::CannotTell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(edit: &str, read: u32, old: u32, new: u32) -> Race {
        race(edit, read, Serials { old: Some(old), new: Some(new) })
    }

    #[test]
    fn the_serial_tells_of_a_write_in_between() {
        assert_eq!(told("INCREASE", 7, 8, 8), Race::None, "4.7.3 sends the new one twice");
        assert_eq!(told("INCREASE", 7, 9, 9), Race::Somebody);
        assert_eq!(told("INCREASE", u32::MAX, 0, 0), Race::None, "RFC 1982: it wraps");
        assert_eq!(told("EPOCH", 7, 7, 1_800_000_000), Race::None, "later releases send what was before");
        assert_eq!(told("EPOCH", 7, 8, 1_800_000_000), Race::Somebody);
    }

    #[test]
    fn a_dated_serial_starts_again_each_day() {
        assert_eq!(told("DEFAULT", 2_026_112_203, 2_026_112_204, 2_026_112_204), Race::None);
        assert_eq!(told("DEFAULT", 2_026_112_203, 2_026_112_301, 2_026_112_301), Race::None);
        assert_eq!(told("DEFAULT", 2_026_112_203, 2_026_112_302, 2_026_112_302), Race::Somebody);
        assert_eq!(told("DEFAULT", 2_026_112_203, 2_026_112_205, 2_026_112_205), Race::Somebody);
    }

    #[test]
    fn where_nothing_is_told_nothing_is_claimed() {
        assert_eq!(race("", 7, Serials::default()), Race::CannotTell);
        assert_eq!(told("EPOCH", 7, 9, 9), Race::CannotTell);
        assert_eq!(told("SOA-EDIT-INCREASE", 7, 9, 9), Race::CannotTell);
    }
}
