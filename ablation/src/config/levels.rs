//! Rules of factors, their levels and treatments.

use super::check::{At, Checked};
use super::names::suggest;
use super::{Factor, Level, Program, Subject, Treatment, raw};
use crate::record::Arm;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

/// Factors of a full factorial: 2^10 cells are the most that a study can sensibly run.
const MAX_FACTORIAL: usize = 10;

/// Features that every build has.
fn built_in(subject: &Subject) -> &[String] {
    match &subject.program {
        Program::Cargo(program) => &program.features,
        Program::Command(_) => &[],
    }
}

impl At<'_> {
    pub(super) fn factors(
        &self,
        raw: &[Spanned<raw::Factor>],
        arms: &[Arm],
        subject: &Subject,
    ) -> Checked<Vec<Factor>> {
        self.names("factor", raw.iter().map(|f| &f.get_ref().name))?;
        let known: Vec<&str> = raw.iter().map(|f| f.get_ref().name.get_ref().as_str()).collect();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let mut features = BTreeSet::new();
        let mut out = Vec::new();
        for factor in raw {
            let factor = factor.get_ref();
            let name = factor.name.get_ref();
            let feature = factor.feature.as_ref().map(|f| self.identifier("Cargo feature", f, "+./")).transpose()?;
            match (&feature, &factor.feature) {
                (Some(feature), Some(place)) if built_in(subject).contains(feature) => {
                    let message = format!(
                        "feature `{feature}` is also in the subject's `features`, so `{name}` could never be absent; remove it there"
                    );
                    return self.fail(place.span(), message);
                }
                (Some(feature), Some(place)) if !features.insert(feature.clone()) => {
                    return self
                        .fail(place.span(), format!("feature `{feature}` belongs to two factors; give each its own"));
                }
                (None, _) if arms.contains(&Arm::Feature) => {
                    let message = format!(
                        "the arm `feature` is asked for, but `{name}` has no `feature`; add it or drop the arm"
                    );
                    return self.fail(factor.name.span(), message);
                }
                _ => {}
            }
            if let Some(proof) = factor.proof.as_ref().filter(|proof| proof.get_ref().is_empty()) {
                let message = format!(
                    "factor `{name}` has no proof; name a counter that moves when it works, like \"{name}.calls\", or leave `proof` out: then exact counts must tell its levels apart"
                );
                return self.fail(proof.span(), message);
            }
            let levels = self.levels(factor, arms)?;
            for level in levels.values() {
                for variable in level.env.keys() {
                    self.owner(factor, variable, subject, &mut owners)?;
                }
            }
            out.push(Factor {
                name: name.clone(),
                about: factor.about.clone(),
                feature,
                proof: match &factor.proof {
                    Some(proof) => self.counters(proof.get_ref(), &known)?,
                    None => Vec::new(),
                },
                baseline: "on".to_owned(),
                levels,
            });
        }
        Ok(out)
    }

    fn levels(&self, factor: &raw::Factor, arms: &[Arm]) -> Checked<BTreeMap<String, Level>> {
        let name = factor.name.get_ref();
        let mut out = BTreeMap::new();
        for (level, env) in factor.levels.get_ref() {
            if level.get_ref() == "absent" {
                return self.fail(level.span(), "the level `absent` comes from `feature`; remove it here");
            }
            out.insert(self.name("level", level)?, self.level(env)?);
        }
        let mut needed = vec!["on"];
        if arms.contains(&Arm::Env) {
            needed.push("off");
        }
        for level in needed {
            if !out.contains_key(level) {
                let others: Vec<String> = out.keys().map(|l| format!("`{l}`")).collect();
                let message = format!(
                    "factor `{name}` has no level `{level}`, only {}; add `{level} = {{ … }}`",
                    others.join(", ")
                );
                return self.fail(factor.levels.span(), message);
            }
        }
        for (level, env) in factor.levels.get_ref() {
            if level.get_ref() != "on" && out.get(level.get_ref()) == out.get("on") {
                let message = format!(
                    "level `{}` sets the same environment as `on`, so it would change nothing",
                    level.get_ref()
                );
                return self.fail(env.keys().next().map_or(level.span(), Spanned::span), message);
            }
        }
        Ok(out)
    }

    /// What a level sets.
    fn level(&self, settings: &BTreeMap<raw::Text, raw::Setting>) -> Checked<Level> {
        let mut level = Level::default();
        for (name, setting) in settings {
            let text = |text: &str| Spanned::new(setting.span(), text.to_owned());
            match (name.get_ref().as_str(), setting.get_ref()) {
                (key @ ("args" | "features"), toml::Value::Array(list)) => {
                    for item in list {
                        let Some(item) = item.as_str().map(text) else {
                            return self
                                .fail(setting.span(), format!("`{key}` is a list of texts; put every item in quotes"));
                        };
                        match key {
                            "args" => level.args.extend(self.args(&[item])?),
                            _ => level.features.push(self.identifier("Cargo feature", &item, "+./")?),
                        }
                    }
                }
                (_, toml::Value::String(value)) => {
                    let (name, value) = self.variable(name, &text(value))?;
                    level.env.insert(name, value);
                }
                (key, _) => {
                    let message = format!(
                        "`{key}` is no text; a variable has text in quotes, only `args` and `features` are lists"
                    );
                    return self.fail(setting.span(), message);
                }
            }
        }
        Ok(level)
    }

    /// Each variable belongs to one factor: otherwise one level would silently undo another.
    fn owner(
        &self,
        factor: &raw::Factor,
        variable: &str,
        subject: &Subject,
        owners: &mut BTreeMap<String, String>,
    ) -> Checked<()> {
        let name = factor.name.get_ref();
        let keys = factor.levels.get_ref().values().flat_map(|env| env.keys());
        let span = keys.into_iter().find(|k| k.get_ref() == variable).map_or(factor.levels.span(), Spanned::span);
        if subject.env.contains_key(variable) {
            return self
                .fail(span, format!("{variable} is set by factor `{name}` and by the subject's `env`; remove one"));
        }
        if subject.allow_env.iter().any(|allowed| allowed == variable) {
            return self.fail(span, format!("{variable} is in `allow_env` too, so your own shell would leak into factor `{name}`; remove it there"));
        }
        match owners.insert(variable.to_owned(), name.clone()) {
            Some(other) if other != *name => self.fail(
                span,
                format!(
                    "{variable} is set by factor `{name}` and by factor `{other}`; one variable switches one factor"
                ),
            ),
            _ => Ok(()),
        }
    }

    fn counters(&self, counters: &[raw::Text], factors: &[&str]) -> Checked<Vec<String>> {
        let mut out = Vec::new();
        for counter in counters {
            let Some((factor, name)) = counter.get_ref().split_once('.').filter(|(_, name)| !name.is_empty()) else {
                return self
                    .fail(counter.span(), format!("`{}` is no counter; write \"factor.counter\"", counter.get_ref()));
            };
            if !factors.contains(&factor) {
                let near = suggest(factor, factors.iter().copied());
                return self.fail(
                    counter.span(),
                    format!("counter `{factor}.{name}` is of an unknown factor `{factor}`{near}"),
                );
            }
            out.push(counter.get_ref().clone());
        }
        Ok(out)
    }

    pub(super) fn factorial(&self, design: &raw::Texts, factors: &[Factor], arms: &[Arm]) -> Checked<()> {
        if !arms.contains(&Arm::Env) {
            return self.fail(design.span(), "design `factorial` needs the arm `env`; add it to `arms`");
        }
        if factors.len() > MAX_FACTORIAL {
            let message = format!(
                "design `factorial` with {} factors is 2^{} cells; at most {MAX_FACTORIAL} factors",
                factors.len(),
                factors.len()
            );
            return self.fail(design.span(), message);
        }
        Ok(())
    }

    pub(super) fn treatments(
        &self,
        raw: &[Spanned<raw::Treatment>],
        factors: &[Factor],
        arms: &[Arm],
    ) -> Checked<Vec<Treatment>> {
        self.names("treatment", raw.iter().map(|t| &t.get_ref().name))?;
        let known: Vec<&str> = factors.iter().map(|f| f.name.as_str()).collect();
        let mut out: Vec<Treatment> = Vec::new();
        for treatment in raw {
            let treatment = treatment.get_ref();
            let name = treatment.name.get_ref();
            let levels = self.treatment_levels(treatment, factors, &known, arms)?;
            self.meaning(treatment, &levels, factors)?;
            if let Some(same) = out.iter().find(|other| other.levels == levels) {
                let message = format!("treatment `{name}` has the same levels as `{}`; remove one", same.name);
                return self.fail(treatment.name.span(), message);
            }
            out.push(Treatment {
                name: name.clone(),
                about: treatment.about.clone(),
                levels,
                expect_zero: self.counters(&treatment.expect_zero, &known)?,
            });
        }
        Ok(out)
    }

    /// The levels that differ from the baseline.
    fn treatment_levels(
        &self,
        treatment: &raw::Treatment,
        factors: &[Factor],
        known: &[&str],
        arms: &[Arm],
    ) -> Checked<BTreeMap<String, String>> {
        let mut out = BTreeMap::new();
        for (factor, level) in &treatment.levels {
            let Some(found) = factors.iter().find(|f| f.name == *factor.get_ref()) else {
                let near = suggest(factor.get_ref(), known.iter().copied());
                return self.fail(factor.span(), format!("unknown factor `{}`{near}", factor.get_ref()));
            };
            let level_name = level.get_ref().as_str();
            if level_name == "absent" {
                return self.fail(
                    level.span(),
                    "a treatment cannot ask for `absent`; write `off`, the arm `feature` makes it absent",
                );
            }
            let known_level = found.levels.contains_key(level_name) || level_name == "off";
            if !known_level {
                let near = suggest(level_name, found.levels.keys().map(String::as_str));
                return self
                    .fail(level.span(), format!("unknown level `{level_name}` of factor `{}`{near}", found.name));
            }
            if !["on", "off"].contains(&level_name) && !arms.contains(&Arm::Env) {
                let message = format!("the variant `{level_name}` exists in the env arm only; add \"env\" to `arms`");
                return self.fail(level.span(), message);
            }
            if level_name != "on" {
                out.insert(found.name.clone(), level_name.to_owned());
            }
        }
        if out.is_empty() {
            let message = format!(
                "treatment `{}` is the same as the baseline; give it a level that is not `on`",
                treatment.name.get_ref()
            );
            return self.fail(treatment.name.span(), message);
        }
        Ok(out)
    }

    /// A name that a design would generate must mean what it says.
    fn meaning(
        &self,
        treatment: &raw::Treatment,
        levels: &BTreeMap<String, String>,
        factors: &[Factor],
    ) -> Checked<()> {
        let name = treatment.name.get_ref().as_str();
        if ["baseline", "placebo"].contains(&name) || name.starts_with("peer-") || name.starts_with("set-") {
            return self.fail(treatment.name.span(), format!("the name `{name}` is reserved; choose another"));
        }
        let is_factor = |name: &str| factors.iter().any(|f| f.name == name);
        let off = |keep: &dyn Fn(&str) -> bool| -> BTreeMap<String, String> {
            let names = factors.iter().filter(|f| keep(&f.name));
            names.map(|f| (f.name.clone(), "off".to_owned())).collect()
        };
        let means = if name == "none" {
            off(&|_| true)
        } else if let Some(one) = name.strip_prefix("no-").filter(|one| is_factor(one)) {
            off(&|factor| factor == one)
        } else if let Some(one) = name.strip_prefix("only-").filter(|one| is_factor(one)) {
            off(&|factor| factor != one)
        } else {
            return Ok(());
        };
        if means != *levels {
            let says: Vec<String> = means.iter().map(|(factor, level)| format!("{factor} = \"{level}\"")).collect();
            let message =
                format!("the name `{name}` means {{ {} }}; choose another name or these levels", says.join(", "));
            return self.fail(treatment.name.span(), message);
        }
        Ok(())
    }
}
