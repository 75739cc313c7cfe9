/* Who opened each file descriptor, and who started each thread and child process: one entry for each that may be open
 * now, in the ledger, where the parent reads it. Nothing is taken out on closing: the parent knows what is open. */
#ifndef SOAK_OPENINGS_H
#define SOAK_OPENINGS_H

#include "recorder/recorder.h"

/* Where the entries go: DESCRIPTORS_LIMIT and TASKS_LIMIT of them, zeroed. Until then nothing is noted. */
void openings_start(struct opening *descriptors, struct opening *tasks);

/* The site of an opening that returns to `return_address`, with its stack; 0 when none is to be noted: before the
 * first cycle, in the tracker itself, in a forked child. */
uint32_t openings_site(uintptr_t return_address);

/* Notes that the site opened a descriptor, or started a task: a thread or process, by the kernel's number. */
void openings_note_descriptor(int descriptor, uint32_t site);
void openings_note_task(int task, uint32_t site);

#endif
