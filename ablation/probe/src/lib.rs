//! For programs that are to be measured by `ablate`: timed batches, the contention probe, and the line to print.
//!
//! The crate is optional: any program that prints the line of docs/format.md can be measured. It has no dependencies,
//! makes no system call while it measures, and requests all its memory before the first batch.
//!
//! A program with one factor, `memo`, that the environment switches off:
//!
//! ```
//! use ablate_probe::{TimedBatches, Line};
//!
//! let memo = std::env::var_os("DEMO_DISABLE_MEMO").is_none();
//! let (mut last, mut hits, mut sum) = ((0, 0), 0, 0u64);
//! let mut batches = TimedBatches::new(50, 1000); // 50 batches of 1000 operations each
//! while batches.is_wanted() {
//!     batches.time(|| {
//!         for i in 0..1000u64 {
//!             let n = i / 4;
//!             if memo && last.0 == n {
//!                 hits += 1;
//!             } else {
//!                 last = (n, (1..=n % 20).fold(1, u64::wrapping_mul));
//!             }
//!             sum = sum.wrapping_add(last.1);
//!         }
//!     });
//! }
//! let mut line = Line::new(batches, sum); // every level must come to the same sum
//! line.level("memo", if memo { "on" } else { "off" }).counter("memo", "hits", hits);
//! println!("{line}");
//! ```
//!
//! The study then has `[[factor]] name = "memo"`, `proof = ["memo.hits"]`, and the level
//! `off = { DEMO_DISABLE_MEMO = "1" }`.

mod contention;
mod line;
mod timed_batches;

pub use contention::contention_probe_ns;
pub use line::Line;
pub use timed_batches::{TimedBatches, percentile};
