//! A study that stops by itself: block after block, until its intervals are narrow enough or its time is over.

use super::rule::{HalfWidth, Rule};
use crate::analyse::{self, Analysis, WorkloadAnalysis};
use crate::progress::human;
use crate::prove;
use crate::run::{self, Context, End, RunError, Session};
use crate::store::{self, Folder, Key, StoreError};
use ablate_format::{CellKind, Manifest};
use ablate_stats::MIN_BLOCKS;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Share of the time that looking at the intervals may take.
const LOOKING: f64 = 0.05;

/// The blocks of a study that stops by itself.
pub(super) struct Adaptive<'a> {
    pub(super) rule: Rule,
    /// Most blocks.
    pub(super) limit: u32,
    pub(super) folder: &'a Folder,
    /// Its `blocks` grow with every block that begins, so that the folder can be read and resumed at any time.
    pub(super) manifest: &'a mut Manifest,
    /// What was run before.
    pub(super) done: &'a BTreeSet<Key>,
}

impl Adaptive<'_> {
    /// Runs blocks until the rule is met. Returns what is to be said about it.
    ///
    /// # Errors
    /// [`RunError`]; the records so far are kept.
    pub(super) fn run(
        &mut self,
        context: &Context<'_>,
        session: &mut Session<'_>,
    ) -> Result<(End, Vec<String>), RunError> {
        let mut clock = Clock::start();
        let mut block = 0;
        while block < self.limit {
            // A block that an earlier runner began is finished whatever it takes; only whole blocks count.
            let begun = block < self.manifest.blocks;
            let is_old = run::is_done(context, block, self.done);
            if !begun {
                if self.rule.budget.is_some_and(|budget| clock.would_exceed(budget.0)) {
                    break;
                }
                if self.is_narrow(block, &mut clock)? {
                    break;
                }
                self.manifest.blocks = block + 1;
                self.folder.write_manifest(self.manifest)?;
            }
            let started = Instant::now();
            if run::block(context, block, session)? == End::Interrupted {
                return Ok((End::Interrupted, Vec::new()));
            }
            if !is_old {
                clock.block(started.elapsed());
            }
            block += 1;
        }
        let analysis = self.look()?;
        let spent = Spent { time: clock.started.elapsed(), blocks: self.manifest.blocks, each: clock.each() };
        let lines = analysis.workloads.iter().map(|workload| told(&self.rule, workload, spent));
        let mut lines: Vec<String> = lines.collect();
        if self.manifest.blocks < self.least() {
            let (blocks, least) = (self.manifest.blocks, self.least());
            lines.push(format!("{blocks} blocks give no interval; {least} do: allow more time"));
        } else if block >= self.limit && self.rule.width.is_some() {
            lines.push(format!("stopped after {} blocks, the most that were allowed", self.limit));
        }
        Ok((End::Complete, lines))
    }

    fn layouts(&self) -> u32 {
        self.manifest.plan.layouts.max(1)
    }

    /// Blocks without which there is no interval: every code layout has one of its own.
    fn least(&self) -> u32 {
        MIN_BLOCKS as u32 * self.layouts()
    }

    /// Whether every workload is narrow enough, as far as there is time to look.
    fn is_narrow(&self, blocks: u32, clock: &mut Clock) -> Result<bool, StoreError> {
        // As many blocks of each code layout, so that none weighs more.
        let is_time = blocks >= self.least() && blocks.is_multiple_of(self.layouts());
        let Some(width) = self.rule.width.filter(|_| is_time && clock.may_look()) else {
            return Ok(false);
        };
        let started = Instant::now();
        let analysis = self.look()?;
        clock.looked(started.elapsed());
        let is_of_interest = |workload: &&WorkloadAnalysis| !is_apart(width, workload);
        Ok(analysis.workloads.iter().filter(is_of_interest).all(|workload| match widest(workload) {
            Some(widest) => widest.half_ns <= width.nanoseconds(widest.baseline_ns),
            // More blocks would not give it an interval.
            None => true,
        }))
    }

    /// What a report would say now.
    fn look(&self) -> Result<Analysis, StoreError> {
        let (_, records, _) = store::read(self.folder.dir())?;
        let (mut records, _) = store::whole_blocks(self.manifest, records);
        prove::prove_together(&self.manifest.plan, &mut records);
        Ok(analyse::analyse(self.manifest, &records))
    }
}

