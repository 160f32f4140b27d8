//! Progress of a study on standard error: a bar on a terminal, plain lines elsewhere. Nothing is drawn while a measured
//! process runs, because the drawing would disturb it.

use super::text::printable_lines;
use ablate_format::{Pass, Record, Status};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Number of plain lines of a short study.
const LINES: usize = 20;

/// Progress of one study.
#[derive(Debug)]
pub(crate) struct Progress {
    out: Out,
    /// Number of processes; `None` for an adaptive study.
    total: Option<usize>,
    done: usize,
    bad: usize,
    /// What is known of the results; empty at first.
    remark: String,
    started: Instant,
}

#[derive(Debug)]
enum Out {
    Bar(ProgressBar),
    Lines { last: Instant, last_done: usize },
}

impl Progress {
    /// Starts the progress of `total` processes; `None` when their number is not known.
    pub(crate) fn start(total: Option<usize>) -> Progress {
        let out = if std::io::stderr().is_terminal() && total != Some(0) && !is_quiet() {
            let (bar, template) = match total {
                Some(total) => (ProgressBar::new(total as u64), "{bar:30} {pos}/{len} processes, {eta} left, {msg}"),
                None => (ProgressBar::no_length(), "{pos} processes in {elapsed}, {msg}"),
            };
            // The templates are literals and correct; the default style is for a mistake in them.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            Out::Bar(bar)
        } else {
            Out::Lines { last: Instant::now(), last_done: 0 }
        };
        Progress { out, total, done: 0, bad: 0, remark: String::new(), started: Instant::now() }
    }

    /// Shows this with every progress from now on.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remark = remark;
    }

    /// Counts one more process, and shows the progress.
    pub(crate) fn step(&mut self, record: &Record) {
        self.done += 1;
        if record.status != Status::Ok {
            self.bad += 1;
        }
        let what = match record.pass {
            Pass::Counting | Pass::CountingIdle => format!("counting, repeat {}", record.block + 1),
            Pass::Timing | Pass::UnitCosts => format!("timing, block {}", record.block + 1),
        };
        let bad = if self.bad == 0 { String::new() } else { format!(", {} failed or invalid", self.bad) };
        let remark = if self.remark.is_empty() { String::new() } else { format!(", {}", self.remark) };
        match &mut self.out {
            Out::Bar(bar) => {
                bar.set_message(format!("{what}{bad}{remark}"));
                bar.inc(1);
            }
            Out::Lines { last, last_done } => {
                let share = self.total.map_or(usize::MAX, |total| total.div_ceil(LINES));
                let due = self.done - *last_done >= share || last.elapsed() >= LINE_EVERY;
                if due || Some(self.done) == self.total {
                    let elapsed = self.started.elapsed();
                    let how_far = match self.total {
                        Some(total) => format!("/{total} processes, {} left", time_left(elapsed, self.done, total)),
                        None => format!(" processes in {}", human(elapsed)),
                    };
                    note(&format!("{}{how_far}, {what}{bad}{remark}", self.done));
                    (*last, *last_done) = (Instant::now(), self.done);
                }
            }
        }
    }

    /// Ends the bar, so that the next output begins on its own line.
    pub(crate) fn finish(self) {
        if let Out::Bar(bar) = self.out {
            bar.abandon();
        }
    }
}

/// Whether only errors are written to standard error.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Leaves out every progress and every [`note`] from now on.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a line to standard error, unless the call asked for none. A failure to write it is ignored.
pub(crate) fn note(line: &str) {
    if !is_quiet() {
        warn(line);
    }
}

/// Writes a line to standard error in any case: an error, or how to continue. Nothing in it steers a terminal.
pub(crate) fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable_lines(line));
}

fn time_left(elapsed: Duration, done: usize, total: usize) -> String {
    let each = elapsed.as_secs_f64() / done.max(1) as f64;
    human(Duration::from_secs_f64(each * total.saturating_sub(done) as f64))
}

/// A duration in words: `45 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn human(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        assert_eq!(human(Duration::from_millis(400)), "0 s");
        assert_eq!(human(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(human(Duration::from_secs(7500)), "2 h 5 min");
        assert_eq!(time_left(Duration::from_secs(10), 10, 40), "30 s");
        assert_eq!(time_left(Duration::ZERO, 0, 0), "0 s");
    }
}
