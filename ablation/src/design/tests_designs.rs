//! Designs that combine factors, builds of variants, constraints, claims, and programs that are there.

use super::*;
use crate::config::tests::parsed;
use ablate_format::{Arm, CellPlan, Contrast};
use std::collections::BTreeSet;

/// Factors `a`, `b`, … that are switched by variables `A`, `B`, ….
fn switched(n: u8) -> String {
    let factor = |i| {
        let name = char::from(b'a' + i);
        let variable = name.to_ascii_uppercase();
        format!("[[factor]]\nname = \"{name}\"\n[factor.levels]\non = {{}}\noff = {{ {variable} = \"0\" }}\n")
    };
    (0..n).map(factor).collect()
}

/// A study of a package with these keys at the top, these keys of the subject, and these tables.
fn text(arms: &str, design: &str, top: &str, subject: &str, tables: &str) -> String {
    format!(
        "study = \"demo\"\nseed = 7\nblocks = 3\narms = [{arms}]\ndesign = [{design}]\n{top}\n[subject]\n{subject}\n{tables}\n[[workload]]\nname = \"one\"\nargs = [\"1\"]\n"
    )
}

fn study(arms: &str, design: &str, top: &str, tables: &str) -> String {
    text(arms, design, top, "package = \"subject\"", tables)
}

fn design(text: &str) -> Design {
    resolve(&parsed(text).unwrap_or_else(|error| panic!("{error}"))).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn check_refused(text: &str, parts: &[&str]) {
    let error = resolve(&parsed(text).unwrap_or_else(|error| panic!("{error}"))).expect_err(text).to_string();
    for part in parts {
        assert!(error.contains(part), "expected `{part}` in:\n{error}");
    }
    assert!(error.contains("study.toml:") && error.contains("^"), "no place in:\n{error}");
}

fn ids(design: &Design) -> Vec<&str> {
    design.plan.cells.iter().map(|cell| cell.id.as_str()).collect()
}

fn cell<'a>(design: &'a Design, id: &str) -> &'a CellPlan {
    design.plan.cells.iter().find(|cell| cell.id == id).unwrap_or_else(|| panic!("no {id} in {:?}", ids(design)))
}

fn rows(design: &Design) -> Vec<String> {
    let row = |c: &Contrast| {
        let arm = c.arm.map_or("-", Arm::as_str);
        format!("{} {} {arm} {} {} {}", c.factor, c.contrast, c.plus, c.minus, c.attribution)
    };
    design.plan.contrasts.iter().map(row).collect()
}

/// For each cell of a design the factors that are away, as the analysis sees them.
fn masks(design: &Design, kind: &str) -> Vec<Vec<bool>> {
    let away = |id: &String| -> Vec<bool> {
        let levels = &cell(design, id).levels;
        design.plan.crossed.iter().map(|crossed| levels[&crossed.factor] == crossed.away).collect()
    };
    design.plan.designs[kind].iter().map(away).collect()
}

#[track_caller]
fn assert_orthogonal(masks: &[Vec<bool>], factors: usize) {
    let half = |differs: &dyn Fn(&Vec<bool>) -> bool| masks.iter().filter(|mask| differs(mask)).count() * 2;
    for i in 0..factors {
        assert_eq!(half(&|mask| mask[i]), masks.len(), "column {i}");
        for j in 0..i {
            assert_eq!(half(&|mask| mask[i] != mask[j]), masks.len(), "columns {i} and {j}");
        }
    }
}

#[test]
fn a_fraction_has_its_cells_aliases_and_main_effects() {
    let design = design(&study("\"env\"", "\"fractional\"", "fraction = 2", &switched(6)));
    assert_eq!(design.plan.designs["fractional"].len(), 16);
    assert_eq!((ids(&design).len(), design.plan.designs["fractional"][0].as_str()), (17, "baseline"));
    assert_orthogonal(&masks(&design, "fractional"), 6);
    assert_eq!(design.plan.aliases[0], "fractional: 2^(6−2), resolution IV, by e = a×b×c, f = a×b×d");
    assert!(design.plan.aliases.contains(&"a×b = c×e = d×f".to_owned()), "{:?}", design.plan.aliases);
    let mains: Vec<String> = rows(&design).into_iter().filter(|row| row.contains(" main ")).collect();
    assert_eq!(mains, ["a", "b", "c", "d", "e", "f"].map(|factor| format!("{factor} main env   true")));
}

