/* The allocator's own thread, where a program looks: beside a fork, beside calls that need a process of one thread or
 * change its user, and in what it inherited. Root's part is left out for others. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <grp.h>
#include <signal.h>
#include <time.h>
#include <sys/syscall.h>

enum { OBJECTS = 40, OBJECT = 1 << 20, FORKS = 20, OTHER_USER = 65534 };

static void free_much(void)
{
    static char *objects[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        objects[i] = malloc(OBJECT);
        for (int at = 0; at < OBJECT; at += 4096)
            objects[i][at] = 1;
    }
    for (int i = 0; i < OBJECTS; i++)
        free(objects[i]);
}

/* A line of a thread's status, without its name; empty when the thread is gone. No call allocates. */
static const char *line_of(int thread, const char *name)
{
    static char text[8192];
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
    int file = open(path, O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    char *found = strstr(text, name);
    if (!found)
        return "";
    found += strlen(name) + 1;
    found[strcspn(found, "\n")] = 0;
    return found;
}

static int threads(void)
{
    return atoi(line_of(getpid(), "\nThreads:"));
}

/* The thread that is not this one, or 0. */
static int other_thread(void)
{
    int other = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));)
        if (atoi(entry->d_name) && atoi(entry->d_name) != getpid())
            other = atoi(entry->d_name);
    closedir(tasks);
    return other;
}

/* Frees until there is a thread. Returns its number. */
static int start_thread(void)
{
    int other = 0;
    for (int i = 0; i < 1000 && !other; i++) {
        free_much();
        other = other_thread();
        if (!other)
            usleep(10000);
    }
    CHECK(other, "memory waits, and no thread gives it back");
    return other;
}

static void it_keeps_nothing_of_its_starter(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    for (int cpu = 0; !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    char before[256];
    strcpy(before, line_of(getpid(), "\nCpus_allowed:"));
    sched_setaffinity(0, sizeof one, &one);
    int other = start_thread();
    usleep(50000);
    CHECK(!strcmp(line_of(other, "\nCpus_allowed:"), before), "%s, not %s", line_of(other, "\nCpus_allowed:"), before);
    const char *names[] = { "\nCapEff:", "\nCapPrm:", "\nCapInh:" };
    for (int i = 0; i < 3; i++)
        CHECK(strtoull(line_of(other, names[i]), NULL, 16) == 0, "%s %s", names[i], line_of(other, names[i]));
    char path[64], folder[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/cwd", other);
    CHECK(readlink(path, folder, sizeof folder - 1) == 1 && folder[0] == '/', "%s", folder);
    sched_setaffinity(0, sizeof all, &all);
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void a_fork_sees_one_thread(void)
{
    start_thread();
    for (int i = 0; i < FORKS; i++) {
        free_much();
        pid_t child = fork();
        if (!child)
            _exit(threads() != 1);
        double begin = seconds();
        CHECK(threads() == 1, "%d after fork %d", threads(), i);
        free_much();
        int now = threads();
        /* A machine that is busy may let the quarter of a second pass in which there is no thread. */
        CHECK(now == 1 || seconds() - begin > 0.2, "%d after a free after fork %d", now, i);
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(status == 0, "the child has more than one thread");
        usleep(10000 * (i % 4));
    }
    start_thread();
}

/* Runs the work in a child, which has a thread of its own by then. */
static void in_a_child(void (*work)(int))
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        alarm(50);
        checks = failures = 0;
        work(start_thread());
        fflush(stdout);
        _exit(failures);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
}

static void namespaces(int other)
{
    int file = open("/proc/self/ns/mnt", O_RDONLY);
    errno = 0;
    CHECK(setns(file, CLONE_NEWNS) == 0 || errno == EPERM, "%s", strerror(errno));
    CHECK(setns(-1, 0) == -1 && errno == EBADF, "%s", strerror(errno));
    errno = 0;
    CHECK(unshare(CLONE_NEWUSER) == 0 || errno != EINVAL, "%s", strerror(errno));
    start_thread();
}

static void check_users(const char *when)
{
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) {
        int thread = atoi(entry->d_name);
        if (!thread)
            continue;
        const char *line = line_of(thread, "\nUid:");
        CHECK(!*line || atoi(line) == OTHER_USER, "%s: %s", when, line);
        line = line_of(thread, "\nCapPrm:");
        CHECK(strtoull(line, NULL, 16) == 0, "%s: %s", when, line);
    }
    closedir(tasks);
}

static void user_by_the_c_library(int other)
{
    CHECK(setgid(OTHER_USER) == 0 && setgroups(0, NULL) == 0 && setresuid(OTHER_USER, OTHER_USER, OTHER_USER) == 0, "%s", strerror(errno));
    check_users("at once");
    start_thread();
    check_users("with a thread again");
}

static void user_by_the_kernel(int other)
{
    CHECK(syscall(SYS_setuid, OTHER_USER) == 0, "%s", strerror(errno));
    usleep(600000);
    check_users("after an epoch");
    start_thread();
    check_users("with a thread again");
}

/* The child of a bare clone calls no handler, and has no thread. */
static void bare_clone(int other)
{
    free_much();
    pid_t child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (!child) {
        alarm(20);
        _exit(setuid(getuid()) != 0 || !start_thread());
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
}

/* The child of a vfork shares the memory, and leaves the parent's thread alone. */
static void bare_vfork(int other)
{
    pid_t child = vfork();
    if (!child)
        _exit(setuid(getuid()) != 0);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
    CHECK(!*line_of(other, "\nTgid:") || atoi(line_of(other, "\nTgid:")) == getpid(), "another process has the thread");
    start_thread();
}

static void *free_and_end(void *unused)
{
    free_much();
    return unused;
}

/* The thread that started it ends, and the C library unmaps that one's stack and thread-local storage. */
static void it_outlives_its_starter(void)
{
    pid_t child = fork();
    if (!child) {
        pthread_attr_t long_stack;
        pthread_attr_init(&long_stack);
        pthread_attr_setstacksize(&long_stack, 64 << 20);
        pthread_t starter;
        pthread_create(&starter, &long_stack, free_and_end, NULL);
        pthread_join(starter, NULL);
        sleep(2);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
}

int main(void)
{
    it_outlives_its_starter();
    it_keeps_nothing_of_its_starter();
    a_fork_sees_one_thread();
    in_a_child(namespaces);
    in_a_child(bare_clone);
    in_a_child(bare_vfork);
    if (getuid() == 0) {
        in_a_child(user_by_the_c_library);
        in_a_child(user_by_the_kernel);
    }
    return finish();
}
