//! `bench_allocators`: the measured program. One allocator, one scenario, one result.
//!
//! It runs every allocator through the same loops, each in its own monomorphised copy, reports how long the operations
//! took, and proves which allocator served them. Comparing results is left to the runner. The program's own memory comes
//! from `malloc`, so only the measured calls reach the measured allocator. Where that is `malloc` itself (`system`,
//! `preloaded`), the program's own memory is all requested before the measured part.
//!
//! A run goes from [`args`] to the allocator's engine in [`registry`], which [drives](workload::drive) a
//! [`workload::plan::RunPlan`] on it, or [replays](replay) a recorded trace. [`proof`] then tells which allocator served, and [`output`] prints the line. A file
//! uses only files below it, from the bottom: [`os`], [`allocator`], [`workload`], [`replay`], [`proof`], [`registry`], [`output`],
//! [`args`] and [`list`].

mod allocator;
mod args;
mod list;
mod os;
mod output;
mod placebo;
mod proof;
mod refused;
mod registry;
mod replay;
mod replay_args;
mod shape_args;
mod workload;

use crate::args::{Args, Resolved, ResolvedReplay};
use crate::list::List;
use crate::os::{clock, usage};
use crate::output::{Findings, Report};
use crate::proof::Counted;
use crate::refused::Refused;
use crate::registry::{Engine, NamedAllocator};
use crate::replay::TraceFacts;
use crate::replay::image::Image;
use crate::workload::latency::{self, Latency};
use crate::workload::measurement::{Measurement, Requests};
use crate::workload::script::{Op, Script};
use anyhow::{Context, anyhow};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use hakmem::Preset;
use hakmem::factors::FactorId;
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;

fn main() -> ExitCode {
    if cfg!(feature = "placebo") {
        placebo::keep();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let args = Args::parse();
    let text = if args.list {
        let list = List::new();
        if args.json { list.json()? } else { list.tables() }
    } else {
        let report = match args.resolve_replay() {
            Some(resolved) => replay_trace(&resolved.unwrap_or_else(|refused| refuse(&refused)), !args.no_proof)?,
            None => measure(&args.resolve().unwrap_or_else(|refused| refuse(&refused)), !args.no_proof)?,
        };
        if args.json { report.json()? } else { report.table() }
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closes the pipe early, like `head`, has read what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result to standard output"),
    }
}

/// Ends the program over its command line.
fn refuse(refused: &Refused) -> ! {
    Args::command().error(ErrorKind::InvalidValue, refused).exit()
}

/// The preset of the allocator that is measured. hakmem reads it at its first request. That comes after the arguments are
/// read, because hakmem is not the program's global allocator.
static PRESET: OnceLock<Preset> = OnceLock::new();

hakmem::preset!(*PRESET.get_or_init(|| Preset::Default));

/// Runs the plan, and gathers the report.
fn measure(resolved: &Resolved, with_proof: bool) -> anyhow::Result<Report> {
    let Resolved { allocator, engine, plan } = resolved;
    seal(allocator)?;
    let run = (engine.drive)(plan);
    let proof_ops = || Script::new(plan, 0).ops;
    let findings = findings(allocator, engine, run, plan.timed_operations(), with_proof, proof_ops);
    Ok(Report::new(plan, findings))
}

/// Replays the trace, and gathers the report.
fn replay_trace(resolved: &ResolvedReplay, with_proof: bool) -> anyhow::Result<Report> {
    let ResolvedReplay { allocator, engine, plan } = resolved;
    seal(allocator)?;
    let image = Image::load(plan)?;
    let run = (engine.replay)(plan, &image)?;
    let mut findings = findings(allocator, engine, run, image.operations(), with_proof, || image.proof_ops());
    findings.rss_peak_bytes = findings.rss_peak_bytes.map(|bytes| bytes.saturating_sub(image.own_bytes()));
    Ok(Report::of_replay(plan.passes, &image, TraceFacts::new(plan, &image), findings))
}

/// Chooses hakmem's preset.
fn seal(allocator: &NamedAllocator) -> anyhow::Result<()> {
    if let Some(preset) = allocator.preset {
        PRESET
            .set(preset)
            .map_err(|_| anyhow!("hakmem's levels were sealed before the program could choose '{}'", allocator.name))?;
        // The levels are read here, and not within the first measured request.
        FactorId::ALL.iter().for_each(|id| _ = id.level());
    }
    Ok(())
}

/// What a run found out. Counters and peak memory are read before the proof, because its requests would show in them.
fn findings(
    allocator: &'static NamedAllocator,
    engine: &Engine,
    run: Measurement,
    timed_operations: u64,
    with_proof: bool,
    proof_ops: impl FnOnce() -> Vec<Op>,
) -> Findings {
    let stats = allocator.preset.map(|_| hakmem::stats());
    let rss_peak_bytes = usage::rss_peak_bytes();
    let requests = match run.requests {
        Requests::OnePerOperation => Some(run.warm_up_operations + run.operations),
        Requests::Counted(requests) => Some(requests),
        Requests::Unknown => None,
    };
    let counted =
        stats.as_ref().zip(requests).map(|(stats, requests)| Counted { allocations: stats.allocations, requests });
    let proof = with_proof.then(|| {
        let tallies = (engine.verify)(&proof_ops(), &registry::witnesses(engine));
        let proof = proof::judge(engine.witness.name, &tallies, counted);
        match engine.provider {
            Some(provider) => proof::behind(proof, provider()),
            None => proof,
        }
    });
    let factors = stats.as_ref().map_or(&[][..], |stats| stats.factors());
    let batches_ns =
        if run.contention_probes_ns.is_empty() { Vec::new() } else { Latency::each(&run.batch_ns, timed_operations) };
    Findings {
        allocator: allocator.name,
        operations: run.operations,
        warm_up_operations: run.warm_up_operations,
        checksum: run.checksum,
        batches_ns,
        contention_probes_ns: run.contention_probes_ns.iter().map(|ns| latency::rounded(*ns)).collect(),
        latency: Latency::of(&run.batch_ns, timed_operations),
        page_faults: run.page_faults,
        rss_peak_bytes,
        timer_ns: clock::reading_cost_ns(),
        levels: factors.iter().map(|f| (f.name(), f.level.as_str())).collect(),
        counters: factors.iter().map(|f| (f.name(), f.counters().collect())).collect(),
        proof,
        env_rejected: hakmem::settings::rejected(),
        values: run.values,
    }
}
