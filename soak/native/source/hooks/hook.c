/* What soak/inside/tracker.py calls by ctypes: hooks of Python's mem and obj domains, and the ledger file. */
#define _GNU_SOURCE
#include "hook.h"
#include "births/objects.h"
#include "callers/frames_hot.h"
#include "callers/passthrough.h"
#include "callers/stacks.h"
#include "openings/creations.h"
#include "openings/openings.h"
#include "recorder/mappings.h"
#include "recorder/system.h"
#include "snapshot.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* If this variable is 0 in the environment, tables are not packed. */
#define PACKING_VARIABLE "SOAK_PACK_TABLES"
#define PACKING_MOST_NS 4000000ull
#define EXPORT __attribute__((visibility("default")))
#define CALLER ((uintptr_t)__builtin_return_address(0))

#define ROW_CAPACITY 65536u
#define STRING_CAPACITY (1u << 20)
#define STACK_CAPACITY (1u << 17)

/* ---- Python's domains ---- */

/* PyMemAllocatorEx, the same from 3.5 on. */
struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *old, size_t size);
    void (*free)(void *context, void *address);
};

struct python_domain {
    struct allocator original;
    enum domain domain;
    int number; /* PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ */
    void *(*allocate)(size_t size);
    void (*release)(void *address);
};

static struct python_domain python_domains[2] HOT_DATA = {
    {.domain = DOMAIN_PYTHON_MEM, .number = 1},
    {.domain = DOMAIN_PYTHON_OBJ, .number = 2},
};
static void (*get_allocator)(int domain, struct allocator *allocator);
static void (*set_allocator)(int domain, struct allocator *allocator);

static struct ledger_header *ledger;
static uint32_t state;
static uint64_t reinstalled;
static uint64_t sequence;
static uint32_t trials_left; /* attempts to find a running frame, where no Python code starts the hook */
static int minor_version;    /* there */

static int (*add_pending_call)(int (*function)(void *), void *argument);
static int (*is_initialized)(void);
static long (*collect_garbage)(void);
static uint64_t wanted_collections, made_collections;

static void read_lines_if_they_fit(void);
static void collect_soon(void);
EXPORT int soak_start_objects(int major, int minor);

/* `address` is the last argument, because it is the result of the call before. */
static __attribute__((noinline)) void *born_slowly(const struct python_domain *domain, size_t size, uintptr_t caller,
                                                   void *address)
{
    if (!address || !recorder_is_on())
        return address;
    if (unlikely(trials_left))
        read_lines_if_they_fit();
    if (unlikely(load(&wanted_collections) != made_collections))
        collect_soon();
    uint32_t site = frames_current_site();
    if (!site)
        site = recorder_native_site(caller);
    int is_flagged = (site & SITE_WANTS_STACK) != 0;
    if (is_flagged)
        site = stacks_site(site & SITE_MASK, caller);
    recorder_born(recorder_births, address, size, site, domain->domain);
    if (is_flagged)
        snapshot_make_if_wanted();
    return address;
}

/* `site` is one if it is from 1 to SITE_LIMIT - 1. */
static inline __attribute__((always_inline)) void *python_born(const struct python_domain *domain, enum domain number,
                                                               uint64_t *births, uint64_t site, void *address,
                                                               size_t size, uintptr_t caller)
{
    objects_newest = (uintptr_t)address;
    if (unlikely(births <= RECORDER_INSIDE) || unlikely(site - 1 >= SITE_LIMIT - 1))
        goto slowly;
    uint64_t *leaf;
    if (likely(recorder_is_common(size)) && likely((leaf = recorder_leaf_since_start(address)) != NULL))
        recorder_write(leaf, births, address, (uint32_t)site, recorder_slot(address, size, (uint32_t)site, number));
    else if (likely(size <= SMALL_MOST) && likely((leaf = recorder_small_leaf(address)) != NULL))
        recorder_write_small(leaf, births, address, (uint32_t)site,
                             recorder_slot(address, size, (uint32_t)site, number));
    else
        goto slowly;
    return address;
slowly:
    return born_slowly(domain, size, caller, address);
}

static inline struct recorder_block python_died(const void *address)
{
    if (!address) /* realloc of nothing */
        return (struct recorder_block){0, 0};
    struct recorder_block block = recorder_died(address);
    if (unlikely(block.slot & CODE_BIT))
        frames_code_released(address, block);
    return block;
}

