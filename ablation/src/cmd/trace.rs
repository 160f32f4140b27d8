//! `cargo ablate trace`.

use super::forms::Forms;
use super::numbers::whole;
use super::output::{Ended, out_path, shown};
use crate::support::exit::ShellCode;
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::tools::trace::{self, Part, Request, told};
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `cargo ablate trace`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What to do with a trace.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a program and record its allocations.
    ///
    /// The program runs with its own input and output and with the recorder preloaded, and its exit code is passed on; 128
    /// and the signal's number where one ended it. Errors of recording have the codes 1 and 2. The trace is made when the
    /// program has ended, also by a crash. `cargo recorder` builds the recorder.
    #[command(after_help = "\
Examples:
  cargo ablate trace record -- sqlite3 :memory: '.read load.sql'
  cargo ablate trace record -o perl.trace -- perl script.pl
  cargo ablate trace record --children -o build.trace -- make
                                                    a trace for each process, build.PID.0.trace and so on")]
    Record(Record),
    /// Make a trace of the raw file of a recorder that was killed before it could.
    #[command(after_help = "Example:\n  cargo ablate trace convert .ablate-x1y2z3/raw.4711.0 -o perl.trace")]
    Convert(Convert),
    /// Tell what a trace has: sizes, lifetimes, call sites, threads, and live bytes over time.
    #[command(after_help = "\
Examples:
  cargo ablate trace info perl.trace
  cargo ablate trace info perl.trace --html perl.html    the same with figures")]
    Info(Info),
    /// Write a part of a trace as a trace of its own.
    ///
    /// Objects that are live at its start are allocated at its beginning, as a preamble that a replay does not time.
    #[command(after_help = "\
Examples:
  cargo ablate trace cut perl.trace --from 1.5s --to 2s -o part.trace
  cargo ablate trace cut perl.trace --operations 1000000..2000000 -o part.trace")]
    Cut(Cut),
    /// Write a study of a trace: what each part of the allocator costs on it, in time and in memory, beside the peers.
    ///
    /// The study is a config for `cargo ablate run`, after that of the traces that ship.
    #[command(after_help = "\
Example:
  cargo ablate trace study perl.trace && cargo ablate run perl.toml --quick")]
    Study(Study),
}

#[derive(Debug, clap::Args)]
struct Record {
    /// The trace to write. Default: the program's name with `.trace`. No file is overwritten.
    #[arg(short, long, value_name = "FILE", value_parser = out_path())]
    out: Option<PathBuf>,
    /// Record processes that the program starts, too, into files beside the trace.
    #[arg(long)]
    children: bool,
    /// Stop recording a process when its raw file has this size, such as `500M` or `20G`; 0 for no limit. The program goes
    /// on. A call takes 4 to 32 bytes of it.
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = size)]
    limit: u64,
    /// Watch one allocation in so many for how far it is written; 0 for none. Watched objects are filled with a pattern.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = whole::<u32>(0..=1_000_000_000))]
    sample: u32,
    #[command(flatten)]
    level: Level,
    /// The recorder's library. Default: the one beside this program, or in target/preload.
    #[arg(long, value_name = "FILE")]
    recorder: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct Convert {
    /// The raw file.
    raw: PathBuf,
    /// The trace to write.
    #[arg(short, long, value_name = "FILE", value_parser = out_path())]
    out: PathBuf,
    #[command(flatten)]
    level: Level,
}

#[derive(Debug, clap::Args)]
struct Info {
    /// The trace.
    file: PathBuf,
    #[command(flatten)]
    forms: Forms,
}

#[derive(Debug, clap::Args)]
struct Cut {
    /// The trace.
    file: PathBuf,
    /// Time since the beginning at which the part begins, such as `1.5s`, `200ms` or `80us`.
    #[arg(long, value_name = "T", value_parser = time)]
    from: Option<u64>,
    /// Time at which it ends.
    #[arg(long, value_name = "T", value_parser = time)]
    to: Option<u64>,
    /// The part by its operations, of all threads in the order of time: from the first number to before the second.
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with_all = ["from", "to"])]
    operations: Option<(u64, u64)>,
    /// The trace to write.
    #[arg(short, long, value_name = "FILE", value_parser = out_path())]
    out: PathBuf,
    #[command(flatten)]
    level: Level,
}

