//! Verdicts on the bars that a study judges its subject by.
//!
//! A bar is met when the whole interval of the number lies on its good side, missed when it lies on the bad side, and
//! open when it spans the bar. Which interval that is where a target asks for the best peer, or has many numbers, is in
//! docs/methodology.md.

use super::race::{Field, Logs, log_ratio, mean};
use ablate_format::effects::Estimate;
use ablate_format::{Against, Bar, CellPlan, MainResponse, Target, TargetKind, TargetResponse};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::{MAX_BLOCKS, projection};
use std::collections::BTreeSet;

/// Chance that a bar is called missed although none of its numbers misses.
const ERROR: f64 = 0.05;

/// What a study says about a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetVerdict {
    /// Every interval lies on the good side.
    Met,
    /// Some interval lies on the bad side.
    Missed,
    /// Some interval spans the bar, or a number is missing.
    Open,
    /// Nothing was measured that the bar is about.
    NotJudged,
}

impl TargetVerdict {
    /// All, the good one first.
    pub(crate) const ALL: [TargetVerdict; 4] =
        [TargetVerdict::Met, TargetVerdict::Missed, TargetVerdict::Open, TargetVerdict::NotJudged];

    /// The verdict's name in tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TargetVerdict::Met => "met",
            TargetVerdict::Missed => "missed",
            TargetVerdict::Open => "open",
            TargetVerdict::NotJudged => "not judged",
        }
    }
}

/// One number that is held to a bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TargetRow {
    /// The workload; `None` for a number of several.
    pub(crate) workload: Option<String>,
    /// The peer; `None` for the subject's own number and for one of several peers.
    pub(crate) peer: Option<String>,
    /// The number, with the interval that decides.
    pub(crate) value: Estimate,
    /// Which side of the bar it is on.
    pub(crate) verdict: TargetVerdict,
}

/// One bar, judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JudgedTarget {
    /// The target as it was declared.
    pub(crate) target: Target,
    /// What is measured; `None` for a quotient, which has no unit.
    pub(crate) unit_of: Option<MainResponse>,
    /// The verdict.
    pub(crate) verdict: TargetVerdict,
    /// Its numbers, the nearest to the bad side first.
    pub(crate) rows: Vec<TargetRow>,
    /// What should have been measured and was not, without which nothing is met.
    pub(crate) missing: Vec<String>,
    /// Blocks that would probably decide an open bar; `None` when no number of them is advice.
    pub(crate) blocks_needed: Option<usize>,
}

/// Judges every bar of a study.
pub(super) fn judge(field: &Field) -> Vec<JudgedTarget> {
    field.manifest.plan.targets.iter().map(|target| judged(field, target)).collect()
}

fn judged(field: &Field, target: &Target) -> JudgedTarget {
    let mut numbers = Numbers { field, target, lines: Vec::new(), missing: BTreeSet::new() };
    match &target.kind {
        TargetKind::Ratio { peer: Against::Best } => numbers.mean_of_best(),
        TargetKind::Ratio { peer } => numbers.means(peer),
        TargetKind::Rows { peer: Against::Best } => numbers.best_in_each(),
        TargetKind::Rows { peer } => numbers.each(peer),
        TargetKind::Value => numbers.own(),
        TargetKind::Between => numbers.between(),
    }
    let Numbers { lines, missing, .. } = numbers;
    let count = lines.len();
    let mut rows: Vec<TargetRow> = lines.into_iter().map(|line| line.row(target.bar, count)).collect();
    let badness = |row: &TargetRow| if target.bar.is_high() { -row.value.value } else { row.value.value };
    rows.sort_by(|a, b| badness(a).total_cmp(&badness(b)));
    let is = |verdict: TargetVerdict| rows.iter().any(|row| row.verdict == verdict);
    let verdict = match () {
        () if is(TargetVerdict::Missed) => TargetVerdict::Missed,
        () if rows.is_empty() => TargetVerdict::NotJudged,
        () if is(TargetVerdict::Open) || !missing.is_empty() => TargetVerdict::Open,
        () => TargetVerdict::Met,
    };
    let open = rows.iter().filter(|row| row.verdict == TargetVerdict::Open);
    let needed = open.map(|row| blocks_needed(row, target.bar)).max();
    JudgedTarget {
        unit_of: unit_of(field, target),
        verdict,
        rows,
        missing: missing.into_iter().collect(),
        blocks_needed: needed.filter(|needed| verdict == TargetVerdict::Open && *needed <= MAX_BLOCKS),
        target: target.clone(),
    }
}

