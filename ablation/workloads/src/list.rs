//! `--list`: the allocators, scenarios and factors of this build.

use crate::output::fit;
use crate::plan::{Lifetime, Touch};
use crate::scenario::{Lives, SCENARIOS};
use crate::subject::ALLOCATORS;
use clap::ValueEnum;
use serde::Serialize;
use tabled::builder::Builder;

/// What the build can do. Field names are the JSON's.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    format: u32,
    program: &'static str,
    allocators: Vec<AllocatorRow>,
    scenarios: Vec<ScenarioRow>,
    touches: Vec<String>,
    lifetimes: Vec<String>,
    factors: Vec<FactorRow>,
}

#[derive(Debug, Serialize)]
struct AllocatorRow {
    name: &'static str,
    about: &'static str,
    feature: Option<&'static str>,
    built_in: bool,
}

#[derive(Debug, Serialize)]
struct ScenarioRow {
    name: &'static str,
    about: &'static str,
    operations: u64,
    own_lifetime: bool,
}

#[derive(Debug, Serialize)]
struct ChoiceRow {
    variable: &'static str,
    values: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct FactorRow {
    name: &'static str,
    about: &'static str,
    toggle: &'static str,
    /// With the crate's default mode and the environment as it is.
    level: &'static str,
    /// The variable that chooses among its variants, with its values.
    choice: Option<ChoiceRow>,
    counters: &'static [&'static str],
}

impl List {
    /// Asks the tables, and hakmem for its factors.
    pub(crate) fn new() -> List {
        let receipt = hakmem::receipt();
        let level = |name| receipt.factors().iter().find(|f| f.name == name).map_or("absent", |f| f.level.as_str());
        List {
            format: 1,
            program: env!("CARGO_PKG_NAME"),
            allocators: ALLOCATORS
                .iter()
                .map(|a| AllocatorRow {
                    name: a.name,
                    about: a.about,
                    feature: a.feature,
                    built_in: a.engine.is_some(),
                })
                .collect(),
            scenarios: SCENARIOS
                .iter()
                .map(|s| ScenarioRow {
                    name: s.name,
                    about: s.about,
                    operations: s.inner,
                    own_lifetime: s.lives != Lives::AsTold,
                })
                .collect(),
            touches: names::<Touch>(),
            lifetimes: names::<Lifetime>(),
            factors: hakmem::registry()
                .iter()
                .map(|f| FactorRow {
                    name: f.name,
                    about: f.about,
                    toggle: f.toggle,
                    level: level(f.name),
                    choice: f.choice.as_ref().map(|choice| ChoiceRow {
                        variable: choice.variable,
                        values: choice.values.iter().map(|(value, _)| *value).collect(),
                    }),
                    counters: f.counters,
                })
                .collect(),
        }
    }

    /// One line, without the line's end.
    ///
    /// # Errors
    /// None that are known: all keys are strings.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Three tables for people.
    pub(crate) fn tables(&self) -> String {
        let mut allocators = headed(["allocator", "built in", "what it is"]);
        for a in &self.allocators {
            let built_in = match (a.built_in, a.feature) {
                (true, _) => "yes".to_owned(),
                (false, feature) => format!("no: feature {}", feature.unwrap_or(a.name)),
            };
            allocators.push_record([a.name, &built_in, a.about]);
        }
        let mut scenarios = headed(["scenario", "operations", "what it is"]);
        for s in &self.scenarios {
            scenarios.push_record([s.name, &s.operations.to_string(), s.about]);
        }
        let mut factors = headed(["factor", "level", "switched off by", "what it is"]);
        for f in &self.factors {
            factors.push_record([f.name, f.level, f.toggle, f.about]);
        }
        format!(
            "{}\n{}\n{}\n--touch {}   --lifetime {} (not churn and threads)",
            fit(allocators, true),
            fit(scenarios, true),
            fit(factors, true),
            self.touches.join("|"),
            self.lifetimes.join("|")
        )
    }
}

/// The values of an argument.
fn names<V: ValueEnum>() -> Vec<String> {
    V::value_variants().iter().filter_map(ValueEnum::to_possible_value).map(|v| v.get_name().to_owned()).collect()
}

fn headed<const N: usize>(names: [&str; N]) -> Builder {
    let mut rows = Builder::default();
    rows.push_record(names);
    rows
}
