/* Each function allocates, and one of each pair forgets to give it back. The line that is to be named is marked. */
#define _GNU_SOURCE
#include "functions.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *volatile block; /* so that the compiler cannot leave the allocation out */

static const char TEXT[] = "one hundred and five characters and the zero that ends them: strdup asks malloc for a hundred and six....";
_Static_assert(sizeof TEXT == 106, "strdup shall ask for 106 bytes");

void leak_malloc(void)
{
    block = malloc(106); /* planted: leak_malloc */
}

void repaired_malloc(void)
{
    block = malloc(106);
    free(block);
}

void leak_calloc(void)
{
    block = calloc(53, 2); /* planted: leak_calloc */
}

void repaired_calloc(void)
{
    block = calloc(53, 2);
    free(block);
}

void leak_realloc(void)
{
    void *small = malloc(10);
    block = realloc(small, 106); /* planted: leak_realloc */
}

void repaired_realloc(void)
{
    void *small = malloc(10);
    block = realloc(small, 106);
    free(block);
}

void leak_posix_memalign(void)
{
    void *aligned = NULL;
    if (posix_memalign(&aligned, 64, 106)) /* planted: leak_posix_memalign */
        abort();
    block = aligned;
}

void repaired_posix_memalign(void)
{
    void *aligned = NULL;
    if (posix_memalign(&aligned, 64, 106))
        abort();
    block = aligned;
    free(block);
}

void leak_strdup(void)
{
    block = strdup(TEXT); /* planted: leak_strdup */
}

void repaired_strdup(void)
{
    block = strdup(TEXT);
    free(block);
}

void leak_mmap(void)
{
    block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* planted: leak_mmap */
}

void repaired_mmap(void)
{
    block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(block, 4096);
}

void leak_on_error(void)
{
    static unsigned calls;
    block = malloc(106); /* planted: leak_on_error */
    if (++calls % 4 == 0)
        return; /* the way out on which it is forgotten */
    free(block);
}

void repaired_on_error(void)
{
    static unsigned calls;
    block = malloc(106);
    if (++calls % 4 == 0) {
        free(block);
        return;
    }
    free(block);
}

void leak_small(void)
{
    block = malloc(16); /* planted: leak_small */
}

void repaired_small(void)
{
    block = malloc(16);
    free(block);
}

void leak_large(void)
{
    block = malloc(106000); /* planted: leak_large */
}

void repaired_large(void)
{
    block = malloc(106000);
    free(block);
}

void leak_open(void)
{
    if (open("/dev/null", O_RDONLY) < 0) /* planted: leak_open */
        abort();
}

void repaired_open(void)
{
    int descriptor = open("/dev/null", O_RDONLY);
    if (descriptor < 0)
        abort();
    close(descriptor);
}

/* What a library keeps: in a table of its own, a static pointer to which is the root; and in a list. */
#define TABLE_SIZE (1 << 17)
static void *volatile *table;
static size_t table_count;

void leak_into_table(void)
{
    if (!table)
        table = calloc(TABLE_SIZE, sizeof *table);
    table[table_count++ % TABLE_SIZE] = malloc(106); /* planted: leak_into_table */
}

void repaired_into_table(void)
{
    if (!table)
        table = calloc(TABLE_SIZE, sizeof *table);
    free(table[0]);
    table[0] = malloc(106);
}

struct entry {
    struct entry *volatile next;
    char payload[98];
};
static struct entry *volatile entries;

void leak_into_list(void)
{
    struct entry *entry = malloc(sizeof *entry); /* planted: leak_into_list */
    entry->next = entries;
    entries = entry;
}

void repaired_into_list(void)
{
    struct entry *entry = malloc(sizeof *entry);
    entry->next = NULL;
    free(entries);
    entries = entry;
}

/* An arena: each block is twice as large as the one before, and nothing is given back before all is. */
#define ARENA_FIRST 256
#define ARENA_TAKEN 24
struct arena_block {
    struct arena_block *before;
    size_t size;
    size_t used;
    char content[];
};
static struct arena_block *volatile arena;

static void take_from_arena(void)
{
    struct arena_block *newest = arena;
    if (!newest || newest->used + ARENA_TAKEN > newest->size) {
        size_t size = newest ? newest->size * 2 : ARENA_FIRST;
        struct arena_block *block = malloc(sizeof *block + size); /* planted: leak_into_arena */
        *block = (struct arena_block){newest, size, 0};
        arena = newest = block;
    }
    memset(newest->content + newest->used, 1, ARENA_TAKEN);
    newest->used += ARENA_TAKEN;
}

static void empty_arena(void)
{
    while (arena) {
        struct arena_block *newest = arena;
        arena = newest->before;
        free(newest);
    }
}

void leak_into_arena(void)
{
    take_from_arena();
}

void repaired_into_arena(void)
{
    static unsigned calls;
    if (++calls % 600 == 0)
        empty_arena();
    take_from_arena();
}

/* A dictionary of names, which a library keeps for ever: the table is doubled when it is half full. */
static uint64_t *volatile names;
static size_t name_places, name_count;

static uint64_t *place_of(uint64_t *places, size_t count, uint64_t name)
{
    size_t at = (size_t)(name * 0x9e3779b97f4a7c15ull) & (count - 1);
    while (places[at] && places[at] != name)
        at = (at + 1) & (count - 1);
    return &places[at];
}

static void keep_name(uint64_t name)
{
    if (2 * name_count >= name_places) {
        size_t larger = name_places ? 2 * name_places : 16;
        uint64_t *places = calloc(larger, sizeof *places); /* planted: leak_into_names */
        for (size_t at = 0; at < name_places; at++)
            if (names[at])
                *place_of(places, larger, names[at]) = names[at];
        free(names);
        names = places;
        name_places = larger;
    }
    uint64_t *place = place_of(names, name_places, name);
    name_count += !*place;
    *place = name;
}

void leak_into_names(void)
{
    static uint64_t name;
    keep_name(++name);
}

void repaired_into_names(void)
{
    static uint64_t name;
    keep_name(1 + name++ % 600);
}
