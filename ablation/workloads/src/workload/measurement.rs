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
    /// Requests of the measured part that are not timed and are no operations.
    pub(crate) untimed_operations: u64,
    /// What else was measured.
    pub(crate) values: Values,
}

/// Values by name; the name contains the unit.
pub(crate) type Values = BTreeMap<&'static str, f64>;
