//! What the `HAKMEM_*` variables ask for, as a program reads it: typed by serde, read by envy, from the one registry.
//!
//! For programs that show their allocator's levels, or refuse a misspelt name before they start. The allocator itself reads
//! the environment without allocating; a test holds both readings equal.

use crate::config::environment::{self, Refusal};
use crate::config::{Preset, REGISTRY};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// Level names by factor name, one entry per factor of the registry; `absent` where the build has no such factor.
pub type Levels = BTreeMap<&'static str, &'static str>;

/// One variable that is not understood; displays as a sentence with what is known instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected(String);

impl core::fmt::Display for Rejected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Rejected {}

/// All variables of ours, as envy hands them to serde: names in lower case, without the prefix, values as text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Variables(BTreeMap<String, String>);

/// Reads the levels that the environment asks for over a preset, and lists the variables that are not understood. Such a
/// variable changes nothing. In a program that runs with more rights than its user, no variable is read.
pub fn read(preset: Preset) -> (Levels, Vec<Rejected>) {
    let Variables(by_name) = match envy::prefixed(environment::PREFIX).from_iter(spelt_variables()) {
        Ok(variables) => variables,
        // A map of texts takes anything that `text_variables` lets through.
        Err(error) => return (Levels::new(), Vec::from([Rejected(error.to_string())])),
    };
    // envy lowers the names; the registry has them as they are written.
    let spelt =
        by_name.into_iter().map(|(name, value)| (environment::PREFIX.to_string() + &name.to_uppercase(), value));
    let misspelt = text_variables().filter(|(name, _)| name.starts_with(environment::PREFIX) && !is_kept_by_envy(name));
    let variables: Vec<(String, String)> = spelt.chain(misspelt).collect();
    let mut rejected = Vec::new();
    let asked = environment::interpret(
        preset,
        |each| variables.iter().for_each(|(name, value)| each(name, value)),
        |name, value, refusal| rejected.push(Rejected(message(name, value, refusal))),
    );
    let levels = REGISTRY.iter().enumerate().map(|(i, factor)| (factor.name, asked.levels.get(i).as_str()));
    (levels.collect(), rejected)
}

/// Every variable that is not understood, with what is known instead.
pub fn rejected() -> Vec<String> {
    read(Preset::Default).1.into_iter().map(|rejected| rejected.0).collect()
}

/// Variables whose names can be told from what envy makes of them.
fn spelt_variables() -> impl Iterator<Item = (String, String)> {
    text_variables().filter(|(name, _)| is_kept_by_envy(name))
}

/// Whether a name comes back as it was: envy lowers names, and takes a repeated prefix off as one.
fn is_kept_by_envy(name: &str) -> bool {
    name.strip_prefix(environment::PREFIX)
        .is_some_and(|rest| !rest.starts_with(environment::PREFIX) && rest.to_lowercase().to_uppercase() == rest)
}

/// Variables whose name is text, and their values; envy panics on what is not UTF-8.
fn text_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter(|_| !environment::is_secure()).filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().unwrap_or_else(|_| environment::NO_TEXT.to_string())))
    })
}

fn message(name: &str, value: &str, refusal: Refusal) -> String {
    match refusal {
        Refusal::Name(nearest) => {
            format!("unknown variable {name}; the nearest known one is {nearest}")
        }
        Refusal::Value(values) => {
            let mut known = Vec::new();
            values.each(|name| known.push(name.to_string()));
            format!("{name}={value} is not understood; it takes {}", known.join(", "))
        }
    }
}
