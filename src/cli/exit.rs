//! Exit codes, the same for every command.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, in the desired state, or holding.
    Done,
    /// Failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// The configuration is invalid.
    Config,
    /// A guard refused.
    Refused,
    /// `--detailed-exitcode`: a change is pending (`plan`) or was made (`once`).
    Change,
    /// `--detailed-exitcode`: holding.
    Holding,
    /// `probe`: it cannot be known whether the target passes.
    Unknown,
    /// `probe --nagios`: a state of the plugin guidelines, 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    Plugin(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Config | Exit::Unknown => 3,
            Exit::Refused => 4,
            Exit::Change => 5,
            Exit::Holding => 6,
            Exit::Plugin(state) => state,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.code().into()
    }
}
