//! `cargo ablate man`: for packages, not for users, so `--help` does not list it.

use super::{Cli, Ended};
use crate::exit::{ExitStatus, ShellCode};
use clap::CommandFactory as _;
use std::path::{Path, PathBuf};

/// Arguments of `cargo ablate man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder for the pages, `cargo-ablate.1` and one per subcommand.
    dir: PathBuf,
}

/// Why there are no pages.
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

pub(super) fn run(args: &Args) -> Ended {
    write(&args.dir).map_err(|source| ManError { dir: args.dir.clone(), source })?;
    Ok(ShellCode::Good)
}

fn write(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write(dir.path()).expect("writes");
        let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("is there");
        assert!(page("cargo-ablate.1").contains("Exit codes"));
        assert!(page("cargo-ablate-run.1").contains("until"));
        assert!(!dir.path().join("cargo-ablate-synthetic.1").exists());
    }
}
