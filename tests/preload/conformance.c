/* The C library's allocation functions as POSIX, C23 and glibc have them. Every function is called through a pointer
   that the compiler cannot see through, so that no call is left out and no result assumed. */
#include "check.h"
#include <fcntl.h>

#define PTRDIFF_LIMIT ((size_t)PTRDIFF_MAX)
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void *(*volatile p_malloc)(size_t) = malloc;
static void *(*volatile p_calloc)(size_t, size_t) = calloc;
static void *(*volatile p_realloc)(void *, size_t) = realloc;
static void *(*volatile p_reallocarray)(void *, size_t, size_t) = reallocarray;
static void (*volatile p_free)(void *) = free;
static int (*volatile p_posix_memalign)(void **, size_t, size_t) = posix_memalign;
static void *(*volatile p_aligned_alloc)(size_t, size_t) = aligned_alloc;
static void *(*volatile p_memalign)(size_t, size_t) = memalign;
static void *(*volatile p_valloc)(size_t) = valloc;
static void *(*volatile p_pvalloc)(size_t) = pvalloc;
static size_t (*volatile p_usable)(void *) = malloc_usable_size;
/* In no header of every glibc. */
static void (*volatile p_cfree)(void *);
static void (*volatile p_free_sized)(void *, size_t);
static void (*volatile p_free_aligned_sized)(void *, size_t, size_t);

/* Sizes that are served: around words, classes, pages, huge pages. */
static const size_t SIZES[] = {
    0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 111, 112, 113, 127, 128, 129, 159, 160,
    161, 191, 192, 193, 223, 224, 225, 255, 256, 257, 319, 320, 321, 511, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049,
    4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385, 32767, 32768, 32769, 65535, 65536, 65537, 131071, 131072,
    131073, 262143, 262144, 262145, 458751, 458752, 458753, 524287, 524288, 524289, 1048575, 1048576, 1048577, 2097151,
    2097152, 2097153, 4194303, 4194304, 4194305, 8388609,
};
/* Sizes that no machine can serve. */
static const size_t TOO_LARGE[] = { PTRDIFF_LIMIT, PTRDIFF_LIMIT + 1, SIZE_MAX - 4095, SIZE_MAX - 16, SIZE_MAX };
static const size_t NO_POWERS[] = { 0, 3, 7, 12, 24, 100, 4097, SIZE_MAX };

static int is_aligned(const void *object, size_t align)
{
    return (uintptr_t)object % align == 0;
}

