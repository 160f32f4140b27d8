/* Loads, uses and closes libraries that bring an allocator of their own; what they leave behind runs on after that.
   Arguments: `main`, `thread` or `destructor`, then the libraries. */
#include "check.h"
#include <stdbool.h>

static char **paths;
static bool with_destructor;

static void *use(void *unused)
{
    for (char **path = paths; *path; path++) {
        void *library = dlopen(*path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL, "%s", dlerror());
        if (library == NULL) {
            return NULL;
        }
        size_t (*work)(size_t, bool) = (size_t (*)(size_t, bool))dlsym(library, "work");
        CHECK(work != NULL && work(20, with_destructor) > 0, "%s", *path);
        CHECK(dlerror() == NULL, "the library's own calls of the loader succeed");
        CHECK(dlclose(library) == 0);
        library = dlopen(*path, RTLD_NOW | RTLD_NOLOAD);
        CHECK(library != NULL, "%s is gone", *path);
    }
    return unused;
}

int main(int unused, char **arguments)
{
    alarm(60);
    paths = arguments + 2;
    with_destructor = strcmp(arguments[1], "destructor") == 0;
    if (strcmp(arguments[1], "main") != 0) {
        pthread_t threads[4];
        int threads_max = with_destructor ? 4 : 1;
        for (int i = 0; i < threads_max; i++) {
            pthread_create(&threads[i], NULL, use, NULL);
        }
        for (int i = 0; i < threads_max; i++) {
            pthread_join(threads[i], NULL);
        }
    } else {
        use(NULL);
    }
    usleep(1500000);
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
    /* Opened again: the same library, as it was left. */
    use(NULL);
    return finish();
}
