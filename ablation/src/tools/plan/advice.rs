//! Advice on a design that is large: which other ones there are for its factors, each with its number of cells and its time.

use super::cost::{ProcessTime, Processes};
use crate::config::{DesignKind, MAX_SCREENED, Study};
use crate::design::{self, Design};
use crate::support::count::{count, counted};
use crate::support::progress::human;
use std::time::Duration;

/// Cells from which on a design is large.
const MANY_CELLS: usize = 128;

/// Time from which on a study is large.
const LONG: Duration = Duration::from_secs(3_600);

/// Factors from which on a screening is worth its two stages.
const MANY_FACTORS: usize = 12;

/// The head of the table.
pub(super) const HEAD: [&str; 5] = ["instead", "cells", "builds", "time", "what it tells"];

/// Other designs of the same factors, one row each, with the blocks of the study; empty when the study is not large. Cells
/// are those of the design with the baseline. Of designs, only those with fewer cells than the study are named.
pub(super) fn others(study: &Study, plan: &Design, process: &ProcessTime) -> Vec<Vec<String>> {
    let away = |factor: &&crate::config::Factor| factor.away_combined(&study.arms).is_some();
    let factors = study.factors.iter().filter(away).count();
    let processes = Processes::of(study, plan);
    let cells = plan.plan.cells.len();
    let is_large = cells > MANY_CELLS || process.of(processes.total()) > LONG || factors >= MANY_FACTORS;
    if !is_large || !(2..=MAX_SCREENED).contains(&factors) {
        return Vec::new();
    }
    let is_built = study
        .factors
        .iter()
        .filter(away)
        .any(|factor| factor.away_combined(&study.arms).is_some_and(|level| !factor.in_one_binary(level)));
    let workloads = study.workloads.len();
    let per_cell = workloads * (study.blocks + study.counting_repeats) as usize + 1;
    let builds = |cells: usize| if is_built { count(cells) } else { "1".to_owned() };
    let row = |name: &str, cells: usize, tells: String| {
        vec![name.to_owned(), count(cells), builds(cells), human(process.of(cells * per_cell)), tells]
    };
    let is_new = |kind: DesignKind, own: usize| !study.designs.contains(&kind) && own < cells;
    let folded = design::folded_cells(factors);
    let least = human(process.of((folded + 2) * (2 * workloads + 1)));
    let clean = if is_built { 16 } else { 32 };
    let mut out = vec![row(
        "cargo ablate screen",
        folded,
        format!(
            "which of {} matter, and then how these interact: {least} if two blocks decide, and then {clean} cells where 5 \
             factors are left",
            counted(factors, "factor")
        ),
    )];
    if let Some(p) = design::resolution_five(factors).filter(|p| *p > 0) {
        let own = 1 << (factors - p);
        if is_new(DesignKind::Fractional, own) {
            let tells = "main effects and interactions of two factors".to_owned();
            out.push(row(&format!("\"fractional\", fraction = {p}"), own, tells));
        }
    }
    if is_new(DesignKind::Foldover, folded) {
        out.push(row("\"foldover\"", folded, "main effects, clear of interactions of two factors".to_owned()));
    }
    if is_new(DesignKind::LeaveOneOut, factors + 1) {
        let times = (factors as f64 + 1.0) / 2.0;
        let tells = format!(
            "each factor alone; to be as precise as a foldover it takes {times:.0} times the processes of that"
        );
        out.push(row("\"leave-one-out\"", factors + 1, tells));
    }
    let screened = design::screening_cells(factors);
    if is_new(DesignKind::PlackettBurman, screened) {
        out.push(row("\"plackett-burman\"", screened, "main effects, if nothing interacts".to_owned()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::parsed;
    use crate::tools::plan::process_time;
    use std::path::Path;

    fn rows(factors: usize, design: &str) -> Vec<Vec<String>> {
        let factor = |i| format!("[[factor]]\nname = \"f{i}\"\n[factor.levels]\non = {{}}\noff = {{ F{i} = \"1\" }}\n");
        let all: String = (0..factors).map(factor).collect();
        let head = format!("study = \"demo\"\nseed = 7\nblocks = 3\narms = [\"env\"]\ndesign = [\"{design}\"]\n");
        let tail = "[[workload]]\nname = \"one\"\nargs = []\n";
        let study =
            parsed(&format!("{head}[subject]\npackage = \"subject\"\n{all}{tail}")).expect("the config is good");
        let design = crate::design::resolve(&study).expect("the design is good");
        others(&study, &design, &process_time("demo", Path::new("/no/such/folder")))
    }

    #[test]
    fn large_designs_have_others_with_their_numbers() {
        let names = |rows: &[Vec<String>]| -> Vec<(String, String)> {
            rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect()
        };
        let of = |name: &str, cells: &str| (name.to_owned(), cells.to_owned());
        assert_eq!(
            names(&rows(10, "factorial")),
            [
                of("cargo ablate screen", "24"),
                of("\"fractional\", fraction = 3", "128"),
                of("\"foldover\"", "24"),
                of("\"leave-one-out\"", "11"),
                of("\"plackett-burman\"", "12"),
            ]
        );
        assert_eq!(names(&rows(40, "leave-one-out")), [of("cargo ablate screen", "88")]);
        assert_eq!(rows(4, "factorial"), Vec::<Vec<String>>::new());
    }
}
