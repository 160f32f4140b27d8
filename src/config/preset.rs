//! Presets: levels for all factors at once, by `HAKMEM_MODE` or by a program that seals one.
//!
//! All but the default are presets of the research original, as far as its documents tell them. Its setting for huge pages
//! is off, auto or on: `auto` and `on` are both level `on` here. The original aligned nothing, mapped each large object,
//! and gave nothing back by time. It took small objects from the C library and its caches, so the thread cache is on.

use super::level::Level;
use super::registry::{Id, Levels};

/// A preset of levels, the variable `HAKMEM_MODE`; toggles in the environment override it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Every factor at its default.
    Default,
    /// BigCache, ELO, evolution and huge pages off.
    Minimal,
    /// Learning frozen, huge pages advised.
    Fast,
    /// Learning frozen; the original gives it the levels of `fast`.
    Balanced,
    /// Learning that stops when it has converged, huge pages advised.
    Learning,
    /// Learning that never stops, huge pages advised.
    Research,
    /// ELO and evolution off: the original's `hakmem-baseline`.
    Baseline,
    /// The original's six on: its `hakmem-evolving`, whose policy on huge pages is not known, and which ran without them
    /// by its own counts (513 page faults for 513 pages).
    Evolving,
}

impl Preset {
    /// The values of `HAKMEM_MODE`.
    pub const NAMED: &'static [(&'static str, Preset)] = &[
        ("minimal", Preset::Minimal),
        ("fast", Preset::Fast),
        ("balanced", Preset::Balanced),
        ("learning", Preset::Learning),
        ("research", Preset::Research),
        ("original", Preset::Evolving),
    ];

    /// The level that the preset gives each factor, in the order of the registry, if it is compiled in.
    pub fn levels(self) -> impl Iterator<Item = Level> {
        self.level_table().iter()
    }

    /// The levels before the toggles.
    pub(super) fn level_table(self) -> Levels {
        let mut levels = Levels::defaults();
        let mut set = |list: &[(Id, Level)]| list.iter().for_each(|&(id, level)| levels.set(id, level));
        if self != Preset::Default {
            set(&ORIGINAL);
        }
        match self {
            Preset::Default | Preset::Evolving => {}
            Preset::Minimal => set(&[(Id::BigCache, Level::Off), (Id::Elo, Level::Off), (Id::Evolution, Level::Off)]),
            Preset::Fast | Preset::Balanced => set(&[(Id::Evolution, Level::Variant("frozen")), (Id::Thp, Level::On)]),
            Preset::Learning => set(&[(Id::Thp, Level::On)]),
            Preset::Research => set(&[(Id::Evolution, Level::Variant("learn")), (Id::Thp, Level::On)]),
            Preset::Baseline => set(&[(Id::Elo, Level::Off), (Id::Evolution, Level::Off)]),
        }
        levels
    }
}

/// The original's six, and nothing that it did not have.
const ORIGINAL: [(Id, Level); 11] = [
    (Id::BigCache, Level::On),
    (Id::Elo, Level::On),
    (Id::Header, Level::On),
    (Id::Tick, Level::On),
    (Id::Evolution, Level::On),
    (Id::MadviseBatch, Level::On),
    (Id::Align, Level::Off),
    (Id::Thp, Level::Off),
    (Id::Arena, Level::Off),
    (Id::ThreadCache, Level::On),
    (Id::Purge, Level::Off),
];
