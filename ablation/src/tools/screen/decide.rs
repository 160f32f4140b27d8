//! What the screen decides: which factors are kept, and which are dropped as negligible. A pure function of its runs.
//!
//! Nothing here makes a claim. A factor is dropped only when its interval lies within the margin, so that one that matters
//! is dropped with a probability of 5 % at most over all factors and looks; a factor of which too little is known is kept.

use super::cells::{folded, unproven};
use super::error::ScreenError;
use super::scale::Scale;
use super::stages::FEW;
use crate::analyse::{Blockwise, blockwise};
use crate::prove::JudgedRun;
use ablate_format::{Asked, Manifest, ScreenResult, ScreenedFactor, ScreenedInteractions, SuspectedPair};
use ablate_stats::foldover::{Folded, Interactions, by_block};
use ablate_stats::sequential::{Settled, interval, settled, spent};
use std::path::Path;

/// What the screen decided, and whether it is over.
pub(super) struct Decided {
    /// The result as it is stored.
    pub(super) result: ScreenResult,
    /// Why no more blocks are needed.
    pub(super) over: Option<String>,
}

/// Goes through the looks that `blocks` blocks allow.
///
/// # Errors
/// [`ScreenError::OtherFactors`], [`ScreenError::Unproven`] and [`ScreenError::NoBaseline`]; `dir` is named in them.
pub(super) fn decide(
    asked: &Asked,
    manifest: &Manifest,
    runs: &[JudgedRun],
    blocks: u32,
    dir: &Path,
) -> Result<Decided, ScreenError> {
    let planned: Vec<&str> = manifest.plan.crossed.iter().map(|crossed| crossed.factor.as_str()).collect();
    if asked.factors != planned {
        let (asked, planned) = (asked.factors.join(", "), planned.join(", "));
        return Err(ScreenError::OtherFactors { dir: dir.to_owned(), asked, planned });
    }
    let design = folded(&manifest.plan);
    let signs: Vec<Vec<i8>> = design.iter().map(|(_, signs)| signs.clone()).collect();
    let workloads = blockwise(manifest, runs);
    let looks: Vec<usize> = asked.looks.iter().map(|look| *look as usize).collect();
    let levels = spent(&looks, asked.error / asked.factors.len() as f64);
    let mut states: Vec<State> = asked.factors.iter().map(|_| State::default()).collect();
    let (mut over, mut last) = (None, Vec::new());
    let mut seen = 0;
    for (look, level) in asked.looks.iter().zip(levels).take_while(|(look, _)| **look <= blocks) {
        seen = *look;
        last.clear();
        for workload in &workloads {
            let scale = Scale::of(asked, workload, *look)?;
            let blocks = grid(&design, workload, (*look, scale), dir, runs)?;
            let folded = Folded { signs: &signs, blocks: &blocks };
            let found = folded.main_effects();
            for (i, state) in states.iter_mut().enumerate().filter(|(_, state)| !state.is_settled()) {
                // One block says nothing of its own error.
                let Some(found) = &found else { continue };
                let percent = |value: f64| scale.percent(value);
                let (one, other) = interval(found.effects[i], found.errors[i], found.degrees, level);
                let (low, high) = (percent(one).min(percent(other)), percent(one).max(percent(other)));
                let seen = Seen { workload: workload.workload.clone(), percent: percent(found.effects[i]), low, high };
                state.add(seen, settled((low, high), asked.margin_percent), *look);
            }
            last.push((workload, blocks, scale));
        }
        states.iter_mut().for_each(State::end_of_look);
        let left = states.iter().filter(|state| state.settled != Settled::Negligible).count();
        over = match () {
            () if states.iter().all(State::is_settled) => Some("every factor is settled".to_owned()),
            () if left <= FEW => Some(format!("{left} of {} factors are left", states.len())),
            () => None,
        };
        if over.is_some() {
            break;
        }
    }
    let mut factors: Vec<ScreenedFactor> =
        asked.factors.iter().zip(&states).map(|(name, state)| state.result(name, seen)).collect();
    let interactions = last.iter().map(|(workload, blocks, scale)| {
        let folded = Folded { signs: &signs, blocks };
        interactions(asked, &factors, &folded, workload, *scale)
    });
    let interactions: Vec<ScreenedInteractions> = interactions.collect();
    keep_suspects(&mut factors, &interactions);
    let cells = 2 * design.len();
    let processes = cells * workloads.len() * seen as usize;
    let builds = manifest.builds.len();
    Ok(Decided {
        result: ScreenResult {
            blocks: seen,
            planned_blocks: asked.looks.last().copied(),
            complete: Some(over.is_some() || asked.looks.last() == Some(&seen)),
            cells,
            builds,
            processes,
            unproven: unproven(runs),
            factors,
            interactions,
            to_prove: None,
        },
        over,
    })
}

/// A factor's interval in one workload.
#[derive(Debug, Clone)]
struct Seen {
    workload: String,
    percent: f64,
    low: f64,
    high: f64,
}

