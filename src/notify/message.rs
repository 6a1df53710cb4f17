//! What a person woken at 3 a.m. is told: what happened, from where to where, why, since when, effective by when,
//! what next. One form for all channels; how a service wants it is in `render`.

use jiff::{SignedDuration, Timestamp};

use crate::decision::{Event, EventKind, Recorded, ServerSeen, Severity};

/// A message later than this after its event says so.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Servers that are listed one by one; of the rest only the number is said.
const SERVERS_LISTED: usize = 6;

/// One event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The one line that says it: the event's summary, on one line.
    pub title: String,
    /// The facts in the order in which they are asked for: label and text.
    pub facts: Vec<Fact>,
    /// Which event this is, for whoever looks it up: kind, incident, agent, id.
    pub footer: String,
    /// How much the reader should care.
    pub severity: Severity,
}

/// One labelled line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// One or two words.
    pub label: &'static str,
    /// The text; several lines only where several servers are listed.
    pub text: String,
}

impl Message {
    /// The words for an event that is told at `now`.
    pub fn of(recorded: &Recorded, now: Timestamp) -> Message {
        Message {
            title: one_line(&recorded.event.summary),
            facts: facts(&recorded.event, now),
            footer: footer(recorded),
            severity: recorded.event.severity,
        }
    }

    /// A sign that is seen in a list of messages before anything is read.
    pub fn sign(&self) -> &'static str {
        match self.severity {
            Severity::Debug => "⚪",
            Severity::Info => "🟢",
            Severity::Warning => "🟡",
            Severity::Critical => "🔴",
        }
    }

    /// The colour of the bar beside it, as `#rrggbb`.
    pub fn color(&self) -> &'static str {
        match self.severity {
            Severity::Debug => "#888888",
            Severity::Info => "#2e9e4f",
            Severity::Warning => "#e0a100",
            Severity::Critical => "#d93025",
        }
    }

    /// The message as plain text.
    pub fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.sign(), self.title);
        let width = self.facts.iter().map(|fact| fact.label.chars().count() + 1).max().unwrap_or(0);
        for fact in &self.facts {
            let label = format!("{}:", fact.label);
            let indented = fact.text.replace('\n', &format!("\n{:width$} ", ""));
            text += &[&format!("{label:width$} "), indented.as_str(), "\n"].concat();
        }
        text + &self.footer
    }
}

fn facts(event: &Event, now: Timestamp) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut tell = |label, text: Option<String>| {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            facts.push(Fact { label, text });
        }
    };
    tell("Record", event.record.as_ref().map(ToString::to_string));
    tell("From", event.before.as_ref().map(ToString::to_string));
    tell("To", event.after.as_ref().map(ToString::to_string));
    tell("Why", event.reason.as_deref().map(one_line));
    tell("Withheld by", event.guard.as_ref().map(|guard| format!("the guard {guard}")));
    tell("Since", event.since.map(clock_time));
    tell("When", Some(when(event.time, now)));
    let by = |time| format!("{}, when the last cache has dropped the old answer", clock_time(time));
    tell("Everywhere by", event.effective_by.map(by));
    tell("Servers", Some(servers(&event.servers, event.kind)));
    tell("Next", event.next.as_deref().map(one_line));
    tell("You can", event.remedy.as_deref().map(clean));
    facts
}

fn when(time: Timestamp, now: Timestamp) -> String {
    let late = now.duration_since(time);
    if late < LATE { clock_time(time) } else { format!("{}; told {} late", clock_time(time), rough(late)) }
}

fn rough(duration: SignedDuration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / (24 * 60), minutes / 60, minutes) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

fn servers(seen: &[ServerSeen], kind: EventKind) -> String {
    let one = |server: &ServerSeen| match server.at {
        // No change is on its way that it could serve "not yet".
        None if kind == EventKind::DriftDetected => {
            format!("{}: serves {}", server.server, one_line(&server.serves))
        }
        Some(at) => format!("{}: serves it since {}", server.server, at.strftime("%H:%M:%S UTC")),
        None => format!("{}: does not serve it yet ({})", server.server, one_line(&server.serves)),
    };
    // Those that lag are what a person looks for.
    let mut sorted: Vec<&ServerSeen> = seen.iter().collect();
    sorted.sort_by_key(|server| server.at.is_some());
    let mut lines: Vec<String> = sorted.iter().take(SERVERS_LISTED).map(|s| one(s)).collect();
    if seen.len() > SERVERS_LISTED {
        lines.push(format!("and {} more", seen.len() - SERVERS_LISTED));
    }
    lines.join("\n")
}