/// The response that the numbers are of, where they have a unit.
fn unit_of(field: &Field, target: &Target) -> Option<MainResponse> {
    if target.kind != TargetKind::Value {
        return None;
    }
    let response = target.response.or_else(|| field.response(target.workloads.first()?))?;
    response.over.is_none().then_some(response.of)
}

/// Half of the interval must come down to the distance from the bar.
fn blocks_needed(row: &TargetRow, bar: Bar) -> usize {
    match row.value.interval {
        Some((lo, hi)) => {
            projection::blocks_needed(row.value.blocks, (hi - lo) / 2.0, (row.value.value - bar.value()).abs())
        }
        None => ablate_stats::MIN_BLOCKS,
    }
}

/// One number before it is held to the bar.
struct Line {
    workload: Option<String>,
    peer: Option<String>,
    /// Against the peer that is best over all blocks: decides whether the bar is missed.
    sure: Drawn,
    /// Against the peer that is best in each draw: decides whether the bar is met.
    worst: Drawn,
}

impl Line {
    /// `count`: numbers of the target. A single miss decides the target, so the error of the interval's end that decides a
    /// miss is divided by `count`.
    fn row(self, bar: Bar, count: usize) -> TargetRow {
        let narrow = self.sure.interval_at(1.0 - ERROR / count.max(1) as f64);
        let wide = self.worst.interval();
        let interval = narrow.zip(wide).map(|((lo, hi), (lowest, highest))| match bar {
            Bar::High(_) => (lo, highest),
            Bar::Low(_) => (lowest, hi),
        });
        let verdict = match (interval, bar) {
            (None, _) => TargetVerdict::Open,
            (Some((_, hi)), Bar::High(bar)) if hi <= bar => TargetVerdict::Met,
            (Some((lo, _)), Bar::High(bar)) if lo > bar => TargetVerdict::Missed,
            (Some((lo, _)), Bar::Low(bar)) if lo >= bar => TargetVerdict::Met,
            (Some((_, hi)), Bar::Low(bar)) if hi < bar => TargetVerdict::Missed,
            _ => TargetVerdict::Open,
        };
        let value = Estimate { value: self.sure.point, interval, blocks: self.sure.blocks.min(self.worst.blocks) };
        TargetRow { workload: self.workload, peer: self.peer, value, verdict }
    }
}

/// The best peer of one workload, by logarithms of subject / peer.
struct Best {
    peer: String,
    sure: Drawn,
    worst: Drawn,
}

/// Collects the numbers of a target.
struct Numbers<'a> {
    field: &'a Field<'a>,
    target: &'a Target,
    lines: Vec<Line>,
    missing: BTreeSet<String>,
}

impl<'a> Numbers<'a> {
    fn logs(&self, workload: &str) -> Logs {
        self.field.logs(workload, self.target.response)
    }

