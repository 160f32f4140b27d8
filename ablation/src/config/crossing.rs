//! Rules of the designs that combine factors: which factors, and how many combinations are too many.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{DesignKind, Factor, in_one_binary};
use crate::support::count::count;
use ablate_format::Arm;
use std::ops::Range;
use toml::Spanned;

/// Most cells of `factorial` and `pairs`. Analysis of more would not fit into the memory of most machines, and running
/// them takes days; `cargo ablate plan` tells both, and what is cheaper.
const MAX_CELLS: usize = 16_384;

/// Most cells of a fraction.
const MAX_OF_FRACTION: usize = 1024;

/// Most cells that a message gives the number of.
const MAX_TOLD: usize = 1_000_000_000;

/// Most factors of a fraction. The search for its generators takes about a tenth of a second for twelve.
const MAX_FRACTIONAL: usize = 12;

/// Most factors of a screening design.
pub(crate) const MAX_SCREENED: usize = 200;

/// The parameters of the designs that combine factors.
pub(super) struct Crossing {
    /// Names of the factors, in the order of the config.
    pub(super) crossed: Vec<String>,
    /// The p of 2^(k − p).
    pub(super) fraction: u32,
}

/// Span of the designs; the start of the text without any.
fn design_span(raw: &raw::Study) -> Range<usize> {
    raw.design.as_ref().map_or(0..0, Spanned::span)
}

impl Checker<'_> {
    pub(super) fn crossing(
        &self,
        raw: &raw::Study,
        designs: &[DesignKind],
        factors: &[Factor],
        arms: &[Arm],
    ) -> Checked<Crossing> {
        let asked = |kind: DesignKind| designs.contains(&kind);
        let crossing: Vec<DesignKind> = designs.iter().copied().filter(|kind| kind.is_crossing()).collect();
        let crossed = self.crossed(raw.crossed.as_ref(), &crossing, factors, arms)?;
        let place = raw.crossed.as_ref().map_or_else(|| design_span(raw), Spanned::span);
        let too = |kind: DesignKind, trouble: String| -> Checked<()> {
            self.fail(place.clone(), format!("design `{}` {trouble}", kind.as_str()))
        };
        let two = crossed.iter().filter(|factor| factor.away_combined(arms).is_some()).count();
        if let (Some(first), true) = (crossing.first(), crossed.is_empty()) {
            let trouble = "has no factor with two levels; give one `off`, or remove the design";
            too(*first, trouble.to_owned())?;
        }
        if asked(DesignKind::Pairs) {
            if two < 2 {
                too(DesignKind::Pairs, format!("needs two factors or more, not {two}; add some or remove it"))?;
            }
            if two * (two + 1) / 2 > MAX_CELLS {
                too(
                    DesignKind::Pairs,
                    format!("with {two} factors has more than {} cells; choose fewer with `crossed`", count(MAX_CELLS)),
                )?;
            }
        }
        for kind in [DesignKind::PlackettBurman, DesignKind::Foldover] {
            if asked(kind) && !(2..=MAX_SCREENED).contains(&two) {
                too(kind, format!("is for 2 to {MAX_SCREENED} factors, not {two}; choose them with `crossed`"))?;
            }
        }
        if asked(DesignKind::Factorial) {
            let levels = crossed.iter().map(|factor| 1 + factor.others_combined(arms).len());
            let cells = levels.fold(1_usize, usize::saturating_mul);
            if cells > MAX_CELLS {
                // Beyond that the number says nothing, and may not even fit.
                let cells = if cells > MAX_TOLD { format!("more than {}", count(MAX_TOLD)) } else { count(cells) };
                let trouble = format!(
                    "with {} factors has {cells} cells, and at most {} are possible; find the factors that matter with \
                     `cargo ablate screen`, or choose fewer with `crossed`",
                    crossed.len(),
                    count(MAX_CELLS)
                );
                too(DesignKind::Factorial, trouble)?;
            }
        }
        let fraction = self.fraction(raw, asked(DesignKind::Fractional), two)?;
        Ok(Crossing { crossed: crossed.into_iter().map(|factor| factor.name.clone()).collect(), fraction })
    }

    fn crossed<'f>(
        &self,
        given: Option<&raw::Texts>,
        crossing: &[DesignKind],
        factors: &'f [Factor],
        arms: &[Arm],
    ) -> Checked<Vec<&'f Factor>> {
        let Some(given) = given else {
            // Builds are dear, so factors that need them are combined with others when the config names them, or when there
            // are no others.
            let crossable = |factor: &&Factor| !in_one_binary(arms) || !factor.others(&[Arm::Env]).is_empty();
            return Ok(factors.iter().filter(crossable).collect());
        };
        if crossing.is_empty() {
            let message = "no design combines factors; remove `crossed`, or add \"factorial\", \"fractional\", \
                           \"plackett-burman\", \"foldover\" or \"pairs\" to `design`";
            return self.fail(given.span(), message);
        }
        let mut found = self.list("factor", given, factors.iter().map(|factor| factor.name.as_str()))?;
        let of_two_levels = crossing.iter().find(|kind| **kind != DesignKind::Factorial);
        for (index, name) in found.iter().zip(given.get_ref()) {
            let factor = &factors[*index];
            let others = factor.others_combined(arms);
            if others.is_empty() {
                let message = format!("factor `{}` has one level; give it `off`, or remove it here", factor.name);
                return self.fail(name.span(), message);
            }
            if let (Some(kind), None) = (of_two_levels, factor.away_combined(arms)) {
                let message = format!(
                    "design `{}` needs two levels of each factor, and `{}` has no `off` but {}; remove it here, or add \
                     `off`",
                    kind.as_str(),
                    factor.name,
                    others.join(", ")
                );
                return self.fail(name.span(), message);
            }
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|index| &factors[index]).collect())
    }

    /// The p of 2^(k − p): small enough for k columns that differ, large enough for few cells.
    fn fraction(&self, raw: &raw::Study, is_asked: bool, factors: usize) -> Checked<u32> {
        let place = raw.fraction.as_ref().map_or_else(|| design_span(raw), Spanned::span);
        if !is_asked {
            return match &raw.fraction {
                Some(_) => {
                    self.fail(place, "`fraction` is for the design `fractional`; add it to `design` or remove this")
                }
                None => Ok(1),
            };
        }
        if !(3..=MAX_FRACTIONAL).contains(&factors) {
            let message = format!(
                "design `fractional` is for 3 to {MAX_FRACTIONAL} factors, not {factors}; choose them with `crossed`, \
                 or write \"plackett-burman\""
            );
            return self.fail(raw.crossed.as_ref().map_or_else(|| design_span(raw), Spanned::span), message);
        }
        let fits = |p: &usize| {
            let cells = 1_usize << (factors - p);
            cells <= MAX_OF_FRACTION && factors < cells
        };
        let fitting: Vec<usize> = (1..factors).filter(fits).collect();
        // From 3 to 12 factors a fraction always exists: 2^(k − 1) or, from 11 factors on, a smaller one.
        let (Some(low), Some(high)) = (fitting.first(), fitting.last()) else { return Ok(1) };
        let given = raw.fraction.as_ref().map_or(1, |fraction| *fraction.get_ref());
        match usize::try_from(given) {
            Ok(p) if fitting.contains(&p) => Ok(p as u32),
            _ => {
                let message = format!(
                    "fraction is {given}; for {factors} factors it must be from {low} (2^{} cells) to {high} (2^{} \
                     cells)",
                    factors - low,
                    factors - high
                );
                self.fail(place, message)
            }
        }
    }
}
