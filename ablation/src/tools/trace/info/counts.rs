//! Counts of a trace, in one pass over its operations.

use ablate_trace::{Action, Moment, TouchClass, Trace, TraceError};
use serde::Serialize;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// All threads together.
    pub(super) kinds: Kinds,
    /// By size, smallest first; empty classes are left out.
    pub(super) sizes: Vec<SizeClass>,
    /// By lifetime, shortest first.
    pub(super) lifetimes: Vec<Lifetime>,
    /// Objects that are live at the end.
    pub(super) never_freed: u64,
    /// By call site, as in the header.
    pub(super) sites: Vec<SiteCounts>,
    /// By thread.
    pub(super) threads: Vec<Kinds>,
    /// The most live bytes in each stretch of time.
    pub(super) over_time: Vec<u64>,
    /// How long a stretch is.
    pub(super) bucket_ns: u64,
}

/// Operations by their kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Kinds {
    pub(super) operations: u64,
    pub(super) allocations: u64,
    /// Allocations that ask for zeroes.
    pub(super) zeroed: u64,
    /// Allocations with an alignment.
    pub(super) aligned: u64,
    /// Objects that a cut begins with; they are allocations, too.
    pub(super) preamble: u64,
    pub(super) bytes: u64,
    pub(super) reallocations: u64,
    /// Reallocations to a larger size.
    pub(super) grown: u64,
    pub(super) frees: u64,
    /// Frees and reallocations of objects that another thread had before.
    pub(super) handovers: u64,
    pub(super) live_bytes: u64,
    pub(super) live_objects: u64,
    pub(super) peak_bytes: u64,
    pub(super) peak_objects: u64,
}

/// Allocations of a size.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct SizeClass {
    /// The largest size of the class, a power of two; it begins above half of it.
    pub(super) size_max: u64,
    pub(super) allocations: u64,
    pub(super) bytes: u64,
    /// Objects that are live at the end.
    pub(super) live: u64,
}

/// Objects that lived so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Lifetime {
    /// Nanoseconds that they lived at most; `None` in the last row.
    pub(super) below_ns: Option<u64>,
    pub(super) objects: u64,
}

/// Allocations at a call site.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct SiteCounts {
    pub(super) allocations: u64,
    pub(super) bytes: u64,
    pub(super) live: u64,
    pub(super) live_bytes: u64,
}

/// Ends of the rows of lifetimes: powers of ten from 100 ns to 10 s.
const LIFETIMES: [u64; 9] =
    [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];
/// Stretches of time.
const BUCKETS: u64 = 240;

/// An object that is live.
#[derive(Debug, Clone, Copy)]
struct Live {
    size: u64,
    site: u32,
    born_ns: u64,
    /// The class of its first size.
    class: u32,
}

/// Counts everything.
///
/// # Errors
/// Those of the trace.
pub(super) fn count(trace: &Trace) -> Result<Counts, TraceError> {
    let header = trace.header();
    let mut sizes = [SizeClass::default(); 64];
    let mut lifetimes = [0; LIFETIMES.len() + 1];
    let mut live: Vec<Option<Live>> = vec![None; header.objects() as usize];
    let bucket_ns = header.duration_ns / BUCKETS + 1;
    let mut counts = Counts {
        sites: vec![SiteCounts::default(); header.sites.len()],
        threads: vec![Kinds::default(); header.threads.len()],
        bucket_ns,
        ..Counts::default()
    };
    for moment in trace.merged() {
        let Moment { thread, at_ns, operation } = moment?;
        let of_thread = &mut counts.threads[thread as usize];
        let is_preamble = of_thread.operations < header.threads[thread as usize].preamble;
        counts.kinds.see(&operation.action, is_preamble);
        of_thread.see(&operation.action, is_preamble);
        let before = counts.kinds.live_bytes;
        match operation.action {
            Action::Allocate { object, size, site, .. } => {
                let class = TouchClass::of(size);
                sizes[class as usize].allocations += 1;
                sizes[class as usize].bytes += size;
                let of_site = &mut counts.sites[site as usize];
                of_site.allocations += 1;
                of_site.bytes = of_site.bytes.saturating_add(size);
                counts.kinds.live_objects += 1;
                counts.kinds.live_bytes = before.saturating_add(size);
                live[object.id as usize] = Some(Live { size, site, born_ns: at_ns, class });
            }
            Action::Reallocate { object, size, .. } => {
                if let Some(live) = &mut live[object.id as usize] {
                    counts.kinds.grown += u64::from(size > live.size);
                    counts.kinds.live_bytes = before.saturating_sub(live.size).saturating_add(size);
                    live.size = size;
                }
            }
            Action::Free { object } => {
                if let Some(live) = live[object.id as usize].take() {
                    let age = at_ns.saturating_sub(live.born_ns);
                    lifetimes[LIFETIMES.iter().take_while(|end| age >= **end).count()] += 1;
                    counts.kinds.live_objects -= 1;
                    counts.kinds.live_bytes = before.saturating_sub(live.size);
                }
            }
            Action::Begin | Action::End | Action::Spawn { .. } | Action::Join { .. } => {}
        }
        let kinds = &mut counts.kinds;
        kinds.peak_bytes = kinds.peak_bytes.max(kinds.live_bytes);
        kinds.peak_objects = kinds.peak_objects.max(kinds.live_objects);
        note_time(&mut counts.over_time, (at_ns / bucket_ns).min(BUCKETS - 1) as usize, before, kinds.live_bytes);
    }
    for left in live.into_iter().flatten() {
        let site = &mut counts.sites[left.site as usize];
        site.live += 1;
        site.live_bytes = site.live_bytes.saturating_add(left.size);
        sizes[left.class as usize].live += 1;
        counts.never_freed += 1;
    }
    let classes = sizes.into_iter().enumerate().map(|(class, of)| SizeClass { size_max: 1 << class, ..of });
    counts.sizes = classes.filter(|of| of.allocations > 0).collect();
    let ends = LIFETIMES.into_iter().map(Some).chain([None]);
    counts.lifetimes = ends.zip(lifetimes).map(|(below_ns, objects)| Lifetime { below_ns, objects }).collect();
    Ok(counts)
}

/// Notes live bytes in a stretch of time. Stretches without an operation have what was live before them.
fn note_time(over_time: &mut Vec<u64>, bucket: usize, before: u64, now: u64) {
    while over_time.len() <= bucket {
        over_time.push(before);
    }
    over_time[bucket] = over_time[bucket].max(now);
}

impl Kinds {
    fn see(&mut self, action: &Action, is_preamble: bool) {
        self.operations += 1;
        self.handovers += u64::from(action.object().is_some_and(|object| object.handed_over));
        match *action {
            Action::Allocate { size, align, zeroed, .. } => {
                self.allocations += 1;
                self.preamble += u64::from(is_preamble);
                self.zeroed += u64::from(zeroed);
                self.aligned += u64::from(align.is_some());
                self.bytes = self.bytes.saturating_add(size);
            }
            Action::Reallocate { .. } => self.reallocations += 1,
            Action::Free { .. } => self.frees += 1,
            Action::Begin | Action::End | Action::Spawn { .. } | Action::Join { .. } => {}
        }
    }
}
