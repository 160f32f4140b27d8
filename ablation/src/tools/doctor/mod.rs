//! `cargo ablate doctor`: tells what this machine can measure, what measuring costs, what is missing and why, and how
//! small an effect can be shown in a given time. Every number was measured by this call.

mod contention_probe;
mod costs;
mod forecast;
mod trial;

use crate::builds;
use crate::measure::{GROUPS, Probed, find_tool, probe_groups};
use crate::report::document::{Document, Table};
use crate::report::head::unavailable;
use crate::report::number::{MISSING, count, number};
use crate::run::{self, Cpus};
use crate::support::interrupt;
use crate::support::machine::machine;
use crate::support::settings::Settings;
use crate::support::steal;
use crate::tools::cells::CellsError;
use ablate_format::Machine;
use contention_probe::{Contention, ContentionProbes};
use costs::{Costs, Floor};
use forecast::Spread;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use trial::{Trial, trial};

/// The contention probe: nanoseconds per step of work that never changes and keeps many execution units busy.
pub(crate) fn contention_probe() -> f64 {
    ablate_probe::contention_probe_ns()
}

/// Checks everything and returns the text, at most as wide as the settings say. `time` is for measuring how much equal
/// processes differ; all other checks together take some seconds more.
///
/// # Errors
/// [`CellsError`] when processes cannot be started.
pub(crate) fn run(time: Duration, settings: &Settings) -> Result<String, CellsError> {
    let prepared = |step: &'static str, result: std::io::Result<()>| {
        result.map_err(|e| CellsError::Impossible { what: format!("cannot prepare: {step}: {e}; free descriptors") })
    };
    // These start programs, which [`run::become_reaper`] would end.
    let facts = machine(Path::new("."));
    let probed = probe_groups(&GROUPS.map(str::to_owned));
    let tools = tools();
    let shuffles = builds::shuffles(Path::new("."));
    prepared("signal handlers", interrupt::install())?;
    prepared("becoming the reaper of orphans", run::become_reaper())?;
    let steal = steal::ticks();
    let cpus = Cpus::take().map_err(|e| CellsError::Impossible {
        what: format!("cannot choose processors: {e}; allow sched_setaffinity"),
    })?;
    let contention_probes = contention_probe::on(&cpus.pinned(), ContentionProbes::take);
    let contention = Contention::measure(&cpus, &contention_probes);
    let costs = Costs::measure(&probed, &cpus)?;
    let floor = Floor::measure(&cpus)?;
    let spread = Spread::measure(&cpus, time)?;
    let stolen = steal.zip(steal::ticks()).map(|(before, after)| after.saturating_sub(before));
    let mut document = Document::default();
    document.title("cargo ablate doctor");
    about_machine(&mut document, &facts, stolen);
    about_instruments(&mut document, &probed, &costs);
    about_tools(&mut document, tools, shuffles);
    about_noise(&mut document, &contention_probes, &contention, &floor);
    about_forecast(&mut document, &spread);
    Ok(document.terminal(settings.columns))
}

fn about_machine(document: &mut Document, machine: &Machine, stolen: Option<u64>) {
    document.heading("Machine");
    let fact = |name: &str| machine.facts.get(name).cloned().flatten();
    let mut table = Table::new(["<fact", "=value", "=what it means"]);
    let aslr = match (fact("aslr").as_deref(), fact("aslr-off-for-counting").as_deref()) {
        (_, Some("refused")) => "cannot be switched off here: page faults vary by ± 2; allow personality(2)",
        (Some("0"), _) => "off for everything: each cell keeps one layout of addresses; kernel.randomize_va_space = 2",
        _ => "can be switched off for counting",
    };
    let governor = match fact("governor").as_deref() {
        Some("performance") => "good",
        Some(_) => "the clock follows the load; `performance` is steadier",
        None => "no frequency control seen, as in most virtual machines",
    };
    let virtual_machine = match fact("virtual").as_deref() {
        Some("yes") => "the host may take time away",
        _ => "",
    };
    let paranoid = "above 1 only root and CAP_PERFMON may count in the kernel";
    let thp = "`always` and `madvise` make some page faults huge";
    let rows = [
        ("cpu", ""),
        ("cores", ""),
        ("kernel", ""),
        ("memory", ""),
        ("virtual", virtual_machine),
        ("thp", thp),
        ("thp-defrag", ""),
        ("aslr", aslr),
        ("governor", governor),
        ("perf_event_paranoid", paranoid),
        ("load", "other programs disturb what is measured"),
        ("steal_percent", "of all time since the machine started, given to others by the host"),
    ];
    for (name, meaning) in rows {
        table.row([name.to_owned(), fact(name).unwrap_or_else(|| MISSING.to_owned()), meaning.to_owned()]);
    }
    let stolen = stolen.map_or_else(|| MISSING.to_owned(), |ticks| format!("{} ticks", count(ticks as usize)));
    table.row(["steal now", &stolen, "while this call ran"]);
    document.table(table);
}

