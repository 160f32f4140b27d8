//! Every rule of levels, designs, constraints, claims and programs: one config that is right, and the ways to get it
//! wrong.

use super::tests::{Messages, check_in, parsed, planted};
use super::*;
use ablate_format::HypothesisKind;
use ablate_format::MainResponse;

/// A study of a package with every kind of factor and every table.
const PACKAGE: &str = r#"
study = "demo"
seed = 7
blocks = 3
arms = ["env", "feature"]
design = ["explicit", "factorial", "fractional"]
crossed = ["cache", "mode", "size"]
fraction = 1
layouts = 3
instruments = ["perf", "callgrind"]
reference_peer = "other"
[subject]
package = "subject"
placebo_feature = "dead-code"
[[factor]]
name = "cache"
feature = "cache"
[factor.levels]
on = {}
off = { NO_CACHE = "1" }
[[factor]]
name = "mode"
baseline = "fast"
[factor.levels]
fast = { args = ["--mode", "fast"] }
slow = { args = ["--mode", "slow"] }
[[factor]]
name = "size"
[factor.levels]
on = {}
off = { SIZE = "0" }
large = { SIZE = "9" }
[[factor]]
name = "simd"
[factor.levels]
on = { features = ["simd"] }
portable = {}
[[treatment]]
name = "worst"
levels = { cache = "off", mode = "slow" }
[[constraint]]
when = { simd = "portable" }
needs = { size = ["on", "off"] }
[[workload]]
name = "one"
args = ["1"]
designs = ["explicit", "factorial"]
[[workload]]
name = "two"
args = ["2"]
[[workload]]
name = "three"
args = ["3"]
response = "cpu"
[[workload]]
name = "four"
args = ["4"]
[[workload]]
name = "five"
args = ["5"]
[[curve]]
name = "cold"
workloads = ["two", "four", "five"]
[[peer]]
name = "other"
args = ["--other"]
served_by = "other"
[[peer]]
name = "foreign"
command = ["foreign", "--fast"]
env = { LD_PRELOAD = "libfast.so" }
[[hypothesis]]
name = "h1"
claim = "the cache is most of the gap"
workload = "one"
kind = "share"
of = ["cache", "page-faults"]
low = 0.5
[[hypothesis]]
name = "h2"
claim = "slow is slower"
workload = "one"
kind = "difference"
plus = "mode-slow@args"
minus = "baseline"
low_ns = 0
[[hypothesis]]
name = "h3"
claim = "the peer is ahead"
workload = "two"
kind = "ordering"
cells = ["peer-other", "baseline", "worst@env"]
"#;

/// A study of a program that is there.
const COMMAND: &str = r#"
study = "demo"
seed = 7
blocks = 3
arms = ["args"]
design = ["leave-one-out"]
[subject]
command = ["./tool", "run"]
env = { LD_PRELOAD = "liballoc.so" }
[[factor]]
name = "mmap"
[factor.levels]
on = {}
off = { args = ["--no-mmap"] }
[[workload]]
name = "one"
args = ["file"]
[[workload]]
name = "two"
args = ["file"]
response = "p10"
[[peer]]
name = "other"
env = { LD_PRELOAD = "libother.so" }
"#;

#[track_caller]
fn check(said: &mut Messages, from: &str, to: &str) {
    check_in(said, PACKAGE, from, to);
}

#[test]
fn one_workload_alone_takes_along_what_is_about_it() {
    let mut study = parsed(PACKAGE).expect("the config is good");
    let about_one = study.hypotheses.iter().filter(|h| h.workload == "one").count();
    let gone = study.only(&["one".to_owned()]).expect("it is there");
    assert_eq!(study.workloads.len(), 1);
    assert_eq!(study.designs, [DesignKind::Explicit, DesignKind::Factorial]);
    assert_eq!((study.hypotheses.len(), study.curves.len()), (about_one, 0));
    assert!(gone.contains(&"cold".to_owned()), "{gone:?}");
    let error = study.only(&["oen".to_owned()]).expect_err("no such workload").to_string();
    assert!(error.contains("no workload `oen`") && error.contains("did you mean `one`"), "{error}");
}

