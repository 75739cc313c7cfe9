/* A copy of the process that stands still, whose memory the parent scans while the process itself goes on.
 *
 * The kernel copies no memory, only its page tables, so the process waits for milliseconds instead of seconds. */
#define _GNU_SOURCE
#include "snapshot.h"
#include "recorder/memory.h"
#include "recorder/system.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define KERNEL_SIGNALS_BYTES 8 /* of a set of signals, as the kernel has it */

static long stand_still(long parent)
{
    (void)system_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (system_call(SYS_getppid) == parent)
        (void)system_call(SYS_ppoll, NULL, 0, NULL, NULL, KERNEL_SIGNALS_BYTES);
    (void)system_call(SYS_exit_group, 0);
    return -1;
}

/* Returns the number of the copy, which the parent of this process has to end, or -1.
 *
 * The copy is a child of that parent, so this process gets neither a child nor a signal when it ends. It shares the
 * table of descriptors, so it keeps none open. All its signals are blocked, because a handler of the program must
 * not run there. It is made by system calls, because the program's own handlers for a fork must not run. */
EXPORT long soak_snapshot(void)
{
    unsigned char all[KERNEL_SIGNALS_BYTES], before[KERNEL_SIGNALS_BYTES];
    memset(all, 0xff, sizeof all);
    if (memory_is_filtered || system_call(SYS_rt_sigprocmask, SIG_SETMASK, all, before, sizeof all) != 0)
        return -1;
    long parent = system_call(SYS_getppid);
    long copy = system_call(SYS_clone, CLONE_FILES | CLONE_FS | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (copy == 0)
        return stand_still(parent);
    (void)system_call(SYS_rt_sigprocmask, SIG_SETMASK, before, NULL, sizeof before);
    return copy > 0 ? copy : -1;
}

/* ---- in a program that runs no loop of soak ---- */

#define LOOK_EVERY_NS 50000000
#define LOOKS 1200 /* a minute; a reader that takes longer loses the copy */
#define HELPER_STACK_BYTES 16384

struct copying snapshot_copying;

struct wish {
    long reader, process;
    volatile long copy;
    uint64_t busy_ns;
};

static int is_there(long process)
{
    return system_call(SYS_kill, process, 0) == 0 || errno != ESRCH;
}

/* If nobody ends the copy, it ends by itself: with its reader, with the process that it is a copy of (they share the
 * table of descriptors, so ports would stay open), or after a while. */
static void wait_to_be_read(const struct wish *wish)
{
    (void)system_call(SYS_prctl, PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* not a descendant of its reader */
    for (int look = 0; look < LOOKS && is_there(wish->reader) && is_there(wish->process); look++) {
        struct timespec pause = {0, LOOK_EVERY_NS}; /* the kernel writes into it what is left */
        (void)system_call(SYS_ppoll, NULL, 0, &pause, NULL, KERNEL_SIGNALS_BYTES);
    }
    (void)system_call(SYS_exit_group, 0);
}

/* Runs in the memory of the process, as after vfork, makes the copy, and ends. So the copy is not a child of the
 * program, which may wait for any child. */
static int help(void *argument)
{
    struct wish *wish = argument;
    long copy = system_call(SYS_clone, CLONE_FILES | CLONE_FS, 0, 0, 0, 0);
    if (copy == 0)
        wait_to_be_read(wish);
    wish->copy = copy;
    return 0;
}

static uint64_t ns_of(struct timeval time)
{
    return ((uint64_t)time.tv_sec * 1000000ull + (uint64_t)time.tv_usec) * 1000ull;
}

static struct wish copy_for(long reader)
{
    static unsigned char stack[HELPER_STACK_BYTES] __attribute__((aligned(16)));
    struct wish wish = {reader, system_call(SYS_getpid), -1, 0};
    struct rusage usage;
    unsigned char all[KERNEL_SIGNALS_BYTES], before[KERNEL_SIGNALS_BYTES];
    memset(all, 0xff, sizeof all);
    if (memory_is_filtered || system_call(SYS_rt_sigprocmask, SIG_SETMASK, all, before, sizeof all) != 0)
        return wish;
    /* It sends no signal when it ends. Only a wait that asks for such children sees it. */
    int helper = clone(help, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_FS, &wish);
    if (helper > 0 && system_call(SYS_wait4, helper, NULL, __WCLONE, &usage) == helper)
        wish.busy_ns = ns_of(usage.ru_utime) + ns_of(usage.ru_stime);
    (void)system_call(SYS_rt_sigprocmask, SIG_SETMASK, before, NULL, sizeof before);
    return wish;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void snapshot_make(void)
{
    /* Registers are not in the copy, and one of them may have the only pointer to a table that was just moved. */
    __builtin_unwind_init();
    struct copying *copying = &snapshot_copying;
    uint64_t wanted = __atomic_load_n(&copying->wanted, __ATOMIC_ACQUIRE);
    uint64_t taken = __atomic_exchange_n(&copying->taken, wanted, __ATOMIC_ACQ_REL);
    if (taken == wanted)
        return; /* another thread makes it */
    int saved = errno;
    uint64_t begun_ns = now_ns();
    struct wish met = copy_for((long)copying->reader);
    copying->copy = met.copy;
    copying->busy_ns = met.busy_ns;
    copying->took_ns = now_ns() - begun_ns;
    __atomic_store_n(&copying->done, wanted, __ATOMIC_RELEASE);
    errno = saved;
}

void snapshot_go_on_in_child(void)
{
    snapshot_copying = (struct copying){0};
}

void snapshot_places(struct tables *tables)
{
    tables->copying = (uintptr_t)&snapshot_copying;
}
