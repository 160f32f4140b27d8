//! Whether a resumed study is the one that was started.

use super::{facts, shard};
use crate::builds::revisions::LATER;
use crate::config::Study;
use crate::store::{StoreError, content};
use crate::support::machine;
use ablate_format::{BuildRecord, Manifest, StudyPlan};
use std::path::Path;

/// Takes the responses that a program's line decided from the study that is continued.
pub(super) fn keep_responses(study: &mut Study, before: &StudyPlan, now: &mut StudyPlan) {
    for (workload, plan) in study.workloads.iter_mut().zip(&mut now.workloads) {
        if let Some(old) = before.workloads.iter().find(|old| workload.is_judged_by_default && old.name == plan.name) {
            (workload.is_judged_by_default, plan.response) = (false, old.response);
        }
    }
}

/// Checks that a resumed study is the same: records of two configs, two binaries or two machines must not mix.
pub(super) fn same_study(before: &Manifest, now: &Manifest, dir: &Path) -> Result<(), StoreError> {
    let differs = |what: String| Err(StoreError::Differs { dir: dir.to_owned(), what });
    shard::same(before, now, dir)?;
    if before.config_text != now.config_text || content::plan(before) != content::plan(now) {
        return differs(format!(
            "{} differs from the config that the study was started with, or --workload, --factor, --cell or --quick differs",
            now.config_path
        ));
    }
    for build in &now.builds {
        let old = before.builds.iter().find(|old| old.id == build.id);
        if let Some(change) = old.and_then(|old| changed_setting(old, build)) {
            return differs(change);
        }
        if old.is_none_or(|old| content::binaries(old) != content::binaries(build)) {
            return differs(format!("the binary of build `{}` differs, because sources or compiler changed", build.id));
        }
    }
    if content::libraries(before) != content::libraries(now) {
        return differs("a library that a peer preloads differs".to_owned());
    }
    for name in machine::FIXED.into_iter().chain(facts::NAMES) {
        let (old, new) = (before.machine.facts.get(name), now.machine.facts.get(name));
        if old != new {
            let show = |value: Option<&Option<String>>| value.cloned().flatten().unwrap_or_else(|| "n/a".to_owned());
            return differs(format!(
                "{name} was {} and is {} now, and results of two machines or programs must not be mixed",
                show(old),
                show(new)
            ));
        }
    }
    Ok(())
}

/// The first setting of a build that was another when the study started, in words. A study of an older ablate recorded
/// none.
fn changed_setting(old: &BuildRecord, now: &BuildRecord) -> Option<String> {
    if old.settings.is_empty() {
        return None;
    }
    let names = old.settings.keys().chain(now.settings.keys());
    let is_known = |name: &&String| !LATER.contains(&name.as_str()) || old.settings.contains_key(*name);
    let mut names = names.filter(is_known);
    let name = names.find(|name| old.settings.get(*name) != now.settings.get(*name))?;
    let show = |build: &BuildRecord| build.settings.get(name).map_or("not set", String::as_str).to_owned();
    Some(format!("{name} of build `{}` was {}, and is {} now", now.id, show(old), show(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;

    #[test]
    fn another_config_binary_or_machine_cannot_be_resumed() {
        let check = |change: &dyn Fn(&mut Manifest), part: &str| {
            let mut now = manifest();
            change(&mut now);
            let error = same_study(&manifest(), &now, Path::new("d")).expect_err(part).to_string();
            assert!(error.contains(part) && error.contains("--out"), "{error}");
        };
        assert!(same_study(&manifest(), &manifest(), Path::new("d")).is_ok());
        check(&|m| m.config_text.push('#'), "demo.toml");
        check(&|m| m.builds[1].result.as_mut().expect("built").sha256 = "11".into(), "`bare`");
        let set = |m: &mut Manifest, value: &str| m.builds[1].settings.insert("RUSTFLAGS".into(), value.into());
        let mut before = manifest();
        set(&mut before, "-Copt-level=0");
        let error = same_study(&before, &manifest(), Path::new("d")).expect_err("another build").to_string();
        assert!(error.contains("RUSTFLAGS of build `bare` was -Copt-level=0, and is not set now"), "{error}");
        assert!(same_study(&before, &before.clone(), Path::new("d")).is_ok());
        check(&|m| drop(m.machine.facts.insert("cpu".into(), Some("Z".into()))), "cpu was n/a and is Z");
    }
}
