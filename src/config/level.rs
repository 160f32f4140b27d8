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
    Variant(&'static str),
}

impl Level {
    /// The level's name in statistics, configs and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Absent => "absent",
            Level::Off => "off",
            Level::On => "on",
            Level::Variant(name) => name,
        }
    }
}
