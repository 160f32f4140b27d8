//! Revisions whose manifests, folders, toolchains and environments differ, and those that cannot be built.

use crate::{Repository, ablate};

const PACKAGE: &str = "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

#[test]
fn features_that_a_revision_does_not_have_are_left_out() {
    let repository = Repository::new();
    repository.cost("100.0 + f64::from(cfg!(feature = \"slow\")) * 9.0", "asks");
    repository.write("Cargo.toml", &format!("{PACKAGE}[features]\ndefault = [\"slow\"]\nslow = []\n[workspace]\n"));
    repository.commit("has default features");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 1 && said.stdout.contains("% worse"), "{said:#?}");
    let said = repository.diff(&["HEAD~1..HEAD", "--features", "slow"]);
    assert!(said.stderr.contains("built without feature `slow`, which this revision does not have"), "{said:#?}");
    repository.write("Cargo.toml", &format!("{PACKAGE}[workspace]\n"));
    repository.commit("has them no more");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 0 && said.stdout.contains("% better"), "{said:#?}");
}

#[test]
fn a_revision_is_no_member_of_a_workspace_above_it() {
    let repository = Repository::new();
    let outer = "[workspace]\nmembers = []\nexclude = [\"repo\"]\n";
    std::fs::write(repository.dir.path().join("Cargo.toml"), outer).expect("writes");
    repository.write("Cargo.toml", PACKAGE);
    repository.cost("100.0", "no workspace");
    repository.write("Cargo.toml", &format!("{PACKAGE}[workspace]\n"));
    repository.cost("109.0", "a workspace");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 1 && said.stdout.contains("% worse"), "{said:#?}");
}

#[test]
fn a_dependency_outside_the_repository_is_the_same_on_both_sides() {
    let repository = Repository::new();
    let outside = |name: &str, text: &str| {
        let path = repository.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
        std::fs::write(path, text).expect("writes");
    };
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n{rest}\n")
    };
    outside("other/Cargo.toml", &manifest("other", "third = { path = \"../deep/third\" }"));
    outside("other/src/lib.rs", "pub fn cost() -> f64 { third::cost() }");
    outside("deep/third/Cargo.toml", &manifest("third", ""));
    outside("deep/third/src/lib.rs", "pub fn cost() -> f64 { 50.0 }");
    let dependency = "[dependencies]\nother = { path = \"../other\" }\n[workspace]\n";
    repository.write("Cargo.toml", &format!("{PACKAGE}{dependency}"));
    repository.cost("50.0 + other::cost()", "first");
    repository.cost("55.0 + other::cost()", "second");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 1 && said.stdout.contains("% worse"), "{said:#?}");
    let line = "dependency `other` lies outside the repository, so it is the same in every revision";
    assert_eq!(said.stderr.matches(line).count(), 1, "{said:#?}");
    // Its binaries depend on more than the commits, so they are not taken from an earlier call.
    outside("deep/third/src/lib.rs", "pub fn cost() -> f64 { 5000.0 }");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 0 && said.stdout.contains("No change: 1 workload within ± 1 %"), "{said:#?}");
}

#[test]
fn what_git_refuses_is_told_in_its_words() {
    let repository = Repository::new();
    let said = ablate(&repository.root(), &["diff"], &[("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")]);
    assert!(said.code == 2 && said.stderr.contains("detected dubious ownership"), "{said:#?}");
    assert!(said.stderr.contains("safe.directory"), "{said:#?}");
}

/// A benchmark of the test crate that takes some work.
pub(crate) fn bench(body: &str) -> String {
    format!(
        "#![feature(test)]\nextern crate test;\n#[bench]\nfn add(b: &mut test::Bencher) {{\n    b.iter(|| (0..1000u64).fold({body}, |a, \
         b| test::black_box(a + b)))\n}}\n"
    )
}

