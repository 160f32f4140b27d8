//! What the clean stage claims: main effects and interactions of the kept factors, from its own runs only. A pure function.

use super::cells::{signed, unproven};
use super::error::ScreenError;
use super::proof;
use super::scale::Scale;
use crate::analyse::{Analysis, Blockwise, Proof, Row, Table};
use crate::config::DesignKind;
use crate::prove::{JudgedRun, ways};
use ablate_format::{Asked, CleanEffect, CleanResult, Manifest, OneAtATime, ScreenResult, ToProve};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::clean::{self, Term};
use ablate_stats::many::simultaneous;
use std::path::Path;

/// The effects of one workload.
struct Of<'a> {
    workload: &'a str,
    scale: Scale,
    effects: Vec<(Term, Drawn)>,
    /// Standard error of the difference of two cells, as one factor at a time has it.
    error_of_two: Option<f64>,
}

/// Reads the clean stage. `values` are those of [`crate::analyse::blockwise`].
///
/// # Errors
/// [`ScreenError::Unproven`] and [`ScreenError::NoBaseline`]; `dir` is named in them.
pub(super) fn claims(
    asked: &Asked,
    manifest: &Manifest,
    (analysis, values, runs): (&Analysis, &[Blockwise], &[JudgedRun]),
    (screen, seconds): (&ScreenResult, f64),
    dir: &Path,
) -> Result<CleanResult, ScreenError> {
    let kinds = [DesignKind::Factorial, DesignKind::Fractional, DesignKind::Foldover];
    let kind = kinds.into_iter().find(|kind| manifest.plan.designs.contains_key(kind.as_str())).unwrap_or(kinds[0]);
    let design = signed(&manifest.plan, kind.as_str());
    let (ids, signs): (Vec<&str>, Vec<Vec<i8>>) = design.into_iter().unzip();
    let has_pairs = kind != DesignKind::Foldover;
    let mut all = Vec::new();
    for (table, workload) in analysis.tables.iter().zip(values) {
        let scale = Scale::of(asked, workload, manifest.blocks)?;
        all.push(effects((&ids, &signs, has_pairs), table, scale, dir)?);
    }
    let p = clean::adjusted(all.iter().flat_map(|of| of.effects.iter().map(|(_, drawn)| (drawn, of.scale.size()))));
    let mut rows = Vec::new();
    for (of, workload) in all.iter().zip(&analysis.workloads) {
        let crossed = manifest.plan.crossed.iter();
        let proofs: Vec<Proof> = crossed
            .map(|crossed| proof::of_claim(manifest, workload, runs, (kind.as_str(), &crossed.factor)))
            .collect();
        let drawn: Vec<&Drawn> = of.effects.iter().map(|(_, drawn)| drawn).collect();
        for ((term, drawn), ends) in of.effects.iter().zip(simultaneous(&drawn)) {
            let p = p.get(rows.len()).copied().filter(|p| p.is_finite());
            let name = |i: usize| manifest.plan.crossed[i].factor.clone();
            let (factors, proof) = match *term {
                Term::Main(i) => (vec![name(i)], proofs[i]),
                // An interaction of a switch that may do nothing is no interaction.
                Term::Pair(i, j) => {
                    (vec![name(i), name(j)], if proofs[i] == Proof::Proven { proofs[j] } else { proofs[i] })
                }
            };
            let percent = Some(of.scale.percent(drawn.point)).filter(|value| value.is_finite());
            let ends = ends.map(|(one, other)| (of.scale.percent(one), of.scale.percent(other)));
            let (low, high) = (ends.map(|(a, b)| a.min(b)), ends.map(|(a, b)| a.max(b)));
            let found = proof == Proof::Proven && p.is_some_and(|p| p < asked.error);
            let (workload, proof) = (of.workload.to_owned(), Some(proof.as_str().to_owned()));
            rows.push(CleanEffect { workload, factors, percent, low, high, p, found, proof });
        }
    }
    let to_prove = to_prove(manifest, analysis, &rows);
    let cells = ids.len();
    // Those that prove factors were run beside the design.
    let beside = manifest.plan.designs.get(DesignKind::Explicit.as_str()).into_iter().flatten();
    let beside = beside.filter(|id| !ids.contains(&id.as_str())).count();
    let blocks = analysis.blocks as u32;
    let processes = (cells + beside) * all.len() * analysis.blocks;
    Ok(CleanResult {
        blocks,
        planned_blocks: Some(manifest.blocks),
        design: described(kind, manifest, cells),
        cells,
        builds: manifest.builds.len(),
        processes,
        unproven: unproven(runs),
        effects: rows,
        to_prove,
        one_at_a_time: one_at_a_time(asked, blocks, &all, (screen.processes + processes) as f64, seconds),
    })
}

