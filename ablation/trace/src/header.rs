//! The head of a trace: what was recorded, and the tables that operations point into.

use serde::{Deserialize, Serialize};

/// The version of the format that this crate writes. It reads this one alone.
pub const VERSION: u32 = 1;
/// The first bytes of every trace.
pub(crate) const MAGIC: &[u8; 8] = b"ABLTRACE";

/// What stands before the operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What the one who made the trace says of it.
    #[serde(flatten)]
    pub about: About,
    /// The threads, in the order in which they were first seen.
    pub threads: Vec<ThreadHeader>,
    /// Ids of objects that pass between threads. They are the last ones: a thread's own ids come before them.
    pub shared_objects: u32,
    /// Operations of all threads.
    pub operations: u64,
    /// Nanoseconds from the beginning of the trace to its last operation.
    pub duration_ns: u64,
    /// A tenth of the gaps within threads is not above this, in nanoseconds: what a short call and its recording take. A replay that keeps the times between operations takes it off each. `None` where there are no short gaps.
    pub floor_ns: Option<u64>,
    /// Where allocations came from.
    pub sites: Vec<Site>,
    /// The files that sites lie in.
    pub modules: Vec<Module>,
    /// How far objects were written, from a sample. `None` where it was not sampled.
    pub touch: Option<TouchModel>,
}

impl Header {
    /// The size of a table with a place for every id.
    #[must_use]
    pub fn objects(&self) -> u32 {
        self.first_shared().saturating_add(self.shared_objects)
    }

    /// The first id of objects that pass between threads.
    #[must_use]
    pub fn first_shared(&self) -> u32 {
        self.threads.iter().fold(0, |sum: u32, thread| sum.saturating_add(thread.objects))
    }

    /// The first id of a thread's own objects.
    #[must_use]
    pub fn first_of(&self, thread: u32) -> u32 {
        self.threads.iter().take(thread as usize).fold(0, |sum: u32, thread| sum.saturating_add(thread.objects))
    }
}

/// How a trace was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The program and its arguments.
    pub program: Vec<String>,
    /// What made the trace, with its version: a recorder, a cut of another trace.
    pub made_by: String,
    /// When it was made, as RFC 3339; empty where this is not known.
    pub made_at: String,
    /// The processor and the system, as text.
    pub machine: String,
    /// The clock that the times come from, for example `tsc` or `monotonic`. All times in the file are nanoseconds.
    pub clock: String,
    /// The allocator that served while it was recorded, where it is known.
    pub allocator: String,
    /// What a reader must know: recording stopped early, a program that crashed.
    pub notes: Vec<String>,
    /// Frees and reallocations of objects that the trace does not have, and which were left out.
    pub unknown_frees: u64,
    /// Operations that were seen and could not be written.
    pub lost_operations: u64,
}

/// One thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadHeader {
    /// Its name, or an empty text.
    pub name: String,
    /// Nanoseconds from the beginning of the trace to its first operation.
    pub begin_ns: u64,
    /// Its operations.
    pub operations: u64,
    /// Ids of objects that only it touches.
    pub objects: u32,
    /// How many of its operations, from its first, make objects that were live when the trace was cut out of a longer one.
    pub preamble: u64,
}

/// A call site of an allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Site {
    /// Index of its module; `None` where the code is in no file.
    pub module: Option<u32>,
    /// Offset in the module's file as its symbols count, or the address where there is no module.
    pub offset: u64,
    /// Its function and line, where they could be found.
    pub name: Option<String>,
}

/// A file with code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Module {
    /// Its path.
    pub path: String,
    /// Its build id in hexadecimal, where it has one.
    pub build_id: Option<String>,
}

/// How far objects were written before they were freed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TouchModel {
    /// One allocation in so many was watched.
    pub one_in: u64,
    /// What was found, by size. Classes without samples are left out.
    pub classes: Vec<TouchClass>,
}

impl TouchModel {
    /// The fraction that objects of this size were written to: that of the class, or of the nearest class that has samples.
    /// `None` without any sample.
    #[must_use]
    pub fn fraction(&self, size: u64) -> Option<f64> {
        let class = TouchClass::of(size);
        let nearest = self.classes.iter().filter(|of| of.bytes > 0);
        let nearest = nearest.min_by_key(|of| TouchClass::of(of.size_max).abs_diff(class))?;
        Some(nearest.written as f64 / nearest.bytes as f64)
    }
}

/// What was found of objects of a size.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TouchClass {
    /// The largest size of the class, in bytes, a power of two; the class begins above half of it.
    pub size_max: u64,
    /// Objects that were watched until they were freed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of them that were written. Of small objects, words of 8 bytes whose pattern had changed when they were freed;
    /// of large ones, pages that were resident.
    pub written: u64,
}

impl TouchClass {
    /// The number of the class of a size: the binary logarithm of [`TouchClass::size_max`].
    #[must_use]
    pub fn of(size: u64) -> u32 {
        size.max(1).checked_next_power_of_two().map_or(u64::BITS - 1, u64::trailing_zeros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_threads_lie_beside_each_other() {
        let thread = |objects| ThreadHeader { objects, ..ThreadHeader::default() };
        let header = Header {
            about: About::default(),
            threads: vec![thread(3), thread(0), thread(5)],
            shared_objects: 2,
            operations: 0,
            duration_ns: 0,
            floor_ns: None,
            sites: Vec::new(),
            modules: Vec::new(),
            touch: None,
        };
        assert_eq!([0, 1, 2].map(|thread| header.first_of(thread)), [0, 3, 3]);
        assert_eq!((header.first_shared(), header.objects()), (8, 10));
    }

    #[test]
    fn a_size_without_samples_takes_its_neighbour() {
        let class = |size_max, bytes, written| TouchClass { size_max, objects: 1, bytes, written };
        let model = TouchModel { one_in: 512, classes: vec![class(64, 100, 50), class(4096, 100, 10)] };
        assert_eq!(model.fraction(33), Some(0.5));
        assert_eq!(model.fraction(1), Some(0.5));
        assert_eq!(model.fraction(1 << 40), Some(0.1));
        assert_eq!(TouchModel::default().fraction(1), None);
        assert_eq!([0, 1, 2, 3, 4, 5, u64::MAX].map(TouchClass::of), [0, 0, 1, 2, 2, 3, 63]);
    }
}