#[test]
fn a_benchmark_target_that_does_not_build_leaves_the_others() {
    let repository = Repository::new();
    repository.write("benches/first.rs", &bench("0"));
    repository.write("benches/second.rs", &bench("0"));
    repository.commit("two targets");
    repository.write("benches/first.rs", &bench("no_such_name"));
    repository.write("benches/second.rs", &bench("1"));
    repository.commit("the first does not build");
    let call = |range: &str, more: &[&str]| {
        let own = ["diff", range, "--blocks", "6", "--layouts", "1", "--max-time", "20s"];
        repository.ablate(&[&own[..], more].concat())
    };
    for range in ["HEAD~1..HEAD", "HEAD..HEAD~1"] {
        let said = call(range, &["--gate", "--junit", "out.xml"]);
        assert_eq!(said.code, 3, "{said:#?}");
        let flat = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("first: invalid:") && flat.contains("no_such_name"), "{said:#?}");
        assert!(said.stdout.contains("first cannot be built or run") && said.stdout.contains("6 blocks"), "{said:#?}");
        let junit = std::fs::read_to_string(repository.path("out.xml")).expect("is written");
        assert!(junit.contains("errors=\"1\""), "{junit}");
    }
    let said = call("HEAD~1..HEAD", &[]);
    assert_eq!(said.code, 1, "without the gate it is a failure: {said:#?}");
    assert!(call("HEAD~1..HEAD", &["--bench", "first", "--gate"]).code == 3);
}

#[test]
fn a_revision_that_cannot_be_built_or_run_leaves_the_gate_undecided() {
    let repository = Repository::new();
    repository.cost("no_such_name", "does not build");
    repository.cost("None::<f64>.expect(\"always\")", "ends with an error");
    repository.cost("None::<f64>.expect(\"still\")", "ends with another");
    for (range, part) in
        [("HEAD~2..HEAD", "no_such_name"), ("HEAD~3..HEAD~2", "no_such_name"), ("HEAD~1..HEAD", "failed in every cell")]
    {
        let said = repository.diff(&[range]);
        assert!(said.code == 3 && said.stderr.contains("gate: undecided"), "{range}: {said:#?}");
        assert!(said.stderr.contains(part), "{range}: {said:#?}");
    }
}

#[test]
fn a_build_of_another_environment_is_not_taken() {
    let repository = Repository::new();
    repository.cost("100.0 + f64::from(cfg!(costly)) * 7.0", "asks");
    repository.cost("101.5 + f64::from(cfg!(costly)) * 7.0", "dearer");
    let base = |flags: &str, built_before: usize| {
        let args = ["diff", "HEAD~1..HEAD", "--response", "value:cost_ns", "--blocks", "6", "--layouts", "1", "--json"];
        let env = [("RUSTFLAGS", flags)];
        let said = ablate(&repository.root(), &args, &env[..usize::from(!flags.is_empty())]);
        assert_eq!(said.stderr.matches("built before").count(), built_before, "{said:#?}");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("only JSON");
        json["parts"][0]["workloads"][0]["base"]["value"].as_f64().expect("a number").round()
    };
    assert_eq!(base("", 0), 100.0);
    assert_eq!(base("", 2), 100.0);
    assert_eq!(base("--cfg costly", 0), 107.0);
    assert_eq!(base("--cfg costly", 2), 107.0);
}

