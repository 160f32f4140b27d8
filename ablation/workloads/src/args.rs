//! The command line: what it says, and what of it is refused.

use crate::plan::{Lifetime, Plan, Touch};
use crate::scenario::{Lives, SCENARIOS, Scenario};
use crate::subject::{ALLOCATORS, Allocator, Engine};
use clap::Parser;
use thiserror::Error;

/// Most values that are timed in one process: half a GiB of them.
const SAMPLES_MAX: u64 = 1 << 26;
/// Most pairs of threads.
const THREADS_MAX: u32 = 64;

/// Measures one allocator in one scenario and prints one table, or one line of JSON.
///
/// An operation is one block: requested, touched, given back. Sizes, order and call sites are drawn from the seed
/// before anything is measured, and are the same for every allocator.
#[derive(Debug, Parser)]
#[command(name = "bench_allocators", version, args_override_self = true)]
pub(crate) struct Args {
    /// Allocator to measure; --list names them
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    allocator: Option<String>,

    /// What to do with it; --list names the scenarios
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    scenario: Option<String>,

    /// Iterations of the scenario; each has the number of operations that --list shows. Warm runs round up to whole
    /// batches. 0 does everything but the measured part
    #[arg(long, value_name = "N", required_unless_present = "list")]
    iterations: Option<u64>,

    /// Use of each block: nothing, one byte each 4 KiB, or every byte (the default, as in the original programs)
    #[arg(long, value_enum, default_value = "full")]
    touch: Touch,

    /// Life of each block: given back at once (lifo, the default), or 16 live and the oldest goes (ring). Not for churn
    /// and threads, which have their own
    #[arg(long, value_enum)]
    lifetime: Option<Lifetime>,

    /// Pairs of a producing and a freeing thread, for the scenario threads; each pair does all iterations
    #[arg(long, value_name = "T", default_value_t = 1)]
    threads: u32,

    /// No warm-up, every operation timed on its own: the first steps of a fresh process. Otherwise a fixed warm-up
    /// comes first and batches of operations are timed
    #[arg(long)]
    cold: bool,

    /// Seed of sizes, order and call sites
    #[arg(long, value_name = "S", default_value_t = 20_251_101)]
    seed: u64,

    /// Leave out the requests that prove who served and the contention canary, for counting from outside: what is
    /// counted is then the run alone
    #[arg(long)]
    pub(crate) no_proof: bool,

    /// Print one line of JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Name the allocators, scenarios and factors of this build
    #[arg(long)]
    pub(crate) list: bool,
}

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
        /// What is not built in, with the way out; may be empty.
        absent: String,
    },
    /// Known, but not part of this build.
    #[error("allocator '{name}' is not built in: build with `--features {feature}`")]
    NotBuiltIn {
        /// As given.
        name: String,
        /// The feature that brings it in.
        feature: &'static str,
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
    /// Several threads for a scenario that has one.
    #[error("scenario '{0}' has one thread: drop --threads, or take --scenario threads")]
    OneThread(&'static str),
    /// No or too many threads.
    #[error("{0} pairs of threads: give 1 to {THREADS_MAX}")]
    Threads(u32),
    /// More than can be kept.
    #[error("{0} iterations are more than {SAMPLES_MAX} timed values: give fewer")]
    TooLong(u64),
}

/// What is to be run.
pub(crate) struct Order {
    /// The allocator.
    pub(crate) allocator: &'static Allocator,
    /// Its engine.
    pub(crate) engine: Engine,
    /// What to do.
    pub(crate) plan: Plan,
}

impl Args {
    /// Resolves the names.
    ///
    /// # Errors
    /// Names that are not known, and combinations that mean nothing.
    pub(crate) fn order(&self) -> Result<Order, Refused> {
        let (allocator, engine) = find_allocator(self.allocator.as_deref().unwrap_or_default())?;
        let scenario = find_scenario(self.scenario.as_deref().unwrap_or_default())?;
        if scenario.lives != Lives::AsTold && self.lifetime.is_some() {
            return Err(Refused::LifetimeNotFree(scenario.name));
        }
        if scenario.lives != Lives::InAnotherThread && self.threads != 1 {
            return Err(Refused::OneThread(scenario.name));
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(Refused::Threads(self.threads));
        }
        let plan = Plan {
            scenario,
            iterations: self.iterations.unwrap_or_default(),
            touch: self.touch,
            lifetime: self.lifetime.unwrap_or(Lifetime::Lifo),
            threads: self.threads,
            cold: self.cold,
            seed: self.seed,
            counted: self.no_proof,
        };
        match plan.batches().and_then(|batches| batches.checked_mul(u64::from(plan.threads))) {
            Some(samples) if samples <= SAMPLES_MAX => Ok(Order { allocator, engine, plan }),
            _ => Err(Refused::TooLong(plan.iterations)),
        }
    }
}

fn find_allocator(name: &str) -> Result<(&'static Allocator, Engine), Refused> {
    match ALLOCATORS.iter().find(|a| a.name == name) {
        Some(allocator) => match (allocator.engine, allocator.feature) {
            (Some(engine), _) => Ok((allocator, engine)),
            (None, feature) => {
                Err(Refused::NotBuiltIn { name: name.to_owned(), feature: feature.unwrap_or(allocator.name) })
            }
        },
        None => Err(Refused::UnknownAllocator {
            name: name.to_owned(),
            meant: did_you_mean(name, ALLOCATORS.iter().map(|a| a.name)),
            built_in: join(ALLOCATORS.iter().filter(|a| a.engine.is_some()).map(|a| a.name)),
            absent: {
                let absent = join(ALLOCATORS.iter().filter(|a| a.engine.is_none()).filter_map(|a| a.feature));
                if absent.is_empty() {
                    absent
                } else {
                    format!("; not built in: {absent} (each needs the feature of its name)")
                }
            },
        }),
    }
}

fn find_scenario(name: &str) -> Result<&'static Scenario, Refused> {
    Scenario::named(name).ok_or_else(|| Refused::UnknownScenario {
        name: name.to_owned(),
        meant: did_you_mean(name, SCENARIOS.iter().map(|s| s.name)),
        known: join(SCENARIOS.iter().map(|s| s.name)),
    })
}

