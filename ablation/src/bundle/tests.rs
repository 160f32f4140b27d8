//! Tests of a bundle against machines and sources that are not here. `ablation/tests/shards/` builds real ones.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn cpu(arch: &str, model: &str, features: &[&str]) -> Cpu {
    let features: BTreeSet<String> = features.iter().map(|feature| (*feature).to_owned()).collect();
    Cpu { arch: arch.to_owned(), model: Some(model.to_owned()), features }
}

fn bundle(is_native: bool) -> Bundle {
    let index = Index {
        format: 1,
        study: "demo".to_owned(),
        config_sha256: String::new(),
        sources: BTreeMap::from([("commit".to_owned(), "aaaaaaaaaaaaaaaa".to_owned())]),
        facts: BTreeMap::new(),
        cpu: cpu("x86_64", "X", &["avx2", "avx512f"]),
        is_native,
        layouts: 1,
        one_layout: None,
        builds: Vec::new(),
        libraries: Vec::new(),
        absent: Vec::new(),
    };
    Bundle { dir: PathBuf::from("b"), index }
}

#[test]
fn a_build_for_the_processor_at_hand_is_refused_where_another_has_less() {
    let check = |is_native: bool, here: Cpu, refused: Option<&str>| {
        let said = bundle(is_native).check_machine(&here).map_err(|error| error.to_string());
        match refused {
            None => assert_eq!(said, Ok(())),
            Some(part) => assert!(said.as_ref().is_err_and(|said| said.contains(part)), "{said:?}"),
        }
    };
    check(true, cpu("x86_64", "X", &["avx2", "avx512f"]), None);
    check(true, cpu("x86_64", "Y", &["avx2"]), Some("which has avx512f"));
    // Told, and not refused.
    check(true, cpu("x86_64", "Y", &["avx2", "avx512f", "amx"]), None);
    check(false, cpu("x86_64", "Y", &["avx2"]), None);
    check(false, cpu("aarch64", "Y", &["avx2", "avx512f"]), Some("built for x86_64, and this is aarch64"));
}

#[test]
fn files_of_an_index_are_within_its_folder_and_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("x"), "abc").expect("writes");
    let bundle = Bundle { dir: dir.path().to_owned(), ..bundle(false) };
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(bundle.checked("x", abc).expect("is whole"), dir.path().join("x"));
    let why = |path: &str, sha256: &str| bundle.checked(path, sha256).expect_err("is not").to_string();
    assert!(why("x", "00").contains("SHA-256 differs"));
    assert!(why("y", abc).contains("y is missing"));
    assert!(why("../x", abc).contains("outside of the bundle"));
}

#[test]
fn of_an_index_only_facts_of_the_sources_are_taken_and_code_is_read_from_its_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("x"), "abc").expect("writes");
    let mut bundle = Bundle { dir: dir.path().to_owned(), ..bundle(false) };
    bundle.index.facts = ["commit", "cpu"].map(|name| (name.to_owned(), Some("of the index".to_owned()))).into();
    let mut machine = Machine::default();
    bundle.name_sources(&mut machine);
    assert_eq!(machine.facts.keys().collect::<Vec<_>>(), ["commit"]);
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
    let mut built = BuiltBinary { path: "x".to_owned(), sha256, code_sha256: Some("of another program".to_owned()) };
    bundle.place(&mut built).expect("is whole");
    assert_eq!(built.code_sha256, None, "a text has no code");
}
