/* A program, or a library, that defines some allocation functions of its own: those that OWN_... names. They take memory
   from a pool, or with OVER_LIBC from the C library's inner names. */
#include "check.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t), *__libc_valloc(size_t), *__libc_pvalloc(size_t);
extern void __libc_free(void *);
extern void cfree_of_old_programs(void *);
__asm__(".symver cfree_of_old_programs, cfree@GLIBC_2.2.5");

static int mallocs, frees, reallocs;

#ifdef OVER_LIBC
#define TAKE(bytes) __libc_malloc(bytes)
#define GIVE(object) __libc_free(object)
#define RESIZE(object, bytes) __libc_realloc(object, bytes)
#else
static char pool[16 << 20] __attribute__((aligned(16)));
static size_t used;

static int is_own(void *object)
{
    return (char *)object >= pool && (char *)object < pool + sizeof pool;
}

static void *take(size_t bytes)
{
    size_t *head = (size_t *)(pool + used);
    bytes = (bytes + 31) & ~15ul;
    used += bytes;
    *head = bytes - 16;
    return head + 2;
}

static void *resize(void *object, size_t bytes)
{
    void *other = take(bytes);
    if (object != NULL) {
        size_t old = is_own(object) ? ((size_t *)object)[-2] : malloc_usable_size(object);
        memcpy(other, object, old < bytes ? old : bytes);
    }
    return other;
}
#define TAKE(bytes) take(bytes)
#define GIVE(object) (is_own(object) ? (void)0 : __libc_free(object))
#define RESIZE(object, bytes) resize(object, bytes)
#endif

#ifdef OWN_MALLOC
void *malloc(size_t bytes)
{
    mallocs++;
    return TAKE(bytes);
}
#endif
#ifdef OWN_FREE
void free(void *object)
{
    frees++;
    GIVE(object);
}
#endif
#ifdef OWN_CALLOC
void *calloc(size_t count, size_t bytes)
{
    return memset(TAKE(count * bytes), 0, count * bytes);
}
#endif
#ifdef OWN_REALLOC
void *realloc(void *object, size_t bytes)
{
    reallocs++;
    return RESIZE(object, bytes);
}
#endif

static void work(void)
{
    int before = mallocs;
    void *(*volatile p_calloc)(size_t, size_t) = calloc;
    void *aligned = NULL;
    CHECK(posix_memalign(&aligned, 64, 100) == 0 && aligned != NULL);
    void *zeroed = p_calloc(10, 100);
    for (int i = 0; i < 1000; i++) {
        CHECK(((char *)zeroed)[i] == 0);
    }
    void *page = valloc(10000);
    void *line = memalign(64, 100);
    CHECK((uintptr_t)page % 4096 == 0 && (uintptr_t)line % 64 == 0);
    malloc_trim(0);
    CHECK(mallocs == before, "no call from inside the library reaches the program: %d", mallocs - before);

    __libc_free(__libc_malloc(100));
    __libc_free(__libc_calloc(10, 100));
    __libc_free(__libc_realloc(__libc_memalign(64, 100), 1000));
    __libc_free(__libc_valloc(100));
    __libc_free(__libc_pvalloc(100));
    __libc_free(aligned);
    free(line);
    free(zeroed);
    free(page);

    before = reallocs;
    for (int i = 1; i <= 3; i++) {
#ifdef OWN_REALLOC
        char *object = TAKE(10);
#else
        char *object = __libc_malloc(10);
#endif
        strcpy(object, "abc");
        object = reallocarray(object, 100 * i, 10);
        CHECK(strcmp(object, "abc") == 0);
        object[1000 * i - 1] = 1;
#if defined OWN_REALLOC && !defined LIBRARY
        CHECK(reallocs == before + i, "reallocarray reaches the program's realloc");
#else
        __libc_free(object);
#endif
        errno = 0;
        CHECK(reallocarray(NULL, SIZE_MAX, 2) == NULL && errno == ENOMEM);
    }

    before = frees;
    cfree_of_old_programs(TAKE(100));
#if defined OWN_FREE && !defined LIBRARY
    CHECK(frees == before + 1, "cfree reaches the program's free");
#endif
    void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    if (free_sized != NULL) {
        free_sized(TAKE(100), 100);
    }

    /* The C library's own allocations reach the program's functions where it has some, and this library's else. */
    char *copy = strdup("a copy");
    CHECK(strcmp(copy, "a copy") == 0);
    free(copy);
#if defined OVER_LIBC || defined OWN_REALLOC
    /* It calls malloc and realloc: a program with one of the two alone fails with any C library. */
    char *printed = NULL;
    CHECK(asprintf(&printed, "%s and %d", "a text", 7) == 12 && strcmp(printed, "a text and 7") == 0);
    free(printed);
#endif
}

#ifdef LIBRARY
int run(void)
{
    work();
    return finish();
}
#else
int main(void)
{
    work();
    return finish();
}
#endif
