//! Builds of a time to come. Cargo compares times of files: after the clock of the machine was set back, a source that was
//! changed looks older than its last build, and cargo would give that build again. Two revisions would be one binary.

use super::error::BuildError;
use crate::support::progress::note;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// The file whose time is that of the last build.
const STAMP: &str = ".ablate-last-build";

/// Removes what cargo built in its target folder when the last build was later than now, by the clock of the file system.
/// To be called before each build, and [`built`] after it.
///
/// # Errors
/// [`BuildError::Io`].
pub(super) fn forget(target: &Path) -> Result<(), BuildError> {
    let stamp = target.join(STAMP);
    let last = time_of(&stamp).ok();
    let now = set(target, &stamp).map_err(BuildError::io(&stamp, "writing"))?;
    if last.is_none_or(|last| last <= now) {
        return Ok(());
    }
    note("the clock of this machine was set back since the last build, so everything is built anew");
    std::fs::remove_dir_all(target).map_err(BuildError::io(target, "removing the last build"))?;
    set(target, &stamp).map(drop).map_err(BuildError::io(&stamp, "writing"))
}

/// Keeps the time of a build that has ended. Where the clock was set back meanwhile, the time at its start stays, so that
/// the next build begins anew.
///
/// # Errors
/// [`BuildError::Io`].
pub(super) fn built(target: &Path) -> Result<(), BuildError> {
    let stamp = target.join(STAMP);
    let last = time_of(&stamp).ok();
    let keep = || match (last, set(target, &stamp)?) {
        (Some(last), now) if now < last => File::options().write(true).open(&stamp)?.set_modified(last),
        _ => Ok(()),
    };
    keep().map_err(BuildError::io(&stamp, "writing"))
}

fn time_of(stamp: &Path) -> io::Result<SystemTime> {
    std::fs::metadata(stamp)?.modified()
}

/// Gives the file the time that it is now, and returns it.
fn set(target: &Path, stamp: &Path) -> io::Result<SystemTime> {
    std::fs::create_dir_all(target)?;
    std::fs::write(stamp, "\n")?;
    time_of(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn builds_are_forgotten_when_the_clock_was_set_back() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("build");
        let object = target.join("release/program");
        let build = || {
            std::fs::create_dir_all(target.join("release")).expect("creates");
            std::fs::write(&object, "x").expect("writes");
        };
        forget(&target).expect("there is none yet");
        build();
        built(&target).expect("writes");
        forget(&target).expect("writes");
        assert!(object.exists());
        // As if the last build had been in an hour.
        let later = SystemTime::now() + Duration::from_secs(3600);
        File::options().write(true).open(target.join(STAMP)).and_then(|file| file.set_modified(later)).expect("may");
        built(&target).expect("writes");
        assert!(object.exists(), "what was just built is needed");
        forget(&target).expect("removes");
        assert!(!object.exists());
        build();
        built(&target).expect("writes");
        forget(&target).expect("writes");
        assert!(object.exists());
    }
}
