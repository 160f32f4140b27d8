//! Small synthetic studies for tests: every factor in both arms, a placebo and two peers.

use ablate_format::*;
use std::collections::BTreeMap;

pub(crate) struct Study {
    pub(crate) manifest: Manifest,
}

impl Study {
    /// Cells: baseline, placebo, `no-<factor>` in both arms, `minimal@env` (all off), peers `fast` (reference) and
    /// `slow`. The proof of every factor is its counter `moves`.
    pub(crate) fn new(factors: &[&str], workloads: &[&str]) -> Study {
        let all = |level: &str| -> BTreeMap<String, String> {
            factors.iter().map(|factor| (factor.to_string(), level.to_owned())).collect()
        };
        let mut cells = vec![
            cell("baseline", "baseline", CellKind::Baseline, None, all("on")),
            cell("placebo", "placebo", CellKind::Placebo, None, all("on")),
        ];
        let mut contrasts = vec![contrast("placebo", "placebo", None, "placebo", "baseline")];
        for factor in factors {
            let name = format!("no-{factor}");
            for (arm, level, kind) in [(Arm::Env, "off", "on-off"), (Arm::Feature, "absent", "on-absent")] {
                let mut levels = all("on");
                levels.insert(factor.to_string(), level.to_owned());
                let id = format!("{name}@{}", arm.as_str());
                cells.push(cell(&id, &name, CellKind::Treatment, Some(arm), levels));
                contrasts.push(contrast(factor, kind, Some(arm), "baseline", &id));
            }
            let (off, absent) = (format!("{name}@env"), format!("{name}@feature"));
            contrasts.push(contrast(factor, "off-absent", None, &off, &absent));
        }
        cells.push(cell("minimal@env", "minimal", CellKind::Treatment, Some(Arm::Env), all("off")));
        contrasts.push(contrast("minimal", "baseline-minimal", Some(Arm::Env), "baseline", "minimal@env"));
        for peer in ["fast", "slow"] {
            cells.push(cell(&format!("peer-{peer}"), peer, CellKind::Peer, None, BTreeMap::new()));
        }
        let plan = StudyPlan {
            factors: factors
                .iter()
                .map(|name| FactorPlan {
                    name: name.to_string(),
                    proof: vec![format!("{name}.moves")],
                    about: String::new(),
                    baseline: "on".to_owned(),
                    levels: vec!["on".to_owned(), "off".to_owned()],
                })
                .collect(),
            workloads: workloads
                .iter()
                .map(|name| WorkloadPlan {
                    name: name.to_string(),
                    command: None,
                    args: Vec::new(),
                    about: String::new(),
                    response: MainResponse::P10,
                    cells: Vec::new(),
                    output: OutputRule::Same,
                    benchmark: None,
                })
                .collect(),
            cells,
            contrasts,
            reference_peer: Some("peer-fast".to_owned()),
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
            crossed: Vec::new(),
            designs: BTreeMap::new(),
        };
        let instrument = |name: &str, exact, unavailable: Option<&str>| InstrumentStatus {
            name: name.to_owned(),
            exact,
            unavailable: unavailable.map(str::to_owned),
            origin: "software".to_owned(),
            cost: String::new(),
        };
        Study {
            manifest: Manifest {
                format: FORMAT,
                study: "synthetic".to_owned(),
                config_path: "study.toml".to_owned(),
                config_text: String::new(),
                command: vec!["ablate".to_owned(), "run".to_owned()],
                started_unix_s: 0,
                seed: 42,
                blocks: 12,
                counting_repeats: None,
                plan,
                builds: vec![BuildRecord {
                    id: "full".to_owned(),
                    features: Vec::new(),
                    settings: Default::default(),
                    seconds: None,
                    result: Ok(BuiltBinary { path: "/x".to_owned(), sha256: String::new(), code_sha256: None }),
                    layouts: Vec::new(),
                }],
                libraries: Vec::new(),
                machine: Machine::default(),
                shard: None,
                shards: Vec::new(),
                machines: Vec::new(),
                instruments: vec![
                    instrument("instructions", false, Some("no PMU; a machine with one would allow it")),
                    instrument("cycles", false, Some("no PMU; a machine with one would allow it")),
                    instrument("page-faults", true, None),
                    instrument("syscalls", true, None),
                ],
            },
        }
    }

