//! A check by a program.

/// A program run without a shell; its exit code speaks: 0 and 1 (a warning) pass, 2 fails, anything else is unknown.
#[derive(Clone, Debug)]
pub struct ExecCheck {
    /// The program (an absolute path) and its arguments. `{address}` stands for the target's address.
    pub command: Vec<String>,
}
