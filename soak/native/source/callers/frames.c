/* Finds the Python instruction that is running, and the names and the line of its code. */
#define _GNU_SOURCE
#include "frames_hot.h"
#include "states.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STRINGS_SIZE (1u << 20)
#define STRING_INDEX_SIZE (1u << 15)
#define LONGEST_STRING 1024
#define FIRST_OWNER_IN_C 3 /* the C stack; from 3.14 on the interpreter, then the C stack */
#define CODE_TAG 7u        /* bits beside the pointer to the code, from 3.14 on */

/* From the headers of 3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0, 3.14.10 and 3.15.2. frames_check compares a row
 * with the running interpreter before it is used. All differences between versions are in this table. */
static const struct frame_layout layouts[] = {
    {24, NOT_THERE, 24, 32, 104, NOT_THERE, NOT_THERE, 104, 112, 40, 48, 1, 8, STATE_UNTIL_3_12, 1368},
    {24, NOT_THERE, 24, 32, 104, NOT_THERE, NOT_THERE, 104, 112, 40, 48, 1, 9, STATE_UNTIL_3_12, 568},
    {24, NOT_THERE, 24, 32, 96, NOT_THERE, NOT_THERE, 104, 112, 40, 48, 2, 10, STATE_UNTIL_3_12, 568},
    {CFRAME_IN_STATE, FRAME_IN_CFRAME, 48, 32, INSTRUCTION_IN_FRAME, NOT_THERE, 68, 112, 128, 72, 184, 0, 11,
     STATE_UNTIL_3_12, 576},
    {CFRAME_IN_STATE, 0, 8, 0, INSTRUCTION_IN_FRAME, 70, NOT_THERE, 112, 128, 68, 192, 0, 12, STATE_UNTIL_3_12,
     NOT_THERE},
    {FRAME_IN_STATE, NOT_THERE, 8, 0, INSTRUCTION_IN_FRAME, 70, NOT_THERE, 112, 128, 68, 200, 0, 13, STATE_FROM_3_13,
     NOT_THERE},
    {FRAME_IN_STATE, NOT_THERE, 8, 0, INSTRUCTION_IN_FRAME, 74, NOT_THERE, 112, 128, 68, 208, 0, 14, STATE_FROM_3_13,
     NOT_THERE},
    {FRAME_IN_STATE, NOT_THERE, 8, 0, INSTRUCTION_IN_FRAME, 74, NOT_THERE, 112, 128, 68, 208, 0, 15, STATE_FROM_3_13,
     NOT_THERE},
};
#define OBJECT_TYPE 8    /* PyObject.ob_type */
#define VARIABLE_SIZE 16 /* PyVarObject.ob_size: the length of bytes; from 3.11 the number of 2-byte units of code */

struct frames frames HOT_DATA;
static char *(*own_thread_state)(void);
static long (*hash_of)(void *object);
static long (*length_of)(void *string);
static uint32_t (*character_of)(void *string, long index);
static int (*line_of)(void *code, int offset);
static void *code_type, *string_type;

static char *strings;
static uint32_t strings_used;
static uint32_t *string_index;
static int slow_path_taken;

static int is_c_entry(const char *frame)
{
    return frames.layout.owner != NOT_THERE && frame[frames.layout.owner] >= FIRST_OWNER_IN_C;
}

static uint32_t intern_text(const char *text, uint32_t length)
{
    uint64_t hash = 14695981039346656037ull;
    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211ull;
    for (uint32_t probe = 0, place = (uint32_t)hash; probe < STRING_INDEX_SIZE; probe++, place++) {
        uint32_t *at = &string_index[place % STRING_INDEX_SIZE];
        if (*at) {
            if (strncmp(strings + *at, text, length) == 0 && strings[*at + length] == 0)
                return *at;
            continue;
        }
        if (strings_used + length + 1 > STRINGS_SIZE)
            return 0;
        memcpy(strings + strings_used, text, length);
        *at = strings_used;
        __atomic_store_n(&strings_used, strings_used + length + 1, __ATOMIC_RELEASE);
        return *at;
    }
    return 0;
}

