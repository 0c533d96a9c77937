/* Time. Deadlines use the monotonic clock in nanoseconds, events the wall clock in milliseconds. */
#ifndef LP_CORE_CLOCK_H
#define LP_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Monotonic nanoseconds; about 20 ns a call (vDSO). */
static inline uint64_t lp_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/** Wall clock, milliseconds since the epoch. */
static inline int64_t lp_clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
