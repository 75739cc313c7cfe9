/* Finds where CPython keeps the state of the running thread: a variable of the runtime up to 3.11, then a variable of
 * each thread. Both are known for x86-64 only. */
#define _GNU_SOURCE
#include "states.h"
#include "frames_hot.h"

#include <dlfcn.h>

#if defined(__x86_64__)

/* Whether Python was loaded with the program. Then its thread variables are at the same distance from the thread
 * pointer in all threads. If the library was loaded later, each thread may have them anywhere. */
static int is_loaded_at_start;

static __attribute__((constructor)) void look_for_python(void)
{
    is_loaded_at_start = dlsym(RTLD_DEFAULT, STATE_UNTIL_3_12) || dlsym(RTLD_DEFAULT, STATE_FROM_3_13);
}

static void find_variable(void)
{
    char *runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
    if (!runtime)
        return;
    char **variable = (char **)(runtime + frames.layout.state_in_runtime);
    char *state = frames.thread_state();
    if (state && *variable == state)
        frames.state_variable = variable;
}

struct thread_variable { /* tls_index of glibc */
    unsigned long module;
    unsigned long offset;
};
extern void *__tls_get_addr(struct thread_variable *variable); // NOLINT

/* __builtin_thread_pointer does the same, but compilers before GCC 11 lack it. */
static char *thread_pointer(void)
{
    char *pointer;
    __asm__("movq %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

static const unsigned char *operand_of(const unsigned char *code, int32_t *value)
{
    memcpy(value, code, sizeof *value);
    return code + sizeof *value; /* what an address in the code is relative to */
}

static int has(const unsigned char *code, const char *bytes, size_t count)
{
    return memcmp(code, bytes, count) == 0;
}

/* The code of the function that returns the state is one of four, as the compiler knows where the variable is. */
static long offset_in(const unsigned char *code)
{
    int32_t value;
    const unsigned char *after;
    if (has(code, "\xf3\x0f\x1e\xfa", 4)) /* endbr64 */
        code += 4;
    if (has(code, "\x64\x48\x8b\x04\x25", 5)) { /* mov %fs:number,%rax */
        (void)operand_of(code + 5, &value);
        return value;
    }
    if (has(code, "\x48\xc7\xc0", 3) && has(code + 7, "\x64\x48\x8b\x00", 4)) { /* the same in two instructions */
        (void)operand_of(code + 3, &value);
        return value;
    }
    if (has(code, "\x48\x8b\x05", 3) && has(code + 7, "\x64\x48\x8b\x00", 4)) { /* the number is in memory */
        long offset;
        after = operand_of(code + 3, &value);
        memcpy(&offset, after + value, sizeof offset);
        return offset;
    }
    if (has(code, "\x48\x83\xec\x08\x66\x48\x8d\x3d", 8)) { /* a call of __tls_get_addr */
        after = operand_of(code + 8, &value);
        return (char *)__tls_get_addr((struct thread_variable *)(after + value)) - thread_pointer();
    }
    return 0;
}

static void find_offset(void)
{
    const unsigned char *code;
    memcpy(&code, &frames.thread_state, sizeof code);
    long offset = is_loaded_at_start ? offset_in(code) : 0;
    char *state = frames.thread_state();
    if (offset && state && pointer_at(thread_pointer(), offset) == state)
        frames.state_offset = offset;
}

void states_find(void)
{
    if (frames.layout.state_in_runtime != NOT_THERE)
        find_variable();
    else
        find_offset();
}

#else

void states_find(void)
{
}

#endif
