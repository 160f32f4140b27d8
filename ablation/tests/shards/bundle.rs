//! Binaries that are built once, moved, and run elsewhere.

use crate::common::{self, Bench, Said};
use crate::merge::{KNOWN, known};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Two builds with two code layouts each, and a peer whose library is preloaded.
fn study() -> String {
    let text = common::ENV_ONLY
        .replace("arms = [\"env\"]", "arms = [\"feature\"]\nlayouts = 2")
        .replace("counting_repeats = 1", "counting_repeats = 0")
        .replace("off = { NO_RED = \"1\" }", "")
        .replace("off = { NO_BLUE = \"1\" }", "");
    let peer = "[[peer]]\nname = \"lib\"\nserved_by = \"subject\"\nenv = { LD_PRELOAD = \"./libextra.so\" }\n";
    format!("{text}{peer}[quick]\nblocks = 1\nworkloads = [\"plain\"]\n")
}

fn bench() -> Bench {
    let bench = Bench::new(&study());
    // Any library does: the C library's own is loaded already.
    let found = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib"];
    let libm = found.iter().map(|folder| Path::new(folder).join("libm.so.6")).find(|path| path.is_file());
    std::fs::copy(libm.expect("every system has libm"), bench.path("libextra.so")).expect("copies");
    bench
}

fn build(bench: &Bench) -> Said {
    let said = bench.ablate(&["build", "study.toml", "--out", "bundle"]);
    assert_eq!(said.code, 0, "{said:#?}");
    said
}

fn refused(bench: &Bench, bundle: &str, parts: &[&str]) {
    let said = bench.ablate(&["run", "study.toml", "--builds", bundle, "--out", "refused"]);
    assert_eq!(said.code, 2, "{said:#?}");
    said.complains(parts);
    assert!(!bench.path("refused/manifest.json").exists());
}

/// The files of a bundle with this name.
fn objects(bundle: &Path, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(bundle.join("objects")).expect("is there").filter_map(Result::ok);
    folders.map(|folder| folder.path().join(name)).filter(|path| path.is_file()).collect()
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-r").args([from, to]).status();
    assert!(done.expect("cp starts").success());
}

