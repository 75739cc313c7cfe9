/* A component in C++: two functions that allocate by operator new, one of which forgets. */
#include <cstddef>

void *volatile kept;

extern "C" void leak_new()
{
    kept = new char[106];
}

extern "C" void clean_new()
{
    char *volatile block = new char[106];
    delete[] block;
}
