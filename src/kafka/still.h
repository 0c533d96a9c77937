/*
 * One time for many messages. librdkafka reads the monotonic clock twice for each message it is given, which is 50 of
 * the 900 ns that a small record costs its lane (perf, 2.0.2), and the messages of a batch differ by less than a
 * millisecond, finer than linger.ms. It has no call that takes the time, so clock_gettime is defined by the program, in
 * front of libc's: between lp_still_begin and lp_still_end it answers CLOCK_MONOTONIC with a time of the caller's
 * choice, on the calling thread only; everything else goes to libc's.
 */
#ifndef LP_KAFKA_STILL_H
#define LP_KAFKA_STILL_H

#include <time.h>

/** tv_sec and tv_nsec 0: the clock runs. */
extern _Thread_local struct timespec lp_still_time __attribute__((tls_model("initial-exec")));

static inline void lp_still_begin(struct timespec monotonic) { lp_still_time = monotonic; }
static inline void lp_still_end(void) { lp_still_time = (struct timespec){0}; }

#endif
