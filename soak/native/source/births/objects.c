/* Gives a block the birth of the object that takes it over. */
#define _GNU_SOURCE
#include "objects.h"
#include "callers/frames_hot.h"
#include "callers/stacks.h"
#include "finalizing.h"
#include "hooks/snapshot.h"
#include "recorder/packing.h"
#include "references.h"

#include <dlfcn.h>

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* The same in CPython 3.8 to 3.15. */
#define OBJECT_TYPE 8
#define TYPE_FLAGS 168
#define TYPE_HAS_GC (1ul << 14)
#define TYPE_HAS_PREHEADER (3ul << 3) /* a managed dict or weak references: two words before the header of gc */
#define TYPE_IS_DICT (1ul << 29)
#define GC_HEADER 16
#define PREHEADER 16
#define DICT_KEYS 32     /* PyDictObject.ma_keys */
#define KEYS_LOG2_SIZE 8 /* PyDictKeysObject; before 3.11 its size is there */
#define SMALLEST_LOG2 3

#define CREATED 0 /* PyRefTracer_CREATE */

#define YOUNG_LIMIT 256u

uintptr_t objects_newest HOT_DATA;

static int minor_version;
/* The type of frames in 3.8 and 3.9, where each code object keeps its last frame for its next call, also when garbage
 * is collected. If such a frame were born at each call, it would seem to grow wherever it was called last. */
static char *kept_by_code;
static int (*set_tracer)(int (*)(void *, int, void *), void *);
static int (*(*get_tracer)(void **))(void *, int, void *);

/* The youngest dicts, in a ring. Addresses are kept inverted: a scan of memory must not take them for pointers that
 * hold the dicts. */
static struct young {
    uintptr_t dict;
    uintptr_t type;
    uintptr_t block;
} young[YOUNG_LIMIT];
static uint32_t young_next;

static inline uintptr_t hidden(const void *address)
{
    return ~(uintptr_t)address;
}

static inline char *shown(uintptr_t address)
{
    return (char *)~address; // NOLINT
}

static inline uintptr_t block_of(const char *object, uint64_t flags)
{
    return (uintptr_t)object - (flags & TYPE_HAS_GC ? GC_HEADER : 0) - (flags & TYPE_HAS_PREHEADER ? PREHEADER : 0);
}

static inline uint64_t flags_of(const char *type)
{
    return (uint64_t)pointer_at(type, TYPE_FLAGS);
}

/* ---- tables of dicts ---- */

/* Only the smallest tables are kept in a free list. A table that a dict shares with others has no owner. */
static int is_own_smallest_table(const char *keys)
{
    int is_smallest = minor_version < 11 ? int_at(keys, KEYS_LOG2_SIZE) == 1 << SMALLEST_LOG2
                                         : keys[KEYS_LOG2_SIZE] == SMALLEST_LOG2;
    return is_smallest && int_at(keys, 0) == 1;
}

/* A table is not an object, so CPython calls nothing when a dict takes one over. But the dict has a pointer to its
 * table, once it has its first key. */
static void settle(const struct young *entry)
{
    const char *dict = shown(entry->dict), *block = shown(entry->block);
    /* While the block of the dict is tracked, its memory can be read. A dict in a free list has no references. */
    uint64_t slot = recorder_word(block);
    if (!(slot & SITE_MASK) || pointer_at(dict, OBJECT_TYPE) != shown(entry->type) || !int_at(dict, 0))
        return;
    char *keys = pointer_at(dict, DICT_KEYS);
    uint64_t slot_of_keys = recorder_word(keys);
    if (slot_of_keys & SITE_MASK && !recorder_is_same_birth(slot, slot_of_keys) && is_own_smallest_table(keys))
        recorder_share_birth(keys, block);
}

static void settle_all(void)
{
    for (uint32_t i = 0; i < YOUNG_LIMIT; i++)
        if (young[i].dict)
            settle(&young[i]);
}

