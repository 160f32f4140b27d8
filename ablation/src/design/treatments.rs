//! The treatments of the designs. Each set of levels exists once, under one name.

use super::axis::{self, Axis, Levels};
use super::fraction::Fraction;
use super::screening;
use crate::config::{ConfigError, DesignKind, Part, Study};
use std::collections::{BTreeSet, HashMap};

/// A set of levels under a name.
pub(super) struct Treatment {
    pub(super) name: String,
    pub(super) levels: Levels,
    pub(super) expect_zero: Vec<String>,
    /// Designs that ask for it.
    pub(super) asked: BTreeSet<DesignKind>,
    /// Index of the `[[treatment]]` that it comes from.
    pub(super) written: Option<usize>,
    /// Whether its factors together have a contrast with the baseline.
    pub(super) summary: bool,
}

impl Treatment {
    /// Whether it may have builds of its own beside the baseline's binary. Designs that combine factors use that where
    /// they can.
    pub(super) fn wants_builds(&self) -> bool {
        self.asked.iter().any(|kind| !kind.is_crossing())
    }
}

/// All treatments, explicit names first.
#[derive(Default)]
pub(super) struct Treatments {
    pub(super) list: Vec<Treatment>,
    /// Levels → index in the list, without the baseline.
    pub(super) by_levels: HashMap<Levels, usize>,
    names: HashMap<String, usize>,
    /// The fraction of the design `fractional`.
    pub(super) fraction: Option<Fraction>,
}

/// Digits of the levels in the name of a set: 1 is the baseline's, 0 is away, the others follow. The config allows no
/// more levels than there are digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

