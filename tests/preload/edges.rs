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

/// Builds the library, or with `flags` the program, that brings hakmem as its own allocator; returns the folder.
fn build_plugin(name: &str, target: &str, flags: &str) -> PathBuf {
    let (root, source) = (Path::new(env!("CARGO_MANIFEST_DIR")), source("plugin.rs"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload").join(name);
    std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    let manifest = format!(
        "[package]\nname = \"plugin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{target}\npath = {source:?}\n\
         [dependencies]\nhakmem = {{ path = {root:?} }}\n[workspace]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("the folder is writable");
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file is there");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--offline", "--release", "--target-dir", "target"]).current_dir(&folder);
    run(cargo.env("RUSTFLAGS", flags).env_remove("CARGO_TARGET_DIR"));
    folder.join("target/release")
}

/// The allocator's thread, its callbacks and the thread's destructors outlive a library that is closed.
#[test]
fn a_library_with_the_allocator_may_be_closed() {
    let library = build_plugin("plugin", "[lib]\ncrate-type = [\"cdylib\"]", "").join("libplugin.so");
    let other = library.with_file_name("libanother.so");
    std::fs::copy(&library, &other).expect("the folder is writable");
    let host = compile("plugin_host");
    for (libraries, preloaded) in [(vec![&library], None), (vec![&library, &other], Some(&*ALL_FACTORS))] {
        for mode in ["main", "thread", "destructor"] {
            let mut command = program(&host);
            command.arg(mode).args(&libraries).envs(preloaded.map(|library| ("LD_PRELOAD", library)));
            let stdout = run(&mut command);
            assert!(stdout.ends_with(" checks, 0 failures\n"), "{mode}, {libraries:?}: {stdout}");
        }
    }
}

/// A program without a loader needs none, and one with a loader is left alone.
#[test]
fn a_program_needs_no_loader() {
    for (name, flags) in [("static", "-Ctarget-feature=+crt-static"), ("dynamic", "")] {
        let folder = build_plugin(name, "[[bin]]\nname = \"plugin\"", flags);
        let stdout = run(&mut program(folder.join("plugin")));
        assert!(stdout.ends_with("bytes live\n"), "{name}: {stdout}");
        let headers = readelf("-lW", &folder.join("plugin"));
        assert_eq!(headers.contains("INTERP"), name == "dynamic", "{headers}");
    }
}

/// Runs a program under the library, and expects its last line to say that no check failed.
#[track_caller]
fn passes(path: &Path, arguments: &[&str]) {
    let output = under_the_library(path, arguments);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success() && stdout.ends_with(" checks, 0 failures\n"), "{path:?}: {output:?}\n{stderr}");
}

/// Some functions are the program's own, and the others this library's.
#[test]
fn programs_may_define_allocation_functions_of_their_own() {
    for (name, own) in [
        ("none", &["-DOVER_LIBC"][..]),
        ("malloc-free", &["-DOWN_MALLOC", "-DOWN_FREE"]),
        ("malloc-free-over-libc", &["-DOWN_MALLOC", "-DOWN_FREE", "-DOVER_LIBC"]),
        ("four", &["-DOWN_MALLOC", "-DOWN_FREE", "-DOWN_CALLOC", "-DOWN_REALLOC"]),
        ("four-over-libc", &["-DOWN_MALLOC", "-DOWN_FREE", "-DOWN_CALLOC", "-DOWN_REALLOC", "-DOVER_LIBC"]),
        ("realloc-over-libc", &["-DOWN_REALLOC", "-DOVER_LIBC"]),
        ("free-over-libc", &["-DOWN_FREE", "-DOVER_LIBC"]),
    ] {
        let arguments = [own, &["-fno-builtin"]].concat();
        passes(&compile_with(&format!("own-{name}"), "own_functions.c", &arguments), &[]);
        // A library that does so: the process's functions are hakmem's, unless it binds its own calls to itself.
        // Objects of a pool would meet the process's functions, as they would meet glibc's.
        let kinds = [("lib", &[][..]), ("symbolic", &["-Wl,-Bsymbolic"])];
        for (kind, flags) in kinds.into_iter().filter(|_| own.contains(&"-DOVER_LIBC")) {
            let library = format!("libown-{kind}-{name}.so");
            let shared = [&arguments[..], flags, &["-DLIBRARY", "-shared", "-fPIC"]].concat();
            let library = compile_with(&library, "own_functions.c", &shared);
            let library = library.to_str().expect("the folder's name is UTF-8");
            passes(&compile_with(&format!("own-{kind}-{name}"), "own_library.c", &[library]), &[]);
        }
    }
}

