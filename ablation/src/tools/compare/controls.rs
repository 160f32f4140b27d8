//! What two sessions of a machine differ by, from programs that are the same in both.

use super::comparison::{Learnt, Session};
use super::pair::{Pair, joined, logs, refusal};
use crate::support::count::counted;
use crate::tools::results::{Row, Subject};
use ablate_format::{CellKind, Manifest, Quantity};
use ablate_stats::MIN_BLOCKS;
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::sessions::{Control, Sessions, sessions};
use std::collections::{BTreeMap, BTreeSet};

/// Quantities whose sessions differ alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Times,
    Bytes,
    Rates,
    Others,
}

impl Kind {
    pub(super) fn of(quantity: Quantity) -> Kind {
        match quantity {
            Quantity::Latency | Quantity::Time => Kind::Times,
            Quantity::Bytes => Kind::Bytes,
            Quantity::Rate => Kind::Rates,
            _ => Kind::Others,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Times => "times",
            Kind::Bytes => "bytes",
            Kind::Rates => "rates",
            Kind::Others => "other numbers",
        }
    }
}

/// A peer or placebo that is the same program in both folders, in one workload.
pub(super) struct Same<'a> {
    /// Its cell in the old folder.
    pub(super) row: &'a Row,
    /// Logarithm of its value in the old folder and in the new one.
    pub(super) logs: (Drawn, Drawn),
}

/// Every such program.
pub(super) fn controls(pair: Pair<'_>) -> Vec<Same<'_>> {
    let mut out = Vec::new();
    for (key, old, new) in joined(pair.old, pair.new) {
        let (Subject::Cell(id), Some(old), Some(new)) = (&key.subject, old, new) else { continue };
        let is_control = is_beside(pair.both.old, id) && pair.both.is_same_binary(id) && refusal(pair, old).is_none();
        let Some((before, after)) = logs(pair, old, new).filter(|_| is_control) else { continue };
        // Fewer do not tell their own error.
        if before.blocks.min(after.blocks) >= MIN_BLOCKS {
            out.push(Same { row: old, logs: (before, after) });
        }
    }
    out
}

/// What they tell, by quantity, and the number of programs that each quantity has.
pub(super) fn learnt(controls: &[Same<'_>], seed: u64) -> (BTreeMap<Kind, Sessions>, BTreeMap<Kind, usize>) {
    let mut by_kind: BTreeMap<Kind, Vec<Control>> = BTreeMap::new();
    let (mut programs, mut workloads) = (Vec::new(), Vec::new());
    for Same { row, logs: (before, after) } in controls {
        let errors = (before.standard_error(), after.standard_error());
        let (Some(one), Some(other)) = errors else { continue };
        by_kind.entry(Kind::of(row.response.quantity())).or_default().push(Control {
            program: number(&mut programs, row.key.subject.name()),
            workload: number(&mut workloads, row.key.workload.clone()),
            shift: after.point - before.point,
            error: one.hypot(other),
        });
    }
    let told = |(kind, of): (&Kind, &Vec<Control>)| Some((*kind, sessions(of, DRAWS, seed)?));
    let counts = by_kind.iter().map(|(kind, of)| (*kind, self::programs(of))).collect();
    (by_kind.iter().filter_map(told).collect(), counts)
}

/// Whether a cell is none of those that are compared: a peer, or the placebo.
fn is_beside(manifest: &Manifest, id: &str) -> bool {
    let cell = manifest.plan.cells.iter().find(|cell| cell.id == id);
    cell.is_some_and(|cell| matches!(cell.kind, CellKind::Peer | CellKind::Placebo))
}

fn number(known: &mut Vec<String>, name: String) -> usize {
    known.iter().position(|known| *known == name).unwrap_or_else(|| {
        known.push(name);
        known.len() - 1
    })
}

fn programs(controls: &[Control]) -> usize {
    let mut programs: Vec<usize> = controls.iter().map(|control| control.program).collect();
    programs.sort_unstable();
    programs.dedup();
    programs.len()
}

/// What the intervals cover. `judged` are the quantities of rows that have one.
pub(super) fn session(
    one_machine: bool,
    settings: &[&str],
    judged: &BTreeSet<Kind>,
    (learnt, controls): &(BTreeMap<Kind, Sessions>, BTreeMap<Kind, usize>),
) -> Session {
    let without: Vec<&str> = judged.iter().filter(|kind| !learnt.contains_key(kind)).map(|kind| kind.word()).collect();
    let blocks_only = |why: String| {
        format!("{why}, so the intervals cover the blocks only: sessions may differ by more than these show")
    };
    let said = match () {
        () if !one_machine => blocks_only(
            "The folders are of two machines, or of machines whose facts are not all known; what they differ by is \
             machine, session and program together"
                .to_owned(),
        ),
        () if !settings.is_empty() => {
            blocks_only(format!("{} of the machine differ, which concerns the controls as well", settings.join(", ")))
        }
        () if learnt.is_empty() => match controls.values().max() {
            None => blocks_only(
                "No peer and no placebo is the same program in both folders, with an interval in each, to be a control"
                    .to_owned(),
            ),
            Some(most) => blocks_only(format!(
                "{} with the same binary in both folders, and two are needed",
                counted(*most, "control program")
            )),
        },
        () => {
            let rest = match without.is_empty() {
                true => String::new(),
                false => format!(" Those of {} have no two controls and cover the blocks only.", without.join(" and ")),
            };
            format!(
                "The intervals hold the blocks of both sessions and what sessions of this machine differ by, as the controls show \
                 it: peers and placebos whose binary, arguments and environment are the same in both folders.{rest}"
            )
        }
    };
    let learnt = learnt.iter().map(|(kind, told)| Learnt {
        of: kind.word(),
        programs: told.programs,
        common: told.common.exp_m1(),
        deviation: told.of_values.deviation,
        beside: told.of_contrasts.deviation,
    });
    Session { one_machine, said, learnt: learnt.collect() }
}
