/* The C++ pair: operator new, whose caller is the place. */
#include "functions.h"

static char *volatile block;

void leak_new()
{
    block = new char[106]; /* planted: leak_new */
}

void repaired_new()
{
    block = new char[106];
    delete[] block;
}
