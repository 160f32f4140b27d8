//! From a study to what will be run and compared: cells, contrasts and distinct builds. A pure function.
//!
//! Two names for the same levels in the same arm are one cell, so that nothing is measured twice. How long it all
//! takes is left to [`crate::plan`], doing it to [`crate::builds`] and [`crate::run`].

mod contrasts;

use crate::config::{DesignKind, Program, Study};
use crate::record::{Arm, CellKind, CellPlan, FactorPlan, Plan, WorkloadPlan};
use std::collections::BTreeMap;

/// The variable that makes the placebo differ from the baseline; nobody reads it.
pub const PLACEBO_VARIABLE: &str = "ABLATE_PLACEBO";

/// A plan with the builds that its cells refer to.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// Cells, contrasts, workloads.
    pub plan: Plan,
    /// Distinct feature sets, the baseline's first.
    pub builds: Vec<BuildPlan>,
}

/// One feature set to build, or one program that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPlan {
    /// Id that cells refer to; fits into a file name.
    pub id: String,
    /// Cargo features, beside `--no-default-features`.
    pub features: Vec<String>,
    /// A program that is not built: its path or name, then arguments, which come before those of the cell.
    pub command: Option<Vec<String>>,
}

/// Levels under a name: what a design asks for.
struct Treatment {
    name: String,
    /// One level for each factor, in the order of the config.
    levels: Vec<String>,
    expect_zero: Vec<String>,
    arms: Vec<Arm>,
    /// Whether a row for all its factors together is worth showing.
    summary: bool,
}

/// Resolves a study.
pub fn resolve(study: &Study) -> Design {
    let treatments = treatments(study);
    let mut builds = vec![build(study, &[])];
    let baseline_levels = vec!["on".to_owned(); study.factors.len()];
    let placebo = (PLACEBO_VARIABLE.to_owned(), "1".to_owned());
    let cell = |id: &str, kind, build: &str, env: Vec<(String, String)>| CellPlan {
        id: id.to_owned(),
        name: id.to_owned(),
        kind,
        arm: None,
        levels: reported(study, &baseline_levels),
        expect_zero: Vec::new(),
        build: build.to_owned(),
        args: study.subject.args.clone(),
        env: environment(study, &baseline_levels).into_iter().chain(env).collect(),
        served_by: study.subject.served_by.clone(),
    };
    let full = builds[0].id.clone();
    let mut cells = vec![
        cell("baseline", CellKind::Baseline, &full, Vec::new()),
        cell("placebo", CellKind::Placebo, &full, vec![placebo]),
    ];
    for treatment in &treatments {
        for &arm in &treatment.arms {
            cells.push(treatment_cell(study, treatment, arm, &mut builds));
        }
    }
    for peer in &study.peers {
        let build = if peer.command.is_some() { peer_id(&peer.name) } else { full.clone() };
        if peer.command.is_some() {
            builds.push(BuildPlan { id: build.clone(), features: Vec::new(), command: peer.command.clone() });
        }
        cells.push(CellPlan {
            id: peer_id(&peer.name),
            name: peer.name.clone(),
            kind: CellKind::Peer,
            arm: None,
            levels: BTreeMap::new(),
            expect_zero: Vec::new(),
            build,
            args: peer.args.clone(),
            env: study.subject.env.clone(),
            served_by: peer.served_by.clone(),
        });
    }
    let contrasts = contrasts::contrasts(study, &treatments);
    let factors = study.factors.iter().map(|f| FactorPlan {
        name: f.name.clone(),
        proof: f.proof.clone(),
        about: f.about.clone(),
        baseline: f.baseline.clone(),
        levels: f.levels.keys().cloned().collect(),
    });
    let workloads = study.workloads.iter().map(|w| WorkloadPlan {
        name: w.name.clone(),
        args: w.args.clone(),
        about: w.about.clone(),
        response: w.response,
        cells: Vec::new(),
    });
    let plan = Plan {
        factors: factors.collect(),
        workloads: workloads.collect(),
        cells,
        contrasts,
        reference_peer: study.reference_peer.as_deref().map(peer_id),
        hypotheses: study.hypotheses.clone(),
        curves: study.curves.clone(),
        aliases: Vec::new(),
        impossible: Vec::new(),
        layouts: study.layouts,
    };
    Design { plan, builds }
}

