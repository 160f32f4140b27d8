/* Which allocator serves this process: what the loader bound, and what is mapped. Prints the version. */
#include "check.h"

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    const char *library = arguments[1];
    const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "hakmem_version");
    CHECK(version != NULL);
    static const char *const NAMES[] = {
        "malloc", "calloc", "realloc", "reallocarray", "free", "posix_memalign", "aligned_alloc", "memalign", "valloc",
        "pvalloc", "malloc_usable_size", "malloc_trim",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        Dl_info info;
        void *function = dlsym(RTLD_DEFAULT, NAMES[i]);
        CHECK(function != NULL && dladdr(function, &info) != 0, "%s", NAMES[i]);
        CHECK(strcmp(info.dli_fname, library) == 0, "%s is from %s", NAMES[i], info.dli_fname);
    }
    /* The call that the loader bound, not only what it would bind. */
    void *(*volatile bound)(size_t) = malloc;
    CHECK((void *)bound == dlsym(RTLD_DEFAULT, "malloc"));
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    int mapped = 0;
    while (maps && fgets(line, sizeof line, maps))
        mapped += strstr(line, library) != NULL;
    CHECK(mapped > 0);
    /* Closing a handle of the library leaves it. */
    void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
    CHECK(handle != NULL && dlclose(handle) == 0 && malloc(10) != NULL);
    if (version)
        printf("hakmem %s\n", version());
    return finish();
}
