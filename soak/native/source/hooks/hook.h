/* Starting the hook from within the library, in a program that knows nothing of soak. */
#ifndef SOAK_HOOK_H
#define SOAK_HOOK_H

#include "recorder/recorder.h"

/* Records native blocks, and Python's where this program is a Python that is not set up yet. */
void hook_start_unasked(void) HIDDEN;

/* Fills in where all tables are. */
void hook_places(struct tables *tables) HIDDEN;

#endif
