//! The raw file of a recorder to a compact trace.

use super::error::TraceToolError;
use super::follow::{Mix, Step, follow};
use super::raw::{Raw, Stopped, ThreadFacts};
use super::sites::{Sites, name_sites};
use ablate_trace::{About, Builder, Header, Live, Request};
use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::io::{BufWriter, ErrorKind};
use std::path::Path;
use trace_recorder::layout::{Asked, NO_ALIGN};

/// Makes a trace of a raw file, at a path where nothing is. `notes` are what its reader must know besides.
///
/// The raw file is followed twice: the first time tells which objects pass between threads, because an object's allocation
/// says so in the trace.
///
/// # Errors
/// The system's, a file that is no raw one, and one without an allocation.
pub(super) fn convert(raw: &Path, out: &Path, level: i32, notes: Vec<String>) -> Result<Header, TraceToolError> {
    let raw = Raw::open(raw)?;
    let mut ahead = Ahead::default();
    let found = follow(&raw, |_, _, step| {
        ahead.see(step);
        Ok(())
    })?;
    if found.objects == 0 {
        return Err(TraceToolError::Empty { path: raw.path });
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| TraceToolError::System { path: out.to_owned(), doing: "writing", source };
    let spool = tempfile::tempfile_in(folder).map_err(failed)?;
    let mut builder = Builder::new(spool, about(&raw, notes, found.unknown), level);
    let mut writer = Writer::new(&mut builder, &raw, &ahead);
    follow(&raw, |thread, ticks, step| writer.write(thread, raw.about.ns(ticks), ticks, step))?;
    let late = writer.late;
    builder.about_mut().lost_operations += late;
    let modules = name_sites(builder.sites_mut(), &raw.maps);
    builder.set_modules(modules);
    builder.set_touch(raw.touch.clone());
    write_out(builder, out)
}

/// Writes a trace as a whole to a path where nothing is.
///
/// # Errors
/// The system's, and a file that is there.
pub(super) fn write_out(builder: Builder<File>, out: &Path) -> Result<Header, TraceToolError> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| TraceToolError::System { path: out.to_owned(), doing: "writing", source };
    let half = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).map_err(failed)?;
    let mut file = BufWriter::new(half.as_file());
    let header = builder.finish(&mut file)?;
    drop(file);
    half.as_file().sync_all().map_err(failed)?;
    permit(half.as_file()).map_err(failed)?;
    match half.persist_noclobber(out) {
        Ok(_) => Ok(header),
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(TraceToolError::Exists { path: out.to_owned() })
        }
        Err(refused) => Err(failed(refused.error)),
    }
}

/// A trace is read by others, as every result is; the raw file holds addresses and is not.
fn permit(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn about(raw: &Raw, mut notes: Vec<String>, unknown_frees: u64) -> About {
    match &raw.about.stopped {
        Some(Stopped::Limit) => {
            notes.push("recording stopped at the limit of the raw file, before the program ended".to_owned())
        }
        Some(Stopped::System(error)) => {
            let why = match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    "; the program changed its root folder or its user, or the folder of the raw file is gone"
                }
                _ => "",
            };
            notes.push(format!(
                "recording stopped before the program ended: the system refused more of the raw file: {error}{why}"
            ));
        }
        None if !raw.about.has_ended => {
            notes.push(
                "the program did not end by the C library's `exit`, but by a signal, by `_exit`, or by becoming another \
                 program that is not recorded"
                    .to_owned(),
            );
        }
        None => {}
    }
    About {
        program: raw.about.command.clone(),
        made_by: format!("cargo ablate trace {}", env!("CARGO_PKG_VERSION")),
        made_at: crate::support::dates::moment(raw.about.start_unix),
        machine: crate::support::machine::short(),
        clock: raw.about.clock.to_owned(),
        allocator: raw.about.allocator.clone(),
        notes,
        unknown_frees,
        lost_operations: raw.about.lost,
    }
}

