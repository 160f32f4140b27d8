//! The command that continues a study.

use super::request::{Form, Request};
use crate::support::call::{PROGRAM, quoted};
use std::path::Path;

/// The call that continues the study of `request` in `dir`.
pub(super) fn command(request: &Request, dir: &Path) -> String {
    let mut command = format!("{PROGRAM} run {} --out {} --resume", quoted(&request.config), quoted(dir));
    if request.form == Form::Quick {
        command.push_str(" --quick");
    }
    for workload in &request.workloads {
        command.push_str(&format!(" --workload {workload}"));
    }
    for (option, names) in [("--factor", &request.factors), ("--cell", &request.cells)] {
        names.iter().for_each(|name| command.push_str(&format!(" {option} {name}")));
    }
    if let Some(blocks) = request.blocks {
        command.push_str(&format!(" --blocks {blocks}"));
    }
    // Of a study that was ended before its first run nothing else knows it.
    if let Some(seed) = request.seed {
        command.push_str(&format!(" --seed {seed}"));
    }
    if let Some(shard) = &request.shard {
        command.push_str(&format!(" --shard {}/{}", shard.number, shard.of));
    }
    if let Some(builds) = &request.builds {
        command.push_str(&format!(" --builds {}", quoted(builds)));
    }
    if let Some(width) = request.until_halfwidth {
        command.push_str(&format!(" --until-halfwidth {width}"));
    }
    if let Some(budget) = request.budget {
        command.push_str(&format!(" --budget {budget}"));
    }
    command
}
