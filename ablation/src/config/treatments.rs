//! Rules of treatments and constraints, which refer to levels of factors.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{Constraint, Factor, Treatment};
use crate::support::nearest::suggestion;
use ablate_format::{Arm, BASELINE};
use std::collections::BTreeMap;
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn treatments(
        &self,
        raw: &[Spanned<raw::Treatment>],
        factors: &[Factor],
        arms: &[Arm],
    ) -> Checked<Vec<Treatment>> {
        self.names("treatment", raw.iter().map(|t| &t.get_ref().name))?;
        let known: Vec<&str> = factors.iter().map(|f| f.name.as_str()).collect();
        let mut out: Vec<Treatment> = Vec::new();
        for treatment in raw.iter().map(Spanned::get_ref) {
            let name = treatment.name.get_ref();
            let levels = self.treatment_levels((treatment, raw), &out, factors, arms)?;
            self.meaning(treatment, &levels, factors, arms)?;
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

    /// The factor of this name.
    fn factor<'f>(&self, name: &raw::Text, factors: &'f [Factor]) -> Checked<&'f Factor> {
        Ok(&factors[self.known("factor", name, factors.iter().map(|f| f.name.as_str()))?])
    }

    /// Checks that the factor has this level, declared or not.
    fn has_level(&self, factor: &Factor, level: &raw::Text) -> Checked<()> {
        let mut known = factor.known_others();
        known.push(&factor.baseline);
        if known.contains(&level.get_ref().as_str()) {
            return Ok(());
        }
        let near = suggestion(level.get_ref(), known.iter().copied());
        self.fail(level.span(), format!("unknown level `{}` of factor `{}`{near}", level.get_ref(), factor.name))
    }

    /// The levels that a treatment starts from: those of the treatment that it comes `after`.
    fn inherited(
        &self,
        (treatment, all): (&raw::Treatment, &[Spanned<raw::Treatment>]),
        above: &[Treatment],
    ) -> Checked<BTreeMap<String, String>> {
        let Some(after) = &treatment.after else { return Ok(BTreeMap::new()) };
        if after.get_ref() == BASELINE {
            return self.fail(after.span(), "every treatment comes after the baseline; remove `after`");
        }
        let known = all.iter().map(|other| other.get_ref().name.get_ref().as_str());
        let mut at = self.known("treatment", after, known.clone())?;
        // A ring of `after` is closed after at most as many steps as there are treatments.
        for _ in all {
            let other = all[at].get_ref();
            if other.name.get_ref() == treatment.name.get_ref() {
                let message =
                    format!("`{}` would come after itself; name another or remove `after`", other.name.get_ref());
                return self.fail(after.span(), message);
            }
            let next = other.after.as_ref().and_then(|next| known.clone().position(|name| name == next.get_ref()));
            let Some(next) = next else { break };
            at = next;
        }
        match above.iter().find(|other| other.name == *after.get_ref()) {
            Some(other) => Ok(other.levels.clone()),
            None => self.fail(
                after.span(),
                format!("`{}` is not defined above this treatment; move it there", after.get_ref()),
            ),
        }
    }

    /// The levels that differ from the baseline.
    fn treatment_levels(
        &self,
        (treatment, all): (&raw::Treatment, &[Spanned<raw::Treatment>]),
        above: &[Treatment],
        factors: &[Factor],
        arms: &[Arm],
    ) -> Checked<BTreeMap<String, String>> {
        let mut out = self.inherited((treatment, all), above)?;
        for (name, level) in &treatment.levels {
            let factor = self.factor(name, factors)?;
            if level.get_ref() == "absent" {
                return self.fail(
                    level.span(),
                    "a treatment cannot ask for `absent`; write `off`, the arm `feature` makes it absent",
                );
            }
            self.has_level(factor, level)?;
            if out.get(&factor.name) == Some(level.get_ref()) {
                let message = format!("`{}` is `{}` already by `after`; remove it", factor.name, level.get_ref());
                return self.fail(level.span(), message);
            }
            if *level.get_ref() == factor.baseline {
                out.remove(&factor.name);
                continue;
            }
            if !factor.is_reachable(level.get_ref(), arms) {
                let level_name = level.get_ref();
                let message = match factor.in_one_binary(level_name) {
                    true => format!("`{level_name}` exists in the env arm only; add \"env\" to `arms`"),
                    false => format!("`{level_name}` exists in the feature arm only; add \"feature\" to `arms`"),
                };
                return self.fail(level.span(), message);
            }
            out.insert(factor.name.clone(), level.get_ref().clone());
        }
        if out.is_empty() {
            let message = format!(
                "treatment `{}` is the same as the baseline; give it a level that is not the baseline's",
                treatment.name.get_ref()
            );
            return self.fail(treatment.name.span(), message);
        }
        Ok(out)
    }

    /// Checks that a name that a design would generate has the levels that the design would give it.
    fn meaning(
        &self,
        treatment: &raw::Treatment,
        levels: &BTreeMap<String, String>,
        factors: &[Factor],
        arms: &[Arm],
    ) -> Checked<()> {
        let name = treatment.name.get_ref().as_str();
        if ["baseline", "placebo"].contains(&name) || name.starts_with("peer-") || name.starts_with("set-") {
            return self.fail(treatment.name.span(), format!("the name `{name}` is reserved; choose another"));
        }
        let is_factor = |name: &str| factors.iter().any(|f| f.name == name);
        let away = |keep: &dyn Fn(&str) -> bool| -> BTreeMap<String, String> {
            let kept = factors.iter().filter(|f| keep(&f.name));
            kept.filter_map(|f| Some((f.name.clone(), f.away(arms)?.to_owned()))).collect()
        };
        let variant = factors.iter().find_map(|factor| {
            let level = name.strip_prefix(factor.name.as_str())?.strip_prefix('-')?;
            let is_other = level != "off" && factor.known_others().contains(&level);
            is_other.then(|| BTreeMap::from([(factor.name.clone(), level.to_owned())]))
        });
        let means = if name == "none" {
            away(&|_| true)
        } else if let Some(one) = name.strip_prefix("no-").filter(|one| is_factor(one)) {
            BTreeMap::from([(one.to_owned(), "off".to_owned())])
        } else if let Some(one) = name.strip_prefix("only-").filter(|one| is_factor(one)) {
            away(&|factor| factor != one)
        } else if let Some(variant) = variant {
            variant
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

    pub(super) fn constraints(&self, raw: &[Spanned<raw::Constraint>], factors: &[Factor]) -> Checked<Vec<Constraint>> {
        let mut out = Vec::new();
        for constraint in raw {
            let place = constraint.span();
            let constraint = constraint.get_ref();
            for (key, is_empty) in [("when", constraint.when.is_empty()), ("needs", constraint.needs.is_empty())] {
                if is_empty {
                    let message = format!("`{key}` is empty, so this forbids nothing; write {{ FACTOR = … }}");
                    return self.fail(place, message);
                }
            }
            let mut checked = Constraint { when: BTreeMap::new(), needs: BTreeMap::new() };
            for (name, level) in &constraint.when {
                let factor = self.factor(name, factors)?;
                self.constrained_level(factor, level)?;
                checked.when.insert(factor.name.clone(), level.get_ref().clone());
            }
            for (name, levels) in &constraint.needs {
                let factor = self.factor(name, factors)?;
                if checked.when.contains_key(&factor.name) {
                    let message = format!(
                        "`{}` is in `when` too, and a factor has one level at a time; name other factors here",
                        factor.name
                    );
                    return self.fail(name.span(), message);
                }
                if levels.is_empty() {
                    let message = format!(
                        "the list of levels of `{}` is empty, so no cell could run; name the levels that are allowed",
                        factor.name
                    );
                    return self.fail(name.span(), message);
                }
                for level in levels {
                    self.constrained_level(factor, level)?;
                }
                let levels = levels.iter().map(|level| level.get_ref().clone());
                checked.needs.insert(factor.name.clone(), levels.collect());
            }
            out.push(checked);
        }
        Ok(out)
    }

    fn constrained_level(&self, factor: &Factor, level: &raw::Text) -> Checked<()> {
        if level.get_ref() == "absent" && factor.feature.is_some() { Ok(()) } else { self.has_level(factor, level) }
    }
}
