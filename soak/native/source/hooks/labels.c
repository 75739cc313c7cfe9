/* The labels of the latest marks. soak/inside/marking/marks.py writes them, the watcher reads them from outside. */
#include "hook.h"

#define EXPORT __attribute__((visibility("default")))

static struct labels labels = {.rows = LABELS};

EXPORT struct labels *soak_labels(void)
{
    return &labels;
}

void labels_places(struct tables *tables)
{
    tables->labels = (uintptr_t)&labels;
}
