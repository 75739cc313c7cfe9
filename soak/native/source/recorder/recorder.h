/* The recorder: which blocks are alive, where and in which cycle each was born.
 *
 * It knows nothing of preloading, symbols or Python, takes no lock and calls no allocator, so it can be called from
 * inside one and be tested without. A block's slot belongs to whoever owns the block: from its allocator's return
 * until its release is entered. */
#ifndef SOAK_RECORDER_H
#define SOAK_RECORDER_H

#include "layout.h"
#include <stddef.h>

/* Comes with a site from the look-ups when an allocation there should capture its stack. */
#define SITE_WANTS_STACK (1u << 31)

/* A declaration needs it beside -fvisibility=hidden, else each access goes through the offset table. */
#define HIDDEN __attribute__((visibility("hidden")))

struct recorder_control {
    uint64_t cycle; /* the program stores its cycle here; nothing else is needed to mark one */
    uint64_t scale; /* 1 << (EPOCH_SHIFT - shift): a product costs less than two shifts by a variable */
    uint32_t shift; /* an epoch stands for 2^shift cycles */
    uint32_t recording;
};
extern struct recorder_control recorder_control HIDDEN;

/* This thread's birth counters by site, and whether its allocations are recorded at all: NULL until the first one,
 * RECORDER_INSIDE while an outer hook, or the tracker itself, accounts for what is allocated. One word for the three,
 * because every allocation asks. */
extern __thread uint64_t *recorder_births HIDDEN __attribute__((tls_model("initial-exec")));
#define RECORDER_INSIDE ((uint64_t *)1)

/* Between the two nothing that this thread allocates is recorded. What `enter` returns goes to `leave`. */
static inline uint64_t *recorder_enter(void)
{
    uint64_t *births = recorder_births;
    recorder_births = RECORDER_INSIDE;
    return births;
}

static inline void recorder_leave(uint64_t *births)
{
    recorder_births = births;
}

/* What a slot held, for realloc to put back. */
struct recorder_block {
    uint64_t slot;
    uint64_t big; /* the slot after it, for big blocks */
};

/* Reserves the tables. 0, or -1 when there is no address space for them. */
int recorder_start(void);

/* Ends recording for good, without touching the tables: for a forked child. */
void recorder_stop(void);

/* recorder_born, recorder_born_at_once and recorder_died, through which every allocation passes, are inline in
 * recorder_hot.h: calls would cost as much as their work. What they do not do at once is done here. */
void recorder_born_slowly(const void *address, size_t size, uint32_t site, enum domain domain);
struct recorder_block recorder_died_slowly(const void *address);
uint32_t recorder_native_site_slowly(uintptr_t return_address);

/* The release that `recorder_died` announced did not happen. */
void recorder_put_back(const void *address, struct recorder_block block);

/* Marks the block as holding bytecode: its `recorder_died` then returns CODE_BIT. */
void recorder_mark_code(const void *address);

/* Bytes of a block as `recorder_died` returned it. */
uint64_t recorder_size(struct recorder_block block);

/* Finds or makes a site by key; `*created` says which. Site 1 when the table is full. With `created` NULL it is only
 * looked for: 0 when there is none. */
uint32_t recorder_site(uint64_t key, int *created);
struct site *recorder_site_at(uint32_t site);
uint32_t recorder_site_count(void);

/* Sets flags of a site and takes it out of the cache. Returns 0, or -1 for an unknown site. */
int recorder_flag(uint32_t site, uint32_t flags);

/* The site at which the block at exactly this address was allocated; 0 when none begins there. */
uint32_t recorder_site_of(const void *address);

/* One more birth at a site that has no block of its own (a mapping). */
void recorder_count_birth(uint32_t site);

/* Counts what is alive into `rows`. Fills the totals of `checkpoint` and the births of every site. */
void recorder_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint64_t *births,
                    uint32_t site_capacity);

/* Adds to the row of (site, domain, epoch) while counting; for tables that the recorder does not know. */
void recorder_add_row(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint32_t site,
                      enum domain domain, uint64_t epoch, uint64_t bytes);

/* The current birth epoch, as it stands in a slot. */
uint64_t recorder_epoch(void);

/* Address ranges of the tracker's own memory, to be left out of what is measured. Returns how many were written. */
size_t recorder_ranges(struct range *out, size_t capacity);

/* Fills in where the recorder's tables are. */
void recorder_places(struct tables *tables);

/* Memory for another part of the tracker: page-aligned, zeroed, listed among the ranges. NULL when there is none. */
void *recorder_reserve(size_t bytes);

/* Sum of a word's bits for hashing. */
uint64_t recorder_mix(uint64_t value);

#endif
