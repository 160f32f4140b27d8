//! Which library provides a symbol of this process. The dynamic linker decides that from `LD_PRELOAD`, and is asked here
//! for the result.

use std::ffi::{CStr, c_void};

/// A loaded library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Library {
    /// Its [short name](short_name).
    pub(crate) name: String,
    /// Path of the file.
    pub(crate) file: String,
    /// Address that it was loaded to.
    base: usize,
}

impl Library {
    /// Whether it is the C library.
    pub(super) fn is_libc(&self) -> bool {
        library_of(libc::getpid as *const c_void).is_some_and(|libc| libc.base == self.base)
    }
}

/// The library behind `malloc` and the other calls of [`super::preloaded`].
///
/// # Errors
/// A sentence: a symbol's library is unknown, or the symbols come from different libraries.
pub(crate) fn of_malloc() -> Result<Library, String> {
    let named = |name: &str, symbol| library_of(symbol).ok_or_else(|| format!("dladdr does not know {name}"));
    let malloc = named("malloc", libc::malloc as *const c_void)?;
    for (name, symbol) in [
        ("free", libc::free as *const c_void),
        ("calloc", libc::calloc as *const c_void),
        ("realloc", libc::realloc as *const c_void),
        ("posix_memalign", libc::posix_memalign as *const c_void),
    ] {
        let other = named(name, symbol)?;
        if other.base != malloc.base {
            return Err(format!("malloc comes from {}, but {name} from {}", malloc.file, other.file));
        }
    }
    Ok(malloc)
}

/// The library that an address lies in.
pub(super) fn library_of(symbol: *const c_void) -> Option<Library> {
    // SAFETY: all zero is a valid `Dl_info`.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: any address may be asked about, and `info` is writable.
    let known = unsafe { libc::dladdr(symbol, &raw mut info) } != 0;
    if !known || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the linker's name of a loaded file, which ends with zero and stays valid.
    let file = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
    Some(Library { name: short_name(&file), file, base: info.dli_fbase as usize })
}

/// The file's name without folders, `lib`, and everything from `.so` on; in lower case, with `-` for `_`.
fn short_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    let name = name.strip_prefix("lib").unwrap_or(name);
    name.split(".so").next().unwrap_or(name).to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_allocators() {
        for (file, name) in [
            ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc"),
            ("libtcmalloc_minimal.so.4", "tcmalloc-minimal"),
            ("./libhakmem.so", "hakmem"),
            ("/lib/x86_64-linux-gnu/libc.so.6", "c"),
            ("/opt/libSnMalloc_Check.so.1.2", "snmalloc-check"),
            ("plain", "plain"),
        ] {
            assert_eq!(short_name(file), name);
        }
    }

    #[test]
    fn malloc_is_the_c_librarys_where_nothing_is_preloaded() {
        if std::env::var_os("LD_PRELOAD").is_none() {
            let library = of_malloc().expect("a library");
            assert!(library.is_libc(), "{library:?}");
        }
        assert_eq!(library_of(std::ptr::null()), None);
    }
}
