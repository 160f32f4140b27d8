//! What the allocator makes of its environment: one line for each thing it does not understand, and no harm.

mod common;

use common::{Case, case, level, present, texts};
use hakmem::Hakmem;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

/// The child goes on, ends well, and has said exactly this on standard error.
#[track_caller]
fn check(case: Case<'_>, expected_stderr: &str) {
    let work = || {
        let words: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(words.concat().len(), 2890);
        for factor in hakmem::stats().factors() {
            println!("level of {}: {}", factor.name(), factor.level.as_str());
        }
    };
    if let Some(output) = case.run(work) {
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
        assert!(stdout.contains("level of tick"), "{stdout}");
        assert_eq!(stderr, expected_stderr);
    }
}

#[test]
fn a_silent_environment_is_silent() {
    check(case("a_silent_environment_is_silent", "none"), "");
    check(
        case("a_silent_environment_is_silent", "others").vars(&[
            ("HAKME", "1"),
            ("hakmem_mode", "x"),
            ("XHAKMEM_", "y"),
        ]),
        "",
    );
}

#[test]
fn unknown_names_are_told_once_with_the_nearest() {
    for (name, nearest) in [
        ("HAKMEM_DISABLE_BIGCASH", "HAKMEM_DISABLE_BIGCACHE"),
        ("HAKMEM_DISABLE_MADVISE-BATCH", "HAKMEM_DISABLE_MADVISE_BATCH"),
        ("HAKMEM_EVO_FREEZE_SECS", "HAKMEM_EVO_FREEZE_SECONDS"),
        ("HAKMEM_MODES", "HAKMEM_MODE"),
        ("HAKMEM_mode", "HAKMEM_MODE"),
        ("HAKMEM_HAKMEM_MODE", "HAKMEM_MODE"),
    ] {
        let case = case("unknown_names_are_told_once_with_the_nearest", name).var(name, "1");
        let line = format!("hakmem: unknown variable {name} ignored; the nearest known one is {nearest}\n");
        check(case, &line);
    }
    let name = "unknown_names_are_told_once_with_the_nearest";
    for (variable, told) in [
        ("HAKMEM_FREE_CHECK", "; HAKMEM_DISABLE_FREE_CHECK=1 switches free-check off"),
        ("HAKMEM_ARENA", "; HAKMEM_DISABLE_ARENA=1 switches arena off"),
        ("HAKMEM_DIRTY_DECAY_MS", ""),
    ] {
        let line = format!("hakmem: unknown variable {variable} ignored{told}\n");
        check(case(name, variable).var(variable, "off"), &line);
    }
}

#[test]
fn what_headers_leave_without_effect_is_off_and_told_once() {
    let name = "what_headers_leave_without_effect_is_off_and_told_once";
    let factors = ["canary", "guard-pages", "quarantine", "zero-free", "random-slots"];
    let is_lost = present("header") && factors.into_iter().all(present);
    let lost = |label: &str, variables: &[(&'static str, &'static str)], line: &str| {
        let Some(output) = case(name, label).vars(variables).run(|| {
            for factor in factors.into_iter().chain(["free-check"]).filter(|factor| present(factor)) {
                assert_eq!(level(factor), if present("header") { "off" } else { "on" }, "{factor}");
            }
        }) else {
            return;
        };
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
        assert_eq!(stderr, if is_lost { line } else { &stderr });
    };
    let all = factors.join(", ");
    lost(
        "headers of a variable",
        &[("HAKMEM_HEADER", "32"), ("HAKMEM_MODE", "hardened")],
        &format!("hakmem: {all} have no effect where objects have headers; unset HAKMEM_HEADER (32)\n"),
    );
    check(case(name, "a preset's own conflict").var("HAKMEM_MODE", "original"), "");
    check(case(name, "the free check, which is on by default").var("HAKMEM_HEADER", "16"), "");
}

