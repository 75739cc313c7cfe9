/* The processes that are read from outside: how each announces where its tables are, and which processes are followed.
 *
 * Under `soak watch` and `soak run` a process that loads the library appends the places of its tables to a file of
 * the reader's. A forked child has its tables at the addresses of its parent's. It only writes its number, in its
 * own memory. */
#define _GNU_SOURCE
#include "followed.h"
#include "callers/frames.h"
#include "hook.h"
#include "openings/loadable.h"
#include "recorder/mappings.h"
#include "snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define EVERYBODY 0
#define ROOM_TO_APPEND_BYTES (64u << 10)

static struct tables own;
static int children_are_followed;

static void describe(uint32_t forked_at)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    own.started_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
    own.forked_at = forked_at;
    own.pid = (uint32_t)getpid();
}

/* Whether the file may grow. At the limit a write is cut off, or ends the program with SIGXFSZ. Other processes append
 * meanwhile, so there must be room for more than one record. */
static int may_append(int file)
{
    struct rlimit limit;
    struct stat now;
    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY
           || (fstat(file, &now) == 0 && (rlim_t)now.st_size + ROOM_TO_APPEND_BYTES < limit.rlim_cur);
}

static void tell(const char *path)
{
    memcpy(own.magic, TABLES_MAGIC, sizeof own.magic);
    own.version = LEDGER_VERSION;
    own.own_at = (uintptr_t)&own;
    hook_places(&own);
    describe(0);
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0)
        return;
    if (may_append(file))
        (void)!write(file, &own, sizeof own); /* at once, so that records of several processes do not mix */
    close(file);
}

int followed_in_child(void)
{
    uint64_t frame = 0;
    if (!children_are_followed)
        return 0;
    recorder_go_on_in_child();
    mappings_go_on_in_child();
    frames_go_on_in_child();
    snapshot_go_on_in_child();
    uint64_t *births = recorder_enter();
    size_t found = frames_walk(&frame, 1);
    recorder_leave(births);
    describe(found ? (uint32_t)frame & SITE_MASK : 0);
    return 1;
}

/* Whether forked children keep the tables: those that are to be measured begin a ledger of their own. */
EXPORT void soak_go_on_in_children(int wanted)
{
    children_are_followed = wanted;
}

/* Follows the children of this process from now on. Those that run another program write to the file as well. */
EXPORT void soak_follow(const char *path)
{
    children_are_followed = 1;
    tell(path);
}

/* Takes the library out of the environment, so that children of this process do not load it. Other preloads stay. */
static void leave_the_environment(void)
{
    const char *listed = getenv(LOADER_VARIABLE);
    unsetenv(WATCH_VARIABLE);
    if (!listed)
        return;
    char kept[strlen(listed) + 1];
    if (loadable_others(listed, kept))
        setenv(LOADER_VARIABLE, kept, 1);
    else
        unsetenv(LOADER_VARIABLE);
}

/* A process stays watched after an exec: the variables stay in its environment. */
static __attribute__((constructor)) void begin_if_watched(void)
{
    const char *wanted = getenv(WATCH_VARIABLE);
    if (!wanted)
        return;
    char *path;
    long watcher = strtol(wanted, &path, 10);
    if (*path == ':' && (watcher == EVERYBODY || watcher == (long)getppid())) {
        children_are_followed = watcher == EVERYBODY;
        hook_start_unasked();
        tell(path + 1);
    } else {
        recorder_stop();
        leave_the_environment();
    }
}
