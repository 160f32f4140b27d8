//! How a binary is built, besides its Cargo features: a revision of the sources, settings of Cargo's profile, the
//! compiler's flags, a toolchain, and what a build command receives.

use std::collections::BTreeMap;

/// Keys of a profile, as Cargo spells them (Cargo reference, "Profiles").
pub(super) const PROFILE_KEYS: [&str; 10] = [
    "opt-level",
    "debug",
    "split-debuginfo",
    "strip",
    "debug-assertions",
    "overflow-checks",
    "lto",
    "panic",
    "incremental",
    "codegen-units",
];

/// Keys of a level that decide how its binary is built, besides `features` and [`PROFILE_KEYS`].
pub(super) const KEYS: [&str; 7] =
    ["revision", "profile", "rustflags", "target-cpu", "toolchain", "build_args", "build_env"];

/// How a binary is built, besides its Cargo features. A part that is empty is as in the baseline of the study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct BuildSettings {
    /// A revision of the repository of the sources, as git knows it, or `worktree` for the files as they are.
    pub(crate) revision: Option<String>,
    /// Cargo profile.
    pub(crate) profile: Option<String>,
    /// Keys of the profile, with their values as TOML writes them: `opt-level` → `3`, `lto` → `"fat"`.
    pub(crate) profile_keys: BTreeMap<String, String>,
    /// Flags of rustc, after those of the environment and of Cargo's configuration.
    pub(crate) rustflags: Vec<String>,
    /// The processor that code is generated for, as `rustc --print target-cpus` lists it.
    pub(crate) target_cpu: Option<String>,
    /// A toolchain that rustup knows.
    pub(crate) toolchain: Option<String>,
    /// Arguments of the build command, after its own.
    pub(crate) args: Vec<String>,
    /// Variables of the build.
    pub(crate) env: BTreeMap<String, String>,
}

impl BuildSettings {
    /// Adds the settings of another factor's level. No two factors have the same setting, and lists are joined.
    pub(crate) fn extend(&mut self, other: &BuildSettings) {
        let BuildSettings { revision, profile, profile_keys, rustflags, target_cpu, toolchain, args, env } = other;
        for (own, more) in [
            (&mut self.revision, revision),
            (&mut self.profile, profile),
            (&mut self.target_cpu, target_cpu),
            (&mut self.toolchain, toolchain),
        ] {
            if more.is_some() {
                own.clone_from(more);
            }
        }
        self.profile_keys.extend(profile_keys.clone());
        self.rustflags.extend_from_slice(rustflags);
        self.args.extend_from_slice(args);
        self.env.extend(env.clone());
    }

    /// Every setting by its key, with its value for people.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let one = [
            ("revision", &self.revision),
            ("profile", &self.profile),
            ("target-cpu", &self.target_cpu),
            ("toolchain", &self.toolchain),
        ];
        let mut out: BTreeMap<String, String> =
            one.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect();
        out.extend(self.profile_keys.iter().map(|(key, value)| (key.clone(), value.trim_matches('"').to_owned())));
        for (key, list) in [("rustflags", &self.rustflags), ("build_args", &self.args)] {
            if !list.is_empty() {
                out.insert(key.to_owned(), shell_words::join(list));
            }
        }
        out.extend(self.env.clone());
        out
    }

    /// Every setting that another factor must not have as well. Lists of flags are joined, so they may be in several.
    pub(super) fn owned(&self) -> impl Iterator<Item = String> + use<> {
        let shown = self.shown().into_keys().filter(|key| key != "rustflags" && key != "build_args");
        shown.collect::<Vec<_>>().into_iter()
    }
}

/// Whether a key of a level decides how its binary is built.
pub(super) fn is_setting(key: &str) -> bool {
    KEYS.contains(&key) || PROFILE_KEYS.contains(&key)
}
