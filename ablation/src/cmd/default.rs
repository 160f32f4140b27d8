//! `cargo ablate` without a subcommand: the default study of the repository.

use super::output::Ended;
use super::report::Printed;
use super::run;
use crate::study::{Form, Request};
use crate::support::call::PROGRAM;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::settings::Settings;
use std::path::{Path, PathBuf};

/// Where a repository has its default study. The first file that exists is taken.
const PLACES: [&str; 2] = ["ablate.toml", "configs/feature-isolation.toml"];

/// Why there is no default study.
#[derive(Debug, thiserror::Error)]
enum DefaultError {
    /// The current folder does not exist any more.
    #[error("the current folder cannot be found: {0}; change to a folder that exists")]
    Nowhere(std::io::Error),
    /// No file is at any of the places.
    #[error(
        "there is no default study: neither {} nor {} is in this folder or in one above it; write a first study with \
         `cargo ablate init --out ablate.toml` in a package, or name one: `cargo ablate run STUDY.toml`",
        PLACES[0], PLACES[1]
    )]
    None,
}

impl ExitStatus for DefaultError {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

pub(super) fn run(full: bool, settings: &Settings) -> Ended {
    let here = std::env::current_dir().map_err(DefaultError::Nowhere)?;
    let config = find(&here).ok_or(DefaultError::None)?;
    run::study(
        &Request { form: if full { Form::Whole } else { Form::QuickIfAny }, ..Request::of(config) },
        &format!("{PROGRAM} --full"),
        Printed::default(),
        settings,
    )
}

/// The default study of the nearest folder that has one.
fn find(here: &Path) -> Option<PathBuf> {
    here.ancestors().flat_map(|folder| PLACES.map(|place| folder.join(place))).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_default_study_is_found() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (root, inner) = (dir.path(), dir.path().join("a/b"));
        for folder in [&inner, &root.join("configs")] {
            std::fs::create_dir_all(folder).expect("creates");
        }
        let [own, shipped] = PLACES.map(|place| root.join(place));
        std::fs::write(&shipped, "").expect("writes");
        assert_eq!(find(&inner).as_ref(), Some(&shipped));
        std::fs::write(&own, "").expect("writes");
        assert_eq!(find(&inner).as_ref(), Some(&own));
        std::fs::write(inner.join(PLACES[0]), "").expect("writes");
        assert_eq!(find(&inner), Some(inner.join(PLACES[0])));
    }
}
