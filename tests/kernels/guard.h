/* Buffers between pages that may not be touched: a read or write one byte outside is a crash. */
#ifndef TESTS_KERNELS_GUARD_H
#define TESTS_KERNELS_GUARD_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
    unsigned char *first; /* first usable byte, at the start of a page */
    size_t bytes;         /* usable, whole pages */
};

static inline struct guarded guarded_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bytes = (bytes + page - 1) / page * page;
    unsigned char *all = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || mprotect(all + page, bytes, PROT_READ | PROT_WRITE) != 0) abort();
    return (struct guarded){all + page, bytes};
}

/* `bytes` bytes that start (at_end 0) or end (at_end 1) at a forbidden page. */
static inline void *guarded_place(const struct guarded *guarded, size_t bytes, int at_end)
{
    if (bytes > guarded->bytes) abort();
    return guarded->first + (at_end ? guarded->bytes - bytes : 0);
}

static inline void guarded_free(struct guarded *guarded)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(guarded->first - page, guarded->bytes + 2 * page);
}

#endif
