/* The third part of the preload: one thin wrapper for each function that creates or removes something outside the
 * process, beside those that open a descriptor too (openers.c). Each calls the original and keeps the table up to date.
 */
#define _GNU_SOURCE
#include "creations.h"
#include "openings.h"
#include "recorder/recorder_hot.h"
#include "wrapper.h"

#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Where glibc keeps what shm_open and sem_open create. */
#define SHARED_MEMORY "/dev/shm/"
#define SEMAPHORE "/dev/shm/sem."
#define SHARED_PATH_LIMIT 288

/* The functions that create something at a path: name, parameters, arguments, the folder of the path. */
#define CREATES_PATH(X)                                                                                                \
    X(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD)                                                  \
    X(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder)                              \
    X(mkfifo, (const char *path, mode_t mode), (path, mode), AT_FDCWD)                                                 \
    X(mkfifoat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder)                             \
    X(symlink, (const char *to, const char *path), (to, path), AT_FDCWD)                                               \
    X(symlinkat, (const char *to, int folder, const char *path), (to, folder, path), folder)                           \
    X(link, (const char *from, const char *path), (from, path), AT_FDCWD)                                              \
    X(linkat, (int from_folder, const char *from, int folder, const char *path, int flags),                            \
      (from_folder, from, folder, path, flags), folder)

#define REMOVES_PATH(X)                                                                                                \
    X(unlink, (const char *path), (path), AT_FDCWD)                                                                    \
    X(unlinkat, (int folder, const char *path, int flags), (folder, path, flags), folder)                              \
    X(rmdir, (const char *path), (path), AT_FDCWD)                                                                     \
    X(remove, (const char *path), (path), AT_FDCWD)

/* As above, with the folders of both paths. */
#define MOVES_PATH(X)                                                                                                  \
    X(rename, (const char *from, const char *path), (from, path), AT_FDCWD, AT_FDCWD)                                  \
    X(renameat, (int from_folder, const char *from, int folder, const char *path), (from_folder, from, folder, path),  \
      from_folder, folder)                                                                                             \
    X(renameat2, (int from_folder, const char *from, int folder, const char *path, unsigned flags),                    \
      (from_folder, from, folder, path, flags), from_folder, folder)

#define OTHERS(X)                                                                                                      \
    X(mkdtemp, char *, (char *))                                                                                       \
    X(bind, int, (int, __CONST_SOCKADDR_ARG, socklen_t))                                                               \
    X(shm_open, int, (const char *, int, mode_t))                                                                      \
    X(shm_unlink, int, (const char *))                                                                                 \
    X(sem_open, sem_t *, (const char *, int, ...))                                                                     \
    X(sem_unlink, int, (const char *))                                                                                 \
    X(mq_open, mqd_t, (const char *, int, ...))                                                                        \
    X(mq_unlink, int, (const char *))                                                                                  \
    X(shmget, int, (key_t, size_t, int))                                                                               \
    X(shmctl, int, (int, int, struct shmid_ds *))                                                                      \
    X(semget, int, (key_t, int, int))                                                                                  \
    X(semctl, int, (int, int, int, ...))                                                                               \
    X(msgget, int, (key_t, int))                                                                                       \
    X(msgctl, int, (int, int, struct msqid_ds *))

#define DECLARE_PATH(name, parameters, ...) static int(*original_##name) parameters;
CREATES_PATH(DECLARE_PATH)
REMOVES_PATH(DECLARE_PATH)
MOVES_PATH(DECLARE_PATH)
OTHERS(DECLARE_ORIGINAL)

FINDS_ORIGINALS(CREATES_PATH(FIND_ORIGINAL) REMOVES_PATH(FIND_ORIGINAL) MOVES_PATH(FIND_ORIGINAL) OTHERS(FIND_ORIGINAL))

/* ---- paths ---- */

#define REFUSED (-1)

#define DEFINE_CREATES(name, parameters, arguments, at)                                                                \
    EXPORT int name parameters;                                                                                        \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        NEED(name)                                                                                                     \
        int failed = original_##name arguments;                                                                        \
        if (!failed && creations_are_on())                                                                             \
            creations_note_path(CREATED_PATH, at, path, openings_site(CALLER));                                        \
        return failed;                                                                                                 \
    }
CREATES_PATH(DEFINE_CREATES)

