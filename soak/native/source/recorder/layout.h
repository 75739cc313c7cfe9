/* The layout that the tracker shares with its readers: the slot of a block, the ledger file, and the tracker's tables.
 *
 * soak/native/layout.py has the same layout for the readers, and a test compares the two. A change needs a new
 * LEDGER_VERSION. All integers are little endian: both supported processors are. */
#ifndef SOAK_LAYOUT_H
#define SOAK_LAYOUT_H

#include <stdint.h>

/* One 64-bit slot for each 32 bytes of heap, or 16 bytes in the table of small blocks (recorder/leaves.h). Zero means
 * that no tracked block ever began there.
 *
 *   bits  0..16  site        number of the call site that allocated the block; 0 only in the special slots below
 *   bits 17..18  domain      enum domain
 *   bit  19      code        the block holds bytecode whose addresses have become sites
 *   bit  20      big         the size did not fit: the next slot, which belongs to the same block, holds it
 *   bit  21      half        the block begins in the second half of its 32 bytes
 *   bits 22..39  size        bytes asked for
 *   bits 40..63  epoch       cycle of birth >> shift
 *
 * Three special slots have site 0, and readers skip them. With the code bit: a block of bytecode from before tracking
 * began. SLOT_FREED: the block that was here is released. Any other: the size of a big block, from SIZE_SHIFT on, which
 * may stay behind when the block is freed.
 *
 * A leaf may be packed (struct packed). If a word of it is 0, the packed copy has the slot. */
#define SITE_BITS 17
#define SITE_LIMIT (1u << SITE_BITS)
#define SITE_MASK (SITE_LIMIT - 1)
#define DOMAIN_SHIFT 17
#define DOMAIN_MASK 3u
#define CODE_BIT (1ull << 19)
#define BIG_BIT (1ull << 20)
#define HALF_SHIFT 21
#define SIZE_SHIFT 22
#define SIZE_LIMIT (1ull << 18)
#define EPOCH_SHIFT 40
#define EPOCH_BITS 24
#define EPOCH_MASK ((1ull << EPOCH_BITS) - 1)
#define SLOT_FREED (1ull << HALF_SHIFT)

enum domain {
    DOMAIN_NATIVE = 0,
    DOMAIN_PYTHON_MEM = 1,
    DOMAIN_PYTHON_OBJ = 2,
    /* Only in the ledger. Mappings have a table of their own, and no total of blocks includes them. */
    DOMAIN_MAPPING = 3,
    DOMAIN_PYMALLOC_ARENA = 4,
};

/* Birth epochs are counted in logarithmic buckets: exact below 8, then four to each octave. */
#define BUCKETS_EXACT 8
#define BUCKETS_PER_OCTAVE 4

enum site_kind {
    SITE_NONE = 0,
    SITE_UNKNOWN = 1, /* site 1: nothing is known, or the table of sites is full */
    SITE_NATIVE = 2,  /* address: the return address of the call that allocated */
    SITE_PYTHON = 3,  /* file, function, line of the running instruction */
    SITE_STACK = 4,   /* address: word in the stacks section; parent: the flagged site that it splits */
    SITE_OPENING = 5, /* a call that opened a descriptor or started a thread or process; has no blocks */
};

enum site_flags {
    SITE_FLAGGED = 1,        /* its allocations capture their stack */
    SITE_PASSES_THROUGH = 2, /* in a function like operator new; its blocks were allocated before that was known */
};

struct site {
    uint64_t key; /* unique; its top byte is the kind */
    uint64_t address;
    uint32_t kind;
    uint32_t parent;
    uint32_t file;     /* offset in the strings section, 0 for none */
    uint32_t function; /* offset in the strings section, 0 for none */
    uint32_t line;
    uint32_t instruction; /* Python: byte offset in the bytecode */
    uint32_t flags;
    uint32_t stacks; /* distinct stacks that split this site */
};

/* In a stack, a Python frame is the number of its site with FRAME_PYTHON set. FRAME_PYTHON_ENTRY means that C called
 * it: the frames up to and including an entry frame share one _PyEval_EvalFrameDefault. */
#define FRAME_PYTHON (1ull << 63)
#define FRAME_PYTHON_ENTRY (1ull << 62)

struct ledger_row {
    uint32_t site;
    uint8_t domain;
    uint8_t reserved;
    uint16_t bucket;
    uint64_t live_blocks;
    uint64_t live_bytes;
    uint32_t next; /* internal chain of the rows of one site */
    uint32_t reserved2;
};

struct range {
    uint64_t start;
    uint64_t end;
};

/* The call that opened a descriptor, or started a thread or a process. The index is the number of the descriptor, or
 * the kernel's number of the thread or process modulo TASKS_LIMIT, so that the newest one replaces older ones. The site
 * may be newer than the last checkpoint's copy of the sites; then its number is not below their count. */
struct opening {
    uint64_t number_and_site; /* number << 32 | site; 0: nothing was recorded */
    uint64_t cycle;
};
#define DESCRIPTORS_LIMIT 65536u
#define TASKS_LIMIT 4096u