static __attribute__((noinline)) void note_dict(char *dict)
{
    char *type = pointer_at(dict, OBJECT_TYPE);
    struct young *entry = &young[young_next++ % YOUNG_LIMIT];
    if (likely(entry->dict != 0))
        settle(entry);
    *entry = (struct young){hidden(dict), hidden(type), ~block_of(dict, flags_of(type))};
}

/* ---- objects ---- */

/* All of these return `answer`, so that their callers end with a jump to them, and need to keep nothing. */
static __attribute__((noinline)) int take_over_slowly(const void *block, uintptr_t caller, int answer)
{
    if (!recorder_is_on() || !recorder_site_of(block))
        return answer;
    uint32_t site = frames_current_site();
    if (!site)
        site = recorder_native_site(caller);
    int is_flagged = (site & SITE_WANTS_STACK) != 0;
    if (is_flagged)
        site = stacks_site(site & SITE_MASK, caller);
    recorder_take_over(block, site);
    if (is_flagged)
        snapshot_make_if_wanted();
    return answer;
}

/* An object that may be in a block which it took over. */
static inline __attribute__((always_inline)) int followed(char *object, uintptr_t caller, int answer,
                                                          enum frame_family family, int is_readable)
{
    char *type = pointer_at(object, OBJECT_TYPE);
    void *block = (void *)block_of(object, flags_of(type)); // NOLINT
    if ((uintptr_t)block == objects_newest) {
        objects_newest = 0;
        return answer;
    }
    if (unlikely(type == kept_by_code))
        return answer;
    uint64_t *births = recorder_births;
    uint64_t site = frames_current_site_if_cached(family, is_readable);
    uint64_t *leaf = recorder_leaf_since_start(block);
    if (unlikely(births <= RECORDER_INSIDE) || unlikely(site - 1 >= SITE_LIMIT - 1) || unlikely(!leaf))
        return take_over_slowly(block, caller, answer);
    uint64_t slot = load(&leaf[(uintptr_t)block >> GRAIN_BITS]);
    if (likely((slot & SITE_MASK) != 0))
        recorder_write(leaf, births, block, (uint32_t)site, recorder_slot_of_heir(slot, (uint32_t)site));
    else if (!slot && load(&packing_packed))
        return take_over_slowly(block, caller, answer);
    return answer;
}

static inline int is_dict(const char *object)
{
    return (flags_of(pointer_at(object, OBJECT_TYPE)) & TYPE_IS_DICT) != 0;
}

/* What is called for each new object, for one way to find the running instruction. Nearly every object is in the newest
 * block. That block is then no longer the newest: the object may die, and the next one take it over, before Python's
 * allocators are called again. */
#define BIRTHS(family, is_readable)                                                                                    \
    static __attribute__((noinline)) int dict_born_##family##_##is_readable(char *object, uintptr_t caller,            \
                                                                            int answer)                                \
    {                                                                                                                  \
        note_dict(object);                                                                                             \
        return followed(object, caller, answer, family, is_readable);                                                  \
    }                                                                                                                  \
    static inline __attribute__((always_inline)) int born_##family##_##is_readable(char *object, uintptr_t caller,     \
                                                                                   int answer)                         \
    {                                                                                                                  \
        uintptr_t before = (uintptr_t)object - objects_newest;                                                         \
        if (before && (before != GC_HEADER || unlikely(is_dict(object)))) {                                            \
            if (is_dict(object))                                                                                       \
                return dict_born_##family##_##is_readable(object, caller, answer);                                     \
            return followed(object, caller, answer, family, is_readable);                                              \
        }                                                                                                              \
        objects_newest = 0;                                                                                            \
        return answer;                                                                                                 \
    }                                                                                                                  \
    /* In place of a function of tracemalloc; the answer is its own for a block that it does not know. */              \
    static HOT int reference_born_##family##_##is_readable(void *object)                                               \
    {                                                                                                                  \
        return born_##family##_##is_readable(object, CALLER, -1);                                                      \
    }                                                                                                                  \
    /* In place of _Py_NewReference, whose work in a release build is the first line. */                               \
    static HOT void reference_made_##family##_##is_readable(void *object)                                              \
    {                                                                                                                  \
        *(int64_t *)object = 1;                                                                                        \
        (void)born_##family##_##is_readable(object, CALLER, 0);                                                        \
    }                                                                                                                  \
    static HOT int traced_##family##_##is_readable(void *object, int event, void *data)                                \
    {                                                                                                                  \
        (void)data;                                                                                                    \
        return event == CREATED ? born_##family##_##is_readable(object, CALLER, 0) : 0;                                \
    }
