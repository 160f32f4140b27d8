//! The command line: what it accepts, and which combinations it refuses.

use crate::refused::{Refused, SAMPLES_MAX, THREADS_MAX};
use crate::registry::{ALLOCATORS, Engine, NamedAllocator};
use crate::replay::plan::{self as replay, ReplayPlan};
use crate::replay_args::ReplayArgs;
use crate::shape_args::ShapeArgs;
use crate::workload::plan::{Lifetime, LifetimePattern, Rest, RunPlan};
use crate::workload::scenario::{BYTES, LifetimeRule, SCENARIOS, Scenario, Sizes};
use crate::workload::shape::{Parameters, Shape, parse_bytes};
use crate::workload::touch::Touch;
use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  bench_allocators --list
  bench_allocators --allocator hakmem --scenario small --iterations 10
  bench_allocators --allocator mimalloc --scenario fixed --bytes 64KiB --lifetime ring --touch none --iterations 100000
  bench_allocators --allocator hakmem --scenario parallel --threads 4 --iterations 100 --json
  bench_allocators --allocator hakmem --trace configs/traces/python.trace --passes 5
  LD_PRELOAD=libjemalloc.so.2 bench_allocators --allocator preloaded --trace configs/traces/python.trace";

/// Measures one allocator in one scenario, or with a recorded trace, and prints a table, or one line of JSON.
///
/// An operation is the life of one block: it is requested, touched and freed. Sizes, order and call sites are drawn from
/// the seed before the measured part, and are the same for every allocator. Operations are timed in batches; the result
/// is nanoseconds per operation. With --trace an operation is one recorded call, and passes over the whole trace are timed.
#[derive(Debug, Parser)]
#[command(name = "bench_allocators", version, args_override_self = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The allocator to measure; --list shows all
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    allocator: Option<String>,

    /// The scenario: sizes, call sites and lifetimes of the blocks; --list shows all
    #[arg(long, value_name = "NAME", required_unless_present_any = ["list", "trace"])]
    scenario: Option<String>,

    /// Iterations of the scenario. --list shows how many operations one has. Warm runs round up to whole timed batches. 0
    /// does everything but the measured part
    #[arg(long, value_name = "N", required_unless_present_any = ["list", "trace"])]
    iterations: Option<u64>,

    #[command(flatten)]
    replay: ReplayArgs,

    /// How each block is used: not at all (none), one byte per 4 KiB is written (page), or every byte (full, the default, as
    /// in the original programs). The shapes sparse, calloc and neighbours write what they are about. With --trace also as
    /// much of each object as the trace knows for its size (recorded), which is then the default
    #[arg(long, value_enum)]
    touch: Option<replay::Touch>,

    /// Block size of the scenarios fixed and memory-return, 16 B to 64 MiB; written as 4096, 4KiB or 2MiB. Of the shapes, the
    /// smallest size, up to 2GiB
    #[arg(long, value_name = "N", value_parser = parse_bytes)]
    bytes: Option<u64>,

    /// When each block is freed. lifo (the default): at once. ring: 16 blocks are live, and the oldest is freed before the
    /// next request. batch: a group is requested, then freed in order. shuffled: the same in an order drawn before. handoff:
    /// by another thread. A group is 1000 blocks, but at most 64 MiB and at least 2 blocks. churn, threads and parallel
    /// have their own lifetimes; memory-return and some shapes accept batch (their default) and shuffled
    #[arg(long, value_enum)]
    lifetime: Option<Lifetime>,

    /// Threads of the scenario parallel and of shapes. For the scenario threads and for --lifetime handoff: pairs of a producing and a
    /// freeing thread. Each thread or pair does all iterations
    #[arg(long, value_name = "T")]
    threads: Option<u32>,

    /// What memory-return does between freeing all blocks and its last reading of resident memory. light (the default): one
    /// small block is requested and freed per millisecond, for two seconds. idle: nothing, for five seconds
    #[arg(long, value_enum)]
    rest: Option<Rest>,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Operations per timed batch, instead of the scenario's own number; rounded up to whole groups (mixed: its three
    /// sizes). Small batches show single slow operations in the 99th percentile
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: Option<u32>,

    /// Measure the first steps of a fresh process: no warm-up, and every operation is timed on its own (with lifetimes of
    /// groups, every group). Otherwise a fixed warm-up comes first, and batches of operations are timed
    #[arg(long)]
    cold: bool,

    /// Seed of sizes, order and call sites
    #[arg(long, value_name = "S", default_value_t = 20_251_101)]
    seed: u64,

    /// Leave out the contention probes, and the requests that prove which allocator served. Counters that are read from
    /// outside the process then count the run alone
    #[arg(long)]
    pub(crate) no_proof: bool,

    /// Print one line of JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// List the allocators, scenarios and factors of this build
    #[arg(long)]
    pub(crate) list: bool,
}

