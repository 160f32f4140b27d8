//! The design of every crate as one table each: its layers, bottom to top, with what each is for.

/// One row of a crate's table.
#[derive(Clone, Copy)]
pub(crate) struct Layer {
    /// Files, and folders with a `/` at the end, from the crate's folder. A path in several rows is in the row of its
    /// longest match.
    pub(crate) files: &'static [&'static str],
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// Whether the entries are siblings that must not use each other.
    pub(crate) apart: bool,
}

/// A row whose files may use each other, without a circle.
pub(crate) const fn layer(files: &'static [&'static str], purpose: &'static str) -> Layer {
    Layer { files, purpose, apart: false }
}

/// A row of siblings: none uses another.
pub(crate) const fn apart(files: &'static [&'static str], purpose: &'static str) -> Layer {
    Layer { files, purpose, apart: true }
}

/// The table of one crate.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// The folder of its sources.
    pub(crate) folder: &'static str,
    /// Folders of the other crates of this repository that it may use.
    pub(crate) uses: &'static [&'static str],
    /// Bottom to top: a file uses its own row and those before it.
    pub(crate) layers: &'static [Layer],
}

/// The design of every crate.
pub(crate) const ROOMS: &[Room] = &[
    Room { folder: "src/", uses: &[], layers: ALLOCATOR },
    Room { folder: "ablation/stats/src/", uses: &[], layers: STATS },
    Room { folder: "ablation/format/src/", uses: &[], layers: FORMAT },
    Room { folder: "ablation/probe/src/", uses: &[], layers: PROBE },
    Room { folder: "ablation/trace/src/", uses: &[], layers: TRACE },
    Room { folder: "ablation/recorder/src/", uses: &[], layers: RECORDER },
    Room {
        folder: "ablation/src/",
        uses: &[
            "ablation/stats/src/",
            "ablation/format/src/",
            "ablation/probe/src/",
            "ablation/trace/src/",
            "ablation/recorder/src/",
        ],
        layers: RUNNER,
    },
    Room {
        folder: "ablation/bench_runner/src/",
        uses: &["ablation/stats/src/", "ablation/format/src/", "ablation/probe/src/"],
        layers: BENCH_RUNNER,
    },
    Room { folder: "cli/src/", uses: &["src/"], layers: CLI },
    // The one crate that knows the allocator and speaks the runner's language.
    Room {
        folder: "ablation/workloads/src/",
        uses: &["src/", "ablation/probe/src/", "ablation/trace/src/"],
        layers: WORKLOADS,
    },
];

