//! Unit costs of this machine, once per block. This program measures them in a process of its own, between the
//! processes of the study. A failure is noted and does not end the study.

use super::context::{Context, End, RunError};
use super::process::{self, Exit, Finished, Launch};
use crate::store::{Key, RecordWriter, key};
use crate::support::interrupt;
use crate::support::progress::note;
use crate::unit_costs::Line;
use ablate_format::{Pass, Record};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Name of the hidden subcommand, and of workload and cell of its records.
pub(super) const NAME: &str = "unit-costs";

/// Time limit, far above the 12 ms that the process takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Measures unit costs until a measurement fails.
#[derive(Debug, Default)]
pub(super) struct UnitCosts {
    has_failed: bool,
}

impl UnitCosts {
    /// Measures the unit costs for one block, unless that is done already.
    pub(super) fn step(
        &mut self,
        context: &Context<'_>,
        block: u32,
        records: &mut RecordWriter<File>,
        done: &BTreeSet<Key>,
    ) -> Result<End, RunError> {
        if interrupt::asked() {
            return Ok(End::Interrupted);
        }
        let mut record = Record::new(Pass::UnitCosts, block, NAME, NAME);
        // A study without counts cannot use unit costs.
        if self.has_failed || context.study.counting_repeats == 0 || done.contains(&key(&record)) {
            return Ok(End::Complete);
        }
        let outcome = match launch(context) {
            Ok(launch) => process::run(&launch).map_err(|e| e.to_string()),
            Err(why) => Err(why),
        };
        match outcome.and_then(|finished| filled(&mut record, finished)) {
            Ok(End::Complete) => records.append(&record)?,
            Ok(End::Interrupted) => return Ok(End::Interrupted),
            Err(why) => {
                note(&format!("the cost of page faults and system calls on this machine stays unknown: {why}"));
                self.has_failed = true;
            }
        }
        Ok(End::Complete)
    }
}

fn launch(context: &Context<'_>) -> Result<Launch<'static>, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
    let program = CString::new(program.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    Ok(Launch {
        argv: vec![c"ablate".to_owned(), CString::new(NAME).map_err(|e| e.to_string())?],
        program,
        envp: Vec::new(),
        directory: None,
        cpus: Some(context.cpus.pinned),
        aslr: true,
        timeout: TIMEOUT,
        counters: None,
        counter_pass: None,
        stdin: None,
        heeds_interrupt: true,
        samples_memory: false,
    })
}

fn filled(record: &mut Record, finished: Finished) -> Result<End, String> {
    match finished.exit {
        Exit::Code(0) => {}
        Exit::Interrupted => return Ok(End::Interrupted),
        exit => {
            let said = String::from_utf8_lossy(&finished.stderr_tail);
            let line = said.lines().next().unwrap_or("it printed no message");
            return Err(format!("`cargo ablate {NAME}` ended with {exit:?}: {line}"));
        }
    }
    let text = String::from_utf8_lossy(&finished.stdout);
    let line: Line =
        serde_json::from_str(text.trim()).map_err(|e| format!("`cargo ablate {NAME}` did not print its line: {e}"))?;
    record.unit_costs_ns = line.unit_costs_ns;
    record.wall_ns = finished.wall_ns;
    record.process_page_faults = finished.page_faults;
    record.process_rss_peak_bytes = finished.rss_peak_bytes;
    record.runner_rss_bytes = finished.runner_rss_bytes;
    record.cpu_ns = finished.cpu_ns;
    record.context_switches = Some(finished.context_switches);
    record.steal_ticks = finished.steal_ticks;
    Ok(End::Complete)
}
