//! Which figures a study has, and what they are drawn from.

mod thin;

use crate::analyse::{CellSummary, Response, Verdict, WorkloadAnalysis};
use crate::gap::study::GapBreakdown;
use crate::prove::JudgedRun;
use crate::report::content::Study;
use crate::report::figure::forest::{self, Axis, Row};
use crate::report::figure::grid::{self, Square};
use crate::report::figure::plane::{self, Place};
use crate::report::figure::strips::{self, Strip};
use crate::report::figure::waterfall::{self, Step};
use crate::report::figure::{Mark, Tone, ink};
use crate::report::headline::{Standing, standings};
use crate::report::number::{Unit, counted, interval, percent, point, signed, signed_point};
use crate::report::peers::best;
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, Pass};

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
    /// The records that it is made from.
    pub(super) origin: Origin,
}

/// Where the values of a figure come from.
#[derive(Clone)]
pub(super) struct Origin {
    /// How many records, and which, for people.
    pub(super) count: String,
    /// What selects them: a filter of jq.
    pub(super) filter: String,
}

/// The figures of a study.
pub(super) struct Figures {
    /// Those over all workloads.
    pub(super) answer: Vec<Figure>,
    /// Those of each workload.
    pub(super) workloads: Vec<Vec<Figure>>,
}

impl Figures {
    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        self.answer.iter().chain(self.workloads.iter().flatten())
    }
}

pub(super) fn of_study(study: Study<'_>) -> Figures {
    let workloads = study.analysis.workloads.iter().map(|workload| of_workload(study, workload));
    Figures { answer: claims(study).into_iter().chain(ratios(study)).collect(), workloads: workloads.collect() }
}

fn of_workload(study: Study<'_>, workload: &WorkloadAnalysis) -> Vec<Figure> {
    let breakdowns = study.explained.breakdowns.iter().filter(|gap| gap.workload == workload.name);
    let breakdowns: Vec<Figure> = breakdowns.map(|each| gap(study, each)).collect();
    [attribution(study, workload), memory(study, workload), interactions(study, workload)]
        .into_iter()
        .flatten()
        .chain(breakdowns)
        .chain(spread(study, workload))
        .chain(over_blocks(study, workload))
        .collect()
}

/// The timed runs of one workload, or of all.
fn timed(study: Study<'_>, workload: Option<&str>) -> Origin {
    let is_meant =
        |record: &&JudgedRun| record.pass == Pass::Timing && workload.is_none_or(|name| &*record.workload == name);
    let runs = counted(study.records.iter().filter(is_meant).count(), "timed run");
    match workload {
        None => Origin { count: format!("{runs} of all workloads"), filter: "select(.pass == \"timing\")".to_owned() },
        Some(name) => Origin {
            count: format!("{runs} of {name}"),
            filter: format!("select(.pass == \"timing\" and .workload == \"{name}\")"),
        },
    }
}

/// Every run of one workload: those that were timed, and those whose events were counted.
fn of_all_passes(study: Study<'_>, workload: &str) -> Origin {
    let runs = study.records.iter().filter(|record| &*record.workload == workload).count();
    Origin {
        count: format!("{} of {workload}, timed and counted, and the unit costs", counted(runs, "run")),
        filter: format!("select(.workload == \"{workload}\" or .pass == \"unit-costs\")"),
    }
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
        svg: forest::draw(&rows, Axis::of("% of the baseline"), None),
        origin: timed(study, None),
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
        svg: forest::draw(&rows, Axis::of(&unit.with(workload.response)), floor),
        origin: timed(study, Some(&workload.name)),
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
        origin: timed(study, Some(&workload.name)),
    })
}

/// The interactions of a workload whose factors are crossed.
fn interactions(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
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
        origin: timed(study, Some(&workload.name)),
    })
}

/// The gap to one peer.
fn gap(study: Study<'_>, gap: &GapBreakdown) -> Figure {
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
        origin: of_all_passes(study, &gap.workload),
    }
}

/// The cells of which runs are shown, and the unit of all.
fn shown(workload: &WorkloadAnalysis) -> (Unit, Vec<&CellSummary>) {
    let cells = || workload.cells.iter().filter(|cell| !cell.by_block.is_empty());
    let unit = Unit::of_workload(workload, cells().filter_map(|cell| cell.value(workload.response)), Unit::LIMIT);
    (unit, cells().take(CELLS_MAX).collect())
}

fn strip(cell: &CellSummary, workload: &WorkloadAnalysis, unit: Unit, values: Vec<(u32, f64)>) -> Strip {
    Strip {
        name: match cell.arm {
            Some(arm) => format!("{} ({})", cell.name, arm.as_str()),
            None => cell.name.clone(),
        },
        values: values.into_iter().map(|(block, value)| (block, unit.from(value))).collect(),
        mark: cell.value(workload.response).map(|value| mark(unit.estimate(value))),
    }
}

