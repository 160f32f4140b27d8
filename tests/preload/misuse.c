/* One misuse by name: the allocator ends the process with a sentence. */
#include "check.h"

static void (*volatile p_free)(void *) = free;
static void *(*volatile p_realloc)(void *, size_t) = realloc;

int main(int count, char **arguments)
{
    const char *name = count == 2 ? arguments[1] : "";
    char here[64];
    char *object = malloc(40 << 20);
    if (strcmp(name, "foreign") == 0) {
        p_free(here + 16);
    } else if (strcmp(name, "foreign-realloc") == 0) {
        p_realloc(here + 16, 10);
    } else if (strcmp(name, "interior") == 0) {
        p_free(object + 16);
    } else if (strcmp(name, "double") == 0) {
        p_free(object);
        p_free(object);
    }
    return 0;
}
