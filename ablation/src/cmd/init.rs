//! `cargo ablate init`.

use super::output::{Ended, out_path, shown};
use crate::support::settings::Settings;
use crate::tools::init::{self, Built, Request, Subject};
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `cargo ablate init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A package: its folder or Cargo.toml, or CRATE@VERSION of the registry; a folder with a Makefile, CMakeLists.txt or
    /// meson.build; or a source file of C or C++. Default: the current folder.
    #[arg(value_name = "PATH | CRATE@VERSION", conflicts_with = "command")]
    package: Option<String>,
    /// The binary to measure, when the package has several; of another build, the path of the program that it makes.
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    bin: Option<String>,
    /// The command that builds the program in that folder, as one text: --build 'make tool'. Default: what its files call
    /// for. The levels -O2 and -O3 are the factor.
    #[arg(long, value_name = "COMMAND", conflicts_with = "command")]
    build: Option<Words>,
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
    let given = args.package.unwrap_or_else(|| ".".to_owned());
    let workload = args.args.map(|words| words.0);
    let subject = match (args.command.is_empty(), args.build) {
        (true, Some(command)) => Subject::Built(Built { given, command: Some(command.0), program: args.bin, workload }),
        (true, None) => Subject::Package { given, binary: args.bin, workload },
        (false, _) => Subject::Command(args.command),
    };
    shown(&init::run(&Request { subject, out: args.out }, settings)?)
}
