//! Every rule of levels, designs, constraints, claims and programs: one config that is right, and the ways to get it
//! wrong.

use super::tests::{check_in, parsed};
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
fn check(from: &str, to: &str, parts: &[&str]) {
    check_in(PACKAGE, from, to, parts);
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
        check_in(COMMAND, "[subject]", &to, &[&format!("`{key}` is for a package"), "remove one"]);
    }
    check_in(COMMAND, "arms = [\"args\"]", "arms = [\"args\", \"feature\"]", &["no arm `feature`", "5 | arms"]);
    check_in(COMMAND, "name = \"mmap\"", "name = \"mmap\"\nfeature = \"mmap\"", &["no features", "12 | feature"]);
    check_in(COMMAND, "{ args = [\"--no-mmap\"] }", "{ features = [\"x\"] }", &["no features"]);
    check_in(COMMAND, "seed = 7", "seed = 7\nlayouts = 2", &["one layout", "4 | layouts"]);
    check_in(COMMAND, "[\"./tool\", \"run\"]", "[]", &["names no program"]);
    check_in(COMMAND, "[\"./tool\", \"run\"]", "[\"\"]", &["names no program"]);
    check_in(COMMAND, "command = [\"./tool\", \"run\"]\n", "", &["neither `package` nor `command`"]);
}

#[test]
fn a_peer_takes_the_library_of_a_command_away() {
    let without = COMMAND.replace("\"libother.so\"", "\"\"");
    assert_eq!(parsed(&without).expect("good").peers[0].env["LD_PRELOAD"], "");
    let optional = without.replace("LD_PRELOAD = \"\" }", "LD_PRELOAD = \"\" }\noptional = true");
    assert!(parsed(&optional).expect_err("nothing to miss").to_string().contains("can be missing"));
}

#[test]
fn only_commands_and_peers_take_a_preloaded_library() {
    check("NO_CACHE = \"1\"", "LD_PRELOAD = \"x\"", &["LD_PRELOAD", "loader", "`command`"]);
    let preloaded = PACKAGE.replace("args = [\"--other\"]", "env = { LD_PRELOAD = \"x\" }");
    assert_eq!(parsed(&preloaded).expect("a peer may").peers[0].env["LD_PRELOAD"], "x");
    check_in(COMMAND, "env = { LD_PRELOAD", "allow_env = [\"LD_PRELOAD\"]\nenv = { X", &["LD_PRELOAD", "loader"]);
    check_in(COMMAND, "LD_PRELOAD = \"liballoc.so\"", "LD_AUDIT = \"x\"", &["LD_AUDIT", "loader"]);
    check_in(COMMAND, "LD_PRELOAD = \"liballoc.so\"", "GLIBC_TUNABLES = \"x\"", &["GLIBC_TUNABLES"]);
}

#[test]
fn packages_of_the_registry_have_one_whole_version() {
    let registry = PACKAGE.replace("package = \"subject\"", "package = \"subject\"\nversion = \"1.4.0\"");
    let study = parsed(&registry).expect("a package of the registry");
    let Program::Cargo(program) = &study.subject.program else { panic!("a package") };
    assert_eq!((&program.origin, program.binary.as_str()), (&Origin::Registry("1.4.0".into()), "subject"));
    for bad in ["1", "1.4", "^1.4.0", "1.4.x", "*"] {
        check_in(&registry, "1.4.0", bad, &[bad, "14 | version"]);
    }
    check_in(&registry, "version =", "manifest = \"Cargo.toml\"\nversion =", &["`manifest`", "remove one"]);
}

#[test]
fn the_baseline_names_a_level() {
    check("baseline = \"fast\"", "baseline = \"fats\"", &["unknown level of factor `mode`, `fats`", "`fast`"]);
    check("baseline = \"fast\"", "baseline = \"absent\"", &["built in"]);
    check("baseline = \"fast\"\n", "", &["no level `on`", "`fast`, `slow`", "`baseline`"]);
    check("slow = { args = [\"--mode\", \"slow\"] }", "", &["no level beside `fast`", "off ="]);
    check("\"slow\"] }", "\"fast\"] }", &["level `slow` sets the same as `fast`"]);
}

