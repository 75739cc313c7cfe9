/* Captures stacks, makes a site of each distinct one, and limits the time that this takes. */
#define _GNU_SOURCE
#include "stacks.h"
#include "frames.h"
#include "recorder/recorder_hot.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#define WORDS_LIMIT (1u << 17)
#define NATIVE_LIMIT 64
#define PYTHON_LIMIT 48
#define STACKS_PER_SITE 256
#define PERIOD_LIMIT 65536

/* Capturing may take 1/32 of the time since the first flag, and BUDGET_AT_ONCE_NS in addition. */
#define BUDGET_PARTS 32
#define BUDGET_AT_ONCE_NS 50000000

struct walk {
    uint64_t *frames;
    size_t count;
    uintptr_t from;
};

static uint64_t *words;
static uint32_t words_used = 1; /* 0 is "no stack" */
static int native_stacks;
static uint64_t first_ns;
static uint64_t spent_ns;
static uint32_t period = 1;
static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static __thread struct range own_stack __attribute__((tls_model("initial-exec")));

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
    struct walk *walk = argument;
    uintptr_t address = _Unwind_GetIP(context);
    if (!walk->count && address != walk->from)
        return _URC_NO_REASON; /* the tracker's own frames */
    if (!address || walk->count == NATIVE_LIMIT)
        return _URC_END_OF_STACK;
    walk->frames[walk->count++] = address;
    return _URC_NO_REASON;
}

/* Finds the bounds of this thread's stack. Without pthread_getattr_np in the main thread, where it opens a file. */
static void find_own_stack(void)
{
    if (getpid() == gettid()) {
        void **stack_end = dlsym(RTLD_DEFAULT, "__libc_stack_end");
        struct rlimit limit;
        if (!stack_end || getrlimit(RLIMIT_STACK, &limit))
            return;
        rlim_t most = (rlim_t)1 << 30;
        own_stack.end = (uintptr_t)*stack_end;
        own_stack.start = own_stack.end - (limit.rlim_cur < most ? limit.rlim_cur : most);
        return;
    }
    pthread_attr_t attributes;
    void *start;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes))
        return;
    if (pthread_attr_getstack(&attributes, &start, &size) == 0)
        own_stack = (struct range){(uintptr_t)start, (uintptr_t)start + size};
    pthread_attr_destroy(&attributes);
}

/* The unwinder may fail on the stack of a greenlet or a signal handler. */
static int on_own_stack(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (!own_stack.end)
        find_own_stack();
    return here >= own_stack.start && here < own_stack.end;
}

static int is_sampled(uint64_t now)
{
    if (!first_ns)
        first_ns = now;
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 33 < (1ull << 31) / load(&period);
}

/* Doubles or halves the mean distance between samples. The samples are random, because the first allocations of a
 * burst may all be released again. */
static void adapt_period(uint64_t before)
{
    uint64_t now = now_ns();
    spent_ns += now - before;
    uint64_t budget = BUDGET_AT_ONCE_NS + (now - first_ns) / BUDGET_PARTS;
    uint32_t old = load(&period); /* once: another thread may change it, and it must not become 0 */
    if (spent_ns > budget && old < PERIOD_LIMIT)
        store(&period, old * 2);
    else if (spent_ns < budget / 2 && old > 1)
        store(&period, old / 2);
}

static uint32_t intern(enum site_kind kind, uint32_t site, const uint64_t *frames, size_t native, size_t python)
{
    uint64_t key = recorder_mix(site);
    for (size_t i = 0; i < native + python; i++)
        key = recorder_mix(key * 31 + frames[i]);
    key = (uint64_t)kind << 56 | key >> 8;
    uint32_t known = recorder_site(key, NULL);
    if (known)
        return known;
    struct site *base = recorder_site_at(site);
    size_t length = 1 + native + python;
    size_t most = kind == SITE_OPENING ? WORDS_LIMIT / 2 : WORDS_LIMIT; /* leaves room for the stacks of blocks */
    uint32_t at = __atomic_load_n(&words_used, __ATOMIC_RELAXED);
    do {
        if (at + length > most || base->stacks >= STACKS_PER_SITE)
            return site;
    } while (
        !__atomic_compare_exchange_n(&words_used, &at, at + (uint32_t)length, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    words[at] = native | (uint64_t)python << 32;
    memcpy(&words[at + 1], frames, (native + python) * sizeof *frames);
    int created;
    uint32_t stack = recorder_site(key, &created);
    if (created) {
        recorder_site_at(stack)->parent = site;
        recorder_site_at(stack)->address = at;
        __atomic_fetch_add(&base->stacks, 1, __ATOMIC_RELAXED);
    }
    return stack;
}

static size_t walk_native(uint64_t *frames, uintptr_t return_address)
{
    struct walk walk = {frames, 0, return_address};
    if (native_stacks && on_own_stack())
        (void)_Unwind_Backtrace(add_frame, &walk);
    if (!walk.count)
        frames[walk.count++] = return_address;
    return walk.count;
}

uint32_t stacks_site(uint32_t site, uintptr_t return_address)
{
    uint64_t frames[NATIVE_LIMIT + PYTHON_LIMIT];
    if (!words || memory_is_filtered)
        return site;
    uint64_t before = now_ns();
    if (!is_sampled(before))
        return site;
    uint64_t *births = recorder_enter();
    size_t native = walk_native(frames, return_address);
    size_t python = frames_walk(frames + native, PYTHON_LIMIT);
    uint32_t stack = intern(SITE_STACK, site, frames, native, python);
    adapt_period(before);
    recorder_leave(births);
    return stack == 1 ? site : stack;
}

uint32_t stacks_opening(uintptr_t return_address)
{
    uint64_t frames[NATIVE_LIMIT + PYTHON_LIMIT];
    frames[0] = return_address;
    uint64_t *births = recorder_enter();
    uint64_t before = now_ns();
    int sampled = words && is_sampled(before);
    size_t native = sampled ? walk_native(frames, return_address) : 1;
    size_t python = frames_walk(frames + native, PYTHON_LIMIT);
    /* The parent is the running line, where there is one. The interpreter opens every file at one return address, and
     * the number of stacks of one site is limited. */
    uint32_t site = python ? frames[native] & SITE_MASK : recorder_native_site(return_address) & SITE_MASK;
    uint32_t stack = words ? intern(SITE_OPENING, site, frames, native, python) : site;
    if (sampled)
        adapt_period(before);
    recorder_leave(births);
    return stack == 1 ? site : stack;
}

const uint64_t *stacks_words(uint32_t *used)
{
    *used = __atomic_load_n(&words_used, __ATOMIC_ACQUIRE);
    return words;
}

void stacks_places(struct tables *tables)
{
    tables->stacks = (uintptr_t)words;
    tables->stacks_used_at = (uintptr_t)&words_used;
}

int stacks_start(void)
{
    if (!words)
        words = recorder_reserve(WORDS_LIMIT * sizeof *words);
    /* Before glibc 2.35 the unwinder takes the loader's lock. Another thread may hold it and wait for this one. */
    native_stacks = words && dlsym(RTLD_DEFAULT, "_dl_find_object");
    if (native_stacks) {
        uint64_t frames[NATIVE_LIMIT];
        struct walk walk = {frames, 0, (uintptr_t)__builtin_return_address(0)};
        uint64_t *births = recorder_enter();
        (void)_Unwind_Backtrace(add_frame, &walk);
        recorder_leave(births);
    }
    return native_stacks;
}
