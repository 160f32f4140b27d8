//! Effects of contrasts with their verdicts.

use super::counts::PerOperation;
use super::floors::{Floors, floors, hold_to_floor, layout_floors};
use super::index::{CellRuns, Runs, Timed, build_failed};
use super::machines::OverMachines;
use super::table::{Column, Table};
use super::values::{CellSummary, Effect, estimate};
use super::words::{Proof, Response, Verdict};
use super::{agreement, foreign, read_back};
use crate::prove;
use crate::support::count::counted_verb;
use ablate_format::effects::Estimate;
use ablate_format::{Arm, CellKind, Contrast, Crossed, FactorPlan, MainResponse, Manifest, Status, StudyPlan};
use ablate_stats::MIN_BLOCKS;
use ablate_stats::bootstrap::{CONFIDENCE, DRAWS, Drawn};
use ablate_stats::series::Series;
use ablate_stats::{factorial, many};
use std::collections::BTreeMap;

/// Two cells that differ in what the contrast is about.
type Pair<'r, 'a> = (&'r CellRuns<'a>, &'r CellRuns<'a>);

/// Every one of [`Response::timed`] of every contrast of the plan with its draws, in this order; NaN where a cell is missing.
pub(super) fn drawn(plan: &StudyPlan, main: MainResponse, runs: &Runs, table: &Table) -> Vec<Drawn> {
    let missing = || Drawn::new(f64::NAN, 0, vec![f64::NAN; DRAWS]);
    let mut out = Vec::new();
    for contrast in &plan.contrasts {
        let pairs = pairs(plan, runs, contrast);
        let value = |response: &Response| of_contrast(plan, table, contrast, &pairs, Column::of(*response, main));
        out.extend(Response::timed(main).iter().map(|response| value(response).unwrap_or_else(missing)));
    }
    out
}

/// How much of the interval of every value of [`drawn`] is because of code layouts, as
/// [`Table::half_width_of_layouts`] has it.
pub(super) fn half_widths_of_layouts(plan: &StudyPlan, main: MainResponse, table: &Table) -> Vec<Option<f64>> {
    let of = |contrast: &Contrast, response: &Response| {
        table.half_width_of_layouts(&contrast.plus, &contrast.minus, Column::of(*response, main))
    };
    let responses = Response::timed(main);
    plan.contrasts.iter().flat_map(|contrast| responses.iter().map(move |response| of(contrast, response))).collect()
}

/// The main response of every contrast over all batches, disturbed or not; nothing where [`drawn`] is over these.
pub(super) fn over_all_batches(plan: &StudyPlan, runs: &Runs, table: &Table) -> Vec<Option<Estimate>> {
    let of = |contrast: &Contrast| {
        let drawn = of_contrast(plan, table, contrast, &pairs(plan, runs, contrast), Column::AllBatches)?;
        estimate(&drawn)
    };
    plan.contrasts.iter().map(of).collect()
}

/// Standard deviations of effects between builds, between code layouts and between blocks of one layout: the root mean
/// squares over the contrasts that are of two cells. `None` where no contrast has both.
pub(super) fn over_layouts(plan: &StudyPlan, table: &Table) -> Option<(f64, f64)> {
    let parts = plan.contrasts.iter().filter_map(|c| table.over_layouts(&c.plus, &c.minus, Column::Main));
    let both: Vec<(f64, f64)> = parts.filter_map(|parts| parts.between.zip(parts.within)).collect();
    let root =
        |of: fn(&(f64, f64)) -> f64| (both.iter().map(|pair| of(pair).powi(2)).sum::<f64>() / both.len() as f64).sqrt();
    (!both.is_empty()).then(|| (root(|pair| pair.0), root(|pair| pair.1)))
}

fn of_contrast(plan: &StudyPlan, table: &Table, contrast: &Contrast, pairs: &[Pair], column: Column) -> Option<Drawn> {
    if pairs.is_empty() && contrast.contrast == "main" {
        return by_columns(plan, table, &contrast.factor, column);
    }
    let each = pairs.iter().map(|(a, b)| table.difference(&a.plan.id, &b.plan.id, column));
    let each: Vec<Drawn> = each.collect::<Option<_>>()?;
    Drawn::linear(each.iter().map(|d| (1.0 / each.len() as f64, d)))
}