static uint32_t put_utf8(char *out, uint32_t character)
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xc0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xe0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3f));
        out[2] = (char)(0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3f));
    out[2] = (char)(0x80 | (character >> 6 & 0x3f));
    out[3] = (char)(0x80 | (character & 0x3f));
    return 4;
}

/* One character at a time, because PyUnicode_AsUTF8 allocates and may set an exception. */
static uint32_t intern_string(void *object)
{
    char text[LONGEST_STRING];
    uint32_t used = 0;
    long length = length_of(object);
    for (long i = 0; i < length && used + 4 <= sizeof text; i++)
        used += put_utf8(text + used, character_of(object, i));
    return intern_text(text, used);
}

static uint32_t site_of_frame(char *frame, uintptr_t instruction)
{
    char *code = (char *)((uintptr_t)pointer_at(frame, frames.layout.code) & ~(uintptr_t)CODE_TAG); // NOLINT
    if (!code || pointer_at(code, OBJECT_TYPE) != code_type)
        return 0;
    /* The block that holds the bytecode. */
    char *holder = frames.layout.lasti_unit ? pointer_at(code, frames.layout.code_bytes) : code;
    char *bytecode = frames.layout.lasti_unit ? holder + BYTES_DATA : code + frames.layout.code_bytes;
    long offset = (long)(instruction - (uintptr_t)bytecode);
    char *file = pointer_at(code, frames.layout.code_file);
    char *function = pointer_at(code, frames.layout.code_function);
    int first_line = int_at(code, frames.layout.code_first_line);
    uint64_t key = recorder_mix((uint64_t)hash_of(file)) + (uint64_t)hash_of(function);
    key = recorder_mix(recorder_mix(key) + ((uint64_t)(uint32_t)first_line << 32 | (uint32_t)offset));
    int created;
    uint32_t number = recorder_site((uint64_t)SITE_PYTHON << 56 | key >> 8, &created);
    struct site *site = recorder_site_at(number);
    if (created) {
        int line = line_of(code, (int)offset);
        site->file = intern_string(file);
        site->function = intern_string(function);
        site->line = (uint32_t)(line > 0 ? line : first_line);
        site->instruction = (uint32_t)offset;
    }
    recorder_mark_code(holder);
    if (__atomic_load_n(&site->flags, __ATOMIC_RELAXED) & SITE_FLAGGED)
        return number | SITE_WANTS_STACK;
    __atomic_store_n(frames_cache_place(instruction), frames_cache_tag(frame, instruction, frames.family) | number,
                     __ATOMIC_RELAXED);
    return number;
}

uint32_t frames_site_slowly(char *frame, uintptr_t instruction)
{
    while (frame && is_c_entry(frame)) {
        frame = pointer_at(frame, frames.layout.previous);
        instruction = frame ? frames_instruction_of(frame) : 0;
    }
    if (!frame)
        return 0;
    /* It can be taken only by another interpreter with a lock of its own. Then this block has no line. */
    if (__atomic_exchange_n(&slow_path_taken, 1, __ATOMIC_ACQUIRE))
        return 0;
    uint64_t *births = recorder_enter();
    uint32_t site = site_of_frame(frame, instruction);
    recorder_leave(births);
    __atomic_store_n(&slow_path_taken, 0, __ATOMIC_RELEASE);
    return site;
}

size_t frames_walk(uint64_t *out, size_t capacity)
{
    size_t count = 0;
    char *frame = frames.family ? frames_newest(own_thread_state()) : NULL;
    for (; frame && count < capacity; frame = pointer_at(frame, frames.layout.previous)) {
        if (is_c_entry(frame)) {
            if (count)
                out[count - 1] |= FRAME_PYTHON_ENTRY;
            continue;
        }
        uint32_t site = frames_site_of(frame) & SITE_MASK;
        if (!site)
            break;
        int entry = frames.layout.lasti_unit || (frames.layout.is_entry != NOT_THERE && frame[frames.layout.is_entry]);
        out[count++] = FRAME_PYTHON | (entry ? FRAME_PYTHON_ENTRY : 0) | site;
    }
    return count;
}

