/* Preloaded into a bridge: a wall clock that is set, and a disk that fails, as the orders say.
 *
 * The orders are a file that the test writes and this maps: see nature.py, which names the fields.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int64_t shift;         /* seconds that the wall clock is ahead */
    int32_t sync_failures; /* so many calls of fsync and fdatasync fail with EIO */
    int32_t read_only;     /* writing to the folder fails with EROFS */
};

static struct orders nothing;
static struct orders *orders = &nothing;
static const char *folder = "";

__attribute__((constructor)) static void set_up(void) {
    const char *path = getenv("CHAOS_ORDERS");
    if (!path)
        return;
    folder = getenv("CHAOS_FOLDER");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!folder || fd < 0 || map == MAP_FAILED)
        abort();
    orders = map;
    close(fd);
}

static void *next(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

/* The clock. */

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = next("clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME)
        now->tv_sec += orders->shift;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}

/* The disk. */

static int is_ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return !strncmp(path, folder, strlen(folder));
}

static int refused(int fd) {
    if (!orders->read_only || !is_ours(fd))
        return 0;
    errno = EROFS;
    return 1;
}

static int synced(int fd, const char *name) {
    int (*real)(int) = next(name);
    if (orders->sync_failures > 0 && is_ours(fd)) {
        orders->sync_failures--;
        errno = EIO;
        return -1;
    }
    return refused(fd) ? -1 : real(fd);
}

int fsync(int fd) {
    return synced(fd, "fsync");
}

int fdatasync(int fd) {
    return synced(fd, "fdatasync");
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");
    return refused(fd) ? -1 : real(fd, data, size, at);
}

int ftruncate64(int fd, off64_t size) {
    int (*real)(int, off64_t) = next("ftruncate64");
    return refused(fd) ? -1 : real(fd, size);
}

int open64(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = next("open64");
    int mode = 0644;
    if (flags & O_CREAT) {
        __builtin_va_list rest;
        __builtin_va_start(rest, flags);
        mode = __builtin_va_arg(rest, int);
        __builtin_va_end(rest);
    }
    if (orders->read_only && (flags & O_ACCMODE) != O_RDONLY && !strncmp(path, folder, strlen(folder))) {
        errno = EROFS;
        return -1;
    }
    return real(path, flags, mode);
}
