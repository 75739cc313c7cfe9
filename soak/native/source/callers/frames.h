/* Which Python instruction is running: read by a few loads, without creating a frame object or allocating.
 *
 * A site is the content (file, function, first line, bytecode offset), so that code which is compiled again in every
 * cycle stays one site; the address of the running instruction is only the key of a cache in front of it. */
#ifndef SOAK_FRAMES_H
#define SOAK_FRAMES_H

#include "recorder/recorder.h"

/* What the hook knows about a function that is running, to check the table of offsets against. */
struct known_frame {
    uintptr_t code;        /* of the calling function */
    uintptr_t caller_code; /* of the function that called it */
    uintptr_t file;
    uintptr_t function;
    uint64_t bytecode_bytes;
    uint32_t first_line;
};

/* Chooses the table for this version. 0, or -1 when it is not known or the interpreter lacks a function. */
int frames_start(int major, int minor);

/* Compares the table with a known frame; only then are frames read. 0, or the number of the check that failed. */
int frames_check(const struct known_frame *known);

/* The same where nobody can say which function runs: the types of what the table leads to must be right. 0: it fits;
 * above: a check failed; below: no Python function runs in this thread yet. */
int frames_check_running(void);

/* The running frames of this thread, innermost first, as they stand in a stack. The interpreter's lock is not needed:
 * a thread's frames and their code stay as they are while it runs C. */
size_t frames_walk(uint64_t *out, size_t capacity);

/* A block with CODE_BIT is released: its addresses may soon be other bytecode. */
void frames_code_released(const void *address, struct recorder_block block);

/* Takes a site out of the cache, after its flag has changed. */
void frames_forget(uint32_t site);

/* The strings that sites refer to. */
const char *frames_strings(uint32_t *used);

/* Fills in where strings and cache are. */
void frames_places(struct tables *tables);

#endif