#[test]
fn every_key_of_the_language_is_read() {
    let study = parsed(PACKAGE).expect("the config is good");
    assert_eq!((study.crossed.len(), study.fraction, study.layouts), (3, 1, 3));
    assert_eq!(study.instruments, ["perf", "callgrind"]);
    assert_eq!(study.subject.placebo_feature.as_deref(), Some("dead-code"));
    assert_eq!(study.factors[1].baseline, "fast");
    assert_eq!(study.factors[1].levels["slow"].args, ["--mode", "slow"]);
    assert_eq!(study.factors[3].levels["on"].features, ["simd"]);
    assert!(study.factors.iter().all(|factor| factor.proof.is_empty()));
    assert_eq!(study.constraints[0].needs["size"], ["on", "off"]);
    assert_eq!(study.workloads[0].designs, Some(vec![DesignKind::Explicit, DesignKind::Factorial]));
    assert_eq!(study.workloads[2].response, MainResponse::Cpu);
    assert_eq!(study.curves[0].workloads, ["two", "four", "five"]);
    assert_eq!(study.peers[1].command.as_deref(), Some(["foreign".to_owned(), "--fast".to_owned()].as_slice()));
    assert_eq!((study.peers[1].env["LD_PRELOAD"].as_str(), &study.peers[1].served_by), ("libfast.so", &None));
    let HypothesisKind::Share { peer, low, high, .. } = &study.hypotheses[0].kind else { panic!("a share") };
    assert_eq!((peer.as_str(), *low, *high), ("other", 0.5, f64::INFINITY));
}

#[test]
fn a_command_is_judged_by_its_process_unless_it_reports() {
    let study = parsed(COMMAND).expect("the config is good");
    assert_eq!(study.subject.program, Program::Command(vec!["./tool".into(), "run".into()]));
    let responses: Vec<_> = study.workloads.iter().map(|workload| workload.response).collect();
    assert_eq!(responses, [MainResponse::Wall, MainResponse::P10]);
    assert_eq!(study.peers[0].env["LD_PRELOAD"], "libother.so");
}

#[test]
fn a_command_is_no_package() {
    let mut said = Messages::default();
    for (key, value) in [
        ("package", "\"x\""),
        ("binary", "\"x\""),
        ("version", "\"1.0.0\""),
        ("manifest", "\"../Cargo.toml\""),
        ("profile", "\"release\""),
        ("features", "[\"x\"]"),
        ("placebo_feature", "\"x\""),
    ] {
        let to = format!("[subject]\n{key} = {value}");
        check_in(&mut said, COMMAND, "[subject]", &to);
    }
    check_in(&mut said, COMMAND, "arms = [\"args\"]", "arms = [\"args\", \"feature\"]");
    check_in(&mut said, COMMAND, "name = \"mmap\"", "name = \"mmap\"\nfeature = \"mmap\"");
    check_in(&mut said, COMMAND, "{ args = [\"--no-mmap\"] }", "{ features = [\"x\"] }");
    check_in(&mut said, COMMAND, "seed = 7", "seed = 7\nlayouts = 2");
    check_in(&mut said, COMMAND, "[\"./tool\", \"run\"]", "[]");
    check_in(&mut said, COMMAND, "[\"./tool\", \"run\"]", "[\"\"]");
    check_in(&mut said, COMMAND, "command = [\"./tool\", \"run\"]\n", "");
    insta::assert_snapshot!(said);
}

#[test]
fn a_peer_takes_the_library_of_a_command_away() {
    let without = COMMAND.replace("\"libother.so\"", "\"\"");
    assert_eq!(parsed(&without).expect("good").peers[0].env["LD_PRELOAD"], "");
    let optional = without.replace("LD_PRELOAD = \"\" }", "LD_PRELOAD = \"\" }\noptional = true");
    assert!(parsed(&optional).expect_err("nothing to miss").to_string().contains("so it cannot be missing"));
}

#[test]
fn only_commands_and_peers_take_a_preloaded_library() {
    let mut said = Messages::default();
    check(&mut said, "NO_CACHE = \"1\"", "LD_PRELOAD = \"x\"");
    let preloaded = PACKAGE.replace("args = [\"--other\"]", "env = { LD_PRELOAD = \"x\" }");
    assert_eq!(parsed(&preloaded).expect("a peer may").peers[0].env["LD_PRELOAD"], "x");
    check_in(&mut said, COMMAND, "env = { LD_PRELOAD", "allow_env = [\"LD_PRELOAD\"]\nenv = { X");
    check_in(&mut said, COMMAND, "LD_PRELOAD = \"liballoc.so\"", "LD_AUDIT = \"x\"");
    check_in(&mut said, COMMAND, "LD_PRELOAD = \"liballoc.so\"", "GLIBC_TUNABLES = \"x\"");
    insta::assert_snapshot!(said);
}

