//! `cargo ablate` without a subcommand: the default study of the repository.

use super::output::Ended;
use super::run;
use crate::study::Request;
use crate::support::call::PROGRAM;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::settings::Settings;
use std::path::{Path, PathBuf};

/// Where a repository has its default study; the first that is there counts.
const PLACES: [&str; 2] = ["ablate.toml", "configs/feature-isolation.toml"];

/// Why there is no default study.
#[derive(Debug, thiserror::Error)]
enum DefaultError {
    /// The current folder is gone.
    #[error("the current folder cannot be found: {0}; go to another")]
    Nowhere(std::io::Error),
    /// There is none.
    #[error(
        "there is no default study: neither {} nor {} is here or in any folder above; write a first one with \
         `cargo ablate init --out ablate.toml` in a package, or name a study: `cargo ablate run STUDY.toml`",
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
    run::study(&Request { quick: !full, ..Request::of(config) }, &format!("{PROGRAM} --full"), settings)
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
