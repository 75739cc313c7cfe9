/* The preload: one thin wrapper for each function that allocates or frees memory. Each calls the original and tells the
 * recorder. A release is recorded before the call: after it, another thread may already have the address. */
#define _GNU_SOURCE
#include "births/objects.h"
#include "callers/passthrough.h"
#include "callers/stacks.h"
#include "followed.h"
#include "hooks/snapshot.h"
#include "recorder/mappings.h"
#include "recorder/recorder_hot.h"
#include "recorder/system.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* The return address of the wrapper, and where its frame ends. */
#define CALLER ((struct caller){(uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_dwarf_cfa()})

/* The hooked functions of libc, listed once: name, result, parameters. */
#define HOOKED(X)                                                                                                      \
    X(malloc, void *, (size_t))                                                                                        \
    X(calloc, void *, (size_t, size_t))                                                                                \
    X(realloc, void *, (void *, size_t))                                                                               \
    X(reallocarray, void *, (void *, size_t, size_t))                                                                  \
    X(free, void, (void *))                                                                                            \
    X(free_sized, void, (void *, size_t))                                                                              \
    X(free_aligned_sized, void, (void *, size_t, size_t))                                                              \
    X(posix_memalign, int, (void **, size_t, size_t))                                                                  \
    X(aligned_alloc, void *, (size_t, size_t))                                                                         \
    X(memalign, void *, (size_t, size_t))                                                                              \
    X(valloc, void *, (size_t))                                                                                        \
    X(pvalloc, void *, (size_t))                                                                                       \
    X(mmap, void *, (void *, size_t, int, int, int, off_t))                                                            \
    X(mmap64, void *, (void *, size_t, int, int, int, off_t))                                                          \
    X(munmap, int, (void *, size_t))                                                                                   \
    X(mremap, void *, (void *, size_t, size_t, int, ...))                                                              \
    X(strdup, char *, (const char *))                                                                                  \
    X(strndup, char *, (const char *, size_t))                                                                         \
    X(vasprintf, int, (char **, const char *, va_list))

#if defined(__x86_64__)
#define FIRST_VERSIONS {"GLIBC_2.2.5", "GLIBC_2.16"}
#else
#define FIRST_VERSIONS {"GLIBC_2.17"}
#endif

#ifndef MREMAP_DONTUNMAP /* before glibc 2.32 */
#define MREMAP_DONTUNMAP 4
#endif

struct caller {
    uintptr_t address;
    uintptr_t frame;
};

#define DECLARE_ORIGINAL(name, result, parameters) static result(*original_##name) parameters;
HOOKED(DECLARE_ORIGINAL)

/* malloc and free matter most, so they do not check whether the originals are known. They begin with these two. */
static void *first_malloc(size_t size);
static void first_free(void *address);
static void *(*original_malloc)(size_t)HOT_DATA = first_malloc;
static void (*original_free)(void *) HOT_DATA = first_free;

/* dlsym itself may call calloc while the originals are looked up. What it gets is never freed. */
#define BOOTSTRAP_BYTES 16384
static char *bootstrap; /* alone in the addresses of a leaf, so that there is never a leaf for it: see free */
static size_t bootstrap_used;
static int resolving, resolved;

static void *bootstrap_malloc(size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    uintptr_t span = (uintptr_t)1 << LEAF_BITS;
    if (!bootstrap) {
        uintptr_t start = (uintptr_t)recorder_reserve(2 * span);
        bootstrap = (char *)((start + span - 1) & ~(span - 1)); // NOLINT
    }
    if (!bootstrap || rounded < size || rounded > BOOTSTRAP_BYTES - bootstrap_used)
        return NULL;
    void *memory = bootstrap + bootstrap_used;
    bootstrap_used += rounded;
    return memory;
}

static int is_bootstrap(const void *pointer)
{
    return bootstrap && (uintptr_t)pointer - (uintptr_t)bootstrap < BOOTSTRAP_BYTES;
}

static void after_fork_in_child(void)
{
    if (!memory_is_filtered && followed_in_child())
        return;
    /* The child has a copy of the parent's table that nobody reads. To keep it up to date would only copy pages. */
    recorder_stop();
    objects_stop_in_child();
}

static void (*foreign_free)(void *);

/* For an allocator whose smallest blocks are fewer than 32 bytes apart: free then has to look into both tables. */
static void free_foreign(void *address)
{
    (void)recorder_died_slowly(address);
    foreign_free(address);
}

/* glibc's blocks begin at least 32 bytes apart, however small they are. */
static void find_out_whose_malloc(void)
{
    Dl_info libc, allocator;
    void *of_libc = dlsym(RTLD_DEFAULT, "gnu_get_libc_version"), *malloc_symbol;
    memcpy(&malloc_symbol, &original_malloc, sizeof malloc_symbol);
    if (of_libc && dladdr(of_libc, &libc) && dladdr(malloc_symbol, &allocator)
        && libc.dli_fbase == allocator.dli_fbase) {
        recorder_control.native_least = 0;
        return;
    }
    foreign_free = original_free;
    original_free = free_foreign;
}

