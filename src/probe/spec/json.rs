//! What a JSON body must hold.

use regex::Regex;
use serde_json::Value;

/// One place in a JSON document, and what must be there.
#[derive(Clone, Debug)]
pub struct JsonWish {
    /// The place, a JSON Pointer (RFC 6901): empty for the whole document, else beginning with `/`.
    pub pointer: String,
    /// What must hold there, all of it; one at least.
    pub tests: Vec<JsonTest>,
}

/// What must hold at a place.
#[derive(Clone, Debug)]
pub enum JsonTest {
    /// It is this text, number, boolean or null.
    Equals(Value),
    /// It is something else, but it is there.
    Not(Value),
    /// It is a number so related to this one.
    Number(Comparison, Value),
    /// It is text in which this expression matches.
    Regex(Regex),
    /// Whether there is something, be it null.
    Exists(bool),
}

/// How a number is to be related to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>`
    Above,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
}
