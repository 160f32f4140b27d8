//! Which figures a study has, and what they are drawn from.

use super::Study;
use crate::analyse::{CellSummary, Response, Verdict, WorkloadAnalysis};
use crate::gap::study::GapBreakdown;
use crate::report::figure::forest::{self, Row};
use crate::report::figure::grid::{self, Square};
use crate::report::figure::plane::{self, Place};
use crate::report::figure::strips::{self, Strip};
use crate::report::figure::waterfall::{self, Step};
use crate::report::figure::{Mark, Tone};
use crate::report::headline::{Standing, standings};
use crate::report::number::{Unit, counted, interval, percent, signed, signed_point};
use ablate_format::CellKind;
use ablate_format::effects::Estimate;

/// Rows of the figure over all workloads.
const CLAIMS_MAX: usize = 24;
/// Cells of the figures of single blocks.
const CELLS_MAX: usize = 40;

/// One figure.
pub(super) struct Figure {
    /// Its name in links and of its file.
    pub(super) id: String,
    /// What it shows.
    pub(super) title: String,
    /// The same in words, for those who do not see it.
    pub(super) words: String,
    /// How it is read.
    pub(super) legend: String,
    pub(super) svg: String,
}

/// The figures of a workload.
pub(super) struct OfWorkload {
    pub(super) figures: Vec<Figure>,
}

/// The figures of a study.
pub(super) struct Figures {
    /// What costs and saves most, over all workloads.
    pub(super) claims: Option<Figure>,
    /// One entry for each workload.
    pub(super) workloads: Vec<OfWorkload>,
}

impl Figures {
    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        self.claims.iter().chain(self.workloads.iter().flat_map(|of| &of.figures))
    }
}

pub(super) fn of_study(study: Study<'_>) -> Figures {
    let workloads =
        study.analysis.workloads.iter().map(|workload| OfWorkload { figures: of_workload(study, workload) });
    Figures { claims: claims(study), workloads: workloads.collect() }
}

fn of_workload(study: Study<'_>, workload: &WorkloadAnalysis) -> Vec<Figure> {
    let breakdowns = study.explained.breakdowns.iter().filter(|gap| gap.workload == workload.name);
    [attribution(study, workload), memory(study, workload), interactions(workload)]
        .into_iter()
        .flatten()
        .chain(breakdowns.map(gap))
        .chain(spread(workload))
        .chain(over_blocks(workload))
        .collect()
}

/// A name that a link and a file may have.
fn id(parts: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    parts.iter().map(|part| part.chars().map(plain).collect::<String>()).collect::<Vec<_>>().join("-")
}

fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Costs => Tone::Cost,
        Verdict::Saves => Tone::Saving,
        _ => Tone::Open,
    }
}

fn mark(estimate: Estimate) -> Mark {
    Mark::new(estimate.value, estimate.interval)
}

/// Every claim of every workload in percent of the baseline, the largest first.
fn claims(study: Study<'_>) -> Option<Figure> {
    let all = study.analysis.workloads.iter().flat_map(|workload| standings(study.manifest, workload));
    let mut rows: Vec<(f64, Row)> = all.filter(Standing::is_claim).filter_map(|standing| claim(&standing)).collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let found = rows.len();
    rows.truncate(CLAIMS_MAX);
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let left_out = match found.saturating_sub(CLAIMS_MAX) {
        0 => String::new(),
        more => format!(" {more} smaller ones are in the figures of their workloads."),
    };
    Some(Figure {
        id: "claims".to_owned(),
        title: "What costs and what saves, in percent of the baseline".to_owned(),
        words: words(&rows),
        legend: format!("Every effect that was told apart from 0, with its 95 % interval; + costs.{left_out}"),
        svg: forest::draw(&rows, "% of the baseline", None),
    })
}

fn claim(standing: &Standing<'_>) -> Option<(f64, Row)> {
    let share = standing.share()?;
    let cost = standing.cost(standing.added?);
    // The interval in the same percent as the value.
    let scale = if cost.value == 0.0 { return None } else { share * 100.0 / cost.value };
    let scaled = Estimate {
        value: cost.value * scale,
        interval: cost.interval.map(|(lo, hi)| (lo * scale, hi * scale)),
        ..cost
    };
    let row = Row {
        name: format!("{} in {}", standing.title, standing.workload.name),
        mark: Some(mark(scaled)),
        tone: tone(standing.verdict),
        text: percent(share),
    };
    Some((share, row))
}

