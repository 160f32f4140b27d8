//! The kinds of unit costs, by their names in the line and in records. All are in nanoseconds per event.

/// First write to a 4 KiB page of a private anonymous mapping. Includes the entry into the kernel, the page, zeroing
/// it, a 512th of the page table of 2 MiB, and the store.
pub(crate) const PAGE_FAULT_4K: &str = "page-fault-4k";

/// First write to an aligned 2 MiB with `MADV_HUGEPAGE`; missing where the kernel gave no huge page.
pub(crate) const PAGE_FAULT_HUGE: &str = "page-fault-huge";

/// What a touched 4 KiB page adds to the `munmap` that returns it.
pub(crate) const UNMAP_PAGE: &str = "unmap-page";

/// What a touched huge page adds to the `munmap` that returns it; missing together with [`PAGE_FAULT_HUGE`].
pub(crate) const UNMAP_HUGE: &str = "unmap-huge";

/// What a touched 4 KiB page adds to the `madvise(MADV_DONTNEED)` that returns it.
pub(crate) const MADVISE_PAGE: &str = "madvise-page";

/// `mmap` of 2 MiB, private and anonymous.
pub(crate) const SYS_MMAP: &str = "sys-mmap";

/// `munmap` of an untouched mapping of 2 MiB.
pub(crate) const SYS_MUNMAP: &str = "sys-munmap";

/// `madvise(MADV_DONTNEED)` over an untouched mapping of 2 MiB.
pub(crate) const SYS_MADVISE: &str = "sys-madvise";

/// `mremap` of an untouched mapping: the mean of doubling and halving it.
pub(crate) const SYS_MREMAP: &str = "sys-mremap";

/// The smallest cost of a system call: `getppid`, which enters the kernel and returns.
pub(crate) const SYSCALL: &str = "syscall";
