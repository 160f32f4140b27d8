/* Requests before any constructor has run, in a process that has used up what the C library keeps ready: thread-specific
   values and fork handlers beyond the first ones take memory, so that the C library allocates while the allocator
   registers its own with it. */
#include "check.h"

static void *first, *second;
static int handled;

static void handle(void)
{
    handled++;
}

static void before_constructors(int count, char **arguments, char **environment)
{
    (void)count, (void)arguments, (void)environment;
    alarm(20);
    for (int i = 0; i < 40; i++) {
        pthread_key_t key;
        CHECK(pthread_key_create(&key, NULL) == 0);
    }
    for (int i = 0; i < 48; i++)
        CHECK(pthread_atfork(handle, NULL, NULL) == 0);
    first = malloc(100);
    second = calloc(10, 10);
    CHECK(first != NULL && second != NULL && first != second);
    free(first);
    first = realloc(second, 100000);
    CHECK(first != NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const begin)(int, char **, char **) = before_constructors;

static void *in_thread(void *object)
{
    free(object);
    return malloc(100);
}

int main(void)
{
    CHECK(malloc_usable_size(first) >= 100000);
    free(first);
    pthread_t thread;
    void *object = NULL;
    CHECK(pthread_create(&thread, NULL, in_thread, malloc(10)) == 0 && pthread_join(thread, &object) == 0);
    CHECK(object != NULL);
    free(object);
    pid_t pid = fork();
    if (pid == 0)
        _exit(malloc(100) == NULL);
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(handled == 48, "%d", handled);
    return finish();
}