    /// The peers that count; one that is asked for by name always does.
    fn peers(&mut self, against: &Against) -> Vec<&'a CellPlan> {
        let peers: Vec<&CellPlan> = match against {
            Against::Each | Against::Best => self.field.peers().filter(|peer| peer.compare).collect(),
            Against::Peer(name) => self.field.peers().filter(|peer| peer.name == *name).collect(),
        };
        if peers.is_empty() {
            self.missing.insert(match against {
                Against::Peer(name) => format!("peer `{name}` is not on this machine"),
                _ => "no peer is on this machine".to_owned(),
            });
        }
        peers
    }

    /// Logarithm of subject / peer, or a note that it is missing.
    fn ratio(&mut self, logs: &Logs, workload: &str, peer: &CellPlan) -> Option<Drawn> {
        let baseline = self.field.baseline()?;
        let ratio = log_ratio(logs, baseline, peer);
        if ratio.is_none() {
            let is_there = logs.get(&baseline.id).is_some_and(|log| log.point.is_finite());
            let who = if is_there { format!("peer `{}`", peer.name) } else { "the subject".to_owned() };
            self.missing.insert(format!("{who} has no proven value above 0 in {workload}"));
        }
        ratio
    }

    /// One geometric mean for each peer, over the workloads that it runs with.
    fn means(&mut self, against: &Against) {
        let logs: Vec<(&String, Logs)> = self.target.workloads.iter().map(|w| (w, self.logs(w))).collect();
        for peer in self.peers(against) {
            let own = logs.iter().filter(|(workload, _)| self.field.runs_with(peer, workload)).collect::<Vec<_>>();
            let ratios: Vec<Option<Drawn>> =
                own.into_iter().map(|(workload, logs)| self.ratio(logs, workload, peer)).collect();
            let ratios: Option<Vec<Drawn>> = ratios.into_iter().collect();
            if let Some(mean) = ratios.as_deref().and_then(mean) {
                self.push(None, Some(peer.name.clone()), mean.map(f64::exp));
            }
        }
    }

    /// Subject / peer in every workload.
    fn each(&mut self, against: &Against) {
        let peers = self.peers(against);
        for workload in &self.target.workloads {
            let logs = self.logs(workload);
            for peer in peers.iter().filter(|peer| self.field.runs_with(peer, workload)) {
                if let Some(ratio) = self.ratio(&logs, workload, peer) {
                    self.push(Some(workload.clone()), Some(peer.name.clone()), ratio.map(f64::exp));
                }
            }
        }
    }

    /// The geometric mean of subject / best peer.
    fn mean_of_best(&mut self) {
        let peers = self.peers(&Against::Best);
        let each: Option<Vec<Best>> =
            self.target.workloads.iter().map(|w| self.best(w, &peers)).collect::<Vec<_>>().into_iter().collect();
        let Some(each) = each else { return };
        let over = |part: fn(&Best) -> Drawn| mean(&each.iter().map(part).collect::<Vec<_>>());
        let (sure, worst) = (over(|best| best.sure.clone()), over(|best| best.worst.clone()));
        if let Some((sure, worst)) = sure.zip(worst) {
            self.lines.push(Line { workload: None, peer: None, sure: sure.map(f64::exp), worst: worst.map(f64::exp) });
        }
    }

    /// Subject / best peer in every workload.
    fn best_in_each(&mut self) {
        let peers = self.peers(&Against::Best);
        for workload in &self.target.workloads {
            if let Some(Best { peer, sure, worst }) = self.best(workload, &peers) {
                let (workload, peer) = (Some(workload.clone()), Some(peer));
                self.lines.push(Line { workload, peer, sure: sure.map(f64::exp), worst: worst.map(f64::exp) });
            }
        }
    }

    fn best(&mut self, workload: &str, peers: &[&CellPlan]) -> Option<Best> {
        let logs = self.logs(workload);
        let sign = if self.target.bar.is_high() { 1.0 } else { -1.0 };
        let mut best: Option<Best> = None;
        for peer in peers.iter().filter(|peer| self.field.runs_with(peer, workload)) {
            let Some(ratio) = self.ratio(&logs, workload, peer) else { continue };
            best = Some(match best {
                None => Best { peer: peer.name.clone(), worst: ratio.clone(), sure: ratio },
                Some(before) => {
                    // A draw without a number is ignored.
                    let worse = if self.target.bar.is_high() { f64::max } else { f64::min };
                    let worst = before.worst.combine(&ratio, worse);
                    // The better the peer, the worse the ratio.
                    match sign * ratio.point > sign * before.sure.point {
                        true => Best { peer: peer.name.clone(), sure: ratio, worst },
                        false => Best { worst, ..before },
                    }
                }
            });
        }
        best
    }

    /// The subject's own response in every workload.
    fn own(&mut self) {
        for workload in &self.target.workloads {
            let response = self.target.response.or_else(|| self.field.response(workload));
            match response.and_then(|response| self.field.own(workload, response, |value| value)) {
                Some(value) => self.push(Some(workload.clone()), None, value),
                None => self.no_value(workload, response),
            }
        }
    }

    /// The subject in the first workload over the second.
    fn between(&mut self) {
        let [above, below] = self.target.workloads.as_slice() else { return };
        let mut log = |workload: &String| {
            let response = self.target.response.or_else(|| self.field.response(workload));
            let log = response.and_then(|response| self.field.own(workload, response, f64::ln));
            if log.is_none() {
                self.no_value(workload, response);
            }
            log
        };
        if let Some((above, below)) = log(above).zip(log(below)) {
            self.push(None, None, above.combine(&below, |above, below| (above - below).exp()));
        }
    }

    fn no_value(&mut self, workload: &str, response: Option<TargetResponse>) {
        let response = response.map_or("", |response| response.of.as_str());
        self.missing.insert(format!("the subject has no proven value of {response} in {workload}"));
    }

    fn push(&mut self, workload: Option<String>, peer: Option<String>, value: Drawn) {
        self.lines.push(Line { workload, peer, sure: value.clone(), worst: value });
    }
}

#[cfg(test)]
mod tests;