#[test]
fn levels_are_what_the_arms_can_bring_about() {
    let cross = "crossed = [\"cache\", \"mode\", \"size\"]";
    check("\"env\", \"feature\"]", "\"env\"]", &["`portable`", "other `features`", "arm `feature`"]);
    // Only the arm `feature` is left, and `mode` has no feature.
    let only = PACKAGE.replace("\"env\", \"feature\"]", "\"feature\"]").replace("\"factorial\", \"fractional\"", "");
    let only = only.replace(cross, "").replace("fraction = 1", "").replace("[\"explicit\", ]", "[\"explicit\"]");
    check_in(&only, "seed = 7", "seed = 8", &["`mode` has no `feature`", "\"env\""]);
    // In the arm `args` no level sets a variable.
    check("[\"env\", \"feature\"]", "[\"args\", \"feature\"]", &["NO_CACHE is a variable", "write \"env\""]);
    let absent_only = "[factor.levels]\non = {}\n[[factor]]\nname = \"mode\"";
    let without_off = PACKAGE.replace("off = { NO_CACHE = \"1\" }\n", "");
    assert!(without_off.contains(absent_only));
    check_in(&without_off, "seed = 7", "seed = 8", &["`cache` has one level in one binary", "`off`"]);
    let env_only = COMMAND
        .replace("arms = [\"args\"]", "arms = [\"env\"]")
        .replace("command = [\"./tool\", \"run\"]\nenv = { LD_PRELOAD = \"liballoc.so\" }", "package = \"subject\"");
    let env_only = env_only.split("[[peer]]").next().expect("has a head").to_owned();
    parsed(&env_only).expect("a package with arguments");
    let absent = env_only.replace("name = \"mmap\"", "name = \"mmap\"\nfeature = \"mmap\"");
    check_in(&absent, "off = { args = [\"--no-mmap\"] }", "", &["`absent` only", "\"feature\" to `arms`"]);
}

#[test]
fn features_belong_to_one_factor() {
    check("features = [\"simd\"]", "features = [\"cache\"]", &["`cache` belongs to two factors"]);
    check("features = [\"simd\"]", "features = [\"dead-code\"]", &["`dead-code`", "placebo_feature"]);
    check("on = { features = [\"simd\"] }", "on = { features = \"simd\" }", &["`features` is a list", "[\"…\"]"]);
    check("features = [\"simd\"]", "features = [7]", &["list of texts"]);
    check(
        "on = {}\noff = { NO_CACHE",
        "on = { features = [\"cache\"] }\noff = { NO_CACHE",
        &["every level but `absent`"],
    );
    check("{ NO_CACHE = \"1\" }", "{ features = [\"x\"] }", &["`cache` is absent", "another name"]);
    check("placebo_feature", "features = [\"dead-code\"]\nplacebo_feature", &["change nothing"]);
}

#[test]
fn crossed_factors_have_two_levels_in_one_binary() {
    check("\"cache\", \"mode\", \"size\"]", "\"cache\", \"mod\", \"size\"]", &["unknown factor `mod`", "`mode`"]);
    check("\"cache\", \"mode\", \"size\"]", "\"cache\", \"cache\"]", &["`cache` is there twice"]);
    check("\"cache\", \"mode\", \"size\"]", "]", &["list is empty", "cache, mode, size, simd"]);
    check("\"mode\", \"size\"]", "\"mode\", \"simd\"]", &["`simd` has one level in one binary", "7 | crossed"]);
    check(
        "off = { SIZE = \"0\" }",
        "small = { SIZE = \"0\" }",
        &["`fractional`", "`size` has no `off` but large, small"],
    );
    check("\"factorial\", \"fractional\"]", "\"leave-one-out\"]", &["no design combines", "remove `crossed`"]);
    let feature = PACKAGE.replace("arms = [\"env\", \"feature\"]", "arms = [\"feature\"]");
    let feature = feature.replace("fast = { args = [\"--mode\", \"fast\"] }", "fast = { features = [\"f\"] }");
    let feature = feature.replace("name = \"size\"", "name = \"size\"\nfeature = \"size\"");
    check_in(&feature, "seed = 7", "seed = 8", &["`factorial`", "needs the arm `env`"]);
}