fn peer_id(name: &str) -> String {
    format!("peer-{name}")
}

/// Id of a treatment's cell in an arm.
fn cell_id(name: &str, arm: Arm) -> String {
    format!("{name}@{}", arm.as_str())
}

/// All treatments, each set of levels once, explicit names first.
fn treatments(study: &Study) -> Vec<Treatment> {
    let mut out: Vec<Treatment> = Vec::new();
    for treatment in study.treatments.iter().filter(|_| study.designs.contains(&DesignKind::Explicit)) {
        let level = |factor: &str| treatment.levels.get(factor).map_or("on", String::as_str).to_owned();
        let levels = study.factors.iter().map(|f| level(&f.name)).collect();
        push(&mut out, study, &treatment.name, levels, &treatment.expect_zero, false, true);
    }
    let off_where = |is_off: &dyn Fn(usize) -> bool| -> Vec<String> {
        let level = |i| if is_off(i) { "off" } else { "on" };
        (0..study.factors.len()).map(|i| level(i).to_owned()).collect()
    };
    // In the order of NAMES: the factorial comes last, because its sets exist in one arm only.
    for (_, kind) in DesignKind::NAMES.into_iter().filter(|(_, kind)| study.designs.contains(kind)) {
        match kind {
            DesignKind::Explicit => {}
            DesignKind::LeaveOneOut => {
                for (i, factor) in study.factors.iter().enumerate() {
                    let name = format!("no-{}", factor.name);
                    push(&mut out, study, &name, off_where(&|j| j == i), &[], false, false);
                }
            }
            DesignKind::AddOneIn => {
                push(&mut out, study, "none", off_where(&|_| true), &[], false, true);
                for (i, factor) in study.factors.iter().enumerate() {
                    let name = format!("only-{}", factor.name);
                    push(&mut out, study, &name, off_where(&|j| j != i), &[], false, false);
                }
            }
            DesignKind::Factorial => {
                let factors = study.factors.len();
                for set in 0..1_usize << factors {
                    // The first factor of the config is the leftmost digit.
                    let is_on = |i: usize| set >> (factors - 1 - i) & 1 == 1;
                    let bits: String = (0..factors).map(|i| if is_on(i) { '1' } else { '0' }).collect();
                    push(&mut out, study, &format!("set-{bits}"), off_where(&|i| !is_on(i)), &[], true, false);
                }
            }
            DesignKind::Fractional | DesignKind::PlackettBurman | DesignKind::Pairs => {}
        }
    }
    out
}

/// Adds a treatment unless its levels are there already, or are the baseline's.
fn push(
    out: &mut Vec<Treatment>,
    study: &Study,
    name: &str,
    levels: Vec<String>,
    expect_zero: &[String],
    env_only: bool,
    summary: bool,
) {
    if levels.iter().all(|level| level == "on") || out.iter().any(|other| other.levels == levels) {
        return;
    }
    let has_variant = levels.iter().any(|level| level != "on" && level != "off");
    let arms = study.arms.iter().copied().filter(|arm| *arm == Arm::Env || !(env_only || has_variant));
    let arms = arms.collect();
    out.push(Treatment { name: name.to_owned(), levels, expect_zero: expect_zero.to_vec(), arms, summary });
}

