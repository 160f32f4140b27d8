/* A process in which a filter of system calls ends it for one call: the one that the first argument names. */
#include "check.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
#define CALL(name) { #name, SYS_##name }
    CALL(capget), CALL(capset), CALL(chdir), CALL(clock_gettime), CALL(clone), CALL(futex), CALL(getpid), CALL(madvise),
    CALL(membarrier), CALL(mincore), CALL(mprotect), CALL(prctl), CALL(prlimit64), CALL(process_vm_readv),
    CALL(rt_sigprocmask), CALL(sched_getaffinity), CALL(sched_setaffinity), CALL(sched_yield), CALL(tgkill),
};

static void use_all(void)
{
    enum { LARGE = 60, SMALL = 5000 };
    static char *objects[SMALL];
    for (size_t i = 0; i < LARGE; i++) {
        size_t bytes = 200000 * (i % 30 + 1);
        memset(objects[i] = malloc(bytes), 1, bytes);
    }
    for (size_t i = 0; i < LARGE; i++)
        free(objects[i]);
    for (size_t i = 0; i < SMALL; i++)
        memset(objects[i] = malloc(i), 1, i);
    for (size_t i = 0; i < SMALL; i++)
        free(objects[i]);
}

int main(int count, char **arguments)
{
    alarm(60);
    size_t at = 0;
    while (strcmp(calls[at].name, arguments[1]) != 0)
        at++;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[at].number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        puts("not run: the kernel has no filters");
        return 0;
    }
    /* What waits goes back meanwhile, and the caches of a thread that sleeps are emptied. */
    for (int round = 0; round < 2; round++) {
        use_all();
        sleep(1);
    }
    puts("served");
    return 0;
}
