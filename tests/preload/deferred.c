/* A signal handler frees objects shorter than a word, whatever it interrupts: their frees wait, linked through the objects. */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

enum { HELD = 64 };

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;
static void *held[HELD];
static volatile int count;

static void handler(int signal)
{
    (void)signal;
    if (count > 0)
        give(held[--count]);
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    struct itimerval often = {{0, 100}, {0, 100}};
    sigset_t alarm;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int round = 0; round < 300000; round++) {
        if (count == 0) {
            sigprocmask(SIG_BLOCK, &alarm, NULL);
            for (int i = 0; i < HELD; i++)
                held[i] = take(3);
            count = HELD;
            sigprocmask(SIG_UNBLOCK, &alarm, NULL);
        }
        give(take(100));
    }
    return 0;
}
