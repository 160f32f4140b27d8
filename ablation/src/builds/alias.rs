//! Another name for a folder whose own name is not UTF-8, which compilers refuse: a symbolic link that stays, so that the
//! same sources have the same path in every study.

use super::error::BuildError;
use ablate_format::os_to_text;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A path that names the same file and is UTF-8: the path itself, or one through a link in the user's cache.
///
/// # Errors
/// [`BuildError::Io`] when the link cannot be made.
pub(super) fn utf8(path: PathBuf) -> Result<PathBuf, BuildError> {
    if path.to_str().is_some() {
        return Ok(path);
    }
    let doing = "making a link with a name that compilers can read";
    let cache = cache(std::env::var_os("XDG_CACHE_HOME").as_deref(), std::env::var_os("HOME").as_deref());
    let cache = cache.ok_or_else(|| {
        let why = "set HOME or XDG_CACHE_HOME to a folder whose name is UTF-8, or rename this folder";
        BuildError::io(&path, doing)(io::Error::other(why))
    })?;
    through(&path, &cache.join("ablate/paths")).map_err(BuildError::io(&path, doing))
}

/// The user's cache, where its path is UTF-8 and absolute.
fn cache(cache: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let fits = |path: &PathBuf| path.to_str().is_some() && path.is_absolute();
    let own = cache.map(PathBuf::from).filter(fits);
    own.or_else(|| home.map(|home| Path::new(home).join(".cache")).filter(fits))
}

/// The path with its beginning, up to the last name that is not UTF-8, replaced by a link in `links`.
fn through(path: &Path, links: &Path) -> io::Result<PathBuf> {
    let names: Vec<_> = path.components().collect();
    let last = names.iter().rposition(|name| name.as_os_str().to_str().is_none()).unwrap_or(0);
    let (begin, rest) = names.split_at(last + 1);
    let begin: PathBuf = begin.iter().collect();
    let hash: String =
        Sha256::digest(begin.as_os_str().as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
    std::fs::create_dir_all(links)?;
    let link = links.join(hash);
    match std::os::unix::fs::symlink(&begin, &link) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    if std::fs::read_link(&link)? != begin {
        let why =
            format!("{} leads elsewhere than to {}; remove it", link.display(), os_to_text(&begin).escape_debug());
        return Err(io::Error::other(why));
    }
    Ok(rest.iter().fold(link, |path, name| path.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_text_has_one_name_that_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let odd = dir.path().join(OsStr::from_bytes(b"a\xfe")).join("b").join(OsStr::from_bytes(b"f\xff"));
        std::fs::create_dir_all(odd.join("src")).expect("makes the folder");
        std::fs::write(odd.join("src/main.rs"), "x").expect("writes");
        let links = dir.path().join("links");
        let name = through(&odd.join("src/main.rs"), &links).expect("makes the link");
        assert!(name.to_str().is_some() && name.ends_with("src/main.rs"), "{name:?}");
        assert_eq!(std::fs::read(&name).expect("reads"), b"x");
        // It stays, so that a second study has the same.
        assert_eq!(through(&odd.join("src/main.rs"), &links).expect("is there"), name);
        // Files that are not there yet have a name as well.
        assert!(through(&odd.join("target"), &links).expect("makes no file").ends_with("target"));
        let link = std::fs::read_dir(&links).expect("lists").next().expect("has one").expect("reads").path();
        std::fs::remove_file(&link).expect("removes");
        std::os::unix::fs::symlink("/", &link).expect("links");
        assert!(through(&odd, &links).expect_err("leads elsewhere").to_string().contains("remove it"));
    }

    #[test]
    fn a_cache_that_is_not_text_is_no_help() {
        let odd = OsStr::from_bytes(b"/h\xff");
        assert_eq!(cache(Some(OsStr::new("/c")), Some(OsStr::new("/h"))), Some("/c".into()));
        assert_eq!(cache(Some(odd), Some(OsStr::new("/h"))), Some("/h/.cache".into()));
        assert_eq!(cache(Some(OsStr::new("relative")), Some(odd)), None);
        assert_eq!(cache(None, None), None);
        assert_eq!(utf8("/plain".into()).expect("is text"), Path::new("/plain"));
    }
}
