//! `exec:` of a check.

use super::super::keys;
use super::super::limits;
use super::super::read::{Item, Read};
use super::super::tree::Value;
use crate::probe::ExecCheck;

/// An exec check.
pub(super) fn read(item: Item<'_>) -> Read<ExecCheck> {
    Ok(ExecCheck { command: item.map(&keys::EXEC)?.need("command", command)? })
}

fn command(item: Item<'_>) -> Read<Vec<String>> {
    let form = "write [/path/to/program, argument, ...]";
    if matches!(item.node.value, Value::Scalar(_)) {
        return Err(item.fault("`command` is a list: no shell reads it", form));
    }
    item.at_most(limits::ARGUMENTS, "parts of a command", "put them into a script")?;
    let command = item.list(Item::text)?;
    match command.first() {
        None => Err(item.fault("`command` is empty", form)),
        Some(program) if !program.starts_with('/') => {
            let remedy = "write the absolute path: what PATH holds is not the same everywhere";
            Err(item.fault(format!("the program `{}` has no absolute path", first(item)), remedy))
        }
        Some(_) => Ok(command),
    }
}

fn first(item: Item<'_>) -> String {
    match &item.node.value {
        Value::List(items) if !items.is_empty() => Item { node: &items[0], ..item }.shown(),
        _ => item.shown(),
    }
}