#[test]
fn packages_of_the_registry_have_one_whole_version() {
    let mut said = Messages::default();
    let registry = PACKAGE.replace("package = \"subject\"", "package = \"subject\"\nversion = \"1.4.0\"");
    let study = parsed(&registry).expect("a package of the registry");
    let Program::Cargo(program) = &study.subject.program else { panic!("a package") };
    assert_eq!((&program.origin, program.binary.as_str()), (&Origin::Registry("1.4.0".into()), "subject"));
    for bad in ["1", "1.4", "^1.4.0", "1.4.x", "*"] {
        check_in(&mut said, &registry, "1.4.0", bad);
    }
    check_in(&mut said, &registry, "version =", "manifest = \"Cargo.toml\"\nversion =");
    insta::assert_snapshot!(said);
}

#[test]
fn the_baseline_names_a_level() {
    let mut said = Messages::default();
    check(&mut said, "baseline = \"fast\"", "baseline = \"fats\"");
    check(&mut said, "baseline = \"fast\"", "baseline = \"absent\"");
    check(&mut said, "baseline = \"fast\"\n", "");
    check(&mut said, "slow = { args = [\"--mode\", \"slow\"] }", "");
    check(&mut said, "\"slow\"] }", "\"fast\"] }");
    insta::assert_snapshot!(said);
}

#[test]
fn levels_are_what_the_arms_can_bring_about() {
    let mut said = Messages::default();
    let cross = "crossed = [\"cache\", \"mode\", \"size\"]";
    check(&mut said, "\"env\", \"feature\"]", "\"env\"]");
    // Only the arm `feature` is left, and `mode` has no feature.
    let only = PACKAGE.replace("\"env\", \"feature\"]", "\"feature\"]").replace("\"factorial\", \"fractional\"", "");
    let only = only.replace(cross, "").replace("fraction = 1", "").replace("[\"explicit\", ]", "[\"explicit\"]");
    check_in(&mut said, &only, "seed = 7", "seed = 8");
    // In the arm `args` no level sets a variable.
    check(&mut said, "[\"env\", \"feature\"]", "[\"args\", \"feature\"]");
    let absent_only = "[factor.levels]\non = {}\n[[factor]]\nname = \"mode\"";
    let without_off = PACKAGE.replace("off = { NO_CACHE = \"1\" }\n", "");
    assert!(without_off.contains(absent_only));
    parsed(&without_off).expect("the factorial takes the cache away by its build");
    let env_only = COMMAND
        .replace("arms = [\"args\"]", "arms = [\"env\"]")
        .replace("command = [\"./tool\", \"run\"]\nenv = { LD_PRELOAD = \"liballoc.so\" }", "package = \"subject\"");
    let env_only = env_only.split("[[peer]]").next().expect("has a head").to_owned();
    parsed(&env_only).expect("a package with arguments");
    let absent = env_only.replace("name = \"mmap\"", "name = \"mmap\"\nfeature = \"mmap\"");
    check_in(&mut said, &absent, "off = { args = [\"--no-mmap\"] }", "");
    insta::assert_snapshot!(said);
}

#[test]
fn features_belong_to_one_factor() {
    let mut said = Messages::default();
    check(&mut said, "features = [\"simd\"]", "features = [\"cache\"]");
    check(&mut said, "features = [\"simd\"]", "features = [\"dead-code\"]");
    check(&mut said, "on = { features = [\"simd\"] }", "on = { features = \"simd\" }");
    check(&mut said, "features = [\"simd\"]", "features = [7]");
    check(&mut said, "on = {}\noff = { NO_CACHE", "on = { features = [\"cache\"] }\noff = { NO_CACHE");
    check(&mut said, "{ NO_CACHE = \"1\" }", "{ features = [\"x\"] }");
    check(&mut said, "placebo_feature", "features = [\"dead-code\"]\nplacebo_feature");
    insta::assert_snapshot!(said);
}

