//! What a driver returns: the timed values, and what else it measured.

use std::collections::BTreeMap;

/// What one run measured. Its parts do not depend on the allocator but for times, page faults and memory.
pub(crate) struct Measurement {
    /// Operations of the measured part.
    pub(crate) operations: u64,
    /// Operations of the warm-up.
    pub(crate) warm_up_operations: u64,
    /// One timed value per [`timed_operations`](crate::workload::plan::RunPlan::timed_operations), nanoseconds.
    pub(crate) batch_ns: Vec<u64>,
    /// The contention probe before the first batch and after each, nanoseconds per step; empty when the plan takes none.
    pub(crate) contention_probes_ns: Vec<f64>,
    /// Over warm-up, measured part and the final frees.
    pub(crate) checksum: u64,
    /// Minor and major page faults of the measured part.
    pub(crate) page_faults: u64,
    /// Requests of the whole run, which the proof compares with the allocator's own count.
    pub(crate) requests: Requests,
    /// What else was measured.
    pub(crate) values: Values,
}

/// How often a run requested memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requests {
    /// Once for each operation, warm-up included.
    OnePerOperation,
    /// So often, warm-up included.
    Counted(u64),
    /// The allocator decides it: it may or may not move a block that gets another size.
    Unknown,
}

/// Values by name; the name contains the unit.
pub(crate) type Values = BTreeMap<&'static str, f64>;
