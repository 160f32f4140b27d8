/* A library that is opened with RTLD_DEEPBIND: it allocates by the C library's functions and by its own calls. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *made_at_start;

/* As plug-ins do: what the C library allocated is freed by the library's own call. */
__attribute__((constructor)) static void start(void)
{
    free(strdup("freed at start"));
    made_at_start = strdup("made at start");
}

char *make(int how)
{
    char *text = NULL;
    switch (how) {
    case 0:
        return strdup("made");
    case 1:
        return asprintf(&text, "%s", "made") < 0 ? NULL : text;
    case 2:
        return strcpy(malloc(100), "made");
    case 3:
        return strcpy(calloc(1, 100), "made");
    case 4:
        return strcpy(realloc(strdup("m"), 5000), "made");
    default:
        text = made_at_start;
        made_at_start = NULL;
        return text;
    }
}

void drop(char *text)
{
    free(text);
}
