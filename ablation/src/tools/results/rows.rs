//! Results as rows: what every cell takes, and what every factor costs, in the response that its workload is judged by.

use super::folder::Results;
use crate::analyse::{Table, is_away, is_unproven, word_of};
use crate::report;
use ablate_format::effects::{CellRow, CrossedFactor, EffectRow, Estimate};
use ablate_format::{Arm, CellKind, CellPlan, Contrast, MainResponse, StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::Drawn;

/// What a row is about, the same in every folder that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The workload.
    pub(crate) workload: String,
    /// The cell or the factor.
    pub(crate) subject: Subject,
}

/// A cell or a factor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A cell, by its id.
    Cell(String),
    /// A factor, or a level of one.
    Factor {
        /// The factor, or `factor: level`.
        title: String,
        /// Kind of contrast, or `shapley`.
        contrast: String,
        /// Arm; empty for Shapley values and where there is none.
        arm: String,
    },
}

impl Subject {
    /// `baseline`, `peer-mimalloc`; `cache`, `opt: o2 (build)`.
    pub(crate) fn name(&self) -> String {
        match self {
            Subject::Cell(id) => id.clone(),
            Subject::Factor { title, arm, .. } if arm.is_empty() => title.clone(),
            Subject::Factor { title, arm, .. } => format!("{title} ({arm})"),
        }
    }

    /// `cell` or `factor`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Subject::Cell(_) => "cell",
            Subject::Factor { .. } => "factor",
        }
    }
}

/// One value of a folder.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) key: Key,
    /// The response of its workload.
    pub(crate) response: MainResponse,
    /// Whether a process as a whole is one operation.
    pub(crate) is_per_run: bool,
    /// The value with its own interval: what a cell takes, or what a factor costs (negative: saves), as reports have it.
    /// `None` when nothing is proven.
    pub(crate) value: Option<Estimate>,
    /// The same with its draws, where the folder has records.
    pub(crate) drawn: Option<Drawn>,
    /// Natural logarithm of a cell's value with its draws.
    pub(crate) log: Option<Drawn>,
    /// Kind of the cell; `None` for a factor.
    pub(crate) kind: Option<CellKind>,
    /// Ids of the cells that it is made of.
    pub(crate) cells: Vec<String>,
    /// What the study says of it by itself: a verdict of effects, or the proof of a cell.
    pub(crate) verdict: String,
    /// Whether nothing tells the levels of the factor apart, so that nothing is claimed of it.
    pub(crate) is_unproven: bool,
}

/// Every row of a folder, workloads in the order of the plan, cells first.
pub(crate) fn rows(results: &Results) -> Vec<Row> {
    let plan = &results.manifest.plan;
    let mut out = Vec::new();
    for workload in &plan.workloads {
        let of = Of { results, plan, workload, table: table(results, &workload.name) };
        out.extend(plan.cells.iter().filter_map(|cell| of.cell(cell)));
        out.extend(of.factors());
    }
    out
}

fn table<'a>(results: &'a Results, workload: &str) -> Option<&'a Table> {
    let analysis = &results.measured.as_ref()?.analysis;
    analysis.tables.iter().find(|table| table.workload == workload)
}

/// One workload of a folder.
struct Of<'a> {
    results: &'a Results,
    plan: &'a StudyPlan,
    workload: &'a WorkloadPlan,
    table: Option<&'a Table>,
}