/// The operators of C++ are the program's, and what they call is hakmem's.
#[test]
fn programs_may_define_the_operators_of_cpp() {
    if Command::new("c++").arg("--version").output().is_err() {
        println!("not run: c++ is not installed");
        assert!(env::var_os("CI").is_none(), "c++ is not installed");
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload").join(unique("own-new"));
    run(Command::new("c++").args(["-O1", "-o"]).arg(&path).arg(source("own_new.cpp")));
    passes(&path, &[]);
}

/// Every object is hakmem's, although the library wants the C library's functions first.
#[test]
fn libraries_may_be_opened_with_deepbind() {
    compile_with("libdeepbind.so", "deepbind_library.c", &["-shared", "-fPIC", "-fno-builtin"]);
    let host = compile_with("deepbind", "deepbind.c", &["-Wl,-rpath,$ORIGIN", "-fno-builtin"]);
    passes(&host, &["libdeepbind.so"]);
    let another = host.with_file_name(unique("another"));
    passes(&host, &[&format!("{}/libdeepbind.so", another.parent().expect("a folder").display())]);
}

/// What the process may not have is refused with null, and what is freed serves all else again: other sizes, and what the
/// C library maps.
#[test]
fn limits_on_addresses_are_lived_with() {
    let path = compile_with("limits", "limits.c", &["-fno-builtin"]);
    for mib in [512, 64, 12] {
        passes(&path, &["self", &mib.to_string()]);
        // Each takes three seconds.
        for bytes in if mib == 64 { &["100", "3000", "100000", "1048576", "5000000"][..] } else { &[] } {
            passes(&path, &["waits", &mib.to_string(), bytes]);
        }
        let mut command = program(&path);
        let limit = libc::rlimit { rlim_cur: mib << 20, rlim_max: mib << 20 };
        // SAFETY: one system call, in the child of a fork.
        unsafe {
            command.pre_exec(move || {
                libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
                Ok(())
            });
        }
        let stdout = run(command.args(["start", &mib.to_string()]).env("LD_PRELOAD", &*ALL_FACTORS));
        assert!(stdout.ends_with(" checks, 0 failures\n"), "{mib} MiB from the start: {stdout}");
    }
}

/// Segments of 4 MiB hold one object of 2.1 MB, or 31 of 100 KB: where addresses are scarce, they are not used for those.
#[test]
fn scarce_addresses_are_used_densely() {
    let path = compile_with("limits", "limits.c", &["-fno-builtin"]);
    for bytes in ["70000", "100000", "300000", "700000", "1100000", "2200000", "3000000", "5000000"] {
        passes(&path, &["dense", "600", bytes]);
    }
}

/// A user may lock memory within the limit: addresses that are not used do not count.
#[test]
fn a_user_may_lock_the_memory_of_a_small_program() {
    passes(&compile_with("limits", "limits.c", &["-fno-builtin"]), &["mlock"]);
}

/// The kernel maps nothing there by itself, but a program may.
#[test]
fn other_mappings_in_the_range_are_left_alone() {
    passes(&compile_with("taken_range", "taken_range.c", &["-fno-builtin"]), &[]);
}

/// The statistics and `malloc_trim` need no cache of the calling thread's, and are true beside threads that allocate.
#[test]
fn any_thread_may_ask_for_statistics_and_trim() {
    passes(&compile("foreign_threads"), &[]);
}

/// Lengths of objects of every station.
const LENGTHS: [&str; 10] = ["3", "64", "700", "2000", "9000", "100000", "700000", "2097152", "6000000", "40000000"];

/// Levels under which objects have different things before, in and behind them.
fn surroundings() -> [Vec<(&'static str, &'static str)>; 7] {
    [
        vec![],
        vec![("HAKMEM_HEADER", "16")],
        vec![("HAKMEM_HEADER", "32")],
        vec![("HAKMEM_MODE", "original")],
        vec![("HAKMEM_MODE", "hardened")],
        vec![("HAKMEM_DISABLE_FREE_CHECK", "1"), ("HAKMEM_CANARY", "on")],
        vec![("HAKMEM_DISABLE_FREE_CHECK", "1"), ("HAKMEM_PURGE", "never")],
    ]
}

/// An object whose free waits is as free as any other.
#[test]
fn an_object_whose_free_waits_is_not_freed_again() {
    let path = compile("in_fork");
    for (task, sentence) in [
        ("twice", "hakmem: double free\n"),
        ("realloc", "hakmem: realloc of a freed object\n"),
        ("usable", "hakmem: malloc_usable_size of a freed object\n"),
        ("later", "hakmem: double free\n"),
    ] {
        for variables in surroundings() {
            // What the slot list of a thread holds is verified by this factor alone, or by headers.
            let is_verified = !variables.contains(&("HAKMEM_DISABLE_FREE_CHECK", "1"));
            for bytes in LENGTHS.iter().filter(|bytes| is_verified || bytes.len() == "40000000".len()) {
                let mut command = program(&path);
                command.args([task, bytes]).envs(variables.iter().copied()).env("LD_PRELOAD", &*ALL_FACTORS);
                // A strategy that the factor tries may unmap what is freed, and then nothing is known of the address.
                command.env("HAKMEM_DISABLE_ELO", "1");
                let output = finish(&mut command);
                let (stdout, stderr) = texts(&output);
                assert_eq!(
                    output.status.signal(),
                    Some(libc::SIGABRT),
                    "{task} {bytes} {variables:?}: {stdout}{stderr}"
                );
                assert!(
                    stderr.lines().all(|line| line == sentence.trim_end()),
                    "{task} {bytes} {variables:?}: {stderr}"
                );
            }
        }
    }
}

/// The bypass's objects change their size as all others do, and become ordinary ones.
#[test]
fn objects_of_a_fork_s_handlers_change_their_size() {
    let path = compile("in_fork");
    for variables in surroundings() {
        for bytes in LENGTHS {
            let mut command = program(&path);
            command.args(["resize", bytes]).envs(variables.iter().copied()).env("LD_PRELOAD", &*ALL_FACTORS);
            let stdout = run(&mut command);
            assert!(stdout.ends_with(" checks, 0 failures\n"), "{bytes} {variables:?}: {stdout}");
        }
    }
}

/// What the bypass served goes back to the OS as all other memory does.
#[test]
fn memory_of_a_fork_s_handlers_goes_back() {
    let path = compile("in_fork");
    for (task, variables) in [
        ("many", vec![]),
        ("many-by-request", vec![]),
        ("many-by-request", vec![("HAKMEM_PURGE", "immediate")]),
        ("many", vec![("HAKMEM_MODE", "hardened")]),
    ] {
        for bytes in ["40", "300", "1000"] {
            let mut command = program(&path);
            command.args([task, bytes]).envs(variables.iter().copied()).env("LD_PRELOAD", &*ALL_FACTORS);
            let stdout = run(&mut command);
            assert!(stdout.ends_with(" checks, 0 failures\n"), "{task} {bytes} {variables:?}: {stdout}");
        }
    }
}

/// The system calls that docs/tuning.md says a setting avoids; a filter ends the process for one of them.
#[test]
fn a_filter_of_system_calls_may_know_few() {
    let path = compile("filter");
    let thread = ["clone", "rt_sigprocmask", "mprotect", "futex", "membarrier"];
    let settings: [(&[_], &[_]); 7] = [
        (
            &[],
            &[
                "capget",
                "capset",
                "chdir",
                "getpid",
                "mincore",
                "prlimit64",
                "sched_getaffinity",
                "sched_setaffinity",
                "sched_yield",
            ],
        ),
        (&[("HAKMEM_PURGE", "immediate")], &thread),
        (&[("HAKMEM_PURGE", "immediate"), ("HAKMEM_THP", "off")], &["prctl"]),
        (&[("HAKMEM_THP", "on")], &["process_vm_readv"]),
        (&[("HAKMEM_THP", "off")], &["process_vm_readv"]),
        (&[("HAKMEM_PURGE", "never")], &["clock_gettime"]),
        (&[("HAKMEM_PURGE", "never"), ("HAKMEM_THP", "off")], &["madvise"]),
    ];
    let docs =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tuning.md")).expect("it is there");
    let serves = &|variables: &[(&str, &str)], call: &str| {
        let mut command = program(&path);
        let output = finish(command.arg(call).envs(variables.iter().copied()).env("LD_PRELOAD", &*ALL_FACTORS));
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{call} {variables:?}: {} {stdout}{stderr}", output.status);
        println!("{call} {variables:?}: {stdout}");
    };
    // Each sleeps most of the time.
    std::thread::scope(|scope| {
        for (variables, calls) in settings {
            for &call in calls {
                assert!(docs.contains(&format!("`{call}`")), "docs/tuning.md does not name {call}");
                scope.spawn(move || serves(variables, call));
            }
        }
    });
}

/// Valgrind ends a process that starts a thread past the C library: the allocator does without its own there.
#[test]
fn programs_run_under_valgrind() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("not run: valgrind is not installed");
        assert!(env::var_os("CI").is_none(), "valgrind is not installed");
        return;
    }
    let mut plain = program("/usr/bin/perl");
    plain.args(["-e", "my @all = map { 'x' x 90_000 } 1..200; @all = (); print length(join ',', 1..99_999)"]);
    let starts = |command: &mut Command| String::from_utf8_lossy(&finish(command).stderr).contains("clone(");
    let mut traced = program("strace");
    if Command::new("strace").arg("--version").output().is_ok() {
        traced.args(["-f", "-e", "trace=clone", "-E"]).arg(format!("LD_PRELOAD={}", ALL_FACTORS.display()));
        traced.arg(plain.get_program()).args(plain.get_args());
        assert!(starts(&mut traced), "the program starts no thread of the allocator's, and shows nothing");
    }
    let mut valgrind = program("valgrind");
    valgrind.args(["--quiet", "--tool=none", "--soname-synonyms=somalloc=nouserintercepts"]);
    valgrind.arg(plain.get_program()).args(plain.get_args());
    let printed = run(valgrind.env("LD_PRELOAD", &*ALL_FACTORS));
    assert_eq!(printed, run(&mut plain));
}
