/* Functions that only pass an allocation on, such as operator new: their caller is the place that matters. */
#ifndef SOAK_PASSTHROUGH_H
#define SOAK_PASSTHROUGH_H

#include "recorder/recorder.h"

/* Marks the sites that lie in such functions, among those made since the last call. Looks up symbols. */
void passthrough_mark_sites(void);

/* The return address of the first caller that does not pass through; `return_address` itself when it is one, or when
 * the way to its caller is not known yet. `frame`: the canonical frame address of the function that it returns from. */
uintptr_t passthrough_caller(uintptr_t return_address, uintptr_t frame);

#endif