#[test]
fn a_screen_has_its_cells_and_says_what_it_cannot_tell_apart() {
    let design = design(&study("\"env\"", "\"plackett-burman\"", "", &switched(11)));
    assert_eq!(design.plan.designs["plackett-burman"].len(), 12);
    assert_orthogonal(&masks(&design, "plackett-burman"), 11);
    assert!(design.plan.aliases[0].contains("12 cells for 11 factors, resolution III"), "{:?}", design.plan.aliases);
    assert_eq!(rows(&design).iter().filter(|row| row.contains(" main ")).count(), 11);
}

#[test]
fn a_fraction_beside_a_factorial_shares_its_cells() {
    let design = design(&study("\"env\"", "\"factorial\", \"fractional\"", "", &switched(4)));
    let of = |kind: &str| design.plan.designs[kind].iter().collect::<BTreeSet<_>>();
    assert_eq!((of("factorial").len(), of("fractional").len(), ids(&design).len()), (16, 8, 17));
    assert!(of("fractional").is_subset(&of("factorial")));
}

#[test]
fn pairs_are_cells_and_rows() {
    let design = design(&study("\"env\", \"feature\"", "\"pairs\"", "crossed = [\"c\", \"a\"]", &switched(3)));
    assert_eq!(ids(&design), ["baseline", "placebo", "no-a@env", "no-a+no-c@env", "no-c@env"]);
    let expected = [
        "a on-off env baseline no-a@env true",
        "no-a+no-c baseline-no-a+no-c env baseline no-a+no-c@env false",
        "c on-off env baseline no-c@env true",
        "placebo placebo - placebo baseline false",
    ];
    assert_eq!(rows(&design), expected);
    assert_eq!(design.plan.designs["pairs"], ["baseline", "no-a@env", "no-a+no-c@env", "no-c@env"]);
    let crossed: Vec<&str> = design.plan.crossed.iter().map(|crossed| crossed.factor.as_str()).collect();
    assert_eq!(crossed, ["a", "c"], "in the order of the config");
}

#[test]
fn a_factorial_of_ten_factors_is_resolved_without_searching() {
    let design = design(&study("\"env\"", "\"leave-one-out\", \"factorial\"", "", &switched(10)));
    assert_eq!(design.plan.designs["factorial"].len(), 1024);
    let distinct: BTreeSet<_> = masks(&design, "factorial").into_iter().collect();
    assert_eq!(distinct.len(), 1024);
    assert_eq!(cell(&design, "set-0111111110@env").levels["a"], "off");
}

#[test]
fn crossed_factors_alone_are_combined_and_numbered() {
    let design = design(&study("\"env\"", "\"factorial\"", "crossed = [\"b\", \"c\"]", &switched(3)));
    assert_eq!(ids(&design), ["baseline", "placebo", "set-00@env", "set-01@env", "set-10@env"]);
    assert!(design.plan.cells.iter().all(|cell| cell.levels["a"] == "on"));
}

const VARIANTS: &str = r#"
[[factor]]
name = "alloc"
feature = "alloc"
[factor.levels]
on = {}
fast = { features = ["fast"] }
faster = { features = ["fast", "unsafe"] }
tuned = { features = ["fast"], TUNED = "1" }
[[factor]]
name = "mode"
baseline = "quick"
[factor.levels]
quick = {}
slow = { args = ["--slow"] }
"#;

