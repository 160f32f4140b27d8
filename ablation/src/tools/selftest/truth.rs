//! The true costs as the processes of a study tell them, with their intervals. Pure functions.
//!
//! Every process tells what each factor costs in it, at the levels that it has (`synthetic.rs`). The median over the
//! processes of a block is one value, and the blocks give the interval, as they do for estimates.

use super::factors::{FACTORS, LEFT, RIGHT};
use super::synthetic::{BY_STAMPS, TOGETHER, TOUCH};
use ablate_format::effects::Estimate;
use ablate_format::{Measured, Pass, Record, Status};
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::order::median;
use ablate_stats::series::{Series, draw};
use std::collections::BTreeMap;

/// A contention probe this much above the best of a study was disturbed.
const CALM: f32 = 1.08;

/// One process of so many may have a better probe than the best: a processor that for once ran at a higher clock.
const ODD: usize = 100;

/// What one process told, and which factors were on.
struct Told<'a> {
    block: u32,
    run: &'a Measured,
}

/// What all undisturbed processes told.
pub(super) struct Truth<'a> {
    told: Vec<Told<'a>>,
    blocks: usize,
    seed: u64,
}

impl<'a> Truth<'a> {
    /// From the valid timing runs that had a quiet moment.
    pub(super) fn of(records: &'a [Record], seed: u64) -> Truth<'a> {
        let timed = records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok);
        let mut told: Vec<Told> =
            timed.filter_map(|record| Some(Told { block: record.block, run: record.measured.as_ref()? })).collect();
        let probe = |run: &Measured| run.contention_probes_ns.iter().copied().fold(f32::INFINITY, f32::min);
        let mut probes: Vec<f32> = told.iter().map(|told| probe(told.run)).collect();
        probes.sort_by(f32::total_cmp);
        let best = probes.get(probes.len() / ODD).copied().unwrap_or(f32::INFINITY);
        told.retain(|told| probe(told.run) <= CALM * best);
        let blocks = told.iter().map(|told| told.block as usize + 1).max().unwrap_or(0);
        Truth { told, blocks, seed }
    }

    /// Cost of a factor by switching it, nanoseconds per operation. Of a crossed one the Shapley value: with the half of
    /// its joint cost with the other side.
    pub(super) fn switched(&self, at: usize) -> Option<Drawn> {
        let name = FACTORS[at].name;
        let Some(other) = beside(at) else { return self.drawn(&|run| run.truth_ns.get(name).copied()) };
        // Cells beside the factorial have every other factor on, so that neither context may count for more.
        let [with, without] = self.contexts(at, other)?;
        Some(with.combine(&without, |with, without| (with + without) / 2.0))
    }

    /// Cost of a factor by stamps, likewise.
    pub(super) fn stamped(&self, at: usize) -> Option<Drawn> {
        let name = format!("{} {BY_STAMPS}", FACTORS[at].name);
        let own = self.drawn(&|run| run.truth_ns.get(&name).copied())?;
        match beside(at) {
            None => Some(own),
            Some(_) => Drawn::linear([(1.0, &own), (0.5, &self.drawn(&|run| run.truth_ns.get(TOGETHER).copied())?)]),
        }
    }

    /// Cost of the fresh pages of a batch by stamps, nanoseconds per operation.
    pub(super) fn touched(&self) -> Option<Drawn> {
        self.drawn(&|run| run.truth_ns.get(TOUCH).copied())
    }

    /// Joint cost of `left` and `right` by stamps.
    pub(super) fn together(&self) -> Option<Drawn> {
        self.drawn(&|run| run.truth_ns.get(TOGETHER).copied())
    }

    /// Cost of the feature of `planted/main.rs` by switching it, nanoseconds per operation.
    pub(super) fn cost(&self) -> Option<Drawn> {
        self.drawn(&|run| run.truth_ns.get("cost").copied())
    }

    /// The same by stamps.
    pub(super) fn cost_by_stamps(&self) -> Option<Drawn> {
        self.drawn(&|run| run.truth_ns.get("cost by-stamps").copied())
    }

    /// How much more a factor costs while another one is on, by switching it.
    pub(super) fn interaction(&self, at: usize, other: usize) -> Option<Drawn> {
        let [with, without] = self.contexts(at, other)?;
        Some(with.combine(&without, |with, without| with - without))
    }

    /// Cost of a factor by switching it where another one is on, and where it is off.
    fn contexts(&self, at: usize, other: usize) -> Option<[Drawn; 2]> {
        let (name, other) = (FACTORS[at].name, FACTORS[other].name);
        let of = |level: &str| {
            self.drawn(&|run| {
                let is_meant = run.levels.get(other).is_some_and(|there| there == level);
                run.truth_ns.get(name).copied().filter(|_| is_meant)
            })
        };
        Some([of("on")?, of("off")?])
    }

