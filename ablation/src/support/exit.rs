//! Exit codes, and the trait by which every error has one.

/// The exit code of an interrupted call, as shells have it: 128 plus the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a call ended, as the shell sees it. `--help` lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShellCode {
    /// The call did everything that it was asked for.
    Good,
    /// A run failed or is invalid, or the machine refused.
    BadRuns,
    /// The call, the environment or the config has to be changed.
    WrongCall,
    /// Nothing is wrong, and what was asked cannot be decided.
    Undecided,
    /// Ctrl-C was pressed.
    Interrupted,
    /// A program that this one started ended with this code.
    Of(u8),
}

impl ShellCode {
    /// The exit code.
    pub(crate) fn number(self) -> u8 {
        match self {
            ShellCode::Good => 0,
            ShellCode::BadRuns => 1,
            ShellCode::WrongCall => 2,
            ShellCode::Undecided => 3,
            ShellCode::Interrupted => INTERRUPTED,
            ShellCode::Of(code) => code,
        }
    }
}

/// An error that has an exit code. Subcommands return no other errors, so that every new error has one.
pub(crate) trait ExitStatus: std::error::Error {
    /// How a call ends when it fails with this error.
    fn exit(&self) -> ShellCode;
}

impl<E: ExitStatus + 'static> From<E> for Box<dyn ExitStatus> {
    fn from(error: E) -> Box<dyn ExitStatus> {
        Box::new(error)
    }
}
