//! Children: the test binary again, with one test by its name and an environment of its own.
//!
//! Levels are sealed once a process, so whatever depends on them runs in a child. [`Case::run`] is called in both: the
//! parent starts the child and judges how it ended, the child does the work.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod kernel;
pub(crate) mod object;
pub(crate) mod requests;

use hakmem::factors::FactorId;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
pub(crate) const PAGE: usize = 4096;

/// Tells the child which case of which test it is. No variable of hakmem's.
const MARK: &str = "TESTS_COMMON_CASE";
/// Says on standard output that the child's work was found and done.
const DONE: &str = "the child's work is done";
/// The user id that has no rights.
const UNPRIVILEGED: u32 = 65_534;
/// A child that hangs is ended by SIGALRM.
const CHILD_SECONDS: u32 = 120;

/// One piece of work for a child.
pub(crate) struct Case<'a> {
    test: &'a str,
    label: String,
    variables: Vec<(OsString, OsString)>,
    setuid: bool,
    address_limit: Option<usize>,
}

/// A case of the test function of this name; the label tells the test's cases apart.
pub(crate) fn case<'a>(test: &'a str, label: &str) -> Case<'a> {
    Case { test, label: label.to_owned(), variables: Vec::new(), setuid: false, address_limit: None }
}

impl Case<'_> {
    /// Sets a variable of the child, which has no other `HAKMEM_*`.
    pub(crate) fn var(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Sets several.
    pub(crate) fn vars(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |case, (name, value)| case.var(name, value))
    }

    /// Lets the child run with more rights than its user: a set-user-id copy of the test binary, started by the
    /// user without rights. Only root can arrange that.
    pub(crate) fn setuid(mut self) -> Self {
        self.setuid = true;
        self
    }

    /// Lets the child start under a limit on its addresses, in bytes.
    pub(crate) fn address_limit(mut self, bytes: usize) -> Self {
        self.address_limit = Some(bytes);
        self
    }

    /// Does the work in a child, and expects it to succeed.
    #[track_caller]
    pub(crate) fn succeeds(self, work: impl FnOnce()) {
        let label = self.label.clone();
        if let Some(output) = self.run(work) {
            let (stdout, stderr) = texts(&output);
            assert!(output.status.success(), "{label}: {}\n{stdout}\n{stderr}", output.status);
            assert!(stdout.contains(DONE), "{label}: the child ran no test; is its name right?\n{stdout}");
        }
    }

    /// Does the work in a child, and expects it to die by SIGABRT with nothing but this on standard error.
    #[track_caller]
    pub(crate) fn aborts_with(self, sentence: &str, work: impl FnOnce()) {
        let label = self.label.clone();
        if let Some(output) = self.run(work) {
            let (stdout, stderr) = texts(&output);
            assert_eq!(stderr, sentence, "{label}\n{stdout}");
            assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{label}: {}\n{stdout}", output.status);
        }
    }

    /// In the parent, runs the child and returns what it put out, for the caller to judge; in the child, does the work if it is this case.
    #[must_use = "the child may have failed"]
    pub(crate) fn run(self, work: impl FnOnce()) -> Option<Output> {
        let mark = format!("{}/{}", self.test, self.label);
        if let Some(chosen) = env::var_os(MARK) {
            if chosen == *mark {
                limit();
                kernel::wait_for_harness();
                work();
                println!("{DONE}");
            }
            return None;
        }
        let original = env::current_exe().expect("the test binary has a path");
        // The other user has to reach the copy.
        let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir();
        let folder = folder.expect("a temporary folder");
        let copy = folder.path().join("set-user-id");
        let mut command = if self.setuid {
            std::fs::copy(&original, &copy).expect("the binary can be copied");
            std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o4755)).expect("root may set the bit");
            let mut command = Command::new(&copy);
            command.uid(UNPRIVILEGED).current_dir("/");
            command
        } else {
            Command::new(&original)
        };
        if let Some(bytes) = self.address_limit {
            let limit = libc::rlimit { rlim_cur: bytes as u64, rlim_max: bytes as u64 };
            let set = move || {
                // SAFETY: sets a limit of the child, which has not begun yet.
                match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            };
            // SAFETY: between fork and exec, a system call alone.
            unsafe { command.pre_exec(set) };
        }
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HAKMEM_") {
                command.env_remove(name);
            }
        }
        command.args(["--exact", self.test, "--nocapture", "--test-threads=1"]).env(MARK, mark).envs(self.variables);
        // A child that another test forks at this moment may hold the copy open for writing until its own exec.
        let output = loop {
            match command.output() {
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => break output.expect("the test binary starts"),
            }
        };
        Some(output)
    }
}

fn limit() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls only set limits of this process; a core file of a child that shall die is of no use.
    unsafe {
        libc::alarm(CHILD_SECONDS);
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
    }
}

/// Waits for something that takes about two seconds on an idle machine.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Standard output and standard error.
pub(crate) fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into())
}

/// Whether this process is a child.
pub(crate) fn in_child() -> bool {
    env::var_os(MARK).is_some()
}

/// Whether this build has the factor.
pub(crate) fn present(factor: &str) -> bool {
    hakmem::factors::registry().iter().find(|known| known.name == factor).expect("a registered name").present
}

