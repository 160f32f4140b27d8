//! Reads the `HAKMEM_*` variables for a program that shows the levels of its allocator, or refuses a misspelt name at
//! its start.
//!
//! Names and values come from the registry, and the text from serde and envy. The allocator itself reads the
//! environment without allocating; a test holds both readings equal.

use crate::config::environment::{self, Refusal};
use crate::config::variables::PREFIX;
use crate::config::{FactorId, Level, Preset};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

/// A level for every factor of the registry; [`Level::Absent`] for one that is not compiled in.
pub type Levels = BTreeMap<FactorId, Level>;

/// A variable that is not understood, or leaves others without effect. It displays as a sentence that names the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected(String);

impl core::fmt::Display for Rejected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Rejected {}

/// All `HAKMEM_*` variables as envy hands them to serde: names in lower case without the prefix, values as text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Variables(BTreeMap<String, String>);

/// Reads the levels that take effect by the environment over a preset, and lists the variables that are not understood,
/// which change nothing, and those that leave others without effect. A program that runs with more rights than its user (setuid) reads no variable.
pub fn read(preset: Preset) -> (Levels, Vec<Rejected>) {
    let mut rejected = Vec::new();
    let Variables(by_name) = envy::prefixed(PREFIX).from_iter(spelt_variables()).unwrap_or_else(|error| {
        // Cannot happen: a map of texts takes everything that `text_variables` lets through.
        rejected.push(Rejected(error.to_string()));
        Variables(BTreeMap::new())
    });
    // envy lowers the names; the registry has them in upper case.
    let spelt = by_name.into_iter().map(|(name, value)| (PREFIX.to_string() + &name.to_uppercase(), value));
    let misspelt = text_variables().filter(|(name, _)| name.starts_with(PREFIX) && !is_kept_by_envy(name));
    let variables: Vec<(String, String)> = spelt.chain(misspelt).collect();
    let asked = environment::interpret(
        preset,
        |each| variables.iter().for_each(|(name, value)| each(name, value)),
        |name, value, refusal| rejected.push(Rejected(message(name, value, refusal))),
    );
    let levels = FactorId::ALL.into_iter().map(|id| (id, asked.levels.get(id as usize)));
    (levels.collect(), rejected)
}

/// A sentence for every [`Rejected`] variable.
pub fn rejected() -> Vec<String> {
    read(Preset::Default).1.into_iter().map(|rejected| rejected.0).collect()
}

/// The variables whose names can be restored from what envy makes of them.
fn spelt_variables() -> impl Iterator<Item = (String, String)> {
    text_variables().filter(|(name, _)| is_kept_by_envy(name))
}

/// Whether a name can be restored: envy lowers it, and takes off a prefix as often as it is repeated.
fn is_kept_by_envy(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| !rest.starts_with(PREFIX) && rest.to_lowercase().to_uppercase() == rest)
}

/// The variables whose names are UTF-8, and their values: envy panics on any other text.
fn text_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter(|_| !environment::is_secure()).filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().unwrap_or_else(|_| environment::NO_TEXT.to_string())))
    })
}

fn message(name: &str, value: &str, refusal: Refusal) -> String {
    let ignored = if matches!(refusal, Refusal::Value(_)) { " is not understood" } else { "" };
    let mut text = String::new();
    refusal.message(name, value, ignored, |part| text.push_str(part));
    text
}
