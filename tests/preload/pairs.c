/* As many pairs of `malloc(64)` and `free` as the argument says, and nothing else. */
#include <stdlib.h>

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;

int main(int count, char **arguments)
{
    for (long pairs = count == 2 ? atol(arguments[1]) : 0; pairs > 0; pairs--)
        give(take(64));
    return 0;
}
