//! Checks of a config that the types in [`raw`] cannot express, and the [`Study`] that results. This file has the top
//! level and the shared rules. Each other part of a config has a file beside it.

use super::diagnostic::{Diagnostic, Part};
use super::raw;
use super::study::{DesignKind, Function, Program, Study};
use crate::support::nearest::suggestion;
use ablate_format::Arm;
use ablate_stats::MAX_BLOCKS;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

pub(super) type Checked<T> = Result<T, Box<Diagnostic>>;

/// Instruments of the counting passes, by group.
const INSTRUMENTS: [&str; 3] = ["perf", "callgrind", "strace"];

/// Variables of the loader and of libc that only a level may set, because there they are the factor.
const OF_LEVELS: [&str; 2] = ["LD_LIBRARY_PATH", "GLIBC_TUNABLES"];

pub(super) fn check(path: &Path, text: &str, raw: raw::Study) -> Checked<Study> {
    let checker = Checker { path: path.display().to_string(), text };
    let name = checker.name("study", &raw.study)?;
    let arms = checker.arms(raw.arms.as_ref(), &raw)?;
    let designs = checker.designs(raw.design.as_ref(), &raw)?;
    let subject = checker.subject(path, &raw.subject, &raw.workloads)?;
    // Such a program reports no result line by itself, and is not linked here.
    let is_command = !matches!(subject.program, Program::Cargo(_));
    checker.possible(raw.arms.as_ref(), &subject.program)?;
    let has_server = subject.server().is_some();
    checker.fits_harness(&raw, &subject)?;
    let factors = checker.factors(&raw.factors, &arms, &subject)?;
    let crossing = checker.crossing(&raw, &designs, &factors, &arms)?;
    let treatments = checker.treatments(&raw.treatments, &factors, &arms)?;
    let constraints = checker.constraints(&raw.constraints, &factors)?;
    let workloads = checker.workloads(&raw.workloads, &designs, &subject)?;
    let peers = checker.peers(&raw.peers, &subject, &workloads)?;
    let reference_peer = checker.reference(raw.reference_peer.as_ref(), &peers)?;
    let quick = checker.quick(raw.quick.as_ref(), &workloads, &arms, &designs)?;
    let hypotheses = checker.hypotheses(&raw, &workloads, &peers, reference_peer.as_deref(), &factors)?;
    Ok(Study {
        path: path.to_owned(),
        text: text.to_owned(),
        name,
        about: raw.about.clone(),
        // Every value from 0 to i64::MAX is a u64.
        seed: checker.number("seed", &raw.seed, 0, i64::MAX)? as u64,
        blocks: checker.number("blocks", &raw.blocks, 1, MAX_BLOCKS as i64)? as u32,
        counting_repeats: match &raw.counting_repeats {
            Some(repeats) => checker.number("counting_repeats", repeats, 0, 100)? as u32,
            None if subject.harness.is_some() => 0,
            None => 2,
        },
        arms,
        designs,
        timeout: Duration::from_secs(match &raw.timeout_seconds {
            Some(seconds) => checker.number("timeout_seconds", seconds, 1, 86_400)? as u64,
            None => 60,
        }),
        reference_peer,
        subject,
        factors,
        targets: checker.targets(&raw.targets, &workloads, &peers)?,
        paths: checker.paths(&raw.paths, &treatments, &workloads, &peers)?,
        curves: checker.curves(&raw.curves, &workloads)?,
        treatments,
        workloads,
        peers,
        absent: Vec::new(),
        layouts: checker.layouts(raw.layouts.as_ref(), is_command)?,
        instruments: checker.instruments(raw.instruments.as_ref(), has_server)?,
        crossed: crossing.crossed,
        fraction: crossing.fraction,
        constraints,
        hypotheses,
        functions: checker.functions(&raw.functions)?,
        quick,
        selected: Default::default(),
        spans: spans(&raw),
    })
}

