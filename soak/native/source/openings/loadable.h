/* Which programs can load the tracker's library, and the environment of those that cannot. */
#ifndef SOAK_LOADABLE_H
#define SOAK_LOADABLE_H

#include <stddef.h>

#define LOADER_VARIABLE "LD_PRELOAD"
#define LIBRARY_PREFIX "libsoak_tracker"
/* The watcher's process, a colon, and the file to append to. Only a direct child of the watcher is watched; with 0 in
 * place of the watcher, everybody is. */
#define WATCH_VARIABLE "SOAK_WATCH"

/* Whether the program in this file loads the library without harm. True where the file cannot be read. All of this may
 * run between vfork and exec, and on a small stack: it only reads files, and allocates nothing. */
int loadable_by(const char *path) __attribute__((visibility("hidden")));

/* The same for a path in a folder, as openat takes it. */
int loadable_at(int folder, const char *path) __attribute__((visibility("hidden")));

/* The same for the file that execvp would run: `file` itself, or the first of that name on the path. */
int loadable_by_name(const char *file) __attribute__((visibility("hidden")));

/* Whether a program started here with this environment can load the library at all: this process reaches the file and
 * has room for it, and there is no preload of a sanitizer, which must be the first. */
int loadable_from(char *const environment[]) __attribute__((visibility("hidden")));

/* The bytes that `loadable_without` needs; 0 where the environment does not load the library. */
size_t loadable_room(char *const environment[]) __attribute__((visibility("hidden")));

/* The environment without the library; other preloads stay. It lies in `room`. */
char **loadable_without(char *const environment[], void *room) __attribute__((visibility("hidden")));

/* Copies a list of preloads without the library, and returns its length. */
size_t loadable_others(const char *listed, char *kept) __attribute__((visibility("hidden")));

/* Declares `kept`: the environment, without the library where `loads`, which is one of the above, is false. */
#define TAKE_ENVIRONMENT(kept, loads, environment)                                                                     \
    char *const *kept = environment;                                                                                   \
    size_t needed = loadable_room(kept);                                                                               \
    if (needed && !(loadable_from(kept) && (loads)))                                                                   \
        kept = loadable_without(kept, __builtin_alloca(needed));

#endif