fn about_instruments(document: &mut Document, probed: &Probed, costs: &Costs) {
    document.heading("Instruments");
    let mut table = Table::new(["=instrument", "=origin", "=exact", "=slows", "=by (measured)"]);
    let mut rows: Vec<([String; 4], Vec<&str>)> = Vec::new();
    for status in probed.status.iter().filter(|status| status.unavailable.is_none()) {
        let exact = if status.exact { "yes" } else { "no" };
        let cost = costs.of(status).unwrap_or_else(|| MISSING.to_owned());
        let same = [status.origin.clone(), exact.to_owned(), status.cost.clone(), cost];
        match rows.iter_mut().find(|(known, _)| *known == same) {
            Some((_, names)) => names.push(&status.name),
            None => rows.push((same, vec![&status.name])),
        }
    }
    for (same, names) in rows {
        table.row(std::iter::once(names.join(", ")).chain(same));
    }
    for (name, how) in [("wall, cpu", "no"), ("rss-peak-bytes", "yes")] {
        table.row([name, "kernel", how, "nothing", "0 (wait4, clock)"]);
    }
    document.table(table);
    document.text(costs.together());
    for (names, why) in unavailable(&probed.status) {
        document.item(format!("{MISSING}: {}: {why}", names.join(", ")));
    }
}

fn about_tools(document: &mut Document, tools: Vec<[String; 3]>, shuffles: Result<(), String>) {
    document.heading("Tools");
    let mut table = Table::new(["<tool", "=version", "=for"]);
    for row in tools {
        table.row(row);
    }
    let linker = match shuffles {
        Ok(()) => "shuffles sections".to_owned(),
        Err(why) => why,
    };
    table.row(["linker", &linker, "several code layouts of a build"]);
    document.table(table);
}

/// One row per tool: name, version or the package to install, and its use.
fn tools() -> Vec<[String; 3]> {
    let uses = [
        ("perf", "linux-perf", "`cargo ablate profile`"),
        ("valgrind", "valgrind", "the group callgrind; `cargo ablate profile` without perf"),
        ("strace", "strace", "the group strace; kinds of calls for `cargo ablate syscalls`"),
    ];
    let version = |name: &str, package: &str| {
        let missing = || format!("not on the PATH; install the package {package}");
        let Some(path) = find_tool(name) else { return missing() };
        let out = Command::new(path).arg("--version").stdin(Stdio::null()).output();
        let line = out.map(|out| String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned());
        line.ok()
            .filter(|line| !line.is_empty())
            .unwrap_or_else(|| "does not say its version; install it again".to_owned())
    };
    uses.map(|(name, package, what)| [name.to_owned(), version(name, package), what.to_owned()]).into()
}

fn about_noise(document: &mut Document, contention_probes: &ContentionProbes, contention: &Contention, floor: &Floor) {
    document.heading("Noise");
    let mut table = Table::new(["<what", "value", "=meaning"]);
    let modes = match contention_probes.modes {
        1 => "one peak: the processor has one speed",
        _ => "several peaks: something else runs on it at times",
    };
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    table.row([
        "contention probe, 2nd percentile",
        &format!("{:.3} ns", contention_probes.low),
        "per step when nothing disturbs",
    ]);
    table.row(["contention probe, median", &format!("{:.3} ns", contention_probes.median), ""]);
    table.row([
        "contention probes within 8 %",
        &percent(contention_probes.share),
        "timed batches that a study would retain now",
    ]);
    table.row(["peaks of the contention probe", &contention_probes.modes.to_string(), modes]);
    let busy = contention.ratio.map_or_else(|| MISSING.to_owned(), |ratio| format!("{ratio:.2} ×"));
    table.row(["contention probe, neighbour busy", &busy, contention.meaning()]);
    table.row([
        "reading the clock",
        &format!("{} ns", number(floor.clock_ns)),
        "timed batches should take 1,000 times as long",
    ]);
    table.row(["fork, exec, exit", &format!("{} ms", number(floor.process_ms)), "of a program that does nothing"]);
    let runner = "around it: pipes, reaping, sweeping";
    table.row(["the runner's part", &format!("{} ms", number(floor.runner_ms)), runner]);
    document.table(table);
}

fn about_forecast(document: &mut Document, spread: &Spread) {
    document.heading("Smallest effect that a study of two cells would find four times in five");
    let mut table = Table::new(["<time for timing", "blocks", "of the time of an operation", "of 100 ns"]);
    for (name, seconds) in [("10 s", 10.0), ("1 min", 60.0), ("5 min", 300.0)] {
        let (blocks, mde) = spread.forecast(seconds);
        let [share, of_100] = mde.map_or([MISSING.to_owned(), MISSING.to_owned()], |mde| {
            [format!("{} %", small(100.0 * mde)), format!("{} ns", small(100.0 * mde))]
        });
        table.row([name.to_owned(), count(blocks), share, of_100]);
    }
    document.table(table);
    document.text(format!(
        "From {} pairs of equal processes of {} ms that allocate and free ({} ns per operation), pinned, as a study would \
         time them (20 % trimmed mean of the differences, 95 % confidence, power 80 %). Longer processes, more cells and \
         more workloads give fewer blocks in the same time; other programs may vary more.",
        count(spread.pairs),
        number(spread.process_ms),
        number(spread.operation_ns)
    ));
}

/// Two significant digits, however small.
fn small(value: f64) -> String {
    let decimals = if value > 0.0 { (1.0 - value.log10().floor()).clamp(0.0, 6.0) } else { 0.0 };
    format!("{value:.*}", decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_keep_two_digits() {
        assert_eq!([0.00123, 0.0456, 1.23, 45.6].map(small), ["0.0012", "0.046", "1.2", "46"]);
    }

    #[test]
    fn tools_have_a_version_or_a_way_to_get_one() {
        for [name, version, what] in tools() {
            assert!(version.chars().any(|c| c.is_ascii_digit()) || version.contains("install"), "{name}: {version}");
            assert!(!what.is_empty());
        }
    }
}
