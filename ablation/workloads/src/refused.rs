//! The refused command lines. Each message says what to change.

use thiserror::Error;

/// Most timed values of one process: half a GiB of them.
pub(crate) const SAMPLES_MAX: u64 = 1 << 26;
/// Most threads, or pairs of them.
pub(crate) const THREADS_MAX: u32 = 64;

/// Why a command line is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such allocator.
    #[error("no allocator is called '{name}'{meant}: this build has {built_in}{absent}")]
    UnknownAllocator {
        /// The name as given.
        name: String,
        /// The nearest name, as a question; may be empty.
        meant: String,
        /// Names of those built in.
        built_in: String,
        /// What is not built in, and how to build it in; may be empty.
        absent: String,
    },
    /// Known, but not part of this build.
    #[error("allocator '{name}' is not built in: build with `--features {feature}`{without}")]
    NotBuiltIn {
        /// The name as given.
        name: String,
        /// The feature that brings it in.
        feature: &'static str,
        /// The feature that must be off; may be empty.
        without: String,
    },
    /// No such scenario.
    #[error("no scenario is called '{name}'{meant}: there are {known}")]
    UnknownScenario {
        /// The name as given.
        name: String,
        /// The nearest name, as a question; may be empty.
        meant: String,
        /// All names.
        known: String,
    },
    /// A lifetime for a scenario that has its own.
    #[error("scenario '{0}' has its own lifetimes: drop --lifetime")]
    OwnLifetimes(&'static str),
    /// A lifetime in which not all blocks are live at once.
    #[error("scenario '{0}' has all of its blocks live at once: give --lifetime batch (in order) or shuffled")]
    AllAtOnce(&'static str),
    /// Several threads for a scenario that has one.
    #[error(
        "scenario '{0}' has one thread: drop --threads, or take --scenario threads, --scenario parallel or \
         --lifetime handoff"
    )]
    OneThread(&'static str),
    /// No threads, or too many.
    #[error("--threads {0} is out of range: give 1 to {THREADS_MAX}")]
    Threads(u32),
    /// No size for a scenario that has none.
    #[error("scenario '{0}' needs a block size: give --bytes, 16 to 64MiB")]
    NoBytes(&'static str),
    /// A size out of range.
    #[error("scenario '{0}' does not have blocks of that size: give 16 to 64MiB")]
    Bytes(&'static str),
    /// An option of the shapes for another scenario.
    #[error("scenario '{scenario}' is no memory shape: drop {option}")]
    NoShape {
        /// The scenario.
        scenario: &'static str,
        /// The option.
        option: &'static str,
    },
    /// An option that the shape does not have.
    #[error("scenario '{scenario}' does not have {option}: drop it; --list tells what it has")]
    NoParameter {
        /// The scenario.
        scenario: &'static str,
        /// The option.
        option: &'static str,
    },
    /// Parameters of a shape that are out of range or contradict each other.
    #[error("scenario '{scenario}': {sentence}")]
    Parameters {
        /// The scenario.
        scenario: &'static str,
        /// What to give.
        sentence: &'static str,
    },
    /// `--touch` for a shape that is about what is written.
    #[error("scenario '{0}' says itself what is written: drop --touch")]
    OwnTouch(&'static str),
    /// `--batch` for a shape.
    #[error("scenario '{0}' times whole passes: drop --batch")]
    OwnBatches(&'static str),
    /// A size for a scenario that has its own.
    #[error("scenario '{0}' has its own sizes: drop --bytes, or take --scenario fixed or memory-return")]
    OwnSizes(&'static str),
    /// A rest for a scenario that does not end with one.
    #[error("scenario '{0}' has no rest at its end: drop --rest, or take --scenario memory-return")]
    NoRest(&'static str),
    /// Untouched blocks in a scenario about resident memory.
    #[error(
        "scenario '{0}' measures resident memory, and untouched blocks are never resident: take --touch full or page"
    )]
    Untouched(&'static str),
    /// `--cold` for a scenario that never warms up.
    #[error("scenario '{0}' has no warm-up to leave out: drop --cold")]
    ColdAnyway(&'static str),
    /// `--cold` together with `--batch`.
    #[error("--cold times every operation on its own: drop --batch or --cold")]
    BatchOfOne,
    /// A plan that the allocator cannot run.
    #[error(
        "allocator '{0}' cannot run this, because it must know before the run how many blocks live at once: take \
         --scenario json, mir, vm, mixed or fixed, with --lifetime lifo or ring"
    )]
    CannotRun(&'static str),
    /// An option of scenarios with `--trace`.
    #[error("a trace has its own: drop {0}, or --trace")]
    NotWithTrace(&'static str),
    /// `--touch recorded` for a scenario.
    #[error("scenario '{0}' knows no recorded touch: take --touch none, page or full")]
    NothingRecorded(&'static str),
    /// More timed values than fit.
    #[error("--iterations {0} needs more than {SAMPLES_MAX} timed values: give fewer")]
    TooManyIterations(u64),
}