/// Where the time went.
struct Clock {
    started: Instant,
    blocks: u32,
    in_blocks: Duration,
    looking: Duration,
    last_look: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            started: Instant::now(),
            blocks: 0,
            in_blocks: Duration::ZERO,
            looking: Duration::ZERO,
            last_look: Duration::ZERO,
        }
    }

    fn block(&mut self, took: Duration) {
        self.blocks += 1;
        self.in_blocks += took;
    }

    fn looked(&mut self, took: Duration) {
        self.looking += took;
        self.last_look = took;
    }

    /// Mean time of a block; 0 before the first.
    fn each(&self) -> Duration {
        self.in_blocks.checked_div(self.blocks).unwrap_or_default()
    }

    /// Whether one block more would not fit. The first one always does: without it there is nothing.
    fn would_exceed(&self, budget: Duration) -> bool {
        self.blocks > 0 && self.started.elapsed() + self.each() > budget
    }

    fn may_look(&self) -> bool {
        let elapsed = self.started.elapsed().as_secs_f64();
        (self.looking + self.last_look).as_secs_f64() <= LOOKING * elapsed
    }
}

/// The widest interval of a workload.
struct Widest {
    /// Half of its width, nanoseconds per operation.
    half_ns: f64,
    /// Whose it is.
    factor: String,
    /// Value of the baseline, nanoseconds per operation.
    baseline_ns: f64,
    /// Whether it is of a ratio to a peer, whose width people read in percent.
    is_ratio: bool,
}

impl Widest {
    /// A half-width for people.
    fn shown(&self, half_ns: f64) -> String {
        match self.is_ratio {
            true => format!("{:.2} %", 100.0 * half_ns / self.baseline_ns),
            false => shown(half_ns),
        }
    }
}

/// Whether a width in nanoseconds says nothing of a workload, because it is not judged by a latency.
fn is_apart(width: HalfWidth, workload: &WorkloadAnalysis) -> bool {
    matches!(width, HalfWidth::Nanoseconds(_)) && !workload.response.is_latency()
}

/// The widest ratio to a peer, as wide as it makes the baseline: a ratio to a peer that takes a hundred times as long
/// would be a hundred times as wide in the peer's own time.
fn widest_ratio(workload: &WorkloadAnalysis, baseline_ns: f64) -> Option<Widest> {
    let ratios = workload.gaps.iter().filter_map(|gap| Some((gap.gap_ratio?.plus_one(), &gap.peer)));
    let halves = ratios.map(|(ratio, peer)| {
        let half = ratio.interval.map_or(f64::INFINITY, |(lo, hi)| (hi - lo) / 2.0 / ratio.value);
        (half * baseline_ns, peer)
    });
    let (half_ns, peer) = halves.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Widest { half_ns, factor: format!("to {peer}"), baseline_ns, is_ratio: true })
}

/// Over the rows of the attribution table, in the main response, or where there are none over the ratios to peers;
/// `None` when none of them can have an interval. A row whose runs were too often disturbed to give one yet is infinitely
/// wide.
fn widest(workload: &WorkloadAnalysis) -> Option<Widest> {
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let baseline_ns = baseline.and_then(|cell| cell.value(workload.response)).map_or(f64::NAN, |value| value.value);
    if workload.main_effects().all(|effect| !effect.attribution) {
        return widest_ratio(workload, baseline_ns);
    }
    let rows = workload.main_effects().filter(|effect| effect.attribution);
    let halves = rows.filter(|effect| effect.estimate.is_some()).map(|effect| {
        let ends = effect.hi.zip(effect.lo);
        (ends.map_or(f64::INFINITY, |(hi, lo)| (hi - lo) / 2.0), &effect.factor)
    });
    let (half_ns, factor) = halves.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Widest { half_ns, factor: factor.clone(), baseline_ns, is_ratio: false })
}

