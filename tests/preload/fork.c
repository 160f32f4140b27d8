/* A hundred forks while threads allocate: every child finds all locks free, allocates, starts a thread and ends. With an
 * argument, threads that allocate fork as well, in a signal's handler: wherever it interrupts them. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>

enum { CHURNING = 3, FORKS = 100, LIVE = 64 };

static atomic_int handled;

static atomic_int done;
/* Between the threads, so that objects are freed by another one than allocated them. */
static _Atomic(void *) shared[LIVE];

static void turn(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    size_t size = *seed >> 28 == 0 ? 100000 + (*seed >> 8) % 3000000 : (*seed >> 8) % 2000;
    char *object = *seed & 1 ? malloc(size) : memalign(64, size);
    if (object && size)
        object[0] = object[size - 1] = 1;
    free(atomic_exchange(&shared[(*seed >> 16) % LIVE], object));
}

static void *churn(void *from)
{
    unsigned seed = (unsigned)(uintptr_t)from;
    while (!atomic_load(&done))
        turn(&seed);
    return NULL;
}

static void *some_turns(void *from)
{
    unsigned seed = (unsigned)(uintptr_t)from;
    for (int i = 0; i < 1000; i++)
        turn(&seed);
    return NULL;
}

static int child(int number)
{
    alarm(20);
    some_turns((void *)(uintptr_t)(number + 1000));
    pthread_t thread;
    if (pthread_create(&thread, NULL, some_turns, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    malloc_trim(0);
    /* A child of a child. */
    pid_t pid = fork();
    if (pid == 0)
        _exit(some_turns(NULL) != NULL);
    int status = 1;
    return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

/* A child that allocates may have been copied in the midst of what its own thread does. */
static void fork_in_handler(int signal)
{
    (void)signal;
    int before = errno;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        for (int i = 0; i < 100; i++)
            free(calloc(1, 1 << i % 20));
        _exit(0);
    }
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "in a handler: %d", status);
    atomic_fetch_add(&handled, 1);
    errno = before;
}

int main(int count, char **arguments)
{
    (void)arguments;
    alarm(60);
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t threads[CHURNING];
    for (int i = 0; i < CHURNING; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i) == 0);
    for (int i = 0; i < FORKS; i++) {
        if (count > 1)
            CHECK(pthread_kill(threads[i % CHURNING], SIGUSR1) == 0);
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(i));
        int status = -1;
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "fork %d", i);
        CHECK(status == 0, "fork %d: %d", i, status);
    }
    atomic_store(&done, 1);
    for (int i = 0; i < CHURNING; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(count == 1 || atomic_load(&handled) > 0);
    return finish();
}
