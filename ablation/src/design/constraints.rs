//! Constraints: levels that need levels of other factors.

use super::axis::Axis;
use crate::config::{ConfigError, Constraint, Part, Study};

/// Checks that the baseline meets all constraints, because contrasts are with the baseline.
pub(super) fn hold_for_baseline(study: &Study, axes: &[Axis<'_>]) -> Result<(), ConfigError> {
    let baseline: Vec<&str> = axes.iter().map(|axis| axis.name(0)).collect();
    match broken(study, axes, &baseline) {
        Some((index, reason)) => {
            let message = format!(
                "the baseline breaks this constraint: {reason}; change it, or name other levels with `baseline`"
            );
            Err(study.error_at(Part::Constraint(index), message))
        }
        None => Ok(()),
    }
}

/// The first constraint that levels break, by its index, and the reason.
pub(super) fn broken(study: &Study, axes: &[Axis<'_>], levels: &[&str]) -> Option<(usize, String)> {
    study.constraints.iter().enumerate().find_map(|(i, constraint)| Some((i, reason(constraint, axes, levels)?)))
}

fn reason(constraint: &Constraint, axes: &[Axis<'_>], levels: &[&str]) -> Option<String> {
    let level = |factor: &str| axes.iter().position(|axis| axis.factor.name == factor).map(|at| levels[at]);
    // A constraint on `off` is for an absent factor too.
    let is = |factor: &str, wanted: &str| {
        level(factor).is_some_and(|level| level == wanted || (level == "absent" && wanted == "off"))
    };
    if !constraint.when.iter().all(|(factor, wanted)| is(factor, wanted)) {
        return None;
    }
    let (factor, allowed) =
        constraint.needs.iter().find(|(factor, allowed)| !allowed.iter().any(|wanted| is(factor, wanted)))?;
    let when: Vec<String> = constraint.when.iter().map(|(factor, level)| format!("{factor} {level}")).collect();
    let seen = level(factor).unwrap_or("unknown");
    Some(format!("{} needs {factor} {}, and it is {seen}", when.join(" and "), allowed.join(" or ")))
}