/* A program is linked with the version of a function that libc had first. libc_malloc_debug has its functions under
 * these versions only, and dlsym would pass over them to libc's. */
static void *find_next(const char *name)
{
    static const char *const versions[] = FIRST_VERSIONS;
    void *symbol = NULL;
    for (size_t i = 0; !symbol && i < sizeof versions / sizeof *versions; i++)
        symbol = dlvsym(RTLD_NEXT, name, versions[i]);
    return symbol ? symbol : dlsym(RTLD_NEXT, name);
}

/* Runs at the first call of any hooked function: long before there is a second thread, and before followed.c begins. */
static __attribute__((constructor(101), noinline)) void resolve(void)
{
    if (resolved || resolving)
        return;
    resolving = 1;
#define FIND_ORIGINAL(name, result, parameters)                                                                        \
    {                                                                                                                  \
        void *symbol = find_next(#name);                                                                               \
        memcpy(&original_##name, &symbol, sizeof symbol);                                                              \
    }
    uint64_t *births = recorder_enter();
    HOOKED(FIND_ORIGINAL)
    find_out_whose_malloc();
    if (recorder_start() == 0 && mappings_start() == 0)
        (void)pthread_atfork(NULL, NULL, after_fork_in_child);
    recorder_leave(births);
    resolving = 0;
    resolved = 1;
}

static void *first_malloc(size_t size)
{
    if (resolving)
        return bootstrap_malloc(size);
    resolve();
    return original_malloc(size);
}

static void first_free(void *address)
{
    if (resolving)
        return; /* there are no blocks yet but those of bootstrap_malloc */
    resolve();
    original_free(address);
}

static __attribute__((noinline)) void *born_slowly(void *address, size_t size, struct caller caller)
{
    if (!address || !recorder_is_on())
        return address;
    uintptr_t outer = passthrough_caller(caller.address, caller.frame);
    uint32_t site = recorder_native_site(outer);
    int is_flagged = (site & SITE_WANTS_STACK) != 0;
    if (is_flagged)
        site = stacks_site(site & SITE_MASK, outer);
    recorder_born(recorder_births, address, size, site, DOMAIN_NATIVE);
    if (is_flagged)
        snapshot_make_if_wanted();
    return address;
}

/* Returns the address, so that a wrapper can end with this call and need not keep the address. */
static inline __attribute__((always_inline)) void *born(void *address, size_t size, struct caller caller)
{
    return likely(recorder_born_at_once(address, size, caller.address)) ? address : born_slowly(address, size, caller);
}

EXPORT HOT void *malloc(size_t size)
{
    void *address = original_malloc(size);
    return born(address, size, CALLER);
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (unlikely(!original_calloc)) {
        resolve();
        if (!original_calloc)
            return bootstrap_malloc(count * size); /* dlsym asks for little; the memory is zeroed */
    }
    void *address = original_calloc(count, size);
    return born(address, count * size, CALLER);
}

static void *move_out_of_bootstrap(void *old, size_t size)
{
    void *address = malloc(size);
    size_t most = (size_t)(bootstrap + BOOTSTRAP_BYTES - (char *)old);
    if (address)
        memcpy(address, old, size < most ? size : most);
    return address;
}

static void *reallocate(void *old, size_t size, struct caller caller)
{
    struct recorder_block block = recorder_died(old);
    void *address = original_realloc(old, size);
    if (address) {
        born(address, size, caller);
        recorder_keep_birth(address, block);
    } else if (size) { /* realloc(p, 0) has released the block */
        recorder_put_back(old, block);
    }
    return address;
}

EXPORT void *realloc(void *old, size_t size)
{
    if (unlikely(!original_realloc))
        resolve();
    if (unlikely(is_bootstrap(old)) || unlikely(!original_realloc))
        return old ? move_out_of_bootstrap(old, size) : malloc(size);
    return reallocate(old, size, CALLER);
}

EXPORT void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    if (unlikely(!original_realloc))
        resolve();
    return reallocate(old, bytes, CALLER);
}

static __attribute__((noinline)) void free_slowly(void *address)
{
    (void)recorder_died_slowly(address);
    if (!is_bootstrap(address))
        original_free(address);
}

EXPORT HOT void free(void *address)
{
    if (likely(recorder_forget_at_once(address)))
        original_free(address);
    else
        free_slowly(address);
}

EXPORT void free_sized(void *address, size_t size)
{
    if (!original_free_sized) {
        free(address);
        return;
    }
    (void)recorder_died(address);
    original_free_sized(address, size);
}

EXPORT void free_aligned_sized(void *address, size_t alignment, size_t size)
{
    if (!original_free_aligned_sized) {
        free(address);
        return;
    }
    (void)recorder_died(address);
    original_free_aligned_sized(address, alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (unlikely(!original_posix_memalign))
        resolve();
    int failed = original_posix_memalign(out, alignment, size);
    if (!failed)
        born(*out, size, CALLER);
    return failed;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (unlikely(!original_aligned_alloc))
        resolve();
    void *address = original_aligned_alloc(alignment, size);
    return born(address, size, CALLER);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (unlikely(!original_memalign))
        resolve();
    void *address = original_memalign(alignment, size);
    return born(address, size, CALLER);
}

EXPORT void *valloc(size_t size)
{
    if (unlikely(!original_valloc))
        resolve();
    void *address = original_valloc(size);
    return born(address, size, CALLER);
}

EXPORT void *pvalloc(size_t size)
{
    if (unlikely(!original_pvalloc))
        resolve();
    void *address = original_pvalloc(size);
    return born(address, size, CALLER);
}

/* ---- mappings ---- */

/* A mapping that is made during an allocation is an arena of pymalloc; the blocks in it are counted already. */
static enum domain domain_of_mapping(void)
{
    return recorder_births == RECORDER_INSIDE ? DOMAIN_PYMALLOC_ARENA : DOMAIN_MAPPING;
}

static void mapped(void *address, size_t length, struct caller caller)
{
    if (address == MAP_FAILED || !load(&recorder_control.recording))
        return;
    enum domain domain = domain_of_mapping();
    uint32_t site = recorder_native_site(caller.address);
    if (unlikely(site & SITE_WANTS_STACK) && domain == DOMAIN_MAPPING && recorder_is_on())
        site = stacks_site(site & SITE_MASK, caller.address);
    mappings_add((uintptr_t)address, length, site & SITE_MASK, domain);
}

/* A program may have an allocator of its own linked in, and may map memory while it holds that allocator's lock.
 * Looking up a function could allocate with the same allocator, and so wait for ever. Nothing is recorded yet
 * anyway. */
EXPORT void *mmap(void *hint, size_t length, int protection, int flags, int file, off_t offset)
{
    if (unlikely(!original_mmap))
        return (void *)system_call(SYS_mmap, hint, length, protection, flags, file, offset); // NOLINT
    void *address = original_mmap(hint, length, protection, flags, file, offset);
    mapped(address, length, CALLER);
    return address;
}

EXPORT void *mmap64(void *hint, size_t length, int protection, int flags, int file, off_t offset)
{
    if (unlikely(!original_mmap64))
        return (void *)system_call(SYS_mmap, hint, length, protection, flags, file, offset); // NOLINT
    void *address = original_mmap64(hint, length, protection, flags, file, offset);
    mapped(address, length, CALLER);
    return address;
}

EXPORT int munmap(void *address, size_t length)
{
    mappings_remove((uintptr_t)address, length);
    if (unlikely(!original_munmap))
        return (int)system_call(SYS_munmap, address, length);
    return original_munmap(address, length);
}

EXPORT void *mremap(void *old, size_t old_length, size_t length, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    if (unlikely(!original_mremap))
        return (void *)system_call(SYS_mremap, old, old_length, length, flags, wanted); // NOLINT
    int held = mappings_begin_move();
    uint32_t site = held ? recorder_native_site(CALLER.address) & SITE_MASK : 0;
    void *address = original_mremap(old, old_length, length, flags, wanted);
    int saved = errno;
    mappings_end_move(held, (uintptr_t)old, flags & MREMAP_DONTUNMAP ? 0 : old_length, (uintptr_t)address,
                      address == MAP_FAILED ? 0 : length, site, domain_of_mapping());
    errno = saved;
    return address;
}

/* ---- pass-throughs: their caller is the site ---- */

EXPORT char *strdup(const char *text)
{
    if (unlikely(!original_strdup))
        resolve();
    uint64_t *births = recorder_enter();
    char *copy = original_strdup(text);
    recorder_leave(births);
    if (copy)
        born(copy, strlen(copy) + 1, CALLER);
    return copy;
}

EXPORT char *strndup(const char *text, size_t length)
{
    if (unlikely(!original_strndup))
        resolve();
    uint64_t *births = recorder_enter();
    char *copy = original_strndup(text, length);
    recorder_leave(births);
    if (copy)
        born(copy, strlen(copy) + 1, CALLER);
    return copy;
}

/* It enlarges its buffer and trims it at the end. So only the block that it returns is recorded. */
static int print(char **out, const char *format, va_list values, struct caller caller)
{
    uint64_t *births = recorder_enter();
    int length = original_vasprintf(out, format, values);
    recorder_leave(births);
    if (length >= 0)
        born(*out, (size_t)length + 1, caller);
    return length;
}

EXPORT int vasprintf(char **out, const char *format, va_list values)
{
    if (unlikely(!original_vasprintf))
        resolve();
    return print(out, format, values, CALLER);
}

EXPORT int asprintf(char **out, const char *format, ...)
{
    if (unlikely(!original_vasprintf))
        resolve();
    va_list values;
    va_start(values, format);
    int length = print(out, format, values, CALLER);
    va_end(values);
    return length;
}
