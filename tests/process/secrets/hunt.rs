//! Looks for planted secrets in every form in which a program might let them slip.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::bytes::{Regex, RegexBuilder};

/// So much of a secret, at its beginning or its end, gives it away.
const PART: usize = 12;

/// Forms of secrets that must not be seen anywhere, each with what it is a form of.
#[derive(Default)]
pub(super) struct Hunt {
    needles: Vec<(Vec<u8>, String)>,
    all: Option<Regex>,
}

impl Hunt {
    /// A text: itself, its two ends, and what encodings make of it.
    pub(super) fn text(&mut self, secret: &str, of: &str) {
        let characters: Vec<char> = secret.chars().collect();
        if characters.len() > PART {
            self.needle(characters[..PART].iter().collect::<String>(), &format!("the beginning of {of}"));
            self.needle(
                characters[characters.len() - PART..].iter().collect::<String>(),
                &format!("the end of {of}"),
            );
        }
        let json = serde_json::to_string(secret).unwrap();
        self.needle(json.trim_matches('"'), &format!("{of}, escaped"));
        for keep in ["", "-._~", "-._~!$&'()*+,;=:@/?"] {
            self.needle(percent(secret, keep), &format!("{of}, percent-encoded"));
            self.needle(percent(secret, keep).to_lowercase(), &format!("{of}, percent-encoded"));
        }
        self.bytes(secret.as_bytes(), of);
    }

    /// Bytes: themselves, in hexadecimal, as a list of numbers, and in base64 wherever they stand in a longer text.
    pub(super) fn bytes(&mut self, secret: &[u8], of: &str) {
        self.needle(secret, of);
        let hex = secret.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        self.needle(hex.to_uppercase(), &format!("{of}, hexadecimal"));
        self.needle(hex, &format!("{of}, hexadecimal"));
        self.needle(format!("{secret:?}").trim_matches(['[', ']']), &format!("{of}, as numbers"));
        for before in 0..3 {
            let whole = [vec![0; before], secret.to_vec()].concat();
            // Six bits a character; those that belong to our bytes alone.
            let (first, last) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
            for engine in [STANDARD, URL_SAFE] {
                self.needle(&engine.encode(&whole)[first..last], &format!("{of}, base64"));
            }
        }
    }

    fn needle(&mut self, needle: impl AsRef<[u8]>, of: &str) {
        assert!(needle.as_ref().len() >= 8, "{of} is too short to be looked for");
        self.needles.push((needle.as_ref().to_vec(), of.to_owned()));
        self.all = None;
    }

    /// Ready to look.
    pub(super) fn ready(mut self) -> Hunt {
        self.needles.sort();
        self.needles.dedup_by(|one, other| one.0 == other.0);
        let escaped = |(needle, _): &(Vec<u8>, String)| {
            needle.iter().fold(String::new(), |mut escaped, byte| {
                write!(escaped, r"\x{byte:02x}").unwrap();
                escaped
            })
        };
        let pattern = self.needles.iter().map(escaped).collect::<Vec<_>>().join("|");
        self.all = Some(RegexBuilder::new(&pattern).unicode(false).size_limit(1 << 28).build().unwrap());
        self
    }

    /// Panics when one of them is there.
    #[track_caller]
    pub(super) fn not_in(&self, what: impl AsRef<[u8]>, place: &str) {
        let what = what.as_ref();
        let Some(found) = self.all.as_ref().expect("it is ready").find(what) else { return };
        let of = self.needles.iter().find(|(needle, _)| needle == found.as_bytes()).map_or("?", |(_, of)| of);
        let around = &what[found.start().saturating_sub(500)..what.len().min(found.end() + 500)];
        panic!("{of} is seen in {place}: ...{}...", String::from_utf8_lossy(around));
    }

    /// Every file of the folder and below it, byte by byte, but those that the secrets were planted in; how many.
    #[track_caller]
    pub(super) fn not_in_files(&self, folder: &Path) -> usize {
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let planted = path.extension().is_some_and(|kind| kind == "yaml" || kind == "planted");
            if path.is_dir() {
                read += self.not_in_files(&path);
            } else if path.is_file() && !planted {
                self.not_in(std::fs::read(&path).unwrap(), &path.display().to_string());
                read += 1;
            }
        }
        read
    }
}

fn percent(text: &str, keep: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let plain = byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte);
        if plain {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}

/// A hunt that finds nothing proves nothing unless it finds what is there.
#[test]
fn the_hunt_finds_every_form() {
    let secret = "pass word/42+x";
    let mut hunt = Hunt::default();
    hunt.text(secret, "it");
    let hunt = hunt.ready();
    let finds = |text: String| {
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hunt.not_in(&text, "a text")));
        assert!(seen.is_err(), "{text}");
    };
    for text in [
        secret.to_owned(),
        format!("begins with {}", &secret[..PART]),
        "pass%20word%2F42%2Bx".into(),
        "pass%20word%2f42%2bx".into(),
        STANDARD.encode(format!("user:{secret}")),
        STANDARD.encode(format!("a:{secret}:b")),
        URL_SAFE.encode(secret),
        "7061737320776f72642f34322b78".into(),
        format!("{:?}", secret.as_bytes()),
    ] {
        finds(format!("before {text} behind"));
    }
    hunt.not_in("pass word", "a text that has a part of it");
}
