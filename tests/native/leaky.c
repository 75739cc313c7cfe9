/* A component in C that leaks on request; each function has a twin that does not. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *keep[16];

void leak_106(void)
{
    keep[0] = malloc(106);
}

void clean_106(void)
{
    keep[0] = malloc(106);
    free(keep[0]);
}

void leak_calloc(void)
{
    keep[1] = calloc(53, 2);
}

void leak_realloc(void)
{
    keep[2] = realloc(malloc(10), 106);
}

void leak_posix_memalign(void)
{
    if (posix_memalign(&keep[3], 64, 106))
        abort();
}

void leak_strdup(const char *text)
{
    keep[4] = strdup(text);
}

void leak_asprintf(int number)
{
    char *text;
    if (asprintf(&text, "%06d", number) < 0)
        abort();
    keep[5] = text;
}

void leak_mmap(void)
{
    keep[6] = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void clean_mmap(void)
{
    char *place = mmap(NULL, 16384, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(place, 4096);
    place = mremap(place + 4096, 12288, 65536, MREMAP_MAYMOVE);
    munmap(place, 65536);
}

/* One block, for ever larger. */
void grow(size_t bytes)
{
    static void *block;
    static size_t size;
    block = realloc(block, size += bytes);
    if (!block)
        abort();
}

/* Returns whether the block is as it was after a realloc that cannot succeed. */
int failing_realloc(void)
{
    char *block = malloc(106);
    memset(block, 7, 106);
    volatile size_t too_much = SIZE_MAX / 2;
    int as_it_was = realloc(block, too_much) == NULL && block[105] == 7;
    keep[7] = block;
    return as_it_was;
}

static void *leak_there(void *argument)
{
    leak_106();
    return argument;
}

void leak_in_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, leak_there, NULL))
        abort();
    pthread_join(thread, NULL);
}

/* A tracer of Python's objects that does nothing. */
int trace_nothing(void *object, int event, void *data)
{
    (void)object, (void)event, (void)data;
    return 0;
}
