// An allocator that a signal's handler may call at any instruction: it takes the next bytes, and never gives any back.
#include <stddef.h>
#include <string.h>

#define BYTES (1ul << 32)
static char memory[BYTES] __attribute__((aligned(4096)));
static size_t used;

void *memalign(size_t align, size_t size) {
    size_t all = size + 16 + (align < 16 ? 16 : align);
    size_t at = (size_t)memory + __atomic_fetch_add(&used, (all + 15) / 16 * 16, __ATOMIC_RELAXED) + 16;
    if (at + all > (size_t)memory + BYTES) return 0;
    at = (at + align - 1) / align * align;
    ((size_t *)at)[-1] = size;
    return (void *)at;
}
void *malloc(size_t size) { return memalign(16, size); }
void *calloc(size_t count, size_t size) { return malloc(count * size); }
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void **at, size_t align, size_t size) { return (*at = memalign(align, size)) ? 0 : 12; }
void free(void *object) { (void)object; }
void *realloc(void *object, size_t size) {
    void *new = malloc(size);
    if (object && new) {
        size_t old = ((size_t *)object)[-1];
        memcpy(new, object, old < size ? old : size);
    }
    return new;
}
