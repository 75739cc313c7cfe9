/* The table of what the program has created outside itself and not removed again. */
#define _GNU_SOURCE
#include "creations.h"
#include "recorder/recorder_hot.h"
#include "recorder/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct creations *table;
static pid_t owner;
static uint32_t is_touched;

void creations_start(struct creations *in_ledger)
{
    owner = getpid();
    __atomic_store_n(&table, in_ledger, __ATOMIC_RELEASE);
}

int creations_are_on(void)
{
    if (!__atomic_load_n(&table, __ATOMIC_ACQUIRE) || memory_is_filtered)
        return 0;
    /* A forked child does not know the number of the cycle. The parent leaves out what there was before the first. */
    return getpid() != owner || (load(&recorder_control.cycle) && recorder_is_on());
}

/* By system call: before glibc 2.33 there is no function of this name to link with. */
static int find(int folder, const char *path, struct stat *found)
{
    int saved = errno;
    int failed = system_call(SYS_newfstatat, folder, path, found, AT_SYMLINK_NOFOLLOW) != 0;
    errno = saved;
    return !failed;
}

int creations_exists(int folder, const char *path)
{
    struct stat found;
    return find(folder, path, &found);
}

int creations_expected(int folder, const char *path, int flags)
{
    if (likely(!(flags & O_CREAT)) || (flags & O_TMPFILE) == O_TMPFILE || !creations_are_on())
        return 0;
    return flags & O_EXCL || !creations_exists(folder, path);
}

/* ---- keys ---- */

static uint64_t hash_of(const char *text, size_t length)
{
    uint64_t hash = length;
    for (size_t i = 0; i < length; i++)
        hash = hash * 31 + (unsigned char)text[i];
    return recorder_mix(hash);
}

/* A file may have several names, so its last name is part of the key. */
static uint64_t key_of_file(const struct stat *file, const char *path)
{
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    return recorder_mix(recorder_mix(file->st_dev) + file->st_ino) ^ hash_of(path + start, end - start);
}

uint64_t creations_key_of_path(int folder, const char *path)
{
    struct stat found;
    if (!creations_are_on() || !load(&table->used) || !find(folder, path, &found))
        return 0;
    return key_of_file(&found, path);
}

uint64_t creations_key_of_queue(const char *name)
{
    return hash_of(name, strlen(name)) + CREATED_QUEUE;
}

uint64_t creations_key_of_number(enum creation_kind kind, int number)
{
    return recorder_mix((uint64_t)kind << 32 | (uint32_t)number);
}

/* ---- the table ---- */

/* Touches the whole table at once, so that resident memory rises in one step. */
static void touch(void)
{
    if (load(&is_touched) || __atomic_exchange_n(&is_touched, 1, __ATOMIC_RELAXED))
        return;
    for (uint32_t i = 0; i < CREATIONS_LIMIT; i++)
        __atomic_fetch_or(&table->places[i].taken, 0, __ATOMIC_RELAXED);
}

/* Takes a free place; NULL when there is none. */
static struct creation *claim(void)
{
    touch();
    for (uint32_t i = 0; i < CREATIONS_LIMIT; i++) {
        struct creation *place = &table->places[i];
        uint64_t serial = __atomic_load_n(&place->serial, __ATOMIC_ACQUIRE);
        if (serial && (serial == CREATION_UNWRITTEN || serial != load(&place->taken)))
            continue;
        if (!__atomic_compare_exchange_n(&place->serial, &serial, CREATION_UNWRITTEN, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        uint32_t used = load(&table->used);
        while (used <= i
               && !__atomic_compare_exchange_n(&table->used, &used, i + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
        return place;
    }
    return NULL;
}

static void add(struct creation entry, const char *name)
{
    struct creation *place = strlen(name) < CREATION_NAME ? claim() : NULL;
    if (!place) {
        __atomic_fetch_add(&table->lost, 1, __ATOMIC_RELAXED);
        return;
    }
    entry.serial = CREATION_UNWRITTEN;
    entry.cycle = load(&recorder_control.cycle);
    entry.process = (uint32_t)getpid();
    memcpy(entry.name, name, strlen(name) + 1);
    uint64_t serial = CREATION_UNWRITTEN + __atomic_add_fetch(&table->last_serial, 1, __ATOMIC_RELAXED);
    /* Not `taken`, which only the parent writes. */
    memcpy(&place->key, &entry.key, sizeof entry - offsetof(struct creation, key));
    __atomic_store_n(&place->serial, serial, __ATOMIC_RELEASE);
}

int creations_forget(uint64_t key, uint32_t *site)
{
    for (uint32_t i = 0; key && i < load(&table->used); i++) {
        struct creation *place = &table->places[i];
        uint64_t serial = __atomic_load_n(&place->serial, __ATOMIC_ACQUIRE);
        if (serial <= CREATION_UNWRITTEN || serial == load(&place->taken) || place->key != key)
            continue;
        uint32_t found = place->site;
        if (!__atomic_compare_exchange_n(&place->serial, &serial, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        if (site)
            *site = found;
        return 1;
    }
    return 0;
}

/* ---- what is recorded ---- */

/* Writes the absolute path. Returns 0 when it does not fit or the folder is not known. */
static int make_absolute(char *name, size_t size, int folder, const char *path)
{
    char link[32];
    ssize_t length = 0;
    if (*path != '/' && folder == AT_FDCWD) {
        length = system_call(SYS_getcwd, name, size) - 1; /* it counts the zero byte */
    } else if (*path != '/') {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, name, size);
    }
    if (length < 0 || (size_t)length + strlen(path) + 2 > size)
        return 0;
    if (length)
        name[length++] = '/';
    memcpy(name + length, path, strlen(path) + 1);
    return 1;
}

void creations_note_path(enum creation_kind kind, int folder, const char *path, uint32_t site)
{
    char name[CREATION_NAME];
    struct stat found;
    int saved = errno;
    if (!make_absolute(name, sizeof name, folder, path)) {
        __atomic_fetch_add(&table->lost, 1, __ATOMIC_RELAXED);
    } else if (find(AT_FDCWD, name, &found)) {
        struct creation entry = {.key = key_of_file(&found, name), .kind = kind, .site = site};
        entry.device = found.st_dev;
        entry.number = found.st_ino;
        add(entry, name);
    }
    errno = saved;
}

void creations_note_queue(const char *name, uint32_t site)
{
    struct creation entry = {.key = creations_key_of_queue(name), .kind = CREATED_QUEUE, .site = site};
    add(entry, name);
}

void creations_note_number(enum creation_kind kind, int number, uint32_t site)
{
    struct creation entry = {.key = creations_key_of_number(kind, number), .kind = kind, .site = site};
    entry.number = (uint32_t)number;
    add(entry, "");
}
