//! Work in a child process, which begins with the memory of this one as it is.

use std::io::{Error, Result};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Does the work in a child process and waits for its end. What it changes in private memory is lost with it.
///
/// # Errors
/// The system's; a child that did not end by itself, as when the work panicked or ran out of memory. It has told why.
pub(crate) fn run(work: impl FnOnce()) -> Result<()> {
    // SAFETY: the child has this thread alone; it does the work and ends, and does not return from here.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last_os_error()),
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: ends the child without what the parent does at its end.
            unsafe { libc::_exit(i32::from(done.is_err())) }
        }
        child => {
            let mut status = 0;
            // SAFETY: `status` is writable.
            while unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
                let error = Error::last_os_error();
                if error.kind() != std::io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            let status = ExitStatus::from_raw(status);
            if status.success() { Ok(()) } else { Err(Error::other(format!("a child process ended with {status}"))) }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_child_changes_nothing_here_and_its_failure_is_told() {
        let mut value = 1;
        super::run(|| value = 2).expect("it ends by itself");
        assert_eq!(value, 1);
        // SAFETY: ends the child.
        let failed = super::run(|| unsafe { libc::_exit(3) }).expect_err("it fails");
        assert!(failed.to_string().contains('3'), "{failed}");
    }
}
