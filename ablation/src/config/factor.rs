//! Relations between the levels of a factor: which of them one binary can have, and which one is "without the factor".

use super::study::{Factor, in_one_binary};
use ablate_format::Arm;

impl Factor {
    /// Every level other than the baseline's that these arms can bring about: `off` first, the others by name.
    pub(crate) fn others(&self, arms: &[Arm]) -> Vec<&str> {
        self.known_others().into_iter().filter(|level| self.is_reachable(level, arms)).collect()
    }

    /// Every level other than the baseline's. A factor with a `feature` has `off` without declaring it; then `off` can
    /// be `absent` only.
    pub(super) fn known_others(&self) -> Vec<&str> {
        let has_off = self.baseline != "off" && (self.levels.contains_key("off") || self.feature.is_some());
        let variants =
            self.levels.keys().map(String::as_str).filter(|level| *level != "off" && *level != self.baseline);
        has_off.then_some("off").into_iter().chain(variants).collect()
    }

    /// Whether the baseline's binary can have this level.
    pub(crate) fn in_one_binary(&self, level: &str) -> bool {
        let binary = |level: &str| self.levels.get(level).map(|level| (&level.features, &level.build));
        binary(level).is_some_and(|own| binary(&self.baseline) == Some(own))
    }

    /// The level that another binary has instead of the baseline's: `absent` for `off`, else the level itself. `None`
    /// when the level does not need another binary.
    pub(crate) fn in_own_binary<'a>(&self, level: &'a str) -> Option<&'a str> {
        if level == "off" && self.feature.is_some() {
            return Some("absent");
        }
        (self.levels.contains_key(level) && !self.in_one_binary(level)).then_some(level)
    }

    /// How another binary has a level, of [`Factor::in_own_binary`]: `build` where a setting of the build differs.
    pub(crate) fn arm_in_own_binary(&self, level: &str) -> Arm {
        let build = |level: &str| self.levels.get(level).map(|level| &level.build);
        match build(level) {
            Some(own) if build(&self.baseline) != Some(own) => Arm::Build,
            _ => Arm::Feature,
        }
    }

    /// Whether one of the arms can bring a level about.
    pub(super) fn is_reachable(&self, level: &str, arms: &[Arm]) -> bool {
        let own = self.in_own_binary(level).is_some_and(|own| arms.contains(&self.arm_in_own_binary(own)));
        own || (in_one_binary(arms) && self.in_one_binary(level))
    }

    /// The level "without the factor" that these arms can bring about: `off`, else the only one other than the
    /// baseline's. `None` with several variants.
    pub(crate) fn away(&self, arms: &[Arm]) -> Option<&str> {
        only(&self.others(arms))
    }

    /// The levels beside the baseline's for designs that combine factors: those of the baseline's binary; of a factor
    /// that has none there, those of other binaries.
    pub(crate) fn others_combined(&self, arms: &[Arm]) -> Vec<&str> {
        let in_binary = if in_one_binary(arms) { self.others(&[Arm::Env]) } else { Vec::new() };
        if in_binary.is_empty() { self.others(arms) } else { in_binary }
    }

    /// The level "without the factor" for designs that combine factors.
    pub(crate) fn away_combined(&self, arms: &[Arm]) -> Option<&str> {
        only(&self.others_combined(arms))
    }

    /// `args` when this level differs from the baseline's in its arguments only, else `env`.
    pub(crate) fn arm_in_one_binary(&self, level: &str) -> Arm {
        let env = |level: &str| self.levels.get(level).map(|level| &level.env);
        if env(level) == env(&self.baseline) { Arm::Args } else { Arm::Env }
    }
}

