//! Replays a recorded trace: the operations of each thread, in its order, with the hand-overs between threads.
//!
//! From a file to numbers, each module using only those before it:
//!
//! 1. [`plan`]: what is asked for. [`entry`]: one step. [`script`]: a whole trace as steps.
//! 2. [`layout`]: addresses for an allocator that costs nothing. [`decoder`], [`decode`]: a trace to scripts. [`image`]: the
//!    scripts as tables that no allocator served.
//! 3. [`touching`], [`gaps`], [`wait`], [`call_times`]: what happens around the calls.
//! 4. [`mod@context`]: what threads share. [`worker`]: the timed loop. [`threads`]: who runs it. [`pass`]: one pass.
//!
//! Three kinds of passes measure: timed ones, one in which single calls are timed, and one in which resident memory is read.
//! The last two run in a child process each, so that every kind begins with an allocator that has served nothing.

mod call_times;
mod context;
mod decode;
mod decoder;
mod entry;
mod gaps;
pub(crate) mod image;
mod layout;
mod pass;
pub(crate) mod plan;
mod script;
mod threads;
mod touching;
mod wait;
mod worker;

use crate::allocator::Allocator;
use crate::os::own_memory::OwnMemory;
use crate::os::{child, clock};
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::script::Op;
use call_times::CallTimes;
use context::{Context, Tables};
use gaps::Gaps;
use hakmem::Site;
use image::Image;
use plan::{ReplayPlan, Touch};
use serde::Serialize;
use std::marker::PhantomData;
use thiserror::Error;
use worker::{EachCall, Memory, Purpose, Timed};

/// Why a replay has no result.
#[derive(Debug, Error)]
pub(crate) enum ReplayError {
    /// The allocator broke its promise, or the program has a bug.
    #[error(
        "an object was not as it had been written, or not zero where zeroes were asked for: the allocator gave memory to \
         two objects, or lost a part of one"
    )]
    Evidence,
    /// A child process.
    #[error("the pass that {purpose} failed: {source}")]
    Child {
        /// What it was for.
        purpose: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// What the line says of the trace.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TraceFacts {
    file: String,
    program: String,
    /// Operations of one pass, without those of the preamble.
    operations: u64,
    preamble_operations: u64,
    allocations: u64,
    reallocations: u64,
    frees: u64,
    handovers: u64,
    gaps: f64,
}

impl TraceFacts {
    /// Of a trace.
    pub(crate) fn new(plan: &ReplayPlan, image: &Image) -> TraceFacts {
        let counts = &image.counts;
        TraceFacts {
            file: plan.file.display().to_string(),
            program: image.program.to_owned(),
            operations: image.operations(),
            preamble_operations: counts.preamble,
            allocations: counts.allocations,
            reallocations: counts.reallocations,
            frees: counts.frees,
            handovers: counts.handovers,
            gaps: plan.gaps,
        }
    }
}

impl TraceFacts {
    /// The file's name.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The recorded program with its arguments.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }
}

impl std::fmt::Display for TraceFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TraceFacts { allocations, reallocations, frees, handovers, preamble_operations, gaps, .. } = self;
        write!(
            f,
            "gaps {gaps}, {allocations} allocations, {reallocations} reallocations, {frees} frees, {handovers} of them on \
             objects of another thread, {preamble_operations} before the timed part"
        )
    }
}

impl Image {
    /// Operations of a pass that are timed.
    pub(crate) fn operations(&self) -> u64 {
        let counts = &self.counts;
        counts.allocations + counts.reallocations + counts.frees - counts.preamble
    }

    /// Resident bytes of everything that a replay needs for itself.
    pub(crate) fn own_bytes(&self) -> u64 {
        self.bytes() + Tables::bytes(self, false)
    }

    /// Threads of the trace.
    pub(crate) fn threads(&self) -> u32 {
        self.counts.threads as u32
    }

    /// Requests for the proof of the allocator, of sizes of the trace.
    pub(crate) fn proof_ops(&self) -> Vec<Op> {
        let op = |size: &u32| Op { size: *size, site: Site::new(0), frees: 0, slot: 0, byte: 1 };
        self.proof_sizes.iter().map(op).collect()
    }
}

