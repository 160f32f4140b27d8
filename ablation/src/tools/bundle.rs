//! `cargo ablate build`: everything that a study runs, built once, in a folder that can be copied to other machines.

use crate::builds::{self, BuildError};
use crate::bundle::{self, BundleError};
use crate::config::{self, ConfigError};
use crate::design;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use crate::support::progress::note;
use crate::support::settings::Settings;
use std::path::Path;

/// Binaries that could not be built for other machines.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleToolError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The binaries.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Their folder.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The system refused a step of preparing.
    #[error("cannot prepare for Ctrl-C: {0}; allow signal handlers")]
    Prepare(#[from] std::io::Error),
}

impl ExitStatus for BundleToolError {
    fn exit(&self) -> ShellCode {
        match self {
            BundleToolError::Config(error) => error.exit(),
            BundleToolError::Build(error) => error.exit(),
            BundleToolError::Bundle(error) => error.exit(),
            BundleToolError::Prepare(_) => ShellCode::BadRuns,
        }
    }
}

/// Builds everything that a study needs into `out`, and returns the text to print.
///
/// # Errors
/// [`BundleToolError`]; a build other than the baseline's that fails is part of the bundle, with its log.
pub(crate) fn bundle(config: &Path, out: &Path, settings: &Settings) -> Result<String, BundleToolError> {
    let mut study = config::load(config)?;
    bundle::supported(&study)?;
    let libraries = builds::find_peers(&mut study)?;
    for absent in &study.absent {
        note(&format!("peer {} is left out: {}", absent.peer, absent.why));
    }
    let design = design::resolve(&study)?;
    let workspace = builds::workspace(&study, settings.target_dir.as_deref())?;
    interrupt::install()?;
    let logs = bundle::begin(out)?;
    let built = builds::build_all(&study, &design.builds, &workspace, &logs)?;
    let lines = bundle::write(out, &study, &design.builds, &workspace, built, &libraries)?;
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    let dir = out.display();
    Ok(format!(
        "built {} into {dir}:\n{lines}To use it: cargo ablate run {} --builds {dir}\n",
        study.name,
        config.display()
    ))
}