fn footer(recorded: &Recorded) -> String {
    let mut parts = vec![recorded.event.kind.to_string()];
    if let Some(incident) = &recorded.event.incident {
        parts.push(format!("incident {incident}"));
    }
    parts.push(format!("agent {}", recorded.agent));
    parts.push(format!("event {}", recorded.id));
    parts.join(" · ")
}

/// A time for people: in UTC, because who reads it may be anywhere.
pub fn clock_time(time: Timestamp) -> String {
    time.strftime("%H:%M:%S UTC (%Y-%m-%d)").to_string()
}

/// The text on one line: what a server answered may hold anything.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The text with its lines and their indentation, because a remedy may be some lines of YAML.
fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::decision::Side;

    pub(in crate::notify) fn time(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    /// The event this program exists for.
    pub(in crate::notify) fn the_failover() -> Recorded {
        let mut event = Event::new(
            EventKind::FailoverCompleted,
            time("12:04:00"),
            "www.workshopco.ca failed over from toronto to montreal",
        );
        event.incident = Some("www-20261122-1203".into());
        event.record = Some("www.workshopco.ca".parse().unwrap());
        event.before = Some(Side { targets: vec!["toronto".into()], values: vec!["203.0.113.10".into()] });
        event.after = Some(Side { targets: vec!["montreal".into()], values: vec!["198.51.100.5".into()] });
        event.reason = Some("toronto is down: connection refused, 3 times".into());
        event.since = Some(time("12:03:56"));
        event.effective_by = Some(time("12:05:00"));
        event.next = Some("goes back to toronto when it has been up for 5m".into());
        Recorded { id: "evt-7".into(), agent: "toronto-1".into(), event }
    }

    #[test]
    fn the_failover_in_words() {
        let message = Message::of(&the_failover(), time("12:04:01"));
        assert_eq!(
            message.text(),
            "\
🔴 www.workshopco.ca failed over from toronto to montreal
Record:        www.workshopco.ca
From:          toronto (203.0.113.10)
To:            montreal (198.51.100.5)
Why:           toronto is down: connection refused, 3 times
Since:         12:03:56 UTC (2026-11-22)
When:          12:04:00 UTC (2026-11-22)
Everywhere by: 12:05:00 UTC (2026-11-22), when the last cache has dropped the old answer
Next:          goes back to toronto when it has been up for 5m
failover.completed · incident www-20261122-1203 · agent toronto-1 · event evt-7"
        );
    }

    #[test]
    fn a_refusal_says_what_a_person_can_do() {
        let mut event = Event::new(EventKind::ChangeWithheld, time("12:04:00"), "www is not ours to change");
        event.guard = Some("foreign".into());
        event.remedy = Some("records:\n  adopt: [192.0.2.99]".into());
        let text =
            Message::of(&Recorded { id: "e".into(), agent: "a".into(), event }, time("12:04:00")).text();
        assert!(text.contains("Withheld by: the guard foreign\n"), "{text}");
        assert!(text.contains("You can:     records:\n               adopt: [192.0.2.99]\n"), "{text}");
    }

    #[test]
    fn the_servers_that_lag_come_first() {
        let mut recorded = the_failover();
        recorded.event.servers = (0..8)
            .map(|number| ServerSeen {
                server: format!("ns{number}"),
                at: (number != 7).then(|| time("12:04:02")),
                serves: "203.0.113.10".into(),
            })
            .collect();
        let message = Message::of(&recorded, time("12:04:03"));
        let listed = &message.facts.iter().find(|fact| fact.label == "Servers").unwrap().text;
        assert!(
            listed.starts_with(
                "ns7: does not serve it yet (203.0.113.10)\nns0: serves it since 12:04:02 UTC\n"
            )
        );
        assert!(listed.ends_with("\nand 2 more"), "{listed}");
    }

    #[test]
    fn a_late_message_says_how_late() {
        let late = |now: &str| Message::of(&the_failover(), now.parse().unwrap()).text();
        assert!(late("2026-11-22T12:20:00Z").contains("12:04:00 UTC (2026-11-22); told 16 min late"));
        assert!(late("2026-11-22T14:10:00Z").contains("told 2 h 6 min late"));
        assert!(late("2026-11-24T13:04:00Z").contains("told 2 d 1 h late"));
        assert!(!late("2026-11-22T12:08:59Z").contains("late"));
    }

    #[test]
    fn what_a_server_answered_cannot_break_the_lines() {
        let mut recorded = the_failover();
        recorded.event.reason = Some("body was \"a\r\nb\u{7}\u{1b}[31m\"".into());
        let text = Message::of(&recorded, time("12:04:00")).text();
        assert!(text.contains("body was \"a b [31m\"\n"), "{text}");
    }
}
