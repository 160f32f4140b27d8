//! How many of 111 programs that misuse memory are caught: 37 families, 3 lengths each, as the library is by default and
//! hardened. Allocators that Debian has are counted beside, where they are installed.

use super::*;

const BYTES: [&str; 3] = ["8", "4096", "262144"];

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The allocator or a guard ended it, or what it did had no effect.
    Caught,
    /// It went on.
    Missed,
}

fn end_of(path: &Path, family: &str, bytes: &str, library: Option<&Path>, variables: &[(&str, &str)]) -> End {
    let mut command = program(path);
    command.args([family, bytes]).envs(variables.iter().copied());
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    let output = finish(&mut command);
    let (stdout, stderr) = texts(&output);
    let is_ours = library == Some(&*ALL_FACTORS);
    match output.status.signal() {
        // Dying after the misuse had its way, or for no reason that is told, is luck.
        Some(libc::SIGABRT) if is_ours => {
            assert!(stderr.starts_with("hakmem: ") && stderr.lines().count() == 1, "{family} {bytes}: {stderr}");
            End::Caught
        }
        Some(_) if !stdout.contains("NOT CAUGHT") => End::Caught,
        _ if stdout.contains("BLUNTED") => End::Caught,
        _ => End::Missed,
    }
}

/// The programs that were not caught, of all.
fn missed(path: &Path, label: &str, library: Option<&Path>, variables: &[(&str, &str)]) -> Vec<(String, &'static str)> {
    let families = run(&mut program(path));
    let all: Vec<(String, &str)> =
        families.lines().flat_map(|family| BYTES.map(|bytes| (family.to_owned(), bytes))).collect();
    assert_eq!(all.len(), 111);
    let total = all.len();
    let is_missed = |(family, bytes): &(String, &str)| end_of(path, family, bytes, library, variables) == End::Missed;
    let missed: Vec<(String, &str)> = all.into_iter().filter(is_missed).collect();
    println!("{label}: caught {} of {total}", total - missed.len());
    missed
}

#[test]
fn families_of_misuse_are_caught() {
    let path = compile_with("families", "families.c", &["-O1", "-fno-builtin"]);
    for (family, bytes) in missed(&path, "hakmem", Some(&*ALL_FACTORS), &[]) {
        let is_promised = ["double_", "free_", "resize_", "length_", "freed_"].iter().any(|it| family.starts_with(it));
        assert!(!is_promised, "{family} of {bytes} bytes");
    }
    for (family, bytes) in missed(&path, "hakmem, hardened", Some(&*ALL_FACTORS), &[("HAKMEM_MODE", "hardened")]) {
        // No guard lies so near, and nothing verifies what is read.
        let is_short_read = family.ends_with("read_1") || family.ends_with("read_32");
        // One slot of fifteen is its page's first, and what lies before a page need not be guarded.
        let may_be_first = family.starts_with("under_") && bytes == "262144";
        assert!(is_short_read || may_be_first, "{family} of {bytes} bytes");
    }
    missed(&path, "the C library", None, &[]);
    for peer in ["libjemalloc.so.2", "libmimalloc.so.2", "libtcmalloc_minimal.so.4", "libtcmalloc_minimal_debug.so.4"] {
        let library = Path::new("/usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH)).join(peer);
        if library.exists() {
            missed(&path, peer, Some(&library), &[]);
        }
    }
}

/// The link of a free that waits is no overflow of an object that is shorter than it.
#[test]
fn a_free_that_waits_breaks_no_canary() {
    let path = compile("deferred");
    for variables in [[("HAKMEM_CANARY", "on")], [("HAKMEM_MODE", "hardened")]] {
        run(program(&path).envs(variables).env("LD_PRELOAD", &*ALL_FACTORS));
    }
}