/// Main effect from a fraction of a factorial or a screen: the mean of the cells with the factor minus that of the cells
/// without. `None` when a cell has no proven run, for then the columns are no longer orthogonal.
pub(super) fn by_columns(plan: &StudyPlan, table: &Table, factor: &str, column: Column) -> Option<Drawn> {
    let designs = ["fractional", "plackett-burman"].into_iter();
    let ids = designs.filter_map(|design| plan.designs.get(design)).max_by_key(|ids| ids.len())?;
    let at = plan.crossed.iter().position(|crossed| crossed.factor == factor)?;
    let (mut signs, mut values) = (Vec::new(), Vec::new());
    for id in ids {
        let cell = plan.cells.iter().find(|cell| cell.id == *id)?;
        let is_away = |c: &Crossed| cell.levels.get(&c.factor).is_some_and(|level| *level == c.away);
        signs.push(plan.crossed.iter().map(|c| if is_away(c) { -1 } else { 1 }).collect());
        values.push(table.cell(id)?.of(column)?.clone());
    }
    factorial::contrast_of_columns(&signs, &values).into_iter().nth(at)
}

/// Block by block differences of every contrast in the main response, for the cross-check of means.
pub(super) fn differences_by_block(plan: &StudyPlan, main: MainResponse, runs: &Runs) -> Vec<Series> {
    let series = |contrast: &Contrast| differences(runs, &pairs(plan, runs, contrast), |run| run.value(main));
    plan.contrasts.iter().map(series).collect()
}

/// What effects are computed from.
pub(super) struct Evidence<'a> {
    /// What [`drawn`] gave.
    pub(super) drawn: &'a [Drawn],
    /// What [`differences_by_block`] gave.
    pub(super) by_block: &'a [Series],
    /// What [`over_all_batches`] gave.
    pub(super) all_batches: &'a [Option<Estimate>],
    /// What [`super::machines::over`] gave for [`drawn`].
    pub(super) machines: &'a [Option<OverMachines>],
    /// The gap to the reference peer when the peer is better, told apart from 0.
    pub(super) reference: Option<&'a Drawn>,
}

