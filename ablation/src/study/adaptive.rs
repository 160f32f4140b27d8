//! An adaptive study: it runs block after block until its intervals are narrow enough or its time is over.

use super::clock::Clock;
use super::outlook::Left;
use super::rule::{HalfWidth, Rule};
use super::watch::{Watch, is_look};
use crate::analyse::{self, Table, WorkloadAnalysis};
use crate::prove::{self, Judge, JudgedRun};
use crate::run::{self, Context, End, RunError, Session};
use crate::store::{Folder, Key, StoreError};
use crate::support::count::{counted, counted_verb};
use crate::support::progress::{human, note};
use ablate_format::{CellKind, Manifest, Pass, Record, RecordReader, StudyPlan};
use ablate_stats::MIN_BLOCKS;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// The blocks of an adaptive study.
pub(super) struct Adaptive<'a> {
    pub(super) rule: Rule,
    /// What a comparison looks at, besides the rule.
    pub(super) watch: Option<Watch>,
    /// Most blocks.
    pub(super) limit: u32,
    pub(super) folder: &'a Folder,
    /// The manifest. Its `blocks` grow with every block that begins, so that the folder can be read and resumed at any
    /// time.
    pub(super) manifest: &'a mut Manifest,
    /// What was run before.
    pub(super) done: &'a BTreeSet<Key>,
}

impl Adaptive<'_> {
    /// Runs blocks until the rule is met. Returns the lines to print about it.
    ///
    /// # Errors
    /// [`RunError`]; the records so far are kept.
    pub(super) fn run(
        &mut self,
        context: &Context<'_>,
        session: &mut Session<'_>,
    ) -> Result<(End, Vec<String>), RunError> {
        let plan = &self.manifest.plan;
        let places = plan.workloads.iter().map(|w| plan.cells.iter().filter(|cell| w.runs(&cell.id)).count()).sum();
        let mut clock = Clock::start(places);
        let earlier = self.earlier()?;
        let mut seen = Seen::new(context.plan, self.folder.dir());
        let mut said = Said::default();
        let mut block = 0;
        while block < self.limit {
            // A block that an earlier call began is finished in any case, because only whole blocks count.
            let begun = block < self.manifest.blocks;
            let is_old = run::is_done(context, block, self.done);
            if !begun {
                if self.rule.budget.is_some_and(|budget| clock.would_exceed(budget.0)) {
                    break;
                }
                if self.is_narrow(block, &mut clock, &mut seen)? {
                    break;
                }
                // Only where a look may end it, so that others do not take its time. One more is due in any case, because
                // what the margin needs is to be told in time.
                let due =
                    |left: &Left| (is_look(block) && clock.may_look()) || (!said.is_outlook_told && left.is_due());
                if let Some(left) = self.left(block, &clock).filter(due) {
                    let started = Instant::now();
                    let over = self.watched(&left, &mut seen, &mut said)?;
                    clock.looked(started.elapsed());
                    session.remark(said.short.clone());
                    if over {
                        break;
                    }
                }
                self.manifest.blocks = block + 1;
                self.folder.write_manifest(self.manifest)?;
            }
            let started = Instant::now();
            if run::block(context, block, session)? == End::Interrupted {
                return Ok((End::Interrupted, Vec::new()));
            }
            let before = earlier.get(&block).copied().unwrap_or_default();
            match is_old {
                true => clock.earlier(before),
                false => clock.block(before + started.elapsed()),
            }
            block += 1;
        }
        if self.watch.is_some() {
            return Ok((End::Complete, said.outlook.into_iter().collect()));
        }
        let (workloads, _) = seen.look(self.manifest)?;
        let spent =
            Spent { time: clock.started.elapsed(), blocks: self.manifest.blocks, block_time: clock.block_time() };
        let lines = workloads.iter().map(|workload| outcome_of(&self.rule, workload, spent));
        let mut lines: Vec<String> = lines.collect();
        lines.extend(
            clock.share_of_looks().map(|share| format!("looks took {:.1} % of the time measured", 100.0 * share)),
        );
        if (self.manifest.blocks as usize) < MIN_BLOCKS {
            let give = counted_verb(self.manifest.blocks as usize, "block", ["gives", "give"]);
            lines.push(format!("{give} no interval; {MIN_BLOCKS} blocks are needed, so allow more time"));
        } else if block >= self.limit && self.rule.width.is_some() {
            lines.push(format!("stopped after {}, the maximum", counted(self.limit as usize, "block")));
        }
        Ok((End::Complete, lines))
    }

    /// Time of the processes of each block in earlier calls, so that a study that is continued looks when it would have
    /// looked: one that had ended ends again without a block more.
    fn earlier(&self) -> Result<BTreeMap<u32, Duration>, StoreError> {
        let mut times: BTreeMap<u32, Duration> = BTreeMap::new();
        let add = |record: Record| {
            if record.pass == Pass::Timing {
                *times.entry(record.block).or_default() += Duration::from_nanos(record.wall_ns);
            }
        };
        ablate_format::read_records(self.folder.dir(), add)?;
        Ok(times)
    }

    /// Where a comparison stands. `None` of a study without one, before the first block, and while there are
    /// too few blocks for an interval.
    fn left(&self, blocks: u32, clock: &Clock) -> Option<Left> {
        let block_time = clock.block_time();
        let is_time = blocks as usize >= MIN_BLOCKS && !block_time.is_zero() && self.watch.is_some();
        let budget = self.rule.budget.map(|budget| budget.0);
        is_time.then(|| Left { blocks, block_time, spent: clock.started.elapsed(), budget, limit: self.limit })
    }

    /// Looks at a comparison, says what more time would bring, and returns whether it is over.
    fn watched(&self, left: &Left, seen: &mut Seen, said: &mut Said) -> Result<bool, StoreError> {
        let Some(watch) = self.watch else { return Ok(false) };
        let (workloads, tables) = seen.look(self.manifest)?;
        let judged = |error| (watch.judge)(self.manifest, workloads, tables, watch.margin, error);
        let look = watch.look(judged, left);
        said.short = look.short;
        said.outlook = Some(look.outlook).filter(|outlook| !outlook.is_empty() && look.over.is_none());
        if let Some(why) = look.over {
            note(&format!("stopped after {}: {why}", counted(left.blocks as usize, "block")));
            return Ok(true);
        }
        let Some(outlook) = &said.outlook else {
            said.is_outlook_told |= left.is_due();
            return Ok(false);
        };
        if !said.is_outlook_told && left.is_due() {
            said.is_outlook_told = true;
            note(outlook);
        }
        if !said.is_hopeless_told && look.is_hopeless {
            said.is_hopeless_told = true;
            note(
                "this will most likely end undecided. To decide it, give more time (--max-time, --blocks) or a larger \
                 --margin; to end at this point, --stop undecided",
            );
        }
        Ok(false)
    }

    /// Whether every workload is narrow enough, as far as there is time to look.
    fn is_narrow(&self, blocks: u32, clock: &mut Clock, seen: &mut Seen) -> Result<bool, StoreError> {
        let is_time = blocks as usize >= MIN_BLOCKS;
        let Some(width) = self.rule.width.filter(|_| is_time && clock.may_look()) else {
            return Ok(false);
        };
        let started = Instant::now();
        let (workloads, _) = seen.look(self.manifest)?;
        clock.looked(started.elapsed());
        let is_of_interest = |workload: &&WorkloadAnalysis| !is_apart(width, workload);
        Ok(workloads.iter().filter(is_of_interest).all(|workload| match widest(workload) {
            Some(widest) => widest.half_ns <= width.nanoseconds(widest.baseline_ns),
            // More blocks would not give it an interval.
            None => true,
        }))
    }
}

