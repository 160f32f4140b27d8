//! Whether the libraries that a run preloads were loaded: the loader opens each of them in every process that takes it.
//!
//! The loader only warns of a library that it cannot use, and a program that is linked statically or drops its environment
//! never loads one. Such a run would be counted for the wrong library.

use super::watch::Watch;
use crate::config::{PRELOAD, libraries};
use ablate_format::path_of_text;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The libraries of one run, from before its first process.
pub(super) struct Preloaded {
    watch: Watch,
    waited_for: BTreeSet<PathBuf>,
}

impl Preloaded {
    /// Watches the libraries that these variables preload; `None` where there are none with a path, or the kernel does not
    /// report what is opened.
    pub(super) fn watch(env: &BTreeMap<String, String>) -> Option<Preloaded> {
        // The kernel reports what a link leads to.
        let file = |name: &str| std::fs::canonicalize(path_of_text(name)).ok();
        let paths: Option<BTreeSet<PathBuf>> =
            libraries(env.get(PRELOAD)?).filter(|name| name.starts_with('/')).map(file).collect();
        let paths = paths?;
        let watch = Watch::new(&paths).ok().filter(|_| !paths.is_empty())?;
        Some(Preloaded { watch, waited_for: paths })
    }

    /// Whether all of them were opened since.
    pub(super) fn opened(self) -> bool {
        let opened: BTreeSet<Option<&Path>> = self.watch.opened().into_iter().collect();
        // Where the kernel lost names there were many.
        opened.contains(&None) || self.waited_for.iter().all(|path| opened.contains(&Some(path.as_path())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(preload: &str, opens: &[&str], expected: Option<bool>) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        for name in ["a.so", "b.so"] {
            std::fs::write(at(name), name).expect("writes");
        }
        std::os::unix::fs::symlink(at("a.so"), at("link.so")).expect("links");
        let value = preload.replace('@', &format!("{}/", dir.path().display()));
        let watched = Preloaded::watch(&BTreeMap::from([(PRELOAD.to_owned(), value)]));
        for name in opens {
            std::fs::read(at(name)).expect("reads");
        }
        assert_eq!(watched.map(Preloaded::opened), expected, "{preload} {opens:?}");
    }

    #[test]
    fn every_library_must_be_opened() {
        check("@a.so", &["a.so"], Some(true));
        check("@a.so", &[], Some(false));
        check("@a.so:@b.so", &["a.so", "a.so"], Some(false));
        check("@a.so:@b.so", &["b.so", "a.so"], Some(true));
        check("@link.so", &["a.so"], Some(true));
        check("@none.so", &[], None);
        check("", &[], None);
        check("libname.so", &[], None);
    }
}
