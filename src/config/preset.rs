//! Presets: levels for all factors at once, by `HAKMEM_MODE` or by a program that names one with [`crate::preset!`].
//!
//! `hardened` is the default with every factor on that defends against misuse. All others are presets of the research
//! original, as far as its documents describe them. Its setting for huge pages is off, auto or on: `auto` and `on` are
//! both level `on` here. The original aligned nothing, mapped each large object, and gave nothing back by time. It took
//! small objects from the C library and its caches, so the thread cache is on. `free-check` is at its default, and has no
//! work, because headers verify every free.

use super::level::{Level, Variant};
use super::registry::{FactorId, Levels};
use core::sync::atomic::{AtomicPtr, Ordering};

/// A level for every factor at once, as `HAKMEM_MODE` names it. The factors' own variables override it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// Every factor at its default.
    Default,
    /// Every factor that defends against misuse on, and all others at their defaults.
    Hardened,
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
    /// The original's six on: its `hakmem-evolving`, whose policy on huge pages is not known, and which ran without
    /// them by its own counts (513 page faults for 513 pages).
    Evolving,
}

/// The program's preset: null, or the address of a function that returns it. Written by `preset!`.
static OF_PROGRAM: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

impl Preset {
    /// Notes the program's preset; for `preset!` alone.
    #[doc(hidden)]
    pub fn __note(preset: fn() -> Preset) {
        // Release: pairs with the acquire in `of_program`.
        OF_PROGRAM.store(preset as *mut (), Ordering::Release);
    }

    /// The preset that the program names, or the default.
    pub(super) fn of_program() -> Preset {
        // Acquire: pairs with the release in `__note`.
        let address = OF_PROGRAM.load(Ordering::Acquire);
        // SAFETY: null, or the address of a function that `__note` stored, with this signature.
        let named: Option<fn() -> Preset> = unsafe { core::mem::transmute(address) };
        named.map_or(Preset::Default, |preset| preset())
    }

    /// The values of `HAKMEM_MODE`, with their presets.
    pub const NAMED: &'static [(&'static str, Preset)] = &[
        ("hardened", Preset::Hardened),
        ("minimal", Preset::Minimal),
        ("fast", Preset::Fast),
        ("balanced", Preset::Balanced),
        ("learning", Preset::Learning),
        ("research", Preset::Research),
        ("original", Preset::Evolving),
    ];

    /// The level that the preset gives each factor, in the order of the registry. Whether a factor is compiled in does
    /// not count here.
    pub fn levels(self) -> impl Iterator<Item = Level> {
        self.level_table().iter()
    }

    /// The levels before the environment's variables.
    pub(super) fn level_table(self) -> Levels {
        let mut levels = Levels::defaults();
        let mut set = |list: &[(FactorId, Level)]| list.iter().for_each(|&(id, level)| levels.set(id, level));
        if !matches!(self, Preset::Default | Preset::Hardened) {
            set(&ORIGINAL);
        }
        match self {
            Preset::Default | Preset::Evolving => {}
            Preset::Hardened => set(&HARDENED),
            Preset::Minimal => {
                set(&[(FactorId::BigCache, Level::Off), (FactorId::Elo, Level::Off), (FactorId::Evolution, Level::Off)])
            }
            Preset::Fast | Preset::Balanced => {
                set(&[(FactorId::Evolution, Level::Variant(Variant::Frozen)), (FactorId::Thp, Level::On)])
            }
            Preset::Learning => set(&[(FactorId::Thp, Level::On)]),
            Preset::Research => {
                set(&[(FactorId::Evolution, Level::Variant(Variant::Learn)), (FactorId::Thp, Level::On)])
            }
            Preset::Baseline => set(&[(FactorId::Elo, Level::Off), (FactorId::Evolution, Level::Off)]),
        }
        levels
    }
}

/// The factors that defend against misuse, beside `free-check`, which is on by default.
const HARDENED: [(FactorId, Level); 5] = [
    (FactorId::Canary, Level::On),
    (FactorId::GuardPages, Level::On),
    (FactorId::Quarantine, Level::On),
    (FactorId::ZeroFree, Level::On),
    (FactorId::RandomSlots, Level::On),
];

/// The original's levels: its six factors, and none that it did not have.
const ORIGINAL: [(FactorId, Level); 12] = [
    (FactorId::BigCache, Level::On),
    (FactorId::Elo, Level::On),
    (FactorId::Header, Level::On),
    (FactorId::Tick, Level::On),
    (FactorId::Evolution, Level::On),
    (FactorId::MadviseBatch, Level::On),
    (FactorId::Align, Level::Off),
    (FactorId::Thp, Level::Off),
    (FactorId::Arena, Level::Off),
    (FactorId::ThreadCache, Level::On),
    (FactorId::Purge, Level::Off),
    (FactorId::OwnedPages, Level::Off),
];