/// A set of numbers.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, number: u64) {
        let at = (number / 64) as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (number % 64);
    }

    fn has(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

/// What the first pass over a raw file tells.
#[derive(Debug, Default)]
struct Ahead {
    /// Objects that pass between threads.
    crossing: Bits,
    /// When threads were started, by their handle.
    spawns: HashMap<u64, Vec<u64>>,
}

impl Ahead {
    fn see(&mut self, step: Step) {
        match step {
            Step::Free { object, from_other: true } | Step::Reallocate { object, from_other: true, .. } => {
                self.crossing.set(object);
            }
            Step::Spawn { handle, before } => self.spawns.entry(handle).or_default().push(before),
            _ => {}
        }
    }
}

/// Steps to operations of a builder.
struct Writer<'a> {
    builder: &'a mut Builder<File>,
    raw: &'a Raw,
    ahead: &'a Ahead,
    threads: HashMap<u32, Known>,
    live: HashMap<u64, Live, BuildHasherDefault<Mix>>,
    sites: Sites,
    /// Operations of threads after their end.
    late: u64,
}

/// A thread of the trace.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u32,
    has_begun: bool,
    has_ended: bool,
    is_joined: bool,
}

impl<'a> Writer<'a> {
    fn new(builder: &'a mut Builder<File>, raw: &'a Raw, ahead: &'a Ahead) -> Writer<'a> {
        let mut order: Vec<_> = raw.threads.iter().collect();
        order.sort_by_key(|(number, facts)| (facts.first, **number));
        let known = |name: &str, builder: &mut Builder<File>| Known {
            number: builder.declare(name),
            has_begun: false,
            has_ended: false,
            is_joined: false,
        };
        let threads = order.into_iter().map(|(number, facts)| (*number, known(&facts.name, builder))).collect();
        Writer { builder, raw, ahead, threads, live: HashMap::default(), sites: Sites::default(), late: 0 }
    }

    fn write(&mut self, thread: u32, at_ns: u64, ticks: u64, step: Step) -> Result<(), TraceToolError> {
        let Some(known) = self.threads.get_mut(&thread) else { return Ok(()) };
        if known.has_ended {
            self.late += 1;
            return Ok(());
        }
        let number = known.number;
        if !known.has_begun {
            known.has_begun = true;
            let first = self.raw.threads.get(&thread).map_or(at_ns, |facts| self.raw.about.ns(facts.first));
            self.builder.begin(number, first.min(at_ns))?;
        }
        match step {
            Step::Allocate { object, asked } => {
                let site = self.sites.index(asked.site, self.builder);
                let crosses = self.ahead.crossing.has(object);
                let live = self.builder.allocate(number, at_ns, request(asked, site), crosses)?;
                self.live.insert(object, live);
            }
            Step::Reallocate { object, asked, .. } => {
                let site = self.sites.index(asked.site, self.builder);
                if let Some(live) = self.live.get(&object) {
                    self.builder.reallocate(number, at_ns, live, asked.size, site)?;
                }
            }
            Step::Free { object, .. } => {
                if let Some(live) = self.live.remove(&object) {
                    self.builder.free(number, at_ns, live)?;
                }
            }
            Step::Spawn { handle, before } => {
                if let Some(other) = self.started(handle, before) {
                    self.builder.spawn(number, at_ns, other)?;
                }
            }
            Step::Join { handle } => {
                let of = |(_, facts): &(&u32, &ThreadFacts)| facts.handle == handle && facts.first <= ticks;
                let other = self.raw.threads.iter().filter(of).max_by_key(|(_, facts)| facts.first);
                // A handle may be that of a thread without operations, too: the trace has one join of each thread.
                let other = other.and_then(|(other, _)| self.threads.get_mut(other)).filter(|other| !other.is_joined);
                if let Some(other) = other {
                    other.is_joined = true;
                    self.builder.join(number, at_ns, other.number)?;
                }
            }
            Step::End => {
                self.builder.end(number, at_ns)?;
                if let Some(known) = self.threads.get_mut(&thread) {
                    known.has_ended = true;
                }
            }
        }
        Ok(())
    }

    /// The thread that a call started: the first with this handle between the call and the next one that gave the handle.
    fn started(&self, handle: u64, before: u64) -> Option<u32> {
        let next = self.ahead.spawns.get(&handle)?.iter().copied().find(|next| *next > before).unwrap_or(u64::MAX);
        let of = |(_, facts): &(&u32, &ThreadFacts)| facts.handle == handle && (before..next).contains(&facts.first);
        let (thread, _) = self.raw.threads.iter().filter(of).min_by_key(|(_, facts)| facts.first)?;
        self.threads.get(thread).map(|known| known.number)
    }
}

fn request(asked: Asked, site: u32) -> Request {
    let align = (asked.align_log2 != NO_ALIGN).then(|| 1 << asked.align_log2);
    Request { size: asked.size, align, zeroed: asked.zeroed, site }
}
