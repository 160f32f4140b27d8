//! The allocators with rules of their own: `preloaded`, the two versions of mimalloc, and the floor.

use crate::common::{built_in, json, json_with, refused};
use std::path::PathBuf;

/// The library's path, where distributions install it.
fn installed(file: &str) -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    folders.iter().map(|folder| PathBuf::from(folder).join(file)).find(|path| path.exists())
}

#[test]
fn a_preloaded_library_is_named_by_its_file() {
    for (file, name) in [
        ("libtcmalloc_minimal.so.4", "tcmalloc-minimal"),
        ("libjemalloc.so.2", "jemalloc"),
        ("libmimalloc.so.2", "mimalloc"),
    ] {
        let Some(path) = installed(file) else {
            eprintln!("{file} is not installed");
            continue;
        };
        let preload = [("LD_PRELOAD", path.to_str().expect("a plain name"))];
        for line in ["--scenario vm --iterations 2", "--scenario fixed --bytes 16 --iterations 9000 --touch none"] {
            let record = json_with(&format!("--allocator preloaded {line}"), &preload);
            assert_eq!(record["served_by"], name, "{line}: {}", record["served_proof"]);
            assert_eq!(record["checksum"], json(&format!("--allocator preloaded {line}"))["checksum"]);
            // The C library must not claim blocks of the preloaded one, wherever its heap lies.
            let record = json_with(&format!("--allocator system {line}"), &preload);
            assert_eq!(record["served_by"], "unproven", "{line}: {}", record["served_proof"]);
        }
    }
}

#[test]
fn the_c_library_shows_as_itself_whatever_was_asked_for() {
    for preload in ["", "libnowhere.so"] {
        let record = json_with("--allocator preloaded --scenario json --iterations 0", &[("LD_PRELOAD", preload)]);
        assert_eq!(record["served_by"], "c", "{}", record["served_proof"]);
    }
}

#[test]
fn a_build_has_one_mimalloc() {
    let built_in = built_in();
    let (v3, v2) = (built_in.iter().any(|a| a == "mimalloc"), built_in.iter().any(|a| a == "mimalloc-v2"));
    assert!(!(v3 && v2), "{built_in:?}");
    assert_eq!(v2, cfg!(feature = "mimalloc-v2"));
    if v2 {
        refused("--allocator mimalloc --scenario vm --iterations 1", &["--features mimalloc` and without mimalloc-v2"]);
    }
    if let Some(name) = built_in.iter().find(|a| a.starts_with("mimalloc")) {
        let record = json(&format!("--allocator {name} --scenario fixed --bytes 64MiB --touch none --iterations 1"));
        assert_eq!(record["served_by"], name.as_str(), "{}", record["served_proof"]);
        assert!(record["served_proof"].as_str().is_some_and(|proof| proof.contains("mi_version")));
    }
}

#[test]
fn the_floor_faults_nothing_in_and_refuses_what_it_was_not_filled_for() {
    for line in [
        "--scenario vm --iterations 20 --touch full --lifetime ring",
        "--scenario mixed --iterations 2 --touch page --lifetime ring",
        "--scenario json --iterations 1 --touch page",
        "--scenario fixed --bytes 100 --iterations 100 --touch full",
    ] {
        let record = json(&format!("--allocator floor {line}"));
        assert_eq!(record["served_by"], "floor", "{line}: {}", record["served_proof"]);
        // The program itself causes a few; a block of 2 MiB that is not resident would cause 512.
        assert!(record["page_faults"].as_u64().is_some_and(|faults| faults < 64), "{line}: {}", record["page_faults"]);
    }
    for line in ["small", "churn", "threads", "parallel", "vm --lifetime batch", "vm --lifetime handoff"] {
        refused(&format!("--allocator floor --iterations 1 --scenario {line}"), &["'floor' cannot run this"]);
    }
}
