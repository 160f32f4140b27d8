//! What a trace is replayed from: the scripts of its threads, and what is known of all of them.

use super::entry::Entry;

/// What is counted in the trace.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub(super) struct Counts {
    /// Operations before the timed part: objects that were live when the trace was cut.
    pub(super) preamble: u64,
    /// Allocations, of the preamble too.
    pub(super) allocations: u64,
    /// Reallocations.
    pub(super) reallocations: u64,
    /// Frees that the trace has.
    pub(super) frees: u64,
    /// Operations on objects that another thread had before.
    pub(super) handovers: u64,
    /// Most bytes that were live.
    pub(super) live_peak_bytes: u64,
    /// Threads.
    pub(super) threads: u64,
    /// Ids of objects.
    pub(super) objects: u64,
    /// The first id of objects that pass between threads.
    pub(super) first_shared: u64,
    /// The thread that runs on the process's first.
    pub(super) main: u64,
    /// What a pass adds up to.
    pub(super) evidence: u64,
    /// Bytes of the precomputed layout.
    pub(super) layout_bytes: u64,
    /// How objects are touched: the number of [`Touch`](super::plan::Touch).
    pub(super) touch: u64,
    /// Readings of resident memory.
    pub(super) samples: u64,
}

/// One thread.
#[derive(Debug, Default)]
pub(super) struct ThreadScript {
    pub(super) entries: Vec<Entry>,
    /// Recorded nanoseconds before each entry, where they are asked for.
    pub(super) gaps_ns: Vec<u32>,
    /// Of each allocation and reallocation, in units of the layout.
    pub(super) addresses: Vec<u32>,
    /// Entries before the timed part.
    pub(super) preamble: usize,
    /// Whether its end was seen. Without it, it waits until the pass is over.
    pub(super) ends: bool,
}

/// A thread that another starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Spawn {
    pub(super) thread: u32,
    /// How many of the ends come before.
    pub(super) ends: u32,
}

/// A whole trace.
pub(super) struct Decoded {
    pub(super) counts: Counts,
    pub(super) threads: Vec<ThreadScript>,
    /// The threads that others start, in the order of their starts.
    pub(super) spawns: Vec<Spawn>,
    /// The threads that end, in that order.
    pub(super) ends: Vec<u32>,
    /// The threads that have a preamble, but for the first: they are there when timing begins.
    pub(super) early: Vec<u32>,
    /// The frees of what is live at the end.
    pub(super) leftovers: Vec<Entry>,
    /// Sizes for the proof.
    pub(super) proof_sizes: Vec<u32>,
    /// How far objects were written, by sizes.
    pub(super) model: Option<ablate_trace::TouchModel>,
    /// The program and its arguments.
    pub(super) program: String,
}
