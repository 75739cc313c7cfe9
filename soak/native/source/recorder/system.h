/* System calls without libc: nothing of the tracker's own then passes its wrappers, of which `syscall` is one. */
#ifndef SOAK_SYSTEM_H
#define SOAK_SYSTEM_H

/* As `syscall` of libc: returns -1 and sets errno where the call fails. */
long system_call(long number, ...) __attribute__((visibility("hidden")));

#endif
