/* The second part of the preload: one thin wrapper for each function that opens a descriptor, or starts a thread or a
 * process. Each calls the original and records the call site. Nothing is recorded when something is closed. */
#define _GNU_SOURCE
#include "creations.h"
#include "loadable.h"
#include "openings.h"
#include "recorder/recorder_hot.h"
#include "wrapper.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* How many threads can be starting at one moment; the call site of one more is not recorded. */
#define STARTS_LIMIT 64

/* The functions that return a descriptor and have fixed parameters: name, parameters, arguments. Only those of libc
 * itself: another library (shm_open before glibc 2.34) may be loaded where dlsym does not look. */
#define RETURNS_DESCRIPTOR(X)                                                                                          \
    X(__open_2, (const char *path, int flags), (path, flags))                                                          \
    X(__open64_2, (const char *path, int flags), (path, flags))                                                        \
    X(__openat_2, (int folder, const char *path, int flags), (folder, path, flags))                                    \
    X(__openat64_2, (int folder, const char *path, int flags), (folder, path, flags))                                  \
    X(memfd_create, (const char *name, unsigned flags), (name, flags))                                                 \
    X(dup, (int descriptor), (descriptor))                                                                             \
    X(dup2, (int descriptor, int wanted), (descriptor, wanted))                                                        \
    X(dup3, (int descriptor, int wanted, int flags), (descriptor, wanted, flags))                                      \
    X(socket, (int family, int type, int protocol), (family, type, protocol))                                          \
    X(accept, (int listening, __SOCKADDR_ARG address, socklen_t *length), (listening, address, length))                \
    X(accept4, (int listening, __SOCKADDR_ARG address, socklen_t *length, int flags),                                  \
      (listening, address, length, flags))                                                                             \
    X(epoll_create, (int size), (size))                                                                                \
    X(epoll_create1, (int flags), (flags))                                                                             \
    X(eventfd, (unsigned initial, int flags), (initial, flags))                                                        \
    X(signalfd, (int descriptor, const sigset_t *signals, int flags), (descriptor, signals, flags))                    \
    X(timerfd_create, (clockid_t clock, int flags), (clock, flags))                                                    \
    X(inotify_init, (void), ())                                                                                        \
    X(inotify_init1, (int flags), (flags))

/* The same for those that create the file that they open: with the flags of open that say whether it may exist. */
#define CREATES_FILE(X)                                                                                                \
    X(creat, (const char *path, mode_t mode), (path, mode), O_CREAT)                                                   \
    X(creat64, (const char *path, mode_t mode), (path, mode), O_CREAT)                                                 \
    X(mkstemp, (char *path), (path), O_CREAT | O_EXCL)                                                                 \
    X(mkstemp64, (char *path), (path), O_CREAT | O_EXCL)                                                               \
    X(mkostemp, (char *path, int flags), (path, flags), O_CREAT | O_EXCL)                                              \
    X(mkostemp64, (char *path, int flags), (path, flags), O_CREAT | O_EXCL)                                            \
    X(mkstemps, (char *path, int length), (path, length), O_CREAT | O_EXCL)                                            \
    X(mkstemps64, (char *path, int length), (path, length), O_CREAT | O_EXCL)                                          \
    X(mkostemps, (char *path, int length, int flags), (path, length, flags), O_CREAT | O_EXCL)                         \
    X(mkostemps64, (char *path, int length, int flags), (path, length, flags), O_CREAT | O_EXCL)

