//! What a factor is, and the levels that it can have. Which factors there are is in the registry, [`mod@super::registry`].

/// One overhead source. The name is also that of the Cargo feature and, with
/// underscores, of the file in `src/factor/`.
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
    /// The environment variable that chooses among its variants, with the variants it knows.
    pub choice: Option<Choice>,
    /// Names of its activity counters, each a number of events since the process began.
    pub counters: &'static [&'static str],
    /// What it does, in one line.
    pub about: &'static str,
    /// What it costs while it is on, in one line: bytes, instructions, system calls.
    pub costs: &'static str,
}

/// A variable with a fixed set of values.
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
    /// At work, in its default form.
    On,
    /// At work in another form.
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
    /// `bigcache`: kept by size class in each thread.
    Direct,
    /// `elo`: thresholds, the best but for a share of draws.
    EpsilonGreedy,
    /// `elo`, `evolution`: where no cache has an object.
    SlowPath,
    /// `header`: 16 bytes.
    Header16,
    /// `tick`: raised when a cache is empty.
    Batched,
    /// `evolution`: learning never stops.
    Learn,
    /// `evolution`: learning never starts.
    Frozen,
    /// `align`: the object itself.
    User,
    /// `thp`: advised against.
    Never,
    /// `purge`: with the free.
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
            Variant::Never => "never",
            Variant::Immediate => "immediate",
        }
    }
}