BIRTHS(FRAMES_UNREAD, 0)
BIRTHS(FRAMES_BY_LASTI, 0)
BIRTHS(FRAMES_BY_LASTI, 1)
BIRTHS(FRAMES_BY_CFRAME, 0)
BIRTHS(FRAMES_BY_CFRAME, 1)
BIRTHS(FRAMES_BY_CFRAME_START, 0)
BIRTHS(FRAMES_BY_CFRAME_START, 1)
BIRTHS(FRAMES_BY_STATE, 0)
BIRTHS(FRAMES_BY_STATE, 1)

#define WAY(family, is_readable)                                                                                       \
    {reference_born_##family##_##is_readable, reference_made_##family##_##is_readable, traced_##family##_##is_readable}
#define WAYS(family) [family] = {WAY(family, 0), WAY(family, 1)}
static const struct way {
    int (*reference_born)(void *object);
    void (*reference_made)(void *object);
    int (*traced)(void *object, int event, void *data);
} ways[][2] = {
    [FRAMES_UNREAD] = {WAY(FRAMES_UNREAD, 0), WAY(FRAMES_UNREAD, 0)},
    WAYS(FRAMES_BY_LASTI),
    WAYS(FRAMES_BY_CFRAME),
    WAYS(FRAMES_BY_CFRAME_START),
    WAYS(FRAMES_BY_STATE),
};
static const struct way *way;

/* ---- start and end ---- */

static int find(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

static enum objects_result start_tracer(void)
{
    void *data;
    if (!find("PyRefTracer_SetTracer", &set_tracer) || !find("PyRefTracer_GetTracer", &get_tracer))
        return OBJECTS_UNKNOWN_VERSION;
    if (get_tracer(&data))
        return OBJECTS_TRACED;
    return set_tracer(way->traced, NULL) == 0 ? OBJECTS_FOLLOWED : OBJECTS_NOT_FOUND;
}

/* The interpreter ends tracemalloc when it finalizes. Then the flag must say that nothing is traced. */
static enum objects_result start_references(int minor)
{
    if (finalizing_calls(objects_stop) != 0)
        return OBJECTS_NOT_FOUND;
    return references_start(minor, way->reference_born, way->reference_made);
}

enum objects_result objects_start(int major, int minor)
{
    if (major != 3 || minor < 8)
        return OBJECTS_UNKNOWN_VERSION;
    minor_version = minor;
    way = &ways[frames.family][frames_state_is_readable(frames.family)];
    if (minor < 10)
        (void)find("PyFrame_Type", &kept_by_code);
    return minor >= 13 ? start_tracer() : start_references(minor);
}

void objects_stop(void)
{
    void *data;
    if (!minor_version)
        return;
    settle_all();
    if (minor_version < 13)
        references_stop();
    else if (get_tracer(&data) == way->traced)
        (void)set_tracer(NULL, NULL);
}

void objects_stop_in_child(void)
{
    references_stop_in_child();
}

int objects_settle(void)
{
    void *data;
    if (!minor_version)
        return 0;
    settle_all();
    return minor_version < 13 ? references_are_followed() : get_tracer(&data) == way->traced;
}