#define OTHERS(X)                                                                                                      \
    X(open, int, (const char *, int, ...))                                                                             \
    X(open64, int, (const char *, int, ...))                                                                           \
    X(openat, int, (int, const char *, int, ...))                                                                      \
    X(openat64, int, (int, const char *, int, ...))                                                                    \
    X(fcntl, int, (int, int, ...))                                                                                     \
    X(fcntl64, int, (int, int, ...))                                                                                   \
    X(socketpair, int, (int, int, int, int *))                                                                         \
    X(pipe, int, (int *))                                                                                              \
    X(pipe2, int, (int *, int))                                                                                        \
    X(fopen, FILE *, (const char *, const char *))                                                                     \
    X(fopen64, FILE *, (const char *, const char *))                                                                   \
    X(tmpfile, FILE *, (void))                                                                                         \
    X(tmpfile64, FILE *, (void))                                                                                       \
    X(popen, FILE *, (const char *, const char *))                                                                     \
    X(opendir, DIR *, (const char *))                                                                                  \
    X(fork, pid_t, (void))                                                                                             \
    X(posix_spawn, int,                                                                                                \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,            \
       char *const *))                                                                                                 \
    X(posix_spawnp, int,                                                                                               \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *,            \
       char *const *))                                                                                                 \
    X(pthread_create, int, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

#define DECLARE_DESCRIPTOR(name, parameters, ...) static int(*original_##name) parameters;
RETURNS_DESCRIPTOR(DECLARE_DESCRIPTOR)
CREATES_FILE(DECLARE_DESCRIPTOR)
OTHERS(DECLARE_ORIGINAL)

/* Not static, because the assembly below uses it. */
pid_t (*openers_vfork)(void) HIDDEN;

/* Called by the loader, or by the first call from the constructor of another library. */
FINDS_ORIGINALS(RETURNS_DESCRIPTOR(FIND_ORIGINAL) CREATES_FILE(FIND_ORIGINAL) OTHERS(FIND_ORIGINAL)
                    find_original("vfork", &openers_vfork);)

static int opened(int descriptor, uintptr_t caller)
{
    if (descriptor >= 0)
        openings_note_descriptor(descriptor, openings_site(caller));
    return descriptor;
}

/* For a function that has opened the file at a path; `creates`: it was not there before. */
static int opened_file(int descriptor, int creates, int folder, const char *path, uintptr_t caller)
{
    if (descriptor < 0)
        return descriptor;
    uint32_t site = openings_site(caller);
    openings_note_descriptor(descriptor, site);
    if (creates)
        creations_note_path(CREATED_PATH, folder, path, site);
    return descriptor;
}

static int opened_two(const int *two, int failed, uintptr_t caller)
{
    uint32_t site = failed ? 0 : openings_site(caller);
    if (site) {
        openings_note_descriptor(two[0], site);
        openings_note_descriptor(two[1], site);
    }
    return failed;
}

static FILE *opened_stream(FILE *stream, uintptr_t caller)
{
    if (stream)
        (void)opened(fileno(stream), caller);
    return stream;
}

/* ---- descriptors ---- */

#define REFUSED (-1)
#define DEFINE_DESCRIPTOR(name, parameters, arguments)                                                                 \
    EXPORT int name parameters;                                                                                        \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        NEED(name)                                                                                                     \
        return opened(original_##name arguments, CALLER);                                                              \
    }
RETURNS_DESCRIPTOR(DEFINE_DESCRIPTOR)

#define DEFINE_CREATOR(name, parameters, arguments, how)                                                               \
    EXPORT int name parameters;                                                                                        \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        NEED(name)                                                                                                     \
        int creates = creations_expected(AT_FDCWD, path, how);                                                         \
        return opened_file(original_##name arguments, creates, AT_FDCWD, path, CALLER);                                \
    }
CREATES_FILE(DEFINE_CREATOR)

EXPORT int open(const char *path, int flags, ...)
{
    NEED(open)
    TAKE_MODE(mode)
    int creates = creations_expected(AT_FDCWD, path, flags);
    return opened_file(original_open(path, flags, mode), creates, AT_FDCWD, path, CALLER);
}

EXPORT int open64(const char *path, int flags, ...)
{
    NEED(open64)
    TAKE_MODE(mode)
    int creates = creations_expected(AT_FDCWD, path, flags);
    return opened_file(original_open64(path, flags, mode), creates, AT_FDCWD, path, CALLER);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    NEED(openat)
    TAKE_MODE(mode)
    int creates = creations_expected(folder, path, flags);
    return opened_file(original_openat(folder, path, flags, mode), creates, folder, path, CALLER);
}

EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    NEED(openat64)
    TAKE_MODE(mode)
    int creates = creations_expected(folder, path, flags);
    return opened_file(original_openat64(folder, path, flags, mode), creates, folder, path, CALLER);
}

