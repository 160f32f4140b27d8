//! Which cells are compared: one row a question, the effect positive when the source costs.

use super::{Treatment, cell_id};
use crate::config::{DesignKind, Study};
use crate::record::{Arm, Contrast};

pub(super) fn contrasts(study: &Study, treatments: &[Treatment]) -> Vec<Contrast> {
    let mut out = Vec::new();
    for treatment in treatments {
        let mut moved = treatment.levels.iter().enumerate().filter(|(_, level)| *level != "on");
        match (moved.next(), moved.next()) {
            (Some((factor, level)), None) => one_factor(&mut out, study, treatment, factor, level),
            _ if treatment.summary => several_factors(&mut out, treatment),
            _ => {}
        }
    }
    if study.designs.contains(&DesignKind::AddOneIn) {
        alone(&mut out, study, treatments);
    }
    if study.designs.contains(&DesignKind::Factorial) {
        // The analysis takes the cells of both halves from their levels.
        out.extend(study.factors.iter().map(|f| row(&f.name, "main", Some(Arm::Env), "", "", true)));
    }
    out.push(row("placebo", "placebo", None, "placebo", "baseline", false));
    out
}

fn row(factor: &str, contrast: &str, arm: Option<Arm>, plus: &str, minus: &str, attribution: bool) -> Contrast {
    Contrast {
        factor: factor.to_owned(),
        contrast: contrast.to_owned(),
        arm,
        plus: plus.to_owned(),
        minus: minus.to_owned(),
        attribution,
    }
}

fn one_factor(out: &mut Vec<Contrast>, study: &Study, treatment: &Treatment, factor: usize, level: &str) {
    let factor = &study.factors[factor].name;
    for &arm in &treatment.arms {
        let minus = cell_id(&treatment.name, arm);
        let (contrast, attribution) = match (level, arm) {
            ("off", Arm::Env) => ("on-off".to_owned(), true),
            ("off", Arm::Feature) => ("on-absent".to_owned(), true),
            (variant, _) => (format!("on-{variant}"), false),
        };
        out.push(row(factor, &contrast, Some(arm), "baseline", &minus, attribution));
    }
    if level == "off" && treatment.arms.contains(&Arm::Env) && treatment.arms.contains(&Arm::Feature) {
        let (off, absent) = (cell_id(&treatment.name, Arm::Env), cell_id(&treatment.name, Arm::Feature));
        out.push(row(factor, "off-absent", None, &off, &absent, false));
    }
}

fn several_factors(out: &mut Vec<Contrast>, treatment: &Treatment) {
    let contrast = format!("baseline-{}", treatment.name);
    for &arm in &treatment.arms {
        let minus = cell_id(&treatment.name, arm);
        out.push(row(&treatment.name, &contrast, Some(arm), "baseline", &minus, false));
    }
}

/// Each factor alone against none at all. The names of the cells are looked up by levels: other designs may own them.
fn alone(out: &mut Vec<Contrast>, study: &Study, treatments: &[Treatment]) {
    let cell = |arm, is_on: &dyn Fn(usize) -> bool| -> Option<String> {
        let wanted = |i| if is_on(i) { "on" } else { "off" };
        if (0..study.factors.len()).all(is_on) {
            return Some("baseline".to_owned());
        }
        let same = |t: &&Treatment| t.levels.iter().enumerate().all(|(i, level)| level == wanted(i));
        let treatment = treatments.iter().find(same)?;
        treatment.arms.contains(&arm).then(|| cell_id(&treatment.name, arm))
    };
    for (i, factor) in study.factors.iter().enumerate() {
        for &arm in &study.arms {
            if let (Some(plus), Some(minus)) = (cell(arm, &|j| j == i), cell(arm, &|_| false)) {
                out.push(row(&factor.name, "alone-none", Some(arm), &plus, &minus, false));
            }
        }
    }
}
