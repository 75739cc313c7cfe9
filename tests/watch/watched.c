/* A service that a test watches: native work a thousand times, which keeps or gives back what it takes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void soak_mark(void) __attribute__((weak));

static void *volatile last;

static __attribute__((noinline)) void take_header(size_t size)
{
    last = malloc(size);
    memset(last, 1, size);
}

static void hold(size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        take_header(size);
}

static void work(int rounds, int repaired, int marking)
{
    for (int i = 0; i < rounds; i++) {
        if (marking && soak_mark)
            soak_mark();
        take_header(100);
        if (repaired)
            free(last);
        usleep(2000);
    }
}

/* watched hold COUNT SIZE: takes that much and waits. watched ROUNDS leaking|repaired [marking] */
int main(int count, char **arguments)
{
    if (strcmp(arguments[1], "hold") == 0) {
        hold((size_t)atol(arguments[2]), (size_t)atol(arguments[3]));
        (void)!write(1, "held\n", 5);
        pause();
        return 0;
    }
    work(atoi(arguments[1]), strcmp(arguments[2], "repaired") == 0, count > 3);
    return 0;
}
