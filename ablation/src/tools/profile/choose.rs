//! Chooses the cell to profile: the one with the largest effect in an earlier run of the study.

use crate::config::Study;
use crate::support::studies;
use crate::tools::cells::CellsError;
use ablate_format::{CellKind, Manifest};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A cell to profile.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    /// Cell id.
    pub(super) cell: String,
    /// Workload in which the effect is largest, when it is known.
    pub(super) workload: Option<String>,
    /// The reason for this cell, for people. `None` when the call names it.
    pub(super) why: Option<String>,
    /// The run that the profile belongs to, whose report then shows it.
    pub(super) run: Option<PathBuf>,
}

/// The newest run of the study under `parent`; `None` without one.
pub(super) fn newest(parent: &Path, study: &Study) -> Option<PathBuf> {
    let is_own = |dir: &PathBuf| ablate_format::read_manifest(dir).is_ok_and(|manifest| manifest.study == study.name);
    studies::earlier(parent, &study.name).into_iter().find(is_own)
}

#[derive(Deserialize)]
struct File {
    effects: Vec<Effect>,
}

#[derive(Deserialize)]
struct Effect {
    workload: String,
    factor: String,
    contrast: String,
    arm: Option<String>,
    response: String,
    estimate: Option<f64>,
    verdict: String,
}

/// The cell with the largest proven difference from `against` in the newest earlier run of the study under `parent`, in
/// one workload or in any.
pub(super) fn largest(
    parent: &Path,
    study: &Study,
    against: &str,
    workload: Option<&str>,
) -> Result<Chosen, CellsError> {
    for folder in studies::earlier(parent, &study.name) {
        let Ok(manifest) = ablate_format::read_manifest(&folder) else { continue };
        let Ok(text) = std::fs::read_to_string(folder.join("effects.json")) else { continue };
        let Ok(file) = serde_json::from_str::<File>(&text) else { continue };
        if manifest.study != study.name {
            continue;
        }
        if let Some((cell, effect)) = best(&manifest, &file.effects, against, workload) {
            let why = format!(
                "{cell} has the largest effect of the run in {}: {} in {}",
                folder.display(),
                effect.factor,
                effect.workload
            );
            return Ok(Chosen { cell, workload: Some(effect.workload.clone()), why: Some(why), run: Some(folder) });
        }
    }
    Err(CellsError::Unchosen {
        what: format!(
            "no earlier run of {} under {} has a proven effect against {against}, so no cell can be chosen; name one \
             with --cell (`cargo ablate plan {}` lists them), or run the study first",
            study.name,
            parent.display(),
            study.path.display()
        ),
    })
}

/// The largest proven effect on time, with the cell on its other side.
fn best<'e>(
    manifest: &Manifest,
    effects: &'e [Effect],
    against: &str,
    workload: Option<&str>,
) -> Option<(String, &'e Effect)> {
    let is_peer = |id: &str| manifest.plan.cells.iter().any(|cell| cell.id == id && cell.kind == CellKind::Peer);
    let other = |effect: &Effect| -> Option<String> {
        let own = |contrast: &&ablate_format::Contrast| {
            let arm = contrast.arm.map(|arm| arm.as_str().to_owned());
            contrast.factor == effect.factor && contrast.contrast == effect.contrast && arm == effect.arm
        };
        let contrast = manifest.plan.contrasts.iter().find(own)?;
        let cell = if contrast.plus == against {
            &contrast.minus
        } else if contrast.minus == against {
            &contrast.plus
        } else {
            return None;
        };
        (!cell.is_empty() && !is_peer(cell)).then(|| cell.clone())
    };
    let claimed = effects.iter().filter(|effect| {
        effect.response.starts_with("latency")
            && matches!(effect.verdict.as_str(), "costs" | "saves")
            && workload.is_none_or(|name| name == effect.workload)
    });
    let sized = claimed.filter_map(|effect| Some((effect.estimate?.abs(), other(effect)?, effect)));
    sized.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, cell, effect)| (cell, effect))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};
    use crate::store::tests::manifest;

    fn effects(list: &str) -> Vec<Effect> {
        serde_json::from_str::<File>(&format!("{{\"effects\":[{list}]}}")).expect("is JSON").effects
    }

    fn effect(workload: &str, contrast: &ablate_format::Contrast, estimate: &str, verdict: &str) -> String {
        let arm = contrast.arm.map_or("null".to_owned(), |arm| format!("\"{}\"", arm.as_str()));
        format!(
            "{{\"workload\":\"{workload}\",\"factor\":\"{}\",\"contrast\":\"{}\",\"arm\":{arm},\
             \"response\":\"latency_ns_p10\",\"estimate\":{estimate},\"verdict\":\"{verdict}\"}}",
            contrast.factor, contrast.contrast
        )
    }

    #[test]
    fn the_largest_claimed_effect_against_the_cell_is_chosen() {
        let study = parsed(GOOD).expect("good");
        let plan = crate::design::resolve(&study).expect("the design is good").plan;
        let manifest = Manifest { plan: plan.clone(), ..manifest() };
        let by =
            |minus: &str| plan.contrasts.iter().find(|c| c.minus == minus && c.plus == "baseline").expect("planned");
        let (red, blue) = (by("no-red@env"), by("no-blue@env"));
        let list = [
            effect("small", red, "5.0", "costs"),
            effect("large", blue, "-9.0", "saves"),
            effect("large", red, "99.0", "not-detected"),
            effect("small", blue, "null", "costs"),
        ];
        let list = effects(&list.join(","));
        let chosen = |against, workload| best(&manifest, &list, against, workload).map(|(cell, _)| cell);
        assert_eq!(chosen("baseline", None).as_deref(), Some("no-blue@env"));
        assert_eq!(chosen("baseline", Some("small")).as_deref(), Some("no-red@env"));
        assert_eq!(chosen("no-red@env", None).as_deref(), Some("baseline"));
        assert_eq!(chosen("peer-other", None), None);
    }

    #[test]
    fn without_an_earlier_run_the_way_out_is_named() {
        let study = parsed(GOOD).expect("good");
        let error = largest(Path::new("/no/such"), &study, "baseline", None).expect_err("nothing there").to_string();
        assert!(error.contains("--cell") && error.contains("ablate plan"), "{error}");
    }
}
