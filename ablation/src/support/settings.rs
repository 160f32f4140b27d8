//! The runner's own environment, `ABLATE_*`, read through envy. Unknown names are errors, because a misspelt setting
//! that is ignored is hard to notice.

use super::exit::{ExitStatus, ShellCode};
use super::nearest::suggestion;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// The variable in which the placebo differs from the baseline. No program reads it.
pub(crate) const PLACEBO_VARIABLE: &str = "ABLATE_PLACEBO";

/// The variable whose length differs from run to run, so that the alignment of the stack differs too.
pub(crate) const PAD_VARIABLE: &str = "ABLATE_PAD";

/// The variables with the folders of a run and of its block, and with the port of its server.
pub(crate) const SCRATCH_VARIABLE: &str = "ABLATE_SCRATCH";
pub(crate) const BLOCK_VARIABLE: &str = "ABLATE_BLOCK_SCRATCH";
pub(crate) const PORT_VARIABLE: &str = "ABLATE_PORT";

/// Names that a user may set.
const KNOWN: [&str; 2] = ["ABLATE_COLUMNS", TARGET];
/// The folder for binaries and studies.
const TARGET: &str = "ABLATE_TARGET_DIR";
/// Names that the runner sets for measured processes. They are ignored, so that ablate can run in one of these.
const OWN: [&str; 5] = [PLACEBO_VARIABLE, PAD_VARIABLE, SCRATCH_VARIABLE, BLOCK_VARIABLE, PORT_VARIABLE];

/// Settings of the runner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Settings {
    /// `ABLATE_COLUMNS`: width of tables in characters, 72 to 1000.
    #[serde(default = "hundred")]
    pub(crate) columns: usize,
    /// `ABLATE_TARGET_DIR`: folder for binaries and studies instead of the workspace's target folder.
    pub(crate) target_dir: Option<PathBuf>,
}

fn hundred() -> usize {
    100
}

/// An environment that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// An unknown name.
    #[error("the environment sets {name}, which ablate does not know; unset it or correct its name{hint}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest known name, or all of them, after `; `.
        hint: String,
    },
    /// A value that is not text.
    #[error("the environment variable {name} is not UTF-8; set it to plain text or unset it")]
    NotText {
        /// The name.
        name: String,
    },
    /// A value that does not fit.
    #[error("the environment variable ABLATE_COLUMNS must be a whole number from 72 to 1000; it is `{value}`")]
    Columns {
        /// The value.
        value: String,
    },
    /// A folder without a name.
    #[error("the environment variable ABLATE_TARGET_DIR is empty; give a folder or unset it")]
    NoTarget,
}

impl ExitStatus for SettingsError {
    fn exit(&self) -> ShellCode {
        ShellCode::WrongCall
    }
}

/// Reads the settings from pairs of names and values, such as [`std::env::vars_os`].
///
/// # Errors
/// [`SettingsError`] for the first name or value that does not fit.
pub(crate) fn read(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Settings, SettingsError> {
    let mut own = Vec::new();
    let mut target_dir = None;
    // envy panics on what is not UTF-8, so it sees only what was checked here.
    for (name, value) in vars {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with("ABLATE_") || OWN.contains(&name.as_str()) {
            continue;
        }
        if !KNOWN.contains(&name.as_str()) {
            let hint = suggestion(&name, KNOWN);
            return Err(SettingsError::Unknown { name, hint });
        }
        if name == TARGET {
            // A path, which need not be text.
            target_dir = Some(PathBuf::from(value));
            continue;
        }
        let Ok(value) = value.into_string() else { return Err(SettingsError::NotText { name }) };
        own.push((name, value));
    }
    let columns = own.iter().find(|(name, _)| name == "ABLATE_COLUMNS").map(|(_, value)| value.clone());
    let wrong = || SettingsError::Columns { value: columns.clone().unwrap_or_default() };
    let mut settings: Settings = envy::prefixed("ABLATE_").from_iter(own).map_err(|_: envy::Error| wrong())?;
    if !(72..=1000).contains(&settings.columns) {
        return Err(wrong());
    }
    settings.target_dir = target_dir;
    if settings.target_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        return Err(SettingsError::NoTarget);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn check(vars: &[(&str, &str)], expected: Result<(usize, Option<&str>), &str>) {
        let vars = vars.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        match (read(vars), expected) {
            (Ok(settings), Ok((columns, dir))) => {
                assert_eq!(
                    (settings.columns, settings.target_dir.as_deref()),
                    (columns, dir.map(std::path::Path::new))
                );
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn settings_are_read_and_misspelt_ones_are_errors() {
        check(&[("HOME", "/x")], Ok((100, None)));
        check(&[("ABLATE_COLUMNS", "80"), ("ABLATE_TARGET_DIR", "/t")], Ok((80, Some("/t"))));
        check(&[("ABLATE_PLACEBO", "1"), ("ABLATE_PAD", "xx")], Ok((100, None)));
        check(&[("ABLATE_COLUMS", "80")], Err("correct its name; did you mean `ABLATE_COLUMNS`?"));
        check(
            &[("ABLATE_COLUMNS", "wide")],
            Err("ABLATE_COLUMNS must be a whole number from 72 to 1000; it is `wide`"),
        );
        check(&[("ABLATE_COLUMNS", "71")], Err("72 to 1000; it is `71`"));
        check(&[("ABLATE_COLUMNS", "")], Err("ABLATE_COLUMNS"));
        check(&[("ABLATE_TARGET_DIR", "")], Err("ABLATE_TARGET_DIR is empty"));
    }

    #[test]
    fn a_value_that_is_not_text_does_not_panic() {
        let odd = || OsString::from_vec(vec![0xff]);
        assert_eq!(read([(odd(), odd())]).expect("not ours").columns, 100);
        let error = read([(OsString::from("ABLATE_COLUMNS"), odd())]).expect_err("not text");
        assert!(error.to_string().contains("UTF-8"), "{error}");
        // A folder may have any name.
        let settings = read([(OsString::from("ABLATE_TARGET_DIR"), odd())]).expect("a folder");
        assert_eq!(settings.target_dir, Some(odd().into()));
    }
}