static __attribute__((noinline)) void domain_free_slowly(struct python_domain *domain, void *address)
{
    struct recorder_block block = {recorder_take_slot(address), 0};
    if (!block.slot)
        block.slot = recorder_take_small_slot(address);
    if (!block.slot)
        block = recorder_died_slowly(address);
    if (block.slot & CODE_BIT)
        frames_code_released(address, block);
    domain->original.free(domain->original.context, address);
}

/* Ends with a jump. */
static inline __attribute__((always_inline)) void domain_free(struct python_domain *domain, void *address)
{
    if (likely(recorder_forget_plain(address)))
        domain->original.free(domain->original.context, address);
    else
        domain_free_slowly(domain, address);
}

/* The functions of a domain, for one way to find the running instruction. What is constant in them costs nothing:
 * the domain is not the context of the allocator, but in their names.
 *
 * The site is looked up before the original is called, so that the loads overlap with its work. Objects above 512 bytes
 * go on to malloc, and get the same address or, with a debug allocator, one near it. recorder_enter keeps the hook of
 * malloc from recording them again, and the hook of free finds their slot empty. */
#define DOMAIN_FUNCTIONS(family, index, number)                                                                        \
    static HOT void *malloc_##index##_##family(void *context, size_t size)                                             \
    {                                                                                                                  \
        struct python_domain *domain = &python_domains[index];                                                         \
        (void)context;                                                                                                 \
        uint64_t site = frames_current_site_if_cached(family, frames_state_is_readable(family));                       \
        uint64_t *births = recorder_enter();                                                                           \
        void *address = domain->original.malloc(domain->original.context, size);                                       \
        recorder_leave(births);                                                                                        \
        return python_born(domain, number, births, site, address, size, CALLER);                                       \
    }                                                                                                                  \
    static HOT void *calloc_##index##_##family(void *context, size_t count, size_t size)                               \
    {                                                                                                                  \
        struct python_domain *domain = &python_domains[index];                                                         \
        (void)context;                                                                                                 \
        uint64_t site = frames_current_site_if_cached(family, frames_state_is_readable(family));                       \
        uint64_t *births = recorder_enter();                                                                           \
        void *address = domain->original.calloc(domain->original.context, count, size);                                \
        recorder_leave(births);                                                                                        \
        return python_born(domain, number, births, site, address, count * size, CALLER);                               \
    }                                                                                                                  \
    static HOT void *realloc_##index##_##family(void *context, void *old, size_t size)                                 \
    {                                                                                                                  \
        struct python_domain *domain = &python_domains[index];                                                         \
        (void)context;                                                                                                 \
        struct recorder_block block = python_died(old);                                                                \
        uint64_t site = frames_current_site_if_cached(family, frames_state_is_readable(family));                       \
        uint64_t *births = recorder_enter();                                                                           \
        void *address = domain->original.realloc(domain->original.context, old, size);                                 \
        recorder_leave(births);                                                                                        \
        if (unlikely(!address))                                                                                        \
            recorder_put_back(old, block);                                                                             \
        (void)python_born(domain, number, births, site, address, size, CALLER);                                        \
        if (likely(address != NULL))                                                                                   \
            recorder_keep_birth(address, block);                                                                       \
        return address;                                                                                                \
    }

#define FOR_BOTH_DOMAINS(family)                                                                                       \
    DOMAIN_FUNCTIONS(family, 0, DOMAIN_PYTHON_MEM)                                                                     \
    DOMAIN_FUNCTIONS(family, 1, DOMAIN_PYTHON_OBJ)

FOR_BOTH_DOMAINS(FRAMES_UNREAD)
FOR_BOTH_DOMAINS(FRAMES_BY_LASTI)
FOR_BOTH_DOMAINS(FRAMES_BY_CFRAME)
FOR_BOTH_DOMAINS(FRAMES_BY_CFRAME_START)
FOR_BOTH_DOMAINS(FRAMES_BY_STATE)

static HOT void free_0(void *context, void *address)
{
    (void)context;
    domain_free(&python_domains[0], address);
}

static HOT void free_1(void *context, void *address)
{
    (void)context;
    domain_free(&python_domains[1], address);
}

