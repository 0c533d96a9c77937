/*
 * librdkafka's close and destroy have hung in the field, and a question to a broker that is away takes seconds: a
 * container must end all the same. The watchdog ends the process with status 1 when shutdown.timeout_ms and a margin
 * are over, from the first sign of a stop on, and says what was left.
 */
#ifndef LP_WORKER_WATCHDOG_H
#define LP_WORKER_WATCHDOG_H

#include "worker/worker.h"

#include <stdint.h>

enum { LP_WATCHDOG_MARGIN_MS = 2000 };

struct lp_watchdog;

/** `interrupted` (may be NULL) is asked every 50 ms: true begins the countdown. NULL: no memory or no thread. */
struct lp_watchdog *lp_watchdog_new(uint64_t timeout_ms, lp_worker_interrupted *interrupted, void *context);
/** Begin the countdown unless it runs; returns its end without the margin (monotonic). NULL: nothing to do, 0. */
uint64_t lp_watchdog_arm(struct lp_watchdog *watchdog);
/** What is being done; static text. NULL: ignored. */
void lp_watchdog_phase(struct lp_watchdog *watchdog, const char *phase);
/** In time: ends it. NULL: nothing. */
void lp_watchdog_free(struct lp_watchdog *watchdog);

#endif
