//! Writes the records of a large study (a 2^6 factorial, two workloads, 7,812 blocks of 50 timed batches: 999,936 runs,
//! 1.4 GiB) and times how long `cargo ablate report` takes for them. `just bench-analysis` runs it.
//!
//! With the folder of a study as argument it times that one, and writes its report again.

use ablate_format::*;
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const FACTORS: [&str; 6] = ["bigcache", "elo", "header", "tick", "evolution", "madvise-batch"];
const WORKLOADS: [&str; 2] = ["small-warm", "vm-warm"];
const BLOCKS: u32 = 7_812;
const BATCHES: usize = 50;
const RECORDS: &str = "records.jsonl";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    if dir == scratch.path() {
        let count = write(&dir, &manifest())?;
        println!("{count} records");
    }
    let bytes = std::fs::metadata(dir.join(RECORDS))?.len();
    println!("{:.0} MiB of text", bytes as f64 / f64::from(1 << 20));

    let started = Instant::now();
    let reported = Command::new(beside_this("cargo-ablate")?).arg("report").arg(&dir).output()?;
    let in_all = started.elapsed().as_secs_f64();
    let lines = String::from_utf8_lossy(&reported.stdout).lines().count();
    println!("{}, {lines} lines for the terminal", reported.status);
    print!("{}", String::from_utf8_lossy(&reported.stderr));
    let usage = usage_of_children();
    let peak_mib = usage.ru_maxrss as f64 / 1024.0;
    println!("in all: {in_all:.2} s ({:.2} s of processors), peak memory {peak_mib:.0} MiB", cpu_s(&usage));
    Ok(())
}

/// A program of the same build: examples are in a folder below it.
fn beside_this(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let path = own.ancestors().nth(2).unwrap_or(Path::new("/")).join(name);
    let way_out = || format!("{} is missing; build it with this profile first", path.display());
    path.is_file().then(|| path.clone()).ok_or_else(way_out)
}

/// What the reporting process used.
fn usage_of_children() -> libc::rusage {
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the result is live, and asking about one's own children does not fail.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) };
    usage
}

/// Processor time, user and system: what the clock would say on a machine with nothing else to do and one core.
fn cpu_s(usage: &libc::rusage) -> f64 {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Name, id and levels of every cell: set 111111 is the baseline.
fn cells() -> Vec<(String, BTreeMap<String, String>)> {
    let level = |set: usize, i: usize| if set >> (FACTORS.len() - 1 - i) & 1 == 1 { "on" } else { "off" };
    let sets = (0..1_usize << FACTORS.len()).rev();
    sets.map(|set| {
        let bits: String = (0..FACTORS.len()).map(|i| if level(set, i) == "on" { '1' } else { '0' }).collect();
        let levels = FACTORS.iter().enumerate().map(|(i, f)| ((*f).to_owned(), level(set, i).to_owned())).collect();
        let id = if bits.contains('0') { format!("set-{bits}@env") } else { "baseline".to_owned() };
        (id, levels)
    })
    .collect()
}

fn manifest() -> Manifest {
    let cell = |(id, levels): (String, BTreeMap<String, String>)| CellPlan {
        name: id.trim_end_matches("@env").to_owned(),
        kind: if id == "baseline" { CellKind::Baseline } else { CellKind::Treatment },
        arm: (id != "baseline").then_some(Arm::Env),
        id,
        levels,
        expect_zero: Vec::new(),
        build: "full".to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        served_by: Some("subject".to_owned()),
        compare: true,
    };
    let factor = |name: &&str| FactorPlan {
        name: (*name).to_owned(),
        proof: vec![format!("{name}.moves")],
        about: String::new(),
        baseline: "on".to_owned(),
        levels: vec!["on".to_owned(), "off".to_owned()],
    };
    let main = |name: &&str| Contrast {
        factor: (*name).to_owned(),
        contrast: "main".to_owned(),
        arm: Some(Arm::Env),
        plus: String::new(),
        minus: String::new(),
        attribution: true,
    };
    let workload = |name: &&str| WorkloadPlan {
        name: (*name).to_owned(),
        command: None,
        args: Vec::new(),
        about: String::new(),
        response: MainResponse::P10,
        cells: Vec::new(),
        output: OutputRule::Same,
        benchmark: None,
    };
    Manifest {
        format: FORMAT,
        study: "many-records".to_owned(),
        config_path: "many-records.toml".to_owned(),
        config_text: String::new(),
        command: vec!["many_records".to_owned()],
        started_unix_s: 0,
        seed: 7,
        blocks: BLOCKS,
        counting_repeats: None,
        plan: StudyPlan {
            factors: FACTORS.iter().map(factor).collect(),
            workloads: WORKLOADS.iter().map(workload).collect(),
            cells: cells().into_iter().map(cell).collect(),
            contrasts: FACTORS.iter().map(main).collect(),
            reference_peer: None,
            hypotheses: Vec::new(),
            targets: Vec::new(),
            paths: Vec::new(),
            curves: Vec::new(),
            aliases: Vec::new(),
            impossible: Vec::new(),
            remarks: Vec::new(),
            only_in: Default::default(),
            absent: Vec::new(),
            layouts: 1,
            crossed: FACTORS.iter().map(|f| Crossed { factor: (*f).to_owned(), away: "off".to_owned() }).collect(),
            designs: [("factorial".to_owned(), cells().into_iter().map(|(id, _)| id).collect())].into(),
        },
        builds: vec![BuildRecord {
            id: "full".to_owned(),
            features: Vec::new(),
            settings: Default::default(),
            seconds: None,
            result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: "00".to_owned(), code_sha256: None }),
            layouts: Vec::new(),
        }],
        libraries: Vec::new(),
        machine: Machine::default(),
        shard: None,
        shards: Vec::new(),
        machines: Vec::new(),
        instruments: Vec::new(),
    }
}

