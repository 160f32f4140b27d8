//! Locks of folders that several calls of ablate share.

use super::error::BuildError;
use crate::support::progress::note;
use std::fs::File;
use std::path::Path;

/// Takes a lock, and says what is waited for when another process has it. It ends when the result is dropped.
///
/// # Errors
/// [`BuildError::Io`].
pub(super) fn wait(path: &Path, waiting: &str) -> Result<File, BuildError> {
    let lock = File::create(path).map_err(BuildError::io(path, "creating the lock"))?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => note(waiting),
        Err(std::fs::TryLockError::Error(e)) => return Err(BuildError::io(path, "locking")(e)),
    }
    lock.lock().map_err(BuildError::io(path, "locking"))?;
    Ok(lock)
}
