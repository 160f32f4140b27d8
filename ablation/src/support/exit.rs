//! What the end of a call means to the shell, and what every error has to say about it.

/// The code of an interrupted call, as shells have it: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a call ended, as the shell sees it. `--help` lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShellCode {
    /// Everything that was asked for is there.
    Good,
    /// A run failed or is invalid, or the machine refused.
    BadRuns,
    /// The call, the environment or the config has to be changed.
    WrongCall,
    /// Ctrl-C was pressed.
    Interrupted,
    /// A program was called in turn and ended with this code.
    Of(u8),
}

impl ShellCode {
    /// The number that the shell gets.
    pub(crate) fn number(self) -> u8 {
        match self {
            ShellCode::Good => 0,
            ShellCode::BadRuns => 1,
            ShellCode::WrongCall => 2,
            ShellCode::Interrupted => INTERRUPTED,
            ShellCode::Of(code) => code,
        }
    }
}

/// An error that knows what it means to the shell. Subcommands return nothing else, so a new error has to decide it.
pub(crate) trait ExitStatus: std::error::Error {
    /// How a call ends that fails with this error.
    fn exit(&self) -> ShellCode;
}

impl<E: ExitStatus + 'static> From<E> for Box<dyn ExitStatus> {
    fn from(error: E) -> Box<dyn ExitStatus> {
        Box::new(error)
    }
}
