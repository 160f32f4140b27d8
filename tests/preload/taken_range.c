/* Other mappings lie where the allocator would grow next, at both ends of its range: objects are served elsewhere, and
   no byte of the others changes. */
#define _GNU_SOURCE
#include "check.h"
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { SEGMENT = 4 << 20, PIECES = 40 };
static char *others[2 * PIECES];
static int others_count;

/* Maps an OS page in every second segment from the object's own on, in one direction. */
static void take(char *object, ptrdiff_t step)
{
    char *segment = (char *)((uintptr_t)object & -(uintptr_t)SEGMENT);
    for (int i = 1; i <= PIECES; i++) {
        char *at = segment + (2 * i - 1) * step * SEGMENT + SEGMENT / 2;
        char *got = mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == at) {
            memset(at, 0x5a, 4096);
            others[others_count++] = at;
        } else if (got != MAP_FAILED) {
            munmap(got, 4096);
        }
    }
}

int main(void)
{
    static char *objects[200000];
    take(malloc(100), 1);
    take(malloc(1 << 20), -1);
    CHECK(others_count > PIECES, "%d", others_count);
    const size_t sizes[] = { 1000, 40000, 300000, 1 << 20, 3 << 20 };
    for (int round = 0; round < 2; round++) {
        for (int size = 0; size < 5; size++) {
            size_t bytes = sizes[size], count = (200 << 20) / bytes;
            count = count < 200000 ? count : 200000;
            for (size_t i = 0; i < count; i++) {
                objects[i] = malloc(bytes);
                CHECK(objects[i] != NULL && malloc_usable_size(objects[i]) >= bytes);
                objects[i][0] = objects[i][bytes / 2] = objects[i][bytes - 1] = (char)i;
            }
            for (size_t i = 0; i < count; i++) {
                char *object = objects[i];
                CHECK(object[0] == (char)i && object[bytes / 2] == (char)i && object[bytes - 1] == (char)i);
                free(object);
            }
        }
        malloc_trim(0);
    }
    for (int i = 0; i < others_count; i++) {
        for (int byte = 0; byte < 4096; byte++) {
            CHECK(others[i][byte] == 0x5a);
        }
    }
    malloc_stats();
    return finish();
}