/// Replays a trace on `A` as the plan says.
///
/// # Errors
/// Objects that are not as they were written; a child process that failed.
pub(crate) fn run<A: Allocator + Default>(plan: &ReplayPlan, image: &Image) -> Result<Measurement, ReplayError> {
    let a = A::default();
    let mut values = Values::new();
    clock::warm_up();
    let is_alone = plan.counted_from_outside || plan.passes == 0;
    // Of memory that is not touched, and of memory that was mapped before, resident bytes say nothing.
    if plan.samples > 0 && !is_alone && !plan.precomputed && image.touch() != Touch::None {
        values.extend(in_child("reads resident memory", MEMORY_VALUES, || memory(a, plan, image))?);
    }
    if plan.tail && !is_alone {
        values.extend(in_child("times single calls", CALL_VALUES, || single_calls(a, plan, image))?);
    }
    let tables = Tables::new(image, false);
    let context = context::<A, Timed>(a, plan, image, &tables);
    a.prepare_addresses(image.counts.layout_bytes);
    if plan.passes == 0 {
        a.begin_thread(image.proof_addresses());
    }
    let mut pass_ns = Vec::with_capacity(plan.passes as usize);
    let mut page_faults = 0;
    for _ in 0..plan.passes {
        let pass = pass::pass(&context);
        if pass.sum != image.counts.evidence {
            return Err(ReplayError::Evidence);
        }
        pass_ns.push(pass.ns);
        page_faults += pass.page_faults;
    }
    let passes = u64::from(plan.passes);
    let requests = match image.counts.reallocations {
        0 => Requests::Counted(image.counts.allocations * passes),
        // The allocator decides whether an object that gets another size moves.
        _ => Requests::Unknown,
    };
    Ok(Measurement {
        operations: image.operations() * passes,
        warm_up_operations: 0,
        batch_ns: pass_ns,
        contention_probes_ns: Vec::new(),
        checksum: image.counts.evidence,
        page_faults,
        requests,
        values,
    })
}

fn context<'c, A: Allocator, P: Purpose>(
    a: A,
    plan: &ReplayPlan,
    image: &'c Image,
    tables: &'c Tables,
) -> Context<'c, A, P> {
    Context { a, image, tables, gaps: Gaps::new(plan.gaps), start: threads::start, purpose: PhantomData }
}

/// What [`single_calls`] gives.
const CALL_VALUES: [&str; 4] = ["call_p50_ns", "call_p99_ns", "call_p999_ns", "call_max_ns"];
/// What [`memory`] gives.
const MEMORY_VALUES: [&str; 7] = [
    "resident_before_bytes",
    "resident_mean_bytes",
    "resident_peak_bytes",
    "live_mean_bytes",
    "live_peak_bytes",
    "resident_per_live",
    "resident_peak_per_live",
];

/// Runs a pass in a child process, and takes the values of these names from it. A value that was not measured is NaN there.
fn in_child<const N: usize>(
    purpose: &'static str,
    names: [&'static str; N],
    work: impl FnOnce() -> Option<[f64; N]>,
) -> Result<Values, ReplayError> {
    let mut shared = OwnMemory::<f64>::shared(N + 1);
    let to_child = &mut shared;
    child::run(|| {
        if let Some(values) = work() {
            to_child[..N].copy_from_slice(&values);
            to_child[N] = 1.0;
        }
    })
    .map_err(|source| ReplayError::Child { purpose, source })?;
    match shared[N] {
        0.0 => Err(ReplayError::Evidence),
        _ => Ok(names.into_iter().zip(shared.iter().copied()).filter(|(_, value)| !value.is_nan()).collect()),
    }
}

/// The times of single calls. `None` where objects are not as they were written.
fn single_calls<A: Allocator>(a: A, plan: &ReplayPlan, image: &Image) -> Option<[f64; 4]> {
    image.fault_in();
    let tables = Tables::new(image, true);
    a.prepare_addresses(image.counts.layout_bytes);
    let pass = pass::pass(&context::<A, EachCall>(a, plan, image, &tables));
    let percentiles = CallTimes::percentiles(tables.all_times(), [0.5, 0.99, 0.999]);
    let ([p50, p99, p999], max) = percentiles.unwrap_or(([f64::NAN; 3], f64::NAN));
    (pass.sum == image.counts.evidence).then_some([p50, p99, p999, max])
}

/// Resident and live bytes. `None` where objects are not as they were written.
fn memory<A: Allocator>(a: A, plan: &ReplayPlan, image: &Image) -> Option<[f64; 7]> {
    image.fault_in();
    let tables = Tables::new(image, false);
    let plan = ReplayPlan { gaps: 0.0, ..plan.clone() };
    let context = context::<A, Memory>(a, &plan, image, &tables);
    let before = tables.resident_bytes().map_or(f64::NAN, |bytes| bytes as f64);
    let pass = pass::pass(&context);
    let readings: Vec<(u64, i64)> = tables.samples().filter(|(resident, _)| *resident > 0).collect();
    let count = readings.len() as f64;
    // Without any reading these are 0 / 0.
    let resident_mean = readings.iter().map(|(resident, _)| *resident as f64).sum::<f64>() / count;
    let live_mean = readings.iter().map(|(_, live)| *live as f64).sum::<f64>() / count;
    let resident_peak = tables.resident_peak_bytes().map_or(f64::NAN, |bytes| bytes as f64);
    let live_peak = image.counts.live_peak_bytes as f64;
    let over = |resident: f64, live: f64| if live > 0.0 { (resident - before) / live } else { f64::NAN };
    (pass.sum == image.counts.evidence).then_some([
        before,
        resident_mean,
        resident_peak,
        live_mean,
        live_peak,
        over(resident_mean, live_mean),
        over(resident_peak, live_peak),
    ])
}
