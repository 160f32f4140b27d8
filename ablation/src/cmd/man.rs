//! `cargo ablate man`: for packages, not for users, so `--help` does not list it.

use super::output::Ended;
use crate::support::exit::{ExitStatus, ShellCode};
use clap::Command;
use std::path::{Path, PathBuf};

/// Arguments of `cargo ablate man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for the pages, `cargo-ablate.1` and one per subcommand.
    dir: PathBuf,
}

/// Why no pages were written.
#[derive(Debug, thiserror::Error)]
#[error("{}: writing the man pages failed: {source}; give a folder that can be written", dir.display())]
struct ManError {
    dir: PathBuf,
    source: std::io::Error,
}

impl ExitStatus for ManError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

/// Writes the pages of the whole command line.
pub(super) fn run(args: &Args, all: Command) -> Ended {
    write(&args.dir, all).map_err(|source| ManError { dir: args.dir.clone(), source })?;
    Ok(ShellCode::Good)
}

fn write(dir: &Path, all: Command) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(all, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_that_help_lists_has_a_page() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let hidden = Command::new("synthetic").hide(true);
        let all = Command::new("x").after_help("Exit codes").subcommand(Command::new("run")).subcommand(hidden);
        write(dir.path(), all).expect("writes");
        let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert!(page("x.1").is_some_and(|text| text.contains("Exit codes")) && page("x-run.1").is_some());
        assert_eq!(page("x-synthetic.1"), None);
    }
}