/// The runs of the study so far. Each record is read and judged by itself once, at the first look after it was written.
struct Seen<'p> {
    reader: RecordReader,
    judge: Judge<'p>,
    runs: Vec<JudgedRun>,
    /// Result of the last look, and the number of runs before it.
    last: (usize, Analysed),
}

/// The workloads of a study with their tables.
type Analysed = (Vec<WorkloadAnalysis>, Vec<Table>);

/// What a comparison was told by its looks.
#[derive(Default)]
struct Said {
    /// For the progress line.
    short: String,
    /// How long the margin takes at the noise of the last look; `None` when the comparison ended because of it.
    outlook: Option<String>,
    is_outlook_told: bool,
    is_hopeless_told: bool,
}

impl<'p> Seen<'p> {
    fn new(plan: &'p StudyPlan, dir: &Path) -> Seen<'p> {
        Seen {
            reader: RecordReader::new(dir),
            judge: Judge::new(plan),
            runs: Vec::new(),
            last: (0, Default::default()),
        }
    }

    /// The workloads as a report would show them now. To be called between blocks, when all of them are whole.
    fn look(&mut self, manifest: &Manifest) -> Result<&Analysed, StoreError> {
        self.reader.read(|record| self.runs.push(self.judge.judge(record)))?;
        if self.runs.len() > self.last.0 {
            let changed = prove::prove_together(&manifest.plan, &mut self.runs);
            self.last = (self.runs.len(), analyse::workloads(manifest, &self.runs));
            prove::undo(&mut self.runs, &changed);
        }
        Ok(&self.last.1)
    }
}

/// The widest interval of a workload.
struct Widest {
    /// Half of its width, nanoseconds per operation.
    half_ns: f64,
    /// The factor or the peer of the interval.
    factor: String,
    /// Value of the baseline, nanoseconds per operation.
    baseline_ns: f64,
    /// Whether the interval is of a ratio to a peer, whose width is shown in percent.
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

/// Whether a width in nanoseconds does not apply to a workload, because its response is not a latency.
fn is_apart(width: HalfWidth, workload: &WorkloadAnalysis) -> bool {
    matches!(width, HalfWidth::Nanoseconds(_)) && !workload.response.is_latency()
}

/// The widest ratio to a peer, as nanoseconds of the baseline. In the time of the peer itself, a ratio to a peer that
/// takes a hundred times as long would be a hundred times as wide.
fn widest_ratio(workload: &WorkloadAnalysis, baseline_ns: f64) -> Option<Widest> {
    let ratios = workload.gaps.iter().filter_map(|gap| Some((gap.gap_ratio?.plus_one(), &gap.peer)));
    let halves = ratios.map(|(ratio, peer)| {
        let half = ratio.interval.map_or(f64::INFINITY, |(lo, hi)| (hi - lo) / 2.0 / ratio.value);
        (half * baseline_ns, peer)
    });
    let (half_ns, peer) = halves.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Widest { half_ns, factor: format!("to {peer}"), baseline_ns, is_ratio: true })
}

/// The widest interval in the main response: over the rows of the attribution table, or over the ratios to peers when
/// there are no such rows. `None` when no row can have an interval. A row whose runs were too often disturbed for an
/// interval is infinitely wide.
fn widest(workload: &WorkloadAnalysis) -> Option<Widest> {
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
    let baseline_ns = baseline.and_then(|cell| cell.value(workload.response)).map_or(f64::NAN, |value| value.value);
    if workload.main_effects().all(|effect| !effect.attribution) {
        return widest_ratio(workload, baseline_ns);
    }
    let rows = workload.main_effects().filter(|effect| effect.attribution);
    let halves = rows.filter(|effect| effect.estimate.is_some()).map(|effect| {
        let ends = effect.hi.zip(effect.lo);
        (ends.map_or(f64::INFINITY, |(hi, lo)| (hi - lo) / 2.0), effect.title())
    });
    let (half_ns, factor) = halves.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Widest { half_ns, factor, baseline_ns, is_ratio: false })
}

