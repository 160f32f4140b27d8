//! The variables of the allocator, as `--set` and the environment give them.

use crate::error::Error;
use hakmem::{Preset, settings};
use std::env;

const PREFIX: &str = "HAKMEM_";
/// The file to which a process tells how it began and ended.
pub(crate) const REPORT: &str = "HAKMEM_REPORT";
/// Prints the statistics at the end of a process.
pub(crate) const STATS: &str = "HAKMEM_STATS";

/// `NAME=VALUE` as a variable and its value. The name may lack the prefix, and may be in small letters with hyphens, as a
/// factor's.
///
/// # Errors
/// There is no `=`, or no name before it.
pub(crate) fn split(text: &str) -> Result<(String, String), Error> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => {
            let name = name.to_uppercase().replace('-', "_");
            let name = if name.starts_with(PREFIX) { name } else { format!("{PREFIX}{name}") };
            Ok((name, value.to_owned()))
        }
        _ => Err(Error::Usage(format!("--set takes NAME=VALUE, not {text:?}; an example: --set THP=on"))),
    }
}

/// Puts variables into this process's environment, which the program inherits.
///
/// # Errors
/// One of them, or one that was there before, is not understood. The allocator would ignore it with a warning.
pub(crate) fn set(variables: &[(String, String)]) -> Result<(), Error> {
    for (name, value) in variables {
        // SAFETY: this process has one thread.
        unsafe { env::set_var(name, value) };
    }
    let (_, rejected) = settings::read(Preset::Default);
    if rejected.is_empty() {
        return Ok(());
    }
    Err(Error::Variables(rejected.iter().map(ToString::to_string).collect()))
}

/// The variables of the allocator that are set, in alphabetical order.
pub(crate) fn all() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    };
    let mut all: Vec<(String, String)> =
        env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with(PREFIX) && name != REPORT).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_those_of_factors() {
        let name = |text| split(text).expect("a variable").0;
        assert_eq!(name("HAKMEM_THP=on"), "HAKMEM_THP");
        assert_eq!(name("thp=on"), "HAKMEM_THP");
        assert_eq!(name("disable-free-check=1"), "HAKMEM_DISABLE_FREE_CHECK");
        assert_eq!(split("mode=a=b").expect("a variable").1, "a=b");
        for wrong in ["THP", "=on", ""] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
