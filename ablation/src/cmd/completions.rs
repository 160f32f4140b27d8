//! `cargo ablate completions`.

use super::output::{Ended, print_bytes};
use crate::support::call::BINARY;
use crate::support::exit::ShellCode;
use clap::{Command, ValueEnum};
use clap_complete::Shell;

/// Arguments of `cargo ablate completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that reads the script.
    shell: Supported,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Supported {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script for the whole command line.
pub(super) fn run(args: &Args, all: Command) -> Ended {
    print_bytes(&script(args.shell, all))?;
    Ok(ShellCode::Good)
}

fn script(shell: Supported, all: Command) -> Vec<u8> {
    let shell = match shell {
        Supported::Bash => Shell::Bash,
        Supported::Zsh => Shell::Zsh,
        Supported::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    // A shell completes programs, whose names have one word.
    let mut program = all.bin_name(BINARY);
    clap_complete::generate(shell, &mut program, BINARY, &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_complete_the_program_with_its_subcommands() {
        for shell in Supported::value_variants() {
            let all = Command::new("x").bin_name("two words").subcommand(Command::new("syscalls"));
            let text = String::from_utf8(script(*shell, all)).expect("is text");
            assert!(text.contains(BINARY) && text.contains("syscalls") && !text.contains("two words"), "{text}");
        }
    }
}