/// The resolved command line.
pub(crate) struct Resolved {
    /// The allocator.
    pub(crate) allocator: &'static NamedAllocator,
    /// Its engine.
    pub(crate) engine: Engine,
    /// What the process does.
    pub(crate) plan: RunPlan,
}

/// The resolved command line of a replay.
pub(crate) struct ResolvedReplay {
    /// The allocator.
    pub(crate) allocator: &'static NamedAllocator,
    /// Its engine for replays.
    pub(crate) engine: Engine,
    /// What the process replays.
    pub(crate) plan: ReplayPlan,
}

/// The touch of a scenario; `None` for what only a trace has.
fn plain(touch: replay::Touch) -> Option<Touch> {
    match touch {
        replay::Touch::None => Some(Touch::None),
        replay::Touch::Page => Some(Touch::Page),
        replay::Touch::Full => Some(Touch::Full),
        replay::Touch::Recorded => None,
    }
}

impl Args {
    /// Resolves the names and checks the combination.
    ///
    /// # Errors
    /// [`Refused`]: unknown names, and arguments that do not apply to the scenario.
    pub(crate) fn resolve(&self) -> Result<Resolved, Refused> {
        let (allocator, engine) = find_allocator(self.allocator.as_deref().unwrap_or_default())?;
        let scenario = find_scenario(self.scenario.as_deref().unwrap_or_default())?;
        let name = scenario.name;
        let given_touch = match self.touch {
            None => None,
            Some(touch) => Some(plain(touch).ok_or(Refused::NothingRecorded(name))?),
        };
        let Some(pattern) = LifetimePattern::of(scenario.lifetime, self.lifetime) else {
            let all_at_once = scenario.lifetime == LifetimeRule::AllAtOnce;
            return Err(if all_at_once { Refused::AllAtOnce(name) } else { Refused::OwnLifetimes(name) });
        };
        if let Some(shape) = pattern.shape() {
            return self.resolve_shape(allocator, engine, scenario, (shape, pattern), given_touch);
        }
        if let Some(option) = self.shape.first_given() {
            return Err(Refused::NoShape { scenario: name, option });
        }
        let (threads, touch) = (self.threads.unwrap_or(1), given_touch.unwrap_or(Touch::Full));
        if !pattern.has_threads() && threads != 1 {
            return Err(Refused::OneThread(name));
        }
        if !(1..=THREADS_MAX).contains(&threads) {
            return Err(Refused::Threads(threads));
        }
        match (scenario.sizes, self.bytes) {
            (Sizes::Given, None) => return Err(Refused::NoBytes(name)),
            (Sizes::Given, Some(bytes)) if !u32::try_from(bytes).is_ok_and(|bytes| BYTES.contains(&bytes)) => {
                return Err(Refused::Bytes(name));
            }
            (Sizes::Each(_) | Sizes::Octaves { .. } | Sizes::Pages { .. } | Sizes::Range, Some(_)) => {
                return Err(Refused::OwnSizes(name));
            }
            _ => {}
        }
        match pattern.measures_memory_return() {
            false if self.rest.is_some() => return Err(Refused::NoRest(name)),
            true if touch == Touch::None => return Err(Refused::Untouched(name)),
            true if self.cold => return Err(Refused::ColdAnyway(name)),
            _ if self.cold && self.batch.is_some() => return Err(Refused::BatchOfOne),
            _ => {}
        }
        let plan = RunPlan {
            scenario,
            iterations: self.iterations.unwrap_or_default(),
            touch,
            pattern,
            bytes: self.bytes.unwrap_or_default() as u32,
            shape: Parameters::default(),
            threads,
            rest: self.rest.unwrap_or(Rest::Light),
            batch_asked: self.batch,
            cold: self.cold,
            seed: self.seed,
            counted_from_outside: self.no_proof,
        };
        if engine.can_run.is_some_and(|can_run| !can_run(&plan)) {
            return Err(Refused::CannotRun(allocator.name));
        }
        resolved(allocator, engine, plan)
    }