fn treatment_cell(study: &Study, treatment: &Treatment, arm: Arm, builds: &mut Vec<BuildPlan>) -> CellPlan {
    let mut levels = treatment.levels.clone();
    let mut absent = Vec::new();
    if arm == Arm::Feature {
        for (i, level) in levels.iter_mut().enumerate() {
            if level == "off" {
                "absent".clone_into(level);
                absent.push(i);
            }
        }
    }
    let build = build(study, &absent);
    let id = build.id.clone();
    if builds.iter().all(|known| known.id != id) {
        builds.push(build);
    }
    CellPlan {
        id: cell_id(&treatment.name, arm),
        name: treatment.name.clone(),
        kind: CellKind::Treatment,
        arm: Some(arm),
        levels: reported(study, &levels),
        expect_zero: treatment.expect_zero.clone(),
        build: id,
        args: study.subject.args.clone(),
        env: environment(study, &levels),
        served_by: study.subject.served_by.clone(),
    }
}

/// What the receipt must say.
fn reported(study: &Study, levels: &[String]) -> BTreeMap<String, String> {
    study.factors.iter().map(|f| f.name.clone()).zip(levels.iter().cloned()).collect()
}

/// The environment of these levels; `absent` has none.
fn environment(study: &Study, levels: &[String]) -> BTreeMap<String, String> {
    let mut env = study.subject.env.clone();
    for (factor, level) in study.factors.iter().zip(levels) {
        if let Some(own) = factor.levels.get(level) {
            env.extend(own.env.clone());
        }
    }
    env
}

