//! The cells of treatments: in one binary, in builds of their own, or both.

use super::axis::{self, Axis, moved};
use super::build_plans::{BuildPlan, Builds};
use super::constraints;
use super::treatments::{Treatment, Treatments};
use crate::config::{ConfigError, DesignKind, Part, Peer, Study};
use crate::support::settings::PLACEBO_VARIABLE;
use ablate_format::{Arm, CellKind, CellPlan, Impossible};
use std::collections::BTreeMap;

/// The cells of one treatment, by their index.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    /// The cell in the baseline's binary.
    pub(super) binary: Option<usize>,
    /// The cell in another binary.
    pub(super) own_binary: Option<usize>,
}

impl Made {
    /// The cell of a combination: in the baseline's binary, if that can have it.
    pub(super) fn combined(self) -> Option<usize> {
        self.binary.or(self.own_binary)
    }

    pub(super) fn both(self) -> impl Iterator<Item = usize> {
        [self.binary, self.own_binary].into_iter().flatten()
    }
}

/// The cells of a study, with their builds.
pub(super) struct Cells {
    pub(super) list: Vec<CellPlan>,
    /// One for each treatment, in their order.
    pub(super) made: Vec<Made>,
    pub(super) impossible: Vec<Impossible>,
    pub(super) builds: Vec<BuildPlan>,
}

impl Cells {
    /// Number of combinations that a design asks for and a constraint forbids.
    pub(super) fn missing(&self, treatments: &Treatments, kind: DesignKind) -> usize {
        let asked = treatments.list.iter().zip(&self.made).filter(|(treatment, _)| treatment.asked.contains(&kind));
        asked.filter(|(_, made)| made.combined().is_none()).count()
    }
}

pub(super) fn cells(study: &Study, axes: &[Axis<'_>], treatments: &Treatments) -> Result<Cells, ConfigError> {
    let baseline: Vec<&str> = axes.iter().map(|axis| axis.name(0)).collect();
    let mut builds = Builds::new(study, axes);
    let full = builds.with_levels(&baseline);
    let mut list = vec![cell(study, axes, "baseline", None, &baseline, &full)];
    let mut placebo = cell(study, axes, "placebo", None, &baseline, &full);
    placebo.kind = CellKind::Placebo;
    placebo.env.insert(PLACEBO_VARIABLE.to_owned(), "1".to_owned());
    list.push(placebo);
    if let Some(feature) = &study.subject.placebo_feature {
        let build = builds.placebo(&baseline, feature);
        let mut placebo = cell(study, axes, "placebo", Some(Arm::Feature), &baseline, &build);
        placebo.kind = CellKind::Placebo;
        list.push(placebo);
    }
    let mut impossible = Vec::new();
    let mut made = Vec::new();
    for treatment in &treatments.list {
        let mut own = Made::default();
        for (arm, levels) in arms(study, axes, treatment) {
            if let Some((_, reason)) = constraints::broken(study, axes, &levels) {
                if let Some(written) = treatment.written {
                    let message = format!("treatment `{}` breaks a constraint: {reason}; change one", treatment.name);
                    return Err(study.error_at(Part::Treatment(written), message));
                }
                impossible.push(Impossible { name: cell_id(&treatment.name, arm), reason });
                continue;
            }
            let build = builds.with_levels(&levels);
            let mut new = cell(study, axes, &treatment.name, Some(arm), &levels, &build);
            new.kind = CellKind::Treatment;
            new.expect_zero.clone_from(&treatment.expect_zero);
            match arm {
                Arm::Feature | Arm::Build => own.own_binary = Some(list.len()),
                Arm::Env | Arm::Args => own.binary = Some(list.len()),
            }
            list.push(new);
        }
        made.push(own);
    }
    for peer in &study.peers {
        let build = match (&peer.command, &peer.features) {
            (Some(command), _) => builds.program(peer_id(&peer.name), command),
            (None, Some(features)) => builds.with_features(peer_id(&peer.name), features, &baseline),
            (None, None) => full.clone(),
        };
        list.push(peer_cell(study, peer, build));
    }
    Ok(Cells { list, made, impossible, builds: builds.list })
}

/// Id of a treatment's cell in an arm.
fn cell_id(name: &str, arm: Arm) -> String {
    format!("{name}@{}", arm.as_str())
}

/// The arms in which a treatment runs, each with its levels by name. It runs in one binary when that binary can have
/// all levels. It runs in a build of its own when every level that differs needs one, or when the levels cannot be
/// combined otherwise; then levels that need none are set as in one binary.
fn arms<'a>(study: &Study, axes: &[Axis<'a>], treatment: &Treatment) -> Vec<(Arm, Vec<&'a str>)> {
    let mut out = Vec::new();
    let levels = treatment.levels.as_slice();
    let in_one_binary = moved(axes, levels).all(|(axis, level)| axis.factor.in_one_binary(axis.name(level)));
    let is_binary = study.in_one_binary() && in_one_binary;
    if is_binary {
        let names = axes.iter().zip(levels).map(|(axis, level)| axis.levels[usize::from(*level)]);
        out.push((axis::arm_in_one_binary(axes, levels), names.collect()));
    }
    if study.in_own_binaries() && (treatment.wants_builds() || !in_one_binary) {
        let may_mix = study.in_one_binary() && !is_binary;
        let name = |(axis, level): (&Axis<'a>, &u8)| -> Option<&'a str> {
            let name = axis.levels[usize::from(*level)];
            let own = if *level == 0 { Some(name) } else { axis.in_own_binary(name, &study.arms) };
            own.or_else(|| (may_mix && axis.factor.in_one_binary(name)).then_some(name))
        };
        if let Some(names) = axes.iter().zip(levels).map(name).collect::<Option<Vec<_>>>() {
            out.push((axis::arm_in_own_binary(axes, &names), names));
        }
    }
    out
}

/// A cell of the subject. Its kind is the baseline's; the caller changes that of other cells.
fn cell(study: &Study, axes: &[Axis<'_>], name: &str, arm: Option<Arm>, levels: &[&str], build: &str) -> CellPlan {
    let mut env = study.subject.env.clone();
    let mut args = study.subject.args.clone();
    // An absent factor has no entry, and needs no switch.
    for own in axes.iter().zip(levels).filter_map(|(axis, level)| axis.factor.levels.get(*level)) {
        env.extend(own.env.clone());
        args.extend_from_slice(&own.args);
    }
    CellPlan {
        id: arm.map_or_else(|| name.to_owned(), |arm| cell_id(name, arm)),
        name: name.to_owned(),
        kind: CellKind::Baseline,
        arm,
        levels: axis::reported(axes, levels),
        expect_zero: Vec::new(),
        build: build.to_owned(),
        args,
        env,
        served_by: study.subject.served_by.clone(),
        compare: true,
    }
}

fn peer_cell(study: &Study, peer: &Peer, build: String) -> CellPlan {
    let mut env = study.subject.env.clone();
    env.extend(peer.env.clone());
    CellPlan {
        id: peer_id(&peer.name),
        name: peer.name.clone(),
        kind: CellKind::Peer,
        arm: None,
        levels: BTreeMap::new(),
        expect_zero: Vec::new(),
        build,
        args: peer.args.clone(),
        env,
        served_by: peer.served_by.clone(),
        compare: peer.compare,
    }
}

/// Id of the cell of a peer.
pub(super) fn peer_id(name: &str) -> String {
    format!("peer-{name}")
}