    /// Resolves the command line of a replay; `None` where it is none.
    ///
    /// # Errors
    /// [`Refused`]: unknown names, and arguments of scenarios.
    pub(crate) fn resolve_replay(&self) -> Option<Result<ResolvedReplay, Refused>> {
        let file = self.replay.trace.as_ref()?;
        let given = [
            ("--scenario", self.scenario.is_some()),
            ("--iterations", self.iterations.is_some()),
            ("--bytes", self.bytes.is_some()),
            ("--lifetime", self.lifetime.is_some()),
            ("--threads", self.threads.is_some()),
            ("--rest", self.rest.is_some()),
            ("--batch", self.batch.is_some()),
            ("--cold", self.cold),
        ];
        let option = given.iter().find(|(_, is_given)| *is_given).map(|(option, _)| *option);
        if let Some(option) = option.or(self.shape.first_given()) {
            return Some(Err(Refused::NotWithTrace(option)));
        }
        Some(find_allocator(self.allocator.as_deref().unwrap_or_default()).map(|(allocator, engine)| ResolvedReplay {
            allocator,
            engine: allocator.precomputed.unwrap_or(engine),
            plan: self.replay.plan(file, self.touch, allocator.precomputed.is_some(), self.no_proof),
        }))
    }

    /// The same for a memory shape, whose parameters replace most of the other arguments.
    fn resolve_shape(
        &self,
        allocator: &'static NamedAllocator,
        engine: Engine,
        scenario: &'static Scenario,
        (shape, pattern): (Shape, LifetimePattern),
        touch: Option<Touch>,
    ) -> Result<Resolved, Refused> {
        let name = scenario.name;
        match () {
            () if self.rest.is_some() => return Err(Refused::NoRest(name)),
            () if self.cold => return Err(Refused::ColdAnyway(name)),
            () if self.batch.is_some() => return Err(Refused::OwnBatches(name)),
            () if touch.is_some() && shape.has_own_touch() => return Err(Refused::OwnTouch(name)),
            () => {}
        }
        let given = Parameters { bytes: self.bytes, threads: self.threads, ..self.shape.parameters() };
        let parameters =
            scenario.shape.with(given).map_err(|option| Refused::NoParameter { scenario: name, option })?;
        parameters.check(shape).map_err(|sentence| Refused::Parameters { scenario: name, sentence })?;
        let plan = RunPlan {
            scenario,
            iterations: self.iterations.unwrap_or_default(),
            touch: touch.unwrap_or(Touch::Full),
            pattern,
            bytes: parameters.bytes() as u32,
            shape: parameters,
            threads: parameters.threads(),
            rest: Rest::Idle,
            batch_asked: None,
            cold: false,
            seed: self.seed,
            counted_from_outside: self.no_proof,
        };
        if engine.can_run.is_some_and(|can_run| !can_run(&plan)) {
            return Err(Refused::CannotRun(allocator.name));
        }
        resolved(allocator, engine, plan)
    }
}

/// The whole, unless it has more timed values than fit.
fn resolved(allocator: &'static NamedAllocator, engine: Engine, plan: RunPlan) -> Result<Resolved, Refused> {
    match plan.timed_batches().and_then(|batches| batches.checked_mul(u64::from(plan.threads))) {
        Some(samples) if samples <= SAMPLES_MAX => Ok(Resolved { allocator, engine, plan }),
        _ => Err(Refused::TooManyIterations(plan.iterations)),
    }
}

