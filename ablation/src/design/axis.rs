//! Factors with numbered levels, so that the levels of a cell are a list of numbers.

use crate::config::{Factor, Study};
use ablate_format::Arm;
use std::collections::BTreeMap;

/// One level for each factor, by its number, in the order of the config.
pub(super) type Levels = Vec<u8>;

/// A factor as an axis of the design: level 0 is the baseline's.
pub(super) struct Axis<'a> {
    pub(super) factor: &'a Factor,
    /// Names of the levels that the arms of the study can bring about.
    pub(super) levels: Vec<&'a str>,
    /// The level without the factor, in any arm.
    pub(super) away: Option<u8>,
    /// Numbers of the levels to combine; `None` when the factor is not combined.
    pub(super) crossed: Option<Vec<u8>>,
    /// The level without the factor among them, when the factor is combined at two levels.
    pub(super) crossed_away: Option<u8>,
}

pub(super) fn axes(study: &Study) -> Vec<Axis<'_>> {
    let axis = |factor| -> Axis<'_> {
        let factor: &Factor = factor;
        let mut levels = vec![factor.baseline.as_str()];
        levels.extend(factor.others(&study.arms));
        // The config limits the number of levels to 30.
        let number = |name: &str| levels.iter().position(|level| *level == name).map(|at| at as u8);
        // A factorial combines on and off. Variants are combined only where a factor has no `off`, or is off in the
        // baseline.
        let mut combined = factor.others_combined(&study.arms);
        if combined.contains(&"off") {
            combined.retain(|level| *level == "off");
        }
        let is_crossed = study.crossed.contains(&factor.name);
        let crossed = is_crossed.then(|| std::iter::once(0).chain(combined.into_iter().filter_map(number)).collect());
        let crossed_away = factor.away_combined(&study.arms).filter(|_| is_crossed).and_then(number);
        Axis { factor, away: factor.away(&study.arms).and_then(number), crossed, crossed_away, levels }
    };
    study.factors.iter().map(axis).collect()
}

impl Axis<'_> {
    /// The level that another binary has instead of the baseline's, where one of the arms builds it.
    pub(super) fn in_own_binary<'n>(&self, level: &'n str, arms: &[Arm]) -> Option<&'n str> {
        let own = self.factor.in_own_binary(level)?;
        arms.contains(&self.factor.arm_in_own_binary(own)).then_some(own)
    }

    /// Name of a level as a cell of a combination has it.
    pub(super) fn combined_name(&self, level: u8) -> &str {
        let name = self.name(level);
        if self.factor.in_one_binary(name) { name } else { self.factor.in_own_binary(name).unwrap_or(name) }
    }

    /// Name of a level.
    pub(super) fn name(&self, level: u8) -> &str {
        self.levels[usize::from(level)]
    }

    /// Name of the change from the baseline to a level: `no-cache`, `cache-small`.
    pub(super) fn change(&self, level: u8) -> String {
        match self.name(level) {
            "off" => format!("no-{}", self.factor.name),
            variant => format!("{}-{variant}", self.factor.name),
        }
    }
}

/// Factors that are not at their baseline's level, with the level.
pub(super) fn moved<'a>(axes: &'a [Axis<'a>], levels: &'a [u8]) -> impl Iterator<Item = (&'a Axis<'a>, u8)> {
    axes.iter().zip(levels.iter().copied()).filter(|(_, level)| *level != 0)
}

/// Levels that the program must report: names of levels by factor.
pub(super) fn reported(axes: &[Axis<'_>], names: &[&str]) -> BTreeMap<String, String> {
    axes.iter().zip(names).map(|(axis, name)| (axis.factor.name.clone(), name.to_string())).collect()
}

/// `args` when the levels differ from the baseline's in arguments only, else `env`.
pub(super) fn arm_in_one_binary(axes: &[Axis<'_>], levels: &[u8]) -> Arm {
    let args = moved(axes, levels).all(|(axis, level)| axis.factor.arm_in_one_binary(axis.name(level)) == Arm::Args);
    if args { Arm::Args } else { Arm::Env }
}

/// How a binary of its own has these levels, by their names: `build` where a setting of the build differs.
pub(super) fn arm_in_own_binary(axes: &[Axis<'_>], names: &[&str]) -> Arm {
    let by_build = axes.iter().zip(names).any(|(axis, name)| axis.factor.arm_in_own_binary(name) == Arm::Build);
    if by_build { Arm::Build } else { Arm::Feature }
}
