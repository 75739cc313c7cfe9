/* The recorder: which blocks are alive, and where and in which cycle each was allocated.
 *
 * It knows nothing of preloading, symbols or Python, takes no lock and calls no allocator. So an allocator can call it,
 * and a test can call it without preloading. Whoever owns a block owns its slot: from the moment the allocator returns
 * the block until the moment it is passed to free. */
#ifndef SOAK_RECORDER_H
#define SOAK_RECORDER_H

#include "memory.h"

/* The look-ups return a site with this bit when an allocation there should capture its stack. */
#define SITE_WANTS_STACK (1u << 31)

struct recorder_control {
    uint64_t cycle;      /* the program stores the number of its cycle here, and that is all it does to mark a cycle */
    uint64_t scale;      /* 1 << (EPOCH_SHIFT - shift): a multiplication costs less than two shifts by a variable */
    uint64_t epoch_bits; /* of a slot; never changes */
    uint32_t shift;      /* an epoch is 2^shift cycles */
    uint32_t recording;
    /* Native blocks of fewer bytes are in the table of the small ones. 0 where malloc keeps even those 32 bytes apart.
     */
    uint64_t native_least;
    /* The count of a leaf is kept only after nobody has touched the leaf for this long: a thread that found a slot
     * may not have run since. */
    uint64_t still_ns;
    uint64_t packing_ns; /* recorder_pack packs leaves for at most this long, and one leaf more; 0: it packs none */
};
extern struct recorder_control recorder_control HIDDEN;

/* This thread's counters of births, by site. NULL until its first allocation; RECORDER_INSIDE while nothing is
 * recorded, because an outer hook records the allocation or the tracker itself allocates. Every allocation checks all
 * three, so they are one word. */
extern __thread uint64_t *recorder_births HIDDEN __attribute__((tls_model("initial-exec")));
#define RECORDER_INSIDE ((uint64_t *)1)

/* From `enter` to `leave`, nothing that this thread allocates is recorded. `leave` takes what `enter` returned. */
static inline uint64_t *recorder_enter(void)
{
    uint64_t *births = recorder_births;
    recorder_births = RECORDER_INSIDE;
    return births;
}

static inline void recorder_leave(uint64_t *births)
{
#if defined(__x86_64__)
    /* The compiler would keep the offset of the variable in a register since recorder_enter, and so save and restore
     * that register. To load it again is cheaper. */
    uint64_t offset;
    __asm__ volatile("movq recorder_births@gottpoff(%%rip), %0" : "=r"(offset));
    __asm__ volatile("movq %1, %%fs:(%0)" : : "r"(offset), "r"(births) : "memory");
#else
    recorder_births = births;
#endif
}

/* The contents of a slot, which realloc may have to restore. */
struct recorder_block {
    uint64_t slot;
    uint64_t big; /* the slot after it, for big blocks */
};

/* Reserves the tables. Returns 0, or -1 when there is no address space for them. */
int recorder_start(void);

/* Stops recording for good, without a write to the tables; for a forked child. */
void recorder_stop(void);

/* For a forked child that goes on recording: releases the counters of threads that the child does not have. */
void recorder_go_on_in_child(void);

/* Every allocation passes through recorder_born, recorder_born_at_once and recorder_died. They are inline in
 * recorder_hot.h, because a call would cost as much as their work. These are their slow paths. */
void recorder_born_slowly(const void *address, size_t size, uint32_t site, enum domain domain);
struct recorder_block recorder_died_slowly(const void *address);
void recorder_keep_birth_slowly(const void *address, struct recorder_block old);
uint32_t recorder_native_site_slowly(uintptr_t return_address);
uint64_t recorder_word_slowly(const void *address);

/* Restores the slot that `recorder_died` cleared, because the block was not released after all. */
void recorder_put_back(const void *address, struct recorder_block block);

/* Marks a block that holds bytecode. Its `recorder_died` then returns CODE_BIT. */
void recorder_mark_code(const void *address);

/* The size of a block, from what `recorder_died` returned. */
uint64_t recorder_size(struct recorder_block block);

/* Finds a site by its key, or creates it; `*created` says which. Returns site 1 if the table is full. If `created`
 * is NULL, no site is created, and 0 means that there is none. */
uint32_t recorder_site(uint64_t key, int *created);
struct site *recorder_site_at(uint32_t site);
uint32_t recorder_site_count(void);

/* Sets flags of a site and takes it out of the cache. Returns 0, or -1 for an unknown site. */
int recorder_flag(uint32_t site, uint32_t flags);

/* The site that allocated the block at exactly this address; 0 when no block begins there. */
uint32_t recorder_site_of(const void *address);

/* Records that an object has just taken over a tracked block: the block's birth is now, at this site. */
void recorder_take_over(const void *address, uint32_t site);

/* Gives a tracked block the site and the birth of the tracked block `owner`. */
void recorder_share_birth(const void *address, const void *owner);

/* Counts one more birth at a site, for what is not a block: a mapping. */
void recorder_count_birth(uint32_t site);

/* Counts the live blocks into `rows`, and fills in the totals of `checkpoint` and the births of every site. */
void recorder_count(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint64_t *births,
                    uint32_t site_capacity);

/* Packs leaves that do not change, if that is allowed. `*saved`: how many bytes less the resident memory is than if
 * none had ever been packed. `*turn` changes when that changes, and is odd meanwhile. */
void recorder_pack(int64_t *saved, uint32_t *turn);

/* Adds to the row of (site, domain, epoch) during a count; for tables that the recorder does not know. */
void recorder_add_row(struct ledger_checkpoint *checkpoint, struct ledger_row *rows, uint32_t capacity, uint32_t site,
                      enum domain domain, uint64_t epoch, uint64_t bytes);

/* The current birth epoch, as it stands in a slot. */
uint64_t recorder_epoch(void);

/* Fills in the addresses of the recorder's tables. */
void recorder_places(struct tables *tables);

/* Mixes the bits of a word, for hashing. */
uint64_t recorder_mix(uint64_t value);

#endif