#[test]
fn fractions_and_factorials_have_limits() {
    check("fraction = 1", "fraction = 2", &["fraction is 2", "from 1 (2^2 cells) to 1 (2^2 cells)"]);
    check("fraction = 1", "fraction = 0", &["fraction is 0"]);
    check("\"factorial\", \"fractional\"]", "\"factorial\"]", &["`fraction` is of the design `fractional`"]);
    check("\"cache\", \"mode\", \"size\"]", "\"cache\", \"mode\"]", &["3 to 12 factors, not 2"]);
    let many = |n: usize, design: &str| {
        let factor = |i| format!("[[factor]]\nname = \"f{i}\"\n[factor.levels]\non = {{}}\noff = {{ F{i} = \"1\" }}\n");
        let head = format!("study = \"demo\"\nseed = 7\nblocks = 3\narms = [\"env\"]\ndesign = [\"{design}\"]\n");
        let tail = "[[workload]]\nname = \"one\"\nargs = []\n";
        let factors: String = (0..n).map(factor).collect();
        format!("{head}[subject]\npackage = \"subject\"\n{factors}{tail}")
    };
    for (n, design, part) in [
        (11, "factorial", "2048 cells"),
        (13, "fractional", "3 to 12 factors, not 13"),
        (12, "fractional", "from 2 (2^10 cells) to 8 (2^4 cells)"),
        (48, "plackett-burman", "2 to 47 factors, not 48"),
        (1, "plackett-burman", "2 to 47 factors, not 1"),
        (45, "pairs", "more than 1024 cells"),
        (1, "pairs", "two factors or more, not 1"),
        (0, "factorial", "no factor with two levels"),
    ] {
        check_in(
            &many(n, design),
            "seed = 7",
            "seed = 8",
            &[&format!("design `{design}`").replace("design `fractional`", "fract"), part],
        );
    }
    for (n, design) in [(10, "factorial"), (3, "fractional"), (47, "plackett-burman"), (44, "pairs"), (1, "factorial")]
    {
        parsed(&many(n, design)).unwrap_or_else(|error| panic!("{n} {design}: {error}"));
    }
}

#[test]
fn constraints_name_factors_and_levels() {
    check("when = { simd", "when = { smd", &["unknown factor `smd`", "`simd`"]);
    check("\"portable\" }\nneeds", "\"portble\" }\nneeds", &["unknown level `portble` of factor `simd`", "`portable`"]);
    check("needs = { size = [\"on\", \"off\"] }", "needs = { size = [\"onn\"] }", &["unknown level `onn`", "`on`"]);
    check("needs = { size = [\"on\", \"off\"] }", "needs = { size = [] }", &["no level of `size`"]);
    check("needs = { size = [\"on\", \"off\"] }", "needs = {}", &["`needs` is empty"]);
    check("when = { simd = \"portable\" }", "when = {}", &["`when` is empty"]);
    check("needs = { size =", "needs = { simd =", &["`simd` is in `when` too"]);
    check("needs = { size = [\"on\", \"off\"] }", "needs = { size = [\"absent\"] }", &["unknown level `absent`"]);
    parsed(&PACKAGE.replace("needs = { size = [\"on\", \"off\"] }", "needs = { cache = [\"on\", \"absent\"] }"))
        .expect("what has a feature can be absent");
}

#[test]
fn workloads_curves_and_instruments_are_known() {
    check("designs = [\"explicit\", \"factorial\"]", "designs = []", &["list is empty"]);
    check("designs = [\"explicit\", ", "designs = [\"explict\", ", &["unknown design `explict`", "`explicit`"]);
    check("designs = [\"explicit\", ", "designs = [\"pairs\", ", &["`pairs` is not in the study's `design`"]);
    check("response = \"cpu\"", "response = \"cpus\"", &["unknown response `cpus`", "`cpu`", "`wall`"]);
    check("[\"two\", \"four\", \"five\"]", "[\"two\", \"four\"]", &["at least 3 workloads"]);
    check("[\"two\", \"four\", \"five\"]", "[\"two\", \"fuor\", \"five\"]", &["unknown workload `fuor`", "`four`"]);
    check("[\"two\", \"four\", \"five\"]", "[\"two\", \"three\", \"five\"]", &["`three` is cpu", "`two` is p10"]);
    check("\"callgrind\"]", "\"calgrind\"]", &["unknown instrument `calgrind`", "`callgrind`"]);
    check("[\"perf\", \"callgrind\"]", "[]", &["list is empty", "perf, callgrind, strace"]);
    check("layouts = 3", "layouts = 17", &["1 to 16"]);
    check("reference_peer = \"other\"", "reference_peer = \"othr\"", &["`othr`", "`other`"]);
    check("command = [\"foreign\", \"--fast\"]", "command = []", &["names no program"]);
}

