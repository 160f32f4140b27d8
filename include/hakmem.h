/* hakmem for C and C++: what the allocator offers beyond the C library's functions.
 *
 * A program needs this header only for the functions below. Linked with libhakmem.a, or with libhakmem.so in LD_PRELOAD,
 * malloc, free, operator new, strdup and all else that allocates is served by hakmem, without a change to its source.
 *
 * Under LD_PRELOAD a program that must also run without hakmem asks `dlsym(RTLD_DEFAULT, "hakmem_version")` instead of
 * calling these functions by name.
 *
 * Every function may be called by any thread at any time, needs at most 64 KiB of stack, and allocates nothing.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus) && __cplusplus >= 201103L
#define HAKMEM_NOEXCEPT noexcept
#elif defined(__cplusplus)
#define HAKMEM_NOEXCEPT throw()
#else
#define HAKMEM_NOEXCEPT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version, "MAJOR.MINOR.PATCH": a static string. */
const char *hakmem_version(void) HAKMEM_NOEXCEPT;

/* Numbers of the process at one moment; docs/stats.md has more, and malloc_stats() prints all of them. Exact while no
 * thread allocates or frees. Bytes are those that objects hold, not those that were asked for. Later versions add fields
 * at the end. */
struct hakmem_stats {
    uint64_t allocations;      /* objects handed out since the process began; a realloc that moves counts */
    uint64_t frees;            /* objects taken back since then */
    uint64_t live_objects;     /* objects in use */
    uint64_t live_bytes;       /* their bytes */
    uint64_t cached_objects;   /* free objects that wait for a request */
    uint64_t cached_bytes;     /* their bytes */
    uint64_t mapped_bytes;     /* memory from the OS, touched or not, with the allocator's own records */
    uint64_t mapped_bytes_max; /* the most that this was */
    uint64_t resident_bytes;   /* what of it the kernel backs with memory now */
    uint64_t metadata_bytes;   /* the allocator's own records */
};

/* Writes the first `bytes` bytes of the statistics to `out`, and returns how many bytes this version has:
 *
 *     struct hakmem_stats stats = {0};
 *     hakmem_stats(&stats, sizeof stats);
 *
 * Costs some milliseconds per GiB of memory: meant for a report per second, not for one per request. */
size_t hakmem_stats(struct hakmem_stats *out, size_t bytes) HAKMEM_NOEXCEPT;

/* Whether hakmem has handed out the memory at an address: 1 or 0. Never reads that memory. True for the first address of
 * an object with a mapping of its own, and for any address in a page of objects that is in use. */
int hakmem_owns(const void *address) HAKMEM_NOEXCEPT;

/* Gives all memory that waits for reuse back to the OS, as malloc_trim(0) does. */
void hakmem_trim(void) HAKMEM_NOEXCEPT;

/* Writes the level of a factor ("thp", "free-check", …; docs/factors.md) to `out`, with a zero at its end and cut to
 * `bytes` bytes. Returns the length of the whole name; 0 where there is no such factor. */
size_t hakmem_level(const char *factor, char *out, size_t bytes) HAKMEM_NOEXCEPT;

/* C23's frees, for C libraries that have no declaration yet. Size and alignment are not verified. */
void free_sized(void *object, size_t size) HAKMEM_NOEXCEPT;
void free_aligned_sized(void *object, size_t alignment, size_t size) HAKMEM_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
