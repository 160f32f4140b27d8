//! What a comparison or a search that was interrupted goes on with: its folder, its commits, and the command.

use super::error::DiffError;
use super::request::Request;
use super::subject;
use crate::builds;
use crate::builds::revisions::Pin;
use crate::config::Study;
use crate::store::MANIFEST;
use crate::support::call;
use crate::support::settings::Settings;
use crate::support::studies::fresh;
use ablate_format::Manifest;
use std::path::{Path, PathBuf};

/// The folder for several results of a call that names none: beside those of other studies.
pub(super) fn default_folder(name: &str, study: &Study, settings: &Settings) -> Result<PathBuf, DiffError> {
    let target = match &settings.target_dir {
        Some(target) => target.clone(),
        None => builds::target_folder(&std::path::absolute(subject::sources(study)?).map_err(DiffError::Nowhere)?),
    };
    Ok(fresh(&target.join("ablate"), name))
}

/// Whether a folder has a study that can be continued.
pub(super) fn is_begun(dir: &Path) -> bool {
    dir.join(MANIFEST).is_file()
}

/// Two revisions that a comparison began with: of the level that the others are compared with, and of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) base: Pin,
    pub(super) head: Pin,
}

impl Begun {
    /// The revisions of two levels; `None` in the results of an older ablate.
    pub(super) fn of(manifest: &Manifest, base: &str, head: &str) -> Option<Begun> {
        let pin = |level: &str| {
            let cell = manifest.plan.cells.iter().find(|cell| cell.levels.values().any(|own| own == level))?;
            Pin::of(manifest.builds.iter().find(|build| build.id == cell.build)?)
        };
        Some(Begun { base: pin(base)?, head: pin(head)? })
    }
}

/// The revisions of the first of some folders that has results.
///
/// # Errors
/// [`DiffError::Store`].
pub(super) fn begun<'d>(
    request: &Request,
    dirs: impl IntoIterator<Item = &'d Path>,
    (base, head): (&str, &str),
) -> Result<Option<Begun>, DiffError> {
    let Some(dir) = dirs.into_iter().find(|dir| request.resume && is_begun(dir)) else { return Ok(None) };
    let manifest = ablate_format::read_manifest(dir).map_err(crate::store::StoreError::from)?;
    Ok(Begun::of(&manifest, base, head))
}

/// The command that continues what this process was called for, without its `BASE..HEAD`: the folder has the revisions,
/// and the names may be those of other commits by then.
pub(super) fn command(dir: &Path, revisions: Option<&str>) -> String {
    words(call::command(), dir, revisions)
}

/// Options of `diff` that take no value, so that the next word is another argument.
const FLAGS: [&str; 6] = ["--gate", "--json", "--annotate", "--resume", "--quiet", "-q"];

fn words(mut words: Vec<String>, dir: &Path, revisions: Option<&str>) -> String {
    // What follows belongs to the program.
    let own = words.split_off(words.iter().position(|word| word == "--").unwrap_or(words.len()));
    let is_value = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        before
            .is_some_and(|before| before.starts_with('-') && !before.contains('=') && !FLAGS.contains(&before.as_str()))
    };
    let named = (0..words.len()).find(|at| revisions == Some(words[*at].as_str()) && !is_value(*at));
    if let Some(at) = named {
        words.remove(at);
    }
    words.retain(|word| word != "--resume");
    let has_out = words.iter().any(|word| word == "--out" || word.starts_with("--out="));
    if !has_out {
        words.extend(["--out".to_owned(), dir.display().to_string()]);
    }
    words.push("--resume".to_owned());
    shell_words::join(words.iter().chain(&own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_the_words_of_the_program_which_stay_as_they_are() {
        let check_with = |call: &str, revisions: Option<&str>, expected: &str| {
            let call = shell_words::split(call).expect("splits");
            assert_eq!(words(call, Path::new("/t/a b"), revisions), expected);
        };
        let check = |call: &str, expected: &str| check_with(call, None, expected);
        let out = "--out '/t/a b' --resume";
        check_with("cargo ablate diff a..b", Some("a..b"), &format!("cargo ablate diff {out}"));
        check_with("cargo ablate diff --gate a", Some("a"), &format!("cargo ablate diff --gate {out}"));
        check_with("cargo ablate diff --bin a a", Some("a"), &format!("cargo ablate diff --bin a {out}"));
        check_with("cargo ablate diff -- a", Some("a"), &format!("cargo ablate diff {out} -- a"));
        check(
            "cargo ablate diff --bin x -- --out y --resume 'a b'",
            &format!("cargo ablate diff --bin x {out} -- --out y --resume 'a b'"),
        );
        check("cargo ablate diff --out d --resume", "cargo ablate diff --out d --resume");
        check("cargo ablate bisect v1 v2 --out=d", "cargo ablate bisect v1 v2 '--out=d' --resume");
    }
}