fn effects<'a>(
    (ids, signs, has_pairs): (&[&str], &[Vec<i8>], bool),
    table: &'a Table,
    scale: Scale,
    dir: &Path,
) -> Result<Of<'a>, ScreenError> {
    let name = table.workload.as_str();
    let missing = |cell: &str| ScreenError::Unproven {
        dir: dir.to_owned(),
        cell: cell.to_owned(),
        workload: name.to_owned(),
        reason: "its report tells why".to_owned(),
    };
    let drawn = |row: &Row| match scale {
        Scale::Differences(_) => row.main.clone(),
        Scale::Ratios(_) => row.log.clone(),
    };
    let cell = |id: &&str| table.cell(id).map(drawn).ok_or_else(|| missing(id));
    let values: Vec<Drawn> = ids.iter().map(cell).collect::<Result<_, _>>()?;
    let baseline = cell(&"baseline")?;
    let others = ids.iter().zip(&values).filter(|(id, _)| **id != "baseline");
    let squares: Option<Vec<f64>> =
        others.map(|(_, value)| Some(value.combine(&baseline, |a, b| a - b).standard_error()?.powi(2))).collect();
    let mean = |squares: Vec<f64>| squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    Ok(Of {
        workload: name,
        scale,
        effects: clean::effects(signs, &values, has_pairs),
        error_of_two: squares.map(mean).map(f64::sqrt).filter(|error| *error > 0.0),
    })
}

/// Ways to prove the unproven factor with the largest main effect.
fn to_prove(manifest: &Manifest, analysis: &Analysis, rows: &[CleanEffect]) -> Option<ToProve> {
    let is_unproven = |row: &&CleanEffect| row.factors.len() == 1 && row.proof.as_deref() == Some("unproven");
    let size = |row: &CleanEffect| row.percent.map_or(0.0, f64::abs);
    let first = rows.iter().filter(is_unproven).max_by(|a, b| size(a).total_cmp(&size(b)))?;
    let workload = analysis.workloads.iter().find(|workload| workload.name == first.workload)?;
    let factor = first.factors.first()?.clone();
    let ways = ways(manifest, &factor, workload.outputs);
    Some(ToProve { factor, ways })
}

/// A design in words.
fn described(kind: DesignKind, manifest: &Manifest, cells: usize) -> String {
    let factors = manifest.plan.crossed.len();
    match kind {
        DesignKind::Fractional => {
            let p = factors - cells.ilog2() as usize;
            format!("2^({factors}−{p}) fraction of resolution V or more, {cells} cells")
        }
        DesignKind::Foldover => format!("folded-over screening design, {cells} cells, main effects only"),
        _ => format!("full factorial, {cells} cells"),
    }
}

/// What one factor at a time takes to be as precise. All workloads run as often, so the workload for which that is least
/// counts.
///
/// A difference of two cells with n blocks has the variance 2 σ² / n, which is measured in this stage. Standard errors
/// fall with the root of the blocks, and an interaction is made of four cells, so its variance is twice that.
fn one_at_a_time(
    asked: &Asked,
    blocks: u32,
    all: &[Of<'_>],
    processes: f64,
    seconds_per_process: f64,
) -> Option<OneAtATime> {
    let (blocks, factors, workloads) = (f64::from(blocks), asked.factors.len() as f64, all.len() as f64);
    let mut least: Option<OneAtATime> = None;
    for of in all {
        let error = |is_main: bool| {
            let own = of.effects.iter().filter(|(term, _)| matches!(term, Term::Main(_)) == is_main);
            let squares: Option<Vec<f64>> = own.map(|(_, drawn)| Some(drawn.standard_error()?.powi(2))).collect();
            let squares = squares.filter(|squares| !squares.is_empty())?;
            // What is known exactly, up to rounding, has no error to compare.
            let error = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
            (error > 1e-9 * of.scale.size().abs()).then_some(error)
        };
        let (two, main, pair) = (of.error_of_two?, error(true)?, error(false));
        let of_mains = blocks * (two / main).powi(2);
        let of_pairs = pair.map(|pair| 2.0 * blocks * (two / pair).powi(2));
        let cells = 1.0 + factors + factors * (factors - 1.0) / 2.0;
        let one = OneAtATime {
            main_error_percent: of.scale.error_percent(main),
            pair_error_percent: pair.map(|pair| of.scale.error_percent(pair)),
            processes,
            seconds_per_process,
            mains: of_mains * (factors + 1.0) * workloads,
            mains_and_pairs: of_pairs.map(|pairs| pairs.max(of_mains) * cells * workloads),
        };
        if least.as_ref().is_none_or(|least| one.mains < least.mains) {
            least = Some(one);
        }
    }
    least
}