/* Whether the first `size` bytes are all `byte`. */
static int is_filled(const void *object, int byte, size_t size)
{
    const unsigned char *bytes = object;
    return size == 0 || (bytes[0] == (unsigned char)byte && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* An object of at least `size` bytes, all of them writable, that `free` takes without a word. */
static void check_object(const char *by, void *object, size_t size, size_t align)
{
    CHECK(object != NULL, "%s(%zu), aligned to %zu", by, size, align);
    if (object == NULL)
        return;
    CHECK(is_aligned(object, align), "%s(%zu) = %p, aligned to %zu", by, size, object, align);
    CHECK(is_aligned(object, 16), "%s(%zu) = %p", by, size, object);
    size_t usable = p_usable(object);
    CHECK(usable >= size, "%s(%zu): %zu", by, size, usable);
    /* What a strict alignment left behind a small object may be as long as a gigabyte. */
    size_t filled = usable > size + MIB ? size + MIB : usable;
    if (usable > 0)
        ((unsigned char *)object)[usable - 1] = 0xa5;
    memset(object, 0xa5, filled);
    CHECK(p_usable(object) == usable, "%s(%zu)", by, size);
    CHECK(is_filled(object, 0xa5, filled), "%s(%zu)", by, size);
    errno = 1234;
    p_free(object);
    CHECK(errno == 1234, "free after %s(%zu)", by, size);
}

/* A refusal that says why. */
static void check_refusal(const char *by, const void *object, int error, size_t size)
{
    int found = errno;
    CHECK(object == NULL, "%s(%zu)", by, size);
    CHECK(found == error, "%s(%zu): errno %d", by, size, found);
    errno = 0;
}

static void sizes(void)
{
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        size_t size = SIZES[i];
        check_object("malloc", p_malloc(size), size, 16);
        check_object("realloc(NULL)", p_realloc(NULL, size), size, 16);
        check_object("reallocarray(NULL)", p_reallocarray(NULL, size, 1), size, 16);
        check_object("calloc", p_calloc(size, 1), size, 16);
        check_object("calloc", p_calloc(1, size), size, 16);
        check_object("aligned_alloc", p_aligned_alloc(64, size), size, 64);
        check_object("memalign", p_memalign(256, size), size, 256);
        check_object("valloc", p_valloc(size), size, (size_t)sysconf(_SC_PAGESIZE));
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        check_object("pvalloc", p_pvalloc(size), ((size ? size : 1) + page - 1) / page * page, page);
    }
    char *large = p_malloc(GIB);
    CHECK(large != NULL);
    if (large) {
        large[0] = large[GIB - 1] = 1;
        p_free(large);
    }
}

static void nothing(void)
{
    void *first = p_malloc(0), *second = p_malloc(0), *third = p_calloc(0, 8), *fourth = p_calloc(8, 0);
    CHECK(first && second && third && fourth);
    CHECK(first != second && first != third && first != fourth);
    CHECK(second != third && second != fourth && third != fourth);
    void *fifth = p_aligned_alloc(4096, 0), *sixth = NULL;
    CHECK(fifth != NULL && is_aligned(fifth, 4096));
    CHECK(p_posix_memalign(&sixth, 1 << 20, 0) == 0 && sixth != NULL && is_aligned(sixth, 1 << 20));
    CHECK(fifth != first && sixth != first && sixth != fifth);
    p_free(first), p_free(second), p_free(third), p_free(fourth), p_free(fifth), p_free(sixth);
    errno = 77;
    p_free(NULL);
    CHECK(errno == 77);
    p_cfree(NULL);
    p_free_sized(NULL, 0);
    p_free_aligned_sized(NULL, 64, 0);
    CHECK(errno == 77);
    CHECK(p_usable(NULL) == 0);
}

static void too_large(void)
{
    char *kept = p_malloc(100);
    CHECK(kept != NULL);
    size_t usable = p_usable(kept);
    memset(kept, 0x5a, usable);
    errno = 0;
    for (size_t i = 0; i < COUNT(TOO_LARGE); i++) {
        size_t size = TOO_LARGE[i];
        check_refusal("malloc", p_malloc(size), ENOMEM, size);
        check_refusal("calloc", p_calloc(1, size), ENOMEM, size);
        check_refusal("calloc", p_calloc(size, 1), ENOMEM, size);
        check_refusal("realloc(NULL)", p_realloc(NULL, size), ENOMEM, size);
        check_refusal("realloc", p_realloc(kept, size), ENOMEM, size);
        check_refusal("reallocarray", p_reallocarray(kept, 1, size), ENOMEM, size);
        check_refusal("aligned_alloc", p_aligned_alloc(64, size), ENOMEM, size);
        check_refusal("memalign", p_memalign(8, size), ENOMEM, size);
        check_refusal("memalign", p_memalign(1 << 20, size), ENOMEM, size);
        check_refusal("valloc", p_valloc(size), ENOMEM, size);
        check_refusal("pvalloc", p_pvalloc(size), ENOMEM, size);
        void *out = &checks;
        errno = 55;
        CHECK(p_posix_memalign(&out, 64, size) == ENOMEM, "%zu", size);
        CHECK(out == &checks, "%zu", size);
        CHECK(errno == 55, "%zu", size);
        CHECK(p_usable(kept) == usable, "%zu", size);
        CHECK(is_filled(kept, 0x5a, usable), "a refused realloc leaves the object, %zu", size);
        errno = 0;
    }
    p_free(kept);
    /* A large object, whose pages could be moved. */
    kept = p_malloc(40 * MIB);
    CHECK(kept != NULL);
    if (kept) {
        kept[0] = 1, kept[40 * MIB - 1] = 2;
        errno = 0;
        check_refusal("realloc", p_realloc(kept, PTRDIFF_LIMIT), ENOMEM, PTRDIFF_LIMIT);
        CHECK(kept[0] == 1 && kept[40 * MIB - 1] == 2);
        p_free(kept);
    }
}

static void overflows(void)
{
    static const struct { size_t count, size; } PAIRS[] = {
        { SIZE_MAX, 2 }, { 2, SIZE_MAX }, { SIZE_MAX / 2 + 1, 2 }, { SIZE_MAX / 4 + 2, 4 },
        { (size_t)1 << 32, (size_t)1 << 32 }, { SIZE_MAX, SIZE_MAX }, { PTRDIFF_LIMIT, 3 },
    };
    char *kept = p_malloc(10);
    CHECK(kept != NULL);
    memset(kept, 7, 10);
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        errno = 0;
        check_refusal("calloc", p_calloc(PAIRS[i].count, PAIRS[i].size), ENOMEM, PAIRS[i].count);
        check_refusal("reallocarray", p_reallocarray(kept, PAIRS[i].count, PAIRS[i].size), ENOMEM, PAIRS[i].count);
        check_refusal("reallocarray", p_reallocarray(NULL, PAIRS[i].count, PAIRS[i].size), ENOMEM, PAIRS[i].count);
        CHECK(is_filled(kept, 7, 10));
    }
    p_free(kept);
}

