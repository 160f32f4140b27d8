//! Several machines: which of them disagree, which there are, and every effect on each and over them.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, number, part, signed_point};
use super::workload::label;
use crate::analyse::{Analysis, DECIDING, Effect, OverMachines, WorkloadAnalysis};
use crate::store::shards;
use ablate_format::Manifest;
use ablate_format::effects::Estimate;

/// Most machines with a column of their own; more are told by the lowest and the highest.
const COLUMNS: usize = 4;

/// Probability of naming any machine of a study whose machines all have the same effects.
const FALSE_ALARM: f64 = 0.05;

/// The section; nothing for a study that was not divided.
pub(super) fn machines(document: &mut Document, manifest: &Manifest, analysis: &Analysis, columns: usize) {
    if manifest.shard.is_none() && manifest.shards.is_empty() {
        return;
    }
    document.heading("Machines");
    if let Some(part) = shards::part(manifest) {
        document.item(format!("a part of the study: {part}; `cargo ablate merge` joins the parts"));
        return;
    }
    let rows = |workload: &WorkloadAnalysis| {
        let told: Vec<Effect> = workload.telling().into_iter().cloned().collect();
        told.into_iter().filter(|row| row.machines.is_some()).collect::<Vec<_>>()
    };
    let workloads: Vec<(&WorkloadAnalysis, Vec<Effect>)> =
        analysis.workloads.iter().map(|workload| (workload, rows(workload))).collect();
    let count: usize = workloads.iter().map(|(_, rows)| rows.len()).sum();
    for (workload, rows) in &workloads {
        for line in rows.iter().filter_map(|row| disagreement(workload, row, FALSE_ALARM / count as f64)) {
            document.item(line);
        }
    }
    if let Some(missing) = shards::missing(manifest) {
        document.item(missing);
    }
    if manifest.machines.len() < 2 {
        document.item("all shards ran on one machine, so nothing is known of others");
        return;
    }
    document.table(there(manifest));
    if count == 0 {
        return;
    }
    document.text(meaning(manifest.machines.len()));
    for (workload, rows) in workloads.iter().filter(|(_, rows)| !rows.is_empty()) {
        document.text(format!("Effects of {} over machines:", workload.name));
        let whole = effects(workload, rows, manifest, columns, (true, true));
        if whole.width() <= columns {
            document.table(whole);
            continue;
        }
        document.table(effects(workload, rows, manifest, columns, (true, false)));
        document.table(effects(workload, rows, manifest, columns, (false, true)));
    }
}

/// `slow (env) in plain: machine 2 disagrees: +4.1 ns against +1.2 ns`; `None` where the machines may agree.
fn disagreement(workload: &WorkloadAnalysis, row: &Effect, alarm: f64) -> Option<String> {
    let over = row.machines.as_deref()?;
    let (machine, own, others) = over.disagreeing(alarm)?;
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let of_machine = over.told.each.iter().find(|one| one.machine == machine).map(|one| one.value)?;
    let told = |value: f64| {
        let value = unit.estimate(row.told_as_cost(Estimate { value, interval: None, blocks: 0 }));
        let ends = unit.estimate(row.told_as_cost(of_machine)).interval;
        format!("{} {}", signed_point(value.value, ends), unit.label()).trim_end().to_owned()
    };
    Some(format!(
        "{}{} in {}: machine {} disagrees: {} against {}{}",
        label(row),
        row.arm.map_or_else(String::new, |arm| format!(" ({})", arm.as_str())),
        workload.name,
        u64::from(machine) + 1,
        told(own),
        told(others),
        if over.told.each.len() > 2 { " on the others" } else { "" }
    ))
}

/// The machines by their facts.
fn there(manifest: &Manifest) -> Table {
    const FACTS: [&str; 4] = ["cpu", "cores", "memory", "kernel"];
    let header = ["machine".to_owned(), "blocks".to_owned()].into_iter();
    let mut table = Table::new(header.chain(FACTS.iter().map(|fact| format!("={fact}"))));
    for (at, machine) in manifest.machines.iter().enumerate() {
        let own = manifest.shards.iter().filter(|shard| shard.machine == machine.id);
        let blocks: u32 = own.map(|shard| shard.blocks_of(manifest.blocks)).sum();
        // Shards whose machine is not known count as one machine each, and cannot be told apart afterwards.
        let blocks = if machine.id.is_empty() { MISSING.to_owned() } else { blocks.to_string() };
        let mut row = vec![(at + 1).to_string(), blocks];
        let fact = |name: &&str| machine.facts.get(*name).cloned().flatten().unwrap_or_else(|| MISSING.to_owned());
        row.extend(FACTS.iter().map(fact));
        table.row(row);
    }
    table
}

fn meaning(machines: usize) -> String {
    let decides = match machines < DECIDING {
        true => {
            "Everything in this report is of these machines: two say next to nothing about others, which is why the second \
             interval is wide"
        }
        false => {
            "Rows and verdicts of single factors in this report are of machines like these; Shapley values, gaps, targets \
             and breakdowns are of these machines"
        }
    };
    format!(
        "these machines [95 %]: the mean over them, and where it would be measured on them again. machines like these \
         [95 %]: where the mean of other machines of their kind lies, the variance between machines included (random \
         effects of DerSimonian and Laird, interval of Hartung, Knapp, Sidik and Jonkman). τ: standard deviation of the \
         effect between machines. I²: part of the variance that is between machines. p: probability of such a difference \
         where machines have one effect (Cochran's Q). {decides}."
    )
}

