//! Distinct builds: one for each set of Cargo features and build settings of a cell, and one for each other program.

use super::axis::Axis;
use crate::config::{BuildSettings, Program, Study};
use std::collections::{HashMap, HashSet};

/// One binary to build, or one installed program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuildPlan {
    /// Id that cells refer to; fits into a file name.
    pub(crate) id: String,
    /// Cargo features of the build, which has `--no-default-features`.
    pub(crate) features: Vec<String>,
    /// How it is built otherwise: the settings of all levels together.
    pub(crate) settings: BuildSettings,
    /// A program that is not built: its path or name, then arguments, which come before those of the cell.
    pub(crate) command: Option<Vec<String>>,
}

/// Longest id in bytes, about half of the 255 bytes of a file name. A longer one is replaced by the digits of the
/// levels.
const MAX_ID: usize = 120;

/// The builds so far, the baseline's first.
pub(super) struct Builds<'a> {
    study: &'a Study,
    axes: &'a [Axis<'a>],
    pub(super) list: Vec<BuildPlan>,
    by_contents: HashMap<(Vec<String>, BuildSettings), usize>,
    ids: HashSet<String>,
}

impl<'a> Builds<'a> {
    pub(super) fn new(study: &'a Study, axes: &'a [Axis<'a>]) -> Builds<'a> {
        Builds { study, axes, list: Vec::new(), by_contents: HashMap::new(), ids: HashSet::new() }
    }

    /// Id of the build with these levels, by their names.
    pub(super) fn with_levels(&mut self, levels: &[&str]) -> String {
        let (features, settings) = (self.features(levels), self.settings(levels));
        let contents = (features, settings);
        if let Some(index) = self.by_contents.get(&contents) {
            return self.list[*index].id.clone();
        }
        let (features, settings) = contents;
        let readable = self.readable(levels);
        let id = if readable.len() <= MAX_ID && !self.ids.contains(&readable) { readable } else { self.digits(levels) };
        let command = match &self.study.subject.program {
            Program::Cargo(_) | Program::Made(_) => None,
            Program::Command(command) => Some(command.clone()),
        };
        self.add(BuildPlan { id, features, settings, command })
    }

    /// Id of the baseline's build with one more feature.
    pub(super) fn placebo(&mut self, baseline: &[&str], feature: &str) -> String {
        let mut features = self.features(baseline);
        features.push(feature.to_owned());
        let settings = self.settings(baseline);
        self.add(BuildPlan { id: "placebo".to_owned(), features, settings, command: None })
    }

    /// Id of the build with exactly these features and the settings of the baseline. Adds one with the id `id` when there
    /// is none yet.
    pub(super) fn with_features(&mut self, id: String, features: &[String], baseline: &[&str]) -> String {
        let settings = self.settings(baseline);
        let contents = (features.to_vec(), settings);
        match self.by_contents.get(&contents) {
            Some(index) => self.list[*index].id.clone(),
            None => self.add(BuildPlan { id, features: contents.0, settings: contents.1, command: None }),
        }
    }

    /// Adds an installed program with this id, and returns the id.
    pub(super) fn program(&mut self, id: String, command: &[String]) -> String {
        self.ids.insert(id.clone());
        let (features, settings) = (Vec::new(), BuildSettings::default());
        self.list.push(BuildPlan { id: id.clone(), features, settings, command: Some(command.to_vec()) });
        id
    }

    fn add(&mut self, build: BuildPlan) -> String {
        let id = build.id.clone();
        self.ids.insert(id.clone());
        self.by_contents.insert((build.features.clone(), build.settings.clone()), self.list.len());
        self.list.push(build);
        id
    }

    fn features(&self, levels: &[&str]) -> Vec<String> {
        let mut features = match &self.study.subject.program {
            Program::Cargo(program) => program.features.clone(),
            Program::Made(_) | Program::Command(_) => Vec::new(),
        };
        for (axis, level) in self.axes.iter().zip(levels).filter(|(_, level)| **level != "absent") {
            let own = axis.factor.levels.get(*level).into_iter().flat_map(|level| &level.features);
            for feature in axis.factor.feature.iter().chain(own) {
                if !features.contains(feature) {
                    features.push(feature.clone());
                }
            }
        }
        features
    }

    /// The settings of all levels together.
    fn settings(&self, levels: &[&str]) -> BuildSettings {
        let mut settings = BuildSettings::default();
        for own in self.axes.iter().zip(levels).filter_map(|(axis, level)| axis.factor.levels.get(*level)) {
            settings.extend(&own.build);
        }
        settings
    }

    /// Whether a level needs another binary than the baseline's.
    fn is_variant(axis: &Axis<'_>, level: &str) -> bool {
        level != "absent" && !axis.factor.in_one_binary(level)
    }

    /// A readable id: `full`, `bare`, `without-a+b`, `with-c.fast`, `without-a-with-c.fast`.
    fn readable(&self, levels: &[&str]) -> String {
        let named = || self.axes.iter().zip(levels.iter().copied());
        let without: Vec<&str> =
            named().filter(|(_, level)| *level == "absent").map(|(axis, _)| axis.factor.name.as_str()).collect();
        let variants = named().filter(|(axis, level)| Builds::is_variant(axis, level));
        let with: Vec<String> = variants.map(|(axis, level)| format!("{}.{level}", axis.factor.name)).collect();
        let mut parts = Vec::new();
        match without.len() {
            0 => {}
            n if n == self.axes.len() && n > 1 => parts.push("bare".to_owned()),
            _ => parts.push(format!("without-{}", without.join("+"))),
        }
        if !with.is_empty() {
            parts.push(format!("with-{}", with.join("+")));
        }
        if parts.is_empty() { "full".to_owned() } else { parts.join("-") }
    }

    /// A short id with a digit for each factor: 0 is absent, 1 is in the baseline's binary.
    fn digits(&self, levels: &[&str]) -> String {
        let digit = |(axis, level): (&Axis<'_>, &&str)| -> String {
            match *level {
                "absent" => "0".to_owned(),
                level if !Builds::is_variant(axis, level) => "1".to_owned(),
                level => axis.levels.iter().position(|own| *own == level).map_or(1, |at| at + 1).to_string(),
            }
        };
        let digits: Vec<String> = self.axes.iter().zip(levels).map(digit).collect();
        // With more than nine levels a digit is a number, and needs a separator.
        let joint = if digits.iter().all(|digit| digit.len() == 1) { "" } else { "." };
        format!("with-{}", digits.join(joint))
    }
}
