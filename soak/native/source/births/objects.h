/* Births of objects. CPython keeps the blocks of some freed objects in free lists, and the next object takes such a
 * block over without the allocator. Here a block gets the site and the cycle of the object that is in it now. */
#ifndef SOAK_OBJECTS_H
#define SOAK_OBJECTS_H

#include "recorder/recorder.h"

/* The block that Python's allocators have returned last. The birth of the object in it is already recorded. The
 * interpreter's lock protects this variable. */
extern uintptr_t objects_newest HIDDEN;

enum objects_result {
    OBJECTS_FOLLOWED,
    OBJECTS_UNKNOWN_VERSION, /* not known how, for this version or this processor */
    OBJECTS_TRACED,          /* the program itself traces its objects, with tracemalloc or a reference tracer */
    OBJECTS_NOT_FOUND,       /* the interpreter's code is not as expected */
    OBJECTS_NOT_WRITABLE,    /* the system does not let the code be changed */
};

/* Begins to follow births, for CPython `major`.`minor`. The caller holds the interpreter's lock and runs in no
 * allocation; from 3.13 on it may. */
enum objects_result objects_start(int major, int minor);

/* Ends that for good. */
void objects_stop(void);

/* The same for a forked child: one store. */
void objects_stop_in_child(void);

/* Gives the tables of young dicts the birth of their dict. Returns whether births are followed; the program may have
 * ended that. The caller holds the interpreter's lock. */
int objects_settle(void);

#endif
