//! Ranges of the monitoring plugins: `10`, `10:`, `~:10`, `10:20`, `@10:20`. Pure.

use std::fmt;
use std::str::FromStr;

/// When a value alerts (monitoring-plugins development guidelines, "Threshold and Ranges").
///
/// | range | alerts when the value is |
/// |---|---|
/// | `10` | below 0 or above 10 |
/// | `10:` | below 10 |
/// | `~:10` | above 10 |
/// | `10:20` | outside 10 to 20 |
/// | `@10:20` | within 10 to 20, both ends included |
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    from: f64,
    to: f64,
    inside: bool,
    /// As it was written, for the performance data.
    text: String,
}

impl Range {
    /// Does this value alert?
    pub(super) fn alerts(&self, value: f64) -> bool {
        let within = self.from <= value && value <= self.to;
        within == self.inside
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, inside) = text.strip_prefix('@').map_or((text, false), |rest| (rest, true));
        let (from, to) = match rest.split_once(':') {
            None => (0.0, number(rest)?),
            Some((from, to)) => {
                let from = match from {
                    "~" => f64::NEG_INFINITY,
                    "" => 0.0,
                    from => number(from)?,
                };
                (from, if to.is_empty() { f64::INFINITY } else { number(to)? })
            }
        };
        if from > to {
            return Err(format!("the range {text:?} ends before it begins"));
        }
        Ok(Range { from, to, inside, text: text.to_owned() })
    }
}

/// A plain decimal number: no exponent, no infinity, which a reader of performance data would not know.
fn number(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no number; write a range like 0.5, 10:, ~:10, 10:20 or @10:20");
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !plain {
        return Err(wrong());
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of the guidelines, each with values on both sides of each end.
    #[test]
    fn the_table_of_the_guidelines() {
        let cases: &[(&str, &[f64], &[f64])] = &[
            ("10", &[-0.001, 10.001, 1e9], &[0.0, 5.0, 10.0]),
            ("10:", &[-1.0, 0.0, 9.999], &[10.0, 1e9]),
            ("~:10", &[10.001], &[-1e9, 0.0, 10.0]),
            ("10:20", &[9.999, 20.001], &[10.0, 15.0, 20.0]),
            ("@10:20", &[10.0, 15.0, 20.0], &[9.999, 20.001]),
            (":10", &[-0.001, 10.001], &[0.0, 10.0]),
            ("0.5", &[0.501], &[0.5]),
            ("-5:-1", &[-6.0, 0.0], &[-5.0, -1.0]),
            ("@10", &[0.0, 10.0], &[-1.0, 11.0]),
            ("~:", &[], &[-1e12, 0.0, 1e12]),
            ("@~:", &[-1e12, 0.0, 1e12], &[]),
            ("0", &[-1.0, 0.001], &[0.0]),
        ];
        for (text, alert, calm) in cases {
            let range: Range = text.parse().unwrap();
            assert!(alert.iter().all(|value| range.alerts(*value)), "{text} should alert at {alert:?}");
            assert!(!calm.iter().any(|value| range.alerts(*value)), "{text} should be calm at {calm:?}");
            assert_eq!(range.to_string(), *text);
        }
    }

    #[test]
    fn what_is_no_range() {
        for text in [
            "", "@", "ten", "20:10", "1e3", "inf", "nan", "1:2:3", "~", "10:~", " 10", "1,5", "+1", ".5",
            "1.2.3",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text:?} was taken");
        }
    }

    proptest! {
        /// `@` turns a range round, at every value; and a range alerts exactly outside its ends.
        #[test]
        fn at_turns_a_range_round(from in -1000i32..1000, width in 0i32..1000, value in -3000.0f64..3000.0) {
            let to = from + width;
            let plain: Range = format!("{from}:{to}").parse().unwrap();
            let turned: Range = format!("@{from}:{to}").parse().unwrap();
            prop_assert_eq!(plain.alerts(value), value < f64::from(from) || value > f64::from(to));
            prop_assert_ne!(plain.alerts(value), turned.alerts(value));
        }

        /// Whatever somebody types, it is taken or refused, and what is taken can stand in performance data.
        #[test]
        fn no_text_does_harm(text in "\\PC{0,12}") {
            if let Ok(range) = text.parse::<Range>() {
                let plain = |c: char| c.is_ascii_digit() || "@~:.-".contains(c);
                prop_assert!(range.to_string().chars().all(plain));
            }
        }
    }
}