#define FUNCTIONS(index, family)                                                                                       \
    {NULL, malloc_##index##_##family, calloc_##index##_##family, realloc_##index##_##family, free_##index}
#define WRAPPERS(family) [family] = {FUNCTIONS(0, family), FUNCTIONS(1, family)}
static const struct allocator wrappers[][2] = {
    WRAPPERS(FRAMES_UNREAD),          WRAPPERS(FRAMES_BY_LASTI), WRAPPERS(FRAMES_BY_CFRAME),
    WRAPPERS(FRAMES_BY_CFRAME_START), WRAPPERS(FRAMES_BY_STATE),
};

static int is_ours(const struct allocator *allocator)
{
    return allocator->free == free_0 || allocator->free == free_1;
}

static void set_ours(int index)
{
    struct allocator ours = wrappers[frames.family][index];
    ours.context = &python_domains[index]; /* for a reader of the program's allocators; the functions do not need it */
    set_allocator(python_domains[index].number, &ours);
}

static int find(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void install(int index)
{
    get_allocator(python_domains[index].number, &python_domains[index].original);
    set_ours(index);
}

/* Runs when the interpreter is between two instructions. In an allocation it cannot make objects, which this needs. */
static int start_objects_now(void *unused)
{
    (void)unused;
    if (is_initialized())
        (void)soak_start_objects(3, minor_version);
    else
        (void)add_pending_call(start_objects_now, NULL); /* nothing can be imported yet */
    return 0;
}

static void start_objects_soon(void)
{
    if (add_pending_call && is_initialized)
        (void)add_pending_call(start_objects_now, NULL);
}

static int collect_now(void *unused)
{
    (void)unused;
    (void)collect_garbage(); /* does nothing while the program has disabled it */
    return 0;
}

/* A reader asks for a collection, because garbage that waits for one looks like memory that stays. */
static void collect_soon(void)
{
    made_collections = load(&wanted_collections);
    if (add_pending_call && collect_garbage)
        (void)add_pending_call(collect_now, NULL);
}

#define TRIALS 16384u
#define TRIALS_APART 64u /* because each opens a file */

/* Begins to read lines of Python when its first function runs, if the table of offsets fits. */
static void read_lines_if_they_fit(void)
{
    if (--trials_left % TRIALS_APART || memory_is_filtered)
        return;
    int saved = errno;
    uint64_t *births = recorder_enter();
    int failed = frames_check_running();
    recorder_leave(births);
    errno = saved;
    if (failed)
        return;
    trials_left = 0;
    for (int i = 0; i < 2; i++) {
        struct allocator now;
        get_allocator(python_domains[i].number, &now);
        if (!is_ours(&now)) /* another hook is before ours; installing ours again would remove it */
            return;
    }
    set_ours(0);
    set_ours(1);
    state |= STATE_PYTHON_LINES;
    start_objects_soon();
}

/* Code that replaces the allocators later (tracemalloc.stop, PYTHONMALLOC set in main) may remove our hook. A trial
 * block shows that, even if another hook is before ours. */
static int is_installed(struct python_domain *domain)
{
    void *trial = domain->allocate(1);
    struct recorder_block block = recorder_died(trial);
    recorder_put_back(trial, block);
    domain->release(trial);
    return block.slot != 0;
}

static void install_again_where_lost(void)
{
    for (int i = 0; i < 2; i++) {
        if (is_installed(&python_domains[i]))
            continue;
        struct allocator now;
        get_allocator(python_domains[i].number, &now);
        if (is_ours(&now)) /* ours, but the recorder had no memory for the trial block */
            continue;
        install(i);
        reinstalled++;
    }
}

/* ---- the ledger file ---- */

static uint64_t place(uint64_t *used, uint64_t bytes)
{
    uint64_t at = *used;
    *used += (bytes + 4095) & ~4095ull;
    return at;
}

static uint64_t lay_out(struct ledger_header *header)
{
    uint64_t used = LEDGER_HEADER_SIZE;
    header->row_capacity = ROW_CAPACITY;
    header->site_capacity = SITE_LIMIT;
    header->string_capacity = STRING_CAPACITY;
    header->stack_capacity = STACK_CAPACITY;
    header->sites_at = place(&used, (uint64_t)SITE_LIMIT * sizeof(struct site));
    header->strings_at = place(&used, STRING_CAPACITY);
    header->stacks_at = place(&used, (uint64_t)STACK_CAPACITY * sizeof(uint64_t));
    header->descriptors_at = place(&used, DESCRIPTORS_LIMIT * sizeof(struct opening));
    header->tasks_at = place(&used, TASKS_LIMIT * sizeof(struct opening));
    header->creations_at = place(&used, sizeof(struct creations));
    for (int i = 0; i < 2; i++)
        header->checkpoint_at[i] = place(&used, sizeof(struct ledger_checkpoint) + LEDGER_RANGES * sizeof(struct range)
                                                    + (uint64_t)SITE_LIMIT * sizeof(uint64_t)
                                                    + (uint64_t)ROW_CAPACITY * sizeof(struct ledger_row));
    header->file_size = used;
    return used;
}

/* Allocates the whole file: a store into a hole would kill the program when the disk is full. */
static void *map_file(const char *path, uint64_t size)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return NULL;
    int failed = posix_fallocate(file, 0, (off_t)size);
    void *memory = MAP_FAILED;
    if (!failed) {
        /* By system call, because it is not a mapping of the program. */
        memory = (void *)system_call(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0); // NOLINT
    }
    close(file);
    if (failed)
        errno = failed;
    return memory == MAP_FAILED ? NULL : memory;
}

static void *in_ledger(uint64_t at)
{
    return (char *)ledger + at;
}

/* Opens the ledger at `path`. Returns 0 or an errno. */
EXPORT int soak_open_ledger(const char *path)
{
    struct ledger_header header = {0};
    uint64_t size = lay_out(&header);
    if (ledger)
        return EEXIST;
    struct ledger_header *memory = map_file(path, size);
    if (!memory)
        return errno;
    header.version = LEDGER_VERSION;
    header.pid = (uint32_t)getpid();
    header.state = state;
    memcpy(memory, &header, sizeof header);
    /* The magic comes last: a reader that finds it finds the rest. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(memory->magic, LEDGER_MAGIC, sizeof memory->magic);
    ledger = memory;
    openings_start(in_ledger(header.descriptors_at), in_ledger(header.tasks_at));
    creations_start(in_ledger(header.creations_at));
    return 0;
}

static void flag_what_the_parent_asked_for(void)
{
    uint32_t asked = __atomic_load_n(&ledger->request_sequence, __ATOMIC_ACQUIRE);
    if (asked == ledger->request_done)
        return;
    for (uint32_t i = 0; i < ledger->request_count && i < LEDGER_REQUESTS; i++)
        if (recorder_flag(ledger->request_sites[i], SITE_FLAGGED) == 0)
            frames_forget(ledger->request_sites[i]);
    ledger->request_done = asked;
}

static void copy_names(struct ledger_checkpoint *checkpoint)
{
    memcpy(in_ledger(ledger->sites_at), recorder_site_at(0), checkpoint->sites * sizeof(struct site));
    const char *strings = frames_strings(&checkpoint->strings);
    if (strings)
        memcpy(in_ledger(ledger->strings_at), strings, checkpoint->strings);
    const uint64_t *words = stacks_words(&checkpoint->stacks);
    if (words)
        memcpy(in_ledger(ledger->stacks_at), words, checkpoint->stacks * sizeof *words);
}

/* Writes what is alive into the ledger. Allocates nothing. Returns the number of the checkpoint, or -1. */
EXPORT long soak_checkpoint(void)
{
    /* A forked child shares the file with its parent, and must not write to it. */
    if (!ledger || ledger->pid != (uint32_t)getpid())
        return -1;
    if (state & STATE_PYTHON_DOMAINS)
        install_again_where_lost();
    uint32_t index = ledger->latest == 1 ? 1 : 0;
    struct ledger_checkpoint *checkpoint = in_ledger(ledger->checkpoint_at[index]);
    struct range *ranges = (struct range *)(checkpoint + 1);
    uint64_t *births = (uint64_t *)(ranges + LEDGER_RANGES);
    struct ledger_row *rows = (struct ledger_row *)(births + ledger->site_capacity);
    memset(checkpoint, 0, sizeof *checkpoint);
    if (!objects_settle())
        state &= ~(uint32_t)STATE_OBJECTS;
    recorder_count(checkpoint, rows, ledger->row_capacity, births, ledger->site_capacity);
    mappings_count(checkpoint, rows, ledger->row_capacity);
    copy_names(checkpoint);
    recorder_pack(&ledger->saved_bytes, &ledger->packing_turn); /* it may add a range */
    checkpoint->ranges = (uint32_t)recorder_ranges(ranges, LEDGER_RANGES);
    checkpoint->reinstalled = reinstalled;
    checkpoint->sequence = ++sequence;
    ledger->state = state;
    if (state & STATE_NATIVE_STACKS)
        passthrough_mark_sites();
    __atomic_store_n(&ledger->latest, index + 1, __ATOMIC_RELEASE);
    flag_what_the_parent_asked_for();
    return (long)sequence;
}

/* ---- the rest of the hook ---- */

EXPORT int soak_layout_version(void)
{
    return LEDGER_VERSION;
}

/* Returns where the program stores the number of its cycle. */
EXPORT uint64_t *soak_cycle(void)
{
    return &recorder_control.cycle;
}

EXPORT uint32_t soak_state(void)
{
    return state;
}

/* Begins; returns the state: what is recorded from now on. */
EXPORT uint32_t soak_start(void)
{
    state |= recorder_control.recording ? STATE_NATIVE : 0;
    const char *packing = getenv(PACKING_VARIABLE);
    recorder_control.packing_ns = packing && strcmp(packing, "0") == 0 ? 0 : PACKING_MOST_NS;
    if (stacks_start())
        state |= STATE_NATIVE_STACKS;
    return state;
}

/* Lets a checkpoint pack tables for at most this long; call it after soak_start. */
EXPORT void soak_pack_within(uint64_t most_ns)
{
    if (most_ns < recorder_control.packing_ns)
        recorder_control.packing_ns = most_ns;
}

/* Hooks Python's mem and obj domains. Returns 0, or -1 for an interpreter without such functions. */
EXPORT int soak_start_python(void)
{
    if (state & STATE_PYTHON_DOMAINS)
        return 0;
    if (!find("PyMem_GetAllocator", &get_allocator) || !find("PyMem_SetAllocator", &set_allocator)
        || !find("PyMem_Malloc", &python_domains[0].allocate) || !find("PyMem_Free", &python_domains[0].release)
        || !find("PyObject_Malloc", &python_domains[1].allocate) || !find("PyObject_Free", &python_domains[1].release))
        return -1;
    (void)find("Py_AddPendingCall", &add_pending_call);
    (void)find("Py_IsInitialized", &is_initialized);
    (void)find("PyGC_Collect", &collect_garbage);
    install(0);
    install(1);
    state |= STATE_PYTHON_DOMAINS;
    return 0;
}

/* Begins to read Python's frames, if the table fits. Returns 0, -1 for an unknown version, or the failed check. */
EXPORT int soak_start_lines(int major, int minor, const struct known_frame *known)
{
    if (frames_start(major, minor))
        return -1;
    int failed = frames_check(known);
    if (!failed)
        state |= STATE_PYTHON_LINES;
    return failed;
}

/* Begins to follow the objects that take over the blocks of others. Returns enum objects_result. */
EXPORT int soak_start_objects(int major, int minor)
{
    enum objects_result result = objects_start(major, minor);
    if (result == OBJECTS_FOLLOWED)
        state |= STATE_OBJECTS;
    return (int)result;
}

/* Ends that for good. */
EXPORT void soak_stop_objects(void)
{
    objects_stop();
}

/* Returns the site of the block at exactly this address; 0 when there is none. */
EXPORT uint32_t soak_site_of(const void *address)
{
    return recorder_site_of(address);
}

/* ---- in a program that does not start the hook ---- */

void hook_start_unasked(void)
{
    const char *(*version)(void);
    (void)soak_start();
    if (!find("Py_GetVersion", &version)) {
        state |= STATE_NO_PYTHON;
        return;
    }
    if (strstr(version(), "free-threading"))
        return;
    char *rest;
    int major = (int)strtol(version(), &rest, 10);
    minor_version = *rest == '.' ? (int)strtol(rest + 1, NULL, 10) : -1;
    int known = frames_start(major, minor_version) == 0;
    if (soak_start_python() == 0 && known)
        trials_left = TRIALS;
}

void hook_note_filter(int filters)
{
    state = filters ? state | STATE_FILTERED : state & ~(uint32_t)STATE_FILTERED;
}

void hook_places(struct tables *tables)
{
    tables->state_at = (uintptr_t)&state;
    tables->wanted_collections_at = (uintptr_t)&wanted_collections;
    recorder_places(tables);
    mappings_places(tables);
    frames_places(tables);
    stacks_places(tables);
    labels_places(tables);
    snapshot_places(tables);
}

/* Marks the beginning of a cycle in a program in C under soak watch. A program that declares it weak and tests it
 * also runs without soak. */
EXPORT void soak_mark(void)
{
    __atomic_fetch_add(&recorder_control.cycle, 1, __ATOMIC_RELAXED);
}
