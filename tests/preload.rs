//! The library for `LD_PRELOAD`: what it exports, what it needs, how it behaves under programs of ours and of others.
//!
//! `cargo preload` is run once, in a target folder of this test's own; the programs in `tests/preload/` are compiled
//! with `cc`. Cargo, `cc`, `nm` and `readelf` are there wherever the crate was built with GNU tools, and are asked for
//! without a fallback. What else is missing is named in the output, and is an error where `CI` is set.

mod common;
#[path = "preload/edges.rs"]
mod edges;
#[path = "preload/families.rs"]
mod families;

use common::{all_off_but, all_on, texts};
use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What `malloc(64)` and its `free` may execute together, with every factor compiled in and nothing in the environment: of
/// which 13 let a signal handler come in between and another thread empty the cache (restartable sequences), and at most 18
/// verify the free (`free-check`).
const PAIR_INSTRUCTIONS_MAX: u64 = 61;
/// The same where no factor but the thread cache is compiled in.
const CACHE_ALONE_INSTRUCTIONS_MAX: u64 = 43;
/// What the switch of `free-check` takes where it is compiled in and off: the one factor whose switch the fast path
/// passes.
const SWITCH_INSTRUCTIONS_MAX: u64 = 21;
/// Pairs between two counts. No list overflows on the way, so that every pair is served alike.
const PAIRS: u64 = 100_000;

/// Every name that the library defines for others.
const EXPORTS: &[&str] = &[
    "_Exit",
    "__libc_calloc",
    "__libc_free",
    "__libc_malloc",
    "__libc_memalign",
    "__libc_pvalloc",
    "__libc_realloc",
    "__libc_valloc",
    "__posix_memalign",
    "_exit",
    "aligned_alloc",
    "calloc",
    "cfree",
    "dlopen",
    "free",
    "free_aligned_sized",
    "free_sized",
    "hakmem_level",
    "hakmem_owns",
    "hakmem_stats",
    "hakmem_trim",
    "hakmem_version",
    "mallinfo",
    "mallinfo2",
    "malloc",
    "malloc_info",
    "malloc_stats",
    "malloc_trim",
    "malloc_usable_size",
    "mallopt",
    "memalign",
    "posix_memalign",
    "prlimit",
    "prlimit64",
    "pvalloc",
    "realloc",
    "reallocarray",
    "setegid",
    "seteuid",
    "setgid",
    "setgroups",
    "setns",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setrlimit64",
    "setuid",
    "unshare",
    "valloc",
];

/// A variable that the allocator does not know: whatever process it serves says so on standard error.
const UNKNOWN: &str = "HAKMEM_WHO_SERVES";
/// A program that hangs is ended by SIGALRM.
const SECONDS: u32 = 100;

static ALL_FACTORS: LazyLock<PathBuf> = LazyLock::new(|| build("all", &[]));
static NO_FACTORS: LazyLock<PathBuf> = LazyLock::new(|| build("none", &["--no-default-features"]));

/// What a pair of a small `malloc` and its `free` takes with a fast path, and nothing else.
static CACHE_ALONE: LazyLock<PathBuf> =
    LazyLock::new(|| build("cache", &["--no-default-features", "--features", "thread-cache"]));
/// Every factor but `free-check`, the one that acts in every free.
static UNCHECKED: LazyLock<PathBuf> = LazyLock::new(|| {
    let others = hakmem::factors::registry().iter().map(|factor| factor.name).filter(|name| *name != "free-check");
    build("unchecked", &["--no-default-features", "--features", &others.collect::<Vec<_>>().join(",")])
});

/// Builds the library with these features in a folder of its own.
fn build(folder: &str, features: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload").join(folder);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg("preload").args(features);
    run(cargo.args(["--quiet", "--offline", "--locked", "--target-dir"]).arg(&target));
    target.join("preload/libhakmem.so").canonicalize().expect("cargo built the library")
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = finish(command);
    let (stdout, stderr) = texts(&output);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// Runs a command to its end.
#[track_caller]
fn finish(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A program that ends by itself after [`SECONDS`], leaves no core file, and reads nothing of hakmem's from this process.
fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HAKMEM_") {
            command.env_remove(name);
        }
    }
    let limit = || {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both calls only set limits of the process, which an exec keeps, and allocate nothing.
        unsafe {
            libc::alarm(SECONDS);
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        }
        Ok(())
    };
    // SAFETY: two system calls, in the child of a fork.
    unsafe { command.pre_exec(limit) };
    command.env_remove("LD_PRELOAD").env("LC_ALL", "C");
    command
}

