//! Rules of paths: treatments added one after the other. [`crate::design`] checks that their steps share one binary.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{Peer, Treatment, Workload};
use ablate_format::{BASELINE, Goal, Path};
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn paths(
        &self,
        raw: &[Spanned<raw::Path>],
        treatments: &[Treatment],
        workloads: &[Workload],
        peers: &[Peer],
    ) -> Checked<Vec<Path>> {
        self.names("path", raw.iter().map(|path| &path.get_ref().name))?;
        let mut out = Vec::new();
        for path in raw.iter().map(Spanned::get_ref) {
            let peer = &peers[self.known("peer", &path.peer, peers.iter().map(|p| p.name.as_str()))?];
            out.push(Path {
                name: path.name.get_ref().clone(),
                about: path.about.clone(),
                peer: peer.name.clone(),
                steps: self.steps(&path.steps, treatments)?,
                workloads: self.followed(path, workloads, peer)?,
                goals: self.goals(&path.goals)?,
            });
        }
        Ok(out)
    }

    fn steps(&self, steps: &raw::Texts, treatments: &[Treatment]) -> Checked<Vec<String>> {
        let names = || std::iter::once(BASELINE).chain(treatments.iter().map(|t| t.name.as_str()));
        let names: Vec<&str> = names().collect();
        let found = self.list("step", steps, names.iter().copied())?;
        if found.len() < 2 {
            return self
                .fail(steps.span(), "a path needs two steps or more; name them in the order in which they are added");
        }
        if let Some(late) = steps.get_ref().iter().skip(1).find(|step| step.get_ref() == BASELINE) {
            return self.fail(late.span(), "the baseline is the start of a path; put it first or leave it out");
        }
        self.adds(steps, treatments)?;
        Ok(found.into_iter().map(|index| names[index].to_owned()).collect())
    }

    /// Refuses a step whose levels are a part of those of an earlier step, because it adds nothing.
    fn adds(&self, steps: &raw::Texts, treatments: &[Treatment]) -> Checked<()> {
        let mut before: Vec<&Treatment> = Vec::new();
        for step in steps.get_ref() {
            let Some(own) = treatments.iter().find(|t| t.name == *step.get_ref()) else { continue };
            let is_part_of = |other: &&&Treatment| own.levels.iter().all(|(f, l)| other.levels.get(f) == Some(l));
            if let Some(more) = before.iter().find(is_part_of) {
                let message = format!("`{}` has all levels of `{1}` already; put `{1}` first", more.name, own.name);
                return self.fail(step.span(), message);
            }
            before.push(own);
        }
        Ok(())
    }

    /// The workloads of a path. Each needs a gap to the peer and a response of which less is better.
    fn followed(&self, path: &raw::Path, workloads: &[Workload], peer: &Peer) -> Checked<Vec<String>> {
        let (found, place) = match &path.workloads {
            Some(list) => (self.list("workload", list, workloads.iter().map(|w| w.name.as_str()))?, list.span()),
            None => ((0..workloads.len()).collect(), path.name.span()),
        };
        for workload in found.iter().map(|index| &workloads[*index]) {
            if !peer.runs(&workload.name) {
                let message = format!(
                    "peer `{}` does not run with `{}`; name other `workloads` for this path",
                    peer.name, workload.name
                );
                return self.fail(place, message);
            }
            if workload.response.quantity().is_better_high() {
                let message = format!(
                    "the response of `{}` is {}, of which more is better, and a gap needs one of which less is; leave \
                     it out of `workloads`",
                    workload.name,
                    workload.response.as_str()
                );
                return self.fail(place, message);
            }
        }
        Ok(found.into_iter().map(|index| workloads[index].name.clone()).collect())
    }

    fn goals(&self, raw: &[raw::Goal]) -> Checked<Vec<Goal>> {
        let mut out: Vec<Goal> = Vec::new();
        for goal in raw {
            let name = goal.name.get_ref().trim();
            self.sentence(&goal.name, "the goal has no name; write one for people, like \"half the gap\"")?;
            if out.iter().any(|other| other.name == name) {
                return self.fail(goal.name.span(), format!("the goal `{name}` is listed twice; rename one"));
            }
            let high_percent = *goal.high_percent.get_ref();
            // A time cannot fall by more than 100 percent.
            if !(high_percent.is_finite() && high_percent > -100.0) {
                let message =
                    "a gap is a number above −100 in percent, where 0 is as fast as the peer; correct this number";
                return self.fail(goal.high_percent.span(), message);
            }
            out.push(Goal { name: name.to_owned(), high_percent });
        }
        Ok(out)
    }
}