    /// Every set of the factors in one binary, with `set-01@env` where only the last is on, and a main effect of each;
    /// besides the cells of [`Study::new`].
    pub(crate) fn factorial(factors: &[&str], workloads: &[&str]) -> Study {
        let mut study = Study::new(factors, workloads);
        for set in 0..(1_usize << factors.len()) - 1 {
            let is_on = |i: usize| set >> (factors.len() - 1 - i) & 1 == 1;
            let bits: String = (0..factors.len()).map(|i| if is_on(i) { '1' } else { '0' }).collect();
            let level = |i: usize| if is_on(i) { "on" } else { "off" };
            let levels = factors.iter().enumerate().map(|(i, f)| (f.to_string(), level(i).to_owned())).collect();
            let name = format!("set-{bits}");
            let treatment = cell(&format!("{name}@env"), &name, CellKind::Treatment, Some(Arm::Env), levels);
            study.manifest.plan.cells.push(treatment);
        }
        // Two names for the same levels are one cell.
        let named = |id: &str| id.starts_with("no-") || id.starts_with("minimal");
        study.manifest.plan.cells.retain(|cell| !(named(&cell.id) && cell.arm == Some(Arm::Env)));
        let plan = &mut study.manifest.plan;
        plan.crossed = factors.iter().map(|f| Crossed { factor: f.to_string(), away: "off".to_owned() }).collect();
        let sets = plan.cells.iter().filter(|cell| cell.id == "baseline" || cell.name.starts_with("set-"));
        let sets = sets.map(|cell| cell.id.clone()).collect();
        plan.designs.insert("factorial".to_owned(), sets);
        let cells = &plan.cells;
        plan.contrasts.retain(|c| [&c.plus, &c.minus].iter().all(|id| cells.iter().any(|cell| cell.id == **id)));
        plan.contrasts.extend(
            factors
                .iter()
                .map(|factor| Contrast { attribution: true, ..contrast(factor, "main", Some(Arm::Env), "", "") }),
        );
        study
    }

