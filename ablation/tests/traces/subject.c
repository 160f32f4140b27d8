// Does what its argument says, with known numbers of calls to the allocator.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS 3000
static void *volatile objects[OBJECTS];

// 3,000 objects of 48 bytes, 500 of them zeroed; one grows ten times; half of them are freed.
static void known(void) {
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = i % 6 == 0 ? calloc(6, 8) : malloc(48);
        memset(objects[i], i, 24);
    }
    for (int i = 1; i <= 10; i++) objects[0] = realloc(objects[0], 1000 * i);
    for (int i = 0; i < OBJECTS; i += 2) free(objects[i]);
}

static void *consume(void *unused) {
    pthread_setname_np(pthread_self(), "consumer");
    for (int i = 0; i < OBJECTS; i++) {
        while (!objects[i]) {}
        free(objects[i]);
    }
    return unused;
}

// 3,000 objects, each freed by another thread as soon as it is there.
static void threads(void) {
    pthread_t thread;
    pthread_create(&thread, 0, consume, 0);
    for (int i = 0; i < OBJECTS; i++) objects[i] = malloc(i % 500);
    pthread_join(thread, 0);
}

// 60,000 objects of few addresses, in bursts of 100, which another thread frees in bursts while the next are made.
static void *volatile bursts[2][100];
static volatile int full[2];

static void *consume_bursts(void *unused) {
    for (int round = 0; round < 600; round++) {
        while (!full[round % 2]) sched_yield();
        for (int i = 0; i < 100; i++) free(bursts[round % 2][i]);
        full[round % 2] = 0;
    }
    return unused;
}

static void passed_bursts(void) {
    pthread_t thread;
    pthread_create(&thread, 0, consume_bursts, 0);
    for (int round = 0; round < 600; round++) {
        while (full[round % 2]) sched_yield();
        for (int i = 0; i < 100; i++) bursts[round % 2][i] = malloc(40);
        full[round % 2] = 1;
    }
    pthread_join(thread, 0);
}

static long made, gone, resized;

// Makes, resizes and frees objects that lie in a table of all threads.
static void *pass(void *number) {
    unsigned seed = (unsigned)(size_t)number;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        void *volatile *place = &objects[(seed >> 8) % 512];
        void *object = __atomic_exchange_n(place, 0, __ATOMIC_ACQ_REL);
        if (object && seed >> 30 == 0) {
            object = realloc(object, (seed >> 4) % 3000 + 1);
            __atomic_fetch_add(&resized, 1, __ATOMIC_RELAXED);
        } else if (object) {
            free(object);
            __atomic_fetch_add(&gone, 1, __ATOMIC_RELAXED);
            continue;
        } else {
            object = malloc((seed >> 6) % 400);
            __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
        }
        object = __atomic_exchange_n(place, object, __ATOMIC_ACQ_REL);
        if (object) {
            free(object);
            __atomic_fetch_add(&gone, 1, __ATOMIC_RELAXED);
        }
    }
    return 0;
}

// Four threads that pass objects around; prints how often what was done.
static void passes(void) {
    pthread_t thread[4];
    for (size_t i = 0; i < 4; i++) pthread_create(&thread[i], 0, pass, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(thread[i], 0);
    printf("%ld %ld %ld\n", made, gone, resized);
}

static void *few(void *unused) {
    free(malloc(10));
    return unused;
}

// 200 threads, one after the other.
static void churn(void) {
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, few, 0);
        pthread_join(thread, 0);
    }
}

// 200,000 pairs in the child of a fork.
static void forks(void) {
    known();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 200000; i++) free(malloc(i % 300));
        _exit(0);
    }
    waitpid(child, 0, 0);
}

// 200,000 pairs while the raw file is not found by its path, as after a change of the root folder.
static void moves(void) {
    char folder[4096], away[4100];
    sscanf(getenv("ABLATE_TRACE_INTO"), "%*s %*s %*s %*s %4095s", folder);
    sprintf(away, "%s-away", folder);
    if (seteuid(geteuid()) || rename(folder, away)) exit(9);
    for (int i = 0; i < 200000; i++) free(malloc(i % 300));
    if (rename(away, folder)) exit(9);
}

static volatile int ticks;

static void on_tick(int signal) {
    (void)signal;
    ticks++;
    for (int i = 0; i < 50; i++) free(malloc(77));
}

// Allocates while a handler that allocates interrupts it, 200 times. The allocator must be safe for that.
static void handler(void) {
    struct itimerval every = {{0, 50}, {0, 50}};
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &every, 0);
    while (ticks < 200) free(malloc(33));
    every.it_value.tv_usec = every.it_interval.tv_usec = 0;
    setitimer(ITIMER_REAL, &every, 0);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "known")) known();
    if (!strcmp(what, "threads")) threads();
    if (!strcmp(what, "bursts")) passed_bursts();
    if (!strcmp(what, "passes")) passes();
    if (!strcmp(what, "churn")) churn();
    if (!strcmp(what, "forks")) forks();
    if (!strcmp(what, "moves")) moves();
    if (!strcmp(what, "handler")) handler();
    if (!strcmp(what, "many")) for (int i = 0; i < 200000; i++) free(malloc(i % 300));
    if (!strcmp(what, "killed")) { known(); kill(getpid(), SIGKILL); }
    if (!strcmp(what, "execs")) { known(); execl("/proc/self/exe", words[0], "many", (char *)0); }
    return count > 2 ? atoi(words[2]) : 0;
}