fn find_allocator(name: &str) -> Result<(&'static NamedAllocator, Engine), Refused> {
    match ALLOCATORS.iter().find(|a| a.name == name) {
        Some(allocator) => match (allocator.engine, allocator.feature) {
            (Some(engine), _) => Ok((allocator, engine)),
            (None, feature) => Err(Refused::NotBuiltIn {
                name: name.to_owned(),
                feature: feature.unwrap_or(allocator.name),
                without: allocator.replaced_by.map_or_else(String::new, |other| format!(" and without {other}")),
            }),
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

/// The nearest known name as a question, if it is near: one typing error, or two in a long name. With more allowed, the name
/// of one allocator would be taken for another's. Else empty.
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

    #[test]
    fn a_trace_replaces_the_scenario() {
        let resolve = |line: &str| {
            let args = Args::try_parse_from(std::iter::once("bench_allocators").chain(line.split(' ')));
            args.map_err(|e| e.to_string())
                .map(|args| args.resolve_replay().map(|resolved| resolved.map(|r| r.plan).map_err(|e| e.to_string())))
        };
        let line = "--allocator system --trace some.trace";
        let plan = resolve(line).expect("a command line").expect("a replay").expect("a plan");
        assert_eq!((plan.passes, plan.touch, plan.gaps, plan.samples, plan.tail), (1, None, 0.0, 64, true));
        assert_eq!(resolve("--allocator system --scenario vm --iterations 1"), Ok(None));
        let refused = |more: &str| match resolve(&format!("{line} {more}")) {
            Ok(Some(Err(refused))) | Err(refused) => refused,
            other => panic!("{more}: {other:?}"),
        };
        assert!(refused("--scenario vm").contains("a trace has its own: drop --scenario"));
        assert!(refused("--count 4").contains("drop --count"));
        assert!(refused("--gaps -1").contains("--gaps") && refused("--gaps NaN").contains("0 to 1000"));
        assert!(refused("--passes 9999999").contains("--passes") && refused("--touch half").contains("--touch"));
        check("--allocator system --scenario vm --iterations 1 --touch recorded", Err("knows no recorded touch"));
        assert!(resolve("--allocator system --scenario vm --iterations 1 --gaps 1").is_err());
    }

    fn check(line: &str, expected: Result<(u64, Touch), &str>) {
        let args = Args::try_parse_from(std::iter::once("bench_allocators").chain(line.split(' ')));
        let resolved = args.map_err(|e| e.to_string()).and_then(|a| a.resolve().map_err(|e| e.to_string()));
        match (resolved, expected) {
            (Ok(resolved), Ok(expected)) => {
                assert_eq!((resolved.plan.iterations, resolved.plan.touch), expected, "{line}")
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{line}: {error}"),
            (resolved, _) => panic!("{line}: {:?}", resolved.map(|r| r.plan)),
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
        check("--allocator system --scenario parallel --iterations 3 --threads 65", Err("give 1 to 64"));
        check("--allocator system --scenario parallel --iterations 3 --lifetime ring", Err("drop --lifetime"));
        check("--allocator system --scenario vm --iterations 3 --batch 0", Err("0 is not in 1..=1000000"));
        check("--allocator system --scenario vm --iterations 3 --batch 16 --cold", Err("drop --batch or --cold"));
        check("--allocator system --scenario vm --iterations 99999999999999999 --cold", Err("give fewer"));
        check("--allocator system --scenario vm --iterations -1", Err("unexpected argument"));
        check("--allocator system --scenario vm", Err("--iterations"));
    }

    #[test]
    fn a_size_belongs_to_the_scenarios_that_have_none() {
        let fixed = "--allocator system --scenario fixed --iterations 3 --bytes";
        for text in ["16", "4KiB", "2MiB", "64MiB"] {
            check(&format!("{fixed} {text}"), Ok((3, Touch::Full)));
        }
        for text in ["15", "65MiB", "99999999999"] {
            check(&format!("{fixed} {text}"), Err("give 16 to 64MiB"));
        }
        for text in ["4kb", "MiB", "0x10"] {
            check(&format!("{fixed} {text}"), Err("give a number of bytes"));
        }
        check(&format!("{fixed} -1"), Err("unexpected argument"));
        check("--allocator system --scenario fixed --iterations 3 --bytes 4KiB", Ok((3, Touch::Full)));
        check("--allocator system --scenario fixed --iterations 3", Err("give --bytes"));
        check("--allocator system --scenario vm --iterations 3 --bytes 16", Err("drop --bytes"));
        check("--allocator system --scenario fixed --iterations 3 --bytes 15", Err("give 16 to 64MiB"));
    }

    #[test]
    fn memory_return_has_its_own_arguments() {
        let line = "--allocator system --scenario memory-return --iterations 1";
        check(&format!("{line} --bytes 64 --rest idle --lifetime shuffled"), Ok((1, Touch::Full)));
        check(&format!("{line} --bytes 64 --lifetime ring"), Err("batch (in order) or shuffled"));
        check(&format!("{line} --bytes 64 --touch none"), Err("--touch full or page"));
        check(&format!("{line} --bytes 64 --cold"), Err("drop --cold"));
        check(line, Err("give --bytes"));
        check("--allocator system --scenario fixed --bytes 64 --iterations 1 --rest idle", Err("drop --rest"));
    }

    #[test]
    fn the_floor_runs_what_it_can_be_filled_for() {
        check("--allocator floor --scenario mixed --iterations 1 --lifetime ring", Ok((1, Touch::Full)));
        check("--allocator floor --scenario small --iterations 1", Err("'floor' cannot run this"));
        check("--allocator floor --scenario vm --iterations 1 --lifetime batch", Err("'floor' cannot run this"));
    }
}
