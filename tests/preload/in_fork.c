/* What a handler of a fork does while the allocator waits for nothing: its requests go to the bypass, and its frees wait.
   The first argument says what it does, the second how long the object is. */
#include "check.h"

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;
static const char *task = "";
static size_t bytes;
static char *before, *during;

/* Sizes to which an object of the bypass is changed in its place or by a copy, and back. */
static void resize(char **object, size_t held)
{
    for (size_t step = 0; step < 8; step++) {
        size_t next = step % 2 ? bytes + step * 8 : bytes - bytes / (step + 3);
        *object = realloc(*object, next);
        size_t kept = held < next ? held : next;
        for (size_t i = 0; i < kept; i += kept / 50 + 1)
            CHECK((*object)[i] == 5, "%zu of %zu, step %zu", i, next, step);
        CHECK(malloc_usable_size(*object) >= next);
        memset(*object, 5, next);
        held = next;
    }
}

enum { MANY = 200000 };
static void *many[MANY];

static long resident_bytes(void)
{
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &all, &resident) == 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* Memory of the bypass goes back when it is free: by itself, or at the program's request. */
static void give_many_back(int by_request)
{
    long most = resident_bytes(), held = (long)(MANY * bytes);
    CHECK(most > held, "%ld", most);
    for (int i = 0; i < MANY; i++)
        give(many[i]);
    if (by_request)
        malloc_trim(0);
    else
        /* Right after a fork the purge's thread is not started but by a later free. */
        while (most - resident_bytes() < held) {
            usleep(100000);
            give(take(5 << 20));
        }
    CHECK(most - resident_bytes() >= held, "%ld of %ld", resident_bytes(), most);
}

static void prepare(void)
{
    if (strncmp(task, "many", 4) == 0) {
        for (int i = 0; i < MANY; i++)
            memset(many[i] = take(bytes), 5, bytes);
        return;
    }
    if (strcmp(task, "resize") == 0) {
        for (int i = 0; i < 3; i++) {
            during = take(bytes);
            memset(during, 5, bytes);
            resize(&during, bytes);
            give(during);
        }
        during = take(bytes);
        memset(during, 5, bytes);
        resize(&during, bytes);
        resize(&before, bytes);
    } else if (*task) {
        give(before);
        if (strcmp(task, "twice") == 0)
            give(before);
        if (strcmp(task, "realloc") == 0)
            before = realloc(before, bytes + bytes / 4);
        if (strcmp(task, "usable") == 0)
            bytes = malloc_usable_size(before);
    }
}

/* Runs before the constructor of any library, so that its handler runs after the library's before a fork. */
static void early(void)
{
    pthread_atfork(prepare, NULL, NULL);
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = early;

int main(int count, char **arguments)
{
    alarm(60);
    bytes = strtoul(arguments[2], NULL, 0);
    before = take(bytes);
    memset(before, 5, bytes);
    task = arguments[1];
    pid_t child = fork();
    if (child != 0) {
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "%x", status);
    }
    if (strcmp(task, "later") == 0)
        give(before);
    if (strncmp(task, "many", 4) == 0 && child != 0)
        give_many_back(strcmp(task, "many-by-request") == 0);
    if (strcmp(task, "resize") == 0) {
        /* As ordinary objects, which they become when they move. */
        size_t held = bytes + 7 * 8;
        for (int i = 0; i < 4; i++) {
            resize(&before, held);
            resize(&during, held);
            void *other = take(bytes);
            memset(other, 6, bytes);
            give(other);
        }
        give(before);
        give(during);
    }
    if (child == 0)
        _exit(failures != 0);
    return finish();
}