#[test]
fn variants_of_features_are_builds_of_their_own() {
    let design = design(&study("\"env\", \"feature\"", "\"leave-one-out\"", "", VARIANTS));
    let expected = [
        "baseline",
        "placebo",
        "no-alloc@feature",
        "alloc-fast@feature",
        "alloc-faster@feature",
        "alloc-tuned@feature",
        "mode-slow@args",
    ];
    assert_eq!(ids(&design), expected);
    let builds: Vec<_> = design.builds.iter().map(|b| (b.id.as_str(), b.features.join(","))).collect();
    let expected = [
        ("full", "alloc"),
        ("without-alloc", ""),
        ("with-alloc.fast", "alloc,fast"),
        ("with-alloc.faster", "alloc,fast,unsafe"),
    ];
    assert_eq!(builds, expected.map(|(id, features)| (id, features.to_owned())));
    assert_eq!(cell(&design, "alloc-tuned@feature").build, "with-alloc.fast", "equal features are one build");
    assert_eq!(cell(&design, "alloc-tuned@feature").env["TUNED"], "1");
    assert_eq!(cell(&design, "alloc-fast@feature").levels["alloc"], "fast");
    assert_eq!(cell(&design, "mode-slow@args").args, ["--slow"]);
    let expected = [
        "alloc on-absent feature baseline no-alloc@feature true",
        "alloc on-fast feature baseline alloc-fast@feature true",
        "alloc on-faster feature baseline alloc-faster@feature true",
        "alloc on-tuned feature baseline alloc-tuned@feature true",
        "mode quick-slow args baseline mode-slow@args true",
        "placebo placebo - placebo baseline false",
    ];
    assert_eq!(rows(&design), expected);
    let levels: Vec<_> = design.plan.factors.iter().map(|factor| factor.levels.join(" ")).collect();
    assert_eq!(levels, ["on off fast faster tuned", "quick slow"]);
}

#[test]
fn levels_of_two_arms_are_mixed_when_there_is_no_other_way() {
    let treatments = r#"
[[treatment]]
name = "both"
levels = { alloc = "fast", mode = "slow" }
[[treatment]]
name = "slowest"
levels = { mode = "slow" }
"#;
    let design =
        design(&study("\"env\", \"feature\"", "\"explicit\", \"add-one-in\"", "", &format!("{VARIANTS}{treatments}")));
    let both = cell(&design, "both@feature");
    assert_eq!((both.build.as_str(), both.args.as_slice()), ("with-alloc.fast", ["--slow".to_owned()].as_slice()));
    assert!(!ids(&design).contains(&"both@env") && !ids(&design).contains(&"slowest@feature"));
    // Without `off` in one binary, none at all is a build without the feature, in the other mode.
    let none = cell(&design, "none@feature");
    assert_eq!((none.build.as_str(), none.args.len(), none.levels["alloc"].as_str()), ("without-alloc", 1, "absent"));
    assert!(rows(&design).contains(&"mode alone-none feature only-mode@feature none@feature false".to_owned()));
    assert!(!rows(&design).iter().any(|row| row.starts_with("alloc alone-none args")));
}

#[test]
fn a_placebo_feature_is_a_cell_and_a_row() {
    let subject = "package = \"subject\"\nplacebo_feature = \"dead\"\nfeatures = [\"always\"]";
    let design = design(&text("\"env\"", "\"leave-one-out\"", "", subject, &switched(1)));
    assert_eq!(ids(&design), ["baseline", "placebo", "placebo@feature", "no-a@env"]);
    let placebo = cell(&design, "placebo@feature");
    assert_eq!((placebo.kind, placebo.arm, placebo.name.as_str()), (CellKind::Placebo, Some(Arm::Feature), "placebo"));
    assert_eq!((&placebo.levels, &placebo.env), (&cell(&design, "baseline").levels, &BTreeMap::new()));
    let builds: Vec<_> = design.builds.iter().map(|b| (b.id.as_str(), b.features.join(","))).collect();
    assert_eq!(builds, [("full", "always".to_owned()), ("placebo", "always,dead".to_owned())]);
    assert_eq!(rows(&design)[2], "placebo placebo feature placebo@feature baseline false");
}

#[test]
fn commands_are_not_built() {
    let subject = "command = [\"./tool\", \"run\"]\nargs = [\"-q\"]\nenv = { LD_PRELOAD = \"a.so\", X = \"1\" }";
    let tables = format!(
        "{}[[peer]]\nname = \"same\"\nargs = [\"-p\"]\nenv = {{ LD_PRELOAD = \"b.so\" }}\n[[peer]]\nname = \"foreign\"\ncommand = [\"other\", \"go\"]\n",
        switched(1)
    );
    let design = design(&text("\"env\"", "\"leave-one-out\"", "", subject, &tables));
    let builds: Vec<_> = design.builds.iter().map(|b| (b.id.as_str(), b.command.clone().unwrap_or_default())).collect();
    let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    assert_eq!(builds, [("full", words(&["./tool", "run"])), ("peer-foreign", words(&["other", "go"]))]);
    assert_eq!((cell(&design, "no-a@env").build.as_str(), &cell(&design, "no-a@env").args), ("full", &words(&["-q"])));
    let same = cell(&design, "peer-same");
    assert_eq!((same.build.as_str(), same.env["LD_PRELOAD"].as_str(), same.env["X"].as_str()), ("full", "b.so", "1"));
    assert_eq!(cell(&design, "peer-foreign").build, "peer-foreign");
}

