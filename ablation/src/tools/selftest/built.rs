//! The feature arm: a package that is built with and without a planted feature, in one code layout per block.

use super::judge::{Answer, Row, judge, known, unplanted};
use super::truth::Truth;
use crate::analyse::{Analysis, Effect, Verdict};
use ablate_format::effects::Estimate;
use ablate_format::{Arm, Manifest};
use std::io;
use std::path::Path;

/// The package: the program, what it shares with the synthetic subject, and what every measured program has.
const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", MANIFEST),
    ("src/main.rs", include_str!("planted/main.rs")),
    ("src/operation.rs", include_str!("operation.rs")),
    ("src/contention.rs", include_str!("../../../probe/src/contention.rs")),
    ("src/line.rs", include_str!("../../../probe/src/line.rs")),
    ("src/timed_batches.rs", include_str!("../../../probe/src/timed_batches.rs")),
];

const MANIFEST: &str = "\
[package]
name = \"planted\"
version = \"0.0.0\"
edition = \"2024\"
publish = false

[features]
cost = []
placebo = []

[workspace]
";

/// Most code layouts that a study can have.
const LAYOUTS_MAX: u32 = 64;

/// Writes the package and the config beside it, `feature.toml`.
///
/// # Errors
/// What the system said.
pub(super) fn write(dir: &Path, blocks: u32) -> io::Result<()> {
    let package = dir.join("planted");
    std::fs::create_dir_all(package.join("src"))?;
    for (name, text) in FILES {
        std::fs::write(package.join(name), text)?;
    }
    std::fs::write(dir.join("feature.toml"), config(blocks))
}

/// The study as a config.
fn config(blocks: u32) -> String {
    let layouts = blocks.min(LAYOUTS_MAX);
    format!(
        "study = \"selftest-feature\"\nabout = \"a planted cost between two builds\"\nseed = 20251123\n\
         blocks = {blocks}\ncounting_repeats = 2\narms = [\"feature\"]\ndesign = [\"leave-one-out\"]\nlayouts = {layouts}\n\
         timeout_seconds = 60\n\n[subject]\npackage = \"planted\"\nbinary = \"planted\"\nmanifest = \"planted/Cargo.toml\"\n\
         profile = \"release\"\nplacebo_feature = \"placebo\"\ncounting_args = [\"--counted\"]\nidle_args = [\"--idle\"]\n\n\
         [[factor]]\nname = \"cost\"\nabout = \"additions in one of two builds\"\nfeature = \"cost\"\n\
         proof = [\"cost.work\"]\nlevels = {{ on = {{}} }}\n\n\
         [[workload]]\nname = \"operations\"\nargs = []\nresponse = \"p10\"\n"
    )
}

/// The rows: the planted cost, which must be told apart from 0, and the dead code, which must not.
pub(super) fn rows(truth: &Truth, manifest: &Manifest, analysis: &Analysis, disturbed: Option<&str>) -> Vec<Row> {
    let Some(workload) = analysis.workloads.first() else { return Vec::new() };
    let is_dead_code = |effect: &&Effect| effect.contrast == "placebo" && effect.arm == Some(Arm::Feature);
    let of = |contrast: &str| workload.main_effects().find(|effect| effect.contrast == contrast);
    let (cost, placebo) = (of("on-absent"), workload.main_effects().find(is_dead_code));
    let planted = known(truth.cost(), truth.cost_by_stamps());
    let mut rows = vec![told_apart(planted, cost.map(|row| (row.value(), row.verdict)))];
    if let Some(placebo) = placebo {
        let claimed = matches!(placebo.verdict, Verdict::Costs | Verdict::Saves);
        let mut row = judge("dead code of a feature", Ok(super::judge::exact(0.0)), placebo.value());
        // Dead code plants nothing, and layouts decide how narrow its interval is.
        row.within = None;
        row.answer = Answer::Hit;
        rows.push(unplanted(row, claimed));
    }
    let why = match manifest.plan.layouts {
        0 | 1 => Some("the linker of this machine cannot shuffle sections, so that every build has one layout"),
        _ => disturbed,
    };
    for row in rows.iter_mut().filter(|row| matches!(row.answer, Answer::Miss(_))) {
        if let Some(why) = why {
            row.answer = Answer::Unknown(why.to_owned());
        }
    }
    rows
}

/// The planted cost. Layouts decide how wide its interval is; so it must hold the truth, to the allowed distance, and
/// exclude 0.
fn told_apart(planted: Result<Estimate, String>, cost: Option<(Option<Estimate>, Verdict)>) -> Row {
    let (found, verdict) = cost.unwrap_or((None, Verdict::Inconclusive));
    let mut row = judge("feature of a build", planted, found);
    if let (Some(truth), Some((lo, hi))) = (row.truth, row.found.and_then(|found| found.interval)) {
        let within = row.within.unwrap_or(0.0);
        row.answer = match (lo - within..=hi + within).contains(&truth.value) {
            false => Answer::Miss("too far away".to_owned()),
            true if verdict == Verdict::Costs => Answer::Hit,
            true => Answer::Unknown("not told apart from 0: layouts differ too much, give more blocks".to_owned()),
        };
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, design};

    #[test]
    fn the_config_has_a_layout_for_each_block_and_a_placebo() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        write(dir.path(), 30).expect("writes");
        let study = config::load(&dir.path().join("feature.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((study.layouts, study.blocks), (30, 30));
        assert!(super::config(200).contains("layouts = 64"));
        let design = design::resolve(&study).expect("a design");
        let has = |contrast: &str| design.plan.contrasts.iter().any(|c| c.contrast == contrast);
        assert!(has("on-absent") && has("placebo"), "{:?}", design.plan.contrasts);
        assert_eq!(design.builds.len(), 3);
    }

    #[test]
    fn a_cost_between_builds_must_be_told_apart_and_hold_the_truth() {
        let value =
            |value: f64, half: f64| Estimate { value, interval: Some((value - half, value + half)), blocks: 30 };
        let row = |truth, found, verdict| told_apart(truth, Some((Some(found), verdict))).answer;
        assert_eq!(row(Ok(value(8.0, 0.1)), value(9.0, 2.0), Verdict::Costs), Answer::Hit);
        assert!(matches!(row(Ok(value(8.0, 0.1)), value(12.0, 2.0), Verdict::Costs), Answer::Miss(_)));
        assert!(matches!(row(Ok(value(8.0, 0.1)), value(8.0, 20.0), Verdict::NotDetected), Answer::Unknown(_)));
        assert!(matches!(row(Err("why".to_owned()), value(8.0, 1.0), Verdict::Costs), Answer::Unknown(_)));
        assert!(matches!(told_apart(Ok(value(8.0, 0.1)), None).answer, Answer::Miss(_)));
    }
}
