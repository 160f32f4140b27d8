//! Facts of the machine and of the sources, for the manifest. No fact names the host, a user or an absolute path,
//! because a manifest is published with its results.

use ablate_format::Machine;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

/// Facts that must be the same when a study is resumed.
pub(crate) const FIXED: [&str; 5] = ["cpu", "cores", "kernel", "memory", "aslr"];

/// Reads all facts. A fact that cannot be read is `None`. `root` is the folder of the measured sources.
pub(crate) fn machine(root: &Path) -> Machine {
    let file = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let mut facts = BTreeMap::new();
    let mut fact = |name: &str, value: Option<String>| {
        facts.insert(name.to_owned(), value.filter(|value| !value.is_empty()));
    };
    let cpuinfo = file("/proc/cpuinfo").unwrap_or_default();
    fact("arch", Some(std::env::consts::ARCH.to_owned()));
    fact("kernel", file("/proc/sys/kernel/osrelease"));
    fact("cpu", cpu_model(&cpuinfo));
    fact("cores", std::thread::available_parallelism().ok().map(|cores| cores.to_string()));
    fact("memory", file("/proc/meminfo").and_then(|text| memory(&text)));
    fact("thp", file("/sys/kernel/mm/transparent_hugepage/enabled").and_then(|text| chosen(&text)));
    fact("thp-defrag", file("/sys/kernel/mm/transparent_hugepage/defrag").and_then(|text| chosen(&text)));
    fact("aslr", file("/proc/sys/kernel/randomize_va_space"));
    fact("aslr-off-for-counting", Some(if aslr_can_be_off() { "yes" } else { "refused" }.to_owned()));
    fact("governor", file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    fact("perf_event_paranoid", file("/proc/sys/kernel/perf_event_paranoid"));
    fact("load", file("/proc/loadavg").map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" ")));
    fact("steal_percent", file("/proc/stat").and_then(|text| steal_percent(&text)));
    fact("virtual", Some(if is_virtual_by(&cpuinfo) { "yes" } else { "not seen" }.to_owned()));
    fact("rustc", said(Command::new("rustc").arg("-V").current_dir(root)));
    fact("commit", said(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root)));
    fact("uncommitted-changes", has_changes(root).map(|changed| if changed { "yes" } else { "no" }.to_owned()));
    fact("lock-file-sha256", sha256_of(&root.join("Cargo.lock")).ok());
    Machine { facts }
}