const ALLOCATOR: &[Layer] = &[
    apart(&["class.rs", "request.rs"], "values that travel, and arithmetic: pure"),
    layer(&["os/"], "the only system calls, one twin for each architecture"),
    apart(&["fatal.rs", "sync.rs"], "the abort with a fixed sentence; locks and counts, with the model checker's twin"),
    layer(&["metadata/shared_cell.rs"], "a field of a record that any thread may read"),
    apart(
        &["metadata/allocator.rs", "metadata/large_mapping.rs", "metadata/list.rs"],
        "memory for records; the record of one mapping; the lists that records are in",
    ),
    layer(&["metadata/page.rs"], "slots of one size class and which are free, or one large object"),
    layer(&["metadata/segment.rs"], "4 MiB of the arena: which blocks are free"),
    layer(&["metadata/range.rs"], "the reserved addresses: address to slot list"),
    layer(&["metadata/page_map.rs", "metadata/"], "address to record, outside the range too"),
    apart(
        &["alloc/slot_list.rs", "alloc/treiber_stack.rs"],
        "a thread's stack of addresses; blocks of memory that are pushed and popped without a lock",
    ),
    layer(&["alloc/bypass_chunks.rs"], "the bypass's chunks: which are free, and their way back to the OS"),
    apart(
        &[
            "alloc/bypass.rs",
            "alloc/deferred_frees.rs",
            "alloc/gate.rs",
            "alloc/thread_cache.rs",
            "alloc/transfer_batch.rs",
        ],
        "what every request and free passes, or what replaces it, below the factors: no level is asked here",
    ),
    layer(&["alloc/transfer_cache.rs"], "the batches that wait for a thread, below the factors too"),
    apart(
        &[
            "factor/align.rs",
            "factor/arena.rs",
            "factor/bigcache.rs",
            "factor/canary.rs",
            "factor/elo/",
            "factor/evolution/",
            "factor/free_check.rs",
            "factor/guard_pages.rs",
            "factor/madvise_batch.rs",
            "factor/purge/",
            "factor/quarantine.rs",
            "factor/owned_pages.rs",
            "factor/random_slots.rs",
            "factor/thp.rs",
            "factor/thread_cache.rs",
            "factor/tick.rs",
            "factor/zero_free.rs",
            "factor/original/header.rs",
        ],
        "one mechanism a file: it knows no other factor, no station, and not whether it is on",
    ),
    apart(
        &["factor/original/bigcache.rs", "factor/original/elo.rs", "factor/original/tick.rs"],
        "what only the research original did, beside the counters of the default's form",
    ),
    layer(&["factor/"], "the toggles of the factors"),
    layer(&["alloc/density.rs"], "whether new memory will be used densely"),
    apart(
        &["alloc/find.rs", "alloc/huge_pages.rs"],
        "stations get levels as parameters: address to object; the huge-page decision",
    ),
    layer(&["alloc/arena_growth.rs"], "where segments come from"),
    layer(&["alloc/arena.rs"], "runs of blocks"),
    apart(
        &["alloc/central_free_list.rs", "alloc/large_mappings.rs"],
        "pages of one size class; objects of whole runs and mappings",
    ),
    layer(&["alloc/pool_entries.rs"], "what waits in the mapping pool, by address"),
    layer(&["alloc/mapping_pool.rs"], "freed mappings, for the next requests"),
    layer(&["alloc/thread_heap.rs"], "the slow half of a thread's cache: batches from and to the stations"),
    layer(&["alloc/thread_end.rs"], "the key that calls at a thread's end, and one shared heap for what comes after"),
    layer(&["config/level.rs"], "the values a factor can have"),
    layer(&["config/registry.rs"], "which factors there are, each named once"),
    apart(&["config/lifecycle.rs", "config/preset.rs"], "how evolution ends; named sets of levels"),
    apart(
        &["config/in_effect.rs", "config/variables.rs"],
        "which levels take effect beside others; the names of all variables, and what a misspelt one stands for",
    ),
    layer(&["config/environment.rs"], "HAKMEM_* to levels, without allocating"),
    layer(&["config/active.rs"], "the levels of this process, read once and sealed"),
    layer(&["config/"], "what others see of the configuration"),
    layer(&["alloc/learning.rs"], "what the slow path tells the learning factors"),
    layer(&["alloc/release.rs"], "memory past the caches, on its way to pages, the arena and the OS"),
    layer(&["alloc/outbox.rs"], "objects on their way back to their owners"),
    apart(
        &["alloc/gather.rs", "alloc/idle_caches.rs"],
        "free memory that waits in caches: before new memory is taken, and where it is not used",
    ),
    layer(&["alloc/purge.rs"], "the background purge, the driver of the stations"),
    layer(&["alloc/thread.rs"], "start and end of a thread, and its way past its cache"),
    layer(&["alloc/fork.rs"], "what happens before the process begins, and around a fork"),
    layer(&["alloc/hardening.rs"], "what surrounds an object: seals, guards, zeroes, the time until it is reused"),
    layer(&["alloc/stations.rs"], "which station serves a request"),
    apart(
        &["alloc/allocate.rs", "alloc/flush.rs", "alloc/free.rs", "alloc/inspect.rs"],
        "the calls: they read levels and pass them down",
    ),
    layer(&["alloc/reallocate.rs", "alloc/"], "the call that is made of two others"),
    apart(
        &["global.rs", "keep_loaded.rs", "stats.rs"],
        "the allocator of Rust programs; libraries that bring it stay loaded; what it holds and did",
    ),
    apart(&["allocator_api.rs", "preload.rs", "preload_identity.rs", "settings.rs"], "what programs see, one way each"),
    layer(&["preload_glibc.rs"], "names of the preload library that are glibc's alone"),
    apart(
        &["preload_end.rs", "preload_own.rs"],
        "what a C program's process says when it begins and ends; hakmem's own functions for C programs",
    ),
    layer(&["lib.rs"], "the public surface"),
];

