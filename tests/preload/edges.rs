//! What happens at the edges: handlers of signals, objects of several allocators, libraries that come and go.

use super::*;

/// Runs a program of ours under the library with these arguments, to its end.
fn under_the_library(program_path: &Path, arguments: &[&str]) -> Output {
    finish(program(program_path).args(arguments).env("LD_PRELOAD", &*ALL_FACTORS))
}

/// The handler may allocate and fork: the signal is raised while no lock is held, and never in the allocator's own thread.
#[test]
fn an_abort_handler_may_allocate_and_fork() {
    let path = compile("abort_handler");
    let free = |what: &str| format!("hakmem: {what}\n");
    let inside = "a pointer inside an object, not at its start";
    for bytes in ["64", "700", "9000", "100000", "700000", "2097152", "9437184"] {
        for (misuse, sentence) in [
            ("twice", free("double free")),
            ("other-thread", free("double free")),
            ("background", free("double free")),
            ("interior", free(&format!("free of {inside}"))),
            ("ended-thread", free(&format!("free of {inside}"))),
            ("realloc", free(&format!("realloc of {inside}"))),
        ] {
            let output = under_the_library(&path, &[misuse, bytes]);
            let (stdout, stderr) = texts(&output);
            assert_eq!((output.status.code(), &*stderr), (Some(77), &*sentence), "{misuse} of {bytes}: {stdout}");
        }
    }
}
