//! What a driver returns: the timed values, and everything else that was measured with them.

use std::collections::BTreeMap;

/// What one run measured.
pub(crate) struct Measurement {
    /// Operations of the measured part.
    pub(crate) operations: u64,
    /// Operations before it.
    pub(crate) warm_up_operations: u64,
    /// Nanoseconds of each [`RunPlan::timed_operations`].
    pub(crate) batch_ns: Vec<u64>,
    /// The contention canary before the first batch and after every batch, nanoseconds a step; empty when the plan
    /// takes none.
    pub(crate) contention_probes_ns: Vec<f64>,
    /// Over warm-up, measured part and drain.
    pub(crate) checksum: u64,
    /// Minor and major page faults of the measured part.
    pub(crate) page_faults: u64,
    /// Requests of the measured part that are no operations and are not timed.
    pub(crate) untimed_operations: u64,
    /// What else was measured: name with unit → value.
    pub(crate) values: Values,
}

/// Name with unit → value.
pub(crate) type Values = BTreeMap<&'static str, f64>;
