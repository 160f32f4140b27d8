//! Locks of folders that several calls of ablate share.

use super::error::BuildError;
use crate::support::interrupt;
use crate::support::progress::note;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// How often it is looked whether a lock is free.
const EVERY: Duration = Duration::from_millis(50);

/// Takes a lock, and says what is waited for when another process has it. It ends when the result is dropped.
///
/// # Errors
/// [`BuildError::Io`]; [`BuildError::Interrupted`] when Ctrl-C ends the wait.
pub(super) fn wait(path: &Path, waiting: &str) -> Result<File, BuildError> {
    let lock = File::create(path).map_err(BuildError::io(path, "creating the lock"))?;
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if interrupt::asked() => return Err(BuildError::Interrupted),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(BuildError::io(path, "locking")(e)),
        }
        if !is_told {
            note(waiting);
            is_told = true;
        }
        // A lock that blocks would not end with Ctrl-C.
        std::thread::sleep(EVERY);
    }
}
