//! Somebody else's value is never touched, and the program says which line would allow it.

use crate::agent::{Done, Site};
use crate::stage::{ALPHA, Stage, WWW, Way, on_each};

/// The line `adopt: [...]` as it was printed for a person.
fn line_to_add(done: &Done) -> String {
    let text = done.text();
    let start = text.find("`adopt: [").unwrap_or_else(|| panic!("no line to add in {text}")) + 1;
    let line = text[start..].split('`').next().expect("there is a first part");
    line.to_owned()
}

/// Refused by `plan` and `once`, with the line; accepted with it.
fn refused_then_adopted(stage: &mut Stage, site: &Site, line: &str) {
    let serial = stage.serial();
    for arguments in
        [&["plan"][..], &["once"], &["plan", "--detailed-exitcode"], &["once", "--detailed-exitcode"]]
    {
        let done = site.failover(arguments).ended(4);
        assert_eq!(line_to_add(&done), line, "{}", done.text());
    }
    let record = site.plan(&[]).ended(4).record();
    assert_eq!((&record["status"], &record["guard"]), (&"refused".into(), &"foreign".into()), "{record:#}");
    assert_eq!(stage.serial(), serial, "nothing was written");

    stage.settings.more = format!("    {line}");
    site.configure(&stage.config());
    site.plan(&["--detailed-exitcode"]).ended(5);
    assert_eq!(stage.serial(), serial, "nothing was written");
    site.once(&["--detailed-exitcode"]).ended(5);
    assert_eq!((stage.serial(), stage.answer()), (serial + 1, vec![ALPHA.to_owned()]));
    assert_eq!(stage.server.ask(WWW, "AAAA").values(), [""; 0]);
    site.once(&["--detailed-exitcode"]).ended(0);
    stage.settings.more.clear();
    site.configure(&stage.config());
}

fn story(way: Way) {
    let mut stage = Stage::start(way);
    let site = stage.site();
    stage.publish(&["192.0.2.77", "2001:db8::77"]);
    refused_then_adopted(&mut stage, &site, r#"adopt: ["192.0.2.77", "2001:db8::77"]"#);
    stage.server.set(WWW, &["60 CNAME shop.example.net."]);
    refused_then_adopted(&mut stage, &site, r#"adopt: ["shop.example.net"]"#);
    // Ours and somebody else's in one set: what is not ours decides.
    stage.publish(&[ALPHA, "192.0.2.78"]);
    refused_then_adopted(&mut stage, &site, r#"adopt: ["192.0.2.78"]"#);
    stage.assert_told("adjust.completed", 3);
}

/// bad day: record: `plan` and `once` find a foreign address, an alias or a second value | exit code 4 with the `adopt:` line
#[test]
fn a_foreign_value_is_refused_with_the_line_that_adopts_it() {
    on_each(story);
}

fn a_missing_record(way: Way) {
    let mut stage = Stage::start(way);
    stage.publish(&[]);
    let (site, serial) = (stage.site(), stage.serial());
    for arguments in [["plan"], ["once"]] {
        let done = site.failover(&arguments).ended(4);
        assert!(done.text().contains("`create: true`"), "{}", done.text());
    }
    assert_eq!((stage.serial(), stage.server.ask(WWW, "A").rcode.as_str()), (serial, "NXDOMAIN"));
    stage.settings.more = "    create: true".into();
    site.configure(&stage.config());
    site.plan(&["--detailed-exitcode"]).ended(5);
    site.once(&["--detailed-exitcode"]).ended(5);
    assert_eq!((stage.serial(), stage.answer()), (serial + 1, vec![ALPHA.to_owned()]));
}

/// bad day: record: `plan` and `once` find none | exit code 4 with `create: true`
#[test]
fn a_missing_record_is_made_only_when_the_configuration_says_so() {
    on_each(a_missing_record);
}
