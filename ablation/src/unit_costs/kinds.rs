//! The kinds of unit costs, by their names in the line and in records.

/// First touch of a 4 KiB page of a private anonymous mapping by a write. Includes the entry into the kernel, the page,
/// zeroing it, page tables of 2 MiB spread over their 512 pages, and the store.
pub(crate) const PAGE_FAULT_4K: &str = "page-fault-4k";

/// First touch of an aligned 2 MiB with huge pages asked for, by one write; missing where the kernel gave none.
pub(crate) const PAGE_FAULT_HUGE: &str = "page-fault-huge";

/// What a touched 4 KiB page adds to the `munmap` that gives it back.
pub(crate) const UNMAP_PAGE: &str = "unmap-page";

/// What a touched huge page adds to the `munmap` that gives it back; missing together with [`PAGE_FAULT_HUGE`].
pub(crate) const UNMAP_HUGE: &str = "unmap-huge";

/// What a touched 4 KiB page adds to the `madvise(MADV_DONTNEED)` that gives it back.
pub(crate) const MADVISE_PAGE: &str = "madvise-page";

/// `mmap` of 2 MiB, private and anonymous, nothing touched.
pub(crate) const SYS_MMAP: &str = "sys-mmap";

/// `munmap` of the same, nothing touched.
pub(crate) const SYS_MUNMAP: &str = "sys-munmap";

/// `madvise(MADV_DONTNEED)` over 2 MiB of which nothing was touched.
pub(crate) const SYS_MADVISE: &str = "sys-madvise";

/// `mremap` of an untouched mapping: the mean of doubling and halving it.
pub(crate) const SYS_MREMAP: &str = "sys-mremap";

/// The least cost of any system call: `getppid`, which enters the kernel and returns.
pub(crate) const SYSCALL: &str = "syscall";