#define DEFINE_REMOVES(name, parameters, arguments, at)                                                                \
    EXPORT int name parameters;                                                                                        \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        NEED(name)                                                                                                     \
        uint64_t key = creations_key_of_path(at, path);                                                                \
        int failed = original_##name arguments;                                                                        \
        if (!failed)                                                                                                   \
            (void)creations_forget(key, NULL);                                                                         \
        return failed;                                                                                                 \
    }
REMOVES_PATH(DEFINE_REMOVES)

/* What was created in this interval keeps the line that created it; of other files the parent knows whose they are. */
static void moved(uint64_t key, int replaces, int folder, const char *path, uintptr_t caller)
{
    uint32_t site = 0;
    int is_new = creations_forget(key, &site);
    enum creation_kind kind = replaces ? CREATED_REPLACING : is_new ? CREATED_PATH : CREATED_MOVED;
    creations_note_path(kind, folder, path, is_new ? site : openings_site(caller));
}

#define DEFINE_MOVES(name, parameters, arguments, from_at, at)                                                         \
    EXPORT int name parameters;                                                                                        \
    EXPORT int name parameters                                                                                         \
    {                                                                                                                  \
        NEED(name)                                                                                                     \
        int is_on = creations_are_on();                                                                                \
        uint64_t key = creations_key_of_path(from_at, from);                                                           \
        int replaces = is_on && creations_exists(at, path);                                                            \
        int failed = original_##name arguments;                                                                        \
        if (!failed && is_on)                                                                                          \
            moved(key, replaces, at, path, CALLER);                                                                    \
        return failed;                                                                                                 \
    }
MOVES_PATH(DEFINE_MOVES)

/* A Unix socket with a path is a file. A path in the abstract space begins with a zero byte. */
EXPORT int bind(int descriptor, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    NEED(bind)
    int failed = original_bind(descriptor, address, length);
    const struct sockaddr_un *unix_address = (const struct sockaddr_un *)address.__sockaddr__;
    size_t start = offsetof(struct sockaddr_un, sun_path);
    if (failed || length <= start || unix_address->sun_family != AF_UNIX || !*unix_address->sun_path
        || !creations_are_on())
        return failed;
    char path[sizeof unix_address->sun_path + 1] = "";
    size_t most = length - start < sizeof unix_address->sun_path ? length - start : sizeof unix_address->sun_path;
    memcpy(path, unix_address->sun_path, most);
    creations_note_path(CREATED_PATH, AT_FDCWD, path, openings_site(CALLER));
    return failed;
}

/* ---- POSIX shared memory, semaphores and message queues ---- */

static const char *shared_path(char path[SHARED_PATH_LIMIT], const char *folder, const char *name)
{
    (void)snprintf(path, SHARED_PATH_LIMIT, "%s%s", folder, name + strspn(name, "/"));
    return path;
}

EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
    NEED(shm_open)
    char path[SHARED_PATH_LIMIT];
    int creates = creations_expected(AT_FDCWD, shared_path(path, SHARED_MEMORY, name), flags);
    int descriptor = original_shm_open(name, flags, mode);
    if (descriptor < 0)
        return descriptor;
    uint32_t site = openings_site(CALLER);
    openings_note_descriptor(descriptor, site);
    if (creates)
        creations_note_path(CREATED_PATH, AT_FDCWD, path, site);
    return descriptor;
}

EXPORT int shm_unlink(const char *name)
{
    NEED(shm_unlink)
    char path[SHARED_PATH_LIMIT];
    uint64_t key = creations_key_of_path(AT_FDCWD, shared_path(path, SHARED_MEMORY, name));
    int failed = original_shm_unlink(name);
    if (!failed)
        (void)creations_forget(key, NULL);
    return failed;
}

EXPORT int sem_unlink(const char *name)
{
    NEED(sem_unlink)
    char path[SHARED_PATH_LIMIT];
    uint64_t key = creations_key_of_path(AT_FDCWD, shared_path(path, SEMAPHORE, name));
    int failed = original_sem_unlink(name);
    if (!failed)
        (void)creations_forget(key, NULL);
    return failed;
}

/* A queue may have no path, because the file system of queues may not be mounted. */
static int is_queue(const char *name)
{
    int saved = errno;
    mqd_t queue = original_mq_open(name, O_RDONLY);
    int exists = queue != (mqd_t)-1 || errno != ENOENT;
    if (queue != (mqd_t)-1)
        (void)mq_close(queue);
    errno = saved;
    return exists;
}

EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
    NEED(mq_open)
    if (!(flags & O_CREAT)) {
        mqd_t found = original_mq_open(name, flags);
        if (found != (mqd_t)-1)
            openings_note_descriptor(found, openings_site(CALLER));
        return found;
    }
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    struct mq_attr *attributes = va_arg(rest, struct mq_attr *);
    va_end(rest);
    int creates = creations_are_on() && (flags & O_EXCL || !is_queue(name));
    mqd_t queue = original_mq_open(name, flags, mode, attributes);
    if (queue == (mqd_t)-1)
        return queue;
    uint32_t site = openings_site(CALLER);
    openings_note_descriptor(queue, site);
    if (creates)
        creations_note_queue(name, site);
    return queue;
}

EXPORT int mq_unlink(const char *name)
{
    NEED(mq_unlink)
    int failed = original_mq_unlink(name);
    if (!failed && creations_are_on())
        (void)creations_forget(creations_key_of_queue(name), NULL);
    return failed;
}

#undef REFUSED
#define REFUSED SEM_FAILED

EXPORT sem_t *sem_open(const char *name, int flags, ...)
{
    NEED(sem_open)
    if (!(flags & O_CREAT))
        return original_sem_open(name, flags);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    unsigned value = va_arg(rest, unsigned);
    va_end(rest);
    char path[SHARED_PATH_LIMIT];
    int creates = creations_expected(AT_FDCWD, shared_path(path, SEMAPHORE, name), flags);
    sem_t *semaphore = original_sem_open(name, flags, mode, value);
    if (semaphore != SEM_FAILED && creates)
        creations_note_path(CREATED_PATH, AT_FDCWD, path, openings_site(CALLER));
    return semaphore;
}

#undef REFUSED
#define REFUSED NULL

EXPORT char *mkdtemp(char *path)
{
    NEED(mkdtemp)
    char *made = original_mkdtemp(path);
    if (made && creations_are_on())
        creations_note_path(CREATED_PATH, AT_FDCWD, path, openings_site(CALLER));
    return made;
}

/* ---- System V ---- */

#undef REFUSED
#define REFUSED (-1)

/* Whether a call with this key and these flags creates; `found`: what the same call without flags returns. */
#define CREATES(key, flags, found)                                                                                     \
    (creations_are_on() && ((key) == IPC_PRIVATE || ((flags) & IPC_CREAT && ((flags) & IPC_EXCL || (found) < 0))))

static int got(int number, int creates, enum creation_kind kind, uintptr_t caller)
{
    if (number >= 0 && creates)
        creations_note_number(kind, number, openings_site(caller));
    return number;
}

static int controlled(int result, int command, enum creation_kind kind, int number)
{
    if (command == IPC_RMID && result >= 0 && creations_are_on())
        (void)creations_forget(creations_key_of_number(kind, number), NULL);
    return result;
}

EXPORT int shmget(key_t key, size_t size, int flags)
{
    NEED(shmget)
    int saved = errno;
    int creates = CREATES(key, flags, original_shmget(key, 0, 0));
    errno = saved;
    return got(original_shmget(key, size, flags), creates, CREATED_SEGMENT, CALLER);
}

EXPORT int semget(key_t key, int count, int flags)
{
    NEED(semget)
    int saved = errno;
    int creates = CREATES(key, flags, original_semget(key, 0, 0));
    errno = saved;
    return got(original_semget(key, count, flags), creates, CREATED_SEMAPHORES, CALLER);
}

EXPORT int msgget(key_t key, int flags)
{
    NEED(msgget)
    int saved = errno;
    int creates = CREATES(key, flags, original_msgget(key, 0));
    errno = saved;
    return got(original_msgget(key, flags), creates, CREATED_MESSAGES, CALLER);
}

EXPORT int shmctl(int number, int command, struct shmid_ds *state)
{
    NEED(shmctl)
    return controlled(original_shmctl(number, command, state), command, CREATED_SEGMENT, number);
}

EXPORT int semctl(int number, int index, int command, ...)
{
    NEED(semctl)
    TAKE_ARGUMENT(argument)
    return controlled(original_semctl(number, index, command, argument), command, CREATED_SEMAPHORES, number);
}

EXPORT int msgctl(int number, int command, struct msqid_ds *state)
{
    NEED(msgctl)
    return controlled(original_msgctl(number, command, state), command, CREATED_MESSAGES, number);
}