static int duplicates(int command)
{
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

EXPORT int fcntl(int descriptor, int command, ...)
{
    NEED(fcntl)
    TAKE_ARGUMENT(argument)
    int result = original_fcntl(descriptor, command, argument);
    return unlikely(duplicates(command)) ? opened(result, CALLER) : result;
}

EXPORT int fcntl64(int descriptor, int command, ...)
{
    NEED(fcntl64)
    TAKE_ARGUMENT(argument)
    int result = original_fcntl64(descriptor, command, argument);
    return unlikely(duplicates(command)) ? opened(result, CALLER) : result;
}

EXPORT int socketpair(int family, int type, int protocol, int two[2])
{
    NEED(socketpair)
    return opened_two(two, original_socketpair(family, type, protocol, two), CALLER);
}

EXPORT int pipe(int two[2])
{
    NEED(pipe)
    return opened_two(two, original_pipe(two), CALLER);
}

EXPORT int pipe2(int two[2], int flags)
{
    NEED(pipe2)
    return opened_two(two, original_pipe2(two, flags), CALLER);
}

#undef REFUSED
#define REFUSED NULL

/* The flags of open that a mode of fopen stands for, as far as they say whether it creates. */
static int flags_of(const char *mode)
{
    if (*mode != 'w' && *mode != 'a')
        return 0;
    return strchr(mode, 'x') ? O_CREAT | O_EXCL : O_CREAT;
}

static FILE *opened_stream_of(FILE *stream, int creates, const char *path, uintptr_t caller)
{
    if (stream)
        (void)opened_file(fileno(stream), creates, AT_FDCWD, path, caller);
    return stream;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    NEED(fopen)
    int creates = creations_expected(AT_FDCWD, path, flags_of(mode));
    return opened_stream_of(original_fopen(path, mode), creates, path, CALLER);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    NEED(fopen64)
    int creates = creations_expected(AT_FDCWD, path, flags_of(mode));
    return opened_stream_of(original_fopen64(path, mode), creates, path, CALLER);
}

EXPORT FILE *tmpfile(void)
{
    NEED(tmpfile)
    return opened_stream(original_tmpfile(), CALLER);
}

EXPORT FILE *tmpfile64(void)
{
    NEED(tmpfile64)
    return opened_stream(original_tmpfile64(), CALLER);
}

EXPORT FILE *popen(const char *command, const char *mode)
{
    NEED(popen)
    return opened_stream(original_popen(command, mode), CALLER);
}

EXPORT DIR *opendir(const char *path)
{
    NEED(opendir)
    DIR *folder = original_opendir(path);
    if (folder)
        (void)opened(dirfd(folder), CALLER);
    return folder;
}

/* ---- processes ---- */

#undef REFUSED
#define REFUSED (-1)

EXPORT pid_t fork(void)
{
    NEED(fork)
    pid_t child = original_fork();
    if (child > 0)
        openings_note_task(child, openings_site(CALLER));
    return child;
}

#undef REFUSED
#define REFUSED ENOSYS

EXPORT int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    NEED(posix_spawn)
    TAKE_ENVIRONMENT(kept, loadable_by(path), environment)
    int failed = original_posix_spawn(child, path, actions, attributes, arguments, kept);
    if (!failed && child)
        openings_note_task(*child, openings_site(CALLER));
    return failed;
}

EXPORT int posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const arguments[], char *const environment[])
{
    NEED(posix_spawnp)
    TAKE_ENVIRONMENT(kept, loadable_by_name(file), environment)
    int failed = original_posix_spawnp(child, file, actions, attributes, arguments, kept);
    if (!failed && child)
        openings_note_task(*child, openings_site(CALLER));
    return failed;
}

#if defined(__x86_64__)
/* The child of vfork runs on its parent's stack. It overwrites what a wrapper in C keeps there, with its return
 * address. So this one keeps the return address elsewhere, and has nothing on the stack when both return. Only the
 * parent records the call site. */
__attribute__((used)) HIDDEN uintptr_t *openers_return_of_vfork(void)
{
    static __thread uintptr_t return_address __attribute__((tls_model("initial-exec")));
    if (unlikely(!openers_vfork))
        find_originals();
    return &return_address;
}

__attribute__((used)) HIDDEN pid_t openers_vforked(pid_t child, uintptr_t caller)
{
    openings_note_task(child, openings_site(caller));
    return child;
}

__asm__(".text\n"
        ".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    .cfi_startproc\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call openers_return_of_vfork\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq (%rax)\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    call *openers_vfork(%rip)\n"
        "    pushq %rax\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    call openers_return_of_vfork\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    movq %rax, %rcx\n"
        "    popq %rax\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    pushq (%rcx)\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    testl %eax, %eax\n"
        "    jle 1f\n"
        "    movl %eax, %edi\n"
        "    movq (%rsp), %rsi\n"
        "    jmp openers_vforked\n"
        "1:  ret\n"
        "    .cfi_endproc\n"
        ".size vfork, .-vfork\n");
#endif

/* ---- threads ---- */

/* What a new thread needs when it begins. */
struct start {
    void *(*routine)(void *);
    void *argument;
    uint32_t site;
    uint32_t taken;
};
static struct start starts[STARTS_LIMIT];

static struct start *take_start(void)
{
    for (int i = 0; i < STARTS_LIMIT; i++) {
        uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&starts[i].taken, &nobody, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return &starts[i];
    }
    return NULL;
}

/* The new thread records the call site itself, because only it knows its number. */
static void *begin(void *argument)
{
    struct start start = *(struct start *)argument;
    __atomic_store_n(&((struct start *)argument)->taken, 0, __ATOMIC_RELEASE);
    openings_note_task(gettid(), start.site);
    return start.routine(start.argument);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument)
{
    NEED(pthread_create)
    uint32_t site = openings_site(CALLER);
    struct start *start = site ? take_start() : NULL;
    if (!start)
        return original_pthread_create(thread, attributes, routine, argument);
    start->routine = routine;
    start->argument = argument;
    start->site = site;
    int failed = original_pthread_create(thread, attributes, begin, start);
    if (failed)
        __atomic_store_n(&start->taken, 0, __ATOMIC_RELEASE);
    return failed;
}
