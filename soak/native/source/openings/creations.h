/* What the program creates outside itself during its cycles: files, folders, shared memory, semaphores, queues. The
 * table is in the ledger, where the parent takes the entries over and asks the kernel which of them are still there. */
#ifndef SOAK_CREATIONS_H
#define SOAK_CREATIONS_H

#include "recorder/recorder.h"

#include <stdint.h>

/* Sets where the table is, zeroed. Nothing is recorded before. */
void creations_start(struct creations *table);

/* Whether what is created now is to be recorded: in a cycle, or in a forked child. */
int creations_are_on(void);

/* Whether opening this path with these flags will create a file. To be asked before the call. */
int creations_expected(int folder, const char *path, int flags);

/* Whether something is at this path. */
int creations_exists(int folder, const char *path);

/* Records what was created at a path. */
void creations_note_path(enum creation_kind kind, int folder, const char *path, uint32_t site);

/* Records what has a name and no path, or a number. */
void creations_note_queue(const char *name, uint32_t site);
void creations_note_number(enum creation_kind kind, int number, uint32_t site);

/* The key of what is at a path now, for creations_forget when it has been removed; 0: nothing is recorded. */
uint64_t creations_key_of_path(int folder, const char *path);
uint64_t creations_key_of_queue(const char *name);
uint64_t creations_key_of_number(enum creation_kind kind, int number);

/* Takes an entry out. Returns whether it was there, and its site. */
int creations_forget(uint64_t key, uint32_t *site);

#endif
