/* Forks while memory is wanted in every way that may meet them: by a handler that was registered before the library's own,
   by a thread that allocates under a lock of the C library's that fork takes, and by threads that a raw fork leaves behind. */
#define _GNU_SOURCE
#include "check.h"
#include <stdatomic.h>
#include <sys/syscall.h>

static int handled;

/* Objects of every station: slots, coloured slots, runs, mappings. */
static void use_all(void)
{
    for (size_t size = 16; size < 12000000; size = size * 7 / 4 + 1) {
        char *object = malloc(size);
        if (!object)
            abort();
        object[0] = object[size - 1] = 1;
        free(object);
    }
}

enum { RESIZED = 4 };

/* Objects from before a fork, which a handler resizes: they keep what is in them. */
static char *resized[RESIZED];
static const size_t before_bytes[RESIZED] = {300000, 3000000, 6000000, 50000000};

static void make_resized(void)
{
    for (int i = 0; i < RESIZED; i++)
        memset(resized[i] = malloc(before_bytes[i]), 0x5a, before_bytes[i]);
}

static void resize(void)
{
    for (int i = 0; i < RESIZED && resized[i]; i++) {
        size_t bytes = before_bytes[i], same = 0;
        char *object = realloc(realloc(resized[i], 2 * bytes), bytes);
        while (same < bytes && object[same] == 0x5a)
            same++;
        CHECK(same == bytes, "%zu bytes: different at %zu", bytes, same);
        free(object);
        resized[i] = NULL;
    }
}

static void prepare(void)
{
    use_all();
    resize();
    handled++;
}

static void in_child(void)
{
    use_all();
}

/* Runs before the constructor of any library, so that its handler runs after the library's before a fork. */
static void early(void)
{
    pthread_atfork(prepare, NULL, in_child);
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = early;

static atomic_int done;

static ssize_t write_slowly(void *cookie, const char *text, size_t length)
{
    (void)cookie;
    (void)text;
    use_all();
    usleep(200);
    return (ssize_t)length;
}

static void *flush_all(void *unused)
{
    FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_slowly});
    while (!atomic_load(&done)) {
        fputc('x', stream);
        fflush(NULL);
    }
    return unused;
}

static void *churn(void *unused)
{
    void *held[64] = {0};
    for (unsigned n = 0; !atomic_load(&done); n = n * 1664525 + 1013904223) {
        free(held[n >> 26]);
        held[n >> 26] = malloc(n >> 20 & 1 ? 4000 + (n >> 8) % 400000 : 16 + (n >> 8) % 900);
    }
    for (int i = 0; i < 64; i++)
        free(held[i]);
    return unused;
}

static int ends_well(pid_t pid)
{
    int status = -1;
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void child(void)
{
    alarm(20);
    use_all();
    void *held[500];
    for (int i = 0; i < 500; i++)
        held[i] = malloc(100 + 37 * i);
    for (int i = 0; i < 500; i++)
        free(held[i]);
    malloc_trim(0);
    _exit(0);
}

static void forks(const char *label, int count, int raw)
{
    for (int i = 0; i < count; i++) {
        pid_t pid = raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
        if (pid == 0)
            child();
        CHECK(pid > 0 && ends_well(pid), "%s %d", label, i);
    }
}

static void beside(void *(*work)(void *), int threads, const char *label, int count, int raw)
{
    pthread_t ids[8];
    atomic_store(&done, 0);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&ids[i], NULL, work, NULL) == 0);
    forks(label, count, raw);
    atomic_store(&done, 1);
    for (int i = 0; i < threads; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
}

int main(void)
{
    alarm(90);
    make_resized();
    forks("alone", 5, 0);
    CHECK(handled == 5, "%d", handled);
    beside(flush_all, 1, "beside a flush", 30, 0);
    beside(churn, 4, "beside churning threads", 60, 0);
    beside(churn, 4, "raw, beside churning threads", 60, 1);
    /* Much memory on its way back to the OS: the library works behind the program's back. */
    static void *large[256];
    for (int i = 0; i < 256; i++)
        memset(large[i] = malloc(1 << 20), 1, 1 << 20);
    for (int i = 0; i < 256; i++)
        free(large[i]);
    for (int i = 0; i < 100; i++) {
        forks("raw, while memory goes back", 2, 1);
        usleep(10000);
    }
    return finish();
}
