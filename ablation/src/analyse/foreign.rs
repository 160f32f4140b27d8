//! Proof of levels for programs that have no counters: what else tells two cells apart.

use super::counts::PerOperation;
use super::words::Proof;
use crate::prove::{Outputs, ways};
use ablate_format::{Arm, CellKind, CellPlan, Contrast, Manifest};
use std::collections::BTreeMap;

/// Counted events of a cell by instrument.
type Counts = BTreeMap<String, PerOperation>;

/// The setting of a build that says which files it runs beside: the tree of its revision.
const TREE: &str = "tree";

/// What tells levels apart whose programs print different things.
pub(super) const OUTPUTS_DIFFER: &str = "the outputs of its levels differ";

/// Bytes of a page of the smallest kind.
const PAGE: usize = 4096;

/// The instrument that sees every instruction of a program: when it is equal, nothing was done differently.
const SEES_ALL: &str = "callgrind-instructions";

/// Whether the two cells of each pair are two things, where `factor` has no counters; with what tells them apart, or
/// a sentence when they are not known to be. Of many pairs one that is told apart is enough: the switch does something.
pub(super) fn proof<'c>(
    manifest: &Manifest,
    factor: &str,
    pairs: &[(&CellPlan, &CellPlan)],
    outputs: Outputs,
    counts: impl Fn(&str) -> Option<&'c Counts>,
) -> (Proof, String) {
    let noise = noise(manifest, &counts);
    let each = || {
        pairs
            .iter()
            .map(|(plus, minus)| told_apart(manifest, (plus, minus), (counts(&plus.id), counts(&minus.id)), &noise))
    };
    if let Some(evidence) = each().find_map(Told::evidence) {
        return (Proof::Proven, evidence);
    }
    if !pairs.is_empty() && each().all(|told| told == Told::SameBinary) {
        return (Proof::Invalid, format!("both builds are the same binary: `{factor}` changes nothing"));
    }
    // Equal counts do not show that nothing is different: a sleep takes as many instructions however long it is.
    let counted = |told| if let Told::SameWork(names) = told { Some(names) } else { None };
    let same: Option<Vec<Vec<String>>> = each().map(counted).collect();
    let which = match same.and_then(|names| names.into_iter().next()) {
        Some(names) => format!("no exact count differs between the levels of `{factor}` ({})", names.join(", ")),
        None => format!("no exact count differs between the levels of `{factor}`"),
    };
    let reason = format!("{which}, so its switch is unproven; to prove it: {}", ways(manifest, factor, outputs));
    (Proof::Unproven, reason)
}

/// By how much a count may differ when nothing does: some programs count otherwise as soon as the environment is longer.
/// The placebo is one draw of that, so twice its difference.
fn noise<'c>(manifest: &Manifest, counts: &impl Fn(&str) -> Option<&'c Counts>) -> BTreeMap<String, f64> {
    let of = |kind: CellKind| {
        let cell = manifest.plan.cells.iter().find(|cell| cell.kind == kind && cell.arm != Some(Arm::Feature))?;
        counts(&cell.id)
    };
    let Some((baseline, placebo)) = of(CellKind::Baseline).zip(of(CellKind::Placebo)) else { return BTreeMap::new() };
    let both =
        baseline.iter().filter_map(|(name, a)| Some((name.clone(), 2.0 * (a.value - placebo.get(name)?.value).abs())));
    both.collect()
}

/// What is known of two cells.
#[derive(Debug, PartialEq)]
enum Told {
    /// They are two binaries.
    Binaries,
    /// These exact counts differ.
    Counts(Vec<String>),
    SameBinary,
    /// Every instruction was counted and none differs; the names of the exact counts.
    SameWork(Vec<String>),
    Nothing,
}

impl Told {
    /// What tells the two apart.
    fn evidence(self) -> Option<String> {
        match self {
            Told::Binaries => Some("its levels are different binaries".to_owned()),
            Told::Counts(names) => Some(format!("exact counts differ between its levels: {}", names.join(", "))),
            Told::SameBinary | Told::SameWork(_) | Told::Nothing => None,
        }
    }
}

