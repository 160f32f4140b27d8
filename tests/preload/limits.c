/* Limits that the process sets for itself, or that it has from its start (`start`): what it is served, and that all of
   it serves again once it is freed. Arguments: `self` or `start`, and the limit on addresses in MiB; `waits`, the limit, and
   the size of objects; `dense` and the same; or `mlock`. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

static size_t limit;

/* Asks for objects until there are no more. Returns how many bytes were served. */
static size_t fill(size_t bytes)
{
    size_t served = 0;
    void *newest = NULL, *object;
    while ((object = malloc(bytes)) != NULL) {
        ((char *)object)[bytes - 1] = 1;
        *(void **)object = newest;
        newest = object;
        served += bytes;
    }
    CHECK(errno == ENOMEM);
    while ((object = newest) != NULL) {
        newest = *(void **)object;
        free(object);
    }
    return served;
}

static void *allocate_some(void *unused)
{
    for (size_t bytes = 16; bytes < 100000; bytes *= 2) {
        free(malloc(bytes));
    }
    return unused;
}

static size_t addresses(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu", &pages) != 1) {
        return SIZE_MAX;
    }
    fclose(file);
    return pages * 4096;
}

static void limited(int is_own)
{
    if (is_own) {
        free(malloc(100));
        struct rlimit new = { limit, limit };
        CHECK(setrlimit(RLIMIT_AS, &new) == 0);
    }
    size_t room = limit - addresses();
    const size_t sizes[] = { 100, 3000, 40000, 100000, 700000, 1 << 20, 5 << 20, 20 << 20 };
    enum { SIZES = sizeof sizes / sizeof *sizes };
    /* Up and down, so that every size follows every sort of size. */
    for (int step = 0; step < 4 * SIZES; step++) {
        int at = step % (2 * SIZES);
        size_t bytes = sizes[at < SIZES ? at : 2 * SIZES - 1 - at];
        size_t served = fill(bytes);
        printf("%zu: %zu of %zu KiB\n", bytes, served >> 10, room >> 10);
        /* The C library maps its own addresses within the same limit. */
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 << 10);
        pthread_t thread;
        int error = pthread_create(&thread, &attributes, allocate_some, NULL);
        if (error != 0) {
            malloc_trim(0);
            error = pthread_create(&thread, &attributes, allocate_some, NULL);
        }
        CHECK(error == 0, "after %zu: %s", bytes, strerror(error));
        if (error == 0) {
            pthread_join(thread, NULL);
        }
        if (bytes <= room / 8) {
            CHECK(served >= room / 2, "%zu: %zu of %zu KiB", bytes, served >> 10, room >> 10);
        }
    }
}

/* Objects of any size get most of the addresses that there are. */
static void dense(size_t bytes)
{
    struct rlimit new = { limit, limit };
    CHECK(setrlimit(RLIMIT_AS, &new) == 0);
    size_t room = limit - addresses();
    size_t served = fill(bytes);
    CHECK(served >= room / 8 * 7, "%zu: %zu of %zu KiB", bytes, served >> 10, room >> 10);
    /* And again, of another size, for which a part of what was used does not fit. */
    served = fill(bytes / 2 + 1);
    CHECK(served >= room / 8 * 5, "%zu: %zu of %zu KiB", bytes / 2 + 1, served >> 10, room >> 10);
}

/* What was freed is given back by itself, for mappings of others. */
static void waits(size_t bytes)
{
    free(malloc(100));
    struct rlimit new = { limit, limit };
    CHECK(setrlimit(RLIMIT_AS, &new) == 0);
    size_t length = (limit - addresses()) / 2;
    CHECK(fill(bytes) > length);
    sleep(3);
    void *other = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(other != MAP_FAILED, "%zu KiB after objects of %zu: %s", length >> 10, bytes, strerror(errno));
    free(malloc(bytes));
}

static void locked(void)
{
    struct rlimit new = { 8 << 20, 8 << 20 };
    if (setrlimit(RLIMIT_MEMLOCK, &new) != 0) {
        puts("not run: the process may not lock so much");
        return;
    }
    CHECK(getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
    free(malloc(100));
    CHECK(mlockall(MCL_CURRENT) == 0, "%s", strerror(errno));
    CHECK(mlockall(MCL_FUTURE) == 0, "%s", strerror(errno));
    for (size_t bytes = 16; bytes <= 300000; bytes = bytes * 3 / 2) {
        char *object = malloc(bytes);
        CHECK(object != NULL, "%zu", bytes);
        if (object != NULL) {
            memset(object, 1, bytes);
        }
        free(object);
    }
    CHECK(malloc(64 << 20) == NULL && errno == ENOMEM);
}

int main(int count, char **arguments)
{
    alarm(60);
    limit = count > 2 ? strtoul(arguments[2], NULL, 10) << 20 : 0;
    if (strcmp(arguments[1], "mlock") == 0) {
        locked();
    } else if (strcmp(arguments[1], "waits") == 0) {
        waits(strtoul(arguments[3], NULL, 10));
    } else if (strcmp(arguments[1], "dense") == 0) {
        dense(strtoul(arguments[3], NULL, 10));
    } else {
        limited(strcmp(arguments[1], "self") == 0);
    }
    return finish();
}
