//! The two stages as studies: a folded-over design of all factors, and a design of those that it kept. Pure functions.

use super::error::ScreenError;
use crate::config::{DesignKind, Factor, MAX_SCREENED, Study, Treatment};
use crate::design::{self, Design};
use std::collections::BTreeMap;

/// Factors whose full factorial the clean stage takes, and the screen stops for when no more are left.
pub(super) const FEW: usize = 5;

/// Most factors of a fraction in which interactions of two factors are clear of each other.
pub(crate) const MOST_PAIRED: u32 = 12;

/// The factors to screen: those that are named, or all.
///
/// # Errors
/// [`ScreenError`] for too few or too many of them, for one that does not exist, and for one without two levels.
pub(super) fn factors(study: &Study, asked: &[String]) -> Result<Vec<String>, ScreenError> {
    for name in asked {
        study.has("factor", name, study.factors.iter().map(|factor| factor.name.as_str()))?;
    }
    let is_asked = |name: &String| asked.is_empty() || asked.contains(name);
    let chosen: Vec<_> = study.factors.iter().filter(|factor| is_asked(&factor.name)).collect();
    let config = || study.path.clone();
    if !(2..=MAX_SCREENED).contains(&chosen.len()) {
        let (there, way) = match chosen.len() {
            0 => ("there is none".to_owned(), "add [[factor]] tables"),
            1 if asked.is_empty() => ("there is one".to_owned(), "measure it with `cargo ablate run`"),
            1 => ("--factor leaves one".to_owned(), "name more, or measure it with `cargo ablate run`"),
            more => (format!("there are {more}"), "name fewer with --factor"),
        };
        return Err(ScreenError::Factors { config: config(), most: MAX_SCREENED, there, way });
    }
    for factor in &chosen {
        if factor.away_combined(&study.arms).is_some() {
            continue;
        }
        let others = factor.others_combined(&study.arms);
        let (levels, way) = match others.is_empty() {
            true => ("one level in these `arms`".to_owned(), "give it `off`"),
            false => (
                format!("the levels {}, {}, and none of them is `off`", factor.baseline, others.join(", ")),
                "name one of them `off`",
            ),
        };
        return Err(ScreenError::Levels { config: config(), factor: factor.name.clone(), levels, way });
    }
    Ok(chosen.into_iter().map(|factor| factor.name.clone()).collect())
}

/// The screen: every factor in a folded-over design, without counting passes, because nothing is claimed from it.
///
/// # Errors
/// [`ScreenError::Impossible`], and those of the design.
pub(super) fn screen(study: &Study, factors: &[String]) -> Result<Study, ScreenError> {
    let mut stage = with(study, factors, DesignKind::Foldover);
    stage.counting_repeats = 0;
    whole(&stage, "screen")?;
    Ok(stage)
}

/// The clean stage: main effects and interactions of the factors that were kept, or main effects only where they are more
/// than `pairs_up_to`. Where no two cells differ in one factor alone, every factor without counters has a cell of its own
/// beside the design, which proves its switch.
///
/// # Errors
/// [`ScreenError::Impossible`], and those of the design.
pub(super) fn clean(study: &Study, kept: &[String], pairs_up_to: u32) -> Result<Study, ScreenError> {
    let (kind, fraction) = clean_design(study, kept, pairs_up_to);
    let mut stage = with(study, kept, kind);
    stage.fraction = fraction;
    whole(&stage, "clean stage")?;
    if kind != DesignKind::Factorial {
        let needs_cell = |factor: &&Factor| kept.contains(&factor.name) && factor.proof.is_empty();
        let proving = study.factors.iter().filter(needs_cell).filter_map(|factor| {
            let away = factor.away_combined(&study.arms)?.to_owned();
            Some(Treatment {
                name: format!("no-{}", factor.name),
                about: String::new(),
                levels: BTreeMap::from([(factor.name.clone(), away)]),
                expect_zero: Vec::new(),
            })
        });
        stage.treatments = proving.collect();
        if !stage.treatments.is_empty() {
            stage.designs.insert(0, DesignKind::Explicit);
        }
        whole(&stage, "clean stage")?;
    }
    Ok(stage)
}

/// The design of the clean stage, and the p of its fraction.
fn clean_design(study: &Study, kept: &[String], pairs_up_to: u32) -> (DesignKind, u32) {
    if kept.len() > pairs_up_to.min(MOST_PAIRED) as usize {
        return (DesignKind::Foldover, 1);
    }
    // Every cell that needs a build is dear, and a fraction has fewer.
    let is_built = study
        .factors
        .iter()
        .filter(|factor| kept.contains(&factor.name))
        .any(|factor| factor.away_combined(&study.arms).is_some_and(|away| !factor.in_one_binary(away)));
    match design::resolution_five(kept.len()) {
        Some(p) if p > 0 && (is_built || kept.len() > FEW) => (DesignKind::Fractional, p as u32),
        _ => (DesignKind::Factorial, 1),
    }
}

/// The study with these factors combined by a design, and nothing that is of other cells.
fn with(study: &Study, factors: &[String], kind: DesignKind) -> Study {
    let mut stage = study.clone();
    stage.designs = vec![kind];
    stage.crossed = factors.to_vec();
    stage.workloads.iter_mut().for_each(|workload| workload.designs = None);
    stage.subject.placebo_feature = None;
    stage.reference_peer = None;
    stage.peers.clear();
    stage.treatments.clear();
    stage.hypotheses.clear();
    stage.targets.clear();
    stage.paths.clear();
    stage.curves.clear();
    stage
}

/// Checks that every cell of a stage can run.
fn whole(stage: &Study, name: &'static str) -> Result<Design, ScreenError> {
    let design = design::resolve(stage)?;
    match design.plan.impossible.first() {
        None => Ok(design),
        Some(first) => Err(ScreenError::Impossible {
            config: stage.path.clone(),
            stage: name,
            count: design.plan.impossible.len(),
            cell: first.name.clone(),
            reason: first.reason.clone(),
        }),
    }
}
