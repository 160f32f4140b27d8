//! `screening.json`: what a screening was asked for, and what its two stages say. Each stage is a study in a folder of its
//! own beside this file.
//!
//! A value that is not known is `None` (`null`), never 0. Percent are of the baseline, or where `ratios` is set of the mean
//! without the factor; they are positive where the factor costs.

use serde::{Deserialize, Serialize};

/// The content of `screening.json`. What was asked for is written before the first run; the results after each stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Screening {
    /// Version of the file ([`crate::FORMAT`]).
    pub format: u32,
    /// Name of the study, from the config.
    pub study: String,
    /// Path of the config as it was given.
    pub config_path: String,
    /// The command line, one word in each entry.
    pub command: Vec<String>,
    /// What is asked for. Fixed before the first run.
    pub asked: Asked,
    /// What the screen says; `None` before its first look.
    #[serde(default)]
    pub screen: Option<ScreenResult>,
    /// What the clean stage says; `None` before it is complete, and where no factor was kept.
    #[serde(default)]
    pub clean: Option<CleanResult>,
}

/// What a screening is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Factors that are screened, in the order of the config.
    pub factors: Vec<String>,
    /// Workloads, in the order of the config.
    pub workloads: Vec<String>,
    /// Effects within ± this many percent of the baseline are negligible.
    pub margin_percent: f64,
    /// Whether effects are ratios, with the factor over without it, instead of differences in percent of the baseline.
    #[serde(default)]
    pub ratios: bool,
    /// Probability of dropping any factor that has an effect of the margin or more, and of any false claim of the clean
    /// stage: two errors of this size.
    pub error: f64,
    /// Numbers of blocks of the screen after which its factors are looked at; the last one is the most that are run.
    pub looks: Vec<u32>,
    /// Blocks of the clean stage.
    pub clean_blocks: u32,
    /// Most factors whose interactions the clean stage estimates.
    pub pairs_up_to: u32,
    /// Seed of the random orders.
    pub seed: u64,
}

/// What the screen says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScreenResult {
    /// Blocks at its last look.
    pub blocks: u32,
    /// Most blocks that it runs; `None` in files that do not say it.
    #[serde(default)]
    pub planned_blocks: Option<u32>,
    /// Whether it is over, so that no more blocks follow; `None` in files that do not say it.
    #[serde(default)]
    pub complete: Option<bool>,
    /// Cells of its design.
    pub cells: usize,
    /// Distinct binaries.
    pub builds: usize,
    /// Timed processes.
    pub processes: usize,
    /// Timed processes that are not proven, and so left out.
    pub unproven: usize,
    /// One entry for each factor, in the order of the config.
    pub factors: Vec<ScreenedFactor>,
    /// One entry for each workload.
    pub interactions: Vec<ScreenedInteractions>,
    /// Ways to prove the first factor that is dropped although nothing shows that its switch does anything; `None` without
    /// such a factor.
    #[serde(default)]
    pub to_prove: Option<ToProve>,
}

/// What the screen decided of a factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScreenedFactor {
    /// The factor.
    pub factor: String,
    /// Whether the clean stage has it.
    pub kept: bool,
    /// `negligible`, `active`, `open` (neither is shown, so it is kept) or `suspected` (of an interaction, so it is kept).
    pub why: String,
    /// Blocks at the look that decided; for `open` those of the last look.
    pub blocks: u32,
    /// The workload in which its interval reaches farthest from 0.
    pub workload: String,
    /// Main effect there; `None` before a look.
    pub percent: Option<f64>,
    /// Lower end of its interval, which holds for all factors and looks together.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What shows that its switch does something: `proven` or `not-exercised` by its counters, `reported` (the program says
    /// its level), `binaries` (those with it are others than those without it), `nothing`. `None` in files that do not say it.
    #[serde(default)]
    pub proof: Option<String>,
}