#[test]
fn crossed_factors_have_two_levels() {
    let mut said = Messages::default();
    check(&mut said, "\"cache\", \"mode\", \"size\"]", "\"cache\", \"mod\", \"size\"]");
    check(&mut said, "\"cache\", \"mode\", \"size\"]", "\"cache\", \"cache\"]");
    check(&mut said, "\"cache\", \"mode\", \"size\"]", "]");
    check(&mut said, "off = { SIZE = \"0\" }", "small = { SIZE = \"0\" }");
    check(&mut said, "\"factorial\", \"fractional\"]", "\"leave-one-out\"]");
    insta::assert_snapshot!(said);
}

#[test]
fn fractions_and_factorials_have_limits() {
    let mut said = Messages::default();
    check(&mut said, "fraction = 1", "fraction = 2");
    check(&mut said, "fraction = 1", "fraction = 0");
    check(&mut said, "\"factorial\", \"fractional\"]", "\"factorial\"]");
    check(&mut said, "\"cache\", \"mode\", \"size\"]", "\"cache\", \"mode\"]");
    let many = |n: usize, design: &str| {
        let factor = |i| format!("[[factor]]\nname = \"f{i}\"\n[factor.levels]\non = {{}}\noff = {{ F{i} = \"1\" }}\n");
        let head = format!("study = \"demo\"\nseed = 7\nblocks = 3\narms = [\"env\"]\ndesign = [\"{design}\"]\n");
        let tail = "[[workload]]\nname = \"one\"\nargs = []\n";
        let factors: String = (0..n).map(factor).collect();
        format!("{head}[subject]\npackage = \"subject\"\n{factors}{tail}")
    };
    for (n, design) in [
        (15, "factorial"),
        (13, "fractional"),
        (12, "fractional"),
        (201, "plackett-burman"),
        (201, "foldover"),
        (1, "plackett-burman"),
        (181, "pairs"),
        (1, "pairs"),
        (0, "factorial"),
    ] {
        check_in(&mut said, &many(n, design), "seed = 7", "seed = 8");
    }
    for (n, design) in [
        (14, "factorial"),
        (3, "fractional"),
        (200, "plackett-burman"),
        (200, "foldover"),
        (180, "pairs"),
        (1, "factorial"),
    ] {
        parsed(&many(n, design)).unwrap_or_else(|error| panic!("{n} {design}: {error}"));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn constraints_name_factors_and_levels() {
    let mut said = Messages::default();
    check(&mut said, "when = { simd", "when = { smd");
    check(&mut said, "\"portable\" }\nneeds", "\"portble\" }\nneeds");
    check(&mut said, "needs = { size = [\"on\", \"off\"] }", "needs = { size = [\"onn\"] }");
    check(&mut said, "needs = { size = [\"on\", \"off\"] }", "needs = { size = [] }");
    check(&mut said, "needs = { size = [\"on\", \"off\"] }", "needs = {}");
    check(&mut said, "when = { simd = \"portable\" }", "when = {}");
    check(&mut said, "needs = { size =", "needs = { simd =");
    check(&mut said, "needs = { size = [\"on\", \"off\"] }", "needs = { size = [\"absent\"] }");
    parsed(&PACKAGE.replace("needs = { size = [\"on\", \"off\"] }", "needs = { cache = [\"on\", \"absent\"] }"))
        .expect("what has a feature can be absent");
    insta::assert_snapshot!(said);
}

#[test]
fn workloads_curves_and_instruments_are_known() {
    let mut said = Messages::default();
    check(&mut said, "designs = [\"explicit\", \"factorial\"]", "designs = []");
    check(&mut said, "designs = [\"explicit\", ", "designs = [\"explict\", ");
    check(&mut said, "designs = [\"explicit\", ", "designs = [\"pairs\", ");
    check(&mut said, "response = \"cpu\"", "response = \"cpus\"");
    check(&mut said, "[\"two\", \"four\", \"five\"]", "[\"two\", \"four\"]");
    check(&mut said, "[\"two\", \"four\", \"five\"]", "[\"two\", \"fuor\", \"five\"]");
    check(&mut said, "[\"two\", \"four\", \"five\"]", "[\"two\", \"three\", \"five\"]");
    check(&mut said, "\"callgrind\"]", "\"calgrind\"]");
    check(&mut said, "[\"perf\", \"callgrind\"]", "[]");
    check(&mut said, "layouts = 3", "layouts = 65");
    check(&mut said, "reference_peer = \"other\"", "reference_peer = \"othr\"");
    check(&mut said, "command = [\"foreign\", \"--fast\"]", "command = []");
    insta::assert_snapshot!(said);
}

#[test]
fn hypotheses_have_the_keys_of_their_kind() {
    let mut said = Messages::default();
    check(&mut said, "kind = \"share\"", "kind = \"shore\"");
    check(&mut said, "claim = \"slow is slower\"", "claim = \" \"");
    check(&mut said, "name = \"h2\"", "name = \"h1\"");
    check(&mut said, "workload = \"one\"\nkind", "workload = \"oen\"\nkind");
    check(&mut said, "low = 0.5", "low_ns = 0.5");
    check(&mut said, "low = 0.5", "low = 0.5\ncells = [\"a\"]");
    check(&mut said, "low = 0.5", "");
    check(&mut said, "low = 0.5", "low = inf");
    check(&mut said, "low = 0.5", "low = 0.5\nhigh = 0.5");
    check(&mut said, "of = [\"cache\", \"page-faults\"]\n", "");
    check(&mut said, "\"page-faults\"]", "\"page-fault\"]");
    check(&mut said, "\"page-faults\"]", "\"cache\"]");
    check(&mut said, "kind = \"share\"", "kind = \"share\"\npeer = \"othr\"");
    check(&mut said, "reference_peer = \"other\"\n", "");
    check(&mut said, "plus = \"mode-slow@args\"\n", "");
    check(&mut said, "minus = \"baseline\"\n", "");
    check(&mut said, "minus = \"baseline\"", "minus = \"mode-slow@args\"");
    check(&mut said, "low_ns = 0\n", "");
    check(&mut said, "low_ns = 0\n", "low_ns = 0\nhigh_percent = 5\n");
    check(&mut said, "low_ns = 0\n", "low_percent = 5\nhigh_percent = 5\n");
    check(&mut said, "low_ns = 0\n", "high_percent = -100\n");
    check(&mut said, "low_ns = 0\n", "high_percent = inf\n");
    check(&mut said, "low_ns = 0\n", "low_percent = -100\nhigh_percent = 5\n");
    check(&mut said, "claim = \"slow is slower\"", "claim = \"a\\nb\"");
    check(&mut said, "low = 0.5", "low_percent = 0.5");
    let text = PACKAGE.replace("low_ns = 0\n", "low_percent = -7.5\nhigh_percent = -2.5\n");
    let kind = parsed(&text).expect("good").hypotheses[1].kind.clone();
    let HypothesisKind::Relative { low_percent, high_percent, .. } = kind else { panic!("in percent: {kind:?}") };
    assert_eq!((low_percent, high_percent), (-7.5, -2.5));
    check(&mut said, "[\"peer-other\", \"baseline\", \"worst@env\"]", "[\"baseline\"]");
    check(&mut said, "\"baseline\", \"worst@env\"]", "\"baseline\", \"baseline\"]");
    insta::assert_snapshot!(said);
}

#[test]
fn hypotheses_are_about_what_their_workload_is_judged_by() {
    let judged = |name: &str, response: &str| {
        let from = format!("name = \"{name}\"\nargs = ");
        assert!(PACKAGE.contains(&from), "the planted text is gone: {from}");
        PACKAGE.replacen(&from, &format!("name = \"{name}\"\nresponse = \"{response}\"\nargs = "), 1)
    };
    let mut said = Messages::default();
    let mut check = |text: &str| said.add(&parsed(text).expect_err("is wrong"));
    let curves = |text: String| {
        let at = text.find("[[curve]]").expect("has one");
        let end = at + text[at + 1..].find("\n[[").expect("more follows") + 1;
        format!("{}{}", &text[..at], &text[end..])
    };
    let memory = curves(judged("one", "rss-peak"));
    check(&memory);
    let difference =
        memory.replace("of = [\"cache\", \"page-faults\"]\nlow = 0.5\n", "cells = [\"baseline\", \"x\"]\n");
    let difference = difference.replace("kind = \"share\"", "kind = \"ordering\"");
    check(&difference);
    check(&curves(judged("two", "value:done_per_s")));
    let elsewhere = PACKAGE.replacen("served_by = \"other\"", "served_by = \"other\"\nworkloads = [\"two\"]", 1);
    check(&elsewhere);
    check(&planted(PACKAGE, "blocks =", "counting_repeats = 0\nblocks ="));
    insta::assert_snapshot!(said);
}
