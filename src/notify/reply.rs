//! What a service's answer means. PURE: from an answer to what follows from it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// What came of an attempt. The texts hold no secret: of a URL they show the host only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The service took it, by its own test of success.
    Delivered {
        /// The status code, where there was one.
        status: Option<u16>,
        /// What the service said, on one line.
        said: String,
    },
    /// It may work later.
    Retry {
        /// How long the service asks to wait.
        after: Option<Duration>,
        /// The status code, where there was one.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
    /// It will not work later either: a wrong URL, a revoked token, a body that is refused.
    Permanent {
        /// The status code, where there was one.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
}

/// Characters of a service's own words that are repeated.
const WORDS: usize = 200;

/// Words of Slack (and of those who imitate it) that no retry will change
/// (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>).
const SLACK_PERMANENT: [&str; 10] = [
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_payload",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_team",
    "team_disabled",
    "user_not_found",
];

/// Whose answer it is: each service has its own idea of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Rocket.Chat.
    RocketChat,
    /// Slack, and those who imitate it.
    Slack,
    /// A webhook of anybody's.
    Webhook,
}

/// An answer, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header Retry-After.
    pub retry_after: Option<String>,
    /// The body.
    pub body: String,
}

/// Judges an answer that came at `now`.
///
/// | answer | follows |
/// |---|---|
/// | the service's own success | delivered |
/// | 200 with another body | permanent if the service says that the token or channel is wrong, else retry |
/// | 301, 308 | permanent: redirects are not followed, and this one will stay |
/// | 408, 425, 429, 5xx, other 3xx | retry, not before Retry-After |
/// | any other 4xx | permanent |
pub fn judge(service: Service, reply: &Reply, now: Timestamp) -> SendResult {
    let status = Some(reply.status);
    let words = words(&reply.body);
    if succeeded(service, reply) {
        return SendResult::Delivered { status, said: words };
    }
    let error = match reply.status {
        300..=399 => format!("answered {} (a redirect, which is not followed)", reply.status),
        200 => {
            format!("answered 200, but not success: {}", if words.is_empty() { "nothing" } else { &words })
        }
        code if words.is_empty() => format!("answered {code}"),
        code => format!("answered {code}: {words}"),
    };
    let permanent = match reply.status {
        408 | 425 | 429 => false,
        301 | 308 | 400..=499 => true,
        200 => is_hopeless(service, &reply.body),
        _ => false,
    };
    if permanent {
        SendResult::Permanent { status, error }
    } else {
        SendResult::Retry { after: retry_after(reply, now), status, error }
    }
}

fn succeeded(service: Service, reply: &Reply) -> bool {
    match service {
        Service::Webhook => (200..=299).contains(&reply.status),
        Service::Slack => reply.status == 200 && reply.body.trim() == "ok",
        // With a content type it does not like, Rocket.Chat once said success to a blank message; we always send JSON.
        Service::RocketChat => {
            reply.status == 200 && field(&reply.body, "success") == Some(Value::Bool(true))
        }
    }
}

fn is_hopeless(service: Service, body: &str) -> bool {
    match service {
        Service::Webhook => false,
        Service::Slack => SLACK_PERMANENT.contains(&body.trim()),
        Service::RocketChat => field(body, "error").is_some_and(|error| {
            let error = error.to_string().to_lowercase();
            ["token", "integration", "invalid-channel"].iter().any(|word| error.contains(word))
        }),
    }
}

/// Retry-After in seconds or as a date (RFC 9110 section 10.2.3), else `retry_after` of a JSON body (Slack).
fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let of_header = reply.retry_after.as_deref().map(str::trim).and_then(|text| {
        let seconds = text.parse::<u64>().map(Duration::from_secs).ok();
        seconds.or_else(|| {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
        })
    });
    of_header.or_else(|| {
        let seconds = field(&reply.body, "retry_after")?.as_f64()?;
        Duration::try_from_secs_f64(seconds).ok()
    })
}

fn field(body: &str, name: &str) -> Option<Value> {
    serde_json::from_str::<Value>(body).ok()?.get(name).cloned()
}

/// The service's own words, on one line, without control characters.
fn words(body: &str) -> String {
    let visible: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: Service, status: u16, body: &str) -> &'static str {
        let reply = Reply { status, body: body.into(), retry_after: None };
        match judge(service, &reply, Timestamp::UNIX_EPOCH) {
            SendResult::Delivered { .. } => "delivered",
            SendResult::Retry { .. } => "retry",
            SendResult::Permanent { .. } => "permanent",
        }
    }

    #[test]
    fn success_is_what_the_service_calls_so() {
        use Service::{RocketChat, Slack, Webhook};
        for (service, status, body, expected) in [
            (Slack, 200, "ok", "delivered"),
            (Slack, 200, "", "retry"),
            (Slack, 200, "<html>log in to the hotel</html>", "retry"),
            (Slack, 200, "invalid_token", "permanent"),
            (Slack, 204, "ok", "retry"),
            (RocketChat, 200, r#"{"success":true}"#, "delivered"),
            (RocketChat, 200, r#"{"success":false}"#, "retry"),
            (RocketChat, 200, r#"{"success":"true"}"#, "retry"),
            (
                RocketChat,
                200,
                r#"{"success":false,"error":"Invalid integration id or token provided."}"#,
                "permanent",
            ),
            (RocketChat, 200, "ok", "retry"),
            (Webhook, 200, "", "delivered"),
            (Webhook, 202, "whatever", "delivered"),
            (Webhook, 299, "", "delivered"),
        ] {
            assert_eq!(told(service, status, body), expected, "{service:?} {status} {body}");
        }
    }

    #[test]
    fn the_status_says_whether_it_can_help_to_try_again() {
        for status in [302, 303, 307, 408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(told(Service::Webhook, status, ""), "retry", "{status}");
        }
        for status in [301, 308, 400, 401, 403, 404, 405, 410, 413, 422] {
            assert_eq!(told(Service::Webhook, status, ""), "permanent", "{status}");
        }
    }

    #[test]
    fn the_wait_that_was_asked_for() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (header, body, seconds) in [
            (Some("7"), "", Some(7.0)),
            (Some("Sun, 22 Nov 2026 12:01:30 GMT"), "", Some(90.0)),
            (Some("Sun, 22 Nov 2026 11:00:00 GMT"), "", Some(0.0)),
            (Some("soon"), "", None),
            (None, r#"{"ok":false,"error":"rate_limited","retry_after":1.5}"#, Some(1.5)),
            (None, r#"{"retry_after":-1}"#, None),
            (None, "rate_limited", None),
        ] {
            let reply = Reply { status: 429, retry_after: header.map(str::to_owned), body: body.into() };
            let SendResult::Retry { after, .. } = judge(Service::Slack, &reply, now) else {
                panic!("no retry")
            };
            assert_eq!(after.map(|a| a.as_secs_f64()), seconds, "{header:?} {body}");
        }
    }

    #[test]
    fn the_error_repeats_the_service_s_words_on_one_line() {
        let reply =
            Reply { status: 500, body: format!("oh\r\nno\u{1b} {}", "x".repeat(999)), ..Reply::default() };
        let SendResult::Retry { error, .. } = judge(Service::Webhook, &reply, Timestamp::UNIX_EPOCH) else {
            panic!("no retry")
        };
        assert!(error.starts_with("answered 500: oh no xxx") && error.chars().count() < 220, "{error}");
    }
}