/// The factor of this name.
fn id(factor: &str) -> FactorId {
    FactorId::from_name(factor).expect("a registered name")
}

/// The factor's sealed level.
pub(crate) fn level(factor: &str) -> &'static str {
    id(factor).level().as_str()
}

/// A factor's counter as it is now.
pub(crate) fn counter(factor: &str, name: &str) -> u64 {
    hakmem::stats().factor(id(factor)).counter(name).expect("a registered counter")
}

/// Whether all counters of the factor are 0.
pub(crate) fn is_idle(factor: &str) -> bool {
    hakmem::stats().factor(id(factor)).counters().all(|(_, value)| value == 0)
}

/// Expects the factor to be off, or not compiled in, and to have done nothing.
#[track_caller]
pub(crate) fn assert_idle(factor: &str) {
    assert_eq!(level(factor), off_or_absent(factor));
    assert!(is_idle(factor));
}

/// A case with these factors on and all others off.
pub(crate) fn only<'a>(test: &'a str, label: &str, kept: &[&str]) -> Case<'a> {
    case(test, label).vars(&all_off_but(kept))
}

/// What the level of a factor is that was switched off, or is not compiled in.
pub(crate) fn off_or_absent(factor: &str) -> &'static str {
    if present(factor) { "off" } else { "absent" }
}

/// The factors that act only where objects have no headers, and are off by default.
const WITHOUT_HEADER: [&str; 5] = ["canary", "guard-pages", "quarantine", "zero-free", "random-slots"];

/// What switches these factors on and all others off; where `header` is among them, not those that it leaves without effect.
pub(crate) fn all_off_but(kept: &[&str]) -> Vec<(&'static str, &'static str)> {
    let is_lost = |name: &str| kept.contains(&"header") && WITHOUT_HEADER.contains(&name);
    let (kept, left_out): (Vec<_>, Vec<_>) =
        hakmem::factors::registry().iter().partition(|factor| kept.contains(&factor.name) && !is_lost(factor.name));
    left_out.into_iter().map(|factor| (factor.toggle, "1")).chain(kept.into_iter().filter_map(switch)).collect()
}

/// What switches every factor on that acts beside headers.
pub(crate) fn all_on() -> Vec<(&'static str, &'static str)> {
    let factors = hakmem::factors::registry().iter().filter(|factor| !WITHOUT_HEADER.contains(&factor.name));
    factors.filter_map(switch).collect()
}

/// The variable and value that bring a factor to its level `on`, if it is not there by default.
pub(crate) fn switch(factor: &hakmem::factors::Factor) -> Option<(&'static str, &'static str)> {
    if factor.default == hakmem::factors::Level::On {
        return None;
    }
    let choice = factor.choice.as_ref().expect("what is off by default can be chosen");
    Some((choice.variable, choice.values[0].0))
}

/// A set of variables for a child.
pub(crate) type Treatment = Vec<(&'static str, &'static str)>;

/// The variables that bring a factor to each of its levels, one at a time.
fn levels_of(factor: &'static hakmem::factors::Factor) -> impl Iterator<Item = (&'static str, &'static str)> {
    let choice = factor.choice.as_ref();
    let can_be_off =
        choice.is_some_and(|choice| choice.values.iter().any(|(_, level)| *level == hakmem::factors::Level::Off));
    let values = choice.into_iter().flat_map(|choice| choice.values.iter().map(|(value, _)| (choice.variable, *value)));
    values.chain((!can_be_off).then_some((factor.toggle, "1")))
}

/// What the contract is held under: each level of each factor alone, over the default and over the older research
/// allocator; all presets; nothing and everything; and levels drawn at random.
pub(crate) fn treatments() -> Vec<Treatment> {
    // What is not compiled in has one level.
    let present = || hakmem::factors::registry().iter().filter(|factor| factor.present);
    let original = ("HAKMEM_MODE", "original");
    let mut treatments: Vec<Treatment> = vec![vec![]];
    treatments.extend(hakmem::Preset::NAMED.iter().map(|(preset, _)| vec![("HAKMEM_MODE", *preset)]));
    treatments.extend([all_off_but(&[]), all_on()]);
    for level in present().flat_map(levels_of) {
        treatments.extend([vec![level], vec![original, level]]);
    }
    treatments.extend((0..RANDOM_TREATMENTS).map(|seed| {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |count: usize| {
            random ^= random >> 12;
            random ^= random << 25;
            random ^= random >> 27;
            (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % count
        };
        present().filter_map(|factor| levels_of(factor).nth(below(levels_of(factor).count() + 1))).collect()
    }));
    treatments
}

/// How many treatments are drawn.
const RANDOM_TREATMENTS: u64 = 24;

/// Does the work in a child at each treatment, two children at a time: most of a child is waiting for its own threads.
pub(crate) fn at_each(test: &str, treatments: &[Treatment], work: impl Fn() + Sync) {
    let run = |treatments: &[Treatment]| {
        for treatment in treatments {
            case(test, &format!("{treatment:?}")).vars(treatment).succeeds(&work);
        }
    };
    if in_child() {
        return run(treatments);
    }
    let (left, right) = treatments.split_at(treatments.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| run(left));
        run(right);
    });
}