/// One workload: a row for each factor or level, with `each` machine, and with what is said `over` them.
fn effects(
    workload: &WorkloadAnalysis,
    rows: &[Effect],
    manifest: &Manifest,
    columns: usize,
    (each, over): (bool, bool),
) -> Table {
    let single = of_rows(workload, rows, manifest, (each, over), manifest.machines.len() <= COLUMNS);
    match single.width() <= columns {
        true => single,
        false => of_rows(workload, rows, manifest, (each, over), false),
    }
}

fn of_rows(
    workload: &WorkloadAnalysis,
    rows: &[Effect],
    manifest: &Manifest,
    (each, over): (bool, bool),
    is_single: bool,
) -> Table {
    let unit = Unit::of_factors(workload, Unit::LIMIT);
    let name = unit.of_difference();
    let count = manifest.machines.len();
    let mut header = vec!["<factor".to_owned(), "=arm".to_owned()];
    match is_single {
        _ if !each => {}
        true => header.extend((1..=count).map(|machine| format!("{name}\non {machine}"))),
        false => header.push(format!("{name}\nlowest – highest")),
    }
    if over {
        header.extend(["these machines", "machines like these"].map(|which| format!("{which}\n{name} [95 %]")));
        header.extend(["τ", "I²", "p"].map(str::to_owned));
    }
    let mut table = Table::new(header);
    for row in rows {
        let Some(machines) = row.machines.as_deref() else { continue };
        let told = |value: Estimate| unit.estimate(row.told_as_cost(value));
        let with_interval = |value: Estimate| {
            let value = told(value);
            format!("{} {}", signed_point(value.value, value.interval), interval(value.interval))
        };
        let mut cells = vec![label(row), row.arm.map_or("", |arm| arm.as_str()).to_owned()];
        match is_single {
            _ if !each => {}
            true => cells.extend((0..count as u32).map(|machine| on_machine(machines, machine, told))),
            false => cells.push(range(machines, told)),
        }
        if over {
            cells.extend([machines.told.these_machines, machines.told.machines_like_these].map(with_interval));
            cells.push(number(unit.from(machines.told.between)));
            cells.push(part(machines.told.share_between));
            let p = machines.told.p;
            cells.push(if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") });
        }
        table.row(cells);
    }
    table
}

fn on_machine(over: &OverMachines, machine: u32, told: impl Fn(Estimate) -> Estimate) -> String {
    let value = over.told.each.iter().find(|one| one.machine == machine).map(|one| told(one.value));
    value.map_or_else(|| MISSING.to_owned(), |value| signed_point(value.value, value.interval))
}

fn range(over: &OverMachines, told: impl Fn(Estimate) -> Estimate) -> String {
    let mut values: Vec<Estimate> = over.told.each.iter().map(|one| told(one.value)).collect();
    values.sort_by(|a, b| a.value.total_cmp(&b.value));
    let ends = values.first().zip(values.last());
    let shown = |value: &Estimate| signed_point(value.value, value.interval);
    ends.map_or_else(|| MISSING.to_owned(), |(low, high)| format!("{} – {}", shown(low), shown(high)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;
    use ablate_format::{Shard, StudyMachine};

    /// The section of a study of 12 blocks for each machine, in which `cache` costs so much on each and `tick` 5 ns.
    fn shown(costs: &[f64], of: u32, columns: usize) -> String {
        let mut study = Study::new(&["cache", "tick"], &["w"]);
        let machines = costs.len() as u32;
        study.manifest.blocks = 12 * of;
        let shard = |number: u32| Shard { number, of, machine: format!("m{number}") };
        study.manifest.shards = (1..=machines).map(shard).collect();
        let machine = |number: u32| StudyMachine {
            id: format!("m{number}"),
            facts: [("cpu", format!("X{number}")), ("cores", "2".to_owned())]
                .map(|(name, fact)| (name.to_owned(), Some(fact)))
                .into(),
        };
        study.manifest.machines = (1..=machines).map(machine).collect();
        let mut records = study.records(12 * of, |_, cell, block| {
            let cost = costs.get((block % of) as usize).copied().unwrap_or_default();
            1_000.0
                - if cell.starts_with("no-cache") { cost } else { 0.0 }
                - if cell.starts_with("no-tick") { 5.0 } else { 0.0 }
        });
        records.retain(|record| record.block % of < machines);
        records.iter_mut().for_each(|record| record.machine = record.block % of);
        let analysis = analyse(&study.manifest, &records);
        let mut document = Document::default();
        super::machines(&mut document, &study.manifest, &analysis, columns);
        let text = document.terminal(columns);
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        text
    }

    #[test]
    fn machines_that_disagree_come_first_and_both_intervals_are_named() {
        insta::assert_snapshot!("machines_two_disagree_120", shown(&[12.0, 41.0], 2, 120));
        insta::assert_snapshot!("machines_two_disagree_80", shown(&[12.0, 41.0], 2, 80));
        insta::assert_snapshot!("machines_five_80", shown(&[12.0, 14.0, 13.0, 11.0, 12.5], 6, 80));
    }

    #[test]
    fn a_study_that_was_not_divided_has_no_such_section() {
        let study = Study::new(&["cache"], &["w"]);
        let analysis = analyse(&study.manifest, &study.records(12, |_, _, _| 1_000.0));
        let mut document = Document::default();
        super::machines(&mut document, &study.manifest, &analysis, 100);
        assert_eq!(document.terminal(100), "");
    }
}
