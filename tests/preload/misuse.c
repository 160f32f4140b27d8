/* One misuse by name: the allocator ends the process with a sentence. */
#include "check.h"

static void (*volatile p_free)(void *) = free;
static void *(*volatile p_realloc)(void *, size_t) = realloc;
static size_t (*volatile p_usable)(void *) = malloc_usable_size;

int main(int count, char **arguments)
{
    const char *name = count == 2 ? arguments[1] : "";
    char here[64];
    char *object = malloc(40 << 20);
    if (strcmp(name, "foreign") == 0) {
        p_free(here + 16);
    } else if (strcmp(name, "foreign-realloc") == 0) {
        p_realloc(here + 16, 10);
    } else if (strcmp(name, "foreign-reallocarray") == 0) {
        reallocarray(here + 16, 10, 10);
    } else if (strcmp(name, "foreign-usable") == 0) {
        return (int)p_usable(here + 16);
    } else if (strcmp(name, "interior-realloc") == 0) {
        p_realloc((char *)malloc(100) + 16, 1000);
    } else if (strcmp(name, "interior-usable") == 0) {
        return (int)p_usable((char *)malloc(100) + 16);
    } else if (strcmp(name, "freed-realloc") == 0) {
        free(object);
        p_realloc(object, 10);
    } else if (strcmp(name, "freed-usable") == 0) {
        free(object);
        return (int)p_usable(object);
    } else if (strcmp(name, "interior") == 0) {
        p_free(object + 16);
    } else if (strcmp(name, "double") == 0) {
        p_free(object);
        p_free(object);
    }
    return 0;
}
