//! What factors cost: forest plots, time against memory, and interactions.

use super::figure::{Figure, id, mark, timed};
use crate::analyse::{Effect, Proof, Response, Verdict, WorkloadAnalysis};
use crate::report::content::Study;
use crate::report::figure::forest::{self, Axis, Row};
use crate::report::figure::grid::{self, Square};
use crate::report::figure::plane::{self, Place};
use crate::report::figure::{Mark, Tone};
use crate::report::headline::{Standing, standings};
use crate::report::number::{Unit, counted, interval, percent, signed, signed_point};
use ablate_format::effects::Estimate;

/// Rows of the figure over all workloads.
const CLAIMS_MAX: usize = 24;

/// Every claim of every workload in percent of the baseline, the largest first.
pub(super) fn claims(study: Study<'_>) -> Option<Figure> {
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
        legend: format!(
            "Every effect that was told apart from 0, with its 95 % interval; + costs. Grey: nothing proves that the switch \
             does anything, so no cost of it is claimed.{left_out}"
        ),
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
        tone: tone(standing.verdict, standing.proof),
        text: match standing.proof {
            Proof::Unproven => format!("{} unproven", percent(share)),
            _ => percent(share),
        },
    };
    Some((share, row))
}

/// The rows of a forest plot in words.
pub(super) fn words(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{}: {}", row.name, row.text)).collect::<Vec<_>>().join("; ")
}

/// Every factor of one workload.
pub(super) fn attribution(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let standings = standings(study.manifest, workload);
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let row = |standing: &Standing<'_>| {
        let cost = standing.added.map(|added| unit.estimate(standing.cost(added)));
        Row {
            name: standing.title.clone(),
            mark: cost.map(|cost| Mark { outer: outer(standing, unit), ..mark(cost) }),
            tone: tone(standing.verdict, standing.proof),
            text: match cost {
                _ if standing.proof == Proof::Unproven => Proof::Unproven.as_str().to_owned(),
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
            "Value and 95 % interval; + costs. The thin line is the interval that holds for all factors together, which the \
             verdict is by. The grey band is the noise floor: what a switch without effect shows."
                .to_owned(),
        svg: forest::draw(&rows, Axis::of(&unit.with(workload.response)), floor),
        origin: timed(study, Some(&workload.name)),
    })
}

/// The interval that holds together with those of the other factors, as a cost.
fn outer(standing: &Standing<'_>, unit: Unit) -> Option<(f64, f64)> {
    let added = Estimate { interval: Some(standing.together?), ..standing.added? };
    unit.estimate(standing.cost(added)).interval
}

/// Time and memory of the factors of which both are known.
pub(super) fn memory(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let main = Response::main(workload.response);
    if main == Response::RssPeakBytes {
        return None;
    }
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let bytes = |estimate: Estimate| {
        let scaled = |bytes: f64| bytes / 1_048_576.0;
        Mark::new(scaled(estimate.value), estimate.interval.map(|(lo, hi)| (scaled(lo), scaled(hi))))
    };
    let place = |effect: &Effect| {
        let sibling = workload.sibling(effect, Response::RssPeakBytes)?;
        let (x, y) = (mark(unit.estimate(effect.cost()?)), bytes(sibling.cost()?));
        Some(Place {
            name: effect.title(),
            x,
            y,
            tones: [effect, sibling].map(|effect| tone(effect.said(), effect.proof)),
        })
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
        legend: "To the right: costs time. Upwards: costs memory, at its peak. Lines are 95 % intervals, in colour where the \
                 cost or saving in their direction was found. A point without a name has no room for it; the table has all."
            .to_owned(),
        svg: plane::draw(&places, &unit.with(workload.response), "MiB at the peak"),
        origin: timed(study, Some(&workload.name)),
    })
}

/// The interactions of a workload whose factors are crossed.
pub(super) fn interactions(study: Study<'_>, workload: &WorkloadAnalysis) -> Option<Figure> {
    let crossed = workload.crossed.as_ref()?;
    if crossed.interactions.is_empty() {
        return None;
    }
    let all: Vec<&str> = crossed.factors.iter().map(|factor| factor.factor.as_str()).collect();
    let largest = |name: &str| {
        let own = crossed.interactions.iter().filter(|pair| pair.pair.0 == name || pair.pair.1 == name);
        own.map(|pair| pair.value.value.abs()).fold(0.0, f64::max)
    };
    let mut names: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
    let most = grid::most(&names);
    if names.len() > most {
        names.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
        names.truncate(most);
    }
    let left_out = match all.len() - names.len() {
        0 => String::new(),
        more => format!(" {} with smaller ones are in the table.", counted(more, "factor")),
    };
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
             from 0.{left_out}",
            unit.label()
        ),
        svg: grid::draw(&names, &squares),
        origin: timed(study, Some(&workload.name)),
    })
}

fn tone(verdict: Verdict, proof: Proof) -> Tone {
    match verdict {
        _ if proof == Proof::Unproven => Tone::Open,
        Verdict::Costs => Tone::Cost,
        Verdict::Saves => Tone::Saving,
        _ => Tone::Open,
    }
}
