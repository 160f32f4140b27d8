//! `cargo ablate completions`.

use super::Cli;
use crate::call::BINARY;
use crate::exit::ShellCode;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use std::io::Write as _;

/// Arguments of `cargo ablate completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell: `source <(cargo ablate completions bash)`.
    shell: Supported,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &Args) -> ShellCode {
    let script = script(args.shell);
    // A reader that went away, like `head`, is no error.
    let _ = std::io::stdout().lock().write_all(&script);
    ShellCode::Good
}

fn script(shell: Supported) -> Vec<u8> {
    let shell = match shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    // A shell completes a program, which has one word.
    let mut program = Cli::command().bin_name(BINARY);
    clap_complete::generate(shell, &mut program, BINARY, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_complete_the_program_with_its_subcommands() {
        for shell in Supported::value_variants() {
            let text = String::from_utf8(script(*shell)).expect("is text");
            for word in ["cargo-ablate", "syscalls", "until-halfwidth"] {
                assert!(text.contains(word), "{shell:?}: no `{word}`");
            }
        }
    }
}
