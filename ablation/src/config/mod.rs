//! Reads a study: strict TOML in, a validated [`Study`] out.
//!
//! A [`Study`] is consistent: every name refers to something, every level exists, and every environment name can be
//! passed to a process. Every error points at `path:line:column`, shows the line and says what to do. The cells,
//! contrasts and builds that follow from a study are left to [`crate::design`].

mod build_settings;
mod builds;
mod check;
pub(crate) mod claims;
mod crossing;
mod diagnostic;
mod error;
mod factor;
mod harness;
mod hooks;
mod levels;
mod names;
mod paths;
mod peers;
mod program;
mod quick;
mod raw;
mod server;
mod study;
mod subject;
mod surroundings;
mod targets;
mod treatments;
mod workloads;

pub(crate) use build_settings::BuildSettings;
pub(crate) use check::is_name;
pub(crate) use crossing::MAX_SCREENED;
pub(crate) use diagnostic::{Diagnostic, Part};
pub(crate) use error::ConfigError;
pub(crate) use peers::{PRELOAD, libraries};
pub(crate) use study::{
    Absent, CargoProgram, CargoTarget, Constraint, DesignKind, Factor, Function, MadeProgram, Origin, Peer, Program,
    Study, Treatment, Workload,
};

pub(crate) use surroundings::{Command, Ready, Server, Surroundings};

use crate::support::nearest::nearest;
use error::MAX_BYTES;
use std::path::{Path, PathBuf};

/// Reads and validates a study.
///
/// # Errors
/// [`ConfigError`], which points at the line where there is one.
pub(crate) fn load(path: &Path) -> Result<Study, ConfigError> {
    let unreadable = |source: std::io::Error| {
        let near = if source.kind() == std::io::ErrorKind::NotFound { near_file(path) } else { None };
        let near = near.map_or_else(String::new, |near| format!("did you mean {}? Or ", near.display()));
        ConfigError::Unreadable { path: path.display().to_string(), source, near }
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.display().to_string(), bytes });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    parse(path, &bytes)
}

/// The file beside a path that does not exist whose name is nearest to it.
fn near_file(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(listed).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(|name| folder.join(name))
}

/// Validates the bytes of a config; `path` is used in messages and to find the manifest.
///
/// # Errors
/// [`ConfigError::Invalid`], which points at the line.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Study, ConfigError> {
    let shown = path.display().to_string();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let readable = String::from_utf8_lossy(bytes);
            let at = e.valid_up_to();
            let message = "this byte is not UTF-8; save the file as UTF-8".to_owned();
            return Err(Diagnostic::new(&shown, &readable, at..at + 1, message).into());
        }
    };
    if text.starts_with('\u{feff}') {
        let message = "the file starts with a byte order mark; save it as UTF-8 without BOM".to_owned();
        return Err(Diagnostic::new(&shown, text, 0..0, message).into());
    }
    let raw: raw::Study = toml::from_str(text).map_err(|e| {
        let span = e.span().unwrap_or(0..0);
        let message = no_value(text, span.start).unwrap_or_else(|| names::reword(e.message()));
        Diagnostic::new(&shown, text, span, message)
    })?;
    Ok(check::check(path, text, raw)?)
}

/// What a key without a value needs, where the error at this place is about one.
fn no_value(text: &str, at: usize) -> Option<String> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next()?;
    let (key, rest) = line.split_once('=')?;
    if !(rest.trim_start().is_empty() || rest.trim_start().starts_with('#')) {
        return None;
    }
    // With a table in its place the parser says what it would rather have.
    let place = start + key.len() + 1;
    let completed = format!("{} {{}}{}", &text[..place], &text[place..]);
    let expected =
        toml::from_str::<raw::Study>(&completed).err().filter(|e| e.span().is_some_and(|s| s.start == place + 1));
    let expected = expected.map(|e| names::reword(e.message()));
    let expected = expected.as_deref().and_then(|said| said.strip_prefix("expected ")?.split(", found").next());
    // A value in quotes is what an empty place does not have.
    let expected = expected.map(|what| what.trim_end_matches(" without quotes").trim_end_matches(','));
    Some(format!("`{}` needs {}; write it after the `=`", key.trim(), expected.unwrap_or("a value")))
}

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_builds;
#[cfg(test)]
mod tests_language;
#[cfg(test)]
mod tests_paths;
#[cfg(test)]
pub(crate) mod tests_race;
#[cfg(test)]
mod tests_surroundings;
#[cfg(test)]
mod tests_targets;