#[test]
fn hypotheses_have_the_keys_of_their_kind() {
    check("kind = \"share\"", "kind = \"shore\"", &["unknown kind", "`shore`", "`share`"]);
    check("claim = \"slow is slower\"", "claim = \" \"", &["claim is empty"]);
    check("name = \"h2\"", "name = \"h1\"", &["hypothesis", "`h1`", "twice"]);
    check("workload = \"one\"\nkind", "workload = \"oen\"\nkind", &["unknown workload `oen`", "`one`"]);
    check("low = 0.5", "low_ns = 0.5", &["`low_ns` is of the kind `difference`"]);
    check("low = 0.5", "low = 0.5\ncells = [\"a\"]", &["`cells` is of the kind `ordering`"]);
    check("low = 0.5", "", &["`h1` has no `low`"]);
    check("low = 0.5", "low = inf", &["leave the key out"]);
    check("low = 0.5", "low = 0.5\nhigh = 0.5", &["the first must be smaller"]);
    check("of = [\"cache\", \"page-faults\"]\n", "", &["`h1` has no `of`"]);
    check("\"page-faults\"]", "\"page-fault\"]", &["unknown part of a gap", "`page-faults`"]);
    check("\"page-faults\"]", "\"cache\"]", &["`cache` is there twice"]);
    check("kind = \"share\"", "kind = \"share\"\npeer = \"othr\"", &["unknown peer `othr`", "`other`"]);
    check("reference_peer = \"other\"\n", "", &["`h1` has no `peer`"]);
    check("plus = \"mode-slow@args\"\n", "", &["`h2` has no `plus`"]);
    check("minus = \"baseline\"\n", "", &["`h2` has no `minus`"]);
    check("minus = \"baseline\"", "minus = \"mode-slow@args\"", &["the same cell"]);
    check("low_ns = 0\n", "", &["`h2` has no `low_ns`"]);
    check(
        "low_ns = 0\n",
        "low_ns = 0\nhigh_percent = 5\n",
        &["in percent has no end in nanoseconds", "high_percent = 5"],
    );
    check("low_ns = 0\n", "low_percent = 5\nhigh_percent = 5\n", &["the first must be smaller"]);
    check("low_ns = 0\n", "high_percent = -100\n", &["nothing takes less than nothing"]);
    check("low_ns = 0\n", "high_percent = inf\n", &["leave the key out"]);
    check("low_ns = 0\n", "low_percent = -100\nhigh_percent = 5\n", &["always holds", "low_percent = -100"]);
    check("claim = \"slow is slower\"", "claim = \"a\\nb\"", &["in one line"]);
    check("low = 0.5", "low_percent = 0.5", &["`low_percent` is of the kind `difference`"]);
    let text = PACKAGE.replace("low_ns = 0\n", "low_percent = -7.5\nhigh_percent = -2.5\n");
    let kind = parsed(&text).expect("good").hypotheses[1].kind.clone();
    let HypothesisKind::Relative { low_percent, high_percent, .. } = kind else { panic!("in percent: {kind:?}") };
    assert_eq!((low_percent, high_percent), (-7.5, -2.5));
    check("[\"peer-other\", \"baseline\", \"worst@env\"]", "[\"baseline\"]", &["two cells or more"]);
    check("\"baseline\", \"worst@env\"]", "\"baseline\", \"baseline\"]", &["`baseline` is there twice"]);
}

#[test]
fn hypotheses_are_about_what_their_workload_is_judged_by() {
    let judged = |name: &str, response: &str| {
        let from = format!("name = \"{name}\"\nargs = ");
        assert!(PACKAGE.contains(&from), "the planted text is gone: {from}");
        PACKAGE.replacen(&from, &format!("name = \"{name}\"\nresponse = \"{response}\"\nargs = "), 1)
    };
    let check = |text: &str, parts: &[&str]| {
        let error = parsed(text).expect_err("is wrong").to_string();
        for part in parts {
            assert!(error.contains(part), "expected `{part}` in:\n{error}");
        }
    };
    let curves = |text: String| {
        let at = text.find("[[curve]]").expect("has one");
        let end = at + text[at + 1..].find("\n[[").expect("more follows") + 1;
        format!("{}{}", &text[..at], &text[end..])
    };
    let memory = curves(judged("one", "rss-peak"));
    check(&memory, &["`one` is rss-peak", "only a gap in time has parts"]);
    let difference =
        memory.replace("of = [\"cache\", \"page-faults\"]\nlow = 0.5\n", "cells = [\"baseline\", \"x\"]\n");
    let difference = difference.replace("kind = \"share\"", "kind = \"ordering\"");
    check(&difference, &["`one` is rss-peak, which is not in nanoseconds", "write `low_percent`", "low_ns = 0"]);
    check(&curves(judged("two", "value:done_per_s")), &["of which more is better", "claim a `difference`"]);
    let elsewhere = PACKAGE.replacen("served_by = \"other\"", "served_by = \"other\"\nworkloads = [\"two\"]", 1);
    check(&elsewhere, &["peer `other` does not run with `one`"]);
    let text = match PACKAGE.lines().find(|line| line.starts_with("counting_repeats")) {
        Some(line) => PACKAGE.replacen(line, "counting_repeats = 0", 1),
        None => PACKAGE.replacen("blocks =", "counting_repeats = 0\nblocks =", 1),
    };
    check(&text, &["`page-faults` is known by counting", "counting_repeats = 2"]);
}
