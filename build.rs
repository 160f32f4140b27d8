//! Passes the linker its arguments for the library of the feature `preload`; does nothing for other builds.

use std::env;

/// Arguments of the linker.
const LINKER: &[&str] = &[
    "-soname,libhakmem.so",
    // The library is never unloaded: threads that end call back into it, and its objects must be freed by it.
    "-z,nodelete",
    // Symbols are resolved at load, not during a request: the loader's resolver may allocate.
    "-z,now",
    "-z,relro",
    // A missing symbol is an error at link time, not in a process.
    "-z,defs",
    // The library's references to its own symbols bind to itself.
    "-Bsymbolic",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PRELOAD").is_some() {
        for argument in LINKER {
            println!("cargo::rustc-link-arg=-Wl,{argument}");
        }
    }
}
