/* Signal handlers allocate and free, whatever they interrupt. Every object says whose it is while it lives. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { THREADS = 3, HELD = 64, HANDLED = 5000 };

static atomic_long spoilt, handled;
static atomic_int done;

struct held {
    uint64_t *object;
    size_t words;
};

static uint64_t name_of(const uint64_t *object)
{
    return (uint64_t)object ^ 0x9e3779b97f4a7c15;
}

/* One step of a program: the object at a place is freed, or there is a new one. */
static void step(struct held *held, unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    struct held *at = &held[*seed >> 26];
    if (at->object) {
        if (at->object[0] != name_of(at->object) || at->object[at->words - 1] != name_of(at->object))
            atomic_fetch_add(&spoilt, 1);
        at->object[0] = 0;
        uint64_t *object = at->object;
        at->object = NULL;
        free(object);
        return;
    }
    unsigned kind = *seed >> 8 & 63;
    size_t size = kind < 48 ? 16 + (*seed >> 14 & 511) : kind < 60 ? 1000 + (*seed >> 14 & 32767)
        : kind < 63 ? 70000 + (*seed >> 10 & 524287) : 5000000;
    at->words = size / 8;
    at->object = *seed >> 25 & 1 ? malloc(size) : calloc(1, size);
    if (at->object)
        at->object[0] = at->object[at->words - 1] = name_of(at->object);
}

/* An object becomes longer, in its place or in another, then shorter, and keeps its first word. */
static void resize(size_t from, size_t to)
{
    uint64_t *object = malloc(from);
    uint64_t name = (uint64_t)object;
    object[0] = name;
    for (size_t size = from; size <= to; size += (to - from) / 8)
        object = realloc(object, size);
    object = realloc(object, from);
    if (object[0] != name)
        atomic_fetch_add(&spoilt, 1);
    free(object);
}

/* What takes the allocator's locks besides requests and frees. */
static void resize_and_look(unsigned turn)
{
    switch (turn % 16) {
    case 0: resize(600 << 10, 3900 << 10); break;
    case 4: resize(5 << 20, 40 << 20); break;
    case 8: mallinfo2(); break;
    }
}

static _Thread_local struct held of_handler[HELD];
static _Thread_local unsigned handler_seed = 1;

static void handle(int signal)
{
    (void)signal;
    int error = errno;
    for (int i = 0; i < 3; i++)
        step(of_handler, &handler_seed);
    resize_and_look(handler_seed >> 20);
    atomic_fetch_add(&handled, 1);
    errno = error;
}

static void *work(void *from)
{
    struct held held[HELD] = {{0}};
    unsigned seed = (unsigned)(uintptr_t)from;
    for (unsigned turn = 0; !atomic_load(&done); turn++) {
        step(held, &seed);
        resize_and_look(turn);
    }
    for (int i = 0; i < HELD; i++)
        free(held[i].object);
    return NULL;
}

int main(void)
{
    alarm(90);
    /* No handler of these interrupts another: they share what the handler holds. */
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGVTALRM, &action, NULL) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
    struct itimerval often = {{0, 100}, {0, 100}};
    CHECK(setitimer(ITIMER_VIRTUAL, &often, NULL) == 0);
    struct timespec pause = {0, 50000};
    while (atomic_load(&handled) < HANDLED) {
        for (int i = 0; i < THREADS; i++)
            pthread_kill(threads[i], SIGUSR1);
        nanosleep(&pause, NULL);
    }
    atomic_store(&done, 1);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_load(&spoilt) == 0, "%ld objects were handed out twice", atomic_load(&spoilt));
    return finish();
}
