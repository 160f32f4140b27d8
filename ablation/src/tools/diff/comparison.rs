//! What a comparison found: values, and the exit code of its gate.

use crate::analyse::Response;
use crate::support::exit::ShellCode;
use ablate_format::MainResponse;
use ablate_format::effects::Estimate;
use std::path::PathBuf;

/// A comparison that was made.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The base, with its commit and title.
    pub(crate) base: String,
    /// The head.
    pub(crate) head: String,
    /// What was run: each benchmark target or binary.
    pub(crate) parts: Vec<Part>,
    /// The change that matters, a share of the base.
    pub(crate) margin: f64,
}

/// One benchmark target or binary of a comparison.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// Folder with its results.
    pub(crate) dir: PathBuf,
    /// What became of it.
    pub(crate) end: PartEnd,
    /// Every workload.
    pub(crate) rows: Vec<Compared>,
    /// How long the margin takes at the noise seen, where that is known and the time did not suffice.
    pub(crate) outlook: Option<String>,
    /// What the outputs of both revisions say: a change of them is no failure, and times may not be of the same work.
    pub(crate) outputs: Vec<String>,
    /// Blocks that were run.
    pub(crate) blocks: u32,
    /// Code layouts of each build.
    pub(crate) layouts: u32,
    /// Records, and those that do not count.
    pub(crate) runs: (usize, usize),
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartEnd {
    /// It was run.
    Run,
    /// Both revisions have the same binary and it opens no file that differs, so nothing was timed.
    Identical,
    /// It was not run, because an earlier part closed the gate.
    NotRun,
    /// One revision alone has it, so there is nothing to compare.
    OneSided,
    /// A revision could not be built or run, with the reason.
    Failed(String),
}

/// One workload in both revisions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    /// The workload.
    pub(crate) workload: String,
    /// What it is judged by.
    pub(crate) response: MainResponse,
    /// Whether a process as a whole is what is measured.
    pub(crate) is_per_run: bool,
    /// Its value in the base, in the unit of the response.
    pub(crate) base: Option<Estimate>,
    /// Its value in the head.
    pub(crate) head: Option<Estimate>,
    /// `head / base − 1`, with an interval that holds together with those of all other workloads. `None` also where the
    /// base is 0 or below.
    pub(crate) change: Option<Estimate>,
    /// The same for the base against itself: what this machine shows where nothing changed.
    pub(crate) placebo: Option<Estimate>,
    /// `head − base` in the unit of the response, with an interval like that of the change.
    pub(crate) difference: Option<Estimate>,
    /// The same for the base against itself.
    pub(crate) placebo_difference: Option<Estimate>,
    /// Smallest change that is found four times in five, a share of the base.
    pub(crate) detectable: Option<f64>,
    /// What can be said.
    pub(crate) verdict: Verdict,
    /// Why nothing can be said, for [`Verdict::Invalid`] and [`Verdict::Undecided`]; empty otherwise.
    pub(crate) reason: String,
}

/// What can be said about one workload. Each has one word, which every output uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Worse by more than the margin.
    Worse,
    /// Better by more than the margin.
    Better,
    /// Any change is within the margin.
    NoChange,
    /// The interval has values within the margin and values beyond it, or the base is 0 or below.
    Undecided,
    /// No proven run in one of the revisions.
    Invalid,
    /// Both revisions have the same binary, and it opens no file that differs, so it was not timed.
    Identical,
    /// The head does not have it.
    OnlyInBase,
    /// The base does not have it.
    OnlyInHead,
}

impl Verdict {
    /// The word in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::Better => "better",
            Verdict::NoChange => "no-change",
            Verdict::Undecided => "undecided",
            Verdict::Invalid => "invalid",
            Verdict::Identical => "identical",
            Verdict::OnlyInBase => "only-in-base",
            Verdict::OnlyInHead => "only-in-head",
        }
    }

    /// The same for people.
    pub(crate) fn word(self) -> String {
        self.as_str().replace('-', " ")
    }
}

/// What a comparison says as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing is worse by more than the margin.
    Good,
    /// Something is.
    Worse,
    /// For some workload it is not known.
    Undecided,
}

impl Gate {
    /// The word in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Gate::Good => "good",
            Gate::Worse => "worse",
            Gate::Undecided => "undecided",
        }
    }

    /// The exit code of `--gate`.
    pub(crate) fn exit(self) -> ShellCode {
        match self {
            Gate::Good => ShellCode::Good,
            Gate::Worse => ShellCode::BadRuns,
            Gate::Undecided => ShellCode::Undecided,
        }
    }
}

