/* Children by vfork, as programs in C make them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(pid_t child)
{
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

static __attribute__((noinline)) void call_shell(int code)
{
    char command[32];
    snprintf(command, sizeof command, "exit %d", code);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(99);
}

int status_of_vforked(int code)
{
    volatile int untouched = code;
    pid_t child = vfork();
    if (child == 0)
        call_shell(code);
    return untouched == code ? status_of(child) : -3;
}

int opens_in_vforked(void)
{
    pid_t child = vfork();
    if (child == 0) {
        for (int i = 0; i < 8; i++)
            (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
        call_shell(0);
    }
    return status_of(child);
}
