//! `cargo ablate run`.

use super::numbers::whole;
use super::output::{Ended, out_path};
use super::report::{self, Printed};
use crate::report::Screen;
use crate::study::rule::{Budget, HalfWidth};
use crate::study::{self, Form, Request, shard};
use crate::support::call::{PROGRAM, quoted};
use crate::support::exit::ShellCode;
use crate::support::interrupt;
use crate::support::progress::{note, warn};
use crate::support::settings::Settings;
use ablate_format::Shard;
use ablate_stats::MAX_BLOCKS;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::path::PathBuf;

/// Arguments of `cargo ablate run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, a TOML file.
    config: PathBuf,
    /// Number of timing blocks, instead of the config's. More blocks give narrower intervals.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1..=MAX_BLOCKS as u64))]
    blocks: Option<u32>,
    /// Run only this workload, with its hypotheses and targets. May be given several times.
    #[arg(long = "workload", value_name = "NAME")]
    workloads: Vec<String>,
    /// Run only treatments that change no other factor than this. May be given several times.
    #[arg(long = "factor", value_name = "NAME")]
    factors: Vec<String>,
    /// Run only this treatment, by the name or id that `cargo ablate plan` shows. May be given several times.
    #[arg(long = "cell", value_name = "NAME")]
    cells: Vec<String>,
    /// Run the short form that the config has under `[quick]`, and print a first table.
    #[arg(long)]
    quick: bool,
    /// Folder for the results, which must be empty or new. Default: target/ablate/STUDY-TIME.
    #[arg(long, value_name = "DIR", value_parser = out_path())]
    out: Option<PathBuf>,
    /// Continue the study in --out. Finished runs are not repeated.
    #[arg(long, requires = "out")]
    resume: bool,
    /// Seed of the random orders, instead of the config's.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = whole::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Run until every interval is known to ± WIDTH: 0.5ns, 2us, 1ms, or 1% of the baseline.
    ///
    /// The rule holds for every factor in every workload; in a study without factors, for every ratio to a peer. It
    /// looks at widths only, never at effects, so that stopping favours no result. --blocks is then the maximum.
    #[arg(long, value_name = "WIDTH")]
    until_halfwidth: Option<HalfWidth>,
    /// Run as many whole blocks as fit into this time, like 90s, 2m or 1h.
    ///
    /// The time starts with the first timed process. With --until-halfwidth the study ends at the earlier of the two.
    #[arg(long, value_name = "TIME")]
    budget: Option<Budget>,
    /// Run one of several parts of the study, `1/3` to `3/3`, on this machine.
    ///
    /// A part has every third block and the counting passes; the seed and the plan are those of the whole study, and
    /// `cargo ablate merge` joins the parts.
    #[arg(long, value_name = "I/N", allow_hyphen_values = true, value_parser = shard::of_text)]
    shard: Option<Shard>,
    /// Take the binaries that `cargo ablate build` put into this folder, and build nothing.
    #[arg(long, value_name = "BUNDLE")]
    builds: Option<PathBuf>,
    #[command(flatten)]
    printed: Printed,
}

/// Whether a word is an option of `run`. Such an option is easily given without the subcommand.
pub(super) fn has_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    let known = <Args as clap::Args>::augment_args(clap::Command::new("run"));
    let mut names = known.get_arguments().filter_map(clap::Arg::get_long);
    names.any(|long| name.strip_prefix("--") == Some(long))
}

/// Keys of a config that are easily taken for options of its call.
const KEYS: [(&str, &str); 7] = [
    ("--arm", "arms"),
    ("--arms", "arms"),
    ("--design", "design"),
    ("--layouts", "layouts"),
    ("--instruments", "instruments"),
    ("--response", "response"),
    ("--timeout", "timeout_seconds"),
];

/// The option that was given to a subcommand with a study and is a key of its config, and that key.
pub(super) fn key_as_option(error: &clap::Error, subcommand: Option<&str>) -> Option<(String, &'static str)> {
    let has_study = ["run", "plan", "syscalls", "profile"].contains(&subcommand?);
    if !has_study || error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let ContextValue::String(given) = error.get(ContextKind::InvalidArg)? else { return None };
    let option = given.split('=').next()?;
    let (_, key) = KEYS.into_iter().find(|(known, _)| *known == option)?;
    Some((option.to_owned(), key))
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    let Args {
        config,
        blocks,
        workloads,
        factors,
        cells,
        quick,
        out,
        resume,
        seed,
        until_halfwidth,
        budget,
        shard,
        builds,
        printed,
    } = args;
    let full = format!("{PROGRAM} run {}", quoted(&config));
    let request = Request {
        blocks,
        workloads,
        factors,
        cells,
        form: if quick { Form::Quick } else { Form::Whole },
        out,
        resume,
        seed,
        until_halfwidth,
        budget,
        shard,
        builds,
        ..Request::of(config)
    };
    study(&request, &full, printed, settings)
}

/// Runs a study and reports it. `full` is the command that runs all of it, when this is its quick form.
pub(super) fn study(request: &Request, full: &str, printed: Printed, settings: &Settings) -> Ended {
    let outcome = study::run(request, settings)?;
    if outcome.interrupted && interrupt::asked_twice() {
        warn(&format!("to continue:\n  {}", outcome.resume));
        return Ok(ShellCode::Interrupted);
    }
    let screen = if outcome.is_quick { Screen::First { full } } else { Screen::Tables };
    let code = report::report(&outcome.dir, screen, printed, settings)?;
    outcome.closing.iter().for_each(|line| note(line));
    if outcome.interrupted {
        warn(&format!("interrupted; finished runs are stored. To continue:\n  {}", outcome.resume));
        return Ok(ShellCode::Interrupted);
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_config_are_told_from_options() {
        let said = |words: &[&str]| {
            let known = <Args as clap::Args>::augment_args(clap::Command::new("run"));
            let error = known.try_get_matches_from(words).expect_err("is no option");
            key_as_option(&error, words.first().copied())
        };
        assert_eq!(said(&["run", "x.toml", "--arm", "env"]), Some(("--arm".to_owned(), "arms")));
        assert_eq!(said(&["run", "x.toml", "--timeout=5"]), Some(("--timeout".to_owned(), "timeout_seconds")));
        assert_eq!(said(&["run", "x.toml", "--nothing"]), None);
        assert_eq!(said(&["doctor", "--arm"]), None);
    }

    #[test]
    fn options_without_run_are_recognised() {
        for word in ["--blocks", "--seed=3", "--until-halfwidth", "--workload"] {
            assert!(has_option(word), "{word}");
        }
        for word in ["--help", "rnu", "", "--", "--config", "blocks"] {
            assert!(!has_option(word), "{word}");
        }
    }
}
