//! `cargo ablate init`.

use super::output::{Ended, out_path, shown};
use crate::support::settings::Settings;
use crate::tools::init::{self, Request, Subject};
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `cargo ablate init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A package: its folder or Cargo.toml, or CRATE@VERSION of the registry. Default: the current folder.
    #[arg(value_name = "PATH | CRATE@VERSION", conflicts_with = "command")]
    package: Option<String>,
    /// The binary to measure, when the package has several.
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    bin: Option<String>,
    /// File to write, which must not exist yet. Default: NAME.toml in the current folder.
    #[arg(long, value_name = "FILE", value_parser = out_path())]
    out: Option<PathBuf>,
    /// Arguments of the first workload, as one text with quotes as in a shell: --args '--threads 2 "my file"'. Without
    /// this option the workload only starts the program.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true, conflicts_with = "command")]
    args: Option<Words>,
    /// An installed program to measure instead of a package, with its arguments. `PROGRAM --help` is asked for its
    /// switches, for at most two seconds.
    #[arg(last = true, value_name = "PROGRAM ARGS")]
    command: Vec<String>,
}

/// The words of one argument.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Words, String> {
        let open = |_| {
            "a quote does not close, or the last character is a backslash; close the quote, or double the backslash"
                .to_owned()
        };
        shell_words::split(text).map(Words).map_err(open)
    }
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let subject = match args.command.is_empty() {
        true => Subject::Package {
            given: args.package.unwrap_or_else(|| ".".to_owned()),
            binary: args.bin,
            workload: args.args.map(|words| words.0),
        },
        false => Subject::Command(args.command),
    };
    shown(&init::run(&Request { subject, out: args.out }, settings)?)
}