/// As [`check`], for one line of which only the beginning is fixed.
#[track_caller]
fn check_prefix(case: Case<'_>, expected: &str) {
    if let Some(output) = case.run(|| drop(vec![0_u8; 100])) {
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
        assert!(stderr.starts_with(expected) && stderr.ends_with('\n'), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn bad_values_are_told_with_what_is_taken() {
    let name = "bad_values_are_told_with_what_is_taken";
    for (variable, value, takes) in [
        ("HAKMEM_DISABLE_TICK", "yes", "1, 0, true, false, on, off"),
        ("HAKMEM_DISABLE_TICK", "", "1, 0, true, false, on, off"),
        ("HAKMEM_MODE", "evolving", "hardened, minimal, fast, balanced, learning, research, original"),
        ("HAKMEM_ELO", "ucb1", "softmax, epsilon-greedy, slow-path, off"),
        ("HAKMEM_BIGCACHE", "on", "ring, direct, off"),
        ("HAKMEM_HEADER", "64", "32, 16, off"),
        ("HAKMEM_TICK", "Shared", "shared, batched, off"),
        ("HAKMEM_PURGE", "later", "batched, immediate, never, on, off"),
        ("HAKMEM_ALIGN", "yes", "on, user, off"),
        ("HAKMEM_THP", "always", "on, dense, never, off"),
        ("HAKMEM_EVO_POLICY", "Auto", "auto, learn, frozen, slow-path, off"),
        ("HAKMEM_EVO_WINDOW_OPS", "-1", "a whole number from 1 to 1e9"),
        ("HAKMEM_EVO_FREEZE_SECONDS", "inf", "a number from 0.0 to 1e9"),
    ] {
        let line = format!("hakmem: {variable}={value} ignored; it takes {takes}\n");
        check(case(name, &format!("{variable}={value}")).var(variable, value), &line);
    }
    let line = "hakmem: HAKMEM_MODE=fast??[31m ignored; it takes hardened, minimal, fast, balanced, learning, research, original\n";
    check(case(name, "control characters").var("HAKMEM_MODE", "fast\n\u{1b}[31m"), line);
    check_prefix(case(name, "too long").var("HAKMEM_MODE", "x".repeat(5_000)), "hakmem: HAKMEM_MODE=xxx");
    check_prefix(
        case(name, "a long name").var(format!("HAKMEM_{}", "Y".repeat(2_000)), ""),
        "hakmem: unknown variable",
    );
}

#[test]
fn values_that_are_no_text_do_no_harm() {
    let name = "values_that_are_no_text_do_no_harm";
    let line = "hakmem: HAKMEM_MODE=\u{fffd} ignored; it takes hardened, minimal, fast, balanced, learning, research, original\n";
    check(case(name, "value").var("HAKMEM_MODE", OsStr::from_bytes(b"mini\xffmal")), line);
    check(case(name, "name").var(OsStr::from_bytes(b"HAKMEM_\xc3\x28"), "1"), "");
}

#[test]
fn a_program_with_more_rights_than_its_user_reads_nothing() {
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 && !common::in_child() {
        println!("only root can arrange this");
        return;
    }
    let name = "a_program_with_more_rights_than_its_user_reads_nothing";
    case(name, "setuid").var("HAKMEM_DISABLE_TICK", "1").var("HAKMEM_UNKNOWN", "1").setuid().succeeds(|| {
        // SAFETY: reads a word of the auxiliary vector.
        if unsafe { libc::getauxval(libc::AT_SECURE) } == 0 {
            println!("the folder for temporary files ignores the set-user-id bit");
        } else if present("tick") {
            assert_eq!(level("tick"), "batched");
        }
    });
}

#[test]
fn toggles_are_read_by_value() {
    for factor in hakmem::factors::registry() {
        for (value, disables) in
            [("0", false), ("false", false), ("off", false), ("1", true), ("true", true), ("ON", true)]
        {
            let label = format!("{}={value}", factor.toggle);
            let case = case("toggles_are_read_by_value", &label).vars(&Vec::from_iter(common::switch(factor)));
            case.var(factor.toggle, value).succeeds(|| {
                let on = if disables { "off" } else { "on" };
                assert_eq!(level(factor.name), if present(factor.name) { on } else { "absent" });
            });
        }
    }
}

#[cfg(feature = "settings")]
#[test]
fn programs_read_what_the_allocator_reads() {
    let mut environments: Vec<Vec<(&str, &str)>> = vec![vec![], common::all_off_but(&[]), common::all_on()];
    for factor in hakmem::factors::registry() {
        environments.extend(["1", "0", "true", "On", "perhaps"].map(|value| vec![(factor.toggle, value)]));
        if let Some(choice) = &factor.choice {
            environments.extend(choice.values.iter().map(|(value, _)| vec![(choice.variable, *value)]));
            environments
                .extend(choice.values.iter().map(|(value, _)| vec![(choice.variable, *value), (factor.toggle, "1")]));
            environments.push(vec![(choice.variable, "other")]);
        }
    }
    for (preset, _) in hakmem::Preset::NAMED {
        environments.push(vec![("HAKMEM_MODE", *preset)]);
        environments.push(vec![("HAKMEM_EVO_POLICY", "learn"), ("HAKMEM_MODE", *preset), ("HAKMEM_DISABLE_TICK", "1")]);
    }
    for name in ["HAKMEM_mode", "HAKMEM_HAKMEM_MODE", "HAKMEM_Disable_Tick", "hakmem_mode", "HAKMEM_", "HAKMEM_MODE_"] {
        environments.push(vec![(name, "minimal")]);
    }
    environments.push(vec![("HAKMEM_DISABLE_TICK", "1"), ("HAKMEM_disable_tick", "0")]);
    for environment in environments {
        let case = case("programs_read_what_the_allocator_reads", &format!("{environment:?}")).vars(&environment);
        let output = case.run(|| {
            let (levels, rejected) = hakmem::settings::read(hakmem::Preset::Default);
            for factor in hakmem::stats().factors() {
                assert_eq!(levels[&factor.id], factor.level, "{}", factor.name());
            }
            assert_eq!(levels.len(), hakmem::factors::registry().len());
            println!("rejected: {}", rejected.len());
        });
        if let Some(output) = output {
            let (stdout, stderr) = texts(&output);
            assert!(output.status.success(), "{environment:?}\n{stdout}\n{stderr}");
            let warned = stderr.lines().count();
            assert!(stdout.contains(&format!("rejected: {warned}\n")), "{environment:?}\n{stdout}\n{stderr}");
        }
    }
}