/// The rows of a forest plot in words.
fn words(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{}: {}", row.name, row.text)).collect::<Vec<_>>().join("; ")
}

/// Every factor of one workload.
fn attribution(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let standings = standings(study.manifest, workload);
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let row = |standing: &Standing<'_>| {
        let cost = standing.added.map(|added| unit.estimate(standing.cost(added)));
        Row {
            name: standing.title.clone(),
            mark: cost.map(mark),
            tone: tone(standing.verdict),
            text: match cost {
                Some(cost) if standing.is_claim() => {
                    format!("{} {}", signed_point(cost.value, cost.interval), interval(cost.interval))
                }
                _ => standing.verdict.word().to_owned(),
            },
        }
    };
    let mut rows: Vec<Row> = standings.iter().map(row).collect();
    if !rows.iter().any(|row| row.mark.is_some()) {
        return None;
    }
    let value = |row: &Row| row.mark.map_or(f64::NEG_INFINITY, |mark| mark.value);
    rows.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let floor = workload.floor_ns.map(|floor| unit.from(floor));
    Some(Figure {
        id: id(&["attribution", &workload.name]),
        title: format!("What each factor costs in {}", workload.name),
        words: words(&rows),
        legend:
            "Value and 95 % interval; + costs. The grey band is the noise floor: what a switch without effect shows."
                .to_owned(),
        svg: forest::draw(&rows, &unit.with(workload.response), floor),
    })
}

/// Time and memory of the factors of which both are known.
fn memory(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let main = Response::main(workload.response);
    if main == Response::RssPeakBytes {
        return None;
    }
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let bytes = |estimate: Estimate| {
        let scaled = |bytes: f64| bytes / 1_048_576.0;
        Mark::new(scaled(estimate.value), estimate.interval.map(|(lo, hi)| (scaled(lo), scaled(hi))))
    };
    let of_memory = |effect: &crate::analyse::Effect| workload.sibling(effect, Response::RssPeakBytes)?.cost();
    let place = |effect: &crate::analyse::Effect| {
        let (time, memory) = (effect.cost()?, of_memory(effect)?);
        let is_claimed = time.excludes_zero() || memory.excludes_zero();
        let tone = if is_claimed { tone(effect.said()) } else { Tone::Open };
        Some(Place { name: effect.title(), x: mark(unit.estimate(time)), y: bytes(memory), tone })
    };
    let of_factor = |name: &str| workload.main_effects().find(|e| e.attribution && e.factor == name).and_then(place);
    let places: Vec<Place> = study.manifest.plan.factors.iter().filter_map(|factor| of_factor(&factor.name)).collect();
    if places.len() < 2 {
        return None;
    }
    let say = |place: &Place| {
        format!("{}: {} {}, {} MiB", place.name, signed(place.x.value), unit.label(), signed(place.y.value))
    };
    Some(Figure {
        id: id(&["memory", &workload.name]),
        title: format!("Time against memory in {}", workload.name),
        words: places.iter().map(say).collect::<Vec<_>>().join("; "),
        legend: "To the right: costs time. Upwards: costs memory, at its peak. Lines are 95 % intervals.".to_owned(),
        svg: plane::draw(&places, &unit.with(workload.response), "MiB at the peak"),
    })
}

/// The interactions of a workload whose factors are crossed.
fn interactions(workload: &WorkloadAnalysis) -> Option<Figure> {
    let crossed = workload.crossed.as_ref()?;
    let names: Vec<String> = crossed.factors.iter().map(|factor| factor.factor.clone()).collect();
    if crossed.interactions.is_empty() || names.len() > grid::most(&names) {
        return None;
    }
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let at = |name: &str| names.iter().position(|known| known == name);
    let cost = |value: f64| unit.from(Response::main(workload.response).cost_of(value));
    let squares: Vec<Square> = crossed
        .interactions
        .iter()
        .filter_map(|interaction| {
            let value = cost(interaction.value.value);
            let pair = (at(&interaction.pair.0)?, at(&interaction.pair.1)?);
            Some(Square { pair, value, text: signed(value), is_found: interaction.found })
        })
        .collect();
    let found = squares.iter().filter(|square| square.is_found);
    let say = |square: &Square| format!("{} with {}: {}", names[square.pair.0], names[square.pair.1], square.text);
    let said: Vec<String> = found.map(say).collect();
    Some(Figure {
        id: id(&["interactions", &workload.name]),
        title: format!("Interactions in {}", workload.name),
        words: if said.is_empty() { "No interaction was found.".to_owned() } else { said.join("; ") },
        legend: format!(
            "What two factors cost together beyond the sum of each, {}. Strong colours were found; grey was not told apart \
             from 0.",
            unit.label()
        ),
        svg: grid::draw(&names, &squares),
    })
}