fn spread(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, cells) = shown(workload);
    let strips: Vec<Strip> =
        cells.iter().map(|cell| strip(cell, workload, unit, thin::by_rank(&cell.by_block))).collect();
    let runs: usize = cells.iter().map(|cell| cell.by_block.len()).sum();
    let many = if cells.iter().any(|cell| cell.by_block.len() > thin::MOST) {
        format!(
            " Of a cell with more runs, {} are shown, at equal distances from the lowest to the highest.",
            thin::MOST
        )
    } else {
        String::new()
    };
    (runs > 0).then(|| Figure {
        id: id(&["runs", &workload.name]),
        title: format!("Every timed run in {}", workload.name),
        words: format!("{} of {}", counted(runs, "run"), counted(strips.len(), "cell")),
        legend: format!(
            "A point is a run. Two heaps of points are two speeds. The stroke is the median with its 95 % interval.{many}"
        ),
        svg: strips::spread(&strips, &unit.with(workload.response)),
        origin: timed(study, Some(&workload.name)),
    })
}

/// The baseline and its placebo over the blocks.
fn over_blocks(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let (unit, cells) = shown(workload);
    let is_shown =
        |cell: &&&CellSummary| matches!(cell.kind, CellKind::Baseline | CellKind::Placebo) && cell.by_block.len() > 1;
    let shown: Vec<&CellSummary> = cells.iter().filter(is_shown).copied().collect();
    let width = shown.iter().map(|cell| thin::width(cell.by_block.len())).max()?;
    let strips: Vec<Strip> =
        shown.iter().map(|cell| strip(cell, workload, unit, thin::by_time(&cell.by_block, width))).collect();
    let many = if width > 1 { format!(" A point is the median of {width} blocks.") } else { String::new() };
    Some(Figure {
        id: id(&["blocks", &workload.name]),
        title: format!("{} over time", workload.name),
        words: format!("{} over the blocks, in the order in which they ran", counted(strips.len(), "cell")),
        legend: format!(
            "The baseline, and the same program again as its placebo. A slope is drift; both move alike, and differences \
             within blocks cancel it.{many}"
        ),
        svg: strips::over_blocks(&strips, &unit.with(workload.response)),
        origin: timed(study, Some(&workload.name)),
    })
}

/// The subject against the best competitor in each workload.
fn ratios(study: Study<'_>) -> Option<Figure> {
    let workloads = &study.analysis.workloads;
    let mut rows: Vec<Row> = workloads.iter().filter_map(ratio).collect();
    if rows.is_empty() {
        return None;
    }
    let value = |row: &Row| row.mark.map_or(0.0, |mark| mark.value);
    rows.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let left_out = match rows.len().saturating_sub(CLAIMS_MAX) {
        0 => String::new(),
        more => format!(" {} between the ends of this list are not drawn.", counted(more, "workload")),
    };
    if rows.len() > CLAIMS_MAX {
        rows.drain(CLAIMS_MAX / 2..rows.len() - CLAIMS_MAX / 2);
    }
    Some(Figure {
        id: "ratios".to_owned(),
        title: "The subject against the best peer of each workload".to_owned(),
        words: words(&rows),
        legend: format!(
            "How many times as much the subject takes, with its 95 % interval; to the left of 1× it takes less.{left_out}"
        ),
        svg: forest::draw(&rows, Axis { of: "subject / best peer", tick: ink::times }, None),
        origin: timed(study, None),
    })
}

fn ratio(workload: &WorkloadAnalysis) -> Option<Row> {
    let best = best(workload)?;
    let ratio = best.gap_ratio.map(Estimate::plus_one)?;
    let sign = if workload.response.quantity().is_better_high() { -1.0 } else { 1.0 };
    let doublings = |ratio: f64| sign * ratio.max(f64::MIN_POSITIVE).log2();
    let ends = ratio.interval.map(|(lo, hi)| {
        let (lo, hi) = (doublings(lo), doublings(hi));
        (lo.min(hi), lo.max(hi))
    });
    let tone = match ends {
        Some((lo, _)) if lo > 0.0 => Tone::Cost,
        Some((_, hi)) if hi < 0.0 => Tone::Saving,
        _ => Tone::Open,
    };
    Some(Row {
        name: workload.name.clone(),
        mark: Some(Mark::new(doublings(ratio.value), ends)),
        tone,
        text: format!("{} of {} {}", point(ratio.value, None), best.peer, interval(ratio.interval)),
    })
}
