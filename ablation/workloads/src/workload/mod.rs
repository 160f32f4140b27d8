//! What the program does with an allocator, the same for every allocator.
//!
//! From the arguments to the timed values, each file using only those before it:
//!
//! 1. [`touch`]: how a block is used. [`shape`]: what the memory shapes are, with their parameters. [`scenario`]: tables
//!    of sizes, call sites and batch sizes.
//! 2. [`plan`]: the [`plan::RunPlan`], what one process does. [`script`]: its operations, drawn from the seed.
//! 3. [`lifetime`]: the timed loops. [`script_runner`]: one thread's warm-up and timed batches.
//! 4. The drivers: [`single`] (one thread), [`parallel`], [`handoff`] (through the queue of [`spsc`]),
//!    [`memory_return`], and [`shapes`] with a file for each shape. Each returns a [`measurement::Measurement`].
//! 5. [`drive`]: picks the driver and the loop. [`latency`]: from timed batches to nanoseconds per operation.

pub(crate) mod drive;
mod handoff;
pub(crate) mod latency;
pub(crate) mod lifetime;
pub(crate) mod measurement;
mod memory_return;
mod parallel;
pub(crate) mod plan;
pub(crate) mod scenario;
pub(crate) mod script;
mod script_runner;
pub(crate) mod shape;
mod shapes;
mod single;
mod spsc;
pub(crate) mod touch;
