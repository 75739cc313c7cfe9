/* The fifth part of the preload: the functions by which a program limits, locks or restricts itself. The tracker's
 * own memory must not make them fail. */
#define _GNU_SOURCE
#include "hook.h"
#include "openings/wrapper.h"
#include "recorder/leaves.h"
#include "recorder/recorder_hot.h"
#include "recorder/system.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#define HOOKED(X)                                                                                                      \
    X(setrlimit, int, (int, const struct rlimit *))                                                                    \
    X(setrlimit64, int, (int, const struct rlimit *))                                                                  \
    X(prlimit, int, (pid_t, int, const struct rlimit *, struct rlimit *))                                              \
    X(prlimit64, int, (pid_t, int, const struct rlimit *, struct rlimit *))                                            \
    X(mlockall, int, (int))                                                                                            \
    X(munlockall, int, (void))                                                                                         \
    X(prctl, int, (int, ...))                                                                                          \
    X(syscall, long, (long, ...))

HOOKED(DECLARE_ORIGINAL)

FINDS_ORIGINALS(HOOKED(FIND_ORIGINAL))

#define REFUSED (-1)

/* ---- limits ---- */

static int limited(int failed, int resource)
{
    if (!failed && (resource == RLIMIT_AS || resource == RLIMIT_DATA))
        leaves_give_back();
    return failed;
}

/* Declared here under other names, because the headers have several types for one and the same number and structure. */
#define DEFINE_LIMITS(setrlimit, prlimit)                                                                              \
    EXPORT int wrapped_##setrlimit(int resource, const struct rlimit *limit) __asm__(#setrlimit);                      \
    EXPORT int wrapped_##setrlimit(int resource, const struct rlimit *limit)                                           \
    {                                                                                                                  \
        NEED(setrlimit)                                                                                                \
        return limited(original_##setrlimit(resource, limit), resource);                                               \
    }                                                                                                                  \
    EXPORT int wrapped_##prlimit(pid_t process, int resource, const struct rlimit *limit,                              \
                                 struct rlimit *old) __asm__(#prlimit);                                                \
    EXPORT int wrapped_##prlimit(pid_t process, int resource, const struct rlimit *limit, struct rlimit *old)          \
    {                                                                                                                  \
        NEED(prlimit)                                                                                                  \
        int failed = original_##prlimit(process, resource, limit, old);                                                \
        return limit ? limited(failed, resource) : failed;                                                             \
    }
DEFINE_LIMITS(setrlimit, prlimit)
DEFINE_LIMITS(setrlimit64, prlimit64)

/* ---- locked memory ---- */

#define LINE 512

/* Locks a part of the address space, without the tracker's own memory. Returns whether all of it worked. */
static int lock_part(uintptr_t start, uintptr_t end)
{
    struct range own;
    int failed = 0;
    for (; start < end; start = own.end) {
        if (!memory_first_own(start, end, &own))
            own = (struct range){end, end};
        if (own.start > start)
            failed |= system_call(SYS_mlock, start, own.start - start) != 0;
    }
    return !failed;
}

static int lock_line(const char *line)
{
    char *rest;
    uintptr_t start = strtoul(line, &rest, 16);
    uintptr_t end = *rest == '-' ? strtoul(rest + 1, &rest, 16) : 0;
    int is_of_kernel = strstr(rest, "[v") != NULL; /* vdso, vvar, vsyscall */
    return is_of_kernel || strncmp(rest, " ---", 4) == 0 || lock_part(start, end);
}

/* Fills and locks all that the program has mapped, as mlockall does. */
static int lock_all_but_own(void)
{
    char text[LINE + 1];
    size_t used = 0;
    long got;
    int worked = 1, file = (int)system_call(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    while ((got = system_call(SYS_read, file, text + used, LINE - used)) > 0) {
        used += (size_t)got;
        text[used] = 0;
        char *line = text, *end;
        while ((end = strchr(line, '\n'))) {
            *end = 0;
            worked &= lock_line(line);
            line = end + 1;
        }
        used -= (size_t)(line - text);
        memmove(text, line, used);
        if (used == LINE)
            used = 0; /* a path longer than that: the line has been read far enough to be locked below */
    }
    (void)system_call(SYS_close, file);
    return worked;
}

/* The system compares all that is mapped with the limit. The tracker's own memory must not count. */
static int fits_without_own(void)
{
    struct rlimit limit;
    char text[64] = "";
    int file = (int)system_call(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0 || getrlimit(RLIMIT_MEMLOCK, &limit))
        return 0;
    (void)system_call(SYS_read, file, text, sizeof text - 1);
    (void)system_call(SYS_close, file);
    return strtoul(text, NULL, 10) * (uint64_t)getpagesize() <= limit.rlim_cur + memory_own_bytes();
}

/* Locks each page when it is touched, and then fills the program's own pages. */
static int lock_current(int flags)
{
    leaves_give_back();
    int failed = original_mlockall(MCL_CURRENT | MCL_ONFAULT);
    if (failed && errno == EINVAL) /* before Linux 4.4 */
        return original_mlockall(flags);
    if (failed && !(errno == ENOMEM && fits_without_own()))
        return failed;
    int worked = lock_all_but_own();
    if (failed && !worked) {
        (void)original_munlockall();
        errno = ENOMEM;
        return failed;
    }
    return flags & MCL_FUTURE ? original_mlockall(MCL_FUTURE) : 0;
}

EXPORT int mlockall(int flags)
{
    NEED(mlockall)
    memory_locks_future(flags & MCL_FUTURE);
    int failed = (flags & (MCL_CURRENT | MCL_ONFAULT)) == MCL_CURRENT ? lock_current(flags) : original_mlockall(flags);
    if (failed)
        memory_locks_future(0);
    else
        memory_unlock_own();
    return failed;
}

EXPORT int munlockall(void)
{
    NEED(munlockall)
    memory_locks_future(0);
    return original_munlockall();
}

/* ---- filters of system calls ---- */

static void filtering(int begins)
{
    if (begins)
        leaves_reserve_ahead();
    memory_filter(begins);
    hook_note_filter(begins);
}

EXPORT int prctl(int option, ...)
{
    NEED(prctl)
    unsigned long a[4];
    va_list rest;
    va_start(rest, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(rest, unsigned long);
    va_end(rest);
    int filters = option == PR_SET_SECCOMP && !memory_is_filtered;
    if (filters)
        filtering(1);
    int result = original_prctl(option, a[0], a[1], a[2], a[3]);
    if (filters && result)
        filtering(0);
    return result;
}

EXPORT long syscall(long number, ...)
{
    NEED(syscall)
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    int filters = number == SYS_seccomp && (unsigned long)a[0] <= SECCOMP_SET_MODE_FILTER && !memory_is_filtered;
    if (filters)
        filtering(1);
    long result = original_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (filters && result)
        filtering(0);
    return result;
}