/// Where one of our own programs, or an input of others, lies.
fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload").join(file)
}

/// A file name that no other call has, in this process or in another.
fn unique(name: &str) -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Relaxed: the number only has to be unique; it orders no other memory.
    format!("{name}-{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed))
}

/// Compiles one of our own programs.
fn compile(name: &str) -> PathBuf {
    compile_with(name, &format!("{name}.c"), &[])
}

/// Compiles a file of ours with these arguments, and calls the result by the name.
fn compile_with(name: &str, file: &str, arguments: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload");
    std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    // Another test may use the program at this moment.
    let (fresh, kept) = (folder.join(unique(name)), folder.join(name));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-pthread", "-w", "-o"]).arg(&fresh).arg(source(file)).args(arguments).arg("-ldl");
    run(&mut cc);
    std::fs::rename(&fresh, &kept).expect("both are in one folder");
    kept
}

/// Runs one of our own programs under the library, and expects its last line to say that no check failed.
#[track_caller]
fn check(name: &str, variables: &[(&str, &str)], arguments: &[&OsStr]) -> String {
    let path = compile(name);
    let mut command = program(path);
    let stdout = run(command.args(arguments).envs(variables.iter().copied()).env("LD_PRELOAD", &*ALL_FACTORS));
    let last = stdout.lines().last().unwrap_or_default();
    assert!(last.ends_with(" checks, 0 failures"), "{stdout}");
    println!("{name} {variables:?}: {last}");
    stdout
}

#[test]
fn the_c_library_s_functions_do_what_they_should() {
    check("conformance", &[], &[]);
    check("conformance", &all_off_but(&[]), &[]);
    check("conformance", &all_on(), &[]);
    check("conformance", &[("HAKMEM_MODE", "minimal"), ("HAKMEM_ALIGN", "user")], &[]);
}

#[test]
fn children_of_busy_parents_allocate() {
    for arguments in [&[][..], &[OsStr::new("handlers")]] {
        check("fork", &[], arguments);
        check("fork", &all_off_but(&[]), arguments);
    }
}

/// The purge's thread is gone when the program looks, and keeps nothing of the thread that started it.
#[test]
fn the_purge_s_thread_is_not_in_the_way() {
    check("thread", &[], &[]);
}

/// Tools put their own clock in the place of the C library's, and may allocate in it.
#[test]
fn the_time_is_not_asked_of_a_function_that_others_replace() {
    let needed = run(Command::new("nm").args(["--dynamic", "--undefined-only", "--format=posix"]).arg(&*ALL_FACTORS));
    assert!(needed.contains("pthread_atfork") || needed.contains("__register_atfork"), "{needed}");
    for name in ["clock_gettime", "gettimeofday", "nanosleep"] {
        assert!(!needed.contains(name), "{needed}");
    }
}

#[test]
fn forks_meet_memory_that_is_wanted_at_that_moment() {
    check("gate", &[], &[]);
    check("gate", &all_off_but(&[]), &[]);
}

#[test]
fn signal_handlers_allocate_whatever_they_interrupt() {
    check("signals", &[], &[]);
    check("signals", &[("HAKMEM_DISABLE_FREE_CHECK", "1")], &[]);
}

#[test]
fn requests_before_any_constructor_are_served() {
    check("early", &[], &[]);
    check("early", &all_off_but(&[]), &[]);
}

#[test]
fn a_process_can_tell_who_serves_it() {
    let stdout = check("identity", &[], &[ALL_FACTORS.as_os_str()]);
    let line = format!("hakmem {}", env!("CARGO_PKG_VERSION"));
    assert!(stdout.lines().any(|found| found == line), "{stdout}");
}

