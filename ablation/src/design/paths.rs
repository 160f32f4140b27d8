//! Checks paths against the design: every step needs a cell in the baseline's binary that runs with each workload of
//! the path.

use crate::config::{ConfigError, Part, Study};
use ablate_format::StudyPlan;

pub(super) fn check(study: &Study, plan: &StudyPlan) -> Result<(), ConfigError> {
    for (i, path) in study.paths.iter().enumerate() {
        for (j, step) in path.steps.iter().enumerate() {
            if let Some(trouble) = trouble(plan, step, &path.workloads) {
                return Err(study.error_at(Part::Step(i, j), trouble));
            }
        }
    }
    Ok(())
}

fn trouble(plan: &StudyPlan, step: &str, workloads: &[String]) -> Option<String> {
    let Some(cell) = plan.step(step) else {
        return Some(format!(
            "step `{step}` is not in the baseline's binary, so its code layout would change too; set its levels by \
             variables or arguments, and write \"env\" or \"args\" in `arms`"
        ));
    };
    let mut followed = plan.workloads.iter().filter(|workload| workloads.contains(&workload.name));
    let missing = followed.find(|workload| !workload.runs(&cell.id))?;
    Some(format!("step `{step}` does not run with `{0}`; add \"explicit\" to the `designs` of `{0}`", missing.name))
}
