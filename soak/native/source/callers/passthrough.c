/* Finds the caller of a function that only passes an allocation on, such as operator new. */
#define _GNU_SOURCE
#include "passthrough.h"
#include "recorder/recorder_hot.h"

#include <dlfcn.h>
#include <string.h>
#include <unwind.h>

#define KNOWN_LIMIT 256
#define NESTED_LIMIT 4
#define LARGEST_FRAME 512
#define TRUSTED 3 /* how often the same size of the frame must have been seen */

/* At one instruction of a function whose frame does not vary, the frame always has the same size. So the return address
 * to its caller is at a fixed distance. The unwinder finds it a few times; after that one load does. */
struct known {
    uintptr_t return_address;
    uint32_t frame_size;
    uint32_t seen;
};

static struct known known[KNOWN_LIMIT];
static uint32_t named_sites;

static const char *const prefixes[] = {"_Znw",     "_Zna",      "g_malloc", "g_realloc",     "g_try_malloc",
                                       "g_strdup", "g_strndup", "g_memdup", "g_slice_alloc", "g_slice_copy",
                                       "xmalloc",  "xcalloc",   "xrealloc"};

static int passes_through(uintptr_t address)
{
    Dl_info found;
    if (!dladdr((void *)address, &found) || !found.dli_sname) // NOLINT
        return 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(found.dli_sname, prefixes[i], strlen(prefixes[i])) == 0)
            return 1;
    return 0;
}

static struct known *find_known(uintptr_t return_address, int make)
{
    uint32_t place = (uint32_t)recorder_mix(return_address) % KNOWN_LIMIT;
    for (uint32_t probe = 0; probe < KNOWN_LIMIT; probe++, place = (place + 1) % KNOWN_LIMIT) {
        uintptr_t found = load(&known[place].return_address);
        if (found == return_address)
            return &known[place];
        if (found)
            continue;
        if (!make)
            return NULL;
        /* Only a checkpoint creates an entry, and there is one checkpoint at a time. */
        store(&known[place].return_address, return_address);
        return &known[place];
    }
    return NULL;
}

void passthrough_mark_sites(void)
{
#if defined(__x86_64__) /* elsewhere the return address has no fixed place in the frame */
    uint32_t count = recorder_site_count();
    for (; named_sites < count; named_sites++) {
        struct site *site = recorder_site_at(named_sites);
        /* The call is the instruction before the return address. */
        if (site->kind == SITE_NATIVE && passes_through(site->address - 1) && find_known(site->address, 1))
            (void)recorder_flag(named_sites, SITE_PASSES_THROUGH);
    }
#endif
}

struct search {
    uintptr_t wanted;
    uintptr_t frame;
    uintptr_t caller_frame;
    uintptr_t caller;
};

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *argument)
{
    struct search *search = argument;
    if (search->frame) {
        search->caller_frame = _Unwind_GetCFA(context);
        search->caller = _Unwind_GetIP(context);
        return _URC_END_OF_STACK;
    }
    if (_Unwind_GetIP(context) == search->wanted)
        search->frame = _Unwind_GetCFA(context);
    return _URC_NO_REASON;
}

/* Finds the caller by the unwinder, while the size of the frame is not certain. 0 when it cannot be found. */
static uintptr_t learn(struct known *entry, uintptr_t frame)
{
    struct search search = {entry->return_address, 0, 0, 0};
    uint64_t *births = recorder_enter();
    (void)_Unwind_Backtrace(look, &search);
    recorder_leave(births);
    uintptr_t size = search.caller_frame - search.frame;
    if (!search.caller || search.frame != frame || size > LARGEST_FRAME || size < sizeof(uintptr_t)
        || *(uintptr_t *)(search.caller_frame - sizeof(uintptr_t)) != search.caller) // NOLINT
        return 0;
    if (load(&entry->frame_size) == size) {
        store(&entry->seen, load(&entry->seen) + 1);
    } else {
        store(&entry->seen, 1);
        store(&entry->frame_size, (uint32_t)size);
    }
    return search.caller;
}

uintptr_t passthrough_caller(uintptr_t return_address, uintptr_t frame)
{
    for (int i = 0; i < NESTED_LIMIT; i++) {
        struct known *entry = find_known(return_address, 0);
        if (!entry)
            break;
        uintptr_t caller = 0;
        if (load(&entry->seen) < TRUSTED)
            caller = learn(entry, frame);
        else
            caller = *(uintptr_t *)(frame + load(&entry->frame_size) - sizeof(uintptr_t)); // NOLINT
        if (!caller)
            break;
        frame += load(&entry->frame_size);
        return_address = caller;
    }
    return return_address;
}
