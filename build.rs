//! Says how the library of the feature `preload` is linked, and does nothing for other builds.

use std::env;

/// What the linker is told.
const LINKER: &[&str] = &[
    "-soname,libhakmem.so",
    // Threads that end call back into the library, and every pointer out there is to be freed by it.
    "-z,nodelete",
    // Nothing is looked up while a request is served: the loader's resolver may allocate.
    "-z,now",
    "-z,relro",
    // A symbol that is missing is found here, not in the first process.
    "-z,defs",
    // The library's own names are bound to itself.
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
