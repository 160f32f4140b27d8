//! Rules of workloads, of curves (groups of workloads), and of the reference peer.

use super::check::{Checked, Checker};
use super::raw;
use super::study::{DesignKind, Peer, Program, Subject, Workload};
use crate::support::nearest::suggestion;
use ablate_format::{Curve, MainResponse, OutputRule};
use toml::Spanned;

/// Fewest workloads of a curve. Two points always lie on a line.
const MIN_CURVE: usize = 3;

impl Checker<'_> {
    pub(super) fn workloads(
        &self,
        raw: &[raw::Workload],
        designs: &[DesignKind],
        subject: &Subject,
    ) -> Checked<Vec<Workload>> {
        if raw.is_empty() && subject.harness.is_some() {
            // All of its benchmarks, which only the built program tells.
            return Ok(Vec::new());
        }
        if raw.is_empty() {
            let end = self.text.trim_end().len();
            return self.fail(end..end, "no workload; add a [[workload]] table with `name` and `args`");
        }
        self.names("workload", raw.iter().map(|w| &w.name))?;
        let mut out = Vec::new();
        for workload in raw {
            out.push(Workload {
                name: workload.name.get_ref().clone(),
                about: match &workload.benchmark {
                    Some(id) if workload.about.is_empty() => id.get_ref().clone(),
                    _ => workload.about.clone(),
                },
                command: self.workload_command(workload, subject)?,
                args: self.workload_args(workload, subject)?,
                benchmark: workload.benchmark.as_ref().map(|id| id.get_ref().clone()),
                pin: workload.pin,
                response: self.response(workload.response.as_ref(), subject)?,
                is_judged_by_default: workload.response.is_none() && subject.harness.is_none(),
                designs: workload.designs.as_ref().map(|own| self.restriction(own, designs)).transpose()?,
                output: workload.output.as_ref().map(|given| self.output(given)).transpose()?.unwrap_or_default(),
            });
        }
        Ok(out)
    }

    /// The program of a workload, where it is not the subject's.
    fn workload_command(&self, raw: &raw::Workload, subject: &Subject) -> Checked<Option<Vec<String>>> {
        let Some(command) = &raw.command else { return Ok(None) };
        if !matches!(subject.program, Program::Command(_)) || subject.harness.is_some() || subject.server().is_some() {
            let message = "a workload has a `command` of its own where the subject is a `command`, without a harness or a \
                           server; remove it";
            return self.fail(command.span(), message);
        }
        Ok(Some(self.command(command)?))
    }

    /// The arguments of a workload. Only those of a benchmark, which its id chooses, or of a command may be missing.
    fn workload_args(&self, raw: &raw::Workload, subject: &Subject) -> Checked<Vec<String>> {
        let name = &raw.name;
        match (&raw.benchmark, subject.harness) {
            (Some(id), None) => {
                let message = "`benchmark` is the id that a harness gives; add `harness` to [subject], or remove it";
                return self.fail(id.span(), message);
            }
            (None, Some(harness)) => {
                let message = format!(
                    "a workload of {} is one of its benchmarks; add benchmark = \"ID\"{}",
                    harness.as_str(),
                    if harness.ids_are_arguments() { ", the command that it times" } else { "" }
                );
                return self.fail(name.span(), message);
            }
            (Some(id), Some(_)) if id.get_ref().trim().is_empty() => {
                return self.fail(id.span(), "the id of this benchmark is empty; write the one that the harness lists");
            }
            (Some(id), Some(_)) => _ = self.args(std::slice::from_ref(id))?,
            (None, None) => {}
        }
        match (&raw.args, subject.harness) {
            (Some(args), _) => self.args(args),
            (None, Some(_)) => Ok(Vec::new()),
            (None, None) if raw.command.is_some() => Ok(Vec::new()),
            (None, None) => self.fail(name.span(), "missing key `args`; add it to this table"),
        }
    }

    fn response(&self, given: Option<&raw::Text>, subject: &Subject) -> Checked<MainResponse> {
        match (given, subject.harness) {
            (Some(given), _) => self.named_response(given, given.get_ref()),
            (None, Some(harness)) => Ok(harness.response()),
            // Most programs do not report how long they took.
            (None, None) if subject.is_outside() => Ok(MainResponse::Wall),
            (None, None) => Ok(MainResponse::default()),
        }
    }

    fn output(&self, given: &raw::Text) -> Checked<OutputRule> {
        if let Some((_, rule)) = OutputRule::NAMES.iter().find(|(name, _)| name == given.get_ref()) {
            return Ok(*rule);
        }
        let names = OutputRule::NAMES.map(|(name, _)| name);
        let near = suggestion(given.get_ref(), names.iter().copied());
        let message = format!("`output` is one of {}, not `{}`{near}", names.join(", "), given.get_ref());
        self.fail(given.span(), message)
    }

    /// A response by its name, which is all of `given` or a part of it.
    pub(super) fn named_response(&self, given: &raw::Text, name: &str) -> Checked<MainResponse> {
        if let Some(response) = MainResponse::named(name) {
            return Ok(response);
        }
        if name.starts_with("value") {
            let message = "a value of the program's own is named `value:NAME`, with letters a to z, digits and `_`";
            return self.fail(given.span(), format!("`{name}` is not a response; {message}"));
        }
        let known = MainResponse::ALL.iter().map(|known| known.as_str()).chain(["value:NAME"]);
        self.fail(given.span(), format!("unknown response `{name}`{}", suggestion(name, known)))
    }

    /// The designs of the study whose cells run with a workload.
    fn restriction(&self, own: &raw::Texts, designs: &[DesignKind]) -> Checked<Vec<DesignKind>> {
        let every = DesignKind::NAMES.iter().map(|(name, _)| *name);
        if let Some(unasked) = own.get_ref().iter().find(|name| {
            every.clone().any(|known| known == name.get_ref()) && designs.iter().all(|d| d.as_str() != name.get_ref())
        }) {
            let message = format!("`{}` is not in the study's `design`; add it there or remove it", unasked.get_ref());
            return self.fail(unasked.span(), message);
        }
        let found = self.list("design", own, designs.iter().map(|kind| kind.as_str()))?;
        Ok(found.into_iter().map(|index| designs[index]).collect())
    }

    pub(super) fn curves(&self, raw: &[Spanned<raw::Curve>], workloads: &[Workload]) -> Checked<Vec<Curve>> {
        self.names("curve", raw.iter().map(|curve| &curve.get_ref().name))?;
        let mut out = Vec::new();
        for curve in raw.iter().map(Spanned::get_ref) {
            let found = self.list("workload", &curve.workloads, workloads.iter().map(|w| w.name.as_str()))?;
            if found.len() < MIN_CURVE {
                let message = format!(
                    "a line is fitted over this curve, which needs at least {MIN_CURVE} workloads; add some or remove \
                     the table"
                );
                return self.fail(curve.workloads.span(), message);
            }
            if let Some(other) = found.iter().find(|i| !workloads[**i].response.is_latency()) {
                let (name, response) = (&workloads[*other].name, workloads[*other].response.as_str());
                let message =
                    format!("a curve needs latencies, and the response of `{name}` is {response}; leave it out");
                return self.fail(curve.workloads.span(), message);
            }
            if let Some(other) = found.iter().find(|i| workloads[**i].response != workloads[found[0]].response) {
                let message = format!(
                    "the response of `{}` is {}, that of `{}` is {}; a curve has one, so give both the same",
                    workloads[*other].name,
                    workloads[*other].response.as_str(),
                    workloads[found[0]].name,
                    workloads[found[0]].response.as_str()
                );
                return self.fail(curve.workloads.span(), message);
            }
            let names = found.into_iter().map(|index| workloads[index].name.clone());
            out.push(Curve { name: curve.name.get_ref().clone(), workloads: names.collect() });
        }
        Ok(out)
    }

    pub(super) fn reference(&self, reference: Option<&raw::Text>, peers: &[Peer]) -> Checked<Option<String>> {
        let Some(reference) = reference else { return Ok(None) };
        if peers.iter().any(|peer| peer.name == *reference.get_ref()) {
            return Ok(Some(reference.get_ref().clone()));
        }
        let near = suggestion(reference.get_ref(), peers.iter().map(|p| p.name.as_str()));
        self.fail(reference.span(), format!("reference_peer `{}` is not among the peers{near}", reference.get_ref()))
    }
}