/// The build without the features of the factors at `absent`.
fn build(study: &Study, absent: &[usize]) -> BuildPlan {
    let (mut features, command) = match &study.subject.program {
        Program::Cargo(program) => (program.features.clone(), None),
        Program::Command(command) => (Vec::new(), Some(command.clone())),
    };
    let mut without = Vec::new();
    for (i, factor) in study.factors.iter().enumerate() {
        if absent.contains(&i) {
            without.push(factor.name.as_str());
        } else if let Some(feature) = &factor.feature {
            features.push(feature.clone());
        }
    }
    let id = match without.len() {
        0 => "full".to_owned(),
        n if n == study.factors.len() && n > 1 => "bare".to_owned(),
        _ => format!("without-{}", without.join("+")),
    };
    // Half of the 255 bytes of a file name; beyond that the digits of the set are the name.
    let id = if id.len() <= 120 {
        id
    } else {
        let digits = (0..study.factors.len()).map(|i| if absent.contains(&i) { '0' } else { '1' });
        format!("with-{}", digits.collect::<String>())
    };
    BuildPlan { id, features, command }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};
    use crate::record::Contrast;

    fn design(text: &str) -> Design {
        resolve(&parsed(text).expect("the config is good"))
    }

    fn ids(design: &Design) -> Vec<&str> {
        design.plan.cells.iter().map(|cell| cell.id.as_str()).collect()
    }

    fn row(c: &Contrast) -> String {
        let arm = c.arm.map_or("-", Arm::as_str);
        format!("{} {} {arm} {} {} {}", c.factor, c.contrast, c.plus, c.minus, c.attribution)
    }

    #[test]
    fn explicit_and_leave_one_out_in_both_arms() {
        let design = design(GOOD);
        let expected = [
            "baseline",
            "placebo",
            "minimal@env",
            "minimal@feature",
            "frozen@env",
            "no-red@env",
            "no-red@feature",
            "no-blue@env",
            "no-blue@feature",
            "peer-other",
        ];
        assert_eq!(ids(&design), expected);
        let builds: Vec<_> = design.builds.iter().map(|b| (b.id.as_str(), b.features.join(","))).collect();
        let expected = [("full", "red,blue"), ("bare", ""), ("without-red", "blue"), ("without-blue", "red")];
        assert_eq!(builds, expected.map(|(id, features)| (id, features.to_owned())));
        assert_eq!(design.plan.reference_peer.as_deref(), Some("peer-other"));
    }

    #[test]
    fn cells_carry_levels_environment_and_expectations() {
        let design = design(GOOD);
        let cell = |id: &str| design.plan.cells.iter().find(|c| c.id == id).expect("the cell exists");
        assert_eq!(cell("baseline").env, BTreeMap::from([("MODE".into(), "x".into())]));
        assert_eq!(cell("placebo").env[PLACEBO_VARIABLE], "1");
        assert_eq!(cell("no-red@env").env["NO_RED"], "1");
        assert_eq!(cell("no-red@env").levels["red"], "off");
        assert!(!cell("no-red@feature").env.contains_key("NO_RED"));
        assert_eq!(cell("no-red@feature").levels["red"], "absent");
        assert_eq!(cell("no-red@feature").build, "without-red");
        assert_eq!(cell("frozen@env").levels["blue"], "frozen");
        assert_eq!(cell("frozen@env").expect_zero, ["blue.moves"]);
        assert!(cell("peer-other").levels.is_empty());
        assert_eq!(cell("peer-other").args, ["--peer"]);
    }

    #[test]
    fn contrasts_are_one_row_a_question() {
        let design = design(GOOD);
        let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
        let expected = [
            "minimal baseline-minimal env baseline minimal@env false",
            "minimal baseline-minimal feature baseline minimal@feature false",
            "blue on-frozen env baseline frozen@env false",
            "red on-off env baseline no-red@env true",
            "red on-absent feature baseline no-red@feature true",
            "red off-absent - no-red@env no-red@feature false",
            "blue on-off env baseline no-blue@env true",
            "blue on-absent feature baseline no-blue@feature true",
            "blue off-absent - no-blue@env no-blue@feature false",
            "placebo placebo - placebo baseline false",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn an_explicit_name_replaces_the_generated_one() {
        let text = GOOD.replace("levels = { red = \"off\", blue = \"off\" }", "levels = { red = \"off\" }");
        let design = design(&text);
        assert!(ids(&design).contains(&"minimal@env") && !ids(&design).contains(&"no-red@env"));
        let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
        assert!(rows.contains(&"red on-off env baseline minimal@env true".to_owned()), "{rows:?}");
    }

    #[test]
    fn factorial_and_add_one_in_share_cells() {
        let text = GOOD
            .replace(
                "design = [\"explicit\", \"leave-one-out\"]",
                "design = [\"explicit\", \"add-one-in\", \"factorial\"]",
            )
            .replace("arms = [\"env\", \"feature\"]", "arms = [\"env\"]");
        let design = design(&text);
        // `minimal` is `none`, and with two factors `only-blue` is `no-red`.
        let expected =
            ["baseline", "placebo", "minimal@env", "frozen@env", "only-red@env", "only-blue@env", "peer-other"];
        assert_eq!(ids(&design), expected);
        let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
        assert!(rows.contains(&"red main env   true".to_owned()), "{rows:?}");
        assert!(rows.contains(&"red alone-none env only-red@env minimal@env false".to_owned()), "{rows:?}");
        assert!(rows.contains(&"red on-off env baseline only-blue@env true".to_owned()), "{rows:?}");
        assert_eq!(design.builds.len(), 1);
    }

    #[test]
    fn a_pure_factorial_has_all_sets_once() {
        let head = GOOD.split("[[treatment]]").next().expect("has a head");
        let tail = GOOD.split_once("[[workload]]").expect("has workloads").1;
        let text = format!("{head}[[workload]]{tail}").replace("[\"explicit\", \"leave-one-out\"]", "[\"factorial\"]");
        let design = design(&text);
        let expected = ["baseline", "placebo", "set-00@env", "set-01@env", "set-10@env", "peer-other"];
        assert_eq!(ids(&design), expected);
    }

    #[test]
    fn every_contrast_refers_to_cells_and_every_cell_to_a_build() {
        let design = design(GOOD);
        for contrast in &design.plan.contrasts {
            for id in [&contrast.plus, &contrast.minus] {
                assert!(ids(&design).contains(&id.as_str()), "{id}");
            }
        }
        for cell in &design.plan.cells {
            assert!(design.builds.iter().any(|build| build.id == cell.build), "{}", cell.build);
        }
    }
}
