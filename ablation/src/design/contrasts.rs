//! The contrasts: pairs of cells that are compared. An effect is positive when the factor costs. A contrast whose cells
//! cannot exist is left out.

use super::axis::{Axis, Levels, arm_in_one_binary, arm_in_own_binary, moved};
use super::cells::{Cells, Made};
use super::treatments::{Treatment, Treatments, without};
use crate::config::{DesignKind, Study};
use ablate_format::{Arm, Contrast};
use std::collections::HashSet;

pub(super) fn contrasts(study: &Study, axes: &[Axis<'_>], treatments: &Treatments, cells: &Cells) -> Vec<Contrast> {
    let mut rows = Rows { axes, treatments, cells, out: Vec::new() };
    for (treatment, made) in treatments.list.iter().zip(&cells.made) {
        let mut moved = moved(axes, &treatment.levels);
        match (moved.next(), moved.next()) {
            (Some((axis, level)), None) => rows.one_factor(axis, level, *made),
            _ if treatment.summary => rows.several_factors(treatment, *made),
            _ => {}
        }
    }
    if study.designs.contains(&DesignKind::AddOneIn) {
        rows.alone();
    }
    rows.main(study);
    rows.push("placebo", "placebo", None, "placebo", "baseline", false);
    if study.subject.placebo_feature.is_some() {
        rows.push("placebo", "placebo", Some(Arm::Feature), "placebo@feature", "baseline", false);
    }
    rows.out
}

struct Rows<'a> {
    axes: &'a [Axis<'a>],
    treatments: &'a Treatments,
    cells: &'a Cells,
    out: Vec<Contrast>,
}

impl Rows<'_> {
    fn push(&mut self, factor: &str, contrast: &str, arm: Option<Arm>, plus: &str, minus: &str, attribution: bool) {
        self.out.push(Contrast {
            factor: factor.to_owned(),
            contrast: contrast.to_owned(),
            arm,
            plus: plus.to_owned(),
            minus: minus.to_owned(),
            attribution,
        });
    }

    fn one_factor(&mut self, axis: &Axis<'_>, level: u8, made: Made) {
        let cells = &self.cells.list;
        let (factor, baseline) = (&axis.factor.name, &axis.factor.baseline);
        for cell in made.both().map(|index| &cells[index]) {
            // As the program reports it: `off` of another build is `absent`.
            let contrast = format!("{baseline}-{}", cell.levels[factor]);
            self.push(factor, &contrast, cell.arm, "baseline", &cell.id, true);
        }
        if let (Some(off), Some(absent), "off") = (made.binary, made.own_binary, axis.name(level)) {
            self.push(factor, "off-absent", None, &cells[off].id, &cells[absent].id, false);
        }
    }

    fn several_factors(&mut self, treatment: &Treatment, made: Made) {
        let contrast = format!("baseline-{}", treatment.name);
        let cells = &self.cells.list;
        for cell in made.both().map(|index| &cells[index]) {
            self.push(&treatment.name, &contrast, cell.arm, "baseline", &cell.id, false);
        }
    }

    /// Id of the cell with these levels, in the baseline's binary or in its own. Another design may have named it.
    fn cell(&self, levels: &Levels, arm: Arm) -> Option<String> {
        if levels.iter().all(|level| *level == 0) {
            return Some("baseline".to_owned());
        }
        let made = self.cells.made[*self.treatments.by_levels.get(levels)?];
        let index = if arm.has_own_binary() { made.own_binary } else { made.binary };
        index.map(|index| self.cells.list[index].id.clone())
    }

    /// Contrasts of each factor alone with no factor.
    fn alone(&mut self) {
        let none = without(self.axes, None);
        for (i, axis) in self.axes.iter().enumerate().filter(|(_, axis)| axis.away.is_some()) {
            let mut own = vec![0; self.axes.len()];
            own[i] = none[i];
            let names: Vec<&str> = self.axes.iter().zip(&own).map(|(axis, level)| axis.name(*level)).collect();
            for arm in [arm_in_one_binary(self.axes, &own), arm_in_own_binary(self.axes, &names)] {
                let cells = (self.cell(&without(self.axes, Some(i)), arm), self.cell(&none, arm));
                if let (Some(plus), Some(minus)) = cells {
                    self.push(&axis.factor.name, "alone-none", Some(arm), &plus, &minus, false);
                }
            }
        }
    }

    /// Main effects of the designs that combine factors, without cell ids: the analysis finds the cells by their
    /// levels.
    fn main(&mut self, study: &Study) {
        let has = |kind| study.designs.contains(&kind);
        // The columns of a fraction are orthogonal only with all of its cells, so an incomplete one has no main
        // effects.
        let is_whole = |kind| has(kind) && self.cells.missing(self.treatments, kind) == 0;
        let fractions = [DesignKind::Fractional, DesignKind::PlackettBurman, DesignKind::Foldover];
        let by_fraction = fractions.into_iter().any(is_whole);
        let there: HashSet<Levels> = self.combined();
        let mut names = Vec::new();
        for (i, axis) in self.axes.iter().enumerate() {
            let Some(away) = axis.crossed_away else { continue };
            let is_paired = |levels: &Levels| levels[i] == 0 && there.contains(&replaced(levels, i, away));
            if by_fraction || (has(DesignKind::Factorial) && there.iter().any(is_paired)) {
                let name = axis.name(away);
                let arm = match axis.factor.in_one_binary(name) {
                    true => axis.factor.arm_in_one_binary(name),
                    false => axis.factor.arm_in_own_binary(axis.combined_name(away)),
                };
                names.push((axis.factor.name.clone(), arm));
            }
        }
        for (name, arm) in names {
            self.push(&name, "main", Some(arm), "", "", true);
        }
    }

    /// Levels of all combinations that run.
    fn combined(&self) -> HashSet<Levels> {
        let all = self.treatments.list.iter().zip(&self.cells.made);
        let there = all.filter(|(_, made)| made.combined().is_some()).map(|(treatment, _)| treatment.levels.clone());
        std::iter::once(vec![0; self.axes.len()]).chain(there).collect()
    }
}

fn replaced(levels: &Levels, at: usize, level: u8) -> Levels {
    let mut out = levels.clone();
    out[at] = level;
    out
}
