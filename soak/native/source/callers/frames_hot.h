/* The part of frames.c that every Python allocation passes through, inline. */
#ifndef SOAK_FRAMES_HOT_H
#define SOAK_FRAMES_HOT_H

#include "frames.h"
#include "recorder/recorder_hot.h"

#include <string.h>

#define FRAMES_CACHE_SIZE (1u << 16)
#define BYTES_DATA 32 /* PyBytesObject.ob_sval */

/* The function that returns the state of the running thread, or NULL, without checking. */
#define STATE_UNTIL_3_12 "_PyThreadState_UncheckedGet"
#define STATE_FROM_3_13 "PyThreadState_GetUnchecked"

/* Where CPython keeps the running frame: offsets in bytes, or NOT_THERE. */
#define NOT_THERE (-1)
struct frame_layout {
    long state_frame;  /* PyThreadState.frame, .current_frame or .cframe */
    long cframe_frame; /* _PyCFrame.current_frame */
    long previous;
    long code;
    long instruction; /* f_lasti up to 3.10, from 3.11 an address */
    long owner;       /* from 3.12: tells frames of C entries, which are between those of Python */
    long is_entry;    /* 3.11 only */
    long code_file, code_function, code_first_line;
    long code_bytes; /* co_code up to 3.10, from 3.11 the bytecode itself */
    long lasti_unit; /* bytes; 0: the instruction is an address */
    int minor;
    const char *thread_state; /* function that returns it without checking */
    long state_in_runtime;    /* _PyRuntime.gilstate.tstate_current, up to 3.11 */
};

/* The ways to find the running instruction. The offsets that all versions of a way share are constants. */
enum frame_family {
    FRAMES_UNREAD,
    FRAMES_BY_LASTI,        /* 3.8 to 3.10 */
    FRAMES_BY_CFRAME,       /* 3.11 */
    FRAMES_BY_CFRAME_START, /* 3.12: the frame is the first word of the cframe */
    FRAMES_BY_STATE,        /* from 3.13 on */
};
#define CFRAME_IN_STATE 56
#define FRAME_IN_CFRAME 8 /* 3.11 */
#define FRAME_IN_STATE 72
#define INSTRUCTION_IN_FRAME 56
#define LASTI_UNIT_SHARED 2 /* of the version in which functions share bytecode */

struct frames {
    char *(*thread_state)(void);
    char **state_variable;    /* what thread_state returns, up to 3.11; NULL: only the function knows it */
    long state_offset;        /* the same from 3.12 on, where each thread has its own: from the thread pointer; or 0 */
    enum frame_family family; /* FRAMES_UNREAD until the layout has been checked */
    uint64_t *cache;          /* address >> 1 and site in one word, as in the recorder */
    struct frame_layout layout;
};
extern struct frames frames HIDDEN;

