//! Every command, old and new: its help has examples, they fit a terminal, and they are right.

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// Every command with its full name, those below others too.
fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    let mut found = vec![("failover".to_owned(), root)];
    let mut at = 0;
    while at < found.len() {
        let (name, command) = found[at].clone();
        let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        found.extend(below.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
        at += 1;
    }
    found
}

/// What follows the options in the help of a command.
fn notes(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The calls in the examples, as a shell would split them: what is behind a pipe or in a remark is no part of one.
fn calls(notes: &str) -> Vec<Vec<String>> {
    let lines = notes.lines().filter(|line| line.starts_with("  "));
    let starts = lines.filter_map(|line| Some(&line[line.find("failover ")?..]));
    starts
        .map(|call| {
            let call = call.split_once("   ").map_or(call, |(call, _)| call);
            let end = call.find([';', '|', '>', '&']).unwrap_or(call.len());
            words(&call[..end])
        })
        .collect()
}

/// What is between quotes is one word.
fn words(call: &str) -> Vec<String> {
    let parts = call.split('\'').enumerate();
    let split = |(number, part): (usize, &str)| match number % 2 {
        0 => part.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    };
    parts.flat_map(split).collect()
}

#[test]
fn every_command_has_examples_that_parse_and_are_its_own() {
    let commands = commands();
    assert!(commands.len() > 16);
    for (name, command) in commands {
        let notes = notes(&command);
        assert!(notes.contains("Example:\n") || notes.contains("Examples:\n"), "{name} has no examples");
        let calls = calls(&notes);
        assert!(!calls.is_empty(), "{name} has no example that calls it");
        for call in &calls {
            let parsed = Cli::try_parse_from(call);
            assert!(parsed.is_ok(), "{name}: {call:?}: {}", parsed.unwrap_err());
        }
        assert!(calls.iter().any(|call| call.join(" ").starts_with(&name)), "{name}: {calls:?}");
    }
}

#[test]
fn every_help_fits_a_hundred_columns() {
    for (name, command) in commands() {
        for mut command in [command.clone().term_width(100), command.max_term_width(100)] {
            let help = command.render_long_help().to_string();
            let wide = help.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{name}");
        }
    }
}