pub(super) fn treatments(study: &Study, axes: &[Axis<'_>]) -> Result<Treatments, ConfigError> {
    let mut out = Treatments::default();
    // In the order of NAMES, so that the first design to ask for a set of levels names it: readable names before
    // numbers.
    for (_, kind) in DesignKind::NAMES.into_iter().filter(|(_, kind)| study.designs.contains(kind)) {
        match kind {
            DesignKind::Explicit => out.explicit(study, axes)?,
            DesignKind::LeaveOneOut => out.leave_one_out(study, axes)?,
            DesignKind::AddOneIn => out.add_one_in(study, axes)?,
            DesignKind::Pairs => out.pairs(study, axes)?,
            DesignKind::PlackettBurman => {
                let factors = axes.iter().filter(|axis| axis.crossed_away.is_some()).count();
                out.two_levels(study, axes, kind, screening::runs(factors))?;
            }
            DesignKind::Foldover => {
                let factors = axes.iter().filter(|axis| axis.crossed_away.is_some()).count();
                out.two_levels(study, axes, kind, screening::folded(factors))?;
            }
            DesignKind::Fractional => {
                let factors = axes.iter().filter(|axis| axis.crossed_away.is_some()).count();
                let fraction = Fraction::least_aberrant(factors, study.fraction as usize);
                out.two_levels(study, axes, kind, fraction.runs())?;
                out.fraction = Some(fraction);
            }
            DesignKind::Factorial => out.factorial(study, axes)?,
        }
    }
    Ok(out)
}

/// A treatment that a design asks for. Another design may have added it already.
struct Wanted {
    kind: DesignKind,
    name: String,
    levels: Levels,
    summary: bool,
    /// The part of the config that an error points at when the name is taken.
    part: Part,
}

impl Treatments {
    /// Adds a treatment unless its levels are there already, or are the baseline's; returns its index.
    fn want(&mut self, study: &Study, axes: &[Axis<'_>], wanted: Wanted) -> Result<Option<usize>, ConfigError> {
        let Wanted { kind, name, levels, summary, part } = wanted;
        let changed = axis::moved(axes, &levels).map(|(axis, _)| axis.factor.name.as_str());
        if levels.iter().all(|level| *level == 0) || !study.selected.has(&name, changed) {
            return Ok(None);
        }
        if let Some(index) = self.by_levels.get(&levels) {
            self.list[*index].asked.insert(kind);
            self.list[*index].summary |= summary;
            return Ok(Some(*index));
        }
        let index = self.list.len();
        if self.names.insert(name.clone(), index).is_some() {
            let message = format!("the name `{name}` would stand for two sets of levels; rename a factor or a level");
            return Err(study.error_at(part, message));
        }
        self.by_levels.insert(levels.clone(), index);
        let asked = BTreeSet::from([kind]);
        self.list.push(Treatment { name, levels, expect_zero: Vec::new(), asked, written: None, summary });
        Ok(Some(index))
    }

    fn explicit(&mut self, study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
        for (i, treatment) in study.treatments.iter().enumerate() {
            let level = |axis: &Axis<'_>| {
                let asked = treatment.levels.get(&axis.factor.name);
                asked.and_then(|asked| axis.levels.iter().position(|level| level == asked)).map_or(0, |at| at as u8)
            };
            let levels = axes.iter().map(level).collect();
            let (kind, part) = (DesignKind::Explicit, Part::Treatment(i));
            let wanted = Wanted { kind, name: treatment.name.clone(), levels, summary: true, part };
            if let Some(index) = self.want(study, axes, wanted)? {
                self.list[index].written = Some(i);
                self.list[index].expect_zero.clone_from(&treatment.expect_zero);
            }
        }
        Ok(())
    }

    fn leave_one_out(&mut self, study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
        for (i, axis) in axes.iter().enumerate() {
            for level in 1..axis.levels.len() as u8 {
                let levels = (0..axes.len()).map(|j| if j == i { level } else { 0 }).collect();
                let (kind, part) = (DesignKind::LeaveOneOut, Part::Factor(i));
                self.want(study, axes, Wanted { kind, name: axis.change(level), levels, summary: false, part })?;
            }
        }
        Ok(())
    }

    /// No factor, and each factor alone. A factor with several variants and no `off` stays at the baseline's level.
    fn add_one_in(&mut self, study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
        let kind = DesignKind::AddOneIn;
        let (name, levels) = ("none".to_owned(), without(axes, None));
        self.want(study, axes, Wanted { kind, name, levels, summary: true, part: Part::Designs })?;
        for (i, axis) in axes.iter().enumerate().filter(|(_, axis)| axis.away.is_some()) {
            let (name, levels) = (format!("only-{}", axis.factor.name), without(axes, Some(i)));
            self.want(study, axes, Wanted { kind, name, levels, summary: false, part: Part::Factor(i) })?;
        }
        Ok(())
    }

    fn pairs(&mut self, study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
        let kind = DesignKind::Pairs;
        let crossed: Vec<(usize, u8)> =
            axes.iter().enumerate().filter_map(|(i, axis)| Some((i, axis.crossed_away?))).collect();
        let mut want = |names: &[(usize, u8)]| -> Result<(), ConfigError> {
            let mut levels = vec![0; axes.len()];
            names.iter().for_each(|(i, away)| levels[*i] = *away);
            let changes: Vec<String> = names.iter().map(|(i, away)| axes[*i].change(*away)).collect();
            let (name, part) = (changes.join("+"), Part::Factor(names[0].0));
            self.want(study, axes, Wanted { kind, name, levels, summary: names.len() == 2, part }).map(drop)
        };
        for (at, first) in crossed.iter().enumerate() {
            want(&[*first])?;
            for second in &crossed[at + 1..] {
                want(&[*first, *second])?;
            }
        }
        Ok(())
    }

    /// Adds a treatment for each run. A run tells for each factor of two levels whether it is away.
    fn two_levels(
        &mut self,
        study: &Study,
        axes: &[Axis<'_>],
        kind: DesignKind,
        runs: Vec<Vec<bool>>,
    ) -> Result<(), ConfigError> {
        for run in runs {
            let mut away = run.into_iter();
            let level = |axis: &Axis<'_>| match axis.crossed_away {
                Some(level) if away.next() == Some(true) => level,
                _ => 0,
            };
            let levels: Levels = axes.iter().map(level).collect();
            let name = set_name(axes, &levels);
            self.want(study, axes, Wanted { kind, name, levels, summary: false, part: Part::Designs })?;
        }
        Ok(())
    }

    fn factorial(&mut self, study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
        let mut choices: Vec<Vec<u8>> = Vec::new();
        for axis in axes {
            let mut own = axis.crossed.clone().unwrap_or_else(|| vec![0]);
            own.sort_by_key(|level| digit(axis, *level));
            choices.push(own);
        }
        let cells: usize = choices.iter().map(Vec::len).product();
        for set in 0..cells {
            let mut levels = vec![0; axes.len()];
            let mut rest = set;
            // The first factor of the config is the leftmost digit.
            for (level, own) in levels.iter_mut().zip(&choices).rev() {
                *level = own[rest % own.len()];
                rest /= own.len();
            }
            let name = set_name(axes, &levels);
            let kind = DesignKind::Factorial;
            self.want(study, axes, Wanted { kind, name, levels, summary: false, part: Part::Designs })?;
        }
        Ok(())
    }
}

/// All factors away, except one.
pub(super) fn without(axes: &[Axis<'_>], kept: Option<usize>) -> Levels {
    let level = |(i, axis): (usize, &Axis<'_>)| if Some(i) == kept { 0 } else { axis.away.unwrap_or(0) };
    axes.iter().enumerate().map(level).collect()
}

fn digit(axis: &Axis<'_>, level: u8) -> u8 {
    let away = axis.crossed_away;
    match level {
        0 => 1,
        level if Some(level) == away => 0,
        // Levels after the one that is away move down by one.
        level => level + 1 - u8::from(away.is_some_and(|away| away < level)),
    }
}

/// Name of a combination: `set-` and a digit for each factor that is combined.
fn set_name(axes: &[Axis<'_>], levels: &[u8]) -> String {
    let crossed = axes.iter().zip(levels).filter(|(axis, _)| axis.crossed.is_some());
    let digits = crossed.map(|(axis, level)| char::from(DIGITS[usize::from(digit(axis, *level))]));
    format!("set-{}", digits.collect::<String>())
}