static void zeroes(void)
{
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        size_t size = SIZES[i];
        for (int round = 0; round < 3; round++) {
            unsigned char *object = p_calloc(size, 1);
            CHECK(object != NULL && is_filled(object, 0, size), "calloc(%zu), round %d", size, round);
            if (object)
                memset(object, 0xff, p_usable(object));
            p_free(object);
        }
    }
    unsigned char *many[64];
    for (size_t i = 0; i < COUNT(many); i++)
        CHECK((many[i] = p_malloc(500)) != NULL && memset(many[i], 0xee, 500));
    for (size_t i = 0; i < COUNT(many); i++)
        p_free(many[i]);
    for (size_t i = 0; i < COUNT(many); i++)
        CHECK((many[i] = p_calloc(5, 100)) != NULL && is_filled(many[i], 0, 500));
    for (size_t i = 0; i < COUNT(many); i++)
        p_free(many[i]);
}

static void alignments(void)
{
    for (int shift = 0; shift <= 30; shift++) {
        size_t align = (size_t)1 << shift;
        size_t some[] = { 0, 1, align + 3, 100, 5000 };
        for (size_t i = 0; i < COUNT(some); i++) {
            size_t size = some[i];
            if (size > 8 * MIB)
                size = 8 * MIB + 3;
            void *object = NULL;
            int expected = align < sizeof(void *) ? EINVAL : 0;
            errno = 99;
            CHECK(p_posix_memalign(&object, align, size) == expected, "%zu, %zu", align, size);
            CHECK(errno == 99, "%zu, %zu", align, size);
            if (expected == 0)
                check_object("posix_memalign", object, size, align);
            if (align >= GIB / 16 && i > 0)
                continue;
            check_object("aligned_alloc", p_aligned_alloc(align, size), size, align);
            check_object("memalign", p_memalign(align, size), size, align);
        }
    }
    for (size_t i = 0; i < COUNT(NO_POWERS); i++) {
        size_t align = NO_POWERS[i];
        void *out = &failures;
        errno = 44;
        CHECK(p_posix_memalign(&out, align, 64) == EINVAL, "%zu", align);
        CHECK(out == &failures && errno == 44, "%zu", align);
        errno = 0;
        check_refusal("aligned_alloc", p_aligned_alloc(align, 64), EINVAL, align);
    }
    for (size_t align = 1; align < sizeof(void *); align *= 2) {
        void *out = NULL;
        CHECK(p_posix_memalign(&out, align, 8) == EINVAL, "%zu", align);
    }
    /* EINVAL and ENOMEM told apart, where both would do. */
    void *out = &failures;
    CHECK(p_posix_memalign(&out, 24, SIZE_MAX) == EINVAL);
    CHECK(p_posix_memalign(&out, (size_t)1 << 62, 64) == ENOMEM);
    CHECK(p_posix_memalign(&out, (size_t)1 << 63, 64) == ENOMEM);
    CHECK(out == &failures);
    errno = 0;
    check_refusal("aligned_alloc", p_aligned_alloc((size_t)1 << 63, 64), ENOMEM, 64);
    check_refusal("memalign", p_memalign((size_t)1 << 62, 64), ENOMEM, 64);
    check_refusal("memalign", p_memalign(SIZE_MAX, 64), EINVAL, 64);
    check_refusal("memalign", p_memalign(((size_t)1 << 63) + 1, 64), EINVAL, 64);
    check_object("memalign(24)", p_memalign(24, 100), 100, 32);
    check_object("memalign(0)", p_memalign(0, 100), 100, 16);
    check_object("aligned_alloc(64, 65)", p_aligned_alloc(64, 65), 65, 64);
}