/// The known name that is nearest, when it is near: one typing mistake, two in a long name. More, and one allocator's
/// name is a mistake for another's.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
    match known.min_by_key(distance).filter(|near| distance(near) <= 1 + near.len() / 9) {
        Some(near) => format!(" (did you mean '{near}'?)"),
        None => String::new(),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn check(line: &str, expected: Result<(u64, Touch), &str>) {
        let args = Args::try_parse_from(std::iter::once("bench_allocators").chain(line.split(' ')));
        let order = args.map_err(|e| e.to_string()).and_then(|a| a.order().map_err(|e| e.to_string()));
        match (order, expected) {
            (Ok(order), Ok(expected)) => assert_eq!((order.plan.iterations, order.plan.touch), expected, "{line}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{line}: {error}"),
            (order, _) => panic!("{line}: {:?}", order.map(|o| o.plan)),
        }
    }

    #[test]
    fn the_command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_later_argument_wins() {
        check("--allocator system --scenario vm --iterations 3", Ok((3, Touch::Full)));
        check("--allocator x --allocator system --scenario vm --iterations 3 --iterations 0", Ok((0, Touch::Full)));
        check(
            "--allocator system --scenario vm --iterations 3 --touch none --touch page --json --json",
            Ok((3, Touch::Page)),
        );
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        check(
            "--allocator sytem --scenario vm --iterations 3",
            Err("'sytem' (did you mean 'system'?): this build has hakmem, "),
        );
        check("--allocator tcmalloc --scenario vm --iterations 3", Err("'tcmalloc': this build has hakmem, "));
        check("--allocator snmaloc --scenario vm --iterations 3", Err("(did you mean 'snmalloc'?)"));
        check(
            "--allocator system --scenario wm --iterations 3",
            Err("'wm' (did you mean 'vm'?): there are json, mir, vm, mixed, small"),
        );
        check("--allocator system --scenario churn --iterations 3 --lifetime ring", Err("drop --lifetime"));
        check("--allocator system --scenario vm --iterations 3 --threads 2", Err("has one thread"));
        check("--allocator system --scenario threads --iterations 3 --threads 0", Err("give 1 to 64"));
        check("--allocator system --scenario vm --iterations 99999999999999999 --cold", Err("give fewer"));
        check("--allocator system --scenario vm --iterations -1", Err("unexpected argument"));
        check("--allocator system --scenario vm", Err("--iterations"));
    }
}
