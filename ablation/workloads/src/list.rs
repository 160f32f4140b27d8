//! `--list`: the allocators, scenarios and factors of this build.

use crate::output::{FORMAT, fit};
use crate::registry::ALLOCATORS;
use crate::workload::plan::{Lifetime, LifetimePattern, Rest};
use crate::workload::scenario::{LifetimeRule, SCENARIOS, Sizes};
use crate::workload::shape::Parameters;
use crate::workload::touch::Touch;
use clap::ValueEnum;
use serde::Serialize;
use tabled::builder::Builder;

/// What the build can run. Field names are the JSON's.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    format: u32,
    program: &'static str,
    allocators: Vec<AllocatorRow>,
    scenarios: Vec<ScenarioRow>,
    touches: Vec<String>,
    lifetimes: Vec<String>,
    rests: Vec<String>,
    factors: Vec<FactorRow>,
}

#[derive(Debug, Serialize)]
struct AllocatorRow {
    name: &'static str,
    about: &'static str,
    feature: Option<&'static str>,
    /// The feature that replaces it in a build.
    replaced_by: Option<&'static str>,
    built_in: bool,
}

#[derive(Debug, Serialize)]
struct ScenarioRow {
    name: &'static str,
    about: &'static str,
    /// Operations per iteration; `None` when `--bytes` decides.
    operations: Option<u64>,
    own_lifetime: bool,
    /// The values of `--lifetime` that it accepts.
    lifetimes: Vec<String>,
    /// Whether `--bytes` must give the block size.
    bytes: bool,
    /// The parameters of a memory shape, with their defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Parameters>,
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
    /// Its level with hakmem's default preset and the present environment.
    level: &'static str,
    /// The variable that chooses among its variants, and its values.
    choice: Option<ChoiceRow>,
    counters: &'static [&'static str],
}

impl List {
    /// Collects the tables of this program and hakmem's factors.
    pub(crate) fn new() -> List {
        let stats = hakmem::stats();
        let level = |name| stats.factors().iter().find(|f| f.name() == name).map_or("absent", |f| f.level.as_str());
        List {
            format: FORMAT,
            program: env!("CARGO_PKG_NAME"),
            allocators: ALLOCATORS
                .iter()
                .map(|a| AllocatorRow {
                    name: a.name,
                    about: a.about,
                    feature: a.feature,
                    replaced_by: a.replaced_by,
                    built_in: a.engine.is_some(),
                })
                .collect(),
            scenarios: SCENARIOS
                .iter()
                .map(|s| ScenarioRow {
                    name: s.name,
                    about: s.about,
                    operations: s.operations,
                    own_lifetime: s.lifetime != LifetimeRule::Chosen,
                    lifetimes: names_where(|lifetime: &Lifetime| {
                        LifetimePattern::of(s.lifetime, Some(*lifetime)).is_some()
                    }),
                    bytes: s.sizes == Sizes::Given,
                    shape: matches!(s.lifetime, LifetimeRule::Shape(_)).then_some(s.shape),
                })
                .collect(),
            touches: names_where(|_: &Touch| true),
            lifetimes: names_where(|_: &Lifetime| true),
            rests: names_where(|_: &Rest| true),
            factors: hakmem::factors::registry()
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

    /// The same as three tables, with a legend.
    pub(crate) fn tables(&self) -> String {
        let mut allocators = headed(["allocator", "in this build", "description"]);
        for a in &self.allocators {
            let built_in = match (a.built_in, a.feature, a.replaced_by) {
                (true, ..) => "yes".to_owned(),
                (false, feature, None) => format!("no: feature {}", feature.unwrap_or(a.name)),
                (false, feature, Some(other)) => format!("no: feature {} without {other}", feature.unwrap_or(a.name)),
            };
            allocators.push_record([a.name, &built_in, a.about]);
        }
        let mut scenarios = headed(["scenario", "operations", "--lifetime", "description"]);
        for s in &self.scenarios {
            let from = if s.shape.is_some() { "a pass" } else { "from --bytes" };
            let operations = s.operations.map_or_else(|| from.to_owned(), |operations| operations.to_string());
            let lifetimes = match s.lifetimes.len() {
                0 => "its own".to_owned(),
                all if all == self.lifetimes.len() => "any".to_owned(),
                _ => s.lifetimes.join(", "),
            };
            scenarios.push_record([s.name, &operations, &lifetimes, s.about]);
        }
        let mut factors = headed(["factor", "level", "switched by", "description"]);
        for f in &self.factors {
            factors.push_record([f.name, f.level, f.toggle, f.about]);
        }
        format!(
            "Allocators (--allocator)\n{}\n\
             Scenarios (--scenario), with operations per iteration\n{}\n\
             Factors of hakmem\n{}\n\
             --touch {}   --lifetime {}   --rest {}\n\
             A group (--lifetime batch, shuffled) is 1000 blocks, but at most 64 MiB and at least 2 blocks.\n\
             --help explains every argument. To try one: --allocator hakmem --scenario small --iterations 10",
            fit(allocators, true),
            fit(scenarios, true),
            fit(factors, true),
            self.touches.join("|"),
            self.lifetimes.join("|"),
            self.rests.join("|")
        )
    }
}

/// The names of an argument's values that pass.
fn names_where<V: ValueEnum>(passes: impl Fn(&V) -> bool) -> Vec<String> {
    let values = V::value_variants().iter().filter(|value| passes(value));
    values.filter_map(ValueEnum::to_possible_value).map(|v| v.get_name().to_owned()).collect()
}

fn headed<const N: usize>(names: [&str; N]) -> Builder {
    let mut rows = Builder::default();
    rows.push_record(names);
    rows
}
