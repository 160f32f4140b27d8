//! What is said at the end of a program: whether hakmem served it, with what numbers, and what to do if it did not.

use crate::process::Ended;
use crate::program::Obstacle;
use crate::report::{End, Process, Report};
use std::fmt::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// All that is known of a run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The program's name, as it was called.
    pub(crate) name: &'a str,
    pub(crate) library: &'a Path,
    pub(crate) ended: &'a Ended,
    /// What the processes told; `None` where they had no file to tell it to.
    pub(crate) report: Option<&'a Report>,
    /// What keeps the loader from preloading.
    pub(crate) obstacle: Option<Obstacle>,
}

/// Fewer requests than any program of some size makes of its allocator.
const FEW_REQUESTS: u64 = 100;

impl Run<'_> {
    /// What the program told of itself.
    fn told(&self) -> Option<&Process> {
        self.report.and_then(|report| report.of(self.ended.process))
    }

    /// Whether hakmem served the program, by its own word. A process that began with hakmem and exits without a word has
    /// most often become another program.
    pub(crate) fn is_served(&self) -> bool {
        let is_whole = |told: &Process| told.end.is_some() || self.ended.status.signal().is_some();
        self.told().is_some_and(|told| told.other.is_none() && is_whole(told))
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        served(&mut text, self)?;
        used(&mut text, self)?;
        if let Some(report) = self.report {
            others(&mut text, report, self.ended.process)?;
        }
        text.lines().try_for_each(|line| writeln!(f, "hakmem: {line}"))
    }
}

/// Whether hakmem served, and the allocator's numbers.
fn served(text: &mut String, run: &Run<'_>) -> fmt::Result {
    let (name, process) = (run.name, run.ended.process);
    let Some(told) = run.told() else {
        return not_served(text, run);
    };
    if let Some(other) = &told.other {
        writeln!(
            text,
            "{name} (process {process}) was NOT served: the library is loaded, but malloc is that of {other}"
        )?;
        return writeln!(text, "  take that allocator out of the program, its libraries or LD_PRELOAD");
    }
    let version = &told.version;
    let Some(end) = &told.end else {
        let Some(signal) = run.ended.status.signal() else {
            writeln!(text, "{name} (process {process}) began with hakmem {version}, and exited without a word of it")?;
            text.push_str(
                "  it became another program that hakmem does NOT serve (env -i, sudo, a static program), or it\n",
            );
            text.push_str("  ended by a bare system call, or in a chroot from where it could not tell\n");
            return Ok(());
        };
        writeln!(text, "{name} (process {process}) was served by hakmem {version}")?;
        return writeln!(text, "  its own numbers are not known: signal {signal} ended it");
    };
    writeln!(text, "{name} (process {process}) was served by hakmem {version}")?;
    numbers(text, end)?;
    if end.number("allocations").is_some_and(|requests| requests < FEW_REQUESTS) {
        writeln!(
            text,
            "  few requests: right for a small program, and a sign of an allocator of its own in a larger one"
        )?;
    }
    Ok(())
}

fn numbers(text: &mut String, end: &End) -> fmt::Result {
    let count = |name: &str| end.number(name).map_or("n/a".to_owned(), grouped);
    let bytes = |name: &str| end.number(name).map_or("n/a".to_owned(), size);
    writeln!(text, "  {} requests, {} frees", count("allocations"), count("frees"))?;
    writeln!(text, "  at the end {} objects of {} were live", count("live_objects"), bytes("live_bytes"))?;
    let (most, now) = (bytes("mapped_bytes_max"), bytes("resident_bytes"));
    writeln!(text, "  hakmem had at most {most} of addresses mapped, and {now} resident at the end")
}

/// What the program needed, as the kernel counted it.
fn used(text: &mut String, run: &Run<'_>) -> fmt::Result {
    let usage = run.ended.usage;
    let own_peak = run.told().and_then(|told| told.end.as_ref()).and_then(|end| end.number("peak_kib"));
    let peak = match own_peak {
        Some(kib) => size(kib << 10),
        None => format!("{} (of the largest of it and its children)", size(usage.peak_kib << 10)),
    };
    writeln!(text, "  peak resident {peak}, {} page faults", grouped(usage.faults))?;
    let (wall, user, system) = (seconds(run.ended.wall), seconds(usage.user), seconds(usage.system));
    writeln!(text, "  {wall} s, of processors {user} s in the program and {system} s in the kernel")
}