/* What a program creates outside itself, by name or number. One place of the table for each, until it is removed or the
 * parent has taken it over. Forked children write here too: the ledger file is shared memory. */
enum creation_kind {
    CREATED_PATH = 1,      /* a file, folder, socket or link that was not there before */
    CREATED_MOVED = 2,     /* renamed to a path where nothing was; created is what was moved */
    CREATED_REPLACING = 3, /* renamed over a path where something was */
    CREATED_QUEUE = 4,     /* a POSIX message queue */
    CREATED_SEGMENT = 5,   /* System V: number is the kernel's number of it, as of the two below */
    CREATED_SEMAPHORES = 6,
    CREATED_MESSAGES = 7,
};
#define CREATIONS_LIMIT 1024u
#define CREATION_NAME 320
struct creation {
    uint64_t serial; /* 0: the place is free; CREATION_UNWRITTEN: it is being written; else unique and ascending */
    uint64_t taken;  /* the serial that the parent has taken over; the place is then free again */
    uint64_t key;
    uint64_t cycle;
    uint64_t device;
    uint64_t number;
    uint32_t kind;
    uint32_t site;    /* 0: not known, as in forked children */
    uint32_t process; /* who created it */
    uint32_t reserved;
    char name[CREATION_NAME]; /* absolute path, or the name of the queue; ends with a zero byte */
};
#define CREATION_UNWRITTEN 1u
struct creations {
    uint64_t last_serial;
    uint32_t used; /* no place from here on has ever been used */
    uint32_t lost; /* not recorded: there was no place left, or the name is too long */
    struct creation places[CREATIONS_LIMIT];
};

#define LEDGER_MAGIC "soakledg"
#define LEDGER_VERSION 13u
#define LEDGER_HEADER_SIZE 4096u
#define LEDGER_REQUESTS 64
#define LEDGER_RANGES 256

enum ledger_state {
    STATE_NATIVE = 1,         /* the malloc family is recorded */
    STATE_PYTHON_DOMAINS = 2, /* Python's mem and obj domains are recorded */
    STATE_PYTHON_LINES = 4,   /* Python blocks have a line as their site */
    STATE_NATIVE_STACKS = 8,  /* flagged sites get native stacks */
    STATE_OBJECTS = 16,       /* a block gets a new birth when another object takes it over */
    STATE_NO_PYTHON = 32,     /* the program is not Python, so it has no Python domains */
    STATE_FILTERED = 64,      /* the program filters its system calls: no more stacks, openings, creations */
};

/* The parent fills the first part before the child starts. */
struct ledger_header {
    char magic[8];
    uint32_t version;
    uint32_t row_capacity;
    uint32_t site_capacity;
    uint32_t string_capacity; /* bytes */
    uint32_t stack_capacity;  /* words of 64 bits */
    uint32_t reserved;
    uint64_t file_size;
    uint64_t sites_at;
    uint64_t strings_at;
    uint64_t stacks_at;
    uint64_t checkpoint_at[2];
    uint64_t descriptors_at;
    uint64_t tasks_at;
    uint64_t creations_at;
    /* The parent asks for sites to be flagged. It writes sites, count and sequence in this order; the child flags them
     * at its next checkpoint. */
    uint32_t request_sequence;
    uint32_t request_count;
    uint32_t request_sites[LEDGER_REQUESTS];
    /* The child writes from here on. */
    uint32_t request_done;
    uint32_t latest; /* 0: no checkpoint yet; else 1 + index of the last complete checkpoint */
    uint32_t pid;
    uint32_t state;
    /* How many bytes less the resident memory is than if nothing were packed. A reader that compares RSS over time
     * adds this. The turn changes when leaves are packed, and is odd meanwhile. Readings from before and after do
     * not belong together. */
    int64_t saved_bytes;
    uint32_t packing_turn;
    uint32_t reserved2;
};

/* Where the tables of a followed process are in its memory; soak/probes/ledgers/tables.py reads them from outside. A
 * name that ends in _at is the address of a variable, because its value changes. The others are values. 0: there is
 * none. */
#define TABLES_MAGIC "soaktabl"
struct tables {
    char magic[8];
    uint32_t version; /* LEDGER_VERSION */
    uint32_t pid;
    uint64_t started_ns; /* differs after each exec of the process */
    uint64_t own_at;     /* where this is; a forked child has its own at the same address */
    uint64_t forked_at;  /* in a forked child: the site of the running line of its parent, 0 where none is known */
    uint64_t wanted_collections_at; /* the reader adds one here to have Python collect its garbage soon */
    uint64_t state_at;
    uint64_t cycle_at;
    uint64_t leaves;
    uint64_t leaf_count_at;
    uint64_t sites;
    uint64_t site_count_at;
    uint64_t site_cache; /* words with the site in their low bits; frame_cache has the same */
    uint64_t site_cache_words;
    uint64_t frame_cache;
    uint64_t frame_cache_words;
    uint64_t strings;
    uint64_t strings_used_at;
    uint64_t stacks;
    uint64_t stacks_used_at;
    uint64_t mappings;
    uint64_t mapping_count_at;
    uint64_t ranges;
    uint64_t range_count_at;
    uint64_t lost_blocks_at;
    uint64_t lost_sites_at;
    uint64_t lost_mappings_at;
    uint64_t labels;
    uint64_t copying;
};

