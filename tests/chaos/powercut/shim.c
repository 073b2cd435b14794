/* Preloaded into a child: tells a log, in order, what the child does to the files of one folder.
 *
 * A record is a header (kind, inode, offset, length of the payload) and the payload. The log is open for
 * appending, so the child can add marks of its own between the records.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint64_t kind, inode, offset, length;
};

static int log_fd = -1;
static const char *folder;
static size_t folder_length;

__attribute__((constructor)) static void set_up(void) {
    const char *number = getenv("POWERCUT_LOG");
    folder = getenv("POWERCUT_FOLDER");
    if (number && folder) {
        log_fd = atoi(number);
        folder_length = strlen(folder);
    }
}

/* The name within the folder, "" for the folder itself, NULL for everything else. */
static const char *name_of(const char *path) {
    if (log_fd < 0 || !path || strncmp(path, folder, folder_length))
        return NULL;
    if (path[folder_length] == '\0')
        return "";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of_fd(int fd) {
    static __thread char path[4096];
    char link[64];
    if (log_fd < 0 || fd == log_fd)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return NULL;
    path[length] = '\0';
    return name_of(path);
}

static void tell(char kind, uint64_t inode, uint64_t offset, const void *payload, size_t length) {
    struct header header = {kind, inode, offset, length};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)payload, length}};
    int error = errno;
    if (writev(log_fd, parts, 2) != (ssize_t)(sizeof header + length))
        abort(); /* half a recording proves nothing */
    errno = error;
}

static void tell_fd(char kind, int fd, uint64_t offset, const void *payload, size_t length) {
    struct stat status;
    if (fstat(fd, &status))
        abort();
    tell(kind, status.st_ino, offset, payload, length);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITES_AT(name, offset_type)                                              \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {     \
        ssize_t written = REAL(name)(fd, data, size, offset);                     \
        if (written > 0 && name_of_fd(fd))                                        \
            tell_fd('W', fd, offset, data, written);                              \
        return written;                                                           \
    }
WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t written = REAL(write)(fd, data, size);
    if (written > 0 && name_of_fd(fd))
        tell_fd('W', fd, lseek(fd, 0, SEEK_CUR) - written, data, written);
    return written;
}

#define TRUNCATES(name, offset_type)                                              \
    int name(int fd, offset_type size) {                                          \
        int result = REAL(name)(fd, size);                                        \
        if (!result && name_of_fd(fd))                                            \
            tell_fd('T', fd, size, "", 0);                                        \
        return result;                                                            \
    }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

#define ALLOCATES(name, offset_type)                                              \
    int name(int fd, offset_type offset, offset_type size) {                      \
        int result = REAL(name)(fd, offset, size);                                \
        if (!result && name_of_fd(fd))                                            \
            tell_fd('G', fd, offset + size, "", 0);                               \
        return result;                                                            \
    }
ALLOCATES(posix_fallocate, off_t)
ALLOCATES(posix_fallocate64, off64_t)

#define SYNCS(name)                                                               \
    int name(int fd) {                                                            \
        int result = REAL(name)(fd);                                              \
        const char *file = name_of_fd(fd);                                        \
        if (!result && file)                                                      \
            tell_fd(*file ? 'S' : 'D', fd, 0, "", 0);                             \
        return result;                                                            \
    }
SYNCS(fsync)
SYNCS(fdatasync)

#define OPENS(name)                                                               \
    int name(const char *path, int flags, ...) {                                  \
        va_list rest;                                                             \
        va_start(rest, flags);                                                    \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;   \
        va_end(rest);                                                             \
        const char *file = flags & (O_CREAT | O_TRUNC) ? name_of(path) : NULL;    \
        int existed = file && !access(path, F_OK);                                \
        int fd = REAL(name)(path, flags, mode);                                   \
        if (fd >= 0 && file && !existed)                                          \
            tell_fd('C', fd, 0, file, strlen(file));                              \
        if (fd >= 0 && file && existed && flags & O_TRUNC)                        \
            tell_fd('T', fd, 0, "", 0);                                           \
        return fd;                                                                \
    }
OPENS(open)
OPENS(open64)

int unlink(const char *path) {
    int result = REAL(unlink)(path);
    const char *file = name_of(path);
    if (!result && file)
        tell('U', 0, 0, file, strlen(file));
    return result;
}

int rename(const char *from, const char *to) {
    int result = REAL(rename)(from, to);
    const char *old = name_of(from), *new = name_of(to);
    if (!result && old && new) {
        char names[8192];
        int length = snprintf(names, sizeof names, "%s/%s", old, new);
        tell('R', 0, 0, names, length);
    }
    return result;
}