static inline char *pointer_at(const char *base, long offset)
{
    char *value;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

static inline int int_at(const char *base, long offset)
{
    int value;
    memcpy(&value, base + offset, sizeof value);
    return value;
}

/* Whether the place of the running state is known, so that it can be read without a call. */
static inline __attribute__((always_inline)) int frames_state_is_readable(enum frame_family family)
{
    return family < FRAMES_BY_CFRAME_START ? frames.state_variable != NULL : frames.state_offset != 0;
}

/* Reads it there. */
static inline __attribute__((always_inline)) char *frames_state(enum frame_family family)
{
    if (family < FRAMES_BY_CFRAME_START)
        return load(frames.state_variable);
#if defined(__x86_64__)
    char *state;
    __asm__ volatile("movq %%fs:(%1), %0" : "=r"(state) : "r"(frames.state_offset));
    return state;
#else
    return frames.thread_state();
#endif
}

static inline char *frames_newest(char *state)
{
    if (!state)
        return NULL;
    char *frame = pointer_at(state, frames.layout.state_frame);
    return frames.layout.cframe_frame == NOT_THERE || !frame ? frame : pointer_at(frame, frames.layout.cframe_frame);
}

static inline uintptr_t frames_instruction_of(const char *frame)
{
    if (!frames.layout.lasti_unit)
        return (uintptr_t)pointer_at(frame, frames.layout.instruction);
    const char *bytecode = pointer_at(pointer_at(frame, frames.layout.code), frames.layout.code_bytes) + BYTES_DATA;
    return (uintptr_t)(bytecode + (long)int_at(frame, frames.layout.instruction) * frames.layout.lasti_unit);
}

static inline uint64_t *frames_cache_place(uintptr_t instruction)
{
    /* Adjacent instructions have adjacent places, so that frames_code_released finds those of one code object. */
    uintptr_t offset = (instruction & (FRAMES_CACHE_SIZE - 1) << 1) * (sizeof *frames.cache / 2);
    return (uint64_t *)((char *)frames.cache + offset);
}

/* In 3.10 the compiler makes functions of equal bytecode share it, so the address alone does not tell the function. */
static inline uint64_t frames_cache_tag(const char *frame, uintptr_t instruction, enum frame_family family)
{
    if (family != FRAMES_BY_LASTI)
        return (uint64_t)instruction << (SITE_BITS - 1); /* an address of 2-byte units is even */
    uint64_t tag = instruction >> 1;
    if (frames.layout.lasti_unit == LASTI_UNIT_SHARED)
        tag += (uint64_t)pointer_at(frame, frames.layout.code) * 0x9e3779b97f4a7c15ull;
    return tag << SITE_BITS;
}

uint32_t frames_site_slowly(char *frame, uintptr_t instruction);

static inline uint32_t frames_cached_site(char *frame, uintptr_t instruction, enum frame_family family)
{
    uint64_t site = load(frames_cache_place(instruction)) ^ frames_cache_tag(frame, instruction, family);
    return likely(site < SITE_LIMIT && site) ? (uint32_t)site : frames_site_slowly(frame, instruction);
}

static inline uint32_t frames_site_of(char *frame)
{
    return frames_cached_site(frame, frames_instruction_of(frame), frames.family);
}

/* The frame that runs now; NULL when no Python code runs. `family` is a constant, so most tests vanish. So may
 * `is_readable` be: what frames_state_is_readable returns. */
static inline __attribute__((always_inline)) char *frames_running(enum frame_family family, int is_readable)
{
    char *state = likely(is_readable) ? frames_state(family) : frames.thread_state();
    if (family == FRAMES_BY_LASTI)
        return frames_newest(state);
    if (unlikely(!state))
        return NULL;
    if (family == FRAMES_BY_STATE)
        return pointer_at(state, FRAME_IN_STATE);
    char *cframe = pointer_at(state, CFRAME_IN_STATE); /* never NULL */
    return pointer_at(cframe, family == FRAMES_BY_CFRAME ? FRAME_IN_CFRAME : 0);
}

/* Its instruction. */
static inline __attribute__((always_inline)) uintptr_t frames_running_instruction(const char *frame,
                                                                                  enum frame_family family)
{
    return family == FRAMES_BY_LASTI ? frames_instruction_of(frame)
                                     : (uintptr_t)pointer_at(frame, INSTRUCTION_IN_FRAME);
}

/* The site of the running instruction if it is in the cache. Any other result than 1 to SITE_LIMIT - 1 means that it is
 * not, or that no Python code runs. The caller is a hook of Python's mem or obj domain, so it holds the interpreter's
 * lock. */
static inline __attribute__((always_inline)) uint64_t frames_current_site_if_cached(enum frame_family family,
                                                                                    int is_readable)
{
    char *frame = family == FRAMES_UNREAD ? NULL : frames_running(family, is_readable);
    if (unlikely(!frame))
        return 0;
    uintptr_t instruction = frames_running_instruction(frame, family);
    return frames_cache_tag(frame, instruction, family) ^ load_as_operand(frames_cache_place(instruction));
}

/* The same by all means, perhaps with SITE_WANTS_STACK; 0 when no Python code runs. */
static inline uint32_t frames_current_site(void)
{
    char *frame = frames.family == FRAMES_UNREAD ? NULL : frames_newest(frames.thread_state());
    return frame ? frames_site_of(frame) : 0;
}

#endif
