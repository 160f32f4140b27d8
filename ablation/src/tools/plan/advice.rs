//! Advice on a design that is large: which one would be cheaper, with its number of cells and its time.

use super::cost::{ProcessTime, Processes};
use crate::config::{MAX_SCREENED, Study};
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
pub(super) const HEAD: [&str; 4] = ["instead", "cells", "time", "what it tells"];

/// Cheaper designs of the same factors, one row each; empty when the study is not large. Cells are those of the design with
/// the baseline.
pub(super) fn cheaper(study: &Study, plan: &Design, process: &ProcessTime) -> Vec<Vec<String>> {
    let levels = study.factors.iter().map(|factor| factor.away_combined(&study.arms).is_some());
    let factors = levels.filter(|has_two| *has_two).count();
    let processes = Processes::of(study, plan);
    let cells = plan.plan.cells.len();
    let is_large = cells > MANY_CELLS || process.of(processes.total()) > LONG || factors >= MANY_FACTORS;
    if !is_large || !(2..=MAX_SCREENED).contains(&factors) {
        return Vec::new();
    }
    let per_cell = study.workloads.len() * (study.blocks + study.counting_repeats) as usize;
    let row = |name: &str, cells: usize, tells: String| {
        vec![name.to_owned(), count(cells), human(process.of(cells * (per_cell + 1))), tells]
    };
    let mut out = Vec::new();
    let folded = design::folded_cells(factors);
    if cells > folded || factors >= MANY_FACTORS {
        let least = human(process.of((folded + 2) * (2 * study.workloads.len() + 1)));
        let name = "cargo ablate screen";
        let tells = format!(
            "which of {} matter, and then how these interact; the screen takes {least} if two blocks decide, and the clean \
             stage 32 cells where 5 factors are left",
            counted(factors, "factor")
        );
        out.push(row(name, folded, tells));
    }
    if let Some(p) = design::resolution_five(factors).filter(|p| *p > 0 && 1 << (factors - p) < cells) {
        let tells = "main effects and interactions of two factors".to_owned();
        out.push(row(&format!("design \"fractional\", fraction = {p}"), 1 << (factors - p), tells));
    }
    if cells > folded {
        out.push(row("design \"foldover\"", folded, "main effects, clear of interactions of two factors".to_owned()));
    }
    if cells > factors + 2 {
        let times = (factors + 1) as f64 / 2.0;
        let tells = format!(
            "the effect of each factor alone, for which it takes {times:.0} times the processes of a foldover that is as precise"
        );
        out.push(row("design \"leave-one-out\"", factors + 1, tells));
    }
    let least = design::screening_cells(factors);
    if cells > least && least < folded {
        out.push(row("design \"plackett-burman\"", least, "main effects, if nothing interacts".to_owned()));
    }
    out
}
