/* Which call opened each file descriptor, and started each thread and child process. The entries are in the ledger,
 * where the parent reads them. An entry stays when its descriptor is closed: the parent knows what is open. */
#ifndef SOAK_OPENINGS_H
#define SOAK_OPENINGS_H

#include "recorder/recorder.h"

/* Sets where the entries are: DESCRIPTORS_LIMIT and TASKS_LIMIT of them, zeroed. Nothing is recorded before. */
void openings_start(struct opening *descriptors, struct opening *tasks);

/* The site of the opening that returns to `return_address`, with its stack. 0 when it is not to be recorded: before the
 * first cycle, in the tracker itself, in a forked child. */
uint32_t openings_site(uintptr_t return_address);

/* Records that the site opened a descriptor, or started a task: a thread or process, by the kernel's number. */
void openings_note_descriptor(int descriptor, uint32_t site);
void openings_note_task(int task, uint32_t site);

#endif
