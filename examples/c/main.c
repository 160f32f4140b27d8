/* A C program that is linked with libhakmem.a: every allocation in it is hakmem's, those of the C library too. */
#include <hakmem.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *own = malloc(1000);
    char *of_the_library = strdup("copied by the C library");
    void *aligned = aligned_alloc(4096, 8192);
    if (!own || !of_the_library || !aligned)
        return 1;

    struct hakmem_stats stats = {0};
    hakmem_stats(&stats, sizeof stats);
    char level[32];
    hakmem_level("thp", level, sizeof level);
    printf("hakmem %s: %" PRIu64 " live objects, huge pages %s\n", hakmem_version(), stats.live_objects, level);

    int is_served = hakmem_owns(own) && hakmem_owns(of_the_library) && hakmem_owns(aligned);
    free_sized(own, 1000);
    free(of_the_library);
    free_aligned_sized(aligned, 4096, 8192);
    hakmem_trim();
    puts(is_served ? "served by hakmem" : "NOT served by hakmem");
    return is_served ? 0 : 1;
}
