//! Resident memory of runs and cells: the peak, the mean over time, and what is left at the end.

use super::index::{CellRuns, Timed};
use ablate_format::effects::Estimate;
use ablate_stats::order;

/// Name of the program's own value for what it has resident when its work is done.
const OWN_AFTER: &str = "rss_after_bytes";

/// A number of one run.
pub(super) type Value = fn(&Timed) -> Option<f64>;

/// Peak of a run in bytes, where it is surely not the runner's.
pub(super) fn peak(run: &Timed) -> Option<f64> {
    run.record.rss_peak_bytes.filter(|bytes| *bytes > 0).map(|bytes| bytes as f64)
}

/// Mean over the time of a run in bytes, where it was long enough to be sampled.
pub(super) fn mean(run: &Timed) -> Option<f64> {
    run.record.rss_mean_bytes.map(|bytes| bytes as f64)
}

/// What a run has resident when its work is done, in bytes: as the program reports it, else the last sample.
fn after(run: &Timed) -> Option<f64> {
    let own = run.record.measured.as_ref().and_then(|measured| measured.value(OWN_AFTER));
    own.or_else(|| run.record.rss_last_bytes.map(|bytes| bytes as f64))
}

/// Resident bytes of one cell, medians over the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Memory {
    /// Most that was resident.
    pub(crate) peak: Option<Estimate>,
    /// Mean over the time.
    pub(crate) mean: Option<Estimate>,
    /// What is resident when the work is done.
    pub(crate) after: Option<Estimate>,
}

/// The memory of a cell.
pub(super) fn of(cell: &CellRuns) -> Memory {
    let over_blocks = |value: Value| {
        let values = order::sorted(&cell.timing.values().filter_map(value).collect::<Vec<_>>());
        order::percentile(&values, 0.5).map(|median| Estimate {
            value: median,
            interval: order::sign_test_interval(&values),
            blocks: values.len(),
        })
    };
    Memory { peak: over_blocks(peak), mean: over_blocks(mean), after: over_blocks(after) }
}

#[cfg(test)]
mod tests {
    use crate::analyse::fixture::Study;
    use crate::analyse::{Effect, Response, Verdict, analyse};
    use ablate_format::MainResponse;

    #[test]
    fn memory_is_judged_beside_time_and_its_sign_is_its_own() {
        let study = Study::new(&["cache", "tick"], &["w"]);
        // The cache costs memory and saves time; tick costs neither.
        let mut records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 1_200.0 } else { 1_000.0 });
        for record in &mut records {
            let held = if record.cell.starts_with("no-cache") { 20 } else { 30 };
            let jitter = u64::from(record.block % 3) << 10;
            record.process_rss_peak_bytes = (held << 20) + jitter;
            record.rss_mean_bytes = Some((held << 19) + jitter);
            record.rss_last_bytes = Some(1 << 20);
        }
        let workload = analyse(&study.manifest, &records).workloads.remove(0);
        let row = |factor: &str, response| -> &Effect {
            let of = |e: &&Effect| e.factor == factor && e.contrast == "on-off" && e.response == response;
            workload.effects.iter().find(of).expect("a row")
        };
        assert_eq!(row("cache", Response::LatencyNsP10).verdict, Verdict::Saves);
        let peak = row("cache", Response::RssPeakBytes);
        assert_eq!((peak.verdict, peak.estimate), (Verdict::Costs, Some(f64::from(10 << 20))));
        assert!((peak.of_baseline.unwrap() - 1.0 / 3.0).abs() < 1e-3, "{peak:?}");
        assert_eq!(row("cache", Response::RssMeanBytes).verdict, Verdict::Costs);
        assert_eq!(row("tick", Response::RssPeakBytes).verdict, Verdict::NotDetected);
        let baseline = &workload.cells[0].memory;
        let value = |of: Option<ablate_format::effects::Estimate>| of.expect("is there").value;
        assert_eq!((value(baseline.after), value(baseline.mean) > value(baseline.after)), (f64::from(1 << 20), true));
    }

    #[test]
    fn runs_that_were_too_short_have_no_mean_and_no_row_of_it() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = study.records(12, |_, _, _| 1_000.0);
        records.iter_mut().for_each(|record| record.process_rss_peak_bytes = 5 << 20);
        let workload = analyse(&study.manifest, &records).workloads.remove(0);
        assert!(workload.effects.iter().all(|effect| effect.response != Response::RssMeanBytes));
        assert!(workload.effects.iter().any(|effect| effect.response == Response::RssPeakBytes));
        assert_eq!(workload.cells[0].memory.mean, None);
        // The peak of a workload that is judged by it has one row, not two.
        let mut study = study;
        study.manifest.plan.workloads[0].response = MainResponse::RssPeak;
        let workload = analyse(&study.manifest, &records).workloads.remove(0);
        let rows = workload.effects.iter().filter(|e| e.factor == "cache" && e.contrast == "on-off");
        assert_eq!(rows.filter(|e| e.response == Response::RssPeakBytes).count(), 1);
    }
}