const STATS: &[Layer] = &[
    apart(
        &["distribution.rs", "gamma.rs", "order.rs", "random.rs", "rank.rs"],
        "distributions; the gamma function's relatives; percentiles; the seeded generator; how far orders agree",
    ),
    apart(
        &["moderated.rs", "sequential.rs"],
        "variances that borrow from each other; what is settled at looks that share an error",
    ),
    apart(
        &["bootstrap.rs", "modes.rs", "projection.rs", "resamples.rs"],
        "a statistic with its draws; two speeds; blocks needed; the draws of blocks",
    ),
    apart(
        &[
            "change_points.rs",
            "factorial.rs",
            "layout.rs",
            "line.rs",
            "machines.rs",
            "many.rs",
            "series.rs",
            "sessions.rs",
            "table.rs",
        ],
        "what draws are made from, and what is computed draw by draw: one method a file",
    ),
    apart(&["clean.rs", "foldover.rs"], "effects of a clean stage; of a screen and its mirror"),
    layer(&["lib.rs"], "the public surface"),
];

const FORMAT: &[Layer] = &[
    apart(
        &["folder.rs", "os_text.rs", "path.rs", "response.rs", "shard.rs", "version.rs"],
        "names of files, and the values that the others hold",
    ),
    layer(&["measured.rs"], "what a measured program reported"),
    layer(&["line.rs"], "the line that it printed"),
    apart(&["record.rs", "screening.rs", "target.rs"], "one process; two stages; one bar"),
    layer(&["plan.rs"], "what was planned"),
    layer(&["manifest.rs"], "what was planned, built and found"),
    apart(&["effects/estimate.rs", "effects/noise.rs"], "a value with its interval; what disturbed the runs"),
    layer(&["effects/machines.rs"], "a value on several machines"),
    apart(
        &["effects/breakdown.rs", "effects/claims.rs", "effects/crossed.rs", "effects/rows.rs"],
        "results, by what they are about",
    ),
    layer(&["effects/"], "results as one file"),
    layer(&["read.rs"], "the readers"),
    layer(&["lib.rs"], "the public surface"),
];

const PROBE: &[Layer] = &[
    layer(&["contention.rs"], "the contention probe"),
    layer(&["timed_batches.rs"], "timed batches between probes"),
    layer(&["line.rs"], "the line that a measured program prints"),
    layer(&["lib.rs"], "the public surface"),
];

const TRACE: &[Layer] = &[
    apart(
        &["columns.rs", "gap.rs", "header.rs", "ids.rs", "operation.rs"],
        "what a trace is made of: values, ids, and numbers as bytes",
    ),
    layer(&["error.rs"], "why there is none"),
    layer(&["encode.rs"], "the operations of a thread to columns"),
    layer(&["block.rs"], "columns to a block with its checksum"),
    layer(&["source.rs"], "the bytes: a file, or memory"),
    apart(&["builder.rs", "index.rs"], "the writer; where blocks lie in a file"),
    layer(&["decode.rs"], "the blocks of a thread to operations"),
    layer(&["merged.rs"], "all threads in one order"),
    layer(&["read.rs"], "the reader"),
    layer(&["check.rs"], "whether a trace holds what it promises"),
    layer(&["lib.rs"], "the public surface"),
];

const RECORDER: &[Layer] = &[
    layer(&["layout.rs"], "the raw file, for its writer and its readers: pure"),
    apart(
        &["arch.rs", "bootstrap.rs", "next.rs", "sys.rs"],
        "assembly; memory for the loader; the allocator that calls are passed on to; system calls",
    ),
    layer(&["switch.rs"], "whether the process records, and its clock"),
    layer(&["chunks.rs"], "the raw file and its chunks"),
    apart(&["maps.rs", "owners.rs", "touch.rs"], "where code lies; whose objects are; what is written to them"),
    layer(&["start.rs"], "whether a process records: by the environment, and after a fork"),
    layer(&["thread.rs"], "the record of a thread, and how it writes events"),
    apart(&["edges.rs", "record.rs"], "the beginning and the end of the process; what is noted of each call"),
    apart(&["entries.rs", "entries_identity.rs", "entries_threads.rs"], "the C library's functions that programs call"),
    layer(&["entries_cxx.rs"], "those of C++"),
    layer(&["lib.rs"], "the public surface"),
];

