/* Calls a function while the interpreter finalizes. */
#ifndef SOAK_FINALIZING_H
#define SOAK_FINALIZING_H

/* Has `function` called when the modules of this interpreter are released: after all of the program has run, and before
 * the parts of the interpreter end. Returns 0, or -1 when that is not possible. The caller holds the interpreter's
 * lock, and runs in no allocation. */
int finalizing_calls(void (*function)(void));

#endif
