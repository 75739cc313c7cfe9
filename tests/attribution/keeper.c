/* Keeps and loses blocks in every way that a C library does. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct node *next;
    char payload[40];
};

/* Volatile: what is only ever written a compiler leaves out. */
static void *volatile kept[1 << 17];
static size_t kept_count;
static void *volatile *table;
static size_t table_count;
static struct node *volatile list;

void lose(size_t size)
{
    memset(malloc(size), 1, size);
}

void give_back(size_t size)
{
    free(memset(malloc(size), 1, size));
}

/* Each block points to the one before; nothing points to the last. */
void lose_chain(int length)
{
    struct node *chain = NULL;
    while (length--) {
        struct node *node = malloc(sizeof *node);
        node->next = chain;
        chain = node;
    }
}

void keep_in_static(size_t size)
{
    kept[kept_count++] = malloc(size);
}

void keep_in_table(size_t size)
{
    if (!table)
        table = malloc(sizeof *table << 17);
    table[table_count++] = malloc(size);
}

void keep_in_list(void)
{
    struct node *node = malloc(sizeof *node);
    node->next = list;
    list = node;
}

/* A pointer into the middle of a block holds it. */
void keep_by_its_middle(size_t size)
{
    kept[kept_count++] = (char *)malloc(size) + size / 2;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static size_t wanted;

static void *work(void *unused)
{
    void *volatile own[8192];
    size_t count = 0;
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!wanted)
            pthread_cond_wait(&change, &lock);
        own[count++ % 8192] = malloc(wanted);
        wanted = 0;
        pthread_cond_broadcast(&change);
    }
    return NULL;
}

void keep_on_stack(size_t size)
{
    static pthread_t thread;
    pthread_mutex_lock(&lock);
    if (!thread)
        pthread_create(&thread, NULL, work, NULL);
    wanted = size;
    pthread_cond_broadcast(&change);
    while (wanted)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}

#define FREED_PLACES 8000
#define FREED_BYTES (8 * (FREED_PLACES + 8))
static void *volatile handed;
static void *volatile guard;

/* Writes each block into a table and frees the table: what was written stays in the freed memory of this thread. */
static void *remember_for_a_moment(void *unused)
{
    size_t count = 0;
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!handed)
            pthread_cond_wait(&change, &lock);
        void *volatile *freed = malloc(FREED_BYTES);
        if (!guard)
            guard = malloc(64);
        freed[8 + count++ % FREED_PLACES] = handed;
        free((void *)freed);
        handed = NULL;
        pthread_cond_broadcast(&change);
    }
    return NULL;
}

void lose_through_a_thread(size_t size)
{
    static pthread_t thread;
    pthread_mutex_lock(&lock);
    if (!thread)
        pthread_create(&thread, NULL, remember_for_a_moment, NULL);
    handed = memset(malloc(size), 1, size);
    pthread_cond_broadcast(&change);
    while (handed)
        pthread_cond_wait(&change, &lock);
    pthread_mutex_unlock(&lock);
}