/// Time and blocks of a study.
#[derive(Clone, Copy)]
struct Spent {
    time: Duration,
    blocks: u32,
    block_time: Duration,
}

/// The width that was reached in a workload, and the width that more time would give: half-widths fall with the square
/// root of the number of blocks.
fn outcome_of(rule: &Rule, workload: &WorkloadAnalysis, spent: Spent) -> String {
    let name = &workload.name;
    let Some(widest) = widest(workload) else {
        return format!("{name}: no factor has an interval after {}", counted(spent.blocks as usize, "block"));
    };
    let Widest { half_ns, factor, baseline_ns, .. } = &widest;
    let (half_ns, baseline_ns) = (*half_ns, *baseline_ns);
    if half_ns.is_infinite() {
        let blocks = spent.blocks as usize;
        let why = if blocks < MIN_BLOCKS { "" } else { ": its runs were too often disturbed or failed" };
        return format!("{name}: {factor} has no interval after {}{why}", counted(blocks, "block"));
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
        let time = Duration::try_from_secs_f64(more * spent.block_time.as_secs_f64()).unwrap_or(Duration::MAX);
        return format!("{reached}; ± {what} would take about {blocks} blocks, {} more", human(time));
    }
    let time = rule.budget.map_or(spent.time, |budget| budget.0);
    let more = if spent.block_time.is_zero() { 0.0 } else { time.as_secs_f64() / spent.block_time.as_secs_f64() };
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

    fn analysis() -> analyse::Analysis {
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
        let spent = Spent { time: Duration::from_secs(6), blocks: 6, block_time: Duration::from_secs(1) };
        let line = outcome_of(&rule, &analysis.workloads[0], spent);
        assert!(line.contains("cache has no interval after 6 blocks"), "{line}");
    }

    #[test]
    fn without_factors_the_ratios_to_peers_must_be_narrow() {
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
        let spent = Spent { time: Duration::from_secs(12), blocks: 12, block_time: Duration::from_secs(1) };
        let line = outcome_of(&rule, &analysis.workloads[0], spent);
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
        let spent = Spent { time: Duration::from_secs(12), blocks: 12, block_time: Duration::from_secs(1) };
        let say = |width: Option<&str>, budget: Option<&str>| {
            let rule = Rule {
                width: width.map(|width| width.parse().expect("good")),
                budget: budget.map(|budget| budget.parse().expect("good")),
            };
            outcome_of(&rule, workload, spent)
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
