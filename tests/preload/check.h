/* What the programs here share: counted checks that go on after a failure, and an end that tells. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int checks, failures;

/* The condition, and whatever tells which case it was. */
#define CHECK(condition, ...)                                             \
    do {                                                                  \
        checks++;                                                         \
        if (!(condition) && ++failures <= 20) {                           \
            printf("%s:%d: %s:", __FILE__, __LINE__, #condition);         \
            printf(" " __VA_ARGS__);                                      \
            printf("\n");                                                 \
        }                                                                 \
    } while (0)

/* The last line, which the test looks for, and the exit status. */
static int finish(void)
{
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}

#endif
