/* The functions that the planted native leaks call. Each case that needs them builds the library beside this file. */
#include <stdlib.h>
#include <string.h>

char *make_buffer(size_t size)
{
    char *buffer = malloc(size);
    memset(buffer, 1, size);
    return buffer;
}

void drop_buffer(char *buffer)
{
    free(buffer);
}
