/* A handler of SIGABRT that allocates and forks, as crash reporters do: misuse by name and size ends in it, and it in
   exit status 77. A lock that is held while the signal is raised would make it wait for ever. */
#include "check.h"
#include <signal.h>
#include <sys/syscall.h>

static size_t bytes;
static pthread_t main_thread;

static void handler(int number)
{
    (void)number;
    for (size_t n = 8; n < 300000; n = n * 5 / 4 + 1) {
        void *object = malloc(n);
        if (object == NULL) {
            _exit(1);
        }
        memset(object, 1, n);
        free(object);
    }
    static void *many[2000];
    for (int i = 0; i < 2000; i++) {
        many[i] = malloc(bytes);
    }
    malloc_trim(0);
    pid_t child = fork();
    if (child == 0) {
        free(malloc(bytes));
        _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    /* The allocator's own thread has no thread-local storage of its own: the handler must not run there. */
    int is_known = pthread_equal(pthread_self(), main_thread) == (getpid() == syscall(SYS_gettid));
    write(1, "handled\n", 8);
    _exit(status == 0 && is_known ? 77 : 2);
}

/* Fills and empties the caches of the class, so that what they hold goes through every station. */
static void churn(void)
{
    static void *objects[3000];
    int count = bytes > 100000 ? 40 : 3000;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < count; i++) {
            objects[i] = malloc(bytes);
        }
        for (int i = 0; i < count; i++) {
            free(objects[i]);
        }
    }
}

static void *free_it(void *object)
{
    free(object);
    return NULL;
}

static pthread_key_t key;

static void at_end(void *object)
{
    static int again;
    if (again++ == 0) {
        /* Comes once more, when the thread's heap is gone. */
        pthread_setspecific(key, object);
        return;
    }
    free((char *)object + 8);
}

static void *end_with(void *object)
{
    free(malloc(bytes));
    pthread_setspecific(key, object);
    return NULL;
}

int main(int count, char **arguments)
{
    const char *name = count == 3 ? arguments[1] : "";
    bytes = count == 3 ? strtoul(arguments[2], NULL, 10) : 0;
    struct sigaction action = { .sa_handler = handler };
    sigaction(SIGABRT, &action, NULL);
    alarm(20);
    main_thread = pthread_self();
    churn();
    char *object = malloc(bytes);
    pthread_t thread;
    if (strcmp(name, "twice") == 0) {
        free(object);
        free(object);
        churn();
        malloc_trim(0);
    } else if (strcmp(name, "other-thread") == 0) {
        free(object);
        pthread_create(&thread, NULL, free_it, object);
        pthread_join(thread, NULL);
        churn();
        malloc_trim(0);
    } else if (strcmp(name, "interior") == 0) {
        free(object + 8);
        churn();
        malloc_trim(0);
    } else if (strcmp(name, "realloc") == 0) {
        object = realloc(object + 8, 2 * bytes);
    } else if (strcmp(name, "ended-thread") == 0) {
        pthread_key_create(&key, at_end);
        pthread_create(&thread, NULL, end_with, object);
        pthread_join(thread, NULL);
        malloc_trim(0);
    } else if (strcmp(name, "background") == 0) {
        /* The allocator's own thread finds it, when it gives back the batches that no thread takes. */
        free(object);
        free(object);
        churn();
        sleep(4);
        malloc_trim(0);
    }
    puts("not found");
    return 0;
}
