//! The config as it is written: only its shape, with the place of every value that can be wrong.

use ablate_format::Arm;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

pub(super) type Text = Spanned<String>;
pub(super) type Texts = Spanned<Vec<Text>>;
pub(super) type Env = BTreeMap<Text, Text>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Study {
    pub(super) study: Text,
    #[serde(default)]
    pub(super) about: String,
    pub(super) seed: Spanned<i64>,
    pub(super) blocks: Spanned<i64>,
    pub(super) counting_repeats: Option<Spanned<i64>>,
    pub(super) arms: Option<Texts>,
    pub(super) design: Option<Texts>,
    pub(super) timeout_seconds: Option<Spanned<i64>>,
    pub(super) reference_peer: Option<Text>,
    pub(super) subject: Spanned<Subject>,
    #[serde(default, rename = "factor")]
    pub(super) factors: Vec<Spanned<Factor>>,
    #[serde(default, rename = "treatment")]
    pub(super) treatments: Vec<Spanned<Treatment>>,
    #[serde(default, rename = "workload")]
    pub(super) workloads: Vec<Workload>,
    #[serde(default, rename = "peer")]
    pub(super) peers: Vec<Peer>,
    pub(super) layouts: Option<Spanned<i64>>,
    pub(super) instruments: Option<Texts>,
    pub(super) crossed: Option<Texts>,
    pub(super) fraction: Option<Spanned<i64>>,
    #[serde(default, rename = "constraint")]
    pub(super) constraints: Vec<Spanned<Constraint>>,
    #[serde(default, rename = "hypothesis")]
    pub(super) hypotheses: Vec<Spanned<Hypothesis>>,
    #[serde(default, rename = "target")]
    pub(super) targets: Vec<Spanned<Target>>,
    #[serde(default, rename = "path")]
    pub(super) paths: Vec<Spanned<Path>>,
    #[serde(default, rename = "curve")]
    pub(super) curves: Vec<Spanned<Curve>>,
    #[serde(default, rename = "function")]
    pub(super) functions: Vec<Function>,
    pub(super) quick: Option<Quick>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quick {
    pub(super) blocks: Spanned<i64>,
    pub(super) workloads: Texts,
    pub(super) arms: Option<Texts>,
    pub(super) design: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Function {
    pub(super) name: Text,
    #[serde(rename = "match")]
    pub(super) patterns: Texts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Constraint {
    pub(super) when: BTreeMap<Text, Text>,
    pub(super) needs: BTreeMap<Text, Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hypothesis {
    pub(super) name: Text,
    pub(super) claim: Text,
    pub(super) workload: Text,
    pub(super) kind: Text,
    pub(super) peer: Option<Text>,
    pub(super) of: Option<Vec<Text>>,
    pub(super) low: Option<Spanned<f64>>,
    pub(super) high: Option<Spanned<f64>>,
    pub(super) plus: Option<Text>,
    pub(super) minus: Option<Text>,
    pub(super) low_ns: Option<Spanned<f64>>,
    pub(super) high_ns: Option<Spanned<f64>>,
    pub(super) low_percent: Option<Spanned<f64>>,
    pub(super) high_percent: Option<Spanned<f64>>,
    pub(super) cells: Option<Vec<Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) name: Text,
    pub(super) claim: Text,
    pub(super) kind: Text,
    pub(super) workloads: Texts,
    pub(super) peer: Option<Text>,
    pub(super) response: Option<Text>,
    pub(super) high: Option<Spanned<f64>>,
    pub(super) low: Option<Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Path {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) about: String,
    pub(super) peer: Text,
    pub(super) steps: Texts,
    pub(super) workloads: Option<Texts>,
    #[serde(default, rename = "goal")]
    pub(super) goals: Vec<Goal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goal {
    pub(super) name: Text,
    pub(super) high_percent: Spanned<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Curve {
    pub(super) name: Text,
    pub(super) workloads: Texts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) package: Option<Text>,
    pub(super) binary: Option<Text>,
    pub(super) harness: Option<Text>,
    pub(super) bench: Option<Text>,
    pub(super) filter: Option<Text>,
    pub(super) command: Option<Texts>,
    pub(super) version: Option<Text>,
    pub(super) placebo_feature: Option<Text>,
    pub(super) manifest: Option<Text>,
    pub(super) profile: Option<Text>,
    #[serde(default)]
    pub(super) features: Vec<Text>,
    #[serde(default)]
    pub(super) args: Vec<Text>,
    #[serde(default)]
    pub(super) counting_args: Vec<Text>,
    pub(super) idle_args: Option<Vec<Text>>,
    pub(super) served_by: Option<String>,
    #[serde(default)]
    pub(super) allow_env: Vec<Text>,
    #[serde(default)]
    pub(super) env: Env,
    pub(super) build: Option<Spanned<Build>>,
    pub(super) before_run: Option<Spanned<toml::Value>>,
    pub(super) after_run: Option<Spanned<toml::Value>>,
    pub(super) before_block: Option<Spanned<toml::Value>>,
    pub(super) stdin: Option<Text>,
    pub(super) accept_exit: Option<Spanned<Vec<Spanned<i64>>>>,
    pub(super) warm_up: Option<Spanned<i64>>,
    pub(super) run_in: Option<Text>,
    pub(super) scratch_in: Option<Text>,
    pub(super) server: Option<Spanned<Server>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub(super) command: Texts,
    pub(super) artefact: Text,
    pub(super) folder: Option<Text>,
    #[serde(default)]
    pub(super) env: Env,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) command: Option<Texts>,
    pub(super) ready: Option<Spanned<Ready>>,
    pub(super) client: Option<Texts>,
    pub(super) stop: Option<Text>,
    pub(super) stop_seconds: Option<Spanned<i64>>,
    pub(super) measure: Option<Text>,
    pub(super) version: Option<Texts>,
    pub(super) read_back: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    pub(super) port: Option<Spanned<toml::Value>>,
    pub(super) line: Option<Text>,
    pub(super) file: Option<Text>,
    pub(super) http: Option<Text>,
    pub(super) seconds: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Factor {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) about: String,
    pub(super) feature: Option<Text>,
    pub(super) proof: Option<Texts>,
    pub(super) baseline: Option<Text>,
    pub(super) levels: Spanned<BTreeMap<Text, BTreeMap<Text, Setting>>>,
}

/// What a level sets: a text for a variable; what each key has is in [`super::levels`] and [`super::build_settings`].
pub(super) type Setting = Spanned<toml::Value>;

impl Factor {
    /// The arms that bring the levels about, by their keys.
    pub(super) fn needed(&self) -> BTreeSet<Arm> {
        let of_key = |key: &Text| match key.get_ref().as_str() {
            "args" => Arm::Args,
            "features" => Arm::Feature,
            key if super::build_settings::is_setting(key) => Arm::Build,
            _ => Arm::Env,
        };
        let keys = self.levels.get_ref().values().flat_map(|level| level.keys());
        keys.map(of_key).chain(self.feature.iter().map(|_| Arm::Feature)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Treatment {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) about: String,
    pub(super) after: Option<Text>,
    pub(super) levels: BTreeMap<Text, Text>,
    #[serde(default)]
    pub(super) expect_zero: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) about: String,
    pub(super) command: Option<Texts>,
    pub(super) args: Option<Vec<Text>>,
    pub(super) benchmark: Option<Text>,
    #[serde(default = "yes")]
    pub(super) pin: bool,
    pub(super) response: Option<Text>,
    pub(super) designs: Option<Texts>,
    pub(super) output: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: Text,
    pub(super) command: Option<Texts>,
    #[serde(default)]
    pub(super) env: Env,
    #[serde(default)]
    pub(super) args: Vec<Text>,
    pub(super) served_by: Option<String>,
    pub(super) features: Option<Texts>,
    pub(super) optional: Option<Spanned<bool>>,
    pub(super) hint: Option<Text>,
    pub(super) workloads: Option<Texts>,
    #[serde(default = "yes")]
    pub(super) compare: bool,
}

fn yes() -> bool {
    true
}
