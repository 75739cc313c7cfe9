/* How CPython 3.8 to 3.12 are made to report each new object. */
#ifndef SOAK_REFERENCES_H
#define SOAK_REFERENCES_H

#include "objects.h"

/* Calls one of the two for each new object from now on. `made` replaces _Py_NewReference. */
enum objects_result references_start(int minor, int (*born)(void *object), void (*made)(void *object));

/* Ends it for good, and gives the interpreter its code back. */
void references_stop(void);

/* Ends the calls, in a forked child. */
void references_stop_in_child(void);

/* Whether the calls have not been ended. */
int references_are_followed(void);

#endif
