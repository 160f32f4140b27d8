//! What a study says about one factor, or one level of a factor, in one workload.

use crate::analyse::{
    Contrasted, CrossedFactor, Effect, Proof, Response, Verdict, WorkloadAnalysis, as_cost, is_away, negated,
};
use crate::report::number::{
    MISSING, Unit, counted, interval, or_missing, part, percent, point, signed_point, with_interval,
};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, Manifest};

/// A factor, or one of its levels, in one workload: by Shapley value where the factor is crossed, else by the row of the
/// effects that claims something about it, else by the first.
pub(crate) struct Standing<'a> {
    pub(crate) workload: &'a WorkloadAnalysis,
    pub(super) factor: &'a str,
    /// The factor, or the factor with its level.
    pub(crate) title: String,
    /// Verdict about what the title names.
    pub(crate) verdict: Verdict,
    /// What it adds to the response: a factor against the program without it, a level against the baseline's.
    pub(crate) added: Option<Estimate>,
    /// The interval that holds together with those of the other factors, which the verdict is by; `None` where the value has
    /// it already.
    pub(crate) together: Option<(f64, f64)>,
    /// The smallest effect that would have been found four times in five.
    detectable: Option<f64>,
    pub(crate) proof: Proof,
    /// What tells its levels apart, where it has no counters; empty otherwise.
    evidence: &'a str,
    /// Why nothing is claimed; empty otherwise.
    pub(crate) reason: &'a str,
    /// Whether the title names a level that the baseline does not have.
    is_of_a_level: bool,
    crossed: Option<&'a CrossedFactor>,
}

/// What stands before the size that would have been found, where nothing was.
pub(super) const BELOW: &str = "|Δ| < ";

/// Where a claim stands among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// There is no other factor or level.
    Only,
    /// It is the largest.
    Largest,
    /// It is the largest of those that are proven.
    LargestProven,
}

/// Every factor and level of a workload, in the order of the plan.
pub(crate) fn standings<'a>(manifest: &'a Manifest, workload: &'a WorkloadAnalysis) -> Vec<Standing<'a>> {
    let rows = workload.telling();
    let mut out = Vec::new();
    for factor in &manifest.plan.factors {
        let own = rows.iter().copied().filter(|effect| effect.factor == factor.name);
        let crossed = workload.crossed.iter().flat_map(|crossed| &crossed.factors);
        let crossed = crossed.filter(|row| row.factor == factor.name).map(|row| by_shapley(workload, row)).next();
        let mut known: Vec<String> = crossed.iter().map(|standing| standing.title.clone()).collect();
        out.extend(crossed);
        for effect in own.clone() {
            let title = effect.title();
            if known.contains(&title) {
                continue;
            }
            let same = || own.clone().filter(|other| other.title() == title);
            let claims = same().find(|other| matches!(other.verdict, Verdict::Costs | Verdict::Saves));
            out.push(by_effect(workload, claims.unwrap_or(effect)));
            known.push(title);
        }
    }
    out
}

fn by_shapley<'a>(workload: &'a WorkloadAnalysis, row: &'a CrossedFactor) -> Standing<'a> {
    let value = Estimate { interval: row.shapley.together, ..row.shapley.alone };
    let (title, verdict, added) = match is_away(&row.away) {
        true => (row.factor.clone(), row.shapley.verdict, value),
        false => (format!("{}: {}", row.factor, row.away), row.shapley.verdict.reversed(), negated(value)),
    };
    Standing {
        workload,
        factor: &row.factor,
        title,
        verdict,
        added: Some(added),
        together: None,
        detectable: row.shapley.detectable,
        proof: row.proof,
        evidence: &row.evidence,
        reason: &row.reason,
        is_of_a_level: !is_away(&row.away),
        crossed: Some(row),
    }
}

fn by_effect<'a>(workload: &'a WorkloadAnalysis, effect: &'a Effect) -> Standing<'a> {
    Standing {
        workload,
        factor: &effect.factor,
        title: effect.title(),
        verdict: effect.said(),
        added: effect.added(),
        together: effect.added_together(),
        detectable: effect.detectable,
        proof: effect.proof,
        evidence: &effect.evidence,
        reason: &effect.reason,
        is_of_a_level: !effect.takes_away(),
        crossed: None,
    }
}

/// Value of the baseline in the main response.
pub(super) fn baseline(workload: &WorkloadAnalysis) -> Option<f64> {
    let cell = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
    Some(cell.value(workload.response)?.value)
}

