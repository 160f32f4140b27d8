//! The types of a factor and its levels. The registry, [`mod@super::registry`], has the factors.

/// A factor: one part of the allocator whose cost can be measured. Its name is also that of its Cargo feature and, with
/// underscores, of its file in `src/factor/`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Factor {
    /// Its name, `[a-z0-9-]+`.
    pub name: &'static str,
    /// Whether this build has it.
    pub present: bool,
    /// Its level when no variable is set and the program names no preset.
    pub default: Level,
    /// The environment variable that switches it off when true.
    pub toggle: &'static str,
    /// The environment variable that chooses its form; `None` for a factor with one form.
    pub choice: Option<Choice>,
    /// Names of its activity counters, each a number of events since the process began.
    pub counters: &'static [&'static str],
    /// What it does, in one line.
    pub about: &'static str,
    /// What it costs while it is on, in one line: bytes, instructions, system calls.
    pub costs: &'static str,
}

/// An environment variable with a fixed set of values.
#[derive(Debug)]
#[non_exhaustive]
pub struct Choice {
    /// Name of the variable.
    pub variable: &'static str,
    /// Its values with the level that each stands for; the first is the level `on`.
    pub values: &'static [(&'static str, Level)],
}

/// What a factor is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Not compiled in.
    Absent,
    /// Compiled in, switched off.
    Off,
    /// Active, in the form that the first value of its variable names, or in its only form. For the six factors of the
    /// older research allocator this is that allocator's form, and the default is a [`Level::Variant`].
    On,
    /// Active, in another form.
    Variant(Variant),
}

impl Level {
    /// The level's name in statistics, configs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Absent => "absent",
            Level::Off => "off",
            Level::On => "on",
            Level::Variant(variant) => variant.as_str(),
        }
    }
}

/// A form of a factor other than the one that its level `on` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Variant {
    /// `bigcache`: each thread keeps large objects by size class.
    Direct,
    /// `elo`: an mmap threshold is drawn for every request, the best one except for one draw in ten.
    EpsilonGreedy,
    /// `elo`, `evolution`: only at requests that no cache serves.
    SlowPath,
    /// `header`: 16 bytes instead of 32.
    Header16,
    /// `tick`: the count is raised when a cache is empty.
    Batched,
    /// `evolution`: learning never stops.
    Learn,
    /// `evolution`: learning never starts.
    Frozen,
    /// `align`: the object starts at a multiple of 2 MiB, not its mapping.
    User,
    /// `thp`: the kernel is advised to use huge pages where memory of the same sort was used densely.
    Dense,
    /// `thp`: the kernel is advised against huge pages.
    Never,
    /// `purge`: memory goes back in the call that frees it.
    Immediate,
}

impl Variant {
    /// The variant's name in statistics, configs and records: the value of the factor's variable.
    pub fn as_str(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::EpsilonGreedy => "epsilon-greedy",
            Variant::SlowPath => "slow-path",
            Variant::Header16 => "16",
            Variant::Batched => "batched",
            Variant::Learn => "learn",
            Variant::Frozen => "frozen",
            Variant::User => "user",
            Variant::Dense => "dense",
            Variant::Never => "never",
            Variant::Immediate => "immediate",
        }
    }
}
