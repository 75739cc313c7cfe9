/* The fourth part of the preload: the functions that replace the program of a process. A program that cannot load the
 * library gets an environment without it. */
#define _GNU_SOURCE
#include "loadable.h"
#include "recorder/recorder_hot.h"
#include "wrapper.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define HOOKED(X)                                                                                                      \
    X(execve, int, (const char *, char *const *, char *const *))                                                       \
    X(execvpe, int, (const char *, char *const *, char *const *))                                                      \
    X(fexecve, int, (int, char *const *, char *const *))                                                               \
    X(execveat, int, (int, const char *, char *const *, char *const *, int))

HOOKED(DECLARE_ORIGINAL)

FINDS_ORIGINALS(HOOKED(FIND_ORIGINAL))

#define REFUSED (-1)
#define DESCRIPTOR_PATH "/proc/self/fd/"

EXPORT int execve(const char *path, char *const arguments[], char *const environment[])
{
    NEED(execve)
    TAKE_ENVIRONMENT(kept, loadable_by(path), environment)
    return original_execve(path, arguments, kept);
}

EXPORT int execvpe(const char *file, char *const arguments[], char *const environment[])
{
    NEED(execvpe)
    TAKE_ENVIRONMENT(kept, loadable_by_name(file), environment)
    return original_execvpe(file, arguments, kept);
}

EXPORT int execv(const char *path, char *const arguments[])
{
    return execve(path, arguments, environ);
}

EXPORT int execvp(const char *file, char *const arguments[])
{
    return execvpe(file, arguments, environ);
}

EXPORT int fexecve(int descriptor, char *const arguments[], char *const environment[])
{
    NEED(fexecve)
    char path[sizeof DESCRIPTOR_PATH + 12];
    (void)snprintf(path, sizeof path, DESCRIPTOR_PATH "%d", descriptor);
    TAKE_ENVIRONMENT(kept, loadable_by(path), environment)
    return original_fexecve(descriptor, arguments, kept);
}

EXPORT int execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    NEED(execveat)
    char of_descriptor[sizeof DESCRIPTOR_PATH + 12];
    const char *whole = path;
    __asm__("" : "+r"(whole)); /* the header says that it is never NULL, but the system refuses NULL without harm */
    if (whole && !*whole && folder != AT_FDCWD) {
        (void)snprintf(of_descriptor, sizeof of_descriptor, DESCRIPTOR_PATH "%d", folder);
        whole = of_descriptor;
    }
    TAKE_ENVIRONMENT(kept, loadable_at(folder, whole), environment)
    return original_execveat(folder, path, arguments, kept, flags);
}

/* Collects the arguments that follow `first`, and what comes after them, where a function takes them one by one. */
#define TAKE_ARGUMENTS(first)                                                                                          \
    va_list rest;                                                                                                      \
    size_t count = 1;                                                                                                  \
    va_start(rest, first);                                                                                             \
    while (va_arg(rest, char *))                                                                                       \
        count++;                                                                                                       \
    va_end(rest);                                                                                                      \
    char *arguments[count + 1];                                                                                        \
    arguments[0] = (char *)first;                                                                                      \
    va_start(rest, first);                                                                                             \
    for (size_t i = 1; i <= count; i++)                                                                                \
        arguments[i] = va_arg(rest, char *);

EXPORT int execl(const char *path, const char *first, ...)
{
    TAKE_ARGUMENTS(first)
    va_end(rest);
    return execve(path, arguments, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    TAKE_ARGUMENTS(first)
    va_end(rest);
    return execvpe(file, arguments, environ);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    TAKE_ARGUMENTS(first)
    char *const *environment = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, arguments, environment);
}