fn write(dir: &Path, manifest: &Manifest) -> Result<usize, Box<dyn std::error::Error>> {
    std::fs::write(dir.join("manifest.json"), serde_json::to_vec(manifest)?)?;
    let mut records = BufWriter::new(File::create(dir.join(RECORDS))?);
    let mut random = Pcg64::seed_from_u64(3);
    let mut uniform = move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut count = 0;
    for block in 0..BLOCKS {
        for workload in WORKLOADS {
            for (order, cell) in manifest.plan.cells.iter().enumerate() {
                let at_work = cell.levels.values().filter(|level| *level == "on").count();
                let ns = 10.0 + 5.0 * at_work as f64;
                let batches: Vec<f32> =
                    (0..BATCHES).map(|_| (100.0 * (ns + uniform())).round() as f32 / 100.0).collect();
                let measured = measured(cell, ns, batches);
                serde_json::to_writer(&mut records, &record(block, order as u32, workload, cell, measured))?;
                records.write_all(b"\n")?;
                count += 1;
            }
        }
    }
    records.flush()?;
    Ok(count)
}

fn measured(cell: &CellPlan, ns: f64, batches_ns: Vec<f32>) -> Measured {
    let moves = |level: &String| [("moves".to_owned(), u64::from(level == "on") * 100_000)].into();
    Measured {
        rss_mean_bytes: None,
        format: FORMAT,
        operations: 100_000,
        served_by: cell.served_by.clone(),
        levels: cell.levels.clone(),
        counters: cell.levels.iter().map(|(factor, level)| (factor.clone(), moves(level))).collect(),
        checksum: "c0ffee".to_owned(),
        latency_over: Some("batches".to_owned()),
        samples: Some(BATCHES as u64),
        latency_ns_p10: Some(ns + 0.1),
        latency_ns_p50: Some(ns + 0.5),
        latency_ns_p99: Some(ns + 1.0),
        latency_ns_mean: Some(ns + 0.5),
        rss_peak_bytes: None,
        page_faults: Some(3),
        env_rejected: Vec::new(),
        contention_probes_ns: vec![0.57; batches_ns.len() + 1],
        values: BTreeMap::new(),
        truth_ns: BTreeMap::new(),
        batches_ns,
    }
}

fn record(block: u32, order: u32, workload: &str, cell: &CellPlan, measured: Measured) -> Record {
    Record {
        order,
        wall_ns: 5_000_000,
        process_page_faults: 300,
        process_rss_peak_bytes: 5 << 20,
        cpu_ns: 4_000_000,
        context_switches: Some((1, 0)),
        steal_ticks: Some(0),
        contention_probe_ns: Some((0.57, 0.57)),
        measured: Some(measured),
        ..Record::new(Pass::Timing, block, workload, &cell.id)
    }
}