const RUNNER: &[Layer] = &[
    layer(&["support/text.rs"], "text that is safe to print"),
    apart(
        &[
            "support/call.rs",
            "support/count.rs",
            "support/dates.rs",
            "support/exit.rs",
            "support/files.rs",
            "support/machine.rs",
            "support/nearest.rs",
            "support/progress.rs",
            "support/steal.rs",
            "support/studies.rs",
            "support/suspend.rs",
        ],
        "what every stage may use, and knows no study",
    ),
    apart(&["support/interrupt.rs", "support/settings.rs", "support/"], "Ctrl-C; the runner's own environment"),
    apart(
        &["config/build_settings.rs", "config/program.rs"],
        "how a binary is built, besides its features; what is measured",
    ),
    apart(&["harness/options.rs", "harness/samples.rs", "harness/text.rs"], "what harnesses share: pure"),
    layer(&["harness/adapter.rs"], "what every harness is described by"),
    apart(
        &[
            "harness/callgrind.rs",
            "harness/criterion.rs",
            "harness/divan.rs",
            "harness/go.rs",
            "harness/google_benchmark.rs",
            "harness/hyperfine.rs",
            "harness/jmh.rs",
            "harness/libtest.rs",
            "harness/pytest_benchmark.rs",
        ],
        "one harness each: its output to what a program would have printed",
    ),
    layer(&["harness/"], "the table of harnesses; pure"),
    apart(
        &["config/diagnostic.rs", "config/names.rs", "config/raw.rs"],
        "messages at their line; words of serde; TOML as written",
    ),
    layer(&["config/error.rs"], "why there is no study"),
    layer(&["config/surroundings.rs"], "what a run needs around its process"),
    layer(&["config/study.rs"], "the study without contradictions"),
    apart(&["config/check.rs", "config/factor.rs"], "what all tables are checked for; what a factor says"),
    layer(&["config/builds.rs"], "the build settings of a level"),
    apart(
        &[
            "config/claims.rs",
            "config/crossing.rs",
            "config/hooks.rs",
            "config/harness.rs",
            "config/levels.rs",
            "config/paths.rs",
            "config/peers.rs",
            "config/quick.rs",
            "config/server.rs",
            "config/subject.rs",
            "config/targets.rs",
            "config/treatments.rs",
            "config/workloads.rs",
        ],
        "one kind of table each, from raw to checked",
    ),
    layer(&["config/"], "language: a TOML text to a study, or an error at its line"),
    apart(
        &["design/axis.rs", "design/fraction.rs", "design/paths.rs", "design/screening.rs"],
        "levels to move along, and the known fractions",
    ),
    apart(
        &["design/build_plans.rs", "design/constraints.rs", "design/treatments.rs"],
        "binaries, impossible cells, and treatments",
    ),
    layer(&["design/cells.rs"], "every cell"),
    apart(&["design/claims.rs", "design/contrasts.rs"], "what is claimed of cells, and compared"),
    layer(&["design/"], "design: a study to cells, contrasts and builds"),
    layer(&["prove/"], "proof: a record to a proven, invalid or failed run; pure"),
    layer(&["store/"], "the folder of a study"),
    layer(&["unit_costs/"], "what a page fault and a system call cost here, in a process of its own"),
    layer(&["analyse/"], "analysis: proven runs to one table of cells, and every verdict from it; pure"),
    layer(&["gap/"], "what a gap is made of: tables, counts and unit costs to breakdowns; pure"),
    apart(
        &["report/content.rs", "report/document.rs", "report/effects_json.rs", "report/number.rs"],
        "what reports are made of",
    ),
    layer(&["report/figure/"], "figures: values to drawings; pure"),
    apart(
        &[
            "report/crossed.rs",
            "report/curves.rs",
            "report/gap.rs",
            "report/hypotheses.rs",
            "report/paths.rs",
            "report/workload.rs",
        ],
        "one section of a report each",
    ),
    apart(
        &["report/closing.rs", "report/machines.rs", "report/memory.rs"],
        "what stands at the end of a report; several machines; memory beside time",
    ),
    layer(&["report/head.rs"], "what stands at its beginning"),
    apart(&["report/peers/", "report/targets.rs"], "the peers side by side; the targets"),
    layer(&["report/headline/"], "the answer, which opens every report"),
    layer(&["report/html/"], "the page: sections, figures and tables to HTML"),
    layer(&["report/"], "report: results to a terminal, Markdown, HTML and JSON; computes nothing"),
    apart(
        &["measure/callgrind.rs", "measure/tracefs.rs", "measure/vmstat.rs"],
        "where counts come from, read as they are written",
    ),
    layer(&["measure/instruments.rs"], "the table of instruments: a new one is a row"),
    layer(&["measure/"], "instruments: each way to attach one to a process"),
    layer(&["builds/"], "builds: features, settings and revisions to binaries"),
    layer(&["bundle/"], "binaries that are built once and travel to other machines"),
    layer(&["run/orphans.rs"], "processes that a run left behind"),
    layer(&["run/process/"], "one process: start, limits, what is seen from outside"),
    layer(&["run/scratch.rs"], "the folders and the port of a run"),
    layer(&["run/ready.rs"], "whether a server can serve"),
    layer(&["run/watch.rs"], "what is opened while a run lasts"),
    layer(&["run/preloaded.rs"], "whether preloaded libraries were loaded"),
    layer(&["run/"], "run: cells to processes to records"),
    layer(&["benchmarks/"], "the benchmarks of a harness: lists of programs to workloads"),
    layer(&["study/"], "a study from its config to its last record, and when to stop"),
    apart(
        &["tools/cells.rs", "tools/results/"],
        "for tools: a few cells by themselves; the results of a folder as rows",
    ),
    apart(
        &[
            "tools/archive/",
            "tools/bundle.rs",
            "tools/compare/",
            "tools/diff/",
            "tools/doctor/",
            "tools/history/",
            "tools/init/",
            "tools/merge/",
            "tools/plan/",
            "tools/profile/",
            "tools/screen/",
            "tools/selftest/",
            "tools/syscalls/",
            "tools/trace/",
        ],
        "what the other subcommands do",
    ),
    layer(&["tools/"], "the list of tools"),
    apart(&["cmd/numbers.rs", "cmd/output.rs"], "numbers of the command line; how a subcommand writes and ends"),
    layer(&["cmd/forms.rs"], "the forms of an answer about several results"),
    apart(
        &[
            "cmd/archive.rs",
            "cmd/build.rs",
            "cmd/compare.rs",
            "cmd/completions.rs",
            "cmd/doctor.rs",
            "cmd/export.rs",
            "cmd/hidden.rs",
            "cmd/history.rs",
            "cmd/init.rs",
            "cmd/man.rs",
            "cmd/plan.rs",
            "cmd/profile.rs",
            "cmd/report.rs",
            "cmd/screen.rs",
            "cmd/selftest.rs",
            "cmd/syscalls.rs",
            "cmd/trace.rs",
        ],
        "one subcommand each with its arguments",
    ),
    apart(&["cmd/merge.rs", "cmd/run.rs"], "the subcommands that end with a report"),
    layer(&["cmd/default.rs"], "what `cargo ablate` alone means"),
    layer(&["cmd/"], "the command line"),
    layer(&["main.rs"], "the program"),
];

