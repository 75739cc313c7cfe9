/* Starts the hook under `soak watch -- COMMAND`, where the program does not call it. Tells the watcher once where the
 * tables are. From then on the watcher reads them from outside, and nothing of this runs in the program. */
#define _GNU_SOURCE
#include "hook.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOADER_VARIABLE "LD_PRELOAD"
#define LIBRARY_PREFIX "libsoak_tracker"
#define WATCH_VARIABLE "SOAK_WATCH" /* the watcher's process, a colon, and the file to write to */

static void tell(const char *path)
{
    struct timespec now;
    struct tables tables = {.magic = TABLES_MAGIC, .version = LEDGER_VERSION, .pid = (uint32_t)getpid()};
    clock_gettime(CLOCK_MONOTONIC, &now);
    tables.started_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
    hook_places(&tables);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (pwrite(file, &tables, sizeof tables, 0) != (ssize_t)sizeof tables)
        (void)!ftruncate(file, 0);
    close(file);
}

/* Takes the library out of the environment, so that children of this process do not load it. Other preloads stay. */
static void leave_the_environment(void)
{
    char kept[4096] = "";
    size_t used = 0;
    const char *listed = getenv(LOADER_VARIABLE);
    unsetenv(WATCH_VARIABLE);
    while (listed && *(listed += strspn(listed, " :"))) {
        size_t length = strcspn(listed, " :");
        int is_ours = memmem(listed, length, LIBRARY_PREFIX, strlen(LIBRARY_PREFIX)) != NULL;
        if (!is_ours && used + length + 2 < sizeof kept)
            used += (size_t)snprintf(kept + used, sizeof kept - used, "%s%.*s", used ? ":" : "", (int)length, listed);
        listed += length;
    }
    if (used)
        setenv(LOADER_VARIABLE, kept, 1);
    else
        unsetenv(LOADER_VARIABLE);
}

/* Only the watcher's own child is watched, and it stays so after an exec: the variables stay in its environment. What
 * it starts is not watched. */
static __attribute__((constructor)) void begin_if_watched(void)
{
    const char *wanted = getenv(WATCH_VARIABLE);
    if (!wanted)
        return;
    char *path;
    long watcher = strtol(wanted, &path, 10);
    if (*path == ':' && watcher == (long)getppid()) {
        hook_start_unasked();
        tell(path + 1);
    } else {
        recorder_stop();
        leave_the_environment();
    }
}
