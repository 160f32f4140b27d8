//! Proof of levels for servers that tell their configuration: whether it reads back otherwise at another level.

use super::index::Runs;
use super::words::Proof;
use ablate_format::CellPlan;
use std::collections::BTreeSet;

/// Longest part of a configuration in a reason.
const SHOWN: usize = 60;

/// Whether the cells of each pair ran with two configurations; with a sentence when they did not. `None` where runs
/// tell no configuration, or where the two are different programs, which other proofs are for.
pub(super) fn proof(factor: &str, pairs: &[(&CellPlan, &CellPlan)], runs: &Runs<'_>) -> Option<(Proof, String)> {
    let mut same = None;
    for (plus, minus) in pairs {
        if plus.build != minus.build {
            return None;
        }
        let (a, b) = (told(runs, plus)?, told(runs, minus)?);
        for (cell, told) in [(plus, &a), (minus, &b)] {
            if told.len() > 1 {
                let reason = format!(
                    "what `read_back` prints differs between runs of {}, so it cannot prove the switch of `{factor}`; let \
                     it print only what the levels set",
                    cell.id
                );
                return Some((Proof::Unproven, reason));
            }
        }
        if a != b {
            // Of many pairs one that is told apart is enough: the switch does something.
            return Some((
                Proof::Proven,
                "the running server reads back another configuration at each level".to_owned(),
            ));
        }
        same = same.or(a.first().copied());
    }
    let shown: String = same?.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    let reason = format!(
        "the configuration of the running server reads back the same at both levels of `{factor}`, `{shown}`, so its \
         switch is unproven; correct the levels, or let `read_back` print what they set"
    );
    Some((Proof::Unproven, reason))
}

/// The configurations that proven runs of a cell told; `None` when one of them told none.
fn told<'a>(runs: &Runs<'a>, cell: &CellPlan) -> Option<BTreeSet<&'a str>> {
    let cell = runs.cell(&cell.id)?;
    let timing = cell.timing.values().map(|run| run.record);
    let all: Option<BTreeSet<&str>> =
        timing.chain(cell.counting.values().copied()).map(|run| run.read_back.as_deref()).collect();
    all.filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::analyse::fixture::Study;
    use crate::analyse::{Proof, Verdict, analyse};

    /// Proof, verdict and reason of a switch without counters, whose server tells `on` in the baseline and in each of
    /// the other's runs what `off` says.
    fn row(off: impl Fn(u32) -> Option<&'static str>) -> (Proof, Verdict, String) {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.factors[0].proof.clear();
        let mut records = study.records(12, |_, cell, _| if cell == "no-cache@env" { 1_000.0 } else { 2_000.0 });
        for record in &mut records {
            let told = if record.cell == "no-cache@env" { off(record.block) } else { Some("appendonly yes") };
            record.read_back = told.map(str::to_owned);
        }
        let effects = analyse(&study.manifest, &records).workloads.remove(0).effects;
        let row = effects.into_iter().find(|e| e.factor == "cache" && e.contrast == "on-off").expect("a row");
        (row.proof, row.verdict, row.reason)
    }

    #[test]
    fn a_configuration_that_reads_back_otherwise_proves_the_switch() {
        let (proof, verdict, reason) = row(|_| Some("appendonly no"));
        assert_eq!((proof, verdict), (Proof::Proven, Verdict::Costs), "{reason}");
    }

    #[test]
    fn a_configuration_that_reads_back_the_same_proves_nothing() {
        let (proof, _, reason) = row(|_| Some("appendonly yes"));
        assert_eq!(proof, Proof::Unproven);
        assert!(reason.contains("`appendonly yes`") && reason.contains("`cache`"), "{reason}");
    }

    #[test]
    fn a_configuration_that_differs_by_itself_proves_nothing() {
        let (proof, _, reason) = row(|block| Some(if block % 2 == 0 { "uptime 1" } else { "uptime 2" }));
        assert_eq!(proof, Proof::Unproven);
        assert!(reason.contains("no-cache@env"), "{reason}");
    }

    #[test]
    fn where_a_run_tells_no_configuration_counts_decide() {
        let (proof, _, reason) = row(|block| (block > 0).then_some("appendonly no"));
        assert_eq!(proof, Proof::Unproven);
        assert!(reason.contains("no exact count differs"), "{reason}");
    }
}