#[test]
fn a_revision_that_names_its_toolchain_is_built_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let repository = Repository::new();
    // These stand for rustup's programs: they do what the file of the folder that they run in says.
    let programs = repository.dir.path().join("programs");
    std::fs::create_dir(&programs).expect("creates");
    let real = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let log = repository.dir.path().join("log").display().to_string();
    let named = "file=rust-toolchain.toml; name=$(sed -n 's/channel = \"\\(.*\\)\"/\\1/p' $file)";
    let script = |program: &str, text: String| {
        let path = programs.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("sets");
    };
    script(
        "cargo",
        format!("{named}\necho \"$1 $name\" >> '{log}'\nCARGO_ENCODED_RUSTFLAGS=--cfg=named exec '{real}' \"$@\""),
    );
    let path = std::env::var("PATH").unwrap_or_default();
    let sysroot = std::process::Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc starts");
    let compiler = format!("{}/bin/rustc", String::from_utf8_lossy(&sysroot.stdout).trim());
    script(
        "rustc",
        format!(
            "[ -f rust-toolchain.toml ] && [ \"$1\" = -V ] && {{ {named}; echo \"rustc $name\"; exit; }}\nexec '{compiler}' \"$@\""
        ),
    );
    repository.write("rust-toolchain.toml", "[toolchain]\nchannel = \"one\"\n");
    repository.cost("100.0 + f64::from(cfg!(named)) * 5.0", "names one");
    repository.write("rust-toolchain.toml", "[toolchain]\nchannel = \"two\"\n");
    repository.commit("names another");
    repository.git(&["rm", "--quiet", "rust-toolchain.toml"]);
    repository.commit("names none");
    let with_path = format!("{}:{path}", programs.display());
    let diff = |range: &str, out: &str, more: &[&str]| {
        let own = ["diff", range, "--response", "value:cost_ns", "--blocks", "6", "--layouts", "1", "--out", out];
        let said = ablate(&repository.root(), &[&own[..], more].concat(), &[("PATH", &with_path), ("CARGO", &real)]);
        let manifest =
            std::fs::read(repository.path(out).join("manifest.json")).unwrap_or_else(|_| panic!("{said:#?}"));
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("is JSON");
        let builds = manifest["builds"].as_array().expect("a list").clone();
        let compilers: Vec<String> =
            builds.iter().map(|build| build["settings"]["compiler"].as_str().expect("text").to_owned()).collect();
        (said, compilers)
    };
    let (said, compilers) = diff("HEAD~2..HEAD~1", "out1", &[]);
    assert_eq!(compilers, ["rustc one", "rustc two"], "{said:#?}");
    let log = std::fs::read_to_string(&log).expect("is written");
    assert!(log.contains("build one") && log.contains("build two"), "{log}");
    // A binary of an earlier call keeps the compiler that made it, so that the comparison can be continued.
    let (said, compilers) = diff("HEAD~2..HEAD~1", "out1", &["--resume"]);
    assert!(said.code == 0 && said.stderr.contains("built before"), "{said:#?}");
    assert_eq!(compilers, ["rustc one", "rustc two"]);
    let (said, compilers) = diff("HEAD~1..HEAD", "out2", &[]);
    assert!(compilers[0] == "rustc two" && !["rustc two", "rustc one"].contains(&&*compilers[1]), "{said:#?}");
    assert!(said.stdout.contains("% better"), "the second is built by the caller's toolchain: {said:#?}");
}

#[test]
fn identical_binaries_are_run_when_no_early_end_is_asked_for() {
    let repository = Repository::new();
    repository.write("NOTES", "no program reads it");
    repository.commit("notes");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.stdout.starts_with("Identical: both revisions"), "{said:#?}");
    let said = repository.diff(&["HEAD~1..HEAD", "--stop", "never"]);
    assert!(said.code == 0 && said.stdout.starts_with("No change: 1 workload within ± 1 %"), "{said:#?}");
}

#[test]
fn a_run_that_hangs_ends_with_the_time_of_the_call() {
    let repository = Repository::new();
    let hangs = "{ while std::env::args().count() > 0 { std::thread::sleep(std::time::Duration::from_secs(1)) } 1.0 }";
    repository.cost(hangs, "hangs");
    let started = std::time::Instant::now();
    let said = repository.diff(&["HEAD~1..HEAD", "--max-time", "5s"]);
    assert!(said.code == 3 && said.stderr.contains("still running after 10 s"), "{said:#?}");
    assert!(started.elapsed().as_secs() < 300, "{said:#?}");
}

#[test]
fn a_revision_that_does_not_exist_is_told_before_what_the_package_lacks() {
    let repository = Repository::new();
    repository.git(&["rm", "--quiet", "src/main.rs"]);
    repository.write("src/lib.rs", "");
    repository.write("member/Cargo.toml", &PACKAGE.replace("tool", "member"));
    repository.write("member/src/main.rs", "fn main() {}");
    repository.write("Cargo.toml", &format!("{PACKAGE}[workspace]\nmembers = [\"member\"]\n"));
    repository.commit("a library, and a member with a program");
    for range in ["nosuchrev", "HEAD..nosuchrev", "nosuchrev...HEAD"] {
        let said = repository.ablate(&["diff", range]);
        assert!(said.code == 2 && said.stderr.contains("there is no revision `nosuchrev`"), "{range}: {said:#?}");
    }
    let said = repository.ablate(&["bisect", "nosuchrev", "HEAD"]);
    assert!(said.code == 2 && said.stderr.contains("there is no revision `nosuchrev`"), "{said:#?}");
    let said = repository.ablate(&["diff"]);
    let told = "neither benchmarks nor a binary; name another with --package (member)";
    assert!(said.code == 2 && said.stderr.contains(told), "{said:#?}");
}
