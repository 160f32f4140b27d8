//! First configs: they load, they run, and nothing is overwritten.

use crate::common::{self, Bench};
use std::path::Path;

#[test]
fn a_config_for_a_package_runs_as_it_is() {
    let bench = Bench::new("");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    let said = bench.ablate(&["init", &fixture, "--args", "--work 5000"]);
    assert_eq!(said.code, 0, "{said:?}");
    bench.snapshot("init_of_a_package", &said);
    let text = std::fs::read_to_string(bench.path("subject.toml")).expect("is there");
    // The fixture has no default features; all of its features are there as comments.
    common::snapshot("config_of_a_package", &text, &["manifest = "]);
    // A feature becomes a factor when its # is removed.
    let red = text.find("# [[factor]]\n# name = \"red\"").expect("is there");
    let end = red + text[red..].find("\n\n").expect("it ends");
    let factor: String = text[red..end].lines().map(|line| format!("{}\n", &line[2..])).collect();
    let text = format!("{}{factor}{}", &text[..red], &text[end..]);
    std::fs::write(bench.path("subject.toml"), text).expect("writes");
    let said = bench.ablate(&["run", "subject.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(bench.manifest()["builds"].as_array().map(Vec::len), Some(2));
    assert!(bench.runs().iter().all(|record| record["status"] == "ok"), "{:#?}", bench.troubles());
}

#[test]
fn a_config_for_a_command_runs_as_it_is() {
    let bench = Bench::new("");
    let said = bench.ablate(&["init", "--out", "mine.toml", "--", "sh", "-c", "echo 'a b'"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = bench.ablate(&["run", "mine.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_config_for_a_command_has_the_switches_of_its_help() {
    let bench = Bench::new("");
    let script = "#!/bin/sh\ncase $1 in --help) printf '  --no-cache  forget\\n  --mode {a,b}  how\\n'; exit 0 ;; esac\n\
                  case \" $* \" in *\" --no-cache \"*) : ;; *) for i in 1 2 3; do /bin/true; done ;; esac\n";
    std::fs::write(bench.path("tool"), script).expect("writes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path("tool"), mode).expect("allows");
    let said = bench.ablate(&["init", "--", "./tool", "input"]);
    assert_eq!(said.code, 0, "{said:?}");
    common::snapshot("config_of_a_command", &std::fs::read_to_string(bench.path("tool.toml")).expect("is there"), &[]);
    let said = bench.ablate(&["run", "tool.toml", "--out", "out", "--blocks", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    let cells: std::collections::BTreeSet<String> =
        bench.runs().iter().map(|run| run["cell"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(cells.contains("no-cache@args"), "{cells:?}");
}

#[test]
fn the_script_of_an_interpreter_is_the_program() {
    let bench = Bench::new("");
    std::fs::write(bench.path("count_it.sh"), "# --help: --no-cache\necho \"$@\"\n").expect("writes");
    let said = bench.ablate(&["init", "--", "sh", "count_it.sh", "input"]);
    assert_eq!(said.code, 0, "{said:?}");
    let text = std::fs::read_to_string(bench.path("count-it.toml")).expect("is called by the script");
    assert!(text.contains("command = [\"sh\", \"count_it.sh\"]") && text.contains("args = [\"input\"]"), "{text}");
    assert!(!text.contains("[[factor]]\nname"), "the options of sh are not the script's: {text}");
}

#[test]
fn a_source_file_and_a_makefile_run_at_once_at_two_levels_of_the_optimiser() {
    let bench = Bench::new("");
    let program =
        "#include <stdio.h>\nint main(void) {\n#ifdef __OPTIMIZE__\n  puts(\"fast\");\n#endif\n  return 0;\n}\n";
    std::fs::create_dir(bench.path("made")).expect("creates");
    std::fs::write(bench.path("tool.c"), program).expect("writes");
    std::fs::write(bench.path("made/other.c"), program).expect("writes");
    let makefile = "CFLAGS = -Wall -O1\nother: other.o\n\tcc -o $@ $^\nother.o: other.c\n\tcc $(CFLAGS) -c -o $@ $<\n";
    std::fs::write(bench.path("made/Makefile"), makefile).expect("writes");
    // An object of an earlier build, which `make` would keep because it is newer than its source.
    std::fs::write(bench.path("made/other.o"), "stale").expect("writes");
    for (given, config, levels) in [
        ("tool.c", "tool.toml", ["[\"-O2\"]", "[\"-O0\"]"]),
        ("made", "other.toml", ["[\"CFLAGS=-Wall -O2\"]", "[\"CFLAGS=-Wall -O0\"]"]),
    ] {
        let said = bench.ablate(&["init", given]);
        assert!(said.code == 0 && said.out.contains("factor: optimiser"), "{said:?}");
        let text = std::fs::read_to_string(bench.path(config)).expect("is there");
        assert!(levels.iter().all(|level| text.contains(level)), "{text}");
        let said = bench.ablate(&["run", config, "--out", &format!("out-{given}"), "--blocks", "2"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
}

#[test]
fn what_cannot_be_started_is_told_with_the_way_out() {
    let bench = Bench::new("");
    std::fs::write(bench.path("tool.c"), "int main(void) { return 0; }\n").expect("writes");
    std::fs::write(bench.path("my-script"), "true\n").expect("writes");
    for (program, parts) in [
        ("./nowhere", ["there is no file ./nowhere", "correct the path"]),
        ("./tool", ["there is no file ./tool", "cargo ablate init tool.c"]),
        ("./tool.c", ["is a source file", "cargo ablate init ./tool.c"]),
        ("./my-script", ["is not executable", "chmod +x ./my-script"]),
        ("my-script", ["no program `my-script` on the PATH", "./my-script"]),
    ] {
        let said = bench.ablate(&["init", "--", program]);
        assert!(said.code != 0 && parts.iter().all(|part| said.err.contains(part)), "{said:?}");
    }
}

#[test]
fn a_first_config_never_replaces_a_file_and_says_what_it_needs() {
    let bench = Bench::new("");
    let wrong = |name: &str, args: &[&str]| bench.snapshot(name, &bench.ablate(&[&["init"], args].concat()));
    wrong("init_over_a_file", &["--out", "study.toml", "--", "sh"]);
    assert_eq!(std::fs::read_to_string(bench.path("study.toml")).expect("is there"), "");
    wrong("init_of_no_package", &["nowhere"]);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/subject").display().to_string();
    wrong("init_of_no_binary", &[&fixture, "--bin", "sbject"]);
    wrong("init_with_an_open_quote", &[&fixture, "--args", "'open"]);
}
