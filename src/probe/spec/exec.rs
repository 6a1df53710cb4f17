//! A check by a program.

use std::fmt;

/// A program run without a shell; its exit code speaks: 0 and 1 (a warning) pass, 2 fails, anything else is unknown.
#[derive(Clone)]
pub struct ExecCheck {
    /// The program (an absolute path) and its arguments. `{address}` stands for the target's address.
    pub command: Vec<String>,
}

/// An argument may be a secret: only the program is shown.
impl fmt::Debug for ExecCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.command.first().map_or("", String::as_str);
        f.debug_struct("ExecCheck").field("program", &program).finish_non_exhaustive()
    }
}