/// The gap to one peer.
fn gap(gap: &GapBreakdown) -> Figure {
    let rows = &gap.breakdown.rows;
    let unit = Unit::of(rows.iter().map(|row| row.ns).chain([gap.breakdown.gap]), Unit::LIMIT);
    let step = |row: &crate::gap::breakdown::Row| {
        let ns = unit.estimate(row.ns);
        Step { name: row.name.clone(), value: ns.value, text: signed_point(ns.value, ns.interval) }
    };
    let steps: Vec<Step> = rows.iter().map(step).collect();
    let whole = unit.estimate(gap.breakdown.gap);
    let total = format!("{} {}", signed_point(whole.value, whole.interval), interval(whole.interval));
    let said: Vec<String> = steps.iter().map(|step| format!("{}: {}", step.name, step.text)).collect();
    Figure {
        id: id(&["gap", &gap.workload, &gap.peer]),
        title: format!("The gap to {} in {}, part by part", gap.peer, gap.workload),
        words: format!("{}; all together: {total}", said.join("; ")),
        legend: "From the peer, at 0, to the subject. Red steps make it worse, green ones better.".to_owned(),
        svg: waterfall::draw(&gap.peer, &steps, "the gap", &total, &unit.delta()),
    }
}

/// The values of cells over blocks, in one unit.
fn strips(workload: &WorkloadAnalysis) -> (Unit, Vec<Strip>) {
    let cells: Vec<&CellSummary> = workload.cells.iter().filter(|cell| !cell.by_block.is_empty()).collect();
    let main = cells.iter().filter_map(|cell| cell.value(workload.response));
    let unit = Unit::of_workload(workload, main, Unit::LIMIT);
    let strip = |cell: &&CellSummary| Strip {
        name: match cell.arm {
            Some(arm) => format!("{} ({})", cell.name, arm.as_str()),
            None => cell.name.clone(),
        },
        values: cell.by_block.iter().map(|(block, value)| (*block, unit.from(*value))).collect(),
        mark: cell.value(workload.response).map(|value| mark(unit.estimate(value))),
    };
    (unit, cells.iter().take(CELLS_MAX).map(strip).collect())
}

fn spread(workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, strips) = strips(workload);
    let runs: usize = strips.iter().map(|strip| strip.values.len()).sum();
    (runs > 0).then(|| Figure {
        id: id(&["runs", &workload.name]),
        title: format!("Every timed run in {}", workload.name),
        words: format!("{} of {}", counted(runs, "run"), counted(strips.len(), "cell")),
        legend:
            "A point is a run. Two heaps of points are two speeds. The stroke is the median with its 95 % interval."
                .to_owned(),
        svg: strips::spread(&strips, &unit.with(workload.response)),
    })
}

/// The baseline, its placebo and the peers over the blocks.
fn over_blocks(workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, strips) = strips(workload);
    let is_shown =
        |cell: &&CellSummary| matches!(cell.kind, CellKind::Baseline | CellKind::Placebo) && cell.by_block.len() > 1;
    let cells = workload.cells.iter().filter(|cell| !cell.by_block.is_empty()).take(CELLS_MAX);
    let shown: Vec<Strip> = cells.zip(&strips).filter(|(cell, _)| is_shown(cell)).map(|(_, s)| s.clone()).collect();
    (!shown.is_empty()).then(|| Figure {
        id: id(&["blocks", &workload.name]),
        title: format!("{} over time", workload.name),
        words: format!("{} over the blocks, in the order in which they ran", counted(shown.len(), "cell")),
        legend: "The baseline, and the same program again as its placebo. A slope is drift; both move alike, and differences \
                 within blocks cancel it."
            .to_owned(),
        svg: strips::over_blocks(&shown, &unit.with(workload.response)),
    })
}