/// What the screen says about interactions of two factors in a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScreenedInteractions {
    /// The workload.
    pub workload: String,
    /// Probability of half-sums this different without interactions other than those among the kept factors; `None` where
    /// too many pairs are kept to tell.
    pub p: Option<f64>,
    /// The same when the suspects are interactions too.
    pub rest_p: Option<f64>,
    /// Pairs that would explain the half-sums: candidates, no findings.
    pub suspects: Vec<SuspectedPair>,
}

/// A pair of factors whose interaction would explain the half-sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuspectedPair {
    /// The two factors.
    pub factors: [String; 2],
    /// The interaction, if it is this pair alone.
    pub percent: f64,
    /// How many other pairs would explain them just as well. Only a pair without such others is kept.
    pub alike: usize,
}

/// What the clean stage says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanResult {
    /// Whole blocks that there are.
    pub blocks: u32,
    /// Blocks that are planned. While there are fewer, every value is preliminary. `None` in files that do not say it.
    #[serde(default)]
    pub planned_blocks: Option<u32>,
    /// Its design, for people.
    pub design: String,
    /// Cells of its design.
    pub cells: usize,
    /// Distinct binaries.
    pub builds: usize,
    /// Timed processes.
    pub processes: usize,
    /// Timed processes that are not proven, and so left out.
    pub unproven: usize,
    /// Main effects, and where the design can tell them apart interactions of two factors, for each workload.
    pub effects: Vec<CleanEffect>,
    /// What one factor at a time would have taken; `None` where the clean stage has no interval.
    pub one_at_a_time: Option<OneAtATime>,
    /// Ways to prove the factor of the largest effect that is unproven; `None` without one.
    #[serde(default)]
    pub to_prove: Option<ToProve>,
}

/// How a factor can be proven.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToProve {
    /// The factor.
    pub factor: String,
    /// The ways, in one line.
    pub ways: String,
}

/// An effect that the clean stage estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanEffect {
    /// The workload.
    pub workload: String,
    /// One factor, or two for their interaction: what both cost more together than each alone.
    pub factors: Vec<String>,
    /// The effect; `None` without a proven run of a cell.
    pub percent: Option<f64>,
    /// Lower end of the interval that holds for all effects of the workload together.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// p value against 0, adjusted for all effects of the clean stage (Holm).
    pub p: Option<f64>,
    /// Whether it is claimed: `p` is below the error, and every factor of it is proven.
    pub found: bool,
    /// `proven`, `unproven`, `not-exercised` or `invalid`, as in `effects.json`; of two factors the worse. `None` in files
    /// that do not say it.
    #[serde(default)]
    pub proof: Option<String>,
}

/// Processes of studies that change one factor at a time and end with the standard errors that the clean stage has, by
/// the variances that were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneAtATime {
    /// Standard error of a main effect in the clean stage, percent.
    pub main_error_percent: f64,
    /// Standard error of an interaction, percent; `None` where none was estimated.
    pub pair_error_percent: Option<f64>,
    /// Timed processes of the screening, without placebos.
    pub processes: f64,
    /// Mean seconds of a process.
    pub seconds_per_process: f64,
    /// Timed processes that estimate all main effects as precisely, each with one factor away.
    pub mains: f64,
    /// Timed processes that estimate all interactions as precisely as well, each with one or two factors away; `None`
    /// where none was estimated.
    pub mains_and_pairs: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_can_be_read_before_there_are_results() {
        let text = r#"{"format":2,"study":"s","config_path":"s.toml","command":["cargo"],"asked":{"factors":["a","b"],
            "workloads":["w"],"margin_percent":1.0,"error":0.05,"looks":[2,4],"clean_blocks":6,"pairs_up_to":12,"seed":1}}"#;
        let read: Screening = serde_json::from_str(text).expect("is a screening");
        assert_eq!((read.screen, read.clean, read.asked.looks), (None, None, vec![2, 4]));
    }
}