/// What tells this machine from others in the shards of one study, 16 hexadecimal digits; `None` where the system does
/// not say when it started.
///
/// A hash of the processor's name, the number of processors, the memory, the kernel's id of this start and the study's
/// seed. The id is random and ends with the next start, and with the seed it is another one in every study, so the result
/// names no machine.
pub(crate) fn identity(seed: u64) -> Option<String> {
    let file = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let boot = file("/proc/sys/kernel/random/boot_id").filter(|id| !id.is_empty())?;
    let cpuinfo = file("/proc/cpuinfo").unwrap_or_default();
    let processors = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory = file("/proc/meminfo").and_then(|text| memory(&text)).unwrap_or_default();
    let cpu = cpu_model(&cpuinfo).unwrap_or_default();
    let digest = Sha256::digest(format!("{seed}\n{cpu}\n{processors}\n{memory}\n{boot}"));
    Some(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Folder of archived studies, from the top of the repository, where `cargo ablate archive` is not told another.
pub(crate) const ARCHIVE: &str = "results";

/// Whether files of the repository differ from its commit; `None` outside one. Archived studies do not count: they are no
/// source, and a second study would otherwise disown its commit because the first was archived.
fn has_changes(root: &Path) -> Option<bool> {
    let others = format!(":(top,exclude){ARCHIVE}");
    let out = Command::new("git").args(["status", "--porcelain", "--", ":/", &others]).current_dir(root).output();
    out.ok().filter(|out| out.status.success()).map(|out| !out.stdout.is_empty())
}

/// SHA-256 of a text, hexadecimal.
pub(crate) fn sha256_of_text(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file, hexadecimal.
///
/// # Errors
/// The system's error.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Whether the processor reports a hypervisor.
pub(crate) fn is_virtual() -> bool {
    is_virtual_by(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

fn is_virtual_by(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor"))
}

fn said(command: &mut Command) -> Option<String> {
    let out = command.output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Name of the processor in the text of `/proc/cpuinfo`.
pub(crate) fn cpu_model(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    // Arm processors have numbers instead of a name.
    value("model name")
        .or_else(|| Some(format!("implementer {} part {}", value("CPU implementer")?, value("CPU part")?)))
}

/// The processor and the kernel in one line; `n/a` for what is not told.
pub(crate) fn short() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = cpu_model(&file("/proc/cpuinfo")).unwrap_or_else(|| "n/a".to_owned());
    let kernel = file("/proc/sys/kernel/osrelease");
    let kernel = if kernel.trim().is_empty() { "n/a" } else { kernel.trim() };
    let cores = std::thread::available_parallelism().map_or("n/a".to_owned(), |cores| cores.to_string());
    format!("{}, {cpu}, {cores} processors, Linux {kernel}", std::env::consts::ARCH)
}

fn memory(meminfo: &str) -> Option<String> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{} MiB", kib / 1024))
}

/// The word in brackets, which is the chosen one of several.
fn chosen(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// Percent of the processor time since boot that the host gave to other guests.
fn steal_percent(stat: &str) -> Option<String> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest times are contained in user and nice (proc_stat(5)).
    let ticks: Vec<f64> = line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let steal = *ticks.get(7)?;
    let all: f64 = ticks.iter().sum();
    (all > 0.0).then(|| format!("{:.2}", 100.0 * steal / all))
}

/// Whether address randomisation can be switched off for a process. Some sandboxes forbid it.
fn aslr_can_be_off() -> bool {
    const ASK: libc::c_ulong = 0xffff_ffff;
    const ADDR_NO_RANDOMIZE: libc::c_ulong = 0x004_0000;
    // SAFETY: numbers only; this value asks without changing anything.
    let before = unsafe { libc::personality(ASK) };
    let Ok(before) = libc::c_ulong::try_from(before) else { return false };
    // SAFETY: numbers only; this changes what a later exec of this thread would do, and is undone below.
    let set = unsafe { libc::personality(before | ADDR_NO_RANDOMIZE) } >= 0;
    // SAFETY: as above.
    unsafe { libc::personality(before) };
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_understood() {
        assert_eq!(cpu_model("processor : 0\nmodel name\t: X Y\n").as_deref(), Some("X Y"));
        assert_eq!(
            cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n").as_deref(),
            Some("implementer 0x41 part 0xd0c")
        );
        assert_eq!(cpu_model(""), None);
        assert_eq!(memory("MemTotal:  2048 kB\n").as_deref(), Some("2 MiB"));
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(steal_percent("cpu  50 0 0 40 0 0 0 10 5 0\n").as_deref(), Some("10.00"));
        assert!(is_virtual_by("flags : fpu hypervisor x\n") && !is_virtual_by("flags : fpu hypervisors\n"));
    }

    #[test]
    fn facts_hold_no_absolute_path() {
        let machine = machine(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(machine.facts["kernel"].is_some());
        for (name, value) in &machine.facts {
            assert!(!value.as_deref().unwrap_or_default().starts_with('/'), "{name}: {value:?}");
        }
    }

    #[test]
    fn a_machine_has_one_identity_in_a_study_and_another_in_the_next() {
        let Some(first) = identity(1) else { return };
        assert_eq!((Some(first.clone()), first.len()), (identity(1), 16));
        assert_ne!(Some(&first), identity(2).as_ref());
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("was read");
        assert!(!boot.contains(&first), "it is not the raw id");
    }

    #[test]
    fn archived_studies_are_no_change_of_the_sources() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(has_changes(dir.path()), None, "no repository");
        let made = Command::new("git").args(["init", "--quiet"]).current_dir(dir.path()).status();
        assert!(made.expect("git starts").success());
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("below the repository")).expect("makes a folder");
            std::fs::write(path, "x").expect("writes");
        };
        file("results/study/report.md");
        assert_eq!(has_changes(dir.path()), Some(false));
        file("package/results/source.rs");
        assert_eq!(has_changes(dir.path()), Some(true));
        assert_eq!(has_changes(&dir.path().join("results")), Some(true), "asked from a folder of it");
    }

    #[test]
    fn a_file_has_its_known_hash() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("x"), "abc").expect("writes");
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&dir.path().join("x")).expect("reads"), expected);
    }
}