/// What a study took.
#[derive(Clone, Copy)]
struct Spent {
    time: Duration,
    blocks: u32,
    each: Duration,
}

/// What was reached in a workload, and what more time would buy: half-widths fall with the square root of the blocks.
fn told(rule: &Rule, workload: &WorkloadAnalysis, spent: Spent) -> String {
    let name = &workload.name;
    let Some(widest) = widest(workload) else {
        return format!("{name}: no source has an interval after {} blocks", spent.blocks);
    };
    let Widest { half_ns, factor, baseline_ns, .. } = &widest;
    let (half_ns, baseline_ns) = (*half_ns, *baseline_ns);
    if half_ns.is_infinite() {
        let blocks = spent.blocks;
        let why = if blocks < MIN_BLOCKS as u32 { "" } else { ": its runs were too often disturbed or failed" };
        return format!("{name}: {factor} has no interval after {blocks} blocks{why}");
    }
    let reached =
        format!("{name}: the widest interval is ± {} ({factor}) after {} blocks", widest.shown(half_ns), spent.blocks);
    let goal = rule.width.filter(|width| !is_apart(*width, workload));
    let goal = goal.map(|width| (width, width.nanoseconds(baseline_ns)));
    if let Some((width, goal_ns)) = goal {
        let what = match width {
            HalfWidth::Nanoseconds(_) => shown(goal_ns),
            HalfWidth::Share(_) if widest.is_ratio => width.to_string(),
            HalfWidth::Share(_) => format!("{width}, {}", shown(goal_ns)),
        };
        if half_ns <= goal_ns {
            return format!("{reached}, which is narrow enough (± {what})");
        }
        let blocks = (f64::from(spent.blocks) * (half_ns / goal_ns).powi(2)).ceil();
        let more = blocks - f64::from(spent.blocks);
        let time = Duration::try_from_secs_f64(more * spent.each.as_secs_f64()).unwrap_or(Duration::MAX);
        return format!("{reached}; ± {what} would take about {blocks} blocks, {} more", human(time));
    }
    let time = rule.budget.map_or(spent.time, |budget| budget.0);
    let more = if spent.each.is_zero() { 0.0 } else { time.as_secs_f64() / spent.each.as_secs_f64() };
    let then = half_ns * (f64::from(spent.blocks) / (f64::from(spent.blocks) + more)).sqrt();
    format!("{reached}; another {} would give ± {}", human(time), widest.shown(then))
}

