//! A message as each service wants it. Texts are cut to the service's limits first and marked up after that: a cut
//! through an entity or a tag makes some services refuse the whole message.

use serde_json::{Value, json};

use super::message::{Fact, Message};
use crate::decision::Recorded;

/// Characters of a title; what Alertmanager allows itself for Slack and Rocket.Chat.
const TITLE_LIMIT: usize = 1024;
/// Characters of one fact.
const FACT_LIMIT: usize = 1000;
/// Characters of the line that says which event it was.
const FOOTER_LIMIT: usize = 500;
/// Characters of one text block of Slack (<https://docs.slack.dev/reference/block-kit/blocks/section-block>).
const SLACK_SECTION_LIMIT: usize = 3000;
/// A fact up to this length shares its line in Rocket.Chat with another one.
const SHORT_FACT: usize = 40;

/// The body for a Rocket.Chat incoming webhook; `channel` overrides the webhook's own.
pub(super) fn rocketchat(message: &Message, channel: Option<&str>) -> Value {
    let text = |text: &str, limit| fit(text, limit, unmention);
    let field = |fact: &Fact| {
        let short = fact.text.chars().count() <= SHORT_FACT && !fact.text.contains('\n');
        json!({"title": fact.label, "value": text(&fact.text, FACT_LIMIT), "short": short})
    };
    let mut body = json!({
        "alias": "failover",
        "text": text(&format!("{} {}", message.sign(), message.title), TITLE_LIMIT),
        "attachments": [{
            "title": message.severity.as_str(),
            "text": text(&message.footer, FOOTER_LIMIT),
            "color": message.color(),
            "fields": message.facts.iter().map(field).collect::<Vec<_>>(),
        }],
    });
    if let Some(channel) = channel {
        body["channel"] = channel.into();
    }
    body
}

/// The body for a Slack incoming webhook. `verbatim`: Slack must not make links or mentions of what it finds.
pub(super) fn slack(message: &Message) -> Value {
    let title = fit(&format!("{} {}", message.sign(), message.title), TITLE_LIMIT, slack_escape);
    let mrkdwn = |text: String| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let mut blocks: Vec<Value> = slack_sections(&message.facts)
        .into_iter()
        .map(|text| json!({"type": "section", "text": mrkdwn(text)}))
        .collect();
    let footer = fit(&message.footer, FOOTER_LIMIT, slack_escape);
    blocks.push(json!({"type": "context", "elements": [mrkdwn(footer)]}));
    json!({
        "text": title,
        "attachments": [{"color": message.color(), "fallback": title, "blocks": blocks}],
    })
}

/// The facts, packed into as few blocks as hold them.
fn slack_sections(facts: &[Fact]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for fact in facts {
        let line = format!("*{}:* {}", fact.label, fit(&fact.text, FACT_LIMIT, slack_escape));
        let length = line.chars().count() + 1;
        match sections.last_mut() {
            Some(last) if last.chars().count() + length <= SLACK_SECTION_LIMIT => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => sections.push(line),
        }
    }
    sections
}

/// The body of a signed webhook: the form that Standard Webhooks recommends
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). The same for every
/// attempt.
pub(super) fn webhook(recorded: &Recorded) -> Value {
    json!({
        "type": recorded.event.kind.as_str(),
        "timestamp": recorded.event.time,
        "data": recorded,
    })
}

/// As much of `text` as fits into `limit` characters once each character is written as `escape` says, with an
/// ellipsis where it was cut.
fn fit(text: &str, limit: usize, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let written = |c: char| escape(c).map_or_else(|| c.to_string(), str::to_owned);
    let whole: String = text.chars().map(written).collect();
    if whole.chars().count() <= limit {
        return whole;
    }
    let mut kept = String::new();
    let mut length = 1; // the ellipsis
    for c in text.chars() {
        let next = written(c);
        length += next.chars().count();
        if length > limit {
            break;
        }
        kept.push_str(&next);
    }
    kept + "…"
}

/// The three characters that Slack wants escaped
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn slack_escape(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// A zero-width space after each `@`: what a probed server answered must not call everybody (`@all`, `@here`).
fn unmention(c: char) -> Option<&'static str> {
    (c == '@').then_some("@\u{200b}")
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{the_failover, time};
    use super::*;

    fn message() -> Message {
        Message::of(&the_failover(), time("12:04:01"))
    }

    #[test]
    fn rocketchat_gets_a_text_and_an_attachment_with_fields() {
        let body = rocketchat(&message(), Some("#ops"));
        assert_eq!(body["text"], "🔴 www.workshopco.ca failed over from toronto to montreal");
        assert_eq!(body["channel"], "#ops");
        let attachment = &body["attachments"][0];
        assert_eq!((&attachment["title"], &attachment["color"]), (&json!("critical"), &json!("#d93025")));
        assert_eq!(
            attachment["fields"][1],
            json!({"title": "From", "value": "toronto (203.0.113.10)", "short": true})
        );
        assert_eq!(rocketchat(&message(), None).get("channel"), None);
    }

    #[test]
    fn rocketchat_calls_nobody() {
        let mut message = message();
        message.facts = vec![Fact { label: "Why", text: "body was \"@all @here\"".into() }];
        let body = rocketchat(&message, None).to_string();
        assert!(!body.contains("@all") && !body.contains("@here"), "{body}");
    }

    #[test]
    fn slack_is_escaped_and_never_cut_through_an_entity() {
        let mut message = message();
        message.title = "<!channel> & co".into();
        message.facts = vec![Fact { label: "Why", text: "&".repeat(5000) }];
        let body = slack(&message);
        assert_eq!(body["text"], "🔴 &lt;!channel&gt; &amp; co");
        let section = body["attachments"][0]["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(section.starts_with("*Why:* &amp;&amp;") && section.ends_with("&amp;…"), "{section}");
        assert!(section.chars().count() <= FACT_LIMIT + 10);
    }

    #[test]
    fn slack_packs_facts_into_blocks_of_3000_characters() {
        let facts: Vec<Fact> = (0..8).map(|_| Fact { label: "Why", text: "é".repeat(2000) }).collect();
        let sections = slack_sections(&facts);
        assert!(sections.iter().all(|text| text.chars().count() <= SLACK_SECTION_LIMIT));
        assert_eq!(sections.len(), 4);
        assert_eq!(slack_sections(&message().facts).len(), 1);
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert_eq!(fit("ééééé", 5, |_| None), "ééééé");
        assert_eq!(fit("éééééé", 5, |_| None), "éééé…");
    }

    #[test]
    fn the_webhook_carries_the_event() {
        let body = webhook(&the_failover());
        assert_eq!(body["type"], "failover.completed");
        assert_eq!(body["timestamp"], "2026-11-22T12:04:00Z");
        assert_eq!(body["data"]["id"], "evt-7");
        let event: Recorded = serde_json::from_value(body["data"].clone()).unwrap();
        assert_eq!(event, the_failover());
    }
}
