//! The documents say what the program does: commands, the configuration, events, capabilities, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use failover::cli::{Cli, Exit};
use failover::decision::EventKind;
use providers::{Capabilities, Consistency, ProviderConfig, ReadProvider, SwapTier};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Markdown file of the top level and of `docs/`, by its path.
fn documents() -> Vec<(String, String)> {
    let of = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
        let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"));
        let markdown = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
        markdown.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    };
    let paths = [of("."), of("docs")].concat();
    assert!(paths.len() > 8, "the documents have moved: {paths:?}");
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// The code blocks of a document: their language and their text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block without an end");
    blocks
}

/// The words after `failover` in a line that runs it: at a prompt, in a shell, in a line for cron.
fn command(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line).split(" 2>").next().unwrap_or(line);
    let line = line.split(['|', '>', ';']).next().unwrap_or(line).trim().trim_start_matches("$ ");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = match words.as_slice() {
        ["failover", ..] => 1,
        ["cargo", "run", ..] => words.iter().position(|word| *word == "--")? + 1,
        // Five fields and a user, then the command.
        [minute, _, _, _, _, _, "failover", ..] if *minute == "*" || minute.parse::<u8>().is_ok() => 7,
        _ => return None,
    };
    Some(quoted(&words[at..].join(" ")))
}

/// Words as a shell divides them: what is between quotes is one.
fn quoted(line: &str) -> Vec<String> {
    let split = |(number, part): (usize, &str)| match number % 2 {
        0 => part.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    };
    line.split(['"', '\'']).enumerate().flat_map(split).collect()
}

#[test]
fn every_command_of_the_documents_can_be_typed() {
    let mut typed = 0;
    for (path, text) in documents() {
        let shells = blocks(&text)
            .into_iter()
            .filter(|(language, _)| matches!(language.as_str(), "sh" | "console" | "text"));
        for line in shells.flat_map(|(_, block)| block.lines().map(str::to_owned).collect::<Vec<_>>()) {
            let Some(words) = command(&line) else { continue };
            typed += 1;
            let parsed = Cli::try_parse_from(std::iter::once("failover".to_owned()).chain(words));
            if let Err(error) = parsed {
                assert!(!error.use_stderr(), "{path}: `{line}`\n{error}");
            }
        }
    }
    assert!(typed >= 5, "only {typed} commands were found");
}

/// The configuration of the README: some twenty lines, and right.
#[test]
fn the_configuration_of_the_readme_is_valid() {
    let readme = read("README.md");
    let yaml: Vec<String> = blocks(&readme)
        .into_iter()
        .filter(|(language, _)| language == "yaml")
        .map(|(_, block)| block)
        .collect();
    let [config] = yaml.as_slice() else { panic!("{} YAML blocks in the README", yaml.len()) };
    assert!(config.lines().count() <= 22, "{} lines are not twenty", config.lines().count());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("failover.yaml");
    fs::write(&file, config).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_failover"))
        .args(["validate", "-c"])
        .arg(&file)
        .env("TSIG_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        .env("ROCKETCHAT_WEBHOOK", "https://chat.workshopco.ca/hooks/id/token")
        .output()
        .expect("our own program starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("warning"), "{said}");
}

#[test]
fn every_event_is_explained_with_its_severity() {
    let text = read("docs/operations.md");
    for kind in EventKind::ALL {
        let row = format!("| `{kind}` | {} |", kind.severity().as_str());
        assert!(text.contains(&row), "docs/operations.md has no row that begins with {row}");
    }
}

#[test]
fn every_exit_code_is_explained() {
    let text = read("docs/operations.md");
    for exit in
        [Exit::Done, Exit::Failed, Exit::Usage, Exit::Config, Exit::Refused, Exit::Change, Exit::Holding]
    {
        let row = format!("\n| {} | ", exit.code());
        assert!(text.contains(&row), "docs/operations.md has no row for {exit:?}");
    }
}

async fn capabilities_of(yaml: &str) -> Capabilities {
    let text = format!("providers:\n  p: {yaml}\n");
    let config = failover::config::Config::parse("test", &text, &|_| None).expect("valid");
    let settings: &ProviderConfig = config.providers.values().next().expect("one provider");
    let reader = providers::build_reader(settings).await;
    let reader: std::sync::Arc<dyn ReadProvider> = reader.expect("it can be built");
    reader.capabilities()
}

/// The table of capabilities is what the providers say of themselves.
#[tokio::test]
async fn the_capability_cards_are_true() {
    let cards = [
        capabilities_of("{type: mock}").await,
        capabilities_of("{type: rfc2136, server: \"192.0.2.53:53\"}").await,
        capabilities_of("{type: powerdns, url: \"http://127.0.0.1:8081\", api_key: x}").await,
    ];
    let row = |title: &str, cell: fn(&Capabilities) -> String| {
        let cells: Vec<String> = cards.iter().map(cell).collect();
        format!("| {title} | {} |", cells.join(" | "))
    };
    let tier = |card: &Capabilities| {
        let name = match card.tier {
            SwapTier::ServerCompared => "T1",
            SwapTier::RecordIds => "T2",
            SwapTier::AtomicReplace => "T3",
            SwapTier::RecordByRecord => "T4",
            SwapTier::WholeZone => "T5",
        };
        name.to_owned()
    };
    let seen = |card: &Capabilities| match card.consistency {
        Consistency::Immediate => "at once".to_owned(),
        Consistency::Eventual => "later".to_owned(),
    };
    let text = read("docs/providers.md");
    for row in [
        row("protection against other writers", tier),
        row("A and AAAA of a name change together", |card| {
            if card.atomic_name { "yes" } else { "no" }.to_owned()
        }),
        row("a marker beside the name in the same transaction, compared", |card| {
            if card.marker { "yes" } else { "no" }.to_owned()
        }),
        row("names in one transaction, at most", |card| card.names_per_swap.to_string()),
        row("smallest TTL, s", |card| card.ttl_min.seconds().to_string()),
        row("largest TTL, s", |card| card.ttl_max.seconds().to_string()),
        row("readers see a write", seen),
    ] {
        assert!(text.contains(&row), "docs/providers.md does not have this row:\n{row}");
    }
}

/// A command is found wherever a person would type it, and words that only look like one are not.
#[test]
fn commands_are_found() {
    let words = |line: &str| command(line).map(|words| words.join(" "));
    assert_eq!(words("$ failover plan --detailed-exitcode").as_deref(), Some("plan --detailed-exitcode"));
    assert_eq!(words("cargo run --release -- rehearse     # an outage").as_deref(), Some("rehearse"));
    assert_eq!(words("* * * * *  root  failover once -c a.yaml").as_deref(), Some("once -c a.yaml"));
    assert_eq!(words("failover.completed · incident"), None);
    assert_eq!(words("cargo install --path ."), None);
}