/// The other processes that told anything, all together.
fn others(text: &mut String, report: &Report, process: u32) -> fmt::Result {
    let served = report.others(process).filter(|told| told.other.is_none());
    let (count, requests) = served.fold((0, 0_u64), |(count, requests), told| {
        let own = told.end.as_ref().and_then(|end| end.number("allocations"));
        (count + 1, requests.saturating_add(own.unwrap_or(0)))
    });
    if count == 0 {
        return Ok(());
    }
    let (which, were) = if count == 1 { ("other process", "was") } else { ("other processes", "were") };
    writeln!(text, "  {count} {which} {were} served too, with {} requests that are known", grouped(requests))
}

/// Why hakmem may not have served, and the way out.
fn not_served(text: &mut String, run: &Run<'_>) -> fmt::Result {
    let (name, process) = (run.name, run.ended.process);
    if run.report.is_none() {
        return writeln!(
            text,
            "whether {name} (process {process}) was served is not known: no folder for the report; set TMPDIR to one"
        );
    }
    writeln!(text, "{name} (process {process}) was NOT served by hakmem")?;
    if let Some(obstacle) = run.obstacle {
        return writeln!(text, "  it {obstacle}");
    }
    let library = run.library.display();
    writeln!(text, "  the library was never loaded, or could not tell. Reasons, likeliest first:")?;
    for reason in [
        "the loader refused the library: it said so on standard error",
        &format!("in a container or chroot there is no {library}: install it there at that path"),
        "the program is a wrapper (sudo, su -, env -i, ssh) that clears LD_PRELOAD: put `hakmem run` behind it",
        "an AppArmor or SELinux profile clears the environment or forbids the file: allow reading and mapping it",
        "the program brings its own C library (a snap, an AppImage, a static interpreter)",
    ] {
        writeln!(text, "  - {reason}")?;
    }
    Ok(())
}

/// A count with a comma between groups of three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that leaves one to four digits.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

fn seconds(time: Duration) -> String {
    let digits = if time < Duration::from_secs(1) { 4 } else { 2 };
    format!("{:.digits$}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;
    use std::process::ExitStatus;

    fn text(report: Option<&str>, obstacle: Option<Obstacle>, status: i32) -> String {
        let usage = Usage { user: Duration::ZERO, system: Duration::ZERO, faults: 1234, peak_kib: 2048 };
        let ended =
            Ended { process: 7, status: ExitStatus::from_raw(status), wall: Duration::from_millis(1500), usage };
        let report = report.map(Report::parse);
        let library = Path::new("/lib/libhakmem.so");
        Run { name: "prog", library, ended: &ended, report: report.as_ref(), obstacle }.to_string()
    }

    #[test]
    fn each_case_says_what_happened_and_what_to_do() {
        let began = "began pid=7 version=0.1.0 malloc=hakmem\n";
        let ended =
            "ended pid=7 version=0.1.0 allocations=1234567 frees=1 live_objects=2 live_bytes=2048 peak_kib=1024\n";
        let whole = text(Some(&[began, ended].concat()), None, 0);
        for part in [
            "was served by hakmem 0.1.0",
            "1,234,567 requests",
            "2 objects of 2.0 KiB",
            "at most n/a",
            "peak resident 1.0 MiB, 1,234 page faults",
            "1.50 s",
        ] {
            assert!(whole.contains(part), "{part} is not in\n{whole}");
        }
        assert!(whole.lines().all(|line| line.starts_with("hakmem: ")));
        for (report, obstacle, status, part) in [
            (Some(began), None, 15, "signal 15 ended it"),
            (Some(began), None, 0, "exited without a word"),
            (
                Some("began pid=7 version=0.1.0 malloc=/usr/lib/libjemalloc.so.2\n"),
                None,
                0,
                "that of /usr/lib/libjemalloc",
            ),
            (Some(""), None, 0, "AppArmor"),
            (Some(""), Some(Obstacle::Static), 0, "linked statically"),
            (None, None, 0, "not known"),
            (
                Some("ended pid=8 version=0.1.0 allocations=5\n"),
                None,
                0,
                "1 other process was served too, with 5 requests",
            ),
        ] {
            let said = text(report, obstacle, status);
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!((size(1023), size(1024)), ("1023 bytes".to_owned(), "1.0 KiB".to_owned()));
        assert_eq!(size(u64::MAX), "17179869184.00 GiB");
    }
}