#[derive(Debug, clap::Args)]
struct Study {
    /// The trace.
    file: PathBuf,
    /// The config to write. Default: the trace's name with `.toml`, in this folder. No file is overwritten.
    #[arg(short, long, value_name = "FILE", value_parser = out_path())]
    out: Option<PathBuf>,
    /// The repository of ablate. Default: the one that this folder or the program lies in.
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Level {
    /// Compression: 1 is the fastest, 19 the smallest.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
}

pub(super) fn run(args: Args, settings: &Settings) -> Ended {
    match args.command {
        Command::Record(args) => {
            let recorded = trace::record(&Request {
                command: args.command,
                out: args.out,
                children: args.children,
                limit: args.limit,
                one_in: args.sample,
                level: args.level.level,
                recorder: args.recorder,
                target_dir: settings.target_dir.clone(),
            })?;
            recorded.said.iter().for_each(|line| note(line));
            Ok(recorded.code)
        }
        Command::Convert(args) => {
            let header = trace::convert_raw(&args.raw, &args.out, args.level.level)?;
            let notes = header.about.notes.iter().map(|note| format!("\nnote: {note}")).collect::<String>();
            shown(&(told(&header, &args.out) + &notes))
        }
        Command::Info(args) => {
            let info = trace::info(&args.file)?;
            args.forms.show(&info, settings)?;
            Ok(if info.is_whole() { ShellCode::Good } else { ShellCode::BadRuns })
        }
        Command::Study(args) => shown(&trace::study(&args.file, args.out.as_deref(), args.repository.as_deref())?),
        Command::Cut(args) => {
            let part = match args.operations {
                Some((from, to)) => Part::Operations(from, to),
                None => Part::Time(args.from.unwrap_or(0), args.to),
            };
            let header = trace::cut(&trace::open(&args.file)?, part, &args.out, args.level.level)?;
            shown(&told(&header, &args.out))
        }
    }
}

/// A size in bytes: `4096`, `64K`, `500M`, `8G`, `1T`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "write a number of bytes, such as 4096, 64K, 500M or 8G".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// A time in nanoseconds: `1.5s`, `200ms`, `80us`, `7ns`.
fn time(text: &str) -> Result<u64, String> {
    let wrong = || "write a time with its unit, such as 1.5s, 200ms, 80us or 7ns".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1e9,
        "ms" => 1e6,
        "us" | "µs" => 1e3,
        "ns" => 1.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let ns = number * unit;
    if (0.0..1e18).contains(&ns) { Ok(ns.round() as u64) } else { Err(wrong()) }
}

/// `A..B`.
fn range(text: &str) -> Result<(u64, u64), String> {
    let wrong = || "write two whole numbers with two points between, the second larger: 1000..2000".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from < to => Ok((from, to)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_ranges() {
        assert_eq!(
            ["0", "64K", "64KiB", "8G", "3MB"].map(|text| size(text).ok()),
            [Some(0), Some(65536), Some(65536), Some(8 << 30), Some(3 << 20)]
        );
        assert!(["", "G", "-1", "1.5G", "99999999999T", "8Q"].iter().all(|text| size(text).is_err()));
        assert_eq!(
            ["1.5s", "200ms", "80us", "7ns"].map(|text| time(text).ok()),
            [Some(1_500_000_000), Some(200_000_000), Some(80_000), Some(7)]
        );
        assert!(["", "5", "s", "-1s", "nans", "1e99s", "5min"].iter().all(|text| time(text).is_err()));
        assert_eq!(range("1..5"), Ok((1, 5)));
        assert!(["", "5", "5..5", "6..5", "..", "1..x"].iter().all(|text| range(text).is_err()));
    }
}