    /// [`Study::factorial`] in one workload `w` that is judged by a rate, and 12 blocks of it: `rate` of the factors that
    /// are on (1) and off (0), with up to 0.2 /s more by the block.
    pub(crate) fn of_rate(factors: &[&str], rate: impl Fn(&dyn Fn(usize) -> f64) -> f64) -> (Study, Vec<Record>) {
        let mut study = Study::factorial(factors, &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::named("value:r_per_s").expect("is a response");
        let mut records = study.records(12, |_, _, _| 100.0);
        for record in &mut records {
            let set = record.cell.strip_prefix("set-").map(|rest| rest.as_bytes().to_vec());
            let on = |i: usize| set.as_ref().map_or(1.0, |set| f64::from(set[i] - b'0'));
            let value = rate(&on) + f64::from(record.block % 3) / 10.0;
            record.measured.as_mut().expect("is a timing run").values = [("r_per_s".to_owned(), value)].into();
        }
        (study, records)
    }

    /// Gives a factor the baseline's level `baseline` and other levels instead of `off`, each in one binary: cells
    /// `<factor>-<level>@env`.
    pub(crate) fn levels(&mut self, factor: &str, baseline: &str, others: &[&str]) {
        let plan = &mut self.manifest.plan;
        let own = |cell: &CellPlan| cell.name == format!("no-{factor}");
        plan.cells.retain(|cell| !own(cell));
        plan.contrasts.retain(|contrast| contrast.factor != factor);
        for cell in plan.cells.iter_mut().filter(|cell| cell.levels.contains_key(factor)) {
            cell.levels.insert(factor.to_owned(), baseline.to_owned());
        }
        let at_baseline = plan.cells[0].levels.clone();
        for level in others {
            let mut levels = at_baseline.clone();
            levels.insert(factor.to_owned(), level.to_string());
            let name = format!("{factor}-{level}");
            let id = format!("{name}@env");
            plan.cells.push(cell(&id, &name, CellKind::Treatment, Some(Arm::Env), levels));
            let row = contrast(factor, &format!("{baseline}-{level}"), Some(Arm::Env), "baseline", &id);
            plan.contrasts.push(Contrast { attribution: true, ..row });
        }
        let planned = plan.factors.iter_mut().find(|planned| planned.name == factor).expect("is a factor");
        planned.baseline = baseline.to_owned();
        planned.levels = std::iter::once(&baseline).chain(others).map(|level| level.to_string()).collect();
    }

    pub(crate) fn cell(&mut self, id: &str) -> &mut CellPlan {
        self.manifest.plan.cells.iter_mut().find(|cell| cell.id == id).unwrap()
    }

    /// One timing run that is proven, with `p10` and a median and p99 above it.
    pub(crate) fn timing(&self, workload: &str, cell: &str, block: u32, p10: f64) -> Record {
        let plan = self.manifest.plan.cells.iter().find(|plan| plan.id == cell).unwrap();
        let works = |level: &str| u64::from(level != "off" && level != "absent");
        let counters =
            plan.levels.iter().map(|(f, level)| (f.clone(), [("moves".to_owned(), 7 * works(level))].into())).collect();
        Record {
            wall_ns: 1_000_000,
            cpu_ns: 1_000_000,
            measured: Some(Measured {
                format: FORMAT,
                operations: 1_000,
                served_by: plan.served_by.clone(),
                levels: plan.levels.clone(),
                counters,
                checksum: "c0ffee".to_owned(),
                latency_over: Some("operations".to_owned()),
                samples: Some(1_000),
                latency_ns_p10: Some(p10),
                latency_ns_p50: Some(p10 + 2.0),
                latency_ns_p99: Some(p10 + 10.0),
                latency_ns_mean: Some(p10 + 3.0),
                rss_peak_bytes: None,
                rss_mean_bytes: None,
                page_faults: None,
                env_rejected: Vec::new(),
                batches_ns: Vec::new(),
                contention_probes_ns: Vec::new(),
                values: BTreeMap::new(),
                truth_ns: BTreeMap::new(),
            }),
            ..Record::new(Pass::Timing, block, workload, cell)
        }
    }

    pub(crate) fn counting(&self, workload: &str, cell: &str, repeat: u32, counts: &[(&str, u64)]) -> Record {
        let mut record = self.timing(workload, cell, repeat, 1.0);
        record.pass = Pass::Counting;
        record.counts = counts.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        record
    }

    pub(crate) fn idle(&self, workload: &str, cell: &str, repeat: u32, counts: &[(&str, u64)]) -> Record {
        let mut record = self.counting(workload, cell, repeat, counts);
        record.pass = Pass::CountingIdle;
        record.measured.as_mut().unwrap().operations = 0;
        record
    }

    pub(crate) fn failed(&self, workload: &str, cell: &str, block: u32, status: Status, reason: &str) -> Record {
        let mut record = self.timing(workload, cell, block, 1.0);
        (record.status, record.reason, record.measured) = (status, reason.to_owned(), None);
        record
    }

    /// Every cell once a block; `p10` gives nanoseconds by workload, cell and block, to which up to ± 1 ns of
    /// repeatable noise is added.
    pub(crate) fn records(&self, blocks: u32, p10: impl Fn(&str, &str, u32) -> f64) -> Vec<Record> {
        let mut records = Vec::new();
        let mut state = 1u64;
        for block in 0..blocks {
            for workload in &self.manifest.plan.workloads {
                for cell in &self.manifest.plan.cells {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let noise = (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0;
                    let ns = p10(&workload.name, &cell.id, block) + noise;
                    records.push(self.timing(&workload.name, &cell.id, block, ns));
                }
            }
        }
        records
    }
}

fn cell(id: &str, name: &str, kind: CellKind, arm: Option<Arm>, levels: BTreeMap<String, String>) -> CellPlan {
    CellPlan {
        id: id.to_owned(),
        name: name.to_owned(),
        kind,
        arm,
        levels,
        expect_zero: Vec::new(),
        build: "full".to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        served_by: Some(if kind == CellKind::Peer { name } else { "subject" }.to_owned()),
        compare: true,
    }
}

fn contrast(factor: &str, kind: &str, arm: Option<Arm>, plus: &str, minus: &str) -> Contrast {
    Contrast {
        factor: factor.to_owned(),
        contrast: kind.to_owned(),
        arm,
        plus: plus.to_owned(),
        minus: minus.to_owned(),
        attribution: kind == "on-off" || kind == "on-absent",
    }
}
