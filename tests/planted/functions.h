/* The functions of leaks.c and leaks.cpp, each once: every leak and its repaired twin. */
#ifndef PLANTED_FUNCTIONS_H
#define PLANTED_FUNCTIONS_H

#define EACH_FUNCTION(X)                                                                                               \
    X(leak_malloc) X(repaired_malloc)                                                                                  \
    X(leak_new) X(repaired_new)                                                                                        \
    X(leak_calloc) X(repaired_calloc)                                                                                  \
    X(leak_realloc) X(repaired_realloc)                                                                                \
    X(leak_posix_memalign) X(repaired_posix_memalign)                                                                  \
    X(leak_strdup) X(repaired_strdup)                                                                                  \
    X(leak_mmap) X(repaired_mmap)                                                                                      \
    X(leak_on_error) X(repaired_on_error)                                                                              \
    X(leak_small) X(repaired_small)                                                                                    \
    X(leak_large) X(repaired_large)                                                                                    \
    X(leak_open) X(repaired_open)                                                                                      \
    X(leak_into_table) X(repaired_into_table)                                                                          \
    X(leak_into_list) X(repaired_into_list)                                                                            \
    X(leak_into_arena) X(repaired_into_arena)                                                                          \
    X(leak_into_names) X(repaired_into_names)

#ifdef __cplusplus
extern "C" {
#endif
#define DECLARE(name) __attribute__((noinline)) void name(void);
EACH_FUNCTION(DECLARE)
#undef DECLARE
#ifdef __cplusplus
}
#endif

#endif