/* Objects keep what they hold through sizes up and down, from `malloc` and from aligned ones. */
static void resizes(void)
{
    static const size_t STEPS[] = {
        1, 15, 16, 17, 100, 1000, 900, 5000, 4096, 70000, 60000, 300000, 500000, 1 << 20, 700000, 3 << 20, 6 << 20,
        5 << 20, 48 << 20, 33 << 20, 1 << 20, 400000, 70000, 4000, 64, 3, 1,
    };
    for (size_t align = 0; align <= 1 << 20; align = align ? align * 16 : 32) {
        unsigned char *object = align ? p_memalign(align, 1) : p_malloc(1);
        CHECK(object != NULL);
        if (!object)
            return;
        object[0] = 0;
        size_t held = 1;
        for (size_t i = 0; i < COUNT(STEPS); i++) {
            size_t size = STEPS[i];
            unsigned char *other = p_realloc(object, size);
            CHECK(other != NULL && is_aligned(other, 16) && p_usable(other) >= size, "%zu", size);
            if (!other)
                return;
            object = other;
            size_t least = size < held ? size : held, wrong = 0;
            for (size_t at = 0; at < least; at += least > 10000 ? 509 : 1)
                wrong += object[at] != (unsigned char)(at * 7 % 251);
            CHECK(wrong == 0, "%zu of the bytes from %zu to %zu", wrong, held, size);
            for (size_t at = 0; at < size; at++)
                object[at] = (unsigned char)(at * 7 % 251);
            held = size;
        }
        p_free(object);
    }
    /* All that may be used is kept, not only what was asked for. */
    for (size_t i = 1; i < COUNT(SIZES); i++) {
        unsigned char *object = p_malloc(SIZES[i]);
        CHECK(object != NULL);
        size_t usable = p_usable(object);
        memset(object, 0x3c, usable);
        object = p_realloc(object, usable * 2 + 1);
        CHECK(object != NULL && is_filled(object, 0x3c, usable), "%zu", SIZES[i]);
        p_free(object);
    }
    /* So it is where two freed neighbours serve one request, whose pages the kernel does not move as one. */
    for (size_t bytes = 5 << 20; bytes < 20 << 20; bytes = bytes * 3 / 2 + 1) {
        void *neighbours[] = { p_malloc(bytes), p_malloc(bytes), p_malloc(bytes) };
        for (size_t i = 0; i < COUNT(neighbours); i++) {
            p_free(neighbours[i]);
        }
        unsigned char *joined = p_malloc(2 * bytes + 1);
        CHECK(joined != NULL);
        size_t usable = p_usable(joined);
        memset(joined, 0x3d, usable);
        joined = p_realloc(joined, 4 * usable + 1);
        CHECK(joined != NULL && is_filled(joined, 0x3d, usable), "%zu of %zu", usable, bytes);
        p_free(joined);
    }
    void *object = p_malloc(100);
    errno = 31;
    CHECK(p_realloc(object, 0) == NULL);
    CHECK(errno == 31);
    void *again = p_malloc(100);
    CHECK(again != NULL);
    CHECK(p_reallocarray(again, 0, 8) == NULL);
    CHECK(errno == 31);
    again = p_reallocarray(NULL, 10, 10);
    CHECK(again != NULL && p_usable(again) >= 100);
    memset(again, 9, 100);
    again = p_reallocarray(again, 100, 100);
    CHECK(again != NULL && p_usable(again) >= 10000 && is_filled(again, 9, 100));
    p_free(again);
    /* `realloc(p, 0)` frees: a million times what a megabyte holds fits. */
    for (int i = 0; i < 100000; i++) {
        void *gone = p_malloc(10000);
        if (gone == NULL || p_realloc(gone, 0) != NULL)
            CHECK(0, "round %d", i);
    }
}

static void other_frees(void)
{
    errno = 66;
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        void *object = p_malloc(SIZES[i]);
        CHECK(object != NULL);
        p_free_sized(object, SIZES[i]);
        CHECK((object = p_aligned_alloc(128, SIZES[i])) != NULL);
        p_free_aligned_sized(object, 128, SIZES[i]);
        CHECK((object = p_calloc(SIZES[i], 1)) != NULL);
        p_cfree(object);
    }
    CHECK(errno == 66);
}

