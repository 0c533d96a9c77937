/*
 * Preloaded into one process of the chaos harness: its wall clock stands where the harness puts it, and its files take
 * no more bytes, or are on a read-only disk, when the harness says so. Nothing of the machine is touched and no
 * privilege is needed.
 *
 * Waits for a moment of the wall clock sleep in slices, because a real jump ends (or prolongs) a wait under way. The
 * monotonic clock is left alone, as a real jump leaves it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { SECOND_NS = 1000000000, SLICE_NS = 50000000 };

/* shim.py writes it. */
struct state {
    _Atomic int64_t ahead_ns;
    _Atomic int32_t full; /* enum disk */
};

enum disk { TAKES, CUTS_NEXT, FULL, READ_ONLY };

static struct state nothing;
static struct state *state = &nothing;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_open)(const char *, int, ...);
static int (*real_open64)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_openat64)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);
static int (*real_mtx_timedlock)(mtx_t *, const struct timespec *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);

static void find(void *pointer, const char *name) { *(void **)pointer = dlsym(RTLD_NEXT, name); }

static void find_all(void)
{
    find(&real_open, "open");
    find(&real_open64, "open64");
    find(&real_openat, "openat");
    find(&real_openat64, "openat64");
    find(&real_write, "write");
    find(&real_pwrite64, "pwrite64");
    find(&real_writev, "writev");
    find(&real_cnd_timedwait, "cnd_timedwait");
    find(&real_mtx_timedlock, "mtx_timedlock");
    find(&real_sem_timedwait, "sem_timedwait");
    find(&real_clock_gettime, "clock_gettime"); /* last: says that the others are there */
}

__attribute__((constructor)) static void set_up(void)
{
    find_all();
    const char *path = getenv("LEPTON_CHAOS_STATE");
    int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *map = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) state = map;
}

static void need(void)
{
    if (real_clock_gettime == NULL) find_all(); /* called by another library's constructor */
}

/* --- the clock --- */

static struct timespec shifted(struct timespec t, int64_t by_ns)
{
    t.tv_sec += (time_t)(by_ns / SECOND_NS);
    t.tv_nsec += (long)(by_ns % SECOND_NS);
    if (t.tv_nsec >= SECOND_NS) t.tv_sec++, t.tv_nsec -= SECOND_NS;
    if (t.tv_nsec < 0) t.tv_sec--, t.tv_nsec += SECOND_NS;
    return t;
}

static int64_t ahead_ns(void) { return atomic_load_explicit(&state->ahead_ns, memory_order_relaxed); }

static bool is_wall(clockid_t id) { return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE; }

EXPORT int clock_gettime(clockid_t id, struct timespec *ret_time)
{
    need();
    int result = real_clock_gettime(id, ret_time);
    if (result == 0 && is_wall(id) && ahead_ns() != 0) *ret_time = shifted(*ret_time, ahead_ns());
    return result;
}

EXPORT int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    ret_time->tv_sec = now.tv_sec;
    ret_time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

EXPORT time_t time(time_t *ret_time)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL) *ret_time = now.tv_sec;
    return now.tv_sec;
}

EXPORT int timespec_get(struct timespec *ret_time, int base)
{
    if (base != TIME_UTC) return 0;
    clock_gettime(CLOCK_REALTIME, ret_time);
    return base;
}

/* The end of the next slice on the real clock; true when it is the end of the wait itself. */
static bool next_slice(const struct timespec *until, struct timespec *ret_slice)
{
    need();
    struct timespec now, target = shifted(*until, -ahead_ns());
    real_clock_gettime(CLOCK_REALTIME, &now);
    struct timespec slice = shifted(now, SLICE_NS);
    bool last = target.tv_sec < slice.tv_sec || (target.tv_sec == slice.tv_sec && target.tv_nsec <= slice.tv_nsec);
    *ret_slice = last ? target : slice;
    return last;
}

EXPORT int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    for (;;) {
        struct timespec slice;
        bool last = next_slice(until, &slice);
        int result = real_cnd_timedwait(condition, mutex, &slice);
        if (result != thrd_timedout || last) return result;
    }
}

EXPORT int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict until)
{
    for (;;) {
        struct timespec slice;
        bool last = next_slice(until, &slice);
        int result = real_mtx_timedlock(mutex, &slice);
        if (result != thrd_timedout || last) return result;
    }
}

EXPORT int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    for (;;) {
        struct timespec slice;
        bool last = next_slice(until, &slice);
        int result = real_sem_timedwait(semaphore, &slice);
        if (result == 0 || errno != ETIMEDOUT || last) return result;
    }
}

/* --- the disk --- */

/* How many of `bytes` the file takes; -1 with errno: none. */
static ssize_t room(int file, size_t bytes)
{
    need();
    struct stat about;
    int32_t full = atomic_load_explicit(&state->full, memory_order_relaxed);
    if (full == TAKES || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return (ssize_t)bytes;
    if (full == CUTS_NEXT && bytes > 1) {
        atomic_store(&state->full, FULL);
        return (ssize_t)(bytes / 2);
    }
    errno = full == READ_ONLY ? EROFS : ENOSPC;
    return -1;
}

/* A read-only disk: nothing is opened for writing, either. */
static bool may_open(int folder, const char *path, int flags)
{
    need();
    struct stat about;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
    if (!writes || atomic_load_explicit(&state->full, memory_order_relaxed) != READ_ONLY) return true;
    if (fstatat(folder, path, &about, 0) == 0 && !S_ISREG(about.st_mode)) return true;
    errno = EROFS;
    return false;
}

static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

#define OPEN(name, folder, parameters, arguments)                          \
    EXPORT int name parameters                                             \
    {                                                                      \
        va_list args;                                                      \
        va_start(args, flags);                                             \
        mode_t mode = mode_of(flags, args);                                \
        va_end(args);                                                      \
        return may_open(folder, path, flags) ? real_##name arguments : -1; \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, directory, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))
OPEN(openat64, directory, (int directory, const char *path, int flags, ...), (directory, path, flags, mode))

EXPORT ssize_t write(int file, const void *data, size_t bytes)
{
    ssize_t taken = room(file, bytes);
    return taken < 0 ? -1 : real_write(file, data, (size_t)taken);
}

EXPORT ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t offset)
{
    ssize_t taken = room(file, bytes);
    return taken < 0 ? -1 : real_pwrite64(file, data, (size_t)taken, offset);
}

EXPORT ssize_t pwrite(int file, const void *data, size_t bytes, off_t offset)
{
    return pwrite64(file, data, bytes, offset);
}

EXPORT ssize_t writev(int file, const struct iovec *parts, int count)
{
    return room(file, 1) < 0 ? -1 : real_writev(file, parts, count);
}