#[test]
fn misuse_ends_the_process_with_a_sentence() {
    let misuse = compile("misuse");
    for (name, sentence) in [
        ("foreign", "hakmem: free of a pointer that hakmem did not allocate\n"),
        ("foreign-realloc", "hakmem: realloc of a pointer that hakmem did not allocate\n"),
        ("foreign-reallocarray", "hakmem: realloc of a pointer that hakmem did not allocate\n"),
        ("foreign-usable", "hakmem: malloc_usable_size of a pointer that hakmem did not allocate\n"),
        ("interior", "hakmem: free of a pointer inside an object, not at its start\n"),
        ("interior-realloc", "hakmem: realloc of a pointer inside an object, not at its start\n"),
        ("interior-usable", "hakmem: malloc_usable_size of a pointer inside an object, not at its start\n"),
        ("double", "hakmem: double free\n"),
        ("freed-realloc", "hakmem: realloc of a freed object\n"),
        ("freed-usable", "hakmem: malloc_usable_size of a freed object\n"),
    ] {
        let output = finish(program(&misuse).arg(name).env("LD_PRELOAD", &*ALL_FACTORS));
        let (_, stderr) = texts(&output);
        assert_eq!(stderr, sentence, "{name}");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{name}: {}", output.status);
    }
}

/// What `readelf` says of a library.
fn readelf(option: &str, library: &Path) -> String {
    run(Command::new("readelf").env("LC_ALL", "C").arg(option).arg(library))
}

#[test]
fn the_library_exports_the_published_names_and_no_other() {
    for library in [&*ALL_FACTORS, &*NO_FACTORS] {
        let listed = run(Command::new("nm").args(["--dynamic", "--defined-only", "--format=posix"]).arg(library));
        let names: BTreeSet<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, EXPORTS.iter().copied().collect());
    }
}

#[test]
fn the_library_needs_the_c_library_alone_and_stays() {
    for library in [&*ALL_FACTORS, &*NO_FACTORS] {
        let dynamic = readelf("-dW", library);
        let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
        let allowed = |line: &&str| ["[libc.so.", "[ld-linux"].iter().any(|name| line.contains(name));
        assert!(!needed.is_empty() && needed.iter().all(allowed), "{needed:?}");
        let flags: String = dynamic.lines().filter(|line| line.contains("(FLAGS")).collect();
        for flag in ["STATIC_TLS", "BIND_NOW", "SYMBOLIC", "NODELETE"] {
            assert!(flags.contains(flag), "{flag} is not in {flags}");
        }
        assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
        assert!(dynamic.contains("(SONAME)") && dynamic.contains("[libhakmem.so]"), "{dynamic}");
    }
}

#[test]
fn thread_local_storage_is_initial_exec() {
    for library in [&*ALL_FACTORS, &*NO_FACTORS] {
        let relocations = readelf("-rW", library);
        assert!(relocations.contains("TPOFF") || relocations.contains("TPREL"), "{relocations}");
        for dynamic in ["DTPMOD", "DTPOFF", "DTPREL", "TLSDESC", "__tls_get_addr"] {
            assert!(!relocations.contains(dynamic), "{dynamic} in\n{relocations}");
        }
    }
}

/// glibc keeps little room for such storage of libraries that are loaded later, and every thread of every program pays for it.
#[test]
fn a_thread_has_at_most_64_bytes_of_the_library() {
    for library in [&*ALL_FACTORS, &*NO_FACTORS] {
        let headers = readelf("-lW", library);
        let segment =
            headers.lines().find(|line| line.trim_start().starts_with("TLS")).expect("it has thread-local storage");
        // Type, offset, two addresses, size in the file, size in memory.
        let size = segment.split_whitespace().nth(5).and_then(|size| size.strip_prefix("0x")).expect("six columns");
        assert!(u64::from_str_radix(size, 16).expect("a number") <= 64, "{segment}");
    }
}