/* No two live objects overlap, and none changes by what happens to others. */
static void disjoint(void)
{
    enum { LIVE = 2000 };
    static unsigned char *live[LIVE];
    static size_t length[LIVE];
    uint64_t seed = 88172645463325252ULL;
    for (int step = 0; step < 200000; step++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        size_t at = seed % LIVE;
        if (live[at]) {
            size_t size = length[at];
            if (live[at][0] != (at & 0xff) || live[at][size - 1] != (at & 0xff))
                CHECK(0, "object %zu of %zu bytes", at, size);
            p_free(live[at]);
        }
        size_t size = 1 + (seed >> 20) % (seed >> 60 == 0 ? 100000 : 600);
        live[at] = (seed >> 50) % 8 ? p_malloc(size) : p_memalign(64, size);
        length[at] = size;
        if (live[at] == NULL)
            CHECK(0, "%zu bytes", size);
        else
            memset(live[at], (int)(at & 0xff), size);
    }
    for (size_t at = 0; at < LIVE; at++) {
        CHECK(live[at] == NULL || is_filled(live[at], (int)(at & 0xff), length[at]), "object %zu", at);
        p_free(live[at]);
    }
}

/* What malloc_stats writes to standard error, or malloc_info to a stream: in a buffer, since reading must allocate nothing. */
static char told[1 << 16];

static void read_stats(void)
{
    int out[2], kept = dup(2);
    CHECK(kept > 2 && pipe2(out, O_NONBLOCK) == 0);
    CHECK(dup2(out[1], 2) == 2);
    struct mallinfo2 before = mallinfo2();
    malloc_stats();
    struct mallinfo2 after = mallinfo2();
    CHECK(dup2(kept, 2) == 2);
    ssize_t length = read(out[0], told, sizeof told - 1);
    CHECK(length > 0);
    told[length > 0 ? length : 0] = 0;
    close(kept);
    close(out[0]);
    close(out[1]);
    CHECK(before.uordblks == after.uordblks && before.fordblks == after.fordblks, "malloc_stats allocates");
}

/* The number at the end of the line of malloc_stats that begins with the name, or before it. */
static size_t stated(const char *name, int column)
{
    const char *line = strstr(told, name);
    CHECK(line != NULL, "%s is not in %s", name, told);
    size_t numbers[2] = {0, 0};
    if (line != NULL)
        sscanf(line + strlen(name), "%zu %zu", &numbers[0], &numbers[1]);
    return numbers[column];
}