impl Of<'_> {
    fn cell(&self, plan: &CellPlan) -> Option<Row> {
        if !self.workload.runs(&plan.id) {
            return None;
        }
        let own = self.results.effects.cells.iter().find(|row| self.is_of(row, plan))?;
        let drawn = self.table.and_then(|table| table.cell(&plan.id));
        let log = drawn.map(|row| row.log.clone()).filter(|log| log.point.is_finite());
        let verdict = own.proof.clone().unwrap_or_else(|| own.status.clone());
        let subject = Subject::Cell(plan.id.clone());
        let drawn = drawn.map(|row| row.main.clone());
        let kind = Some(plan.kind);
        Some(Row { value: own.value, drawn, log, kind, verdict, ..self.row(subject, vec![plan.id.clone()]) })
    }

    fn is_of(&self, row: &CellRow, plan: &CellPlan) -> bool {
        row.workload == self.workload.name
            && match plan.kind {
                CellKind::Peer => row.treatment.is_none() && row.allocator == plan.name,
                _ => row.treatment.as_ref() == Some(&plan.name) && row.arm.as_deref() == plan.arm.map(Arm::as_str),
            }
    }

    /// Shapley values of crossed factors, and the rows of the attribution table of everything else.
    fn factors(&self) -> Vec<Row> {
        let crossed = self.results.effects.crossed.iter().find(|of| of.workload == self.workload.name);
        let shapley = self.table.map(Table::shapley).unwrap_or_default();
        let mut out: Vec<Row> = crossed
            .iter()
            .flat_map(|crossed| &crossed.factors)
            .map(|row| self.by_shapley(row, shapley.iter().find(|(factor, _)| *factor == row.factor).map(|(_, d)| d)))
            .collect();
        let titles: Vec<String> = out.iter().map(Row::title).collect();
        let effects = self.results.effects.effects.iter().filter(|row| row.workload == self.workload.name);
        let main = crate::analyse::Response::main(self.workload.response).as_str();
        for row in effects.filter(|row| row.response == main) {
            let contrast = self.plan.contrasts.iter().find(|of| is_of(row, of)).filter(|of| of.attribution);
            if let Some(made) = contrast.map(|contrast| self.by_effect(row, contrast)) {
                out.extend((!titles.contains(&made.title())).then_some(made));
            }
        }
        out
    }

    fn by_shapley(&self, own: &CrossedFactor, drawn: Option<&Drawn>) -> Row {
        let away = self.plan.crossed.iter().find(|of| of.factor == own.factor).map_or("off", |of| of.away.as_str());
        let subject = Subject::Factor {
            title: title(&own.factor, Some(away)),
            contrast: "shapley".to_owned(),
            arm: String::new(),
        };
        let sign = self.sign(Some(away));
        let is_proven = is_shown(&own.proof);
        let crossed = self.plan.designs.get("factorial").cloned().unwrap_or_default();
        Row {
            value: Some(own.shapley.alone).filter(|_| is_proven).map(|value| times(value, sign)),
            drawn: drawn.filter(|_| is_proven).map(|drawn| drawn.map(|value| value * sign)),
            verdict: said(is_proven, &own.shapley.verdict, &own.proof),
            is_unproven: is_unproven(&own.proof),
            ..self.row(subject, crossed)
        }
    }

    fn by_effect(&self, own: &EffectRow, contrast: &Contrast) -> Row {
        let subject = Subject::Factor {
            title: title(&own.factor, own.level.as_deref()),
            contrast: own.contrast.clone(),
            arm: own.arm.clone().unwrap_or_default(),
        };
        let sign = self.sign(own.level.as_deref());
        let value = own.estimate.filter(|_| is_shown(&own.proof)).map(|value| Estimate {
            value,
            interval: own.lo.zip(own.hi),
            blocks: own.blocks,
        });
        let drawn = value.and_then(|_| self.table?.effect(self.plan, contrast));
        let mut cells = vec![contrast.plus.clone(), contrast.minus.clone()];
        if contrast.plus.is_empty() {
            // A main effect is of all cells of its design.
            let designs = ["factorial", "fractional", "plackett-burman", "foldover"].into_iter();
            cells = designs.filter_map(|design| self.plan.designs.get(design)).flatten().cloned().collect();
        }
        Row {
            value: value.map(|value| times(value, sign)),
            drawn: drawn.map(|drawn| drawn.map(|value| value * sign)),
            verdict: said(value.is_some(), &own.verdict, &own.proof),
            is_unproven: is_unproven(&own.proof),
            ..self.row(subject, cells)
        }
    }

    fn is_per_run(&self) -> bool {
        let analysis = self.results.measured.as_ref().map(|measured| &measured.analysis);
        report::is_per_run(&self.results.effects, analysis, self.workload)
    }

    /// −1 where the contrast, baseline − other, is the other way round from what the title costs.
    fn sign(&self, level: Option<&str>) -> f64 {
        let of_level = if level.is_none_or(is_away) { 1.0 } else { -1.0 };
        if self.workload.response.quantity().is_better_high() { -of_level } else { of_level }
    }

    fn row(&self, subject: Subject, cells: Vec<String>) -> Row {
        let workload = self.workload.name.clone();
        Row {
            key: Key { workload, subject },
            response: self.workload.response,
            is_per_run: self.is_per_run(),
            value: None,
            drawn: None,
            log: None,
            kind: None,
            cells,
            verdict: String::new(),
            is_unproven: false,
        }
    }
}

impl Row {
    /// Whether it is an answer by itself: what a factor costs, what the baseline takes, or what a peer does. What a treatment
    /// takes is the baseline less what its factors cost, and the placebo is there to be compared with.
    pub(crate) fn is_told(&self) -> bool {
        !matches!(self.kind, Some(CellKind::Treatment | CellKind::Placebo))
    }

    fn title(&self) -> String {
        match &self.key.subject {
            Subject::Factor { title, .. } => title.clone(),
            Subject::Cell(id) => id.clone(),
        }
    }
}

/// Whether a row of the effects is of a contrast.
fn is_of(row: &EffectRow, contrast: &Contrast) -> bool {
    row.factor == contrast.factor
        && row.contrast == contrast.contrast
        && row.arm.as_deref() == contrast.arm.map(Arm::as_str)
}

/// The factor, or the factor with a level that is another one than "without it".
fn title(factor: &str, level: Option<&str>) -> String {
    match level {
        Some(level) if !is_away(level) => format!("{factor}: {level}"),
        _ => factor.to_owned(),
    }
}

/// Whether something was measured that the row is about.
fn is_shown(proof: &str) -> bool {
    proof == "proven" || proof == "unproven"
}

/// What is said of a factor, where it is shown, or why it is not.
fn said(is_shown: bool, verdict: &str, proof: &str) -> String {
    if is_shown { word_of(verdict, proof) } else { proof }.to_owned()
}

fn times(estimate: Estimate, sign: f64) -> Estimate {
    if sign > 0.0 { estimate } else { crate::analyse::negated(estimate) }
}
