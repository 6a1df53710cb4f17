//! The parser tortured: thousands of small changes of a good file, by a fixed seed.

use failover::config::Config;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::rand_core::TryRng;

use super::{limits, schema};

const SEED: [u8; 32] = *b"failover: parser torture, seed 1";
/// So many changed files; the variable `TORTURE` asks for more, which are others after these.
const ROUNDS: usize = 2_000;
/// No reading takes longer, even on a busy machine and without optimisation.
const BOUND_MS: u128 = 4_000;
const SECRETS: &[&str] =
    &["Hunter2Hunter2", "correct-horse", "aHVudGVyMmh1bnRlcjI=", "batterystaple", "hook-xyzzy-1"];

/// The example with everything that is commented out, and secrets planted in it.
fn victim() -> String {
    let mut text = String::new();
    for line in Config::EXAMPLE.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let code = bare.strip_prefix("# ").filter(|rest| !indent.is_empty() && rest.contains([':', '-']));
        text.extend([indent, code.unwrap_or(bare), "\n"]);
    }
    // Relative, so that the changes of a seed are the same wherever this lies.
    text.replace("/etc/failover/ca.pem", "tests/bad_config/pem/one.pem")
        .replace("/etc/failover/client.pem", "tests/bad_config/pem/one.pem")
        .replace("/etc/failover/client.key", "tests/bad_config/pem/one.key")
        .replace("Bearer ${HEALTH_TOKEN}", "Bearer Hunter2Hunter2")
        .replace("${HEALTH_TOKEN}", "Hunter2Hunter2")
        .replace("${file:/run/secrets/pdns}", "correct-horse")
        .replace("${TSIG_SECRET}", "aHVudGVyMmh1bnRlcjI=")
        .replace("${ROCKETCHAT_WEBHOOK}", "https://chat.example/batterystaple")
        .replace("${SLACK_WEBHOOK}", "https://hooks.example/hook-xyzzy-1")
        .replace("${WEBHOOK_SECRET}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
}

struct Dice(TestRng);

impl Dice {
    /// A number below this one.
    fn below(&mut self, most: usize) -> usize {
        let number = self.0.try_next_u32().expect("a generator that cannot fail");
        number as usize % most.max(1)
    }
}

/// One change: of a line, or of a few bytes where characters begin and end.
fn change(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
    match dice.below(9) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one]),
        2 => lines.swap(one, other),
        kind => {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = dice.below(places.len() - 8);
            let (start, end) = (places[at], places[at + 1 + dice.below(7)]);
            let (before, piece, after) = (&text[..start], &text[start..end], &text[end..]);
            return match kind {
                3 => [before, after].concat(),
                4 => [before, piece, piece, after].concat(),
                5 => [before, &piece.chars().rev().collect::<String>(), after].concat(),
                6 => {
                    const ODD: &[&str] = &[
                        "\"", "'", "{", "}", "[", "]", ":", ": ", ",", "#", "&a ", "*a ", "!", "|", ">",
                        "\t", "\n", "%", "@", "`", "-", "\u{0}", "é", "🚀", "${", "${X}", "<<: ", "\u{2028}",
                    ];
                    [before, ODD[dice.below(ODD.len())], piece, after].concat()
                }
                7 => [before, "9999999999999999999", after].concat(),
                _ => [before, &piece.repeat(200), after].concat(),
            };
        }
    }
    lines.concat()
}

#[test]
fn no_change_of_a_file_makes_the_parser_panic_hang_or_talk() {
    let victim = victim();
    let loaded = Config::parse("x", &victim, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.providers.len() >= 3);
    let mut dice = Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    let (mut refused, mut valid) = (0, 0);
    let rounds = std::env::var("TORTURE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let mut text = victim.clone();
        for _ in 0..=dice.below(3) {
            text = change(&text, &mut dice);
        }
        let started = limits::started();
        let said = match Config::parse("x", &text, &|_| None) {
            Ok(config) => {
                valid += 1;
                schema::is_no_stricter_than_the_readers(&text);
                let shown = Config::show_text("x", &text, &|_| None, true).expect("it loads").yaml();
                let warnings: String = config.warnings.iter().map(ToString::to_string).collect();
                format!("{config:?} {shown} {warnings}")
            }
            Err(errors) => {
                refused += 1;
                let lines = text.split('\n').count();
                assert!(!errors.faults().is_empty());
                for fault in errors.faults() {
                    assert!((1..=lines).contains(&fault.line.unwrap_or(0)), "round {round}: {fault}\n{text}");
                    assert!(fault.column >= Some(1) && !fault.message.is_empty(), "round {round}: {fault}");
                    assert!(!fault.remedy.is_empty(), "round {round}: {fault}");
                }
                let warnings: String = errors.warnings().iter().map(ToString::to_string).collect();
                format!("{errors} {errors:?} {} {warnings}", errors.render(true))
            }
        };
        let took = started.elapsed().as_millis();
        assert!(took < BOUND_MS, "round {round} took {took} ms:\n{text}");
        for secret in SECRETS {
            // A change within the secret makes another one of it.
            assert!(!said.contains(secret), "round {round}: {secret} is told:\n{said}\nof\n{text}");
        }
    }
    assert!(
        refused > ROUNDS / 2 && valid > ROUNDS / 50,
        "{refused} refused, {valid} valid: the test tests nothing"
    );
}