impl Standing<'_> {
    /// Whether it is found to cost or to save.
    pub(crate) fn is_claim(&self) -> bool {
        matches!(self.verdict, Verdict::Costs | Verdict::Saves)
    }

    /// A difference as a cost, negative where it saves: a rate that is lower is a cost.
    pub(crate) fn cost(&self, added: Estimate) -> Estimate {
        as_cost(Response::main(self.workload.response), added)
    }

    /// The cost as a part of the size of the baseline's value; 1 is all of it.
    pub(crate) fn share(&self) -> Option<f64> {
        Some(self.cost(self.added?).value / baseline(self.workload)?.abs()).filter(|share| share.is_finite())
    }

    /// Verb and noun of a cost or its opposite: a rate is gained, all else is saved.
    fn words(&self, is_cost: bool) -> (&'static str, &'static str) {
        match (is_cost, self.workload.response.quantity().is_better_high()) {
            (true, _) => ("costs", "cost"),
            (false, true) => ("gains", "gain"),
            (false, false) => ("saves", "saving"),
        }
    }

    /// What the claim is: `cost`, `saving`, `gain`.
    pub(super) fn noun(&self) -> &'static str {
        self.words(self.verdict != Verdict::Saves).1
    }

    /// How large it is beside the others.
    pub(super) fn size(&self) -> f64 {
        self.share().map_or(0.0, f64::abs)
    }

    fn unit(&self) -> Unit {
        Unit::of_factors(self.workload, Unit::LIMIT)
    }

    /// Its value in a table: `+39.5 (+39.6%)`.
    pub(super) fn cell(&self, unit: Unit) -> String {
        let value = |added: Estimate| {
            let value = unit.estimate(self.cost(added));
            let share = self.share().map_or_else(String::new, |share| format!(" ({})", percent(share)));
            (format!("{}{share}", signed_point(value.value, value.interval)), interval(value.interval))
        };
        match (self.verdict, self.added) {
            (_, Some(added)) if self.proof == Proof::Unproven => {
                let (value, interval) = value(added);
                match added.interval {
                    Some(_) => format!("{value}\n{interval} unproven"),
                    None => format!("{value}\nunproven"),
                }
            }
            (_, None) if self.proof == Proof::Unproven => "unproven".to_owned(),
            (Verdict::Costs | Verdict::Saves, Some(added)) => value(added).0,
            (Verdict::NotDetected, _) if self.detectable.is_some() => {
                let size = or_missing(self.detectable, |size| point(unit.from(size), None));
                format!("{BELOW}{size}")
            }
            (verdict, _) => verdict.word().to_owned(),
        }
    }

    /// `saves most: 900 of the 1,000 ms in workload w (90.0%)`, after the title.
    pub(super) fn answer(&self, rank: Rank) -> Option<String> {
        let added = self.added?;
        let unit = self.unit();
        let value = unit.estimate(Estimate { value: added.value.abs(), interval: positive(added), ..added });
        let value = point(value.value, value.interval);
        let (what, noun) = self.words(self.verdict != Verdict::Saves);
        let claim = match rank {
            Rank::Only => what.to_owned(),
            Rank::Largest => format!("{what} most:"),
            Rank::LargestProven => format!("has the largest proven {noun}:"),
        };
        let colon = if rank == Rank::Only { ":" } else { "" };
        let whole = or_missing(baseline(self.workload), |value| point(unit.from(value), None));
        let response = unit.with(self.workload.response);
        let share = self.share().map(f64::abs);
        let is_part = share.is_some_and(|share| share <= 1.0) && baseline(self.workload).is_some_and(|all| all > 0.0);
        let in_percent =
            |show: fn(f64) -> String| share.map_or_else(String::new, |share| format!(" ({})", show(share)));
        let name = &self.workload.name;
        // What the baseline has in it is a part of its value; what it has not would come on top.
        Some(match (self.is_of_a_level, added.value > 0.0) {
            (false, true) | (true, false) if is_part => {
                format!("{claim} {value} of the {whole} {response} in workload {name}{}", in_percent(part))
            }
            (false, true) | (true, false) => format!(
                "{claim} {value}, beside the baseline's {whole} {response} in workload {name}{}",
                in_percent(part)
            ),
            (false, false) => format!(
                "{claim}{colon} without it the {whole} {response} in workload {name} would be {value} more{}",
                in_percent(percent)
            ),
            (true, true) => format!(
                "{claim}{colon} it adds {value} to the {whole} {response} in workload {name}{}",
                in_percent(percent)
            ),
        })
    }

    /// `opt: o2 saves 900 [890, 910] ms (90.0%)`.
    pub(super) fn short(&self) -> String {
        let unit = self.unit();
        let added = self.added.map(|added| Estimate { value: added.value.abs(), interval: positive(added), ..added });
        let value = with_interval(added.map(|added| unit.estimate(added)).as_ref());
        let (verb, _) = self.words(self.verdict != Verdict::Saves);
        let share = self.share().map_or_else(String::new, |share| format!(" ({})", part(share.abs())));
        format!("{} {verb} {}{share}", self.title, format!("{value} {}", unit.label()).trim_end())
    }

    /// What was measured, without a claim: `opt: o2 −900 [−910, −890] ms (−90.0%) in w`.
    pub(super) fn measured(&self) -> String {
        let unit = self.unit();
        let Some(added) = self.added.map(|added| unit.estimate(self.cost(added))) else {
            return format!("{} in {} (no value yet)", self.title, self.workload.name);
        };
        let value = format!("{}{} {}", signed_point(added.value, added.interval), ends(added.interval), unit.label());
        let share = self.share().map_or_else(String::new, |share| format!(" ({})", percent(share)));
        format!("{} {}{share} in {}", self.title, value.trim_end(), self.workload.name)
    }

    /// The interval of the size that [`Standing::answer`] says, and what a switch without effect shows.
    pub(super) fn how_sure(&self) -> Option<String> {
        let unit = self.unit();
        let added = unit.estimate(self.added?);
        let shapley = match self.crossed {
            Some(_) => " of its Shapley value, for all factors together",
            None => "",
        };
        let floor = |floor: f64| format!("{} {}", point(unit.from(floor), None), unit.label());
        Some(format!(
            "how sure: 95 % interval {}{shapley}, {}; a switch without effect shows {}",
            format!("{} {}", interval(positive(added)), unit.label()).trim_end(),
            counted(added.blocks, "block"),
            or_missing(self.workload.floor_ns, floor).trim_end()
        ))
    }

    /// A contrast of the crossed cells as a sentence has it: `saves 5.00 ns [4.99, 5.01]`.
    fn contrasted(&self, contrasted: &Contrasted) -> String {
        let value = Estimate { interval: contrasted.together, ..contrasted.alone };
        let cost = self.unit().estimate(self.cost(if self.is_of_a_level { negated(value) } else { value }));
        let size = Estimate { value: cost.value.abs(), interval: positive(cost), ..cost };
        let value = format!("{} {}", point(size.value, size.interval), self.unit().label());
        format!("{} {} {}", self.words(cost.value >= 0.0).0, value.trim_end(), interval(size.interval))
    }

    /// What taking the factor away from this program changes, and what adding it to a program without any of the
    /// factors does: a Shapley value lies between the two, and alone reads as if the removal gained all of it.
    ///
    /// `None` where effects add up as far as the study can tell, so that both are the Shapley value.
    pub(super) fn removed_and_added(&self) -> Option<String> {
        let row = self.crossed?;
        let is_in = |pair: &(String, String)| pair.0 == self.factor || pair.1 == self.factor;
        let mut interactions = self.workload.crossed.iter().flat_map(|crossed| &crossed.interactions);
        let interacts = interactions.any(|pair| pair.found && is_in(&pair.pair));
        let ends = row.leave_one_out.together.zip(row.add_one_in.together);
        let is_apart = ends.is_some_and(|(last, first)| last.1 < first.0 || first.1 < last.0);
        let (title, last, first) = (&self.title, self.contrasted(&row.leave_one_out), self.contrasted(&row.add_one_in));
        (last != first && (interacts || is_apart)).then(|| match self.is_of_a_level {
            false => format!(
                "it depends on the other factors: in the program as it is {title} {last}; added to a program without \
                 the factors it {first}"
            ),
            true => format!(
                "it depends on the other factors: {title} alone {last}; where all others are changed too it {first}"
            ),
        })
    }

    /// `b costs 10.0 ns [9.9, 10.1] in w, yet removed alone it saves 5.00 ns [4.99, 5.01]`, where the verdict on the
    /// factor as a whole is the opposite of that on its removal from the program as it is.
    pub(super) fn opposed(&self) -> Option<String> {
        let row = self.crossed?;
        let is_opposed = self.is_claim() && row.leave_one_out.verdict == row.shapley.verdict.reversed();
        is_opposed.then(|| {
            let (whole, alone) = (self.contrasted(&row.shapley), self.contrasted(&row.leave_one_out));
            format!("{} {whole} in {}, yet in the program as it is it {alone}", self.title, self.workload.name)
        })
    }

    /// What proves that the levels are two different things.
    pub(crate) fn proof(&self, manifest: &Manifest) -> String {
        let planned = manifest.plan.factors.iter().find(|planned| planned.name == self.factor);
        match planned.map_or(&[][..], |planned| &planned.proof) {
            [] if self.evidence.is_empty() => "proven: its levels are told apart".to_owned(),
            [] => format!("proven: {}", self.evidence),
            counters if self.is_of_a_level => {
                format!("proven: the program reported each level, and moved {}", counters.join(" or "))
            }
            [counter] => format!("proven: counter {counter} is above 0 with the factor and 0 without it"),
            all => {
                format!("proven: a counter of {} is above 0 with the factor, and all are 0 without it", all.join(", "))
            }
        }
    }
}

/// The interval of the size of a difference.
fn positive(added: Estimate) -> Option<(f64, f64)> {
    if added.value < 0.0 { negated(added).interval } else { added.interval }
}

/// An interval after its value; nothing where there is none.
fn ends(ends: Option<(f64, f64)>) -> String {
    ends.map_or_else(String::new, |ends| format!(" {}", interval(Some(ends))))
}

/// What is known where nothing stands: the factor is not in a workload.
pub(super) fn cell(standing: Option<&Standing<'_>>, unit: Unit) -> String {
    standing.map_or_else(|| MISSING.to_owned(), |standing| standing.cell(unit))
}