const NEEDS: &str = "[[constraint]]\nwhen = { a = \"off\" }\nneeds = { b = [\"on\"] }\n";

#[test]
fn impossible_cells_are_listed_and_their_rows_are_gone() {
    let tables = format!("{}{NEEDS}", switched(3));
    let factorial = design(&study("\"env\"", "\"add-one-in\", \"factorial\"", "", &tables));
    let impossible: Vec<&str> = factorial.plan.impossible.iter().map(|cell| cell.name.as_str()).collect();
    // a and b both off, c on or off: `none` and `only-c`.
    assert_eq!(impossible, ["none@env", "only-c@env"]);
    assert_eq!(factorial.plan.impossible[0].reason, "a off needs b on, and it is off");
    assert_eq!(factorial.plan.designs["factorial"].len(), 6);
    assert!(!ids(&factorial).contains(&"none@env"));
    assert!(rows(&factorial).iter().all(|row| !row.contains("alone-none")), "there is no none");
    assert_eq!(rows(&factorial).iter().filter(|row| row.contains(" main ")).count(), 3, "each still has pairs");
    // A fraction with a hole is not orthogonal: no main effects, and it says so.
    let fraction = design(&study("\"env\"", "\"fractional\"", "", &tables));
    assert_eq!(fraction.plan.impossible.len(), 1);
    assert!(rows(&fraction).iter().all(|row| !row.contains(" main ")), "{:?}", rows(&fraction));
    let last = fraction.plan.aliases.last().expect("aliases");
    assert!(last.contains("1 of its cells is impossible") && last.contains("no main effects"), "{last}");
}

#[test]
fn what_is_absent_is_off_to_a_constraint() {
    let both = |needs: &str| {
        let factors = switched(2).replace("name = \"b\"", "name = \"b\"\nfeature = \"b\"");
        let constraint = format!("[[constraint]]\nwhen = {{ b = \"{needs}\" }}\nneeds = {{ a = [\"off\"] }}\n");
        let design = design(&study("\"env\", \"feature\"", "\"leave-one-out\"", "", &format!("{factors}{constraint}")));
        design.plan.impossible.into_iter().map(|cell| cell.name).collect::<Vec<_>>()
    };
    assert_eq!(both("off"), ["no-b@env", "no-b@feature"]);
    assert_eq!(both("absent"), ["no-b@feature"]);
}

#[test]
fn a_baseline_or_a_treatment_that_breaks_a_constraint_is_an_error() {
    let broken = "[[constraint]]\nwhen = { a = \"on\" }\nneeds = { b = [\"off\"] }\n";
    let tables = format!("{}{broken}", switched(2));
    check_refused(&study("\"env\"", "\"leave-one-out\"", "", &tables), &["the baseline breaks", "a on needs b off"]);
    let treatment = "[[treatment]]\nname = \"least\"\nlevels = { a = \"off\", b = \"off\" }\n";
    let tables = format!("{}{NEEDS}{treatment}", switched(2));
    check_refused(
        &study("\"env\"", "\"explicit\"", "", &tables),
        &["`least` breaks a constraint", "a off needs b on", "| name = \"least\""],
    );
}

#[test]
fn a_workload_runs_the_cells_of_its_designs() {
    let text = study("\"env\"", "\"leave-one-out\", \"factorial\"", "", &switched(3));
    let text = format!(
        "{text}designs = [\"leave-one-out\"]\n[[workload]]\nname = \"two\"\nargs = []\n[[peer]]\nname = \"p\"\nargs = []\nserved_by = \"p\"\n"
    );
    let design = design(&text);
    let expected = ["baseline", "placebo", "no-a@env", "no-b@env", "no-c@env", "peer-p"];
    assert_eq!(design.plan.workloads[0].cells, expected);
    assert!(design.plan.workloads[1].cells.is_empty() && design.plan.workloads[1].runs("set-000@env"));
}

