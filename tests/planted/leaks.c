/* Each function allocates, and one of each pair forgets to give it back. The line that is to be named is marked. */
#define _GNU_SOURCE
#include "functions.h"

#include <fcntl.h>
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
