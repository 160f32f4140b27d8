//! Rules of targets: limits ("bars") that the study judges its subject by.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{Peer, Workload};
use ablate_format::{Against, Bar, Quantity, Target, TargetKind, TargetResponse};
use toml::Spanned;

const KINDS: [&str; 4] = ["ratio", "rows", "value", "between"];

/// Names that stand for several peers.
const TOGETHER: [&str; 2] = ["each", "best"];

/// A workload of a target, with the response that the target judges there.
type Judged<'a> = (&'a Workload, Quantity);

impl Checker<'_> {
    pub(super) fn targets(
        &self,
        raw: &[Spanned<raw::Target>],
        workloads: &[Workload],
        peers: &[Peer],
    ) -> Checked<Vec<Target>> {
        self.names("target", raw.iter().map(|target| &target.get_ref().name))?;
        raw.iter().map(|target| self.target(target.get_ref(), workloads, peers)).collect()
    }

    fn target(&self, raw: &raw::Target, workloads: &[Workload], peers: &[Peer]) -> Checked<Target> {
        let claim = self.sentence(&raw.claim, "the claim is empty; say in words what is aimed at")?;
        let kind = KINDS[self.known("kind of target,", &raw.kind, KINDS.into_iter())?];
        let found = self.list("workload", &raw.workloads, workloads.iter().map(|w| w.name.as_str()))?;
        let about: Vec<&Workload> = found.into_iter().map(|index| &workloads[index]).collect();
        let response = raw.response.as_ref().map(|text| self.target_response(text, kind)).transpose()?;
        let judged: Vec<Judged<'_>> = about
            .iter()
            .map(|workload| (*workload, response.map_or(workload.response, |response| response.of).quantity()))
            .collect();
        self.one_quantity(raw, kind, &judged)?;
        let bar = self.bar(raw, kind)?;
        self.one_direction(raw, kind, &judged)?;
        let kind = match kind {
            "ratio" => TargetKind::Ratio { peer: self.against(raw, Against::Each, &about, peers)? },
            "rows" => TargetKind::Rows { peer: self.against(raw, Against::Best, &about, peers)? },
            kind => {
                if let Some(peer) = &raw.peer {
                    let message =
                        format!("`peer` is a key of the kinds `ratio` and `rows`, and this is `{kind}`; remove it");
                    return self.fail(peer.span(), message);
                }
                if kind == "value" { TargetKind::Value } else { TargetKind::Between }
            }
        };
        Ok(Target {
            name: raw.name.get_ref().clone(),
            claim,
            workloads: about.iter().map(|workload| workload.name.clone()).collect(),
            kind,
            response,
            bar,
        })
    }

    /// `p99`, or with the kind `value` also `p99/p50`.
    fn target_response(&self, text: &raw::Text, kind: &str) -> Checked<TargetResponse> {
        let Some((of, over)) = text.get_ref().split_once('/') else {
            return Ok(TargetResponse { of: self.named_response(text, text.get_ref())?, over: None });
        };
        if kind != "value" {
            let message =
                format!("a quotient of responses needs the kind `value`, and this is `{kind}`; name one response");
            return self.fail(text.span(), message);
        }
        let (of, over) = (self.named_response(text, of)?, self.named_response(text, over)?);
        if of == over {
            return self.fail(text.span(), "a response over itself is always 1; name another, like \"p99/p50\"");
        }
        if of.quantity() != over.quantity() {
            let message = "a quotient needs two responses of one kind, like \"p99/p50\"";
            return self.fail(text.span(), message);
        }
        Ok(TargetResponse { of, over: Some(over) })
    }

    /// Checks that the workloads have one quantity, because values in two units have no bar in common.
    fn one_quantity(&self, raw: &raw::Target, kind: &str, judged: &[Judged<'_>]) -> Checked<()> {
        if kind == "between" && judged.len() != 2 {
            let message = format!("`between` compares two workloads, the first over the second, not {}", judged.len());
            return self.fail(raw.workloads.span(), message);
        }
        // All responses are equal when the target has a response of its own.
        let other = judged.iter().find(|(_, quantity)| *quantity != judged[0].1);
        if let (Some((other, _)), "value" | "between") = (other, kind) {
            let first = judged[0].0;
            let message = format!(
                "the response of `{}` is {}, that of `{}` is {}, which have no bar in common; give the target a \
                 `response`",
                first.name,
                first.response.as_str(),
                other.name,
                other.response.as_str()
            );
            return self.fail(raw.workloads.span(), message);
        }
        Ok(())
    }

    /// Checks that the good side of a ratio is the same in all workloads. Of a rate the high side is the good one.
    fn one_direction(&self, raw: &raw::Target, kind: &str, judged: &[Judged<'_>]) -> Checked<()> {
        if !matches!(kind, "ratio" | "rows") {
            return Ok(());
        }
        let find = |is_rate: bool| judged.iter().find(|(_, quantity)| quantity.is_better_high() == is_rate);
        match (find(true), find(false), &raw.high) {
            (Some((rate, _)), Some((other, _)), _) => {
                let message = format!(
                    "in `{}` more is better and in `{}` less, so no bar is for both; write two targets",
                    rate.name, other.name
                );
                self.fail(raw.workloads.span(), message)
            }
            (Some((rate, _)), None, Some(high)) => {
                let message =
                    format!("in `{}` more is better, so an upper limit would ask for less; write `low`", rate.name);
                self.fail(high.span(), message)
            }
            _ => Ok(()),
        }
    }

    /// The limit: exactly one of `low` and `high`.
    fn bar(&self, raw: &raw::Target, kind: &str) -> Checked<Bar> {
        let (bar, place) = match (&raw.high, &raw.low) {
            (Some(high), None) => (Bar::High(*high.get_ref()), high.span()),
            (None, Some(low)) => (Bar::Low(*low.get_ref()), low.span()),
            (Some(_), Some(low)) => {
                return self
                    .fail(low.span(), "a target has one bar, `high` or `low`; remove one, or write two targets");
            }
            (None, None) => {
                let name = raw.name.get_ref();
                return self.fail(raw.kind.span(), format!("target `{name}` has no bar; add high = NUMBER, or low"));
            }
        };
        let is_bar = bar.value().is_finite() && (bar.value() > 0.0 || kind == "value" && bar == Bar::High(0.0));
        if !is_bar {
            return self
                .fail(place, "a bar must be a number above 0 (the `high` of a `value` may be 0); correct this one");
        }
        Ok(bar)
    }

    fn against(&self, raw: &raw::Target, usual: Against, about: &[&Workload], peers: &[Peer]) -> Checked<Against> {
        let against = match &raw.peer {
            None => usual,
            Some(peer) => {
                let names = TOGETHER.into_iter().chain(peers.iter().map(|peer| peer.name.as_str()));
                match self.known("peer", peer, names)? {
                    0 => Against::Each,
                    1 => Against::Best,
                    other => Against::Peer(peers[other - TOGETHER.len()].name.clone()),
                }
            }
        };
        let place = raw.peer.as_ref().map_or_else(|| raw.kind.span(), Spanned::span);
        let counts = |peer: &Peer| match &against {
            Against::Peer(name) => peer.name == *name,
            Against::Each | Against::Best => peer.compare,
        };
        let alone = about.iter().find(|w| !peers.iter().any(|peer| counts(peer) && peer.runs(&w.name)));
        match (alone, &against) {
            (None, _) => Ok(against),
            (Some(alone), Against::Peer(name)) => {
                let message = format!("peer `{name}` does not run with `{}`; add it to its `workloads`", alone.name);
                self.fail(place, message)
            }
            (Some(alone), _) => {
                let message = format!("no peer is compared in `{}`; add a [[peer]] table", alone.name);
                self.fail(place, message)
            }
        }
    }
}
