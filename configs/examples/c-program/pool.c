/* A small pool of memory blocks whose parts can be left out at compile time, and a loop that uses it.
 *
 * CACHE=1 keeps freed blocks of a size class for the next request; without it every request walks the free list for the
 * first block that fits. HEADER=1 writes a mark before each block and checks it on the way back. The program prints one
 * line with what each part did, which is how ablate knows that a build has the parts that it should have. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CLASSES 16
#define BLOCKS 4096
#define LIVE 512
#define BATCHES 100

static const uint64_t MARK = 0x5ca1ab1e0ddba115;

struct block {
    struct block *next;
    uint32_t class;
    uint32_t taken;
    uint64_t mark;
};

static struct block blocks[BLOCKS];
static struct block *free_list;
static uint64_t steps;
#if CACHE
static struct block *cached[CLASSES];
static uint64_t hits;
#endif
#if HEADER
static uint64_t checks;
#endif

static struct block *take(uint32_t class) {
    struct block *found = NULL;
#if CACHE
    if (cached[class] != NULL) {
        found = cached[class];
        cached[class] = found->next;
        hits++;
    }
#endif
    if (found == NULL) {
        struct block **place = &free_list;
        while (*place != NULL && (*place)->class != class) {
            place = &(*place)->next;
            steps++;
        }
        found = *place;
        if (found == NULL) {
            fprintf(stderr, "no block of class %" PRIu32 " is left\n", class);
            exit(1);
        }
        *place = found->next;
    }
    found->taken = 1;
#if HEADER
    found->mark = MARK ^ class;
#endif
    return found;
}

static void give(struct block *block) {
#if HEADER
    if (block->mark != (MARK ^ block->class)) {
        fprintf(stderr, "a header was overwritten\n");
        exit(1);
    }
    checks++;
#endif
    block->taken = 0;
#if CACHE
    block->next = cached[block->class];
    cached[block->class] = block;
#else
    block->next = free_list;
    free_list = block;
#endif
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    long operations = argc > 1 ? atol(argv[1]) : 200000;
    long batch = operations / BATCHES;
    if (batch < 1) {
        fprintf(stderr, "usage: pool OPERATIONS, at least %d\n", BATCHES);
        return 2;
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        blocks[i].class = i % CLASSES;
        blocks[i].next = i + 1 < BLOCKS ? &blocks[i + 1] : NULL;
    }
    free_list = &blocks[0];
    struct block *live[LIVE] = {0};
    double times[BATCHES], sum = 0;
    uint64_t random = 1, checksum = 0;
    for (int b = 0; b < BATCHES; b++) {
        double start = now();
        for (long i = 0; i < batch; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint32_t at = (uint32_t)(random >> 33) % LIVE;
            if (live[at] != NULL) {
                checksum += live[at]->class;
                give(live[at]);
            }
            live[at] = take((uint32_t)(random >> 60));
        }
        times[b] = (now() - start) / (double)batch;
        sum += times[b];
    }
    qsort(times, BATCHES, sizeof times[0], ascending);
    printf("{\"format\":2,\"operations\":%ld,\"checksum\":\"%" PRIu64 "\",\"latency_over\":\"batches\",\"samples\":%d,"
           "\"latency_ns_p10\":%.3f,\"latency_ns_p50\":%.3f,\"latency_ns_p99\":%.3f,\"latency_ns_mean\":%.3f,"
           "\"levels\":{\"cache\":\"%s\",\"header\":\"%s\",\"optimiser\":\"%s\"},\"counters\":{",
           batch * BATCHES, checksum, BATCHES, times[BATCHES / 10], times[BATCHES / 2], times[BATCHES - 1],
           sum / BATCHES, CACHE ? "on" : "off", HEADER ? "on" : "off",
#if defined __OPTIMIZE__
           "on"
#else
           "off"
#endif
    );
#if CACHE
    printf("\"cache\":{\"hits\":%" PRIu64 "}%s", hits, HEADER ? "," : "");
#endif
#if HEADER
    printf("\"header\":{\"checks\":%" PRIu64 "}", checks);
#endif
    printf("},\"values\":{\"list_steps\":%" PRIu64 "}}\n", steps);
    return 0;
}
