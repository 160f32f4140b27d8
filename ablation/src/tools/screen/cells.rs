//! The cells of a two-level design as signs: +1 where a factor is at work, −1 where it is away.

use crate::prove::JudgedRun;
use ablate_format::{CellPlan, Pass, Status, StudyPlan};

/// The cells of a design with their signs, in the order of [`StudyPlan::crossed`]. Empty when the plan has no such design.
pub(super) fn signed<'p>(plan: &'p StudyPlan, design: &str) -> Vec<(&'p str, Vec<i8>)> {
    let ids = plan.designs.get(design).map_or(&[][..], Vec::as_slice);
    let sign = |cell: &CellPlan| {
        let is_away = |crossed: &ablate_format::Crossed| {
            cell.levels.get(&crossed.factor).is_some_and(|level| is(level, &crossed.away))
        };
        plan.crossed.iter().map(|crossed| if is_away(crossed) { -1 } else { 1 }).collect()
    };
    let cells = ids.iter().filter_map(|id| plan.cells.iter().find(|cell| cell.id == *id));
    cells.map(|cell| (cell.id.as_str(), sign(cell))).collect()
}

/// Whether a level is the one without the factor, which another build has as `absent`.
fn is(level: &str, away: &str) -> bool {
    level == away || (level == "absent" && away == "off")
}

/// The runs of a folded-over design, each with its mirror: ids, and the signs of the run. In the run the first factor is
/// at work. A run without a mirror is left out.
pub(super) fn folded(plan: &StudyPlan) -> Vec<([&str; 2], Vec<i8>)> {
    let all = signed(plan, "foldover");
    let mirror =
        |signs: &[i8]| all.iter().find(|(_, other)| other.iter().zip(signs).all(|(a, b)| *a == -b)).map(|(id, _)| *id);
    let runs = all.iter().filter(|(_, signs)| signs.first() == Some(&1));
    runs.filter_map(|(id, signs)| Some(([*id, mirror(signs)?], signs.clone()))).collect()
}

/// Timed runs that are not proven.
pub(super) fn unproven(runs: &[JudgedRun]) -> usize {
    runs.iter().filter(|run| run.pass == Pass::Timing && run.status != Status::Ok).count()
}
