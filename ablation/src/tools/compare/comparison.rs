//! What a comparison of two folders says: plain values.

use crate::tools::results::Key;
use ablate_format::MainResponse;
use ablate_format::effects::Estimate;
use std::path::PathBuf;

/// A base and what is compared with it.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The base.
    pub(crate) base: Folder,
    /// The others, in the order of the call.
    pub(crate) others: Vec<Compared>,
}

/// A folder of results, for people.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Folder {
    /// Where it is.
    pub(crate) dir: PathBuf,
    /// Name of the study.
    pub(crate) study: String,
    /// Start, seconds since 1970.
    pub(crate) started_unix_s: u64,
    /// Commit of the measured sources, with a `+` where they had changes beside it.
    pub(crate) commit: Option<String>,
    /// Compiler.
    pub(crate) toolchain: Option<String>,
    /// Blocks planned.
    pub(crate) blocks: u32,
    /// Blocks that were timed in full; `None` without records.
    pub(crate) measured: Option<usize>,
    /// Whether it has records.
    pub(crate) has_records: bool,
}

/// One folder against the base.
#[derive(Debug)]
pub(crate) struct Compared {
    /// The folder.
    pub(crate) folder: Folder,
    /// What differs, one line each.
    pub(crate) differences: Vec<String>,
    /// What is the same, one line each.
    pub(crate) alike: Vec<String>,
    /// What the intervals cover.
    pub(crate) session: Session,
    /// A better way to compare these two; `None` where there is none.
    pub(crate) advice: Option<String>,
    /// Every row that both have, and every row that one of them has.
    pub(crate) rows: Vec<Row>,
}

/// What is known of the difference between two sessions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Session {
    /// Whether the facts of both machines are equal.
    pub(crate) one_machine: bool,
    /// What the intervals cover, in a sentence.
    pub(crate) said: String,
    /// What the controls told, by quantity; empty where nothing was learnt.
    pub(crate) learnt: Vec<Learnt>,
}

/// What the controls of one quantity told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Learnt {
    /// The quantity in words: `times`, `bytes`.
    pub(crate) of: &'static str,
    /// Control programs.
    pub(crate) programs: usize,
    /// Their mean shift, a share of the old value.
    pub(crate) common: f64,
    /// Standard deviation between sessions of a value, a share of it.
    pub(crate) deviation: f64,
    /// Standard deviation of a value beside the others of its session.
    pub(crate) beside: f64,
}

/// One cell or factor in both folders.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) key: Key,
    /// The response of its workload.
    pub(crate) response: MainResponse,
    /// Whether a process as a whole is one operation.
    pub(crate) is_per_run: bool,
    /// Whether the values are those of the baseline over the geometric mean of the controls: ratios without a unit.
    pub(crate) is_beside: bool,
    /// The value in the base, with its own interval.
    pub(crate) old: Option<Estimate>,
    /// The value in the other folder.
    pub(crate) new: Option<Estimate>,
    /// `new − old`, with the interval that holds for all rows together.
    pub(crate) difference: Option<Estimate>,
    /// `new / old` of a cell with a value above 0, with such an interval.
    pub(crate) ratio: Option<Estimate>,
    /// The difference as a share of what a cell takes in the base, or of what the baseline does, with such an interval.
    pub(crate) share: Option<Estimate>,
    /// What can be said.
    pub(crate) verdict: Verdict,
    /// Why nothing is said; empty otherwise.
    pub(crate) reason: String,
}

/// What can be said about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The new value is worse: a cell takes more, or a factor costs more.
    Worse,
    /// The new value is better.
    Better,
    /// The interval holds no difference as well.
    NotDetected,
    /// Both folders ran the same binary on one machine: any difference is of the session.
    SameBinary,
    /// There is no interval: too few blocks, or no proven runs.
    NotKnown,
    /// What was measured differs, so the numbers are of two things.
    Refused,
    /// The other folder does not have it.
    OnlyInOld,
    /// The base does not have it.
    OnlyInNew,
}

impl Verdict {
    /// All of them, in the order of reports.
    pub(crate) const ALL: [Verdict; 8] = [
        Verdict::Worse,
        Verdict::Better,
        Verdict::NotDetected,
        Verdict::SameBinary,
        Verdict::NotKnown,
        Verdict::Refused,
        Verdict::OnlyInOld,
        Verdict::OnlyInNew,
    ];

    /// The word in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::Better => "better",
            Verdict::NotDetected => "not-detected",
            Verdict::SameBinary => "same-binary",
            Verdict::NotKnown => "not-known",
            Verdict::Refused => "refused",
            Verdict::OnlyInOld => "only-in-old",
            Verdict::OnlyInNew => "only-in-new",
        }
    }

    /// The same for people.
    pub(crate) fn word(self) -> String {
        self.as_str().replace('-', " ")
    }

    /// Whether a difference is claimed.
    pub(crate) fn is_claim(self) -> bool {
        matches!(self, Verdict::Worse | Verdict::Better)
    }
}

impl Compared {
    /// Rows with this verdict.
    pub(crate) fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// Whether any row was compared.
    pub(crate) fn is_compared(&self) -> bool {
        let is_compared = |row: &Row| {
            matches!(row.verdict, Verdict::Worse | Verdict::Better | Verdict::NotDetected | Verdict::SameBinary)
        };
        self.rows.iter().any(is_compared)
    }
}