/// Programs that others wrote and that are installed, by paths: what lies first in `PATH` may be a script.
fn real_programs() -> Vec<Command> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload");
    std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    // The same test of another build may read the file at this moment.
    let (fresh, lines) = (folder.join(unique("lines")), folder.join("lines.txt"));
    let text: String = (0_u32..200_000).map(|n| format!("{} {n}\n", n.wrapping_mul(2_654_435_761))).collect();
    std::fs::write(&fresh, text).expect("the folder for temporary files is writable");
    std::fs::rename(&fresh, &lines).expect("both are in one folder");
    let query = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 100000) \
                 select count(*), sum(x), count(distinct x % 977), max(hex(x) || x) from n;";
    let hash = "my %h; $h{$_ * 7919 % 10007} .= \"$_,\" for 1..200000; \
                print join(\"\\n\", map { \"$_ $h{$_}\" } sort { $a <=> $b } keys %h)";
    let zlib = "const z = require('zlib'), c = require('crypto'), h = c.createHash('sha256'); \
                for (let i = 0; i < 100; i++) h.update(z.inflateSync(z.deflateSync(Buffer.alloc(50000 + i, 'ab' + i)))); \
                console.log(h.digest('hex'))";
    [
        ("/bin/ls", vec!["-lR".into(), concat!(env!("CARGO_MANIFEST_DIR"), "/tests").into()]),
        ("/usr/bin/sort", vec!["--parallel=2".into(), "-S".into(), "1M".into(), lines.into_os_string()]),
        ("/usr/bin/python3", vec![source("work.py").into_os_string()]),
        (
            "/usr/bin/g++",
            ["-O1", "-S", "-o", "-"].map(Into::into).into_iter().chain([source("words.cpp").into()]).collect(),
        ),
        ("/usr/bin/perl", vec!["-e".into(), hash.into()]),
        ("/usr/bin/sqlite3", vec![":memory:".into(), query.into()]),
        ("/usr/bin/node", vec!["-e".into(), zlib.into()]),
    ]
    .into_iter()
    .filter(|(path, _)| {
        Path::new(path).exists() || {
            println!("not run: {path} is not installed");
            false
        }
    })
    .map(|(path, arguments)| {
        let mut command = program(path);
        command.args(arguments).envs([("PYTHONMALLOC", "malloc"), ("PYTHONHASHSEED", "0"), ("PERL_HASH_SEED", "0")]);
        command
    })
    .collect()
}

#[test]
fn real_programs_do_the_same() {
    let mut ran = Vec::new();
    for mut command in real_programs() {
        let path = PathBuf::from(command.get_program());
        let (expected, expected_stderr) = texts(&finish(&mut command));
        let output = finish(command.env("LD_PRELOAD", &*ALL_FACTORS).env(UNKNOWN, "1"));
        let (found, stderr) = texts(&output);
        assert!(output.status.success(), "{}: {}\n{stderr}", path.display(), output.status);
        let is_ours = |line: &&str| line.contains(UNKNOWN);
        assert!(stderr.lines().any(|line| is_ours(&line)), "hakmem did not serve {}:\n{stderr}", path.display());
        let others: Vec<&str> = stderr.lines().filter(|line| !is_ours(line)).collect();
        assert_eq!(others, expected_stderr.lines().collect::<Vec<_>>(), "{}", path.display());
        assert!(!found.is_empty() && found == expected, "{} prints something else", path.display());
        ran.push(path);
    }
    println!("the same with and without the library: {ran:?}");
    assert!(ran.len() >= 3, "too few programs are installed: {ran:?}");
}

