/* Starts the hook from within the library, in a program that does not know soak. */
#ifndef SOAK_HOOK_H
#define SOAK_HOOK_H

#include "recorder/recorder.h"

/* Records native blocks, and those of Python where this program is a Python that has not started yet. */
void hook_start_unasked(void) HIDDEN;

/* Notes in the state that the program filters its system calls, or (0) that it does not. */
void hook_note_filter(int filters) HIDDEN;

/* Fills in the addresses of all tables. */
void hook_places(struct tables *tables) HIDDEN;

/* Fills in that of the labels of marks. */
void labels_places(struct tables *tables) HIDDEN;

#endif
