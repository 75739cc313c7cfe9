/* Which Python instruction is running. This takes a few loads; no frame object is created and nothing is allocated.
 *
 * A site is known by its content: file, function, first line and bytecode offset. So code that is compiled again in
 * every cycle stays one site. The address of the running instruction is only the key of a cache. */
#ifndef SOAK_FRAMES_H
#define SOAK_FRAMES_H

#include "recorder/recorder.h"

/* What the hook knows about a running function. The table of offsets is checked against it. */
struct known_frame {
    uintptr_t code;        /* of the calling function */
    uintptr_t caller_code; /* of the function that called it */
    uintptr_t file;
    uintptr_t function;
    uint64_t bytecode_bytes;
    uint32_t first_line;
};

/* Chooses the table for this version. Returns 0, or -1 when there is none or the interpreter lacks a function. */
int frames_start(int major, int minor);

/* Compares the table with a known frame; frames are read only if it fits. Returns 0, or which check failed. */
int frames_check(const struct known_frame *known);

/* The same if the running function is not known: checks the types of what the table leads to. Returns 0 if it fits,
 * a positive number if a check failed, a negative one if no Python function runs in this thread yet. */
int frames_check_running(void);

/* Writes the running frames of this thread, innermost first, as words of a stack; returns how many. Needs no
 * interpreter's lock: the frames of a thread and their code do not change while it runs C. */
size_t frames_walk(uint64_t *out, size_t capacity);

/* Takes the addresses of a released block with CODE_BIT out of the cache: other bytecode may soon be there. */
void frames_code_released(const void *address, struct recorder_block block);

/* Takes a site out of the cache, after it was flagged. */
void frames_forget(uint32_t site);

/* The strings that sites refer to. */
const char *frames_strings(uint32_t *used);

/* For a forked child: a thread that was at work here does not exist in it. */
void frames_go_on_in_child(void) HIDDEN;

/* Fills in the addresses of the strings and the cache. */
void frames_places(struct tables *tables);

#endif
