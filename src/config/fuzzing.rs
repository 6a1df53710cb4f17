//! Configurations as somebody may write them: one file, or the files of a folder.

use super::context::Context;
use super::files::Text;
use super::load::build;
use super::show::Effective;
use super::{Config, ConfigErrors};

/// Divides an input into the files of a folder.
const NEXT_FILE: &str = "\n%%% next file %%%\n";
/// What every variable of the environment holds: a secret wherever one may stand.
const PLANTED: &str = "Hunter2-Hunter2-xyzzy";

/// Whatever is written, it is taken or refused with faults that have a place and a remedy; what was taken can be shown,
/// and what is shown loads again as the same unless a secret was masked in it. A secret is told nowhere.
pub(crate) fn config(data: &[u8]) {
    let whole = String::from_utf8_lossy(data);
    let lines = |name: &str| {
        whole.split(NEXT_FILE).nth(name.parse().unwrap_or(0)).map_or(1, |text| text.split('\n').count())
    };
    let said = match read(&whole, |config, shown| (config, shown)) {
        Ok((config, shown)) => {
            let warnings: String = config.warnings.iter().map(ToString::to_string).collect();
            let yaml = shown.yaml();
            if !yaml.contains("***") && !whole.contains("${") {
                let again =
                    read(&yaml, |_, shown| shown).unwrap_or_else(|errors| panic!("{errors}\nof\n{yaml}"));
                assert_eq!(again, shown, "it means something else when it is shown");
            }
            format!("{config:?} {yaml} {} {warnings}", shown.json())
        }
        Err(errors) => {
            assert!(!errors.faults().is_empty(), "it was refused without a word");
            for fault in errors.faults().iter().chain(errors.warnings()) {
                let name = fault.file.as_deref().unwrap_or_else(|| panic!("{fault} has no place"));
                assert!(
                    fault.line.is_none_or(|line| (1..=lines(name)).contains(&line)),
                    "{fault}: no such line"
                );
                assert!(
                    fault.column != Some(0) && fault.column.is_some() == fault.line.is_some(),
                    "{fault}: its column"
                );
                assert!(!fault.message.is_empty() && !fault.remedy.is_empty(), "{fault}: no remedy");
            }
            assert!(errors.render(false).len() < 200_000, "more than anybody reads");
            let warnings: String = errors.warnings().iter().map(ToString::to_string).collect();
            format!("{errors} {errors:?} {} {warnings}", errors.render(true))
        }
    };
    if whole.lines().filter(|line| line.contains(PLANTED) || line.contains("${")).all(is_secret) {
        assert!(!said.contains(PLANTED), "a secret is told:\n{said}");
    }
}

/// Does the secret stand here where it is known to be one, and nowhere else? As a name it would rightly be shown.
fn is_secret(line: &str) -> bool {
    let Some((key, value)) = line.trim().split_once(": ") else { return false };
    let value = value.trim_matches('"');
    ["secret", "password", "token", "api_key", "Authorization"].contains(&key)
        && (value == PLANTED || value == "${SECRET}" || value.strip_prefix("Bearer ") == Some(PLANTED))
}

fn read<T>(whole: &str, make: impl FnOnce(Config, Effective) -> T) -> Result<T, ConfigErrors> {
    let env = |_: &str| Some(PLANTED.to_owned());
    let texts = whole.split(NEXT_FILE).enumerate();
    let text = |(place, content): (usize, &str)| Text {
        name: place.to_string(),
        content: content.to_owned(),
        open: false,
        loose: false,
    };
    build(Context::new(&env), texts.map(text).collect(), |config, root, words| {
        make(config, Effective::new(root, words, true))
    })
    .0
}
