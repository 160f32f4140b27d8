//! Rules of factors and their levels.

use super::build_settings;
use super::check::{Checked, Checker};
use super::raw;
use super::study::{Factor, Level, Program, Subject, in_one_binary};
use crate::support::nearest::{nearest, suggestion};
use ablate_format::Arm;
use std::collections::BTreeMap;
use toml::Spanned;

/// Most declared levels of one factor. Together with an `off` that is not declared, each level needs a digit of its own
/// in names of cells: 0 to 9 and a to v.
const MAX_LEVELS: usize = 30;

/// Variables and features that have one owner only.
#[derive(Default)]
struct Owners {
    /// Variable → factor.
    variables: BTreeMap<String, String>,
    /// Cargo feature → factor.
    features: BTreeMap<String, String>,
    /// Setting of the build → factor.
    settings: BTreeMap<String, String>,
}

impl Checker<'_> {
    pub(super) fn factors(
        &self,
        raw: &[Spanned<raw::Factor>],
        arms: &[Arm],
        subject: &Subject,
    ) -> Checked<Vec<Factor>> {
        self.names("factor", raw.iter().map(|f| &f.get_ref().name))?;
        let known: Vec<&str> = raw.iter().map(|f| f.get_ref().name.get_ref().as_str()).collect();
        let mut owners = Owners::default();
        let mut out = Vec::new();
        for factor in raw.iter().map(Spanned::get_ref) {
            let name = factor.name.get_ref();
            let mut feature = None;
            if let Some(text) = &factor.feature {
                feature = Some(self.owned_feature(name, text, subject, &mut owners)?);
            }
            if let Some(proof) = factor.proof.as_ref().filter(|proof| proof.get_ref().is_empty()) {
                let message = format!(
                    "factor `{name}` has an empty `proof`; name a counter that moves when the factor is at work, like \
                     \"{name}.calls\", or leave `proof` out: then exact counts must differ between its levels"
                );
                return self.fail(proof.span(), message);
            }
            let levels = self.levels(factor, subject, arms, &mut owners)?;
            let baseline = self.baseline(factor, &levels)?;
            let checked = Factor {
                name: name.clone(),
                about: factor.about.clone(),
                feature,
                proof: match &factor.proof {
                    Some(proof) => self.counters(proof.get_ref(), &known)?,
                    None => Vec::new(),
                },
                baseline,
                levels,
            };
            self.differences(factor, &checked)?;
            self.ways(factor, &checked, arms)?;
            out.push(checked);
        }
        Ok(out)
    }

    /// A feature that only this factor switches.
    fn owned_feature(&self, name: &str, text: &raw::Text, subject: &Subject, owners: &mut Owners) -> Checked<String> {
        let feature = self.feature(text)?;
        let Program::Cargo(program) = &subject.program else {
            let message = "a `command` is not built, so it has no features; switch the factor by variables or `args`";
            return self.fail(text.span(), message);
        };
        if program.features.contains(&feature) {
            let message = format!(
                "feature `{feature}` is also in the subject's `features`, so `{name}` could never be absent; remove it \
                 there"
            );
            return self.fail(text.span(), message);
        }
        if subject.placebo_feature.as_ref() == Some(&feature) {
            let message =
                format!("feature `{feature}` is the `placebo_feature`, which must change nothing; use another");
            return self.fail(text.span(), message);
        }
        match owners.features.insert(feature.clone(), name.to_owned()) {
            Some(other) if other != name => {
                self.fail(text.span(), format!("feature `{feature}` belongs to two factors; give each its own"))
            }
            _ => Ok(feature),
        }
    }

    fn levels(
        &self,
        factor: &raw::Factor,
        subject: &Subject,
        arms: &[Arm],
        owners: &mut Owners,
    ) -> Checked<BTreeMap<String, Level>> {
        let mut out = BTreeMap::new();
        for (level, settings) in factor.levels.get_ref() {
            if level.get_ref() == "absent" {
                return self.fail(level.span(), "the level `absent` comes from `feature`; remove it here");
            }
            let checked = self.level(factor, settings, subject, owners)?;
            for variable in checked.env.keys() {
                self.owner(factor, variable, subject, arms, owners)?;
            }
            for setting in checked.build.owned() {
                self.setting_owner(factor, level, &setting, owners)?;
            }
            out.insert(self.name("level", level)?, checked);
        }
        if out.len() > MAX_LEVELS {
            let message = format!(
                "factor `{}` has {} levels, and at most {MAX_LEVELS} are possible; remove some",
                factor.name.get_ref(),
                factor.levels.get_ref().len()
            );
            return self.fail(factor.levels.span(), message);
        }
        Ok(out)
    }

    /// What a level sets.
    fn level(
        &self,
        factor: &raw::Factor,
        settings: &BTreeMap<raw::Text, raw::Setting>,
        subject: &Subject,
        owners: &mut Owners,
    ) -> Checked<Level> {
        let is_command = !matches!(subject.program, Program::Cargo(_));
        let mut level = Level::default();
        for (name, setting) in settings {
            let text = |text: &str| Spanned::new(setting.span(), text.to_owned());
            match (name.get_ref().as_str(), setting.get_ref()) {
                ("args", _) => level.args = self.texts("args", setting)?,
                ("features", _) => {
                    for item in self.texts("features", setting)? {
                        level.features.push(self.built_in(factor, &text(&item), subject, owners)?);
                    }
                }
                ("env", _) => {
                    let rule = |name: &raw::Text, value: &raw::Text| self.level_variable(name, value, is_command);
                    level.env.extend(self.variables("env", setting, rule)?);
                }
                (key, _) if build_settings::is_setting(key) => {
                    self.build_setting(name, setting, &subject.program, &mut level.build)?;
                }
                (key, _) if key.chars().any(|c| c.is_ascii_lowercase()) => {
                    let known = ["args", "features", "env"].into_iter();
                    let known = known.chain(build_settings::KEYS).chain(build_settings::PROFILE_KEYS);
                    let message = format!(
                        "unknown key `{key}` of a level{}; a variable is written in capitals, or in `env = {{ {key} = \
                         \"…\" }}`",
                        suggestion(key, known)
                    );
                    return self.fail(name.span(), message);
                }
                (_, toml::Value::String(value)) => {
                    let (name, value) = self.level_variable(name, &text(value), is_command)?;
                    level.env.insert(name, value);
                }
                (key, _) => {
                    let message = format!("`{key}` is a variable of the process, so it is a text; put it in quotes");
                    return self.fail(setting.span(), message);
                }
            }
        }
        Ok(level)
    }

    /// A feature of a level. It must not be the factor's `feature`, which every level but `absent` has.
    fn built_in(
        &self,
        factor: &raw::Factor,
        item: &raw::Text,
        subject: &Subject,
        owners: &mut Owners,
    ) -> Checked<String> {
        let name = factor.name.get_ref();
        if factor.feature.as_ref().is_some_and(|own| own.get_ref() == item.get_ref()) {
            let message = format!(
                "feature `{}` is the `feature` of `{name}`, which every level but `absent` has; remove it here",
                item.get_ref()
            );
            return self.fail(item.span(), message);
        }
        self.owned_feature(name, item, subject, owners)
    }

    fn baseline(&self, factor: &raw::Factor, levels: &BTreeMap<String, Level>) -> Checked<String> {
        let name = factor.name.get_ref();
        if let Some(baseline) = &factor.baseline {
            if baseline.get_ref() == "absent" {
                let message = "the baseline has every factor built in; name one of the `levels`";
                return self.fail(baseline.span(), message);
            }
            self.known(&format!("level of factor `{name}`,"), baseline, levels.keys().map(String::as_str))?;
            return Ok(baseline.get_ref().clone());
        }
        if levels.contains_key("on") {
            return Ok("on".to_owned());
        }
        let there: Vec<String> = levels.keys().map(|level| format!("`{level}`")).collect();
        let there = if there.is_empty() { "none".to_owned() } else { format!("only {}", there.join(", ")) };
        let message = format!(
            "factor `{name}` has no level `on`, {there}; add `on = {{ … }}`, or name the baseline's level with \
             `baseline`"
        );
        self.fail(factor.levels.span(), message)
    }

    /// Checks that each level differs from the baseline's and that its name is not a misspelt `off`.
    fn differences(&self, factor: &raw::Factor, checked: &Factor) -> Checked<()> {
        let Factor { name, baseline, levels, .. } = checked;
        for (level, settings) in factor.levels.get_ref() {
            let text = level.get_ref();
            if text != baseline && levels.get(text) == levels.get(baseline) {
                let message = format!(
                    "level `{text}` sets the same as `{baseline}`, the baseline's, so it would change nothing; set \
                     something else or remove it"
                );
                return self.fail(settings.keys().next().map_or(level.span(), Spanned::span), message);
            }
            let misspelt = text != "on" && text != baseline && nearest(text, ["off"]).is_some();
            if misspelt && !levels.contains_key("off") {
                let message = format!("factor `{name}` has no level `off`, but `{text}`; write `off`, or another name");
                return self.fail(level.span(), message);
            }
        }
        let off_has_features = levels.contains_key("off") && !checked.in_one_binary("off");
        if checked.feature.is_some() && baseline != "off" && off_has_features {
            let message = format!(
                "without its `feature` factor `{name}` is absent, so `off` needs no other features; remove `features` \
                 there, or give the level another name"
            );
            return self.fail(factor.levels.span(), message);
        }
        Ok(())
    }

    /// Checks that the arms can bring about a level that is not the baseline's.
    fn ways(&self, factor: &raw::Factor, checked: &Factor, arms: &[Arm]) -> Checked<()> {
        let name = &checked.name;
        let others = checked.known_others();
        if others.is_empty() {
            let message = format!(
                "factor `{name}` has no level beside `{}`, so it would change nothing; add `off = {{ … }}` or a \
                 `feature`",
                checked.baseline
            );
            return self.fail(factor.levels.span(), message);
        }
        for level in checked.levels.keys().filter(|level| **level != checked.baseline) {
            let arm = checked.arm_in_own_binary(level);
            if !checked.in_one_binary(level) && !arms.contains(&arm) {
                let differs = if arm == Arm::Build { "build settings" } else { "`features`" };
                let message = format!(
                    "level `{level}` has other {differs} than the baseline's, so it needs the arm `{}`; add it to \
                     `arms`",
                    arm.as_str()
                );
                return self.fail(factor.levels.span(), message);
            }
        }
        if !checked.others(arms).is_empty() {
            return Ok(());
        }
        let message = if in_one_binary(arms) {
            format!("factor `{name}` can be `absent` only; add `off = {{ … }}`, or \"feature\" to `arms`")
        } else {
            let arms: Vec<&str> = arms.iter().map(|arm| arm.as_str()).collect();
            format!(
                "`arms` has only \"{}\", and no level of `{name}` is brought about by that; add such a level, or \"env\" \
                 to `arms`",
                arms.join("\" and \"")
            )
        };
        self.fail(factor.name.span(), message)
    }

    /// Checks that a setting of the build belongs to one factor only.
    fn setting_owner(
        &self,
        factor: &raw::Factor,
        level: &raw::Text,
        setting: &str,
        owners: &mut Owners,
    ) -> Checked<()> {
        let name = factor.name.get_ref();
        match owners.settings.insert(setting.to_owned(), name.clone()) {
            Some(other) if other != *name => {
                let message =
                    format!("`{setting}` is set by factor `{name}` and by factor `{other}`; one factor can have it");
                self.fail(level.span(), message)
            }
            _ => Ok(()),
        }
    }

    /// Checks that a variable belongs to one factor only. Otherwise one level would undo another unseen.
    fn owner(
        &self,
        factor: &raw::Factor,
        variable: &str,
        subject: &Subject,
        arms: &[Arm],
        owners: &mut Owners,
    ) -> Checked<()> {
        let name = factor.name.get_ref();
        let keys = factor.levels.get_ref().values().flat_map(|env| env.keys());
        let span = keys.into_iter().find(|k| k.get_ref() == variable).map_or(factor.levels.span(), Spanned::span);
        if arms.contains(&Arm::Args) && !arms.contains(&Arm::Env) {
            let message = format!("{variable} is a variable, and the arm `args` is for arguments alone; write \"env\"");
            return self.fail(span, message);
        }
        if subject.env.contains_key(variable) {
            return self
                .fail(span, format!("{variable} is set by factor `{name}` and by the subject's `env`; remove one"));
        }
        if subject.allow_env.iter().any(|allowed| allowed == variable) {
            let message = format!(
                "{variable} is in `allow_env` too, so the value of your shell would reach factor `{name}`; remove it \
                 there"
            );
            return self.fail(span, message);
        }
        match owners.variables.insert(variable.to_owned(), name.clone()) {
            Some(other) if other != *name => self.fail(
                span,
                format!("{variable} is set by factor `{name}` and by factor `{other}`; give each its own variable"),
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn counters(&self, counters: &[raw::Text], factors: &[&str]) -> Checked<Vec<String>> {
        let mut out = Vec::new();
        for counter in counters {
            let Some((factor, name)) = counter.get_ref().split_once('.').filter(|(_, name)| !name.is_empty()) else {
                return self.fail(
                    counter.span(),
                    format!("`{}` is not the name of a counter; write \"factor.counter\"", counter.get_ref()),
                );
            };
            if !factors.contains(&factor) {
                let near = suggestion(factor, factors.iter().copied());
                return self.fail(
                    counter.span(),
                    format!("counter `{factor}.{name}` is of the unknown factor `{factor}`{near}"),
                );
            }
            out.push(counter.get_ref().clone());
        }
        Ok(out)
    }
}
