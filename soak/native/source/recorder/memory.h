/* The tracker's own memory: mapped by system call, known by its ranges, and out of the way of the program's limits. */
#ifndef SOAK_MEMORY_H
#define SOAK_MEMORY_H

#include "layout.h"
#include <stddef.h>

/* What each allocation reads is side by side in memory, and so is the code that does it. */
#define HOT_DATA __attribute__((section("soak_hot")))
#define HOT __attribute__((hot))

/* Declarations need this although -fvisibility=hidden is given: otherwise each access goes through the offset table. */
#define HIDDEN __attribute__((visibility("hidden")))

/* Reserves memory for a part of the tracker: page-aligned, zeroed, one of the ranges. NULL when there is none. */
void *recorder_reserve(size_t bytes) HIDDEN;

/* The same, with the number of the range. */
void *memory_reserve(size_t bytes, uint32_t *number) HIDDEN;

/* Adds memory that is there already to the ranges, and returns the number of the range. */
uint32_t memory_note(void *start, size_t bytes) HIDDEN;

/* Gives the end of a range, from `start` on, back to the system. */
void memory_give_back(uint32_t number, void *start) HIDDEN;

/* Writes the address ranges of the tracker's own memory, which is not part of what is measured. Returns how many. */
size_t recorder_ranges(struct range *out, size_t capacity) HIDDEN;

/* Finds the first part of [start, end) that belongs to the tracker. Returns 0 if there is none. */
int memory_first_own(uintptr_t start, uintptr_t end, struct range *own) HIDDEN;

/* The bytes of address space that the tracker takes. */
uint64_t memory_own_bytes(void) HIDDEN;

/* Fills in the address of the ranges. */
void memory_places(struct tables *tables) HIDDEN;

/* The smaller of the limits of address space and of data; 0 if neither is below `enough`. */
uint64_t memory_limit(uint64_t enough) HIDDEN;

/* From now on the program locks what it maps (mlockall with MCL_FUTURE). What the tracker maps stays unlocked. */
void memory_locks_future(int locks) HIDDEN;

/* Unlocks the tracker's own memory. */
void memory_unlock_own(void) HIDDEN;

/* The program is about to filter its system calls. From now on the tracker makes no system call where an allocation
 * makes none. With 0: the filter was not set. */
void memory_filter(int filters) HIDDEN;

/* Whether the program filters its system calls. */
extern uint32_t memory_is_filtered HIDDEN;

#endif
