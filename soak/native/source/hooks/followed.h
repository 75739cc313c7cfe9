/* What becomes of the tracker in a forked child. */
#ifndef SOAK_FOLLOWED_H
#define SOAK_FOLLOWED_H

#include "recorder/recorder.h"

/* In a forked child: goes on recording when it is followed, and notes who it is for its reader. Returns whether. */
int followed_in_child(void) HIDDEN;

#endif
