/* Births of objects in CPython 3.8 to 3.12.
 *
 * For each new object, these versions test whether tracemalloc traces. If so, they call one function of tracemalloc,
 * so that it knows of blocks from free lists. This file makes the test succeed and replaces that function. Nothing
 * else may act on the test: the functions for extensions (PyTraceMalloc_Track and two more) are replaced by ones
 * that answer as if nothing were traced, and the functions of the module see the flag as the program has set it.
 * When the program starts tracemalloc, everything is put back. */
#define _GNU_SOURCE
#include "references.h"
#include "recorder/recorder_hot.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLAG_IN_CONFIG 4     /* _Py_tracemalloc_config.tracing, up to 3.11 */
#define FLAG_IN_RUNTIME 2772 /* _PyRuntime.tracemalloc.config.tracing, in 3.12 */
#define NOT_TRACING (-2)     /* what PyTraceMalloc_Track returns then */

/* The ends of the code that is searched for a call, and for a read of the flag. */
#define CODE_WITH_CALL 96
#define CODE_WITH_FLAG 32
#define DEFINITION_METHODS 64 /* PyModuleDef.m_methods */

static volatile int *flag;
static void *flag_base; /* of the exported variable that has the flag in it */
static int followed;
static int is_seen;

/* ---- code that leads elsewhere ---- */

#define JUMP_BYTES 14 /* jmp *(%rip), and the address */
#define REDIRECTIONS 5
static struct redirection {
    unsigned char *code;
    unsigned char original[JUMP_BYTES];
} redirections[REDIRECTIONS];
static int redirection_count;

/* Where system calls are filtered, the code stays as it is: mprotect may end the program. */
static int write_code(unsigned char *code, const unsigned char *bytes)
{
    if (memory_is_filtered)
        return -1;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)code & ~(page - 1);
    size_t length = (uintptr_t)code + JUMP_BYTES - start;
    if (mprotect((void *)start, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) // NOLINT
        return -1;
    memcpy(code, bytes, JUMP_BYTES);
    (void)mprotect((void *)start, length, PROT_READ | PROT_EXEC); // NOLINT
    return 0;
}

static int write_jump(unsigned char *code, void *target)
{
    unsigned char jump[JUMP_BYTES] = {0xff, 0x25, 0, 0, 0, 0};
    memcpy(jump + JUMP_BYTES - sizeof target, &target, sizeof target);
    return write_code(code, jump);
}

static int redirect(void *function, void *target)
{
    struct redirection *entry = &redirections[redirection_count];
    entry->code = function;
    memcpy(entry->original, function, JUMP_BYTES);
    if (write_jump(entry->code, target) != 0)
        return -1;
    redirection_count++;
    return 0;
}

static void put_code_back(void)
{
    for (; redirection_count; redirection_count--) {
        struct redirection *entry = &redirections[redirection_count - 1];
        if (write_code(entry->code, entry->original) != 0)
            return;
    }
}

/* ---- where the function is ---- */