/// The level that stands for "without the factor": `off`, or the only other one.
fn only<'a>(levels: &[&'a str]) -> Option<&'a str> {
    match levels {
        ["off", ..] => Some("off"),
        [one] => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::study::Level;
    use super::*;
    use std::collections::BTreeMap;

    /// A factor from `level: what it sets`, where `-x` is an argument, `+x` a feature, `@x` a revision, and other text a
    /// variable.
    fn factor(feature: Option<&str>, levels: &[(&str, &str)]) -> Factor {
        let level = |sets: &str| {
            let mut level = Level::default();
            for set in sets.split_whitespace() {
                match set.split_at(1) {
                    ("-", _) => level.args.push(set.to_owned()),
                    ("+", feature) => level.features.push(feature.to_owned()),
                    ("@", revision) => level.build.revision = Some(revision.to_owned()),
                    _ => drop(level.env.insert(set.to_owned(), "1".to_owned())),
                }
            }
            level
        };
        Factor {
            name: "x".to_owned(),
            about: String::new(),
            feature: feature.map(str::to_owned),
            proof: Vec::new(),
            baseline: levels[0].0.to_owned(),
            levels: levels.iter().map(|(name, sets)| (name.to_string(), level(sets))).collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn off_is_the_level_without_and_one_variant_stands_for_it() {
        let switched = factor(Some("x"), &[("on", ""), ("frozen", "A"), ("off", "NO")]);
        let arms = [Arm::Env, Arm::Feature];
        assert_eq!((switched.others(&arms), switched.away(&arms)), (vec!["off", "frozen"], Some("off")));
        let two = factor(None, &[("on", ""), ("small", "-s")]);
        assert_eq!((two.away(&arms), two.away_combined(&arms)), (Some("small"), Some("small")));
        let several = factor(None, &[("on", ""), ("small", "-s"), ("large", "-l")]);
        assert_eq!((several.others(&arms), several.away(&arms)), (vec!["large", "small"], None));
        let reversed = factor(None, &[("off", ""), ("on", "A")]);
        assert_eq!((reversed.others(&arms), reversed.away(&arms)), (vec!["on"], Some("on")));
    }

    #[test]
    fn levels_with_features_are_of_another_binary() {
        let built = factor(Some("x"), &[("on", ""), ("fast", "+fast"), ("slow", "SLOW")]);
        assert!(built.in_one_binary("slow") && !built.in_one_binary("fast") && !built.in_one_binary("off"));
        assert_eq!(
            ["off", "fast", "slow"].map(|level| built.in_own_binary(level)),
            [Some("absent"), Some("fast"), None]
        );
        // `off` cannot be had in one binary, so the variant stands for it there.
        assert_eq!(
            (built.away(&[Arm::Env]), built.away_combined(&[Arm::Env, Arm::Feature])),
            (Some("slow"), Some("slow"))
        );
        assert_eq!(built.away(&[Arm::Env, Arm::Feature]), Some("off"));
        let of_baseline = factor(None, &[("fast", "+simd"), ("slow", "+simd SLOW"), ("plain", "")]);
        assert!(of_baseline.in_one_binary("slow") && !of_baseline.in_one_binary("plain"));
    }

    #[test]
    fn levels_with_build_settings_are_of_another_binary_and_arm() {
        let commits = factor(None, &[("base", "@main"), ("head", "@HEAD"), ("slow", "@main SLOW")]);
        assert!(!commits.in_one_binary("head") && commits.in_one_binary("slow"));
        assert_eq!((commits.arm_in_own_binary("head"), commits.in_own_binary("slow")), (Arm::Build, None));
        assert_eq!(commits.others(&[Arm::Build]), ["head"]);
        assert_eq!(commits.away_combined(&[Arm::Build]), Some("head"));
        assert_eq!(commits.away_combined(&[Arm::Env, Arm::Build]), Some("slow"), "one binary needs no build");
        assert_eq!(commits.others(&[Arm::Env]), ["slow"]);
        assert!(commits.others(&[Arm::Feature]).is_empty());
    }

    #[test]
    fn a_level_of_arguments_only_says_so() {
        let mixed = factor(None, &[("on", ""), ("a", "-a"), ("b", "-b B")]);
        assert_eq!((mixed.arm_in_one_binary("a"), mixed.arm_in_one_binary("b")), (Arm::Args, Arm::Env));
    }

    #[test]
    fn arms_reach_what_they_can_bring_about() {
        let built = factor(Some("x"), &[("on", ""), ("fast", "+fast"), ("slow", "SLOW")]);
        assert_eq!(built.others(&[Arm::Env]), ["slow"]);
        assert_eq!(built.others(&[Arm::Args]), ["slow"]);
        assert_eq!(built.others(&[Arm::Feature]), ["off", "fast"]);
        assert_eq!(built.others(&[Arm::Env, Arm::Feature]), ["off", "fast", "slow"]);
    }
}
