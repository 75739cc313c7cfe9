/* Which programs can load the tracker's library: those for this processor and glibc, without a sanitizer that must
 * be the first library. soak/native/programs.py says the same in words. */
#define _GNU_SOURCE
#include "loadable.h"
#include "recorder/memory.h"
#include "recorder/system.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

#define LOADER_PREFIX "ld-linux"
#define SCRIPTS_DEEP 4 /* the kernel follows as many interpreters of scripts */
#define SEGMENTS_LIMIT 64
#define PIECE 1024 /* small, like everything on the stack here: a thread may have a stack of 16 KiB */
#define NAMES_LIMIT (4u << 20)
#define LONGEST_PATH 1024
#define SEPARATORS " :"
#define LEAST_ADDRESS_SPACE_BYTES (64ul << 20)

/* What the names of a program with such a sanitizer begin with: a needed library, or a function of the runtime. */
static const char *const sanitizers[] = {
    "libasan.so",         "liblsan.so", "libhwasan.so", "libclang_rt.asan", "libclang_rt.lsan",
    "libclang_rt.hwasan", "__asan_",    "__lsan_",      "__hwasan_",        "__msan_"};
#define LONGEST_NAME 20

/* By system call, so that nothing here passes the tracker's own wrappers. */
static int open_file(int folder, const char *path)
{
    return (int)system_call(SYS_openat, folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static size_t read_at(int file, void *out, size_t size, uint64_t at)
{
    long got = system_call(SYS_pread64, file, out, size, at);
    return got > 0 ? (size_t)got : 0;
}

static int reads_all(int file, void *out, size_t size, uint64_t at)
{
    return read_at(file, out, size, at) == size;
}

static int read_segment(int file, const Elf64_Ehdr *header, int number, Elf64_Phdr *segment)
{
    return reads_all(file, segment, sizeof *segment, header->e_phoff + (uint64_t)number * sizeof *segment);
}

static int find_segment(int file, const Elf64_Ehdr *header, uint32_t type, Elf64_Phdr *segment)
{
    for (int i = 0; i < header->e_phnum; i++)
        if (read_segment(file, header, i, segment) && segment->p_type == type)
            return 1;
    return 0;
}

static uint64_t offset_in_file(int file, const Elf64_Ehdr *header, uint64_t address)
{
    Elf64_Phdr segment;
    for (int i = 0; i < header->e_phnum; i++)
        if (read_segment(file, header, i, &segment) && segment.p_type == PT_LOAD
            && address - segment.p_vaddr < segment.p_filesz)
            return address - segment.p_vaddr + segment.p_offset;
    return 0;
}

/* `piece` has one zero byte before it, as each name in a table of names has. */
static int has_sanitizer(const char *piece, size_t size)
{
    for (size_t i = 0; i < sizeof sanitizers / sizeof *sanitizers; i++) {
        char name[LONGEST_NAME + 1] = ""; /* with the zero before it */
        size_t length = strlen(sanitizers[i]);
        memcpy(name + 1, sanitizers[i], length);
        if (memmem(piece, size, name, length + 1))
            return 1;
    }
    return 0;
}

static int names_a_sanitizer(int file, uint64_t at, uint64_t size)
{
    char piece[LONGEST_NAME + PIECE] = "";
    for (uint64_t done = 0; done < size && done < NAMES_LIMIT; done += PIECE) {
        size_t wanted = size - done < PIECE ? (size_t)(size - done) : PIECE;
        if (!reads_all(file, piece + LONGEST_NAME, wanted, at + done))
            return 0;
        if (has_sanitizer(piece, LONGEST_NAME + wanted))
            return 1;
        memmove(piece, piece + PIECE, LONGEST_NAME); /* a name may go on in the next piece */
    }
    return 0;
}

static int uses_a_sanitizer(int file, const Elf64_Ehdr *header)
{
    Elf64_Phdr dynamic;
    if (!find_segment(file, header, PT_DYNAMIC, &dynamic))
        return 0;
    uint64_t names = 0, size = 0;
    Elf64_Dyn entry;
    for (uint64_t at = 0; at + sizeof entry <= dynamic.p_filesz; at += sizeof entry) {
        if (!reads_all(file, &entry, sizeof entry, dynamic.p_offset + at) || entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_STRTAB)
            names = offset_in_file(file, header, entry.d_un.d_ptr);
        else if (entry.d_tag == DT_STRSZ)
            size = entry.d_un.d_val;
    }
    return names && names_a_sanitizer(file, names, size);
}

static int is_of_glibc(int file, const Elf64_Ehdr *header)
{
    Elf64_Phdr interpreter;
    char path[256] = "";
    if (!find_segment(file, header, PT_INTERP, &interpreter))
        return 0; /* static */
    (void)read_at(file, path, interpreter.p_filesz < sizeof path ? interpreter.p_filesz : sizeof path - 1,
                  interpreter.p_offset);
    const char *name = strrchr(path, '/');
    return name && strncmp(name + 1, LOADER_PREFIX, strlen(LOADER_PREFIX)) == 0;
}

static int loads(int file, const Elf64_Ehdr *header)
{
    Elf64_Phdr last;
    int count = header->e_phnum;
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB
        || header->e_machine != MACHINE)
        return 0;
    if (count > SEGMENTS_LIMIT || header->e_phentsize != sizeof last
        || (count && !read_segment(file, header, count - 1, &last)))
        return 1;
    return is_of_glibc(file, header) && !uses_a_sanitizer(file, header);
}

/* Puts the interpreter of a script into `path`. Returns 0 if the file is not a script. */
static int find_interpreter(const char *start, size_t size, char *path)
{
    size_t at = 2;
    if (size < 4 || start[0] != '#' || start[1] != '!')
        return 0;
    while (at < size && (start[at] == ' ' || start[at] == '\t'))
        at++;
    size_t length = strcspn(start + at, " \t\n");
    memcpy(path, start + at, length);
    path[length] = 0;
    return length > 0;
}

int loadable_at(int folder, const char *path)
{
    char start[256], interpreter[256];
    int saved = errno, answer = 1;
    if (memory_is_filtered)
        return 0; /* to be sure, and without a system call */
    for (int depth = 0; depth <= SCRIPTS_DEEP; depth++) {
        int file = open_file(folder, path);
        if (file < 0)
            break;
        size_t size = read_at(file, start, sizeof start - 1, 0);
        start[size] = 0;
        int is_script = find_interpreter(start, size, interpreter);
        if (!is_script && size >= sizeof(Elf64_Ehdr) && memcmp(start, ELFMAG, SELFMAG) == 0) {
            Elf64_Ehdr header;
            memcpy(&header, start, sizeof header);
            answer = loads(file, &header);
        }
        (void)system_call(SYS_close, file);
        if (!is_script)
            break;
        folder = AT_FDCWD;
        path = interpreter;
    }
    errno = saved;
    return answer;
}

int loadable_by(const char *path)
{
    return loadable_at(AT_FDCWD, path);
}

/* Returns what execvp would run: `file` itself, or the first of that name on the path. `room`: of `size` bytes. */
static const char *find_on_path(const char *file, char *room, size_t size)
{
    const char *folder = getenv("PATH");
    size_t length = strlen(file);
    if (strchr(file, '/'))
        return file;
    for (folder = folder ? folder : "/bin:/usr/bin"; *folder; folder += *folder == ':') {
        size_t of_folder = strcspn(folder, ":");
        if (of_folder + length + 2 > size)
            break;
        memcpy(room, folder, of_folder);
        room[of_folder] = '/';
        memcpy(room + of_folder + (of_folder > 0), file, length + 1); /* an empty entry is the current folder */
        if (system_call(SYS_faccessat, AT_FDCWD, room, X_OK) == 0)
            return room;
        folder += of_folder;
    }
    return file;
}

int loadable_by_name(const char *file)
{
    char room[LONGEST_PATH];
    int saved = errno;
    if (memory_is_filtered)
        return 0;
    const char *path = find_on_path(file, room, sizeof room);
    errno = saved;
    return loadable_by(path);
}

static const char *value_of(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=' ? entry + length + 1 : NULL;
}

/* Whether the library can be opened from here: not in another root, nor by a user who may not enter its folder. Where
 * it cannot, the loader prints an error. */
static int is_within_reach(const char *listed)
{
    char path[LONGEST_PATH];
    for (; *(listed += strspn(listed, SEPARATORS)); listed += strcspn(listed, SEPARATORS)) {
        size_t length = strcspn(listed, SEPARATORS);
        if (length >= sizeof path || !memmem(listed, length, LIBRARY_PREFIX, strlen(LIBRARY_PREFIX)))
            continue;
        memcpy(path, listed, length);
        path[length] = 0;
        int file = open_file(AT_FDCWD, path);
        if (file < 0)
            return 0;
        (void)system_call(SYS_close, file);
    }
    return 1;
}

/* Whether the limit of the address space leaves room for the library and its tables. */
static int has_room(void)
{
    struct rlimit limit;
    return system_call(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) || limit.rlim_cur >= LEAST_ADDRESS_SPACE_BYTES;
}

int loadable_from(char *const environment[])
{
    int saved = errno, answer = !memory_is_filtered && has_room();
    for (; answer && *environment; environment++) {
        const char *listed = value_of(*environment, LOADER_VARIABLE);
        for (size_t i = 0; listed && i < sizeof sanitizers / sizeof *sanitizers; i++)
            if (strstr(listed, sanitizers[i]))
                answer = 0;
        if (listed && !is_within_reach(listed))
            answer = 0;
    }
    errno = saved;
    return answer;
}

size_t loadable_room(char *const environment[])
{
    size_t count = 0, length = 0;
    int is_there = 0;
    for (; environment && environment[count]; count++) {
        const char *listed = value_of(environment[count], LOADER_VARIABLE);
        if (listed && strstr(listed, LIBRARY_PREFIX)) {
            is_there = 1;
            length += strlen(environment[count]) + 1;
        }
    }
    return is_there ? (count + 1) * sizeof *environment + length : 0;
}

size_t loadable_others(const char *listed, char *kept)
{
    size_t used = 0;
    while (*(listed += strspn(listed, SEPARATORS))) {
        size_t length = strcspn(listed, SEPARATORS);
        if (!memmem(listed, length, LIBRARY_PREFIX, strlen(LIBRARY_PREFIX))) {
            if (used)
                kept[used++] = ':';
            memcpy(kept + used, listed, length);
            used += length;
        }
        listed += length;
    }
    kept[used] = 0;
    return used;
}

char **loadable_without(char *const environment[], void *room)
{
    size_t count = 0;
    char **kept = room;
    while (environment[count])
        count++;
    char *text = (char *)(kept + count + 1);
    for (count = 0; *environment; environment++) {
        const char *listed = value_of(*environment, LOADER_VARIABLE);
        if (value_of(*environment, WATCH_VARIABLE))
            continue;
        if (!listed || !strstr(listed, LIBRARY_PREFIX)) {
            kept[count++] = *environment;
            continue;
        }
        memcpy(text, LOADER_VARIABLE "=", sizeof LOADER_VARIABLE);
        size_t length = loadable_others(listed, text + sizeof LOADER_VARIABLE);
        if (length)
            kept[count++] = text;
        text += sizeof LOADER_VARIABLE + length + 1;
    }
    kept[count] = NULL;
    return kept;
}