fn told_apart(
    manifest: &Manifest,
    (plus, minus): (&CellPlan, &CellPlan),
    counts: (Option<&Counts>, Option<&Counts>),
    noise: &BTreeMap<String, f64>,
) -> Told {
    if plus.build != minus.build {
        let build = |id: &str| manifest.builds.iter().find(|known| known.id == id);
        let hash = |id: &str| build(id)?.result.as_ref().ok().map(|built| built.code());
        // One binary of two revisions runs beside the files of each.
        let files = |id: &str| build(id)?.settings.get(TREE);
        let same = hash(&plus.build).is_some()
            && hash(&plus.build) == hash(&minus.build)
            && files(&plus.build) == files(&minus.build);
        return if same { Told::SameBinary } else { Told::Binaries };
    }
    let (Some(a), Some(b)) = counts else { return Told::Nothing };
    let is_exact = |name: &str| {
        name == "page-faults"
            || manifest.instruments.iter().any(|i| i.name == name && i.exact && i.unavailable.is_none())
    };
    // The kernel copies arguments and environment to the stack of a new process: as many pages as they fill, and one
    // more that they begin in.
    let length = |cell: &CellPlan| {
        let env: usize = cell.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        env + cell.args.iter().map(|arg| arg.len() + 1).sum::<usize>()
    };
    let pages = (length(plus).abs_diff(length(minus)) / PAGE) as f64 + 1.5;
    let apart = |name: &str, a: &PerOperation, b: &PerOperation| {
        let of_length = if name.ends_with("-faults") { pages / a.operations.min(b.operations) } else { 0.0 };
        let noise = noise.get(name).copied().unwrap_or(0.0).max(of_length);
        a.agrees && b.agrees && (a.lo - b.hi > noise || b.lo - a.hi > noise)
    };
    let both = || a.iter().filter_map(|(name, a)| Some((name, a, b.get(name)?))).filter(|(name, ..)| is_exact(name));
    let differ: Vec<String> = both().filter(|(name, a, b)| apart(name, a, b)).map(|(name, ..)| name.clone()).collect();
    if !differ.is_empty() {
        return Told::Counts(differ);
    }
    if both().any(|(name, ..)| name == SEES_ALL) {
        return Told::SameWork(both().map(|(name, ..)| name.clone()).collect());
    }
    Told::Nothing
}

/// Whether a contrast is about a factor that has no counters.
pub(super) fn concerns(manifest: &Manifest, contrast: &Contrast) -> bool {
    let without = |arm| arm != Some(Arm::Feature) || contrast.contrast != "placebo";
    let factor = manifest.plan.factors.iter().find(|factor| factor.name == contrast.factor);
    factor.is_some_and(|factor| factor.proof.is_empty()) && without(contrast.arm)
}

#[cfg(test)]
mod tests {
    use crate::analyse::fixture::Study;
    use crate::analyse::{Effect, Proof, Response, Verdict, analyse};
    use ablate_format::{BuildRecord, BuiltBinary, InstrumentStatus, MainResponse, OutputRule};

