//! Programs in C and C++ that are linked with an installation, and the installation itself.

use super::*;
use std::collections::BTreeSet;

/// The names that a library defines for others.
fn names(library: &str, arguments: &[&str]) -> BTreeSet<String> {
    let mut nm = command("nm");
    let listed = succeed(nm.args(arguments).args(["--defined-only", "--format=posix"]).arg(PREFIX.join(library)));
    // The first line of an archive names its member.
    listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

/// What `tests/preload.rs` holds the shared library to.
#[test]
fn the_archive_defines_the_names_of_the_library_and_no_other() {
    let shared = names("lib/libhakmem.so", &["--dynamic"]);
    assert!(shared.contains("hakmem_stats") && shared.len() > 40, "{shared:?}");
    assert_eq!(names("lib/libhakmem.a", &["--extern-only"]), shared);
}

#[test]
fn the_header_is_plain_and_declares_what_there_is() {
    let header = PREFIX.join("include/hakmem.h");
    let text = std::fs::read_to_string(&header).expect("installed");
    let shared = names("lib/libhakmem.so", &["--dynamic"]);
    for name in shared.iter().filter(|name| name.starts_with("hakmem_")) {
        assert!(text.contains(&format!("{name}(")), "{name} has no declaration");
    }
    for (compiler, standard) in
        [("cc", "c99"), ("cc", "c11"), ("cc", "gnu2x"), ("c++", "c++98"), ("c++", "c++11"), ("c++", "c++20")]
    {
        if compiler == "c++" && !has(compiler) {
            continue;
        }
        let language = if compiler == "cc" { "c" } else { "c++" };
        let mut compile = command(compiler);
        compile.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-include", "stdlib.h"]);
        if standard == "c++98" {
            compile.arg("-Wno-long-long");
        }
        succeed(compile.arg(format!("-std={standard}")).args(["-x", language]).arg(&header));
    }
}

#[test]
fn programs_link_by_pkg_config() {
    if !(has("pkg-config") && has("make") && has("c++")) {
        return;
    }
    let mut make = command("make");
    make.arg("-C").arg(repository().join("examples/c")).args(["check", "--always-make"]);
    make.arg(format!("OUT={}", scratch().display()));
    make.arg(format!("PKG_CONFIG_PATH={}", PREFIX.join("lib/pkgconfig").display())).args(["CFLAGS=-Wall -Werror"]);
    let said = succeed(&mut make);
    assert_eq!(said.matches("\nserved by hakmem").count(), 2, "{said}");
}

#[test]
fn programs_link_by_cmake() {
    if !(has("cmake") && has("c++")) {
        return;
    }
    let build = scratch().join("cmake");
    let mut configure = command("cmake");
    configure.arg("-S").arg(repository().join("examples/cmake")).arg("-B").arg(&build);
    succeed(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", PREFIX.display())));
    succeed(command("cmake").arg("--build").arg(&build));
    for program in ["c-static", "c-shared", "cpp-static", "cpp-shared"] {
        let said = succeed(&mut command(build.join(program)));
        assert!(said.ends_with("served by hakmem\n") && !said.contains("NOT"), "{program}: {said}");
    }
}

#[test]
fn static_programs_have_it_too() {
    let archive = PREFIX.join("lib/libhakmem.a");
    let include = format!("-I{}", PREFIX.join("include").display());
    for (compiler, source) in [("cc", "main.c"), ("c++", "main.cpp")] {
        if compiler == "c++" && !has(compiler) {
            continue;
        }
        let program = scratch().join(format!("static-{source}.out"));
        let mut link = command(compiler);
        link.args(["-static", &include, "-Wl,-u,malloc", "-o"]).arg(&program);
        succeed(link.arg(repository().join("examples/c").join(source)).arg(&archive));
        // `hakmem run` asks the process, and not the loader.
        let said = succeed(&mut hakmem(&["run", "--require", program.to_str().expect("text")]));
        assert!(said.contains("served by hakmem\n") && said.contains("was served by hakmem"), "{said}");
    }
}

/// Rust libraries bring the same standard library, and hakmem is written in Rust.
#[test]
fn another_rust_library_meets_no_name_of_it() {
    let (source, library) = (scratch().join("other.rs"), scratch().join("libother.a"));
    let text = "#[unsafe(no_mangle)]\npub extern \"C\" fn other() -> usize {\n\
                let words: std::collections::BTreeMap<usize, String> = (0..1000).map(|n| (n, n.to_string())).collect();\n\
                std::panic::catch_unwind(|| panic!()).is_err() as usize + words.len()\n}\n";
    std::fs::write(&source, text).expect("writable");
    let mut rustc = command(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    // The version that rust-toolchain.toml names.
    rustc.current_dir(repository()).args(["--edition", "2024", "-O", "--crate-type", "staticlib", "-o"]);
    succeed(rustc.arg(&library).arg(&source));
    let text = "#include <hakmem.h>\n\
                size_t other(void);\n\
                int main(void) {\n\
                struct hakmem_stats before, after;\n\
                hakmem_stats(&before, sizeof before);\n\
                size_t sum = other();\n\
                size_t bytes = hakmem_stats(&after, sizeof after);\n\
                return sum != 1001 || bytes != sizeof after || after.allocations - before.allocations < 1000;\n}\n";
    let archive = PREFIX.join("lib/libhakmem.a");
    let include = format!("-I{}", PREFIX.join("include").display());
    let (library, archive) = (library.as_os_str(), archive.as_os_str());
    let system = ["-lpthread", "-ldl", "-lm"].map(OsStr::new);
    for order in [
        &[library, archive][..],
        &[archive, library],
        &[OsStr::new("-Wl,--whole-archive"), library, archive, OsStr::new("-Wl,--no-whole-archive")],
    ] {
        let arguments = [&[OsStr::new(&include)], order, &system].concat();
        succeed(&mut command(compile("beside-rust", text, &arguments)));
    }
}

#[test]
fn an_installation_goes_as_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    // The first installation builds.
    assert!(PREFIX.is_dir());
    let prefix = folder.path().join("prefix");
    let foreign = prefix.join("include/hakmem.h");
    std::fs::create_dir_all(foreign.parent().expect("a folder")).expect("writable");
    std::fs::write(&foreign, "another one's").expect("writable");
    let (output, _, stderr) = finish(&mut install(&prefix));
    assert!(!output.status.success() && stderr.contains("hakmem.h"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&foreign).expect("kept"), "another one's");
    assert!(!prefix.join("bin").exists());
    std::fs::remove_file(&foreign).expect("writable");
    succeed(&mut install(&prefix));
    succeed(&mut install(&prefix));
    succeed(
        command(prefix.join("bin/hakmem")).args(["run", "--require", "--", "sort", "/dev/null"]).env("TMPDIR", "/tmp"),
    );
    let mut uninstall = command("bash");
    uninstall.arg(repository().join("packaging/uninstall.sh")).arg(&prefix).env_remove("DESTDIR");
    succeed(&mut uninstall);
    assert_eq!(std::fs::read_dir(&prefix).expect("readable").count(), 0);
    assert!(!finish(&mut uninstall).0.status.success());
}
