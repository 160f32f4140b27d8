/* Opens a library with RTLD_DEEPBIND, by a name that only this program's own search path leads to; objects go from one
   to the other both ways. */
#include "check.h"

int main(int count, char **arguments)
{
    CHECK(count == 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_DEEPBIND);
    CHECK(library != NULL, "%s", dlerror());
    if (library != NULL) {
        char *(*make)(int) = (char *(*)(int))dlsym(library, "make");
        void (*drop)(char *) = (void (*)(char *))dlsym(library, "drop");
        for (int how = 0; how < 6; how++) {
            char *text = make(how);
            CHECK(strncmp(text, "made", 4) == 0, "%d", how);
            text = realloc(text, 10000);
            free(text);
        }
        for (int how = 0; how < 5; how++) {
            drop(make(how));
        }
        drop(strdup("made here"));
        drop(malloc(5 << 20));
        drop(aligned_alloc(4096, 100000));
        CHECK(dlclose(library) == 0);
    }
    CHECK(dlopen("no-such-library.so", RTLD_NOW) == NULL && strstr(dlerror(), "no-such-library") != NULL);
    void *program = dlopen(NULL, RTLD_LAZY);
    CHECK(program != NULL && dlclose(program) == 0);
    return finish();
}