/// The spans of the parts in which [`crate::design`] may find a mistake.
fn spans(raw: &raw::Study) -> BTreeMap<Part, Range<usize>> {
    let mut out: BTreeMap<Part, Range<usize>> =
        raw.design.iter().map(|design| (Part::Designs, design.span())).collect();
    let factors = raw.factors.iter().map(|factor| factor.get_ref().name.span());
    out.extend(factors.enumerate().map(|(i, span)| (Part::Factor(i), span)));
    let treatments = raw.treatments.iter().map(|treatment| treatment.get_ref().name.span());
    out.extend(treatments.enumerate().map(|(i, span)| (Part::Treatment(i), span)));
    out.extend(raw.constraints.iter().enumerate().map(|(i, constraint)| (Part::Constraint(i), constraint.span())));
    for (i, hypothesis) in raw.hypotheses.iter().map(Spanned::get_ref).enumerate() {
        out.insert(Part::Hypothesis(i), hypothesis.name.span());
        let lists = [&hypothesis.of, &hypothesis.cells];
        let named = lists.into_iter().flatten().flatten().chain(&hypothesis.plus).chain(&hypothesis.minus);
        out.extend(named.enumerate().map(|(j, name)| (Part::Named(i, j), name.span())));
    }
    for (i, path) in raw.paths.iter().map(Spanned::get_ref).enumerate() {
        let steps = path.steps.get_ref().iter().enumerate();
        out.extend(steps.map(|(j, step)| (Part::Step(i, j), step.span())));
    }
    out
}

/// Checks the parts of one config. Diagnostics point into its text.
pub(super) struct Checker<'a> {
    pub(super) path: String,
    pub(super) text: &'a str,
}

/// Whether a text is a valid name for a study, a factor, a workload and the like.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.chars().all(fits)
}