void frames_code_released(const void *address, struct recorder_block block)
{
    uintptr_t start = (uintptr_t)address;
    uint64_t size = recorder_size(block);
    /* The size of a block that is older than the hook is not known. */
    uint64_t places = block.slot & SITE_MASK ? size / 2 + 1 : FRAMES_CACHE_SIZE;
    if (places > FRAMES_CACHE_SIZE)
        places = FRAMES_CACHE_SIZE;
    for (uint64_t i = 0; i < places; i++)
        __atomic_store_n(frames_cache_place(start + 2 * i), 0, __ATOMIC_RELAXED);
}

void frames_forget(uint32_t site)
{
    for (uint32_t i = 0; frames.cache && i < FRAMES_CACHE_SIZE; i++)
        if ((__atomic_load_n(&frames.cache[i], __ATOMIC_RELAXED) & SITE_MASK) == site)
            __atomic_store_n(&frames.cache[i], 0, __ATOMIC_RELAXED);
}

const char *frames_strings(uint32_t *used)
{
    *used = __atomic_load_n(&strings_used, __ATOMIC_ACQUIRE);
    return strings;
}

void frames_go_on_in_child(void)
{
    __atomic_store_n(&slow_path_taken, 0, __ATOMIC_RELEASE);
}

void frames_places(struct tables *tables)
{
    tables->frame_cache = (uintptr_t)frames.cache;
    tables->frame_cache_words = frames.cache ? FRAMES_CACHE_SIZE : 0;
    tables->strings = (uintptr_t)strings;
    tables->strings_used_at = (uintptr_t)&strings_used;
}

/* ---- start ---- */

static int find(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

int frames_start(int major, int minor)
{
    size_t i = 0;
    while (i < sizeof layouts / sizeof *layouts && layouts[i].minor != minor)
        i++;
    if (major != 3 || i == sizeof layouts / sizeof *layouts)
        return -1;
    frames.layout = layouts[i];
    if (!find(frames.layout.thread_state, &frames.thread_state)
        || !find("PyGILState_GetThisThreadState", &own_thread_state) || !find("PyObject_Hash", &hash_of)
        || !find("PyUnicode_GetLength", &length_of) || !find("PyUnicode_ReadChar", &character_of)
        || !find("PyCode_Addr2Line", &line_of) || !find("PyCode_Type", &code_type)
        || !find("PyUnicode_Type", &string_type))
        return -1;
    if (!frames.cache) {
        strings = recorder_reserve(STRINGS_SIZE);
        string_index = recorder_reserve(STRING_INDEX_SIZE * sizeof *string_index);
        frames.cache = recorder_reserve(FRAMES_CACHE_SIZE * sizeof *frames.cache);
        strings_used = 1;
    }
    return frames.cache && strings && string_index ? 0 : -1;
}

/* Through /proc/self/mem. With a table that does not fit, a pointer may lead anywhere; then the read fails, and the
 * program does not crash. */
static int read_at(int memory, uintptr_t base, long offset, void *out, size_t size)
{
    return pread(memory, out, size, (off_t)(base + (uintptr_t)offset)) == (ssize_t)size;
}

static uintptr_t pointer_in(int memory, uintptr_t base, long offset)
{
    uintptr_t value = 0;
    return base && read_at(memory, base, offset, &value, sizeof value) ? value : 0;
}

static uintptr_t code_in(int memory, uintptr_t frame)
{
    return pointer_in(memory, frame, frames.layout.code) & ~(uintptr_t)CODE_TAG;
}

static uintptr_t skip_c_entries(int memory, uintptr_t frame)
{
    char owner = 0;
    for (int depth = 0; frame && frames.layout.owner != NOT_THERE && depth < 16; depth++) {
        if (!read_at(memory, frame, frames.layout.owner, &owner, sizeof owner) || owner < FIRST_OWNER_IN_C)
            break;
        frame = pointer_in(memory, frame, frames.layout.previous);
    }
    return frame;
}

static uintptr_t newest_frame(int memory)
{
    uintptr_t frame = pointer_in(memory, (uintptr_t)frames.thread_state(), frames.layout.state_frame);
    if (frames.layout.cframe_frame != NOT_THERE)
        frame = pointer_in(memory, frame, frames.layout.cframe_frame);
    return skip_c_entries(memory, frame);
}

static int first_failed_check(int memory, const struct known_frame *known)
{
    uintptr_t frame = newest_frame(memory);
    if (code_in(memory, frame) != known->code)
        return 1;
    uintptr_t bytecode = known->code + (uintptr_t)frames.layout.code_bytes;
    uintptr_t instruction = pointer_in(memory, frame, frames.layout.instruction);
    if (frames.layout.lasti_unit) {
        int last = 0;
        bytecode = pointer_in(memory, known->code, frames.layout.code_bytes) + BYTES_DATA;
        if (!read_at(memory, frame, frames.layout.instruction, &last, sizeof last))
            return 2;
        instruction = bytecode + (uintptr_t)last * (uintptr_t)frames.layout.lasti_unit;
    }
    if (instruction < bytecode || instruction >= bytecode + known->bytecode_bytes)
        return 2;
    if (pointer_in(memory, known->code, frames.layout.code_file) != known->file)
        return 3;
    if (pointer_in(memory, known->code, frames.layout.code_function) != known->function)
        return 4;
    uint32_t first_line = 0;
    if (!read_at(memory, known->code, frames.layout.code_first_line, &first_line, sizeof first_line)
        || first_line != known->first_line)
        return 5;
    if (pointer_in(memory, known->code, OBJECT_TYPE) != (uintptr_t)code_type)
        return 6;
    uintptr_t caller = skip_c_entries(memory, pointer_in(memory, frame, frames.layout.previous));
    if (code_in(memory, caller) != known->caller_code)
        return 7;
    return 0;
}

static enum frame_family family_of_layout(void)
{
    if (frames.layout.lasti_unit)
        return FRAMES_BY_LASTI;
    if (frames.layout.cframe_frame == NOT_THERE)
        return FRAMES_BY_STATE;
    return frames.layout.cframe_frame == FRAME_IN_CFRAME ? FRAMES_BY_CFRAME : FRAMES_BY_CFRAME_START;
}

static void use_layout(void)
{
    frames.family = family_of_layout();
    states_find();
}

int frames_check(const struct known_frame *known)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        return -1;
    int failed = first_failed_check(memory, known);
    close(memory);
    if (!failed)
        use_layout();
    return failed;
}

