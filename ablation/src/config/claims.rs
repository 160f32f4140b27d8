//! Rules of hypotheses. [`crate::design`] checks that the cells that they name exist.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{Factor, Peer, Workload};
use ablate_format::{Hypothesis, HypothesisKind, Quantity};
use std::ops::Range;
use toml::Spanned;

/// Parts of a gap that are not factors.
pub(crate) const PARTS: [&str; 3] = ["system-calls", "page-faults", "residual"];

const KINDS: [&str; 3] = ["share", "difference", "ordering"];

impl Checker<'_> {
    pub(super) fn hypotheses(
        &self,
        study: &raw::Study,
        workloads: &[Workload],
        peers: &[Peer],
        reference: Option<&str>,
        factors: &[Factor],
    ) -> Checked<Vec<Hypothesis>> {
        let raw = || study.hypotheses.iter().map(Spanned::get_ref);
        self.names("hypothesis", raw().map(|hypothesis| &hypothesis.name))?;
        let is_counted = study.counting_repeats.as_ref().is_none_or(|repeats| *repeats.get_ref() != 0);
        let mut out = Vec::new();
        for hypothesis in raw() {
            let claim = self.sentence(&hypothesis.claim, "the claim is empty; say in words what is claimed")?;
            let found = self.known("workload", &hypothesis.workload, workloads.iter().map(|w| w.name.as_str()))?;
            let kind = KINDS[self.known("kind of hypothesis,", &hypothesis.kind, KINDS.into_iter())?];
            self.foreign_keys(hypothesis, kind)?;
            self.fits_response(hypothesis, kind, &workloads[found])?;
            out.push(Hypothesis {
                name: hypothesis.name.get_ref().clone(),
                claim,
                workload: hypothesis.workload.get_ref().clone(),
                kind: match kind {
                    "share" => self.share(hypothesis, (peers, reference), factors, is_counted)?,
                    "difference" => self.difference(hypothesis)?,
                    _ => self.ordering(hypothesis)?,
                },
            });
        }
        Ok(out)
    }

    /// Refuses a key that belongs to another kind, because it would be ignored.
    fn foreign_keys(&self, raw: &raw::Hypothesis, kind: &str) -> Checked<()> {
        let text = |text: &Option<raw::Text>| text.as_ref().map(Spanned::span);
        let list = |list: &Option<Vec<raw::Text>>| {
            list.as_ref().map(|list| list.first().map_or(raw.name.span(), Spanned::span))
        };
        let number = |number: &Option<Spanned<f64>>| number.as_ref().map(Spanned::span);
        let keys: [(&str, &str, Option<Range<usize>>); 11] = [
            ("share", "peer", text(&raw.peer)),
            ("share", "of", list(&raw.of)),
            ("share", "low", number(&raw.low)),
            ("share", "high", number(&raw.high)),
            ("difference", "plus", text(&raw.plus)),
            ("difference", "minus", text(&raw.minus)),
            ("difference", "low_ns", number(&raw.low_ns)),
            ("difference", "high_ns", number(&raw.high_ns)),
            ("difference", "low_percent", number(&raw.low_percent)),
            ("difference", "high_percent", number(&raw.high_percent)),
            ("ordering", "cells", list(&raw.cells)),
        ];
        for (owner, key, span) in keys {
            if let Some(span) = span.filter(|_| owner != kind) {
                let message = format!("`{key}` is a key of the kind `{owner}`, and this is `{kind}`; remove it");
                return self.fail(span, message);
            }
        }
        Ok(())
    }

    /// A hypothesis must be about the response that its workload is judged by.
    fn fits_response(&self, raw: &raw::Hypothesis, kind: &str, workload: &Workload) -> Checked<()> {
        let quantity = workload.response.quantity();
        let in_ns = raw.low_ns.as_ref().or(raw.high_ns.as_ref());
        let what = format!("the response of `{}` is {}", workload.name, workload.response.as_str());
        match (kind, quantity) {
            ("share", quantity) if quantity != Quantity::Latency => {
                let message = format!("{what}, and only a gap in time has parts; name a workload with a latency");
                self.fail(raw.workload.span(), message)
            }
            ("ordering", quantity) if quantity.is_better_high() => {
                let message = format!(
                    "{what}, of which more is better, and an ordering begins with the smallest; claim a `difference`"
                );
                self.fail(raw.workload.span(), message)
            }
            (_, Quantity::Latency | Quantity::Time) => Ok(()),
            _ => match in_ns {
                Some(end) => {
                    let message = format!("{what}, which is not in nanoseconds; write `low_percent` or `high_percent`");
                    self.fail(end.span(), message)
                }
                None => Ok(()),
            },
        }
    }

    fn missing<T>(&self, raw: &raw::Hypothesis, key: &str, example: &str) -> Checked<T> {
        let name = raw.name.get_ref();
        self.fail(raw.kind.span(), format!("hypothesis `{name}` has no `{key}`; add {key} = {example}"))
    }

    fn share(
        &self,
        raw: &raw::Hypothesis,
        (peers, reference): (&[Peer], Option<&str>),
        factors: &[Factor],
        is_counted: bool,
    ) -> Checked<HypothesisKind> {
        let peer = match (&raw.peer, reference) {
            (Some(peer), _) => {
                self.known("peer", peer, peers.iter().map(|p| p.name.as_str()))?;
                peer.get_ref().clone()
            }
            (None, Some(reference)) => reference.to_owned(),
            (None, None) => return self.missing(raw, "peer", "\"NAME\""),
        };
        let workload = raw.workload.get_ref();
        if peers.iter().any(|known| known.name == peer && !known.runs(workload)) {
            let place = raw.peer.as_ref().unwrap_or(&raw.workload).span();
            let message = format!("peer `{peer}` does not run with `{workload}`; add it to the peer's `workloads`");
            return self.fail(place, message);
        }
        let Some(of) = raw.of.as_ref().filter(|of| !of.is_empty()) else {
            return self.missing(raw, "of", "[\"FACTOR\", \"page-faults\"]");
        };
        let parts = PARTS.into_iter().chain(factors.iter().map(|factor| factor.name.as_str()));
        for (i, part) in of.iter().enumerate() {
            self.known("part of a gap,", part, parts.clone())?;
            if of[..i].iter().any(|earlier| earlier.get_ref() == part.get_ref()) {
                return self.fail(part.span(), format!("`{}` is listed twice; remove one", part.get_ref()));
            }
            if !is_counted && PARTS.contains(&part.get_ref().as_str()) {
                let message = format!("`{}` needs counts; write counting_repeats = 2", part.get_ref());
                return self.fail(part.span(), message);
            }
        }
        let (low, high) = self.bounds(raw, ("low", raw.low.as_ref()), ("high", raw.high.as_ref()))?;
        Ok(HypothesisKind::Share { peer, of: of.iter().map(|part| part.get_ref().clone()).collect(), low, high })
    }

    fn difference(&self, raw: &raw::Hypothesis) -> Checked<HypothesisKind> {
        let Some(plus) = &raw.plus else { return self.missing(raw, "plus", "\"CELL\"") };
        let Some(minus) = &raw.minus else { return self.missing(raw, "minus", "\"CELL\"") };
        if plus.get_ref() == minus.get_ref() {
            return self.fail(minus.span(), "`plus` is the same cell, so the difference is 0; name another");
        }
        let (plus, minus) = (plus.get_ref().clone(), minus.get_ref().clone());
        let percents = (raw.low_percent.as_ref(), raw.high_percent.as_ref());
        let nanoseconds = (raw.low_ns.as_ref(), raw.high_ns.as_ref());
        let Some(percent) = percents.0.or(percents.1) else {
            let (low_ns, high_ns) = self.bounds(raw, ("low_ns", nanoseconds.0), ("high_ns", nanoseconds.1))?;
            return Ok(HypothesisKind::Difference { plus, minus, low_ns, high_ns });
        };
        if nanoseconds.0.or(nanoseconds.1).is_some() {
            let message =
                "a claim is in percent or in nanoseconds; remove `low_ns` and `high_ns`, or the ends in percent";
            return self.fail(percent.span(), message);
        }
        let (low_percent, high_percent) =
            self.bounds(raw, ("low_percent", percents.0), ("high_percent", percents.1))?;
        if high_percent <= -100.0 {
            return self.fail(
                percent.span(),
                "no time can fall by 100 percent, so this claim never holds; write an end above −100 percent",
            );
        }
        if let Some(low) = percents.0.filter(|low| *low.get_ref() <= -100.0) {
            let message = "no time can fall by 100 percent, so this end always holds; write one above −100 percent";
            return self.fail(low.span(), message);
        }
        Ok(HypothesisKind::Relative { plus, minus, low_percent, high_percent })
    }

    fn ordering(&self, raw: &raw::Hypothesis) -> Checked<HypothesisKind> {
        let Some(cells) = &raw.cells else { return self.missing(raw, "cells", "[\"FASTEST\", \"SLOWER\"]") };
        if cells.len() < 2 {
            let span = cells.first().map_or(raw.kind.span(), Spanned::span);
            return self.fail(span, "an ordering needs two cells or more; name them, the fastest first");
        }
        for (i, cell) in cells.iter().enumerate() {
            if cells[..i].iter().any(|earlier| earlier.get_ref() == cell.get_ref()) {
                return self.fail(cell.span(), format!("the cell `{}` is listed twice; remove one", cell.get_ref()));
            }
        }
        Ok(HypothesisKind::Ordering { cells: cells.iter().map(|cell| cell.get_ref().clone()).collect() })
    }

    /// Both ends of the claimed interval, one of which may be left open.
    fn bounds(
        &self,
        raw: &raw::Hypothesis,
        (low_key, low): (&str, Option<&Spanned<f64>>),
        (high_key, high): (&str, Option<&Spanned<f64>>),
    ) -> Checked<(f64, f64)> {
        let Some(one) = low.or(high) else {
            return self.missing(raw, low_key, "NUMBER, or the other end of the claim, or both");
        };
        for bound in [low, high].into_iter().flatten() {
            if !bound.get_ref().is_finite() {
                let message = "this number is not finite; leave the key out for an open end";
                return self.fail(bound.span(), message);
            }
        }
        let ends = (low.map_or(f64::NEG_INFINITY, |b| *b.get_ref()), high.map_or(f64::INFINITY, |b| *b.get_ref()));
        if ends.0 >= ends.1 {
            let message = format!("{low_key} is {} and {high_key} is {}; the first must be smaller", ends.0, ends.1);
            return self.fail(one.span(), message);
        }
        Ok(ends)
    }
}
