//! What is opened while a run lasts: files and folders that the kernel reports.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files and folders that the kernel watches (inotify).
pub(super) struct Watch {
    queue: OwnedFd,
    of: BTreeMap<i32, PathBuf>,
}

impl Watch {
    /// Watches files, folders, and everything in folders that are no part of a tree, such as submodules.
    ///
    /// # Errors
    /// The system's error in words.
    pub(super) fn new(paths: &BTreeSet<PathBuf>) -> Result<Watch, String> {
        // SAFETY: the call takes flags alone.
        let queue = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if queue < 0 {
            return Err(format!("inotify: {}", io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is new and belongs to nothing else.
        let mut watch = Watch { queue: unsafe { OwnedFd::from_raw_fd(queue) }, of: BTreeMap::new() };
        for path in paths {
            watch.add(path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(watch)
    }

    fn add(&mut self, path: &Path) -> io::Result<()> {
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_symlink() {
            return Err(io::Error::other("it is a link, and what it leads to is opened, not itself"));
        }
        let text = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the text ends with NUL and lives until the call returns.
        let id = unsafe { libc::inotify_add_watch(self.queue.as_raw_fd(), text.as_ptr(), libc::IN_OPEN) };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
        self.of.insert(id, path.to_owned());
        Ok(())
    }

    /// What was opened since the last call, in this order; an inner `None` when the kernel lost its name.
    pub(super) fn opened(&self) -> Vec<Option<&Path>> {
        const HEAD: usize = size_of::<libc::inotify_event>();
        let mut buffer = [0_u8; 1 << 16];
        let mut out = Vec::new();
        loop {
            // SAFETY: the buffer is as long as the call is told.
            let size = unsafe { libc::read(self.queue.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            // Nothing more is there.
            let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else { return out };
            let mut rest = &buffer[..size];
            while let Some((head, more)) = rest.split_at_checked(HEAD) {
                let word = |at: usize| i32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
                // The fields of `inotify_event`: descriptor, mask, cookie, length of the name.
                let (id, length) = (word(0), word(12) as usize);
                // A watched folder reports what is opened in it as well, with a name; that is in every tree.
                if length == 0 {
                    out.push(self.of.get(&id).map(PathBuf::as_path));
                }
                rest = more.get(length..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_told_and_what_is_beside_it_is_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        for name in ["watched", "other"] {
            std::fs::write(at(name), name).expect("writes");
        }
        let watch = Watch::new(&BTreeSet::from([at("watched"), dir.path().to_owned()])).expect("inotify");
        std::fs::read(at("other")).expect("reads");
        std::fs::metadata(at("watched")).expect("is there");
        assert_eq!(watch.opened(), Vec::<Option<&Path>>::new());
        std::fs::read(at("watched")).expect("reads");
        assert_eq!(watch.opened(), [Some(at("watched").as_path())]);
        std::fs::read_dir(dir.path()).expect("reads").for_each(drop);
        assert_eq!(watch.opened(), [Some(dir.path())]);
        std::os::unix::fs::symlink(at("other"), at("link")).expect("links");
        assert!(Watch::new(&BTreeSet::from([at("link")])).is_err(), "what a link leads to is not watched");
    }
}
