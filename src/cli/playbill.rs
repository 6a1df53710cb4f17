//! How a rehearsal looks on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use super::Global;
use super::output::{Paint, print};
use crate::decision::{TargetId, human};
use crate::lab::{Billing, Cast, Entry, Kind, Outcome, RecordOutcome, Turn, listed};

/// The widest text; longer lines are hard to read.
const WIDEST: usize = 100;
/// The narrowest text that is still tried.
const NARROWEST: usize = 60;
/// Where the text of the timeline begins: after the time and the voice.
const MARGIN: usize = 18;
/// Where the values of the opening begin.
const LABEL: usize = 12;

/// A space at which no line is broken.
const TIE: &str = "\u{a0}";

/// Prints a rehearsal.
pub(super) struct Playbill {
    paint: Paint,
    verbose: bool,
    width: usize,
}

impl Playbill {
    pub(super) fn new(global: &Global, verbose: bool) -> Self {
        let out = std::io::stdout();
        let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
        let columns = if out.is_terminal() && columns > 0 { columns } else { WIDEST };
        let width = columns.clamp(NARROWEST, WIDEST);
        Playbill { paint: Paint::new(global), verbose, width }
    }

    /// What is played.
    pub(super) fn opening(&self, name: &str, is_example: bool, cast: &Cast, real_intervals: bool) {
        print(&format!("{}\n", self.paint.strong(&format!("Rehearsal of {name}"))));
        print("Real probes, real decisions, real DNS; nothing leaves this machine.\n");
        if is_example {
            print("There is no failover.yaml here; name yours with -c FILE.\n");
        }
        print("\n");
        for (record, targets) in cast.records() {
            let of_target = |(id, places): &Billing| {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                format!("{id} ({})", places.join(", "))
            };
            let targets: Vec<String> = targets.iter().map(of_target).collect();
            self.labelled("record", &format!("{record}: {}", targets.join(", then ")));
        }
        let outages: Vec<String> = cast.outages().iter().map(names).collect();
        self.labelled("outage", &format!("of {}", outages.join(", then of ")));
        self.labelled("stand-ins", "a mock zone in memory, listeners on 127.0.0.1 for every target");
        if let Some(channel) = cast.channels().first() {
            self.labelled("channels", &format!("[{channel}] marks what it would be told; nothing is sent"));
        }
        for note in &cast.notes {
            self.labelled("note", note);
        }
        if real_intervals {
            self.labelled("times", "as configured");
        }
        // The same times of many checks or records are said once.
        let mut words: Vec<String> = Vec::new();
        for one in &cast.shortened {
            let word = format!("{} {} -> {}", one.key, human(one.configured), human(one.rehearsed));
            let word = word.replace(' ', TIE);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        if !words.is_empty() {
            self.labelled("shortened", &words.join(", "));
        }
        print("\n");
    }

    fn labelled(&self, label: &str, text: &str) {
        let mut lines = wrapped(text, self.width - LABEL).into_iter();
        let first = lines.next().unwrap_or_default();
        print(&format!("{} {first}\n", self.paint.faint(&format!("{label:<width$}", width = LABEL - 1))));
        lines.for_each(|line| print(&format!("{:LABEL$}{line}\n", "")));
    }

    /// One thing that happened.
    pub(super) fn line(&self, entry: &Entry) {
        if entry.minor && !self.verbose {
            return;
        }
        let mut text = entry.text.clone();
        if !entry.heard_by.is_empty() {
            let channels: Vec<&str> = entry.heard_by.iter().map(crate::decision::ChannelId::as_str).collect();
            text = format!("{text} [{}]", channels.join(", "));
        }
        for (at, line) in wrapped(&text, self.width - MARGIN).iter().enumerate() {
            let margin = match at {
                0 => format!("{:>7.2} s  {:<6}  ", entry.at.as_secs_f64(), entry.kind.voice()),
                _ => " ".repeat(MARGIN),
            };
            print(&format!("{}{}\n", self.paint.faint(&margin), self.coloured(entry.kind, line)));
        }
        if let Some(message) = entry.message.as_ref().filter(|_| self.verbose && !entry.heard_by.is_empty()) {
            for line in message.lines().flat_map(|line| wrapped(line, self.width - MARGIN - 2)) {
                print(&format!("{:MARGIN$}{}\n", "", self.paint.faint(&format!("| {line}"))));
            }
        }
    }

    fn coloured(&self, kind: Kind, text: &str) -> String {
        match kind {
            Kind::Killed | Kind::Late | Kind::Refused => self.paint.bad(text),
            Kind::Returned | Kind::Ready => self.paint.good(text),
            Kind::Served | Kind::Written | Kind::Phases => self.paint.strong(text),
            Kind::Asked | Kind::Probed | Kind::Event | Kind::SecondRun => text.to_owned(),
        }
    }

    /// What came of it.
    pub(super) fn closing(&self, outcome: &Outcome) {
        let heads = format!("{:<24}{:>9}{:>9}{:>9}   with your times", "", "detected", "written", "served");
        print(&format!("\n{}\n", self.paint.faint(&heads)));
        outcome.records.iter().for_each(|record| self.record(record));
        let heard: Vec<String> =
            outcome.messages.iter().map(|heard| format!("{} {}", heard.messages, heard.channel)).collect();
        if !heard.is_empty() {
            print(&format!("messages, had they been sent: {}\n", heard.join(", ")));
        }
        print("\n");
        for promise in &outcome.promises {
            let mark = if promise.kept { self.paint.good("kept  ") } else { self.paint.bad("BROKEN") };
            let text = format!("{}: {}", promise.text, promise.seen);
            for (at, line) in wrapped(&text, self.width - 8).iter().enumerate() {
                let mark = if at == 0 { mark.as_str() } else { "      " };
                print(&format!("{mark}  {line}\n"));
            }
        }
        print(&format!("\n{}\n", self.last_words(outcome)));
    }

    fn record(&self, record: &RecordOutcome) {
        let writes = match (record.writes, record.writes_due) {
            (1, 1) => "1 write".to_owned(),
            (made, due) if made == due => format!("{made} writes"),
            (made, due) => format!("{made} writes, {due} were due"),
        };
        print(&format!("{}: {writes}\n", self.paint.strong(record.name.as_str())));
        if record.outage_of.is_empty() {
            return print("  saw no outage of its own\n");
        }
        let targets = names(&record.outage_of);
        let usual = &record.as_configured;
        let after = if record.had_another {
            format!("caches +{}", human(usual.caches))
        } else {
            "stays, none is left".into()
        };
        let out = format!("within {}; {after}", human(usual.detect));
        turn(&format!("outage of {targets}"), &record.failover, &out);
        let back = match record.failback.written {
            Some(_) => format!("within {}", human(usual.failback)),
            None => "stays where it is".into(),
        };
        turn(&format!("return of {targets}"), &record.failback, &back);
    }

    fn last_words(&self, outcome: &Outcome) -> String {
        let took = format!("in {:.0} s", outcome.took.as_secs_f64());
        if outcome.kept {
            return self.paint.good(&format!("Every promise was kept, {took}."));
        }
        let broken: Vec<&str> = outcome.promises.iter().filter(|p| !p.kept).map(|p| p.text).collect();
        self.paint.bad(&format!("BROKEN, {took}: {}.", broken.join("; ")))
    }
}

fn names<'a>(targets: impl IntoIterator<Item = &'a TargetId>) -> String {
    listed(&targets.into_iter().map(TargetId::as_str).collect::<Vec<_>>())
}

fn turn(what: &str, turn: &Turn, usual: &str) {
    let cell = |time: Option<Duration>| {
        time.map_or_else(|| "-".into(), |time| format!("{:.2} s", time.as_secs_f64()))
    };
    let (detected, written, served) = (cell(turn.detected), cell(turn.written), cell(turn.served));
    print(&format!("  {what:<22}{detected:>9}{written:>9}{served:>9}   {usual}\n"));
}

/// The text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| line.replace(TIE, " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("2001:db8::1234 x", 4), ["2001:db8::1234", "x"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("a: b\u{a0}c", 4), ["a:", "b c"]);
    }
}