/// Effects of every contrast in every response, and the noise floor in nanoseconds.
pub(super) fn effects(
    manifest: &Manifest,
    main: MainResponse,
    runs: &Runs,
    cells: &[CellSummary],
    evidence: &Evidence,
) -> (Vec<Effect>, Floors) {
    let contrasts = &manifest.plan.contrasts;
    let mut rows: Vec<Effect> = Vec::new();
    let together = together(contrasts, main, evidence.drawn);
    let step = Response::timed(main).len();
    let in_table = contrasts.iter().filter(|contrast| contrast.attribution).count();
    for (at, (contrast, drawn)) in contrasts.iter().zip(evidence.drawn.chunks_exact(step)).enumerate() {
        let pairs = pairs(&manifest.plan, runs, contrast);
        let mut refusal = refusal(manifest, runs, contrast, &pairs);
        let (mut unproven, mut evidence_of_levels) = (None, String::new());
        // A switch that changes what the program prints does something.
        let prints_otherwise = runs.print_otherwise(pairs.iter().copied());
        if refusal.is_none() && prints_otherwise && foreign::concerns(manifest, contrast) {
            evidence_of_levels = foreign::OUTPUTS_DIFFER.to_owned();
        } else if refusal.is_none() && foreign::concerns(manifest, contrast) {
            let plans: Vec<_> = pairs.iter().map(|(plus, minus)| (plus.plan, minus.plan)).collect();
            let counts = |id: &str| cells.iter().find(|cell| cell.id == id).map(|cell| &cell.counts);
            let told = read_back::proof(&contrast.factor, &plans, runs);
            match told.unwrap_or_else(|| foreign::proof(manifest, &contrast.factor, &plans, runs.outputs(), counts)) {
                (Proof::Invalid, reason) => refusal = Some((Verdict::Invalid, reason)),
                (Proof::Unproven, reason) => unproven = Some(reason),
                (_, told) => evidence_of_levels = told,
            }
        }
        for (column, (response, drawn)) in Response::timed(main).iter().copied().zip(drawn).enumerate() {
            // As with counts: a column that no cell has is absent.
            let is_beside = column > 0 && Response::MEMORY.contains(&response);
            if is_beside && cells.iter().all(|cell| of_cell(cell, response, main).is_none()) {
                continue;
            }
            let mut row = empty(&manifest.plan, contrast, response);
            row.evidence.clone_from(&evidence_of_levels);
            row.blocks = drawn.blocks;
            match &refusal {
                Some((verdict, reason)) => (row.verdict, row.reason) = (*verdict, reason.clone()),
                None => {
                    timed(&mut row, drawn, together[at * step + column]);
                    if let Some(over) = evidence.machines.get(at * step + column).and_then(Option::as_ref) {
                        over_machines(&mut row, over, in_table);
                    }
                    row.share = evidence
                        .reference
                        .filter(|_| response == Response::main(main))
                        .and_then(|gap| estimate(&drawn.combine(gap, |effect, gap| effect / gap)));
                    if column == 0 {
                        row.all_batches = evidence.all_batches[at];
                    }
                }
            }
            mark(&mut row, unproven.as_deref());
            rows.push(row);
        }
        for (response, instrument) in Response::COUNTED {
            // A column that was not counted is absent; one that this contrast cannot claim is null.
            if cells.iter().all(|cell| !cell.counts.contains_key(instrument)) {
                continue;
            }
            let mut row = empty(&manifest.plan, contrast, response);
            row.evidence.clone_from(&evidence_of_levels);
            match &refusal {
                Some((verdict, reason)) => (row.verdict, row.reason) = (*verdict, reason.clone()),
                None => counted(&mut row, &pairs, cells, instrument),
            }
            mark(&mut row, unproven.as_deref());
            rows.push(row);
        }
    }
    let floors = floors(contrasts, &rows);
    let layout_floors = layout_floors(&rows);
    for row in &mut rows {
        hold_to_floor(row, &floors);
        if row.arm.is_some_and(Arm::has_own_binary) && row.contrast != "placebo" {
            hold_to_floor(row, &layout_floors);
        }
    }
    let floor_ns = floors.get(&Response::main(main)).copied().flatten();
    match main {
        MainResponse::P10 => agreement::of_percentiles(&mut rows),
        main => agreement::of_estimators(&mut rows, Response::main(main), evidence.by_block, floor_ns),
    }
    agreement::with_all_batches(&mut rows);
    for row in &mut rows {
        row.proof = proof(row, runs, &manifest.plan);
        let baseline = cells.iter().find(|cell| cell.kind == CellKind::Baseline);
        let baseline = baseline.and_then(|cell| of_cell(cell, row.response, main)).filter(|value| *value != 0.0);
        row.of_baseline = row.estimate.zip(baseline).map(|(estimate, baseline)| estimate / baseline.abs());
    }
    let layout_ns = layout_floors.get(&Response::main(main)).copied().flatten();
    (rows, Floors { switch_ns: floor_ns, layout_ns })
}

/// The cells of a contrast; for a main effect of a factorial every pair that differs in the factor only.
///
/// Pairs with a cell that has no proven run at all are left out of a main effect; otherwise one broken cell would take
/// the whole factorial with it.
fn pairs<'r, 'a>(plan: &StudyPlan, runs: &'r Runs<'a>, contrast: &Contrast) -> Vec<Pair<'r, 'a>> {
    if contrast.contrast != "main" {
        let pair = runs.cell(&contrast.plus).zip(runs.cell(&contrast.minus));
        return pair.into_iter().collect();
    }
    let by_levels: BTreeMap<&BTreeMap<String, String>, &CellRuns> = runs
        .cells
        .iter()
        .filter(|cell| matches!(cell.plan.kind, CellKind::Baseline | CellKind::Treatment))
        .filter(|cell| !cell.timing.is_empty())
        .map(|cell| (&cell.plan.levels, cell))
        .collect();
    let mut pairs = Vec::new();
    for (levels, plus) in &by_levels {
        let baseline = plan.factors.iter().find(|f| f.name == contrast.factor).map(|f| &f.baseline);
        let away = plan.crossed.iter().find(|crossed| crossed.factor == contrast.factor).map(|c| &c.away);
        let (Some(away), true) = (away, levels.get(&contrast.factor) == baseline) else { continue };
        let mut without = (*levels).clone();
        without.insert(contrast.factor.clone(), away.clone());
        pairs.extend(by_levels.get(&without).map(|minus| (*plus, *minus)));
    }
    pairs
}