const BENCH_RUNNER: &[Layer] = &[
    apart(&["chain.rs", "interval.rs"], "the work that is timed; an interval as each tool gives it"),
    layer(&["criterion_bench.rs"], "the same work under criterion"),
    layer(&["tools.rs"], "how each tool is asked"),
    layer(&["race.rs"], "all tools in turn"),
    layer(&["table.rs"], "what came out"),
    layer(&["main.rs"], "the program"),
];

const CLI: &[Layer] = &[
    apart(&["error.rs", "help.rs", "report.rs"], "why a call is refused; texts; what processes told"),
    apart(
        &["library.rs", "man.rs", "process.rs", "program.rs", "variables.rs"],
        "where the library is; the man page; a process; what a program is; the allocator's variables",
    ),
    apart(&["args.rs", "summary.rs"], "the command line; what is said at the end"),
    apart(&["info.rs", "run.rs"], "the subcommands"),
    layer(&["main.rs"], "the program"),
];

const WORKLOADS: &[Layer] = &[
    layer(&["os/"], "clocks and usage"),
    apart(
        &["allocator/mod.rs", "allocator/library.rs", "placebo.rs", "refused.rs"],
        "what an allocator must do; whose code a library is; dead code; refused variables",
    ),
    apart(
        &[
            "allocator/floor.rs",
            "allocator/hakmem.rs",
            "allocator/jemalloc.rs",
            "allocator/mimalloc.rs",
            "allocator/precomputed.rs",
            "allocator/preloaded.rs",
            "allocator/snmalloc.rs",
            "allocator/system.rs",
        ],
        "one allocator each",
    ),
    apart(
        &[
            "workload/latency.rs",
            "workload/measurement.rs",
            "workload/shape.rs",
            "workload/spsc.rs",
            "workload/touch.rs",
        ],
        "latencies, what a run gives, the memory shapes, a queue, and how memory is touched",
    ),
    layer(&["workload/scenario.rs"], "what is allocated"),
    layer(&["workload/plan.rs"], "how often, and by how many threads"),
    layer(&["workload/script.rs"], "the requests of one thread, from a seed"),
    layer(&["workload/lifetime.rs"], "how long objects live"),
    layer(&["workload/script_runner.rs"], "a script, timed in batches"),
    apart(
        &["workload/handoff.rs", "workload/memory_return.rs", "workload/parallel.rs", "workload/single.rs"],
        "one way each to put threads to work",
    ),
    layer(&["workload/shapes/tools.rs"], "objects, readings of resident memory and threads of the memory shapes"),
    apart(
        &[
            "workload/shapes/aligned.rs",
            "workload/shapes/bursts.rs",
            "workload/shapes/calloc.rs",
            "workload/shapes/drift.rs",
            "workload/shapes/fork.rs",
            "workload/shapes/idle_threads.rs",
            "workload/shapes/large_reuse.rs",
            "workload/shapes/neighbours.rs",
            "workload/shapes/phases.rs",
            "workload/shapes/producers_consumers.rs",
            "workload/shapes/resize.rs",
            "workload/shapes/sparse.rs",
            "workload/shapes/survivors.rs",
            "workload/shapes/thread_churn.rs",
        ],
        "what each memory shape does",
    ),
    layer(&["workload/shapes/"], "picks the driver of a shape"),
    layer(&["workload/drive.rs", "workload/"], "the way that a plan asks for"),
    layer(&["proof.rs"], "which allocator served, by addresses and counts"),
    apart(
        &[
            "replay/call_times.rs",
            "replay/entry.rs",
            "replay/gaps.rs",
            "replay/layout.rs",
            "replay/plan.rs",
            "replay/wait.rs",
        ],
        "of a replay: times of calls, one step, time between steps, addresses, what is asked for, waiting for a thread",
    ),
    apart(&["replay/script.rs", "replay/touching.rs"], "a trace as steps; how objects are used"),
    layer(&["replay/decoder.rs"], "operations to steps"),
    layer(&["replay/decode.rs"], "a file to steps"),
    layer(&["replay/image.rs"], "the steps as tables that no allocator served"),
    layer(&["replay/context.rs"], "what the threads of a pass share"),
    layer(&["replay/worker.rs"], "the timed loop"),
    layer(&["replay/threads.rs"], "the threads that are in it"),
    layer(&["replay/pass.rs"], "one pass over a trace"),
    layer(&["replay/"], "which passes are made, and what they give"),
    layer(&["output.rs"], "the line"),
    layer(&["registry.rs"], "all allocators behind one loop"),
    apart(&["replay_args.rs", "shape_args.rs"], "the options of replays; those of the memory shapes"),
    apart(&["args.rs", "list.rs"], "the command line; what there is"),
    layer(&["main.rs"], "the program"),
];