#[test]
fn one_name_for_two_sets_of_levels_is_an_error() {
    let factor = |name: &str, level: &str, variable: &str| {
        format!("[[factor]]\nname = \"{name}\"\n[factor.levels]\non = {{}}\n{level} = {{ {variable} = \"1\" }}\n")
    };
    let tables = format!("{}{}", factor("a-b", "c", "X"), factor("a", "b-c", "Y"));
    check_refused(&study("\"env\"", "\"leave-one-out\"", "", &tables), &["`a-b-c`", "two sets", "rename"]);
}

/// A hypothesis about a factorial of two factors.
fn claim(designs: &str, keys: &str) -> String {
    let text = study("\"env\"", designs, "", &format!("{}{NEEDS}", switched(3)));
    format!(
        "{text}[[peer]]\nname = \"p\"\nargs = []\nserved_by = \"p\"\n[[hypothesis]]\nname = \"h\"\nclaim = \"c\"\nworkload = \"one\"\n{keys}\n"
    )
}

#[test]
fn claims_are_about_cells_that_run() {
    let loo = "\"leave-one-out\", \"pairs\"";
    let difference =
        |plus: &str| format!("kind = \"difference\"\nplus = \"{plus}\"\nminus = \"baseline\"\nlow_ns = 1.5");
    let held = design(&claim(loo, &difference("no-a@env")));
    assert_eq!(held.plan.hypotheses.len(), 1);
    check_refused(&claim(loo, &difference("no-a")), &["no cell `no-a`", "did you mean `no-a@env`", "| plus ="]);
    check_refused(&claim(loo, &difference("no-x@env")), &["no cell `no-x@env`", "did you mean `no-"]);
    check_refused(
        &claim(loo, &difference("zebra-crossing")),
        &["no cell `zebra-crossing`", "`cargo ablate plan` lists all"],
    );
    check_refused(&claim(loo, &difference("no-a+no-b@env")), &["is impossible", "a off needs b on"]);
    let ordering = "kind = \"ordering\"\ncells = [\"peer-p\", \"bseline\"]";
    check_refused(&claim(loo, ordering), &["no cell `bseline`", "`baseline`"]);
    let restricted =
        claim(loo, &difference("no-a+no-c@env")).replace("args = [\"1\"]", "args = []\ndesigns = [\"leave-one-out\"]");
    check_refused(&restricted, &["`no-a+no-c@env` does not run with `one`", "`designs`"]);
}

#[test]
fn a_share_of_a_factor_needs_all_combinations() {
    let share = |of: &str| format!("kind = \"share\"\npeer = \"p\"\nof = [{of}]\nlow = 0.5");
    check_refused(&claim("\"leave-one-out\"", &share("\"page-faults\", \"a\"")), &["`a` is a factor", "\"factorial\""]);
    check_refused(&claim("\"factorial\"", &share("\"a\"")), &["needs all combinations", "2 of them"]);
    let free = |of: &str, top: &str, workload: &str| {
        let text = claim("\"leave-one-out\", \"factorial\"", &share(of)).replace(NEEDS, "");
        text.replace("blocks = 3", &format!("blocks = 3\n{top}"))
            .replace("args = [\"1\"]", &format!("args = []\n{workload}"))
    };
    assert_eq!(design(&free("\"a\", \"residual\"", "", "")).plan.hypotheses.len(), 1);
    check_refused(&free("\"a\"", "crossed = [\"b\", \"c\"]", ""), &["`a` is a factor", "`crossed`"]);
    check_refused(&free("\"a\"", "", "designs = [\"leave-one-out\"]"), &["needs all combinations", "4 of them"]);
    // Shares that come from counts alone need none.
    assert_eq!(design(&claim("\"leave-one-out\"", &share("\"system-calls\""))).plan.hypotheses.len(), 1);
}

