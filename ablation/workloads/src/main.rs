//! `bench_allocators`: the measured program. One allocator, one scenario, one result.
//!
//! It runs every allocator through the same loops, each in its own monomorphised copy, reports how long the operations
//! took, and proves which allocator served them. Comparing results is left to the runner. The program's own memory comes
//! from `malloc`, so only the measured calls reach the measured allocator. Where that is `malloc` itself (`system`,
//! `preloaded`), the program's own memory is all requested before the measured part.
//!
//! A run goes from [`args`] to the allocator's engine in [`registry`], which [drives](workload::drive) a
//! [`workload::plan::RunPlan`] on it. [`proof`] then tells which allocator served, and [`output`] prints the line. A file
//! uses only files below it, from the bottom: [`os`], [`allocator`], [`workload`], [`proof`], [`registry`], [`output`],
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
mod shape_args;
mod workload;

use crate::args::{Args, Resolved};
use crate::list::List;
use crate::os::{clock, usage};
use crate::output::{Findings, Report};
use crate::proof::Counted;
use crate::workload::latency::{self, Latency};
use crate::workload::measurement::Requests;
use crate::workload::script::Script;
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
        let resolved =
            args.resolve().unwrap_or_else(|refused| Args::command().error(ErrorKind::InvalidValue, refused).exit());
        let report = measure(&resolved, !args.no_proof)?;
        if args.json { report.json()? } else { report.table() }
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closes the pipe early, like `head`, has read what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the result to standard output"),
    }
}

/// The preset of the allocator that is measured. hakmem reads it at its first request. That comes after the arguments are
/// read, because hakmem is not the program's global allocator.
static PRESET: OnceLock<Preset> = OnceLock::new();

hakmem::preset!(*PRESET.get_or_init(|| Preset::Default));

/// Chooses hakmem's preset, runs the plan, and gathers the report. Counters and peak memory are read before the proof,
/// because its requests would show in them.
fn measure(resolved: &Resolved, with_proof: bool) -> anyhow::Result<Report> {
    let Resolved { allocator, engine, plan } = resolved;
    if let Some(preset) = allocator.preset {
        PRESET
            .set(preset)
            .map_err(|_| anyhow!("hakmem's levels were sealed before the program could choose '{}'", allocator.name))?;
        // The levels are read here, and not within the first measured request.
        FactorId::ALL.iter().for_each(|id| _ = id.level());
    }
    let run = (engine.drive)(plan);
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
        let tallies = (engine.verify)(&Script::new(plan, 0).ops, &registry::witnesses(engine));
        let proof = proof::judge(engine.witness.name, &tallies, counted);
        match engine.provider {
            Some(provider) => proof::behind(proof, provider()),
            None => proof,
        }
    });
    let factors = stats.as_ref().map_or(&[][..], |stats| stats.factors());
    let batches_ns = if run.contention_probes_ns.is_empty() {
        Vec::new()
    } else {
        Latency::each(&run.batch_ns, plan.batch_operations())
    };
    Ok(Report::new(
        plan,
        Findings {
            allocator: allocator.name,
            operations: run.operations,
            warm_up_operations: run.warm_up_operations,
            checksum: run.checksum,
            batches_ns,
            contention_probes_ns: run.contention_probes_ns.iter().map(|ns| latency::rounded(*ns)).collect(),
            latency: Latency::of(&run.batch_ns, plan.timed_operations()),
            page_faults: run.page_faults,
            rss_peak_bytes,
            timer_ns: clock::reading_cost_ns(),
            levels: factors.iter().map(|f| (f.name(), f.level.as_str())).collect(),
            counters: factors.iter().map(|f| (f.name(), f.counters().collect())).collect(),
            proof,
            env_rejected: hakmem::settings::rejected(),
            values: run.values,
        },
    ))
}