#[test]
fn a_bundle_is_moved_and_used_instead_of_building() {
    let bench = bench();
    build(&bench);
    std::fs::create_dir(bench.path("elsewhere")).expect("creates");
    std::fs::rename(bench.path("bundle"), bench.path("elsewhere/moved")).expect("moves");
    // The library of this machine is another one by now, and stores of artefacts forget who may execute a file.
    std::fs::write(bench.path("libextra.so"), "another").expect("writes");
    for path in objects(&bench.path("elsewhere/moved"), "subject") {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(path, permissions).expect("changes");
    }
    let run = |part: &str, out: &str| {
        let mut command =
            bench.command(&["run", "study.toml", "--builds", "elsewhere/moved", "--shard", part, "--out", out]);
        // Neither cargo nor git is needed.
        let said = Said::from(command.env("CARGO", "/no/cargo").output().expect("starts"));
        assert_eq!(said.code, 0, "{said:#?}");
        assert!(!said.err.contains("building"), "{said:#?}");
    };
    run("1/2", "s1");
    copy(&bench.path("elsewhere/moved"), &bench.path("again"));
    std::fs::rename(bench.path("elsewhere/moved"), bench.path("elsewhere/further")).expect("moves");
    std::fs::rename(bench.path("again"), bench.path("elsewhere/moved")).expect("moves");
    run("2/2", "s2");
    let said = bench.ablate(&["merge", "s1", "s2", "--out", "out"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let manifest = bench.manifest();
    let layouts = manifest["plan"]["layouts"].as_u64().expect("a number");
    let blocks: Vec<(u64, u64)> = bench
        .runs()
        .iter()
        .map(|run| (run["block"].as_u64().expect("a number"), run["layout"].as_u64().expect("a number")))
        .collect();
    assert!(blocks.iter().all(|(block, layout)| *layout == (block + block / layouts) % layouts), "{blocks:?}");
    let preload = manifest["plan"]["cells"].as_array().expect("cells").iter().find(|cell| cell["id"] == "peer-lib");
    let preload = preload.expect("the peer")["env"]["LD_PRELOAD"].as_str().expect("a path").to_owned();
    assert!(preload.starts_with('/') && preload.ends_with("/libextra.so") && preload.contains("objects"), "{preload}");
}

#[test]
fn a_study_is_resumed_and_shortened_with_its_bundle() {
    let bench = bench();
    build(&bench);
    bench.run(&["--builds", "bundle", "--quick"], 0);
    let first = bench.runs().len();
    std::fs::rename(bench.path("bundle"), bench.path("moved")).expect("moves");
    let said = bench.run(&["--builds", "moved", "--quick", "--resume", "--blocks", "2"], 0);
    assert_eq!(bench.runs().len(), 2 * first, "{said:#?}");
    assert_eq!(bench.ablate(&["run", "study.toml", "--builds", "moved", "--factor", "red", "--out", "red"]).code, 0);
}

#[test]
fn a_damaged_or_foreign_bundle_is_refused() {
    let bench = bench();
    build(&bench);
    let again = bench.ablate(&["build", "study.toml", "--out", "bundle"]);
    assert_eq!(again.code, 2);
    again.complains(&["bundle is not empty"]);
    let damaged = |name: &str, change: &dyn Fn(&Path), parts: &[&str]| {
        copy(&bench.path("bundle"), &bench.path("copy"));
        let path = if name == "index.json" {
            bench.path("copy/index.json")
        } else {
            objects(&bench.path("copy"), name)[0].clone()
        };
        change(&path);
        refused(&bench, "copy", parts);
        std::fs::remove_dir_all(bench.path("copy")).expect("removes");
    };
    let append = |path: &Path| {
        let mut bytes = std::fs::read(path).expect("is there");
        bytes.push(b'x');
        std::fs::write(path, bytes).expect("writes");
    };
    let remove = |path: &Path| std::fs::remove_file(path).expect("removes");
    damaged("libextra.so", &append, &["libextra.so is not what was built", "build it again"]);
    damaged("subject", &append, &["subject is not what was built"]);
    damaged("subject", &remove, &["subject is missing"]);
    damaged("index.json", &remove, &["index.json is missing"]);
    damaged("index.json", &|path| std::fs::write(path, "{").expect("writes"), &["index.json is damaged"]);
    let edit = |path: &Path, edit: &dyn Fn(&mut Value)| {
        let mut index: Value = serde_json::from_slice(&std::fs::read(path).expect("is there")).expect("is JSON");
        edit(&mut index);
        std::fs::write(path, serde_json::to_vec(&index).expect("is JSON")).expect("writes");
    };
    damaged("index.json", &|path| edit(path, &|index| index["format"] = 9.into()), &["written in format 9"]);
    let outside = |index: &mut Value| index["builds"][0]["record"]["result"]["Ok"]["path"] = "../../x".into();
    damaged("index.json", &|path| edit(path, &outside), &["outside of the bundle"]);
    let result = |index: &mut Value| index["builds"][1]["record"]["layouts"][0]["path"] = "/bin/sh".into();
    damaged("index.json", &|path| edit(path, &result), &["outside of the bundle, `/bin/sh`"]);
    let installed = |index: &mut Value| index["builds"][1]["is_installed"] = true.into();
    damaged(
        "index.json",
        &|path| edit(path, &installed),
        &["is an installed program, and the study asks for a built one"],
    );
    let features = |index: &mut Value| index["builds"][1]["record"]["features"] = vec!["other"].into();
    damaged("index.json", &|path| edit(path, &features), &["has the features other, and the study asks for"]);
    let layouts = |index: &mut Value| {
        index["layouts"] = 3.into();
        for build in index["builds"].as_array_mut().expect("a list") {
            let layouts = build["record"]["layouts"].as_array_mut().expect("a list");
            layouts.push(layouts[0].clone());
        }
    };
    damaged("index.json", &|path| edit(path, &layouts), &["it has 3 code layouts, and the study asks for 2"]);
    let absent = |index: &mut Value| index["absent"] = serde_json::json!([["lib", "it is gone", ""]]);
    damaged("index.json", &|path| edit(path, &absent), &["it lacks peer `lib`, which is not optional"]);
    let arm = |index: &mut Value| index["cpu"]["arch"] = "s390x".into();
    damaged("index.json", &|path| edit(path, &arm), &["built for s390x"]);
    let native = |index: &mut Value| {
        index["is_native"] = true.into();
        index["cpu"]["features"] = vec!["a-feature-of-tomorrow"].into();
    };
    damaged("index.json", &|path| edit(path, &native), &["target-cpu=native", "a-feature-of-tomorrow"]);
    let sources = |index: &mut Value| index["sources"]["Cargo.lock"] = "00".into();
    damaged("index.json", &|path| edit(path, &sources), &["Cargo.lock of the sources differ"]);

    refused(&bench, "nowhere", &["nowhere holds no binaries", "cargo ablate build"]);
    refused(&bench, "study.toml", &["study.toml holds no binaries"]);
    std::fs::create_dir(bench.path("a b")).expect("creates");
    copy(&bench.path("bundle"), &bench.path("a b/bundle"));
    refused(&bench, "a b/bundle", &["several libraries", "move the bundle"]);
    let text = std::fs::read_to_string(bench.path("study.toml")).expect("is there");
    std::fs::write(bench.path("study.toml"), format!("{text}# more\n")).expect("writes");
    refused(&bench, "bundle", &["the text of its config differs"]);
}

#[test]
fn an_installed_program_is_not_in_the_bundle_and_must_be_the_same() {
    let bench = known(KNOWN);
    let said = build(&bench);
    assert!(said.out.contains("nothing to build, /") && said.out.contains("is an installed program"), "{said:#?}");
    assert!(!bench.path("bundle/objects").exists());
    bench.run(&["--builds", "bundle", "--blocks", "2"], 0);
    std::fs::write(bench.path("work.sh"), "echo another").expect("writes");
    refused(&bench, "bundle", &["`sh` or a file among its arguments is another one"]);
}

/// A study of a benchmark harness.
const HARNESS: &str = r#"
study = "harness"
seed = 1
blocks = 2
counting_repeats = 0
arms = ["args"]
design = ["leave-one-out"]
[subject]
command = ["sh", "true"]
harness = "hyperfine"
[[factor]]
name = "quiet"
[factor.levels]
on = {}
off = { args = ["-N"] }
[[workload]]
name = "true"
benchmark = "true"
"#;

#[test]
fn what_needs_its_sources_is_not_built_apart() {
    let revisions = study()
        .replacen("[factor.levels]\non = {}", "[factor.levels]\non = { revision = \"HEAD\" }", 1)
        .replace("layouts = 2\n", "layouts = 1\n");
    for (text, expected) in [(HARNESS, "the benchmarks of a harness"), (&revisions, "a level names a revision")] {
        let bench = Bench::new(text);
        for call in [&["build", "study.toml", "--out", "bundle"][..], &["run", "study.toml", "--builds", "bundle"]] {
            let said = bench.ablate(call);
            assert_eq!(said.code, 2, "{said:#?}");
            said.complains(&[expected, "run it without --builds"]);
        }
        assert!(!bench.path("bundle").exists());
    }
}