impl Checker<'_> {
    pub(super) fn fail<T>(&self, span: Range<usize>, message: impl Into<String>) -> Checked<T> {
        Err(Diagnostic::new(&self.path, self.text, span, message.into()))
    }

    pub(super) fn number(&self, what: &str, value: &Spanned<i64>, low: i64, high: i64) -> Checked<i64> {
        if (low..=high).contains(value.get_ref()) {
            return Ok(*value.get_ref());
        }
        self.fail(
            value.span(),
            format!("{what} is {}; it must be a whole number from {low} to {high}", value.get_ref()),
        )
    }

    pub(super) fn name(&self, what: &str, name: &raw::Text) -> Checked<String> {
        let text = name.get_ref();
        if !is_name(text) {
            let rule = "names match [a-z0-9-]+, do not start with `-` and have at most 64 characters";
            return self.fail(name.span(), format!("`{text}` is not a valid name for a {what}; {rule}"));
        }
        Ok(text.clone())
    }

    /// One line for people. `if_empty` is the message for an empty one.
    pub(super) fn sentence(&self, text: &raw::Text, if_empty: &str) -> Checked<String> {
        if text.get_ref().trim().is_empty() {
            return self.fail(text.span(), if_empty);
        }
        if text.get_ref().chars().any(char::is_control) {
            let message = "this text contains a line break or another control character; write it in one line without";
            return self.fail(text.span(), message);
        }
        Ok(text.get_ref().clone())
    }

    /// Checks names that must be valid and distinct.
    pub(super) fn names<'n>(&self, what: &str, names: impl Iterator<Item = &'n raw::Text>) -> Checked<()> {
        let mut seen = BTreeSet::new();
        for name in names {
            self.name(what, name)?;
            if !seen.insert(name.get_ref()) {
                return self.fail(name.span(), format!("the {what} `{}` is listed twice; rename one", name.get_ref()));
            }
        }
        Ok(())
    }

    /// A name that must be one of `known`; returns its index.
    pub(super) fn known<'n>(
        &self,
        what: &str,
        name: &raw::Text,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> Checked<usize> {
        match known.clone().position(|known| known == name.get_ref()) {
            Some(index) => Ok(index),
            None => {
                let near = suggestion(name.get_ref(), known);
                self.fail(name.span(), format!("unknown {what} `{}`{near}", name.get_ref()))
            }
        }
    }

    /// Names of a list, which must not be empty. Each must be known and must be listed once. Returns their indexes.
    pub(super) fn list<'n>(
        &self,
        what: &str,
        list: &raw::Texts,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> Checked<Vec<usize>> {
        let mut out = Vec::new();
        for name in list.get_ref() {
            let index = self.known(what, name, known.clone())?;
            if out.contains(&index) {
                return self.fail(name.span(), format!("the {what} `{}` is listed twice; remove one", name.get_ref()));
            }
            out.push(index);
        }
        if out.is_empty() {
            let names: Vec<&str> = known.collect();
            return self.fail(list.span(), format!("the list is empty; choose from {}", names.join(", ")));
        }
        Ok(out)
    }

    /// Names that go to Cargo or into a file name.
    pub(super) fn identifier(&self, what: &str, text: &raw::Text, extra: &str) -> Checked<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || extra.contains(c);
        let value = text.get_ref();
        if value.is_empty() || value.starts_with('-') || !value.chars().all(fits) {
            return self.fail(
                text.span(),
                format!("`{value}` is not a valid name for a {what}; use letters, digits, `_` and `-`"),
            );
        }
        Ok(value.clone())
    }

    /// A Cargo feature, which may be one of a dependency.
    pub(super) fn feature(&self, text: &raw::Text) -> Checked<String> {
        self.identifier("Cargo feature", text, "+./")
    }

    /// Arguments that a process can receive.
    pub(super) fn args(&self, args: &[raw::Text]) -> Checked<Vec<String>> {
        let mut out = Vec::new();
        for arg in args {
            if arg.get_ref().contains('\0') {
                return self.fail(arg.span(), "an argument contains NUL, which no process can receive; remove it");
            }
            out.push(arg.get_ref().clone());
        }
        Ok(out)
    }

    /// A name that a process can receive. `is_command` tells whether it is for an installed program.
    pub(super) fn env_name(&self, name: &raw::Text, is_command: bool) -> Checked<String> {
        self.env_name_of(name, is_command, false)
    }

    fn env_name_of(&self, name: &raw::Text, is_command: bool, is_level: bool) -> Checked<String> {
        let text = name.get_ref();
        if text.is_empty() || text.contains('=') || text.contains('\0') {
            let message = format!(
                "`{}` is not a valid environment variable name: it is empty or contains `=` or NUL; use a name like \
                 `PROGRAM_SWITCH`",
                text.escape_debug()
            );
            return self.fail(name.span(), message);
        }
        let why = if text == "LD_PRELOAD" && is_command {
            return Ok(text.clone());
        } else if text == "LD_PRELOAD" {
            "the loader would put another library beneath a program that is built here; only a `command` and a \
             [[peer]] may set it, so link the library in, or compare with a peer"
        } else if OF_LEVELS.contains(&text.as_str()) && is_level {
            return Ok(text.clone());
        } else if OF_LEVELS.contains(&text.as_str()) {
            "it would change the loader or libc beneath every cell; set it in the levels of a factor, or remove it"
        } else if text.starts_with("LD_") {
            "it would change the loader or libc beneath every cell; remove it"
        } else if text.starts_with("ABLATE_") {
            "names with ABLATE_ belong to the runner; choose another"
        } else {
            return Ok(text.clone());
        };
        self.fail(name.span(), format!("`{}` may not be set here: {why}", text.escape_debug()))
    }

    pub(super) fn env(&self, env: &raw::Env, is_command: bool) -> Checked<BTreeMap<String, String>> {
        env.iter().map(|(name, value)| self.variable(name, value, is_command)).collect()
    }

    pub(super) fn variable(&self, name: &raw::Text, value: &raw::Text, is_command: bool) -> Checked<(String, String)> {
        Ok((self.env_name(name, is_command)?, self.env_value(value)?))
    }

    /// A variable of a level, which may be one that the loader or libc reads: there it is what is compared.
    pub(super) fn level_variable(
        &self,
        name: &raw::Text,
        value: &raw::Text,
        is_command: bool,
    ) -> Checked<(String, String)> {
        Ok((self.env_name_of(name, is_command, true)?, self.env_value(value)?))
    }

    fn env_value(&self, value: &raw::Text) -> Checked<String> {
        if value.get_ref().contains('\0') {
            return self.fail(value.span(), "an environment value contains NUL, which no process can receive");
        }
        Ok(value.get_ref().clone())
    }

    /// A study without factors compares its peers only and needs no arms. Where the config names none, they are those
    /// that its levels need.
    fn arms(&self, arms: Option<&raw::Texts>, raw: &raw::Study) -> Checked<Vec<Arm>> {
        const KNOWN: [Arm; 4] = [Arm::Env, Arm::Args, Arm::Feature, Arm::Build];
        let Some(arms) = arms.filter(|arms| !raw.factors.is_empty() || !arms.get_ref().is_empty()) else {
            let needed = raw.factors.iter().flat_map(|factor| factor.get_ref().needed());
            let needed: BTreeSet<Arm> = needed.collect();
            return Ok(KNOWN.into_iter().filter(|arm| needed.contains(arm)).collect());
        };
        if arms.get_ref().is_empty() {
            let message = "arms is empty; write one of [\"env\"], [\"args\"], [\"feature\"], [\"build\"], or several, or \
                           remove the key: then the levels decide";
            return self.fail(arms.span(), message);
        }
        let found = self.list("arm", arms, KNOWN.iter().map(|known| known.as_str()))?;
        Ok(found.into_iter().map(|index| KNOWN[index]).collect())
    }

    /// Refuses an arm that the subject's program cannot have.
    fn possible(&self, arms: Option<&raw::Texts>, program: &Program) -> Checked<()> {
        let why = |arm: &str| match program {
            Program::Command(_) if arm == "feature" || arm == "build" => Some("a `command` is not built"),
            Program::Made(_) if arm == "feature" => Some("Cargo does not build this subject"),
            _ => None,
        };
        let asked = arms.into_iter().flat_map(|arms| arms.get_ref());
        match asked.filter_map(|arm| Some((arm, why(arm.get_ref())?))).next() {
            Some((arm, why)) => {
                self.fail(arm.span(), format!("{why}, so it has no arm `{}`; remove the arm", arm.get_ref()))
            }
            None => Ok(()),
        }
    }

    /// Where the config names no design, it is the one of the written treatments, or each factor away by itself.
    fn designs(&self, designs: Option<&raw::Texts>, raw: &raw::Study) -> Checked<Vec<DesignKind>> {
        let is_race = raw.factors.is_empty();
        if let (true, Some(treatment)) = (is_race, raw.treatments.first()) {
            let message = "a treatment needs factors, and this study has none; add a [[factor]] table or remove this";
            return self.fail(treatment.get_ref().name.span(), message);
        }
        let Some(designs) = designs.filter(|designs| !is_race || !designs.get_ref().is_empty()) else {
            return Ok(match (is_race, raw.treatments.is_empty()) {
                (true, _) => Vec::new(),
                (false, true) => vec![DesignKind::LeaveOneOut],
                (false, false) => vec![DesignKind::Explicit],
            });
        };
        let names = DesignKind::NAMES.iter().map(|(name, _)| *name);
        if designs.get_ref().is_empty() {
            let names: Vec<&str> = names.collect();
            let message = format!("design is empty, so nothing would be compared; choose from {}", names.join(", "));
            return self.fail(designs.span(), message);
        }
        let found = self.list("design", designs, names)?;
        let out: Vec<DesignKind> = found.into_iter().map(|index| DesignKind::NAMES[index].1).collect();
        if out.contains(&DesignKind::Explicit) && raw.treatments.is_empty() {
            return self.fail(designs.span(), "design `explicit` without a treatment; add a [[treatment]] table");
        }
        if let Some(treatment) = raw.treatments.first().filter(|_| !out.contains(&DesignKind::Explicit)) {
            let message = "this treatment would never run; add \"explicit\" to `design` or remove the table";
            return self.fail(treatment.get_ref().name.span(), message);
        }
        Ok(out)
    }

    fn layouts(&self, layouts: Option<&Spanned<i64>>, is_command: bool) -> Checked<u32> {
        let Some(layouts) = layouts else { return Ok(1) };
        let number = self.number("layouts", layouts, 1, 64)? as u32;
        if is_command && number > 1 {
            return self.fail(layouts.span(), "a `command` is not linked here, so it has one layout; remove `layouts`");
        }
        Ok(number)
    }

    fn functions(&self, raw: &[raw::Function]) -> Checked<Vec<Function>> {
        self.names("function", raw.iter().map(|function| &function.name))?;
        let mut out = Vec::new();
        for function in raw {
            let patterns: Vec<String> = function.patterns.get_ref().iter().map(|text| text.get_ref().clone()).collect();
            // The empty text is contained in every name.
            if patterns.is_empty() || patterns.iter().any(String::is_empty) {
                let message = "`match` needs parts of names of functions, none of them empty, like [\"cache::lookup\"]";
                return self.fail(function.patterns.span(), message);
            }
            out.push(Function { name: function.name.get_ref().clone(), patterns });
        }
        Ok(out)
    }

    fn instruments(&self, given: Option<&raw::Texts>, has_server: bool) -> Checked<Vec<String>> {
        let Some(given) = given else { return Ok(vec!["perf".to_owned()]) };
        if let Some(tool) = given.get_ref().iter().find(|name| has_server && *name.get_ref() != INSTRUMENTS[0]) {
            let message =
                format!("`{}` runs a program to its end, and a server is ended by a signal; remove it", tool.get_ref());
            return self.fail(tool.span(), message);
        }
        let found = self.list("instrument", given, INSTRUMENTS.into_iter())?;
        Ok(found.into_iter().map(|index| INSTRUMENTS[index].to_owned()).collect())
    }
}