/* Fills in, by the table alone, what a hook inside Python would know of the running function. The table fits if it
 * leads to a code object and two strings. */
static int read_running(int memory, struct known_frame *known)
{
    uint64_t length = 0;
    known->code = code_in(memory, newest_frame(memory));
    known->file = pointer_in(memory, known->code, frames.layout.code_file);
    known->function = pointer_in(memory, known->code, frames.layout.code_function);
    uintptr_t holder = frames.layout.lasti_unit ? pointer_in(memory, known->code, frames.layout.code_bytes)
                                                : known->code;
    if (!holder || !read_at(memory, holder, VARIABLE_SIZE, &length, sizeof length)
        || !read_at(memory, known->code, frames.layout.code_first_line, &known->first_line, sizeof known->first_line))
        return 8;
    known->bytecode_bytes = frames.layout.lasti_unit ? length : 2 * length;
    uintptr_t frame = newest_frame(memory);
    known->caller_code = code_in(memory, skip_c_entries(memory, pointer_in(memory, frame, frames.layout.previous)));
    if (pointer_in(memory, known->file, OBJECT_TYPE) != (uintptr_t)string_type
        || pointer_in(memory, known->function, OBJECT_TYPE) != (uintptr_t)string_type)
        return 9;
    return known->caller_code && pointer_in(memory, known->caller_code, OBJECT_TYPE) != (uintptr_t)code_type ? 10 : 0;
}

int frames_check_running(void)
{
    int memory = frames.thread_state() ? open("/proc/self/mem", O_RDONLY | O_CLOEXEC) : -1;
    if (memory < 0)
        return -1;
    struct known_frame known = {0};
    int failed = -1;
    if (newest_frame(memory)) {
        failed = read_running(memory, &known);
        failed = failed ? failed : first_failed_check(memory, &known);
    }
    close(memory);
    if (!failed)
        use_layout();
    return failed;
}
