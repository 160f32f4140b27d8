//! Traces of a program's allocations: a compact file, its builder and its reader.
//!
//! A trace has what a program asked of its allocator: one stream of [`Operation`]s for each thread, with the time between
//! them, and a [`Header`] that tells which program it was and what is known of its call sites. [`Builder`] writes one,
//! [`Trace`] reads it. docs/format.md has every byte.
//!
//! # Objects
//!
//! Objects have ids below [`Header::objects`], which are reused, so that a replayer needs one table of pointers and no map.
//! An object that only one thread ever touches is that thread's own: its operations are in the order of the stream. An
//! object that passes between threads has a *turn* in each of its operations ([`Object::turn`]): the number of earlier
//! operations on the same id, by any thread. A replayer keeps one counter per id and waits until it has that value. It
//! needs no lock, and it never waits for ever: the order in which the operations were recorded is one that ends.
//!
//! ```
//! use ablate_trace::{About, Action, Builder, Request, Trace};
//!
//! let mut builder = Builder::new(std::io::Cursor::new(Vec::new()), About::default(), 3);
//! let (first, second) = (builder.thread("main", 0)?, builder.thread("worker", 10)?);
//! let passed = builder.allocate(first, 100, Request::of(64), true)?;
//! builder.free(second, 250, passed)?;
//! let mut file = Vec::new();
//! builder.finish(&mut file)?;
//!
//! let trace = Trace::from_bytes(file)?;
//! let last = trace.thread(second)?.last().expect("there is one")?;
//! assert!(matches!(last.action, Action::Free { object } if object.turn == Some(1) && object.handed_over));
//! # Ok::<(), ablate_trace::TraceError>(())
//! ```

#![warn(missing_docs)]

mod block;
mod builder;
mod check;
mod columns;
mod decode;
mod encode;
mod error;
mod gap;
mod header;
mod ids;
mod index;
mod merged;
mod operation;
mod read;
mod source;

pub use builder::{Builder, Live, Request};
pub use check::{Checked, check};
pub use decode::Operations;
pub use error::TraceError;
pub use header::{About, Header, Module, Site, ThreadHeader, TouchClass, TouchModel, VERSION};
pub use index::CutOff;
pub use merged::{Merged, Moment};
pub use operation::{Action, Object, Operation};
pub use read::Trace;
