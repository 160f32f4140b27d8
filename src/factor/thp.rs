//! THP: advises the kernel to back mappings of 2 MiB or more with transparent huge pages, or not to.
//!
//! The policy of the system (`/sys/kernel/mm/transparent_hugepage/enabled`) is `always`, `madvise` or `never`. Under
//! `madvise` only advised memory gets huge pages, and only where a whole aligned 2 MiB piece lies in one mapping. The
//! form `dense`, which is the default, advises for huge pages where memory of the same sort was used densely. On advises
//! for them everywhere, as the original's `auto` did. The form `never` advises against them, which matters under policy
//! `always`. Off gives no advice. Which memory is advised on is decided in `alloc/huge_pages.rs`.
//!
//! Costs one `madvise` per mapping or segment. `dense` also costs one `mincore` where it has no huge pages yet, and one
//! `process_vm_readv` per 8 huge pages where it has. On costs memory: a touch of one byte may make 2 MiB resident.
//! Both save up to 511 of 512 page faults. A mapping that is shorter than 2 MiB costs nothing. One that is used again costs
//! `dense` a look where it is to be zero, and else once in 16 times.

use crate::os::{self, HUGE_PAGE};
use crate::sync::counters;

counters! {
    /// Calls of `madvise`.
    calls,
    /// Bytes of the mappings for which the kernel took the advice.
    advised_bytes,
    /// Calls that the kernel refused. A kernel built without huge pages refuses all.
    refusals,
}

/// By which rule the kernel is advised. `alloc/huge_pages.rs` has the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// For huge pages, whatever memory becomes.
    Always,
    /// For huge pages where memory of the same sort was used densely.
    Dense,
    /// Against huge pages.
    Never,
}

/// The advice to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Huge pages are welcome.
    Huge,
    /// No huge pages, whatever the system's policy.
    Small,
}

/// Advises on a mapping that can hold a huge page.
///
/// # Safety
/// - `[base, base + bytes)` is a mapping of the allocator's.
pub(crate) unsafe fn advise(counters: &Counters, advice: Advice, base: *mut u8, bytes: usize) {
    if bytes < HUGE_PAGE {
        return;
    }
    counters.calls.add(1);
    // SAFETY: the caller's promise.
    if unsafe { os::advise_huge(base, bytes, advice == Advice::Huge) } {
        counters.advised_bytes.add(bytes as u64);
    } else {
        counters.refusals.add(1);
    }
}