/// Nanoseconds with two digits, in a unit that people read.
fn shown(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e4 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    let digits = match value {
        value if value >= 9.95 => 0,
        value if value >= 0.01 => 2,
        _ => 5,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    #[test]
    fn widths_are_said_in_units_that_people_read() {
        assert_eq!((shown(0.417), shown(34.2), shown(45_300.0)), ("0.42 ns".into(), "34 ns".into(), "45 µs".into()));
        assert_eq!(shown(1_500_000.0), "1.50 ms");
    }

    #[test]
    fn a_budget_holds_whole_blocks_and_at_least_one() {
        let mut clock = Clock::start();
        assert!(!clock.would_exceed(Duration::ZERO));
        clock.block(Duration::from_secs(10));
        assert_eq!(clock.each(), Duration::from_secs(10));
        assert!(clock.would_exceed(Duration::from_secs(9)));
        assert!(!clock.would_exceed(Duration::from_secs(3600)));
    }

    #[test]
    fn looking_takes_its_share_and_no_more() {
        let mut clock = Clock::start();
        clock.started = Instant::now().checked_sub(Duration::from_secs(100)).expect("the machine runs for longer");
        assert!(clock.may_look());
        clock.looked(Duration::from_secs(2));
        assert!(clock.may_look());
        clock.looked(Duration::from_secs(2));
        assert!(!clock.may_look());
    }

    fn analysis() -> Analysis {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = Vec::new();
        for block in 0..12 {
            let wobble = f64::from(block % 4);
            records.push(study.timing("w", "baseline", block, 100.0 + wobble));
            records.push(study.timing("w", "placebo", block, 100.0 + wobble));
            records.push(study.timing("w", "no-cache@env", block, 90.0 - wobble));
        }
        analyse::analyse(&study.manifest, &records)
    }

    #[test]
    fn a_row_that_has_no_interval_yet_is_not_narrow() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = Vec::new();
        for block in 0..MIN_BLOCKS as u32 {
            for (cell, ns) in [("baseline", 100.0), ("placebo", 100.0), ("no-cache@env", 90.0)] {
                // One run of the six is missing.
                if block > 0 || cell != "no-cache@env" {
                    records.push(study.timing("w", cell, block, ns));
                }
            }
        }
        let analysis = analyse::analyse(&study.manifest, &records);
        let widest = widest(&analysis.workloads[0]).expect("it could have one");
        assert_eq!((widest.half_ns, widest.factor.as_str()), (f64::INFINITY, "cache"));
        let rule = Rule { width: Some("1ms".parse().expect("good")), budget: None };
        let spent = Spent { time: Duration::from_secs(6), blocks: 6, each: Duration::from_secs(1) };
        let line = told(&rule, &analysis.workloads[0], spent);
        assert!(line.contains("cache has no interval after 6 blocks"), "{line}");
    }

    #[test]
    fn without_sources_it_is_the_ratios_to_peers_that_must_be_narrow() {
        let mut study = Study::new(&[], &["w"]);
        study.manifest.plan.contrasts.retain(|contrast| contrast.contrast == "placebo");
        let records = study.records(12, |_, cell, block| match cell {
            "peer-slow" => 1e6 + f64::from(block % 3) * 1e5,
            _ => 2_000.0,
        });
        let mut analysis = analyse::analyse(&study.manifest, &records);
        let found = widest(&analysis.workloads[0]).expect("there are ratios");
        assert!(found.is_ratio && found.factor == "to slow", "{}", found.factor);
        let share = found.half_ns / 2_000.0;
        assert!(share > 0.01 && share < 0.2, "{share}");
        let rule = Rule { width: Some("50%".parse().expect("good")), budget: None };
        let spent = Spent { time: Duration::from_secs(12), blocks: 12, each: Duration::from_secs(1) };
        let line = told(&rule, &analysis.workloads[0], spent);
        assert!(line.contains(" % (to slow) after 12 blocks, which is narrow enough (± 50%)"), "{line}");
        analysis.workloads[0].response = ablate_format::MainResponse::RssPeak;
        assert!(is_apart("5ns".parse().expect("good"), &analysis.workloads[0]));
        assert!(!is_apart("5%".parse().expect("good"), &analysis.workloads[0]));
    }

    #[test]
    fn what_was_reached_and_what_more_would_buy_is_said() {
        let analysis = analysis();
        let workload = &analysis.workloads[0];
        let found = widest(workload).expect("there is an interval");
        assert!(found.half_ns > 0.0 && found.factor == "cache", "{}", found.half_ns);
        let spent = Spent { time: Duration::from_secs(12), blocks: 12, each: Duration::from_secs(1) };
        let say = |width: Option<&str>, budget: Option<&str>| {
            let rule = Rule {
                width: width.map(|width| width.parse().expect("good")),
                budget: budget.map(|budget| budget.parse().expect("good")),
            };
            told(&rule, workload, spent)
        };
        assert!(say(Some("1ms"), None).contains("narrow enough"), "{}", say(Some("1ms"), None));
        // A quarter of the width takes sixteen times the blocks.
        let quarter = format!("{}ns", found.half_ns / 4.0);
        assert!(
            say(Some(&quarter), None).contains("about 192 blocks, 3 min 0 s more"),
            "{}",
            say(Some(&quarter), None)
        );
        // Four times the blocks give half the width.
        let half = format!("another 36 s would give ± {}", shown(found.half_ns / 2.0));
        assert!(say(None, Some("36s")).contains(&half), "{}", say(None, Some("36s")));
    }
}