    /// One value for each block: the median over its processes.
    fn drawn(&self, value: &dyn Fn(&Measured) -> Option<f64>) -> Option<Drawn> {
        let mut by_block: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for told in &self.told {
            if let Some(value) = value(told.run) {
                by_block.entry(told.block as usize).or_default().push(value);
            }
        }
        let values = by_block.iter().filter_map(|(block, values)| Some((*block, median(values)?)));
        let series = Series::new(values);
        let drawn = (!series.is_empty()).then(|| draw(&[series], self.blocks, DRAWS, self.seed));
        drawn?.pop()
    }
}

/// The factor that a factor has a joint cost with.
fn beside(at: usize) -> Option<usize> {
    match at {
        LEFT => Some(RIGHT),
        RIGHT => Some(LEFT),
        _ => None,
    }
}

/// A truth as a value with its interval.
pub(super) fn estimate(drawn: &Drawn) -> Estimate {
    Estimate { value: drawn.point, interval: drawn.interval(), blocks: drawn.blocks }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::tests::record;

    /// A timing run of a block with these levels off, and what it tells.
    pub(in super::super) fn told(block: u32, off: &[&str], truth: &[(&str, f64)]) -> Record {
        let mut record = record(Pass::Timing, block, "w", "c");
        let line = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"batches","samples":5,
            "latency_ns_p10":1,"latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2}"#;
        let measured = record.measured.insert(serde_json::from_str(line).expect("a result line"));
        for factor in &FACTORS {
            let level = if off.contains(&factor.name) { "off" } else { "on" };
            measured.levels.insert(factor.name.to_owned(), level.to_owned());
        }
        measured.truth_ns = truth.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect();
        record
    }

    #[test]
    fn a_truth_is_the_middle_of_blocks_and_of_what_their_processes_tell() {
        let mut records: Vec<Record> = Vec::new();
        for block in 0..10 {
            for more in [0.0, 1.0, 90.0] {
                records.push(told(block, &[], &[("ten", 10.0 + more + f64::from(block % 2))]));
            }
        }
        let mut invalid = told(3, &[], &[("ten", 99.0)]);
        invalid.status = Status::Invalid;
        records.extend(std::iter::repeat_n(invalid, 50));
        let truth = Truth::of(&records, 1);
        let ten = estimate(&truth.switched(2).expect("told"));
        let (lo, hi) = ten.interval.expect("ten blocks");
        assert!((ten.value - 11.5).abs() < 1e-9 && lo < 11.5 && 11.5 < hi && hi - lo < 1.5, "{ten:?}");
        assert!(truth.switched(3).is_none() && truth.stamped(2).is_none());
    }

    #[test]
    fn both_sides_share_their_joint_cost_whatever_cells_there_are() {
        // `left` costs 1, and 7 more while `right` is on. Most cells have `right` on.
        let mut records: Vec<Record> = Vec::new();
        for block in 0..8 {
            for _ in 0..5 {
                records.push(told(block, &[], &[("left", 8.0), ("left by-stamps", 1.0), (TOGETHER, 7.0)]));
            }
            records.push(told(block, &["right"], &[("left", 1.0)]));
        }
        let truth = Truth::of(&records, 1);
        assert_eq!(truth.switched(LEFT).map(|drawn| drawn.point), Some(4.5));
        assert_eq!(truth.stamped(LEFT).map(|drawn| drawn.point), Some(4.5));
        assert_eq!(truth.interaction(LEFT, RIGHT).map(|drawn| drawn.point), Some(7.0));
    }

    #[test]
    fn a_process_without_a_quiet_moment_tells_nothing() {
        let with_probe = |ns: f32, ten: f64| {
            let mut record = told(0, &[], &[("ten", ten)]);
            record.measured.as_mut().expect("measured").contention_probes_ns = vec![2.0, ns];
            record
        };
        let records = [with_probe(0.5, 10.0), with_probe(0.53, 12.0), with_probe(0.6, 90.0)];
        let truth = Truth::of(&records, 1);
        assert_eq!(truth.switched(2).map(|drawn| drawn.point), Some(11.0));
        // One process at a higher clock does not make all others disturbed.
        let mut many = vec![with_probe(0.5, 10.0); 199];
        many.push(with_probe(0.45, 9.0));
        assert_eq!(Truth::of(&many, 1).told.len(), 200);
    }
}
