//! The table "What happens on a bad day" of `docs/operations.md`, made of the tests that hold it true.
//!
//! A test of a bad day has a line among its doc comments, `/// bad day: <day> | <what happens>`, and its row in the
//! table names it: a day without a test cannot be in the table. The first words of a day, up to a colon, are what it
//! is about; rows are sorted by them. `UPDATE=1 cargo test --test tidy` writes the table.

use super::*;

const DOCUMENT: &str = "docs/operations.md";
/// The table begins with this line and ends before the next empty one.
const HEAD: &str = "| day | what happens | the test |";

/// One row, or what is wrong with its line.
fn rows(source: &Source) -> Vec<Result<String, Breach>> {
    let lines: Vec<&str> = source.lines.iter().map(|line| line.raw.trim()).collect();
    let marked =
        lines.iter().enumerate().filter_map(|(at, line)| Some((at, line.strip_prefix("/// bad day:")?)));
    marked.map(|(at, text)| row(&lines[at..], text).map_err(|what| breach(source, at + 1, what))).collect()
}

/// `lines` are those from the mark on.
fn row(lines: &[&str], text: &str) -> Result<String, String> {
    let cells: Vec<&str> = text.split('|').map(str::trim).collect();
    let [day, happens] = cells.as_slice() else {
        return Err("a bad day is `/// bad day: <day> | <what happens>`".into());
    };
    if day.is_empty() || happens.is_empty() {
        return Err("a bad day has a name and an outcome".into());
    }
    // Between the mark and the function stand other doc comments and attributes, one of which makes it a test.
    let head = lines.iter().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let is_test = head.clone().any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"));
    let name = lines.get(head.count()).and_then(|line| line.trim_start_matches("async ").strip_prefix("fn "));
    let name = name.filter(|_| is_test).and_then(|rest| rest.split('(').next());
    let name = name.ok_or("a bad day stands above its test; put it there")?;
    Ok(format!("| {day} | {happens} | `{name}` |"))
}

fn table(rows: &[String]) -> String {
    [HEAD, "|---|---|---|"].into_iter().chain(rows.iter().map(String::as_str)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_table_of_bad_days_is_what_the_tests_say() {
    let files = files();
    let (rows, wrong): (Vec<_>, Vec<_>) = sources(&files).iter().flat_map(rows).partition(Result::is_ok);
    must_be_none(wrong.into_iter().filter_map(Result::err).collect());
    let mut rows: Vec<String> = rows.into_iter().flatten().collect();
    rows.sort_by_key(|row| row.to_lowercase());
    let text = &files[DOCUMENT];
    let start = text.find(HEAD).unwrap_or_else(|| panic!("{DOCUMENT} has no line {HEAD:?}"));
    let end = text[start..].find("\n\n").map_or(text.trim_end().len(), |length| start + length);
    if std::env::var_os("UPDATE").is_some() {
        let new = format!("{}{}{}", &text[..start], table(&rows), &text[end..]);
        std::fs::write(root().join(DOCUMENT), new).expect("written");
    } else {
        let old = &text[start..end];
        assert!(old == table(&rows), "{DOCUMENT} is behind: UPDATE=1 cargo test --test tidy writes it");
    }
}

#[test]
fn a_bad_day_without_a_test_or_an_outcome_is_found() {
    let found = |text: &str| rows(&Source::parse("tests/x.rs", text)).remove(0);
    let good =
        "/// bad day: target: it burns | left\n#[tokio::test(start_paused = true)]\nasync fn fire() {\n";
    assert_eq!(found(good), Ok("| target: it burns | left | `fire` |".into()));
    let indented = "    /// bad day: a | b\n    /// More.\n    #[test]\n    fn c() {\n";
    assert_eq!(found(indented), Ok("| a | b | `c` |".into()));
    for bad in [
        "/// bad day: it burns\n#[test]\nfn fire() {",
        "/// bad day: it burns |\n#[test]\nfn fire() {",
        "/// bad day: it burns | left\nfn fire() {",
        "/// bad day: it burns | left\n#[test]\nconst FIRE: u8 = 1;",
        "/// bad day: it burns | left\n",
    ] {
        assert!(found(bad).is_err(), "{bad}");
    }
}
