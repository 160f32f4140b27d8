//! Resident memory of a running process and its descendants, sampled while the runner waits for it.
//!
//! A sample makes the kernel walk the page tables of the process under its lock, so samples are rare: the first comes
//! after [`FIRST`], and all of them together take at most half a percent of the time.

use std::fs;
use std::time::{Duration, Instant};

/// Time before the first sample. A process that ends sooner is never sampled.
const FIRST: Duration = Duration::from_millis(50);
/// Least time between two samples.
const APART: Duration = Duration::from_millis(25);
/// Time between two samples, in times of the processor time that the last one took.
const TIMES: u32 = 200;
/// Fewest samples that make a mean.
const MIN_SAMPLES: u32 = 2;
/// Most processes of one tree that are looked at. Of a larger tree there is no sample, as a part of it would pass for all.
const MAX_PROCESSES: usize = 4096;

/// Samples of one run.
pub(super) struct Sampler {
    pid: libc::pid_t,
    next: Instant,
    samples: u32,
    /// Time of the last sample with its bytes.
    last: Option<(Instant, u64)>,
    /// The most of a sample, and of the first process by then.
    peak: u64,
    /// Sum of bytes times seconds since the first sample, and those seconds.
    area: f64,
    seconds: f64,
}

/// What the samples of a run say, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resident {
    /// Mean over the time between the first and the last sample.
    pub(crate) mean_bytes: u64,
    /// The last sample.
    pub(crate) last_bytes: u64,
    /// The most of one sample, or of the first process until the last sample.
    pub(crate) peak_bytes: u64,
}

impl Sampler {
    pub(super) fn new(pid: libc::pid_t, started: Instant) -> Sampler {
        Sampler { pid, next: started + FIRST, samples: 0, last: None, peak: 0, area: 0.0, seconds: 0.0 }
    }

    /// When the next sample is due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Takes a sample when one is due.
    pub(super) fn sample(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let before = processor_time();
        // A process that has ended but is not reaped has no memory any more.
        if let Some(bytes) = tree_bytes(self.pid) {
            self.add(now, bytes);
            self.peak = self.peak.max(high_water(self.pid).unwrap_or(0));
        }
        // Not the time that passed: on a busy machine the runner may have waited for a processor.
        let took = processor_time().saturating_sub(before);
        self.next = Instant::now() + APART.max(took * TIMES);
    }

    fn add(&mut self, at: Instant, bytes: u64) {
        if let Some((before, known)) = self.last {
            let seconds = at.duration_since(before).as_secs_f64();
            self.area += seconds * (known as f64 + bytes as f64) / 2.0;
            self.seconds += seconds;
        }
        self.last = Some((at, bytes));
        self.peak = self.peak.max(bytes);
        self.samples += 1;
    }

    /// `None` with too few samples for a mean.
    pub(super) fn result(&self) -> Option<Resident> {
        let (_, last_bytes) = self.last.filter(|_| self.samples >= MIN_SAMPLES && self.seconds > 0.0)?;
        let mean_bytes = (self.area / self.seconds).round() as u64;
        Some(Resident { mean_bytes, last_bytes, peak_bytes: self.peak })
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place for the result is live; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Resident bytes of a process and all of its descendants; `None` when the process has none, or too many descendants. Memory
/// that several of them share counts once for each.
fn tree_bytes(pid: libc::pid_t) -> Option<u64> {
    let own = resident(pid)?;
    // Processes may end while they are looked at.
    Some(descendants(pid)?.into_iter().filter_map(resident).fold(own, |sum, bytes| sum + bytes))
}

/// The descendants of a process; `None` of too many.
fn descendants(pid: libc::pid_t) -> Option<Vec<libc::pid_t>> {
    let mut found = children(pid);
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(children(pid));
        at += 1;
        if found.len() >= MAX_PROCESSES {
            return None;
        }
    }
    Some(found)
}

fn resident(pid: libc::pid_t) -> Option<u64> {
    kibibytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Rss:")
}

/// Peak of a process since its `exec` (proc_pid_status(5)).
fn high_water(pid: libc::pid_t) -> Option<u64> {
    kibibytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")
}

/// Bytes of the line with this name, in KiB there (proc_pid_smaps(5)).
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Processes that a process has started and that are still there. Each of its threads has its own.
fn children(pid: libc::pid_t) -> Vec<libc::pid_t> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_rollup_is_in_kibibytes() {
        let rollup = "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:       1234 kB\nPss: 9 kB\n";
        assert_eq!((kibibytes(rollup, "Rss:"), kibibytes("Pss: 9 kB\n", "Rss:")), (Some(1234 * 1024), None));
    }

    /// A server with many workers.
    #[test]
    fn all_processes_of_a_large_tree_count() {
        use std::io::{BufRead as _, BufReader};
        use std::process::{Command, Stdio};
        const WORKERS: usize = 100;
        // The workers read what the test writes, so that they end with it.
        let workers =
            format!("i=0; while [ $i -lt {WORKERS} ]; do cat <&3 >/dev/null & i=$((i + 1)); done; echo; wait");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 3<&0; {workers}")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("is piped")).read_line(&mut line).expect("it says when all run");
        let pid = server.id() as libc::pid_t;
        assert_eq!(descendants(pid).map(|found| found.len()), Some(WORKERS));
        drop(server.stdin.take());
        assert!(server.wait().expect("ends").success());
    }

    #[test]
    fn a_mean_is_over_time_and_needs_two_samples() {
        let start = Instant::now();
        let mut sampler = Sampler::new(1, start);
        sampler.add(start, 100);
        assert_eq!(sampler.result(), None);
        // 100 for a second, then 300 for three: a straight line between samples.
        sampler.add(start + Duration::from_secs(1), 100);
        sampler.add(start + Duration::from_secs(1), 300);
        sampler.add(start + Duration::from_secs(4), 300);
        assert_eq!(sampler.result(), Some(Resident { mean_bytes: 250, last_bytes: 300, peak_bytes: 300 }));
    }

    #[test]
    fn nothing_is_sampled_before_the_first_is_due() {
        let now = Instant::now();
        let mut sampler = Sampler::new(std::process::id() as libc::pid_t, now + Duration::from_secs(3600));
        sampler.sample();
        assert_eq!(sampler.samples, 0);
        sampler.next = now;
        sampler.sample();
        assert_eq!(sampler.samples, 1);
        assert!(sampler.last.is_some_and(|(_, bytes)| bytes > 1 << 20), "this process is larger");
        assert!(sampler.due() >= now + APART);
    }
}
