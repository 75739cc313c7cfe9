/* Where CPython keeps the state of the running thread. */
#ifndef SOAK_STATES_H
#define SOAK_STATES_H

#include "recorder/memory.h"

/* Fills in frames.state_variable or frames.state_offset for the chosen layout, if the place is found. To read the state
 * there costs a fraction of a call. The caller runs Python. */
void states_find(void) HIDDEN;

#endif