/// One difference a block: the mean over the pairs, in the blocks in which all of them are complete.
fn differences(runs: &Runs, pairs: &[Pair], value: impl Fn(&Timed) -> Option<f64>) -> Series {
    let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (plus, minus) in pairs {
        for (block, plus, minus) in runs.paired(plus, minus) {
            let Some((plus, minus)) = value(&plus).zip(value(&minus)) else { continue };
            let sum = sums.entry(block).or_default();
            sum.0 += plus - minus;
            sum.1 += 1;
        }
    }
    let complete = sums.into_iter().filter(|(_, (_, seen))| *seen == pairs.len());
    Series::new(complete.map(|(block, (sum, seen))| (block, sum / seen as f64)))
}

/// Why nothing can be claimed about a contrast in this workload.
fn refusal(manifest: &Manifest, runs: &Runs, contrast: &Contrast, pairs: &[Pair]) -> Option<(Verdict, String)> {
    if pairs.is_empty() && contrast.contrast == "main" && contrast.plus.is_empty() {
        // A fraction has no two cells that differ in one factor only; its effects come from columns.
        return None;
    }
    if pairs.is_empty() {
        return Some((Verdict::Inconclusive, "no two proven cells differ in this factor only".to_owned()));
    }
    for (plus, minus) in pairs {
        for cell in [plus, minus] {
            let id = &cell.plan.id;
            if build_failed(manifest, cell.plan) || cell.runs_that(Status::BuildFailed) > 0 {
                return Some((Verdict::BuildFailed, format!("`{id}` could not be built")));
            }
            if !cell.timing.is_empty() {
                continue;
            }
            return Some(match cell.worst() {
                Some((Status::Invalid, runs)) => {
                    let why = cell.why_invalid.map_or_else(String::new, |why| format!(": {why}"));
                    let runs = counted_verb(runs, "run", ["is", "are"]);
                    (Verdict::Invalid, format!("`{id}`: no proven run, {runs} invalid{why}"))
                }
                Some(_) => (Verdict::Invalid, format!("`{id}`: no proven run, {}", cell.status())),
                None => (Verdict::Inconclusive, format!("`{id}` was not run")),
            });
        }
    }
    not_exercised(&manifest.plan, runs, contrast, pairs).map(|reason| (Verdict::NotExercised, reason))
}

/// Whether both cells of a row did what they were run for, whatever the blocks suffice to say.
fn proof(row: &Effect, runs: &Runs, plan: &StudyPlan) -> Proof {
    if row.verdict == Verdict::NotExercised {
        return Proof::NotExercised;
    }
    if row.proof == Proof::Unproven {
        return Proof::Unproven;
    }
    let same = |c: &&Contrast| c.factor == row.factor && c.contrast == row.contrast && c.arm == row.arm;
    let pairs = plan.contrasts.iter().find(same).map_or_else(Vec::new, |contrast| pairs(plan, runs, contrast));
    let proven = |cell: &CellRuns| !cell.timing.is_empty();
    if row.contrast == "main" && pairs.is_empty() {
        return if row.estimate.is_some() { Proof::Proven } else { Proof::Invalid };
    }
    let all = !pairs.is_empty() && pairs.iter().all(|(plus, minus)| proven(plus) && proven(minus));
    let refused = matches!(row.verdict, Verdict::Invalid | Verdict::BuildFailed);
    if all && !refused { Proof::Proven } else { Proof::Invalid }
}

