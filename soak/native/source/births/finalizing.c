/* A capsule in the module sys. It is released with that module's names, and nothing has to be imported for it; a
 * function that is registered with atexit would need that module, which the program may not have. */
#define _GNU_SOURCE
#include "finalizing.h"

#include <dlfcn.h>
#include <string.h>

#define NAME "_soak_tracker"

static void (*at_end)(void);

static void released(void *capsule)
{
    (void)capsule;
    at_end();
}

static int find(const char *name, void *place)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
    return symbol != NULL;
}

int finalizing_calls(void (*function)(void))
{
    void *(*new_capsule)(void *pointer, const char *name, void (*destructor)(void *));
    int (*set_object)(const char *name, void *object);
    void (*release)(void *object);
    if (!find("PyCapsule_New", &new_capsule) || !find("PySys_SetObject", &set_object) || !find("Py_DecRef", &release))
        return -1;
    at_end = function;
    void *capsule = new_capsule(&at_end, NULL, released);
    if (!capsule)
        return -1;
    int failed = set_object(NAME, capsule);
    release(capsule); /* the last reference, if it was not stored */
    return failed;
}