static int find(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

static int32_t displacement(const unsigned char *code)
{
    int32_t value;
    memcpy(&value, code, sizeof value);
    return value;
}

/* Whether code reads the flag: directly, or by a pointer in the offset table. */
static int reads_flag(const unsigned char *code)
{
    for (int i = 0; i < CODE_WITH_FLAG; i++) {
        const unsigned char *after = code + i + sizeof(int32_t);
        const unsigned char *read = after + displacement(code + i);
        if (read == (void *)flag || read + 1 == (void *)flag) /* a comparison has one more byte */
            return 1;
        void *entry = NULL;
        if (i >= 3 && code[i - 3] == 0x48 && code[i - 2] == 0x8b && (code[i - 1] & 0xc7) == 0x05)
            memcpy(&entry, read, sizeof entry);
        if (entry && entry == flag_base)
            return 1;
    }
    return 0;
}

static int is_in_same_object(void *one, void *other)
{
    Dl_info first, second;
    return dladdr(one, &first) && dladdr(other, &second) && first.dli_fbase == second.dli_fbase;
}

/* Returns the function that `code` calls or jumps to and that reads the flag. */
static unsigned char *callee_of(unsigned char *code)
{
    for (int i = 0; i < CODE_WITH_CALL; i++) {
        int is_short = code[i] == 0xe8 || code[i] == 0xe9;                    /* call, jmp */
        int is_conditional = code[i] == 0x0f && (code[i + 1] & 0xf0) == 0x80; /* a tail call of one branch */
        if (!is_short && !is_conditional)
            continue;
        unsigned char *operand = code + i + (is_short ? 1 : 2);
        unsigned char *target = operand + sizeof(int32_t) + displacement(operand);
        int is_outside = target < code || target >= code + CODE_WITH_CALL;
        if (is_outside && is_in_same_object(code, target) && reads_flag(target))
            return target;
    }
    return NULL;
}

/* The function has a symbol up to 3.9. */
static unsigned char *find_function(void)
{
    unsigned char *code;
    if (find("_PyTraceMalloc_NewReference", &code))
        return reads_flag(code) ? code : NULL;
    return find("_Py_NewReference", &code) && reads_flag(code) ? callee_of(code) : NULL;
}

/* Whether _Py_NewReference only sets the reference count to one, apart from the call. */
static int only_sets_count(const unsigned char *code)
{
    static const unsigned char set_to_one[] = {0x01, 0x00, 0x00, 0x00}; /* movq $1,(register) ends with it */
    void *symbol;
    if (find("_Py_RefTotal", &symbol) || find("_Py_GetRefTotal", &symbol) || find("_Py_GetGlobalRefTotal", &symbol))
        return 0; /* a debug build also counts all references there */
    for (int i = 0; i < CODE_WITH_CALL / 2; i++)
        if (code[i] == 0x48 && code[i + 1] == 0xc7 && code[i + 2] < 0x08
            && memcmp(code + i + 3, set_to_one, sizeof set_to_one) == 0)
            return 1;
    return 0;
}

static int find_flag(int minor)
{
    int (*is_tracing)(void) = NULL;
    if (minor < 12) {
        if (!find("_Py_tracemalloc_config", &flag_base))
            return -1;
        flag = (int *)((char *)flag_base + FLAG_IN_CONFIG);
    } else {
        if (!find("_PyRuntime", &flag_base) || !find("_PyTraceMalloc_IsTracing", &is_tracing))
            return -1;
        flag = (int *)((char *)flag_base + FLAG_IN_RUNTIME);
    }
    /* Whether it is initialized, whether it traces, and the number of frames, which is 1 until it traces. */
    if (!(flag[-1] >= 0 && flag[-1] <= 2 && (flag[0] == 0 || flag[0] == 1) && flag[1] >= 1))
        return -1;
    return is_tracing && is_tracing() != flag[0] ? -1 : 0;
}

/* ---- what is put in place of tracemalloc ---- */

static int see(void *object)
{
    (void)object;
    is_seen = 1;
    return -1;
}

static int track(unsigned domain, uintptr_t address, size_t size)
{
    (void)domain, (void)address, (void)size;
    return NOT_TRACING;
}

static int untrack(unsigned domain, uintptr_t address)
{
    (void)domain, (void)address;
    return NOT_TRACING;
}

static int64_t *none;

static void *get_traceback(unsigned domain, uintptr_t address)
{
    (void)domain, (void)address;
    ++*none; /* a new reference to None */
    return none;
}

/* ---- the module of tracemalloc ---- */

struct method { /* PyMethodDef */
    const char *name;
    void *(*function)(void *self, void *first, void *second);
    int flags;
    const char *text;
};

/* The functions that read or set the flag. They have at most two arguments after self. */
#define METHODS(X)                                                                                                     \
    X(0, "is_tracing")                                                                                                 \
    X(1, "clear_traces")                                                                                               \
    X(2, "_get_traces")                                                                                                \
    X(3, "_get_object_traceback")                                                                                      \
    X(4, "stop")                                                                                                       \
    X(5, "get_traced_memory")                                                                                          \
    X(6, "reset_peak")
#define METHOD_COUNT 7
#define STOP_METHOD 4
static struct method *methods[METHOD_COUNT], *start_method;
static void *(*originals[METHOD_COUNT])(void *, void *, void *);
static void *(*original_start)(void *, void *, void *);

#define DEFINE_METHOD(number, name)                                                                                    \
    static void *method_##number(void *self, void *first, void *second)                                                \
    {                                                                                                                  \
        int was_followed = followed;                                                                                   \
        if (was_followed)                                                                                              \
            *flag = 0;                                                                                                 \
        void *result = originals[number](self, first, second);                                                         \
        if (was_followed && followed)                                                                                  \
            *flag = 1;                                                                                                 \
        return result;                                                                                                 \
    }
METHODS(DEFINE_METHOD)

static void *start_tracing(void *self, void *first, void *second)
{
    references_stop();
    return original_start(self, first, second);
}

#define LIST_METHOD(number, name) {name, method_##number},
static const struct {
    const char *name;
    void *(*function)(void *, void *, void *);
} replacements[METHOD_COUNT] = {METHODS(LIST_METHOD)};

static void replace_method(struct method *method)
{
    if (strcmp(method->name, "start") == 0) {
        start_method = method;
        original_start = method->function;
        method->function = start_tracing;
    }
    for (int i = 0; i < METHOD_COUNT; i++)
        if (strcmp(method->name, replacements[i].name) == 0) {
            methods[i] = method;
            originals[i] = method->function;
            method->function = replacements[i].function;
        }
}

/* Lets tracemalloc trace for a moment, so that it knows the allocators. An interpreter that finalizes while the flag is
 * set puts back the allocators that were there when tracing began: without this there would be none. */
static void trace_for_a_moment(void *module, void (*release)(void *))
{
    for (int i = 0; i < 2; i++) {
        void *result = i ? originals[STOP_METHOD](module, NULL, NULL) : original_start(module, NULL, NULL);
        if (result)
            release(result);
    }
}

/* By the public definition of the module; all instances of the module share its table of functions. */
static int replace_methods(void)
{
    void *(*create)(void);
    char *(*definition_of)(void *);
    void (*release)(void *);
    if (!find("PyInit__tracemalloc", &create) || !find("PyModule_GetDef", &definition_of)
        || !find("Py_DecRef", &release))
        return -1;
    void *module = create();
    char *definition = module ? definition_of(module) : NULL;
    struct method *method = NULL;
    if (definition)
        memcpy(&method, definition + DEFINITION_METHODS, sizeof method);
    for (; method && method->name; method++)
        replace_method(method);
    int is_found = start_method && methods[0] && methods[STOP_METHOD];
    if (is_found)
        trace_for_a_moment(module, release);
    if (module)
        release(module);
    return is_found ? 0 : -1;
}

static void put_methods_back(void)
{
    if (start_method)
        start_method->function = original_start;
    for (int i = 0; i < METHOD_COUNT; i++)
        if (methods[i])
            methods[i]->function = originals[i];
}

/* ---- start and end ---- */

/* Whether a new object is reported. */
static int is_reported(void)
{
    void *(*make)(double);
    void (*release)(void *);
    if (!find("PyFloat_FromDouble", &make) || !find("Py_DecRef", &release))
        return 0;
    release(make(0.5));
    return is_seen;
}

static int replace_functions(unsigned char *function)
{
    void *tracked, *untracked, *traceback;
    if (!find("PyTraceMalloc_Track", &tracked) || !find("PyTraceMalloc_Untrack", &untracked)
        || !find("_PyTraceMalloc_GetTraceback", &traceback) || !find("_Py_NoneStruct", &none))
        return -1;
    return redirect(tracked, (void *)track) || redirect(untracked, (void *)untrack)
                   || redirect(traceback, (void *)get_traceback) || redirect(function, (void *)see)
               ? -1
               : 0;
}

/* Saves the test and the call for most objects. It does not matter if this fails. */
static void replace_new_reference(void (*made)(void *object))
{
    unsigned char *code;
    if (find("_Py_NewReference", &code) && only_sets_count(code))
        (void)redirect(code, (void *)made);
}

enum objects_result references_start(int minor, int (*born)(void *object), void (*made)(void *object))
{
#if !defined(__x86_64__)
    return OBJECTS_UNKNOWN_VERSION;
#endif
    if (find_flag(minor) != 0)
        return OBJECTS_NOT_FOUND;
    if (*flag)
        return OBJECTS_TRACED;
    unsigned char *function = find_function();
    if (!function)
        return OBJECTS_NOT_FOUND;
    if (replace_functions(function) != 0) {
        put_code_back();
        return OBJECTS_NOT_WRITABLE;
    }
    followed = 1;
    if (replace_methods() == 0) {
        *flag = 1;
        if (is_reported() && write_jump(function, (void *)born) == 0) {
            replace_new_reference(made);
            return OBJECTS_FOLLOWED;
        }
    }
    references_stop();
    return OBJECTS_NOT_FOUND;
}

void references_stop(void)
{
    if (followed)
        *flag = 0;
    followed = 0;
    put_methods_back();
    put_code_back();
}

void references_stop_in_child(void)
{
    if (followed)
        *flag = 0;
    followed = 0;
}

int references_are_followed(void)
{
    return followed;
}