/// Marks a row whose switch is unproven, with the reason.
fn mark(row: &mut Effect, unproven: Option<&str>) {
    if let Some(reason) = unproven {
        row.proof = Proof::Unproven;
        let gap = if row.reason.is_empty() { "" } else { "; " };
        row.reason += &format!("{gap}{reason}");
    }
}

/// The reason when none of the factors that the contrast is about did anything.
fn not_exercised(plan: &StudyPlan, runs: &Runs, contrast: &Contrast, pairs: &[Pair]) -> Option<String> {
    let (plus, minus) = pairs.first()?;
    let single = plan.factors.iter().filter(|factor| factor.name == contrast.factor);
    let mut factors: Vec<&FactorPlan> = single.collect();
    if factors.is_empty() {
        let differs = |f: &&FactorPlan| plus.plan.levels.get(&f.name) != minus.plan.levels.get(&f.name);
        factors = plan.factors.iter().filter(differs).collect();
    }
    let mut reasons = Vec::new();
    for factor in &factors {
        let works = |cell: &&&CellRuns| {
            cell.plan.levels.get(&factor.name).is_some_and(|level| level != "off" && level != "absent")
        };
        let plus: Vec<&CellRuns> = pairs.iter().map(|(plus, _)| plus).filter(works).copied().collect();
        // Where the baseline is off, it is the other cell that works; of two levels that both do, either may have work
        // that the other has not.
        let minus: Vec<&CellRuns> = pairs.iter().map(|(_, minus)| minus).filter(works).copied().collect();
        let mut sides = [plus, minus];
        if sides.iter().all(Vec::is_empty) {
            // A switch costs something only where its factor has work; the baseline shows whether it has.
            sides[0].extend(runs.baseline());
        }
        let mut still = None;
        for side in sides.iter().filter(|side| !side.is_empty()) {
            match prove::exercised(factor, side.iter().flat_map(|cell| cell.measured())) {
                Ok(_) => return None,
                Err(reason) => still = still.or(Some(reason)),
            }
        }
        reasons.extend(still);
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The level of one factor that a contrast compares with the baseline's.
fn level(plan: &StudyPlan, contrast: &Contrast) -> Option<String> {
    if contrast.contrast == "main" {
        return plan.crossed.iter().find(|c| c.factor == contrast.factor).map(|c| c.away.clone());
    }
    let factor = plan.factors.iter().find(|factor| factor.name == contrast.factor)?;
    // Names of levels have hyphens too, so only what follows the known baseline is the level.
    let level = contrast.contrast.strip_prefix(&factor.baseline)?.strip_prefix('-')?;
    Some(level.to_owned()).filter(|_| contrast.attribution)
}

/// A row about which nothing is known yet.
fn empty(plan: &StudyPlan, contrast: &Contrast, response: Response) -> Effect {
    Effect {
        factor: contrast.factor.clone(),
        contrast: contrast.contrast.clone(),
        level: level(plan, contrast),
        arm: contrast.arm,
        response,
        attribution: contrast.attribution,
        estimate: None,
        lo: None,
        hi: None,
        together: None,
        all_batches: None,
        blocks: 0,
        detectable: None,
        proof: Proof::Proven,
        evidence: String::new(),
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        share: None,
        of_baseline: None,
        machines: None,
    }
}

/// A cell's value in a response, in its unit.
fn of_cell(cell: &CellSummary, response: Response, main: MainResponse) -> Option<f64> {
    if let Some((_, instrument)) = Response::COUNTED.iter().find(|(counted, _)| *counted == response) {
        return cell.per_operation(instrument);
    }
    let value = match response {
        _ if response == Response::main(main) => cell.value(main),
        Response::RssPeakBytes => cell.memory.peak,
        Response::RssMeanBytes => cell.memory.mean,
        _ => cell.value(MainResponse::P50),
    };
    value.map(|value| value.value)
}

/// Intervals of the rows of the attribution table that hold together, one family for each response; of other rows none.
fn together(contrasts: &[Contrast], main: MainResponse, drawn: &[Drawn]) -> Vec<Option<(f64, f64)>> {
    let step = Response::timed(main).len();
    let mut out = vec![None; drawn.len()];
    for column in 0..step {
        let of_table = contrasts.iter().enumerate().filter(|(_, contrast)| contrast.attribution);
        let places: Vec<usize> = of_table.map(|(at, _)| at * step + column).collect();
        let rows: Vec<&Drawn> = places.iter().map(|at| &drawn[*at]).collect();
        for (place, interval) in places.into_iter().zip(many::simultaneous(&rows)) {
            out[place] = interval;
        }
    }
    out
}

/// The verdict is by the interval that holds together with the rest of the table, where the row belongs to one.
fn timed(row: &mut Effect, drawn: &Drawn, together: Option<(f64, f64)>) {
    row.estimate = drawn.point.is_finite().then_some(drawn.point);
    row.detectable = drawn.detectable();
    let (Some(estimate), Some((lo, hi))) = (row.estimate, drawn.interval()) else {
        row.reason = format!("too few blocks for an interval ({} of {MIN_BLOCKS})", row.blocks);
        return;
    };
    (row.lo, row.hi) = (Some(lo), Some(hi));
    row.together = together;
    claim(row, estimate, together.unwrap_or((lo, hi)));
}

/// Writes an effect over machines into its row, as its value, which decides the verdict; the interval that holds together
/// with the other `in_table` rows of the table is Bonferroni's.
fn over_machines(row: &mut Effect, over: &OverMachines, in_table: usize) {
    row.machines = Some(Box::new(over.clone()));
    if row.lo.is_none() {
        return;
    }
    let mean = over.deciding();
    let (lo, hi) = mean.interval_at(CONFIDENCE);
    (row.estimate, row.lo, row.hi) = (Some(mean.estimate), Some(lo), Some(hi));
    row.detectable = Some(mean.detectable_at(CONFIDENCE));
    let confidence = 1.0 - (1.0 - CONFIDENCE) / in_table.max(1) as f64;
    row.together = row.attribution.then(|| mean.interval_at(confidence));
    claim(row, mean.estimate, row.together.unwrap_or((lo, hi)));
}

/// The verdict by an interval.
fn claim(row: &mut Effect, estimate: f64, (lo, hi): (f64, f64)) {
    let detectable = row.detectable.unwrap_or(f64::INFINITY);
    (row.verdict, row.reason) = if lo > 0.0 || hi < 0.0 {
        (row.response.verdict_of(lo), String::new())
    } else if estimate.abs() < detectable || (lo == 0.0 && hi == 0.0) {
        (Verdict::NotDetected, format!("{} contains 0", deciding(row)))
    } else {
        let why = format!("{} contains 0, yet the effect is as large as could be found", deciding(row));
        (Verdict::Inconclusive, why)
    };
}

/// The name of the interval that a verdict is by: where it is not the one in the tables, a reader must not look for 0 there.
fn deciding(row: &Effect) -> &'static str {
    match row.together.is_some() && row.together != row.lo.zip(row.hi) {
        true => "the interval that holds for all factors together",
        false => "the interval",
    }
}

fn counted(row: &mut Effect, pairs: &[Pair], cells: &[CellSummary], instrument: &str) {
    let count = |cell: &CellRuns| -> Option<PerOperation> {
        cells.iter().find(|summary| summary.id == cell.plan.id)?.counts.get(instrument).copied()
    };
    let (mut sum, mut lo, mut hi, mut repeats, mut n) = (0.0, 0.0, 0.0, usize::MAX, 0.0);
    for (plus, minus) in pairs {
        let (Some(plus), Some(minus)) = (count(plus), count(minus)) else {
            row.reason = format!("no count of {instrument} in one of the cells");
            return;
        };
        sum += plus.value - minus.value;
        lo += plus.lo - minus.hi;
        hi += plus.hi - minus.lo;
        repeats = repeats.min(plus.repeats).min(minus.repeats);
        n += 1.0;
    }
    (row.estimate, row.lo, row.hi, row.blocks) = (Some(sum / n), Some(lo / n), Some(hi / n), repeats);
    (row.verdict, row.reason) = if lo > 0.0 || hi < 0.0 {
        (row.response.verdict_of(lo), String::new())
    } else {
        (Verdict::NotDetected, "the repeats overlap".to_owned())
    };
}