/* How a reader asks for a copy of the process. It is made at the next allocation at a flagged site. */
struct copying {
    uint64_t wanted;  /* the reader writes its number below, and then adds one here */
    uint64_t reader;  /* the process that will read the copy */
    uint64_t taken;   /* the latest request that is done or being done */
    uint64_t done;    /* the latest request that is done; the fields below belong to it */
    int64_t copy;     /* process number of the copy, which its reader must end; -1: there is none */
    uint64_t took_ns; /* how long the thread that made it waited */
    uint64_t busy_ns; /* how long the kernel worked on it; for the rest it waited for a processor */
};

/* The labels of the latest marks. Mark n is number of_mark[n % LABELED_MARKS]: 0 for no label, LABELS - 1 for a
 * label that found no room. */
#define LABELS 1002u
#define LABEL_SIZE 64u
#define LABELED_MARKS (1u << 16)
struct labels {
    uint32_t count; /* the rows 1 to count are used */
    uint32_t rows;
    uint32_t is_full;
    uint32_t unused;
    char names[LABELS][LABEL_SIZE];
    uint16_t of_mark[LABELED_MARKS];
};

/* The slots of the addresses from `base` on: LEAF_SLOTS words at `slots`, one for each 2^grain_bits bytes. */
#define LEAF_SLOT_BITS 16
#define LEAF_SLOTS (1u << LEAF_SLOT_BITS)
#define LEAF_LIMIT (1u << 16) /* 128 GiB of heap */
struct leaf {
    uint64_t slots; /* 0: it is being made */
    uint64_t base;
    uint64_t grain_bits;
    uint64_t counted; /* struct counted */
};

/* The slots of a leaf as they were when it was packed. Only used ones are in it, in their order. */
#define PACKED_GROUP 64
#define PACKED_GROUPS (LEAF_SLOTS / PACKED_GROUP)
struct packed {
    uint64_t used[PACKED_GROUPS];   /* one bit for each slot */
    uint16_t before[PACKED_GROUPS]; /* how many slots are used before these 64 */
    struct packed_form {
        uint32_t count;      /* used slots */
        uint16_t kinds;      /* distinct words, which come first */
        uint16_t code_bytes; /* then, for each used slot, the number of its word; 8: the word itself instead */
    } form __attribute__((aligned(8)));
    uint64_t words[];
};

/* Packing works on pages of this size, and only if the kernel's pages have it. */
#define LEAF_PAGE_BYTES 4096u
#define LEAF_PAGES (LEAF_SLOTS * 8 / LEAF_PAGE_BYTES)

/* What is alive in a leaf, counted while nobody touched it: of one call site, domain and bucket. */
struct counted_row {
    uint32_t site_and_domain; /* as they stand in a slot */
    uint16_t bucket;
    uint16_t reserved;
    uint32_t blocks;
    uint32_t reserved2;
    uint64_t bytes;
};
#define COUNTED_ROWS 40
struct counted {
    uint32_t is_known;
    uint32_t count;
    uint64_t touched_ns;               /* start of the latest count that found the leaf touched */
    uint64_t packed;                   /* struct packed; 0: there is none */
    uint64_t tried_ns;                 /* when packing it was last tried */
    uint32_t tried;                    /* how often */
    uint32_t still_empty;              /* how many of the emptied pages were empty at the last count */
    uint64_t emptied[LEAF_PAGES / 64]; /* one bit for each page that would be in use if the leaf had not been packed */
    uint64_t copy_bytes;               /* of the packed copy, in whole pages */
    struct counted_row rows[COUNTED_ROWS];
};

#define MAPPINGS_LIMIT (1u << 16)
struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t cycle;
    uint32_t site;
    uint32_t domain;
};

/* Followed by ranges[LEDGER_RANGES], births[site_capacity] as uint64 and rows[row_capacity]. */
struct ledger_checkpoint {
    uint64_t sequence;
    uint64_t cycle;
    uint32_t shift; /* one epoch stands for 2^shift cycles */
    uint32_t rows;
    uint32_t sites;
    uint32_t strings; /* bytes in use */
    uint32_t stacks;  /* words in use */
    uint32_t ranges;
    uint64_t live_blocks; /* without mappings; so are live_bytes */
    uint64_t live_bytes;
    uint64_t unlisted_blocks; /* live, but there was no row left for them */
    uint64_t unlisted_bytes;
    uint64_t lost_blocks;   /* never recorded: no memory for the table */
    uint64_t lost_sites;    /* calls whose site was not recorded: the table of sites is full */
    uint64_t lost_mappings; /* never recorded: the table of mappings is full or was in use */
    uint64_t scan_ns;
    uint64_t reinstalled; /* how often the Python hook was found replaced and was installed again */
    uint64_t reserved[3];
};

#endif
