//! `cargo ablate bisect`.

use super::diff::Measured;
use super::output::{Ended, print};
use crate::support::exit::ShellCode;
use crate::support::progress::warn;
use crate::support::settings::Settings;
use crate::tools::diff::{Found, Request, bisect};

/// Arguments of `cargo ablate bisect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A commit before the change.
    #[arg(value_name = "GOOD")]
    good: String,
    /// A commit after it.
    #[arg(value_name = "BAD")]
    bad: String,
    #[command(flatten)]
    measured: Measured,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let request: Request = args.measured.request(None);
    let open = |commits: &[String]| {
        let list: String = commits.iter().map(|commit| format!("  {commit}\n")).collect();
        format!("one of these commits, the oldest first:\n{list}")
    };
    match bisect(&request, &args.good, &args.bad, settings)? {
        Found::Commit(commit) => {
            print(&format!("first worse commit: {commit}"))?;
            Ok(ShellCode::Good)
        }
        Found::OneOf(commits) => {
            print(&format!("the first worse commit is {}", open(&commits)))?;
            Ok(ShellCode::Undecided)
        }
        Found::NoChange(shown) => {
            print(&format!(
                "no workload is worse by more than the margin from {} to {}: {shown}",
                args.good, args.bad
            ))?;
            Ok(ShellCode::Undecided)
        }
        Found::Unknown(shown) => {
            print(&format!(
                "whether a workload is worse by more than the margin from {} to {} is not known: {shown}; give it more \
                 time with --max-time, or a larger --margin",
                args.good, args.bad
            ))?;
            Ok(ShellCode::Undecided)
        }
        Found::NotBuilt { commit, message, log } => {
            warn(&format!(
                "error: {commit} does not build, so no commit can be compared with it: {message}\nread the whole log, or name \
                 another commit: {log}"
            ));
            Ok(ShellCode::Undecided)
        }
        Found::Interrupted { left, resume } => {
            let left = match left.as_slice() {
                [] => "interrupted; finished runs are stored".to_owned(),
                left => format!("interrupted; the first worse commit is {}", open(left)),
            };
            warn(&format!("{}\nTo continue:\n  {resume}", left.trim_end()));
            Ok(ShellCode::Interrupted)
        }
    }
}
