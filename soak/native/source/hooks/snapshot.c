/* A copy of the process that stands still, whose memory the parent scans while the process itself goes on.
 *
 * The kernel copies no memory, only its page tables, so the process waits for milliseconds instead of seconds. */
#define _GNU_SOURCE
#include "recorder/memory.h"
#include "recorder/system.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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
 * It is a child of that parent, so this process gets neither a child nor a signal of its end, and it shares the table
 * of descriptors, so that none stays open for it. All signals are blocked in it: a handler of the program must not run
 * there. By system calls, because nothing that the program has to do at a fork is to be done. */
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