impl Part {
    /// A part without results.
    pub(super) fn without(name: String, dir: PathBuf, end: PartEnd) -> Part {
        let (rows, outputs) = (Vec::new(), Vec::new());
        Part { name, dir, end, rows, outlook: None, outputs, blocks: 0, layouts: 1, runs: (0, 0) }
    }

    /// What one revision alone has: a row with that verdict.
    pub(super) fn one_sided(name: String, verdict: Verdict) -> Part {
        let rows = vec![Compared::unmeasured(name.clone(), MainResponse::default(), verdict)];
        Part { rows, ..Part::without(name, PathBuf::new(), PartEnd::OneSided) }
    }

    /// Why a revision could not be built or run.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.end {
            PartEnd::Failed(why) => Some(why),
            _ => None,
        }
    }
}

impl Comparison {
    /// Every workload with the part that it belongs to.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Part, &Compared)> {
        self.parts.iter().flat_map(|part| part.rows.iter().map(move |row| (part, row)))
    }

    /// One worse workload is enough. Else a part that could not be built or run, a workload of which it is not known
    /// whether it is worse, or that nothing is in both revisions. Whether it is better does not matter.
    pub(crate) fn gate(&self) -> Gate {
        let verdicts = || self.rows().map(|(_, row)| row);
        if verdicts().any(|row| row.verdict == Verdict::Worse) {
            return Gate::Worse;
        }
        let failed = self.parts.iter().any(|part| part.failure().is_some());
        match failed
            || self.is_one_sided()
            || verdicts().any(|row| row.verdict == Verdict::Invalid || row.may_be_worse(self.margin))
        {
            true => Gate::Undecided,
            false => Gate::Good,
        }
    }

    /// Whether no workload is in both revisions, so that nothing was compared.
    pub(crate) fn is_one_sided(&self) -> bool {
        self.rows().all(|(_, row)| matches!(row.verdict, Verdict::OnlyInBase | Verdict::OnlyInHead))
    }
}

impl Compared {
    /// A row that has no change, with the reason in its verdict.
    pub(super) fn unmeasured(workload: String, response: MainResponse, verdict: Verdict) -> Compared {
        Compared {
            workload,
            response,
            is_per_run: false,
            base: None,
            head: None,
            change: None,
            placebo: None,
            difference: None,
            placebo_difference: None,
            detectable: None,
            verdict,
            reason: String::new(),
        }
    }

    /// The ends of the interval as costs: positive is worse, also where more is better.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        self.as_costs(self.change)
    }

    /// [`Compared::ends`] of the difference.
    pub(super) fn ends_of_difference(&self) -> Option<(f64, f64)> {
        self.as_costs(self.difference)
    }

    fn as_costs(&self, change: Option<Estimate>) -> Option<(f64, f64)> {
        let (lo, hi) = change?.interval?;
        let response = Response::main(self.response);
        let (one, other) = (response.cost_of(lo), response.cost_of(hi));
        Some((one.min(other), one.max(other)))
    }

    /// Whether a change for the worse by more than the margin is neither found nor excluded. Where the margin does not
    /// apply, any change for the worse counts.
    pub(crate) fn may_be_worse(&self, margin: f64) -> bool {
        let (ends, limit) = match self.change {
            Some(_) => (self.ends(), margin),
            None => (self.ends_of_difference(), 0.0),
        };
        self.verdict == Verdict::Undecided && ends.is_none_or(|(_, hi)| hi > limit)
    }

    /// Whether it was measured in both revisions and its base is 0 or below.
    pub(super) fn has_no_percent(&self) -> bool {
        self.change.is_none() && self.difference.is_some()
    }

    /// Whether it was run in both revisions, so that it has numbers.
    pub(crate) fn is_compared(&self) -> bool {
        !matches!(self.verdict, Verdict::Identical | Verdict::OnlyInBase | Verdict::OnlyInHead)
    }
}

/// Why a workload that was measured has no change in percent.
pub(super) const NO_PERCENT: &str = "no percent of a base of 0 or below";

/// `1 %`.
pub(super) fn shown_margin(margin: f64) -> String {
    let percent = (margin * 1e5).round() / 1e3;
    format!("{percent} %")
}