impl Seen {
    /// How far the interval reaches from 0.
    fn reach(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// What is settled of a factor over its looks. A factor that is settled is not looked at again.
struct State {
    settled: Settled,
    blocks: u32,
    shown: Option<Seen>,
    /// This look so far: the state in every workload seen, with its interval.
    now: Vec<(Settled, Seen)>,
}

impl Default for State {
    fn default() -> State {
        State { settled: Settled::Open, blocks: 0, shown: None, now: Vec::new() }
    }
}

impl State {
    fn is_settled(&self) -> bool {
        self.settled != Settled::Open
    }

    fn add(&mut self, seen: Seen, settled: Settled, blocks: u32) {
        self.blocks = blocks;
        self.now.push((settled, seen));
    }

    /// Negligible is what is so in every workload, so that the error of one workload is that of all: to drop a factor
    /// that matters somewhere, the interval there must be wrong.
    fn end_of_look(&mut self) {
        if self.now.is_empty() {
            return;
        }
        let all = |kind: Settled| self.now.iter().all(|(settled, _)| *settled == kind);
        let any = |kind: Settled| self.now.iter().any(|(settled, _)| *settled == kind);
        self.settled = match () {
            () if all(Settled::Negligible) => Settled::Negligible,
            () if any(Settled::Active) => Settled::Active,
            () => Settled::Open,
        };
        let active = self.settled == Settled::Active;
        let shown = self.now.drain(..).filter(|(settled, _)| !active || *settled == Settled::Active);
        self.shown = shown.map(|(_, seen)| seen).max_by(|a, b| a.reach().total_cmp(&b.reach()));
    }

    fn result(&self, factor: &str, last: u32) -> ScreenedFactor {
        let (kept, why) = match self.settled {
            Settled::Negligible => (false, "negligible"),
            Settled::Active => (true, "active"),
            Settled::Open => (true, "open"),
        };
        let blocks = if self.is_settled() { self.blocks } else { last };
        let shown = self.shown.as_ref();
        let (percent, low, high) = (shown.map(|s| s.percent), shown.map(|s| s.low), shown.map(|s| s.high));
        let workload = shown.map_or_else(String::new, |s| s.workload.clone());
        let (factor, why, proof) = (factor.to_owned(), why.to_owned(), None);
        ScreenedFactor { factor, kept, why, blocks, workload, percent, low, high, proof }
    }
}

/// The values of a workload by block: of every run and its mirror, without what they have in common with their block.
fn grid(
    design: &[([&str; 2], Vec<i8>)],
    workload: &Blockwise,
    (look, scale): (u32, Scale),
    dir: &Path,
    runs: &[JudgedRun],
) -> Result<Vec<Vec<[f64; 2]>>, ScreenError> {
    let mut cells = Vec::with_capacity(2 * design.len());
    for id in design.iter().flat_map(|(ids, _)| ids) {
        let own = workload.cells.get(*id).into_iter().flatten().filter(|(block, _)| **block < look);
        let own: Vec<(usize, f64)> = own.map(|(block, value)| (*block as usize, scale.value(*value))).collect();
        if own.is_empty() {
            let bad = runs
                .iter()
                .find(|run| *run.cell == **id && *run.workload == *workload.workload && !run.reason.is_empty());
            let reason = bad.map_or_else(|| "it has no timed run".to_owned(), |run| run.reason.to_string());
            let (dir, workload) = (dir.to_owned(), workload.workload.clone());
            return Err(ScreenError::Unproven { dir, cell: (*id).to_owned(), workload, reason });
        }
        cells.push(own);
    }
    // Every cell has a finite value.
    let by_block = by_block(&cells, look as usize).unwrap_or_default();
    Ok(by_block.iter().map(|block| block.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()).collect())
}

/// What the half-sums of a workload say besides the interactions among the kept factors.
fn interactions(
    asked: &Asked,
    factors: &[ScreenedFactor],
    folded: &Folded<'_>,
    workload: &Blockwise,
    scale: Scale,
) -> ScreenedInteractions {
    let kept: Vec<usize> = (0..factors.len()).filter(|i| factors[*i].kept).collect();
    let known: Vec<(usize, usize)> =
        kept.iter().enumerate().flat_map(|(at, i)| kept[at + 1..].iter().map(move |j| (*i, *j))).collect();
    let name = workload.workload.clone();
    let Some(Interactions { p, suspects, rest_p }) = folded.interactions(&known) else {
        return ScreenedInteractions { workload: name, p: None, rest_p: None, suspects: Vec::new() };
    };
    let suspect = |suspect: &ablate_stats::foldover::Suspect| SuspectedPair {
        factors: [suspect.pair.0, suspect.pair.1].map(|i| asked.factors[i].clone()),
        percent: scale.percent(suspect.size),
        alike: suspect.alike,
    };
    let suspects = suspects.iter().map(suspect).collect();
    ScreenedInteractions { workload: name, p: Some(p), rest_p: Some(rest_p), suspects }
}

/// Keeps the factors of every suspected pair that has no other one like it.
fn keep_suspects(factors: &mut [ScreenedFactor], interactions: &[ScreenedInteractions]) {
    let certain = interactions.iter().flat_map(|found| &found.suspects).filter(|suspect| suspect.alike == 0);
    for name in certain.flat_map(|suspect| &suspect.factors) {
        for factor in factors.iter_mut().filter(|factor| factor.factor == *name && !factor.kept) {
            (factor.kept, factor.why) = (true, "suspected".to_owned());
        }
    }
}
