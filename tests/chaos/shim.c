/*
 * Preloaded into one process of the chaos harness: its wall clock stands where the harness puts it, and its files take
 * no more bytes when the harness says so. Nothing of the machine is touched and no privilege is needed.
 *
 * Waits for a moment of the wall clock sleep in slices, because a real jump ends (or prolongs) a wait under way. The
 * monotonic clock is left alone, as a real jump leaves it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
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
    _Atomic int32_t full; /* 1: the next write is cut in half, 2: nothing is taken */
};

static struct state nothing;
static struct state *state = &nothing;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);
static int (*real_mtx_timedlock)(mtx_t *, const struct timespec *);
static int (*real_sem_timedwait)(sem_t *, const struct timespec *);

static void find(void *pointer, const char *name) { *(void **)pointer = dlsym(RTLD_NEXT, name); }

static void find_all(void)
{
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

/* How many of `bytes` the file takes; -1 with ENOSPC: none. */
static ssize_t room(int file, size_t bytes)
{
    need();
    struct stat about;
    int32_t full = atomic_load_explicit(&state->full, memory_order_relaxed);
    if (full == 0 || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return (ssize_t)bytes;
    if (full == 1 && bytes > 1) {
        atomic_store(&state->full, 2);
        return (ssize_t)(bytes / 2);
    }
    errno = ENOSPC;
    return -1;
}

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
