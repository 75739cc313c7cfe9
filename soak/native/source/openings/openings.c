/* Records in the ledger which call opened a descriptor, or started a thread or a process. */
#define _GNU_SOURCE
#include "openings.h"
#include "callers/stacks.h"
#include "recorder/recorder_hot.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct opening *descriptors;
static struct opening *tasks;
static pid_t owner;

void openings_start(struct opening *for_descriptors, struct opening *for_tasks)
{
    /* The kernel's numbers start again from the beginning, so each page would be touched at some time. That must not
     * happen in a cycle. */
    memset(for_tasks, 0, TASKS_LIMIT * sizeof *for_tasks);
    owner = getpid();
    tasks = for_tasks;
    __atomic_store_n(&descriptors, for_descriptors, __ATOMIC_RELEASE);
}

uint32_t openings_site(uintptr_t return_address)
{
    if (!__atomic_load_n(&descriptors, __ATOMIC_ACQUIRE) || !load(&recorder_control.cycle) || !recorder_is_on()
        || memory_is_filtered)
        return 0;
    int saved = errno;
    /* A child of vfork writes into its parent's memory until it calls exec. */
    uint32_t site = getpid() == owner ? stacks_opening(return_address) : 0;
    errno = saved;
    return site;
}

static void note(struct opening *place, uint32_t number, uint32_t site)
{
    store(&place->cycle, load(&recorder_control.cycle));
    /* In one store, so that no reader sees the number of one opening with the site of another. */
    store(&place->number_and_site, (uint64_t)number << 32 | site);
}

void openings_note_descriptor(int descriptor, uint32_t site)
{
    if (site && descriptor >= 0 && (uint32_t)descriptor < DESCRIPTORS_LIMIT)
        note(&descriptors[descriptor], (uint32_t)descriptor, site);
}

void openings_note_task(int task, uint32_t site)
{
    if (site && task > 0)
        note(&tasks[(uint32_t)task % TASKS_LIMIT], (uint32_t)task, site);
}