    /// A factor without counters, counted 100 at work and so many times without it.
    fn effect(instrument: &str, off: u64, same_binary: bool, contrast: &str) -> Effect {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.factors[0].proof.clear();
        study.cell("no-cache@feature").build = "bare".to_owned();
        let built = |id: &str, hash: &str| BuildRecord {
            id: id.to_owned(),
            features: Vec::new(),
            settings: Default::default(),
            seconds: None,
            result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: hash.to_owned(), code_sha256: None }),
            layouts: Vec::new(),
        };
        study.manifest.builds = vec![built("full", "aa"), built("bare", if same_binary { "aa" } else { "bb" })];
        study.manifest.instruments.push(InstrumentStatus {
            name: "callgrind-instructions".to_owned(),
            exact: true,
            unavailable: None,
            origin: "simulated".to_owned(),
            cost: String::new(),
        });
        let mut records = study.records(12, |_, cell, _| if cell.starts_with("no-") { 1_900.0 } else { 2_000.0 });
        for (cell, count) in [("baseline", 100_000), ("no-cache@env", off * 1_000)] {
            records.push(study.counting("w", cell, 0, &[(instrument, count), ("page-faults", 0)]));
            records.push(study.counting("w", cell, 1, &[(instrument, count), ("page-faults", 0)]));
        }
        let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
        effects.into_iter().find(|e| e.factor == "cache" && e.contrast == contrast).expect("a row")
    }

    #[test]
    fn a_count_that_the_placebo_moves_as_well_proves_nothing() {
        let proof = |placebo: u64| {
            let mut study = Study::new(&["cache"], &["w"]);
            study.manifest.plan.factors[0].proof.clear();
            let mut records = study.records(12, |_, _, _| 2_000.0);
            for (cell, count) in [("baseline", 100_000), ("placebo", placebo), ("no-cache@env", 70_000)] {
                for repeat in 0..2 {
                    records.push(study.counting("w", cell, repeat, &[("page-faults", count)]));
                }
            }
            let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
            let of = |response| {
                effects.iter().find(|e| e.factor == "cache" && e.contrast == "on-off" && e.response == response)
            };
            let (time, faults) =
                (of(Response::LatencyNsP10).expect("a row"), of(Response::PageFaultsPerOp).expect("a row"));
            (time.proof, faults.verdict)
        };
        assert_eq!(proof(100_000), (Proof::Proven, Verdict::Costs));
        assert_eq!(proof(72_000), (Proof::Unproven, Verdict::BelowFloor));
    }

    #[test]
    fn an_output_that_differs_by_itself_proves_nothing() {
        let row = |placebo: &str| {
            let mut study = Study::new(&["cache"], &["w"]);
            let plan = &mut study.manifest.plan;
            (plan.workloads[0].response, plan.workloads[0].output) = (MainResponse::Wall, OutputRule::MayDiffer);
            plan.factors[0].proof.clear();
            plan.cells.iter_mut().for_each(|cell| cell.served_by = None);
            let mut records = study.records(12, |_, cell, _| if cell.starts_with("no-") { 1_900.0 } else { 2_000.0 });
            for record in &mut records {
                let text = if record.cell == "no-cache@env" { "c" } else { "a" };
                let text = if record.cell.contains("placebo") { placebo } else { text };
                (record.measured, record.exit_code, record.output_sha256) = (None, Some(0), Some(text.to_owned()));
            }
            let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
            effects.into_iter().find(|e| e.factor == "cache" && e.contrast == "on-off").expect("a row")
        };
        assert_eq!(row("a").proof, Proof::Proven);
        // An address that depends on the length of the environment: the placebo has it too.
        let row = row("b");
        assert_eq!(row.proof, Proof::Unproven);
        assert!(row.reason.contains("Its output varies by itself"), "{}", row.reason);
    }

    #[test]
    fn exact_counts_or_binaries_prove_a_switch_that_has_no_counters() {
        let row = effect("callgrind-instructions", 90, false, "on-off");
        assert_eq!((row.proof, row.verdict), (Proof::Proven, Verdict::Costs), "{}", row.reason);
        // A longer sleep takes as many instructions, and more time.
        let row = effect("callgrind-instructions", 100, false, "on-off");
        assert_eq!((row.proof, row.verdict), (Proof::Unproven, Verdict::Costs));
        assert!(row.estimate.is_some());
        let mut reasons = vec![row.reason];
        let row = effect("syscalls", 100, false, "on-off");
        assert_eq!((row.proof, row.verdict), (Proof::Unproven, Verdict::Costs));
        reasons.push(row.reason);
        let row = effect("syscalls", 100, true, "on-absent");
        assert_eq!((row.proof, row.verdict), (Proof::Invalid, Verdict::Invalid));
        reasons.push(row.reason);
        insta::assert_snapshot!("reasons", reasons.join("\n"));
        assert_eq!(effect("syscalls", 100, false, "on-absent").proof, Proof::Proven);
    }

    #[test]
    fn a_page_fault_of_a_longer_environment_proves_nothing() {
        let proof = |more: u64, letters: usize| {
            let mut study = Study::new(&["cache"], &["w"]);
            study.manifest.plan.factors[0].proof.clear();
            study.cell("no-cache@env").env.insert("NOT_READ".to_owned(), "x".repeat(letters));
            let mut records = study.records(12, |_, _, _| 2_000.0);
            for cell in &study.manifest.plan.cells {
                let faults = if cell.id == "no-cache@env" { 60 + more } else { 60 };
                records.extend((0..2).map(|repeat| study.counting("w", &cell.id, repeat, &[("page-faults", faults)])));
            }
            let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
            effects.into_iter().find(|e| e.factor == "cache" && e.contrast == "on-off").expect("a row").proof
        };
        assert_eq!([proof(1, 2_300), proof(3, 10_000), proof(15, 60_000)], [Proof::Unproven; 3]);
        assert_eq!([proof(40, 2_300), proof(40, 60_000)], [Proof::Proven; 2]);
    }

    #[test]
    fn one_binary_beside_the_files_of_two_revisions_is_two_things() {
        let proof = |trees: [&str; 2]| {
            let mut study = Study::new(&["cache"], &["w"]);
            study.manifest.plan.factors[0].proof.clear();
            study.cell("no-cache@feature").build = "bare".to_owned();
            let built = |(id, tree): (&str, &str)| BuildRecord {
                id: id.to_owned(),
                features: Vec::new(),
                settings: [("tree".to_owned(), tree.to_owned())].into(),
                seconds: None,
                result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: "aa".to_owned(), code_sha256: None }),
                layouts: Vec::new(),
            };
            study.manifest.builds = ["full", "bare"].into_iter().zip(trees).map(built).collect();
            let records = study.records(12, |_, _, _| 2_000.0);
            let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
            effects.into_iter().find(|e| e.factor == "cache" && e.contrast == "on-absent").expect("a row").proof
        };
        assert_eq!([proof(["1", "1"]), proof(["1", "2"])], [Proof::Invalid, Proof::Proven]);
    }
}