#[test]
fn a_plan_with_open_ends_survives_the_round_trip() {
    let keys = "kind = \"difference\"\nplus = \"no-a@env\"\nminus = \"baseline\"\nhigh_ns = -1";
    let design = design(&claim("\"leave-one-out\"", keys));
    let json = serde_json::to_string(&design.plan).expect("is JSON");
    assert!(json.contains("\"low_ns\":null"), "{json}");
    assert_eq!(serde_json::from_str::<StudyPlan>(&json).expect("reads"), design.plan);
}

#[test]
fn a_factor_that_the_baseline_leaves_off_is_crossed_with_its_other_level() {
    let reversed = "[[factor]]\nname = \"r\"\nbaseline = \"off\"\n[factor.levels]\noff = {}\non = { R = \"1\" }\n";
    let design = design(&study("\"env\"", "\"factorial\"", "", &format!("{}{reversed}", switched(1))));
    assert_eq!(cell(&design, "set-10@env").levels["r"], "on");
    assert_eq!(
        (cell(&design, "set-01@env").levels["r"].as_str(), ids(&design).len()),
        ("off", 5),
        "{:?}",
        ids(&design)
    );
}

/// Two settings of the build, and a switch at run time.
const BUILDS: &str = r#"
study = "builds"
seed = 7
blocks = 6
design = ["leave-one-out", "factorial"]
crossed = ["lto", "cache", "switch"]
[subject]
package = "subject"
[[factor]]
name = "lto"
baseline = "thin"
[factor.levels]
thin = { lto = "thin" }
fat = { lto = "fat" }
[[factor]]
name = "cache"
feature = "cache"
[factor.levels]
on = {}
[[factor]]
name = "switch"
[factor.levels]
on = {}
off = { SWITCH = "0" }
[[workload]]
name = "w"
args = []
"#;

#[test]
fn a_factorial_over_builds_shares_them_between_switches() {
    let study = crate::config::tests::parsed(BUILDS).expect("a good config");
    let design = super::resolve(&study).expect("a good design");
    let ids: Vec<&str> = design.builds.iter().map(|build| build.id.as_str()).collect();
    assert_eq!(ids, ["full", "with-lto.fat", "without-cache", "without-cache-with-lto.fat"]);
    let plan = &design.plan;
    assert_eq!(plan.designs["factorial"].len(), 8);
    let aways: Vec<(&str, &str)> = plan.crossed.iter().map(|c| (c.factor.as_str(), c.away.as_str())).collect();
    assert_eq!(aways, [("lto", "fat"), ("cache", "absent"), ("switch", "off")]);
    let all_away = plan.cells.iter().find(|cell| cell.levels.values().map(String::as_str).eq(["absent", "fat", "off"]));
    let all_away = all_away.expect("the factorial has it");
    assert_eq!((all_away.build.as_str(), all_away.env["SWITCH"].as_str()), ("without-cache-with-lto.fat", "0"));
    let main: Vec<(&str, Option<Arm>)> =
        plan.contrasts.iter().filter(|c| c.contrast == "main").map(|c| (c.factor.as_str(), c.arm)).collect();
    let expected = [("lto", Some(Arm::Build)), ("cache", Some(Arm::Feature)), ("switch", Some(Arm::Env))];
    assert_eq!(main, expected);
    // Without the key the factors of one binary are combined, and here there is one alone.
    let text = BUILDS.replace("crossed = [\"lto\", \"cache\", \"switch\"]\n", "");
    let plan = super::resolve(&crate::config::tests::parsed(&text).expect("a good config")).expect("good").plan;
    assert_eq!(plan.crossed.iter().map(|c| c.factor.as_str()).collect::<Vec<_>>(), ["switch"]);
}

#[test]
fn fractions_of_resolution_five_are_those_of_the_tables() {
    // Box, Hunter and Hunter, "Statistics for Experimenters", 2nd edition, table 6.22: the runs of resolution V or more.
    let runs = [2, 4, 8, 16, 16, 32, 64, 64, 128, 128, 128, 256];
    let found: Vec<usize> =
        (1..=12).map(|k| 1 << (k - crate::design::resolution_five(k).expect("there is one"))).collect();
    assert_eq!(found, runs);
    assert_eq!((crate::design::resolution_five(0), crate::design::resolution_five(13)), (None, None));
}
