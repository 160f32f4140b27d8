/* The statistics and malloc_trim, called by threads that never allocated, on short stacks, by threads that have given up
   their cache, and beside threads that allocate and free. */
#include "check.h"
#include <limits.h>
#include <stdatomic.h>
#include <fcntl.h>

static atomic_int is_done, rounds;
static char *kept;

static void call_all(void)
{
    struct mallinfo2 info = mallinfo2();
    struct mallinfo old = mallinfo();
    CHECK(info.uordblks + info.fordblks == info.arena, "%zu %zu %zu", info.uordblks, info.fordblks, info.arena);
    CHECK(info.arena > 0 && info.arena < (size_t)8 << 30 && old.arena > 0);
    CHECK(info.smblks < (size_t)1 << 24 && info.fsmblks < (size_t)1 << 30, "%zu %zu", info.smblks, info.fsmblks);
    CHECK(info.uordblks + info.hblkhd >= 5000000, "%zu", info.uordblks);
    CHECK(malloc_trim(0) == 1);
    CHECK(mallopt(M_ARENA_MAX, 1) == 0);
    malloc_stats();
    atomic_fetch_add(&rounds, 1);
}

static void *on_the_shortest_stack(void *unused)
{
    CHECK(malloc_trim(0) == 1);
    for (size_t bytes = 16; bytes < (size_t)8 << 20; bytes *= 2) {
        free(malloc(bytes));
    }
    CHECK(malloc_trim(0) == 1);
    return unused;
}

static void *on_a_short_stack(void *unused)
{
    call_all();
    return unused;
}

static pthread_key_t key;

static void at_end(void *value)
{
    /* The first rounds of destructors are over when the allocator's has run. */
    if (value != (void *)3) {
        pthread_setspecific(key, (char *)value + 1);
        return;
    }
    call_all();
    free(malloc(1000));
    call_all();
}

static void *ends(void *unused)
{
    free(malloc(100));
    pthread_setspecific(key, (void *)1);
    return unused;
}

static void *churn(void *unused)
{
    char *objects[500];
    while (!is_done) {
        for (int i = 0; i < 500; i++) {
            objects[i] = malloc(16 + i * 97 % 40000);
            objects[i][0] = 1;
        }
        for (int i = 0; i < 500; i++) {
            free(objects[i]);
        }
    }
    return unused;
}

static void run(void *(*start)(void *), size_t stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, stack) == 0);
    CHECK(pthread_create(&thread, &attributes, start, NULL) == 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    alarm(60);
    kept = malloc(5000000);
    pthread_key_create(&key, at_end);
    /* What malloc_stats writes is not looked at here. */
    dup2(open("/dev/null", O_WRONLY), 2);
    run(on_the_shortest_stack, PTHREAD_STACK_MIN);
    run(on_a_short_stack, 64 << 10);
    run(ends, 1 << 20);
    CHECK(rounds == 3);
    pthread_t others[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&others[i], NULL, churn, NULL);
    }
    for (int i = 0; i < 100; i++) {
        run(on_the_shortest_stack, PTHREAD_STACK_MIN);
        run(i % 2 ? ends : on_a_short_stack, i % 2 ? 1 << 20 : 64 << 10);
    }
    is_done = 1;
    for (int i = 0; i < 4; i++) {
        pthread_join(others[i], NULL);
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(malloc_info(0, stream) == 0 && fclose(stream) == 0 && strstr(text, "</malloc>") != NULL);
    free(text);
    free(kept);
    return finish();
}
