/* Functions that only pass an allocation on, such as operator new. The call site that matters is their caller's. */
#ifndef SOAK_PASSTHROUGH_H
#define SOAK_PASSTHROUGH_H

#include "recorder/recorder.h"

/* Marks the new sites that are in such functions: those created since the last call. Looks up symbols. */
void passthrough_mark_sites(void);

/* The return address of the first caller that is not such a function. `return_address` itself if it is in no such
 * function, or if its caller cannot be found yet. `frame`: the canonical frame address of the returning function. */
uintptr_t passthrough_caller(uintptr_t return_address, uintptr_t frame);

#endif
