//! Numbers of tracepoints, from tracefs. Where it is not mounted, a thread mounts it in its own mount namespace: no
//! other process sees the mount, and it ends with the thread.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Event numbers by `category/name`; a name that the kernel does not have is missing.
///
/// # Errors
/// The reason why no tracepoint is available, and what would allow it, in one line.
pub(super) fn event_ids(names: &[String]) -> Result<BTreeMap<String, u64>, String> {
    for place in PLACES {
        match read_ids(Path::new(place), names) {
            Ok(ids) => return Ok(ids),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(format!("{place}/events cannot be read ({e}); run as root")),
        }
    }
    let names = names.to_vec();
    let private = std::thread::Builder::new().name("tracefs".to_owned()).spawn(move || {
        mount_privately()?;
        read_ids(Path::new(PLACES[0]), &names)
    });
    let result = match private {
        // A panic there is a bug. The study still runs, without tracepoints.
        Ok(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("the helper thread panicked"))),
        Err(e) => Err(e),
    };
    let advice = format!("`mount -t tracefs tracefs {}` as root would allow it", PLACES[0]);
    result.map_err(|e| format!("tracefs is not mounted and a private mount failed ({e}); {advice}"))
}

fn read_ids(root: &Path, names: &[String]) -> io::Result<BTreeMap<String, u64>> {
    let events = root.join("events");
    std::fs::metadata(&events)?;
    let mut ids = BTreeMap::new();
    for name in names {
        match std::fs::read_to_string(events.join(name).join("id")) {
            Ok(text) => {
                let id = text.trim().parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
                ids.insert(name.clone(), id);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(ids)
}

/// Gives the calling thread its own mount namespace with tracefs in the first of [`PLACES`].
fn mount_privately() -> io::Result<()> {
    let check = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: the call takes flags only; it changes this thread's namespace, which ends with the thread.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: all strings are C strings and the absent ones are allowed to be null when only flags change.
    check(unsafe { libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) })?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY;
    let (kind, place) = (c"tracefs".as_ptr(), c"/sys/kernel/tracing".as_ptr());
    // SAFETY: all strings are C strings; tracefs takes no data.
    check(unsafe { libc::mount(kind, place, kind, flags, std::ptr::null()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn ids_are_read_and_unknown_events_are_missing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let event = dir.path().join("events/raw_syscalls/sys_enter");
        std::fs::create_dir_all(&event).expect("creates");
        std::fs::write(event.join("id"), "21\n").expect("writes");
        let ids = read_ids(dir.path(), &names(&["raw_syscalls/sys_enter", "syscalls/sys_enter_none"])).expect("reads");
        assert_eq!(ids, BTreeMap::from([("raw_syscalls/sys_enter".to_owned(), 21)]));
        std::fs::write(event.join("id"), "x").expect("writes");
        assert!(read_ids(dir.path(), &names(&["raw_syscalls/sys_enter"])).is_err());
    }

    #[test]
    fn a_refusal_says_what_would_allow_it() {
        // With or without the right to mount, the answer is ids or advice.
        match event_ids(&names(&["raw_syscalls/sys_enter"])) {
            Ok(ids) => assert!(ids.contains_key("raw_syscalls/sys_enter")),
            Err(line) => assert!(line.contains("root"), "{line}"),
        }
    }
}