/// Instructions that the library executes in [`PAIRS`] pairs of `malloc(64)` and `free`, as callgrind counts them: what
/// twice as many pairs take, without what the process takes besides. `None` where valgrind is not installed, or the
/// compiler is not the one of rust-toolchain.toml, for which the counts hold.
fn pair_instructions(library: &Path, variables: &[(&str, &str)]) -> Option<u64> {
    let toolchain = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rust-toolchain.toml"));
    let toolchain = toolchain.expect("the toolchain is pinned");
    let pinned = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel");
    let rustc = run(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version"));
    if rustc.split(' ').nth(1) != Some(pinned.trim_matches('"')) {
        println!("not run: the compiler is {}, and the counts are of {pinned}", rustc.trim());
        assert!(env::var_os("CI").is_none(), "the compiler is not the pinned one");
        return None;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("not run: valgrind is not installed");
        assert!(env::var_os("CI").is_none(), "valgrind is not installed");
        return None;
    }
    let pairs = compile("pairs");
    let count = |number: u64| {
        let profile = pairs.with_file_name(unique("callgrind"));
        let mut valgrind = program("valgrind");
        // Valgrind would put its own functions in the place of ours.
        valgrind.args(["--quiet", "--tool=callgrind", "--soname-synonyms=somalloc=nouserintercepts"]);
        valgrind.args(["--compress-strings=no", "--compress-pos=no"]);
        valgrind.arg(format!("--callgrind-out-file={}", profile.display())).arg(&pairs).arg(number.to_string());
        run(valgrind.env("LD_PRELOAD", library).envs(variables.iter().copied()));
        let text = std::fs::read_to_string(&profile).expect("callgrind wrote its counts");
        std::fs::remove_file(&profile).expect("it is there");
        own_instructions(&text, library)
    };
    let (once, twice) = (count(PAIRS), count(2 * PAIRS));
    assert!(once > PAIRS, "callgrind saw no call of the library");
    Some(twice - once)
}

/// What a profile counts in the code of one library, calls of other code left out.
fn own_instructions(profile: &str, library: &Path) -> u64 {
    let mut is_own = false;
    let mut is_of_call = false;
    let mut sum = 0;
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = Path::new(object) == library;
        } else if line.starts_with("calls=") {
            // The line after it has what the callee took.
            is_of_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let cost = line.split(' ').nth(1).map_or(0, |cost| cost.parse::<u64>().expect("a count"));
            sum += if is_own && !is_of_call { cost } else { 0 };
            is_of_call = false;
        }
    }
    sum
}

#[test]
fn the_parser_of_profiles_leaves_calls_out() {
    let profile = "events: Ir\n\nob=/a\nfn=f\n0 5\ncob=/l\ncfn=g\ncalls=3 0\n0 700\n1 6\n\n\
                   ob=/l\nfl=x\nfn=g\n1 40\nfi=y\n2 2\ncob=/c\ncalls=1 2\n0 9000\n3 100\nob=/c\nfn=h\n0 9000\ntotals: 1\n";
    assert_eq!(own_instructions(profile, Path::new("/l")), 142);
}

/// Prints a count per pair.
fn report(build: &str, instructions: u64) {
    println!("{build}: {:.2} instructions per pair of malloc(64) and free", instructions as f64 / PAIRS as f64);
}

#[test]
fn a_factor_that_is_off_costs_no_instruction() {
    let variables = all_off_but(&["thread-cache"]);
    let (Some(off), Some(absent)) = (pair_instructions(&ALL_FACTORS, &variables), pair_instructions(&CACHE_ALONE, &[]))
    else {
        return;
    };
    report("all factors off but the cache", off);
    report("the cache alone compiled in", absent);
    report("the switch of free-check", off - absent);
    assert!(off - absent <= SWITCH_INSTRUCTIONS_MAX * PAIRS, "more than {SWITCH_INSTRUCTIONS_MAX} per pair");
    let Some(unchecked) = pair_instructions(&UNCHECKED, &all_off_but(&["thread-cache"])) else { return };
    assert_eq!(unchecked, absent, "no other factor has a switch on the fast path");
}

#[test]
fn a_pair_takes_few_instructions_by_default() {
    let (Some(default), Some(absent)) = (pair_instructions(&ALL_FACTORS, &[]), pair_instructions(&CACHE_ALONE, &[]))
    else {
        return;
    };
    report("default", default);
    report("the cache alone compiled in", absent);
    assert!(default <= PAIR_INSTRUCTIONS_MAX * PAIRS, "more than {PAIR_INSTRUCTIONS_MAX} per pair");
    assert!(absent <= CACHE_ALONE_INSTRUCTIONS_MAX * PAIRS, "more than {CACHE_ALONE_INSTRUCTIONS_MAX} per pair");
    let Some(unchecked) = pair_instructions(&UNCHECKED, &[]) else { return };
    assert_eq!(unchecked, absent, "no other factor costs an instruction of the pair by default");
}