/* What the functions say of objects that are known. */
static void known_live_set(void)
{
    enum { SMALL = 500, LARGE = 3 };
    static void *small[SMALL], *large[LARGE];
    struct mallinfo2 before = mallinfo2();
    read_stats();
    size_t objects = stated("\nlive", 0), bytes = stated("\nlive", 1);
    CHECK(before.arena == before.uordblks + before.fordblks);
    CHECK(before.uordblks + before.hblkhd >= bytes);
    size_t held = 0;
    for (int n = 0; n < SMALL; n++) {
        small[n] = p_malloc(200);
        held += p_usable(small[n]);
    }
    struct mallinfo2 with_small = mallinfo2();
    CHECK(with_small.uordblks - before.uordblks >= held && with_small.hblkhd == before.hblkhd);
    for (int n = 0; n < LARGE; n++) {
        large[n] = p_malloc(9 * MIB);
        held += p_usable(large[n]);
    }
    struct mallinfo2 with_all = mallinfo2();
    CHECK(with_all.arena == with_all.uordblks + with_all.fordblks);
    CHECK(with_all.hblks - before.hblks == LARGE, "%zu", with_all.hblks - before.hblks);
    CHECK(with_all.hblkhd - before.hblkhd >= LARGE * 9 * MIB);
    CHECK(with_all.uordblks + with_all.hblkhd - before.uordblks - before.hblkhd >= held);
    read_stats();
    CHECK(stated("\nlive", 0) - objects == SMALL + LARGE, "%zu", stated("\nlive", 0) - objects);
    CHECK(stated("\nlive", 1) - bytes >= held);
    size_t mapped = stated("\nmapped, the sum", 0);
    CHECK(mapped >= stated("\n  resident", 0) && mapped >= with_all.uordblks + with_all.hblkhd);
    char *document = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&document, &length);
    CHECK(stream != NULL && malloc_info(0, stream) == 0 && fclose(stream) == 0);
    size_t count = 0, size = 0, current = 0;
    const char *mmapped = strstr(document, "<total type=\"mmap\"");
    CHECK(mmapped != NULL && sscanf(mmapped, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>", &count, &size) == 2);
    CHECK(count == with_all.hblks && size == with_all.hblkhd);
    const char *system = strstr(document, "<system type=\"current\"");
    CHECK(system != NULL && sscanf(system, "<system type=\"current\" size=\"%zu\"/>", &current) == 1 && current >= mapped);
    CHECK(strstr(document, "<heap nr=\"0\">\n<sizes>\n") != NULL && strstr(document, "</sizes>\n") != NULL);
    p_free(document);
    for (int n = 0; n < SMALL; n++)
        p_free(small[n]);
    for (int n = 0; n < LARGE; n++)
        p_free(large[n]);
    read_stats();
    CHECK(stated("\nlive", 0) == objects && stated("\nlive", 1) == bytes, "%zu", stated("\nlive", 0) - objects);
    struct mallinfo2 after = mallinfo2();
    CHECK(after.hblks == before.hblks && after.hblkhd == before.hblkhd);
    CHECK(after.uordblks == before.uordblks);
}

static void statistics(void)
{
    void *large = p_malloc(8 * MIB);
    CHECK(large != NULL);
    memset(large, 1, 8 * MIB);
    p_free(large);
    CHECK(malloc_trim(0) == 1);
    CHECK(malloc_trim(SIZE_MAX) == 1);
    CHECK(mallopt(M_MMAP_THRESHOLD, 65536) == 0);
    CHECK(mallopt(-1000, 1) == 0);
    void *live = p_malloc(100);
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks >= 100 && info.arena > info.uordblks && info.usmblks == 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo old = mallinfo();
#pragma GCC diagnostic pop
    CHECK((size_t)old.uordblks == info.uordblks && (size_t)old.arena == info.arena);
    p_free(live);
    known_live_set();
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(stream != NULL);
    CHECK(malloc_info(0, stream) == 0);
    CHECK(fclose(stream) == 0);
    CHECK(strncmp(text, "<malloc version=\"hakmem-", 24) == 0 && strstr(text, "</malloc>\n") != NULL, "%s", text);
    p_free(text);
    CHECK(malloc_info(1, stdout) == EINVAL);
}

/* What the C library allocates itself comes from here as well. */
static void from_the_c_library(void)
{
    char *copy = strdup("a string that is copied");
    CHECK(copy != NULL && p_usable(copy) >= 24);
    p_free(copy);
    char *text = NULL;
    CHECK(asprintf(&text, "%0*d", 5000, 7) == 5000 && p_usable(text) >= 5001);
    p_free(text);
    char *line = NULL;
    size_t room = 0;
    FILE *stream = fmemopen("one\ntwo\n", 8, "r");
    CHECK(stream != NULL && getline(&line, &room, stream) == 4 && p_usable(line) >= room);
    p_free(line);
    fclose(stream);
    char *path = realpath("/", NULL);
    CHECK(path != NULL && strcmp(path, "/") == 0);
    p_free(path);
}

/* Destructors of thread-specific values allocate and free, some of them after the allocator's own. */
static pthread_key_t keys[3];

static void again(void *value)
{
    int rounds = *(int *)value - 1;
    p_free(value);
    int *next = p_malloc(sizeof *next);
    if (next && rounds > 0) {
        *next = rounds;
        pthread_setspecific(keys[rounds % 3], next);
    } else {
        p_free(next);
    }
}

static void *with_values(void *from_elsewhere)
{
    for (int i = 0; i < 3; i++) {
        int *value = p_malloc(sizeof *value);
        if (value == NULL)
            return NULL;
        *value = 4;
        pthread_setspecific(keys[i], value);
    }
    p_free(from_elsewhere);
    return p_malloc(1000);
}

static void thread_ends(void)
{
    for (int i = 0; i < 3; i++)
        CHECK(pthread_key_create(&keys[i], again) == 0);
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        void *object = NULL;
        if (pthread_create(&thread, NULL, with_values, p_malloc(77)) != 0 || pthread_join(thread, &object) != 0)
            CHECK(0, "thread %d", i);
        CHECK(object != NULL && p_usable(object) >= 1000, "thread %d", i);
        p_free(object);
    }
}

int main(void)
{
    alarm(60);
    CHECK((p_cfree = dlsym(RTLD_DEFAULT, "cfree")) != NULL);
    CHECK((p_free_sized = dlsym(RTLD_DEFAULT, "free_sized")) != NULL);
    CHECK((p_free_aligned_sized = dlsym(RTLD_DEFAULT, "free_aligned_sized")) != NULL);
    if (failures)
        return finish();
    nothing();
    sizes();
    too_large();
    overflows();
    zeroes();
    alignments();
    resizes();
    other_frees();
    disjoint();
    statistics();
    from_the_c_library();
    thread_ends();
    return finish();
}
