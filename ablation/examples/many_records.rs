//! Writes the records of a large study (a 2^6 factorial, two workloads, 781 blocks of 50 batches: 99,968 runs) and times
//! how long reading, analysing and reporting them takes. `just bench-analysis` runs it.

use ablate_format::*;
use ablation::{prove, report, store};
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::time::Instant;

const FACTORS: [&str; 6] = ["bigcache", "elo", "header", "tick", "evolution", "madvise-batch"];
const WORKLOADS: [&str; 2] = ["small-warm", "vm-warm"];
const BLOCKS: u32 = 781;
const BATCHES: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("ablate-many-records-{}", std::process::id()));
    let manifest = manifest();
    let count = write(&dir, &manifest)?;
    let bytes = std::fs::metadata(dir.join(store::RECORDS))?.len();
    println!("{count} records, {:.0} MiB of text", bytes as f64 / f64::from(1 << 20));

    let cpu_before = cpu_s();
    let started = Instant::now();
    let (manifest, mut records, bad) = store::read_settled(&dir)?;
    println!("read and prove: {:5.2} s, {} unreadable lines", started.elapsed().as_secs_f64(), bad.len());
    let at = Instant::now();
    prove::prove_together(&manifest.plan, &mut records);
    println!("prove together: {:5.2} s", at.elapsed().as_secs_f64());
    let at = Instant::now();
    let text = report::write(&dir, &manifest, &records, 100)?;
    println!(
        "analyse and report: {:5.2} s, {} lines for the terminal",
        at.elapsed().as_secs_f64(),
        text.lines().count()
    );
    let in_all = started.elapsed().as_secs_f64();
    println!("in all:  {in_all:5.2} s ({:.2} s of processors), peak memory {}", cpu_s() - cpu_before, peak());
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Processor time of this process, user and system: what the clock would say on a machine with nothing else to do and
/// one core. Fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "n/a".to_owned(), |line| line.trim().to_owned())
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
        args: Vec::new(),
        about: String::new(),
        response: MainResponse::P10,
        cells: Vec::new(),
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
            absent: Vec::new(),
            layouts: 1,
            crossed: FACTORS.iter().map(|f| Crossed { factor: (*f).to_owned(), away: "off".to_owned() }).collect(),
            designs: [("factorial".to_owned(), cells().into_iter().map(|(id, _)| id).collect())].into(),
        },
        builds: vec![BuildRecord {
            id: "full".to_owned(),
            features: Vec::new(),
            result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: "00".to_owned() }),
            layouts: Vec::new(),
        }],
        libraries: Vec::new(),
        machine: Machine::default(),
        instruments: Vec::new(),
    }
}

fn write(dir: &std::path::Path, manifest: &Manifest) -> Result<usize, Box<dyn std::error::Error>> {
    let folder = store::Folder::create(dir)?;
    folder.write_manifest(manifest)?;
    let mut records = folder.records()?;
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
                records.append(&record(block, order as u32, workload, cell, measured))?;
                count += 1;
            }
        }
    }
    records.sync()?;
    Ok(count)
}

fn measured(cell: &CellPlan, ns: f64, batches_ns: Vec<f32>) -> Measured {
    let moves = |level: &String| [("moves".to_owned(), u64::from(level == "on") * 100_000)].into();
    Measured {
        format: FORMAT,
        operations: 100_000,
        served_by: cell.served_by.clone(),
        levels: cell.levels.clone(),
        counters: cell.levels.iter().map(|(factor, level)| (factor.clone(), moves(level))).collect(),
        checksum: "c0ffee".to_owned(),
        latency_over: "batches".to_owned(),
        samples: BATCHES as u64,
        latency_ns_p10: ns + 0.1,
        latency_ns_p50: ns + 0.5,
        latency_ns_p99: ns + 1.0,
        latency_ns_mean: ns + 0.5,
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
