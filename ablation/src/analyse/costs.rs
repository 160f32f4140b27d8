//! Effects with their draws, for results that are compared with those of another session.

use super::effects::by_columns;
use super::table::{Column, Table};
use ablate_format::{Contrast, StudyPlan};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::factorial;

impl Table {
    /// Shapley values of the crossed factors in the main response, by factor; empty when a cell is missing.
    pub(crate) fn shapley(&self) -> Vec<(String, Drawn)> {
        let Some((cells, masks)) = self.crossed().zip(self.masks.as_ref()) else { return Vec::new() };
        let values: Vec<Drawn> = cells.iter().map(|row| row.main.clone()).collect();
        masks.factors.iter().cloned().zip(factorial::shapley(&values)).collect()
    }

    /// The effect of a contrast in the main response, `plus − minus`; main effects as far as they are of columns.
    pub(crate) fn effect(&self, plan: &StudyPlan, contrast: &Contrast) -> Option<Drawn> {
        match contrast.contrast.as_str() {
            "main" => by_columns(plan, self, &contrast.factor, Column::Main),
            _ => self.main_difference(&contrast.plus, &contrast.minus),
        }
    }
}
