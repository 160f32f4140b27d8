//! What cannot be obeyed, each with the pattern out.

use thiserror::Error;

/// Most values that are timed in one process: half a GiB of them.
pub(crate) const SAMPLES_MAX: u64 = 1 << 26;
/// Most threads, or pairs of them.
pub(crate) const THREADS_MAX: u32 = 64;

/// Arguments that cannot be obeyed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such allocator.
    #[error("no allocator is called '{name}'{meant}: this build has {built_in}{absent}")]
    UnknownAllocator {
        /// As given.
        name: String,
        /// The nearest name, as a question; may be empty.
        meant: String,
        /// Names of those built in.
        built_in: String,
        /// What is not built in, with the pattern out; may be empty.
        absent: String,
    },
    /// Known, but not part of this build.
    #[error("allocator '{name}' is not built in: build with `--features {feature}`{without}")]
    NotBuiltIn {
        /// As given.
        name: String,
        /// The feature that brings it in.
        feature: &'static str,
        /// The feature that must be off; may be empty.
        without: String,
    },
    /// No such scenario.
    #[error("no scenario is called '{name}'{meant}: there are {known}")]
    UnknownScenario {
        /// As given.
        name: String,
        /// The nearest name, as a question; may be empty.
        meant: String,
        /// All names.
        known: String,
    },
    /// A lifetime for a scenario that has its own.
    #[error("scenario '{0}' decides itself how long its blocks live: drop --lifetime")]
    LifetimeNotFree(&'static str),
    /// A lifetime in which not all would be there at once.
    #[error("scenario '{0}' frees all of its blocks at once: --lifetime is batch (in order) or shuffled")]
    AllAtOnce(&'static str),
    /// Several threads for a scenario that has one.
    #[error(
        "scenario '{0}' has one thread: drop --threads, or take --scenario threads, --scenario parallel or \
         --lifetime handoff"
    )]
    OneThread(&'static str),
    /// No or too many threads.
    #[error("{0} threads or pairs of threads: give 1 to {THREADS_MAX}")]
    Threads(u32),
    /// No size for a scenario that has none.
    #[error("scenario '{0}' needs the size of its objects: give --bytes, 16 to 64MiB")]
    NoBytes(&'static str),
    /// A size for a scenario that has its own.
    #[error("scenario '{0}' has sizes of its own: drop --bytes, or take --scenario fixed or memory-return")]
    OwnSizes(&'static str),
    /// A rest for a scenario that does not end with one.
    #[error("scenario '{0}' has no rest at its end: drop --rest, or take --scenario memory-return")]
    NoRest(&'static str),
    /// Memory that is not there need not be handed back.
    #[error("scenario '{0}' asks what stays resident, and untouched blocks never are: take --touch full or page")]
    Untouched(&'static str),
    /// A scenario that is cold anyway.
    #[error("scenario '{0}' has no warm-up to leave out: drop --cold")]
    ColdAnyway(&'static str),
    /// Two sizes of one batch.
    #[error("--cold times every operation on its own: drop --batch or --cold")]
    BatchOfOne,
    /// More than the allocator can do.
    #[error(
        "allocator '{0}' cannot run this: its blocks are there before the run, for json, mir, vm, mixed or fixed with \
         --lifetime lifo or ring"
    )]
    NotServed(&'static str),
    /// More than can be kept.
    #[error("{0} iterations are more than {SAMPLES_MAX} timed values: give fewer")]
    TooLong(u64),
}
