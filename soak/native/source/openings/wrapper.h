/* What every file of thin wrappers begins with: a pointer for each original function, found once. A file says which
 * functions it wraps, and REFUSED: what a wrapper returns where there is no original. */
#ifndef SOAK_WRAPPER_H
#define SOAK_WRAPPER_H

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define CALLER ((uintptr_t)__builtin_return_address(0))

#define DECLARE_ORIGINAL(name, result, parameters) static result(*original_##name) parameters;
#define FIND_ORIGINAL(name, ...) find_original(#name, &original_##name);

static void find_original(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(place, &symbol, sizeof symbol);
}

/* Defines find_originals: it looks all functions up before main, or at a call that comes before that. */
#define FINDS_ORIGINALS(each)                                                                                          \
    static __attribute__((constructor, noinline)) void find_originals(void)                                            \
    {                                                                                                                  \
        int saved = errno;                                                                                             \
        uint64_t *births = recorder_enter();                                                                           \
        each recorder_leave(births);                                                                                   \
        errno = saved;                                                                                                 \
    }

#define NEED(name)                                                                                                     \
    if (unlikely(!original_##name))                                                                                    \
        find_originals();                                                                                              \
    if (unlikely(!original_##name)) {                                                                                  \
        errno = ENOSYS;                                                                                                \
        return REFUSED;                                                                                                \
    }

/* The argument of every command fits into a pointer; libc does the same. */
#define TAKE_ARGUMENT(argument)                                                                                        \
    va_list rest;                                                                                                      \
    va_start(rest, command);                                                                                           \
    void *argument = va_arg(rest, void *);                                                                             \
    va_end(rest);

/* There is a mode only when the flags ask for one. */
#define TAKE_MODE(mode)                                                                                                \
    mode_t mode = 0;                                                                                                   \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {                                                         \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

#endif
