// Misuse by family: `families NAME BYTES` commits one and prints NOT CAUGHT where the process is still there, and, for the
// families that an allocator can only blunt, where it was not blunted. `families` alone prints the names.
#include "check.h"
#include <sys/mman.h>

typedef unsigned char byte;

static size_t size;
static byte *volatile sink;

static byte *get(void) {
    byte *p = malloc(size);
    if (!p) exit(9);
    memset(p, 0x5a, size);
    sink = p;
    return p;
}

// Frees behind the compiler's back.
static void (*volatile release)(void *) = free;
static void *(*volatile resize)(void *, size_t) = realloc;
static size_t (*volatile length)(void *) = malloc_usable_size;

static void *free_it(void *p) {
    release(p);
    return NULL;
}
static void in_thread(void *p) {
    pthread_t thread;
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
}
static void flip(byte *from, ptrdiff_t bytes) {
    for (ptrdiff_t i = 0; i < bytes; i++) ((volatile byte *)from)[i] ^= 0xff;
}
static int look(byte *from, ptrdiff_t bytes) {
    int sum = 0;
    for (ptrdiff_t i = 0; i < bytes; i++) sum += ((volatile byte *)from)[i];
    return sum;
}
// What a program does after a mistake: it goes on to use memory of that length.
static void go_on(void) {
    for (int i = 0; i < 3000; i++) release(get());
}

static int double_at_once(void) { byte *p = get(); release(p); release(p); return 0; }
static int double_other_between(void) { byte *p = get(), *q = get(); release(p); release(q); release(p); return 0; }
static int double_many_between(void) {
    byte *p = get();
    release(p);
    for (int i = 0; i < 1024; i++) release(get());
    release(p);
    return 0;
}
static int double_after_reuse(void) { byte *p = get(); release(p); release(get()); release(p); return 0; }
static int double_by_thread(void) { byte *p = get(); in_thread(p); release(p); return 0; }
static int double_by_realloc_0(void) { byte *p = get(); if (resize(p, 0)) return 0; release(p); return 0; }

static int free_at_1(void) { release(get() + 1); return 0; }
static int free_at_middle(void) { release(get() + size / 2); return 0; }
static int free_at_8(void) { release(get() + 8); return 0; }
static int free_before(void) { get(); release(get() - 8); return 0; }
static int free_stack(void) { byte here[256]; sink = here; release((void *)(((uintptr_t)here + 64) & ~15UL)); return 0; }
static int free_static(void) { static _Alignas(16) byte there[256]; release(there + 64); return 0; }
static int free_mapping(void) {
    byte *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    release(p + 64);
    return 0;
}

#define MB (1 << 20)
#define AROUND(NAME, ACT)                                                                                              \
    static int over_##NAME(void) { byte *p = get(), *q = get(); ACT(p + size, amount); release(p); release(q); return 0; }  \
    static int under_##NAME(void) { byte *q = get(), *p = get(); ACT(p - amount, amount); release(p); release(q); return 0; }
static ptrdiff_t amount;
static void read_around(byte *p, ptrdiff_t n) { look(p, n); }
static void write_around(byte *p, ptrdiff_t n) { flip(p, n); }
AROUND(read, read_around)
AROUND(write, write_around)
#define SIZED(NAME, OF, N)                                                                                             \
    static int NAME(void) { amount = N; return OF(); }
SIZED(over_read_1, over_read, 1)
SIZED(over_read_32, over_read, 32)
SIZED(over_read_mb, over_read, MB)
SIZED(over_write_1, over_write, 1)
SIZED(over_write_32, over_write, 32)
SIZED(over_write_mb, over_write, MB)
SIZED(under_read_1, under_read, 1)
SIZED(under_read_32, under_read, 32)
SIZED(under_read_mb, under_read, MB)
SIZED(under_write_1, under_write, 1)
SIZED(under_write_32, under_write, 32)
SIZED(under_write_mb, under_write, MB)

static int write_after_free(void) { byte *p = get(); release(p); flip(p, 1); go_on(); return 0; }
static int write_after_realloc(void) { byte *p = get(); sink = resize(p, 3 * size + 100000); flip(p, 1); go_on(); return 0; }

static int reuse(void) { byte *p = get(); release(p); return (byte *)malloc(size) != p; }
static int reuse_calloc(void) { byte *p = get(); release(p); return (byte *)calloc(1, size) != p; }
static int reuse_realloc(void) { byte *p = get(); sink = resize(p, 3 * size + 100000); return (byte *)malloc(size) != p; }

static int keeps_freed(void) {
    byte *p = get();
    release(p);
    // A word may be the allocator's.
    ptrdiff_t kept = 0;
    for (size_t i = 0; i < size; i++) kept += ((volatile byte *)p)[i] == 0x5a;
    return kept < (ptrdiff_t)size / 4 + 2 && kept <= 8;
}
static int hands_out_old(void) {
    byte *p[64];
    for (int i = 0; i < 64; i++) p[i] = get();
    for (int i = 0; i < 64; i++) release(p[i]);
    size_t kept = 0;
    for (int i = 0; i < 200; i++) {
        volatile byte *q = malloc(size);
        for (size_t at = 0; at < size; at++) kept += q[at] == 0x5a;
    }
    return kept == 0;
}

static int resize_freed(void) { byte *p = get(); release(p); sink = resize(p, 3 * size + 100); return 0; }
static int resize_inside(void) { sink = resize(get() + size / 2, 3 * size + 100); return 0; }
static int length_freed(void) { byte *p = get(); release(p); return length(p) == (size_t)-1; }
static int zero_size_write(void) { byte *p = malloc(0); sink = p; flip(p, 1); release(p); return 0; }
static int freed_by_ended_thread(void) { byte *p = get(); in_thread(p); for (int i = 0; i < 40; i++) in_thread(get()); release(p); return 0; }

#define ROW(NAME) {#NAME, NAME}
static const struct { const char *name; int (*commit)(void); } FAMILIES[] = {
    ROW(double_at_once), ROW(double_other_between), ROW(double_many_between), ROW(double_after_reuse), ROW(double_by_thread),
    ROW(double_by_realloc_0), ROW(free_at_1), ROW(free_at_middle), ROW(free_at_8), ROW(free_before), ROW(free_stack),
    ROW(free_static), ROW(free_mapping), ROW(over_read_1), ROW(over_read_32), ROW(over_read_mb), ROW(over_write_1),
    ROW(over_write_32), ROW(over_write_mb), ROW(under_read_1), ROW(under_read_32), ROW(under_read_mb), ROW(under_write_1),
    ROW(under_write_32), ROW(under_write_mb), ROW(write_after_free), ROW(write_after_realloc), ROW(reuse), ROW(reuse_calloc),
    ROW(reuse_realloc), ROW(keeps_freed), ROW(hands_out_old), ROW(resize_freed), ROW(resize_inside), ROW(length_freed),
    ROW(zero_size_write), ROW(freed_by_ended_thread),
};

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
        if (argc < 3) {
            puts(FAMILIES[i].name);
        } else if (strcmp(argv[1], FAMILIES[i].name) == 0) {
            size = strtoul(argv[2], NULL, 10);
            int is_blunted = FAMILIES[i].commit();
            puts(is_blunted ? "BLUNTED" : "NOT CAUGHT");
            return 0;
        }
    }
    return argc < 3 ? 0 : 2;
}
