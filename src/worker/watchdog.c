#include "worker/watchdog.h"

#include "core/clock.h"
#include "core/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 50 };

struct lp_watchdog {
    pthread_t thread;
    uint64_t timeout_ns;
    lp_worker_interrupted *interrupted;
    void *context;
    atomic_uint_fast64_t deadline_ns; /* 0: not counting down */
    _Atomic(const char *) phase;
    atomic_bool done;
};

static void bite(const struct lp_watchdog *watchdog)
{
    LP_LOG(LP_LOG_ERROR, "shutdown_watchdog", lp_kv("left", atomic_load(&watchdog->phase)),
           lp_kv_int("milliseconds", (int64_t)(watchdog->timeout_ns / 1000000u) + LP_WATCHDOG_MARGIN_MS),
           lp_kv("reason", "not stopped in time; what was not acknowledged or committed comes again"));
    _exit(1);
}

static void *watch(void *context)
{
    struct lp_watchdog *watchdog = context;
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    while (!atomic_load(&watchdog->done)) {
        if (watchdog->interrupted != NULL && watchdog->interrupted(watchdog->context)) (void)lp_watchdog_arm(watchdog);
        uint64_t deadline_ns = atomic_load(&watchdog->deadline_ns);
        if (deadline_ns != 0 && lp_clock_ns() > deadline_ns + LP_WATCHDOG_MARGIN_MS * UINT64_C(1000000)) bite(watchdog);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

struct lp_watchdog *lp_watchdog_new(uint64_t timeout_ms, lp_worker_interrupted *interrupted, void *context)
{
    struct lp_watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (watchdog == NULL) return NULL;
    watchdog->timeout_ns = timeout_ms * 1000000u;
    watchdog->interrupted = interrupted;
    watchdog->context = context;
    atomic_store(&watchdog->phase, "the start");
    if (pthread_create(&watchdog->thread, NULL, watch, watchdog) == 0) return watchdog;
    free(watchdog);
    return NULL;
}

uint64_t lp_watchdog_arm(struct lp_watchdog *watchdog)
{
    uint64_t none = 0;
    if (watchdog == NULL) return 0;
    uint64_t deadline_ns = lp_clock_ns() + watchdog->timeout_ns;
    return atomic_compare_exchange_strong(&watchdog->deadline_ns, &none, deadline_ns) ? deadline_ns : none;
}

void lp_watchdog_phase(struct lp_watchdog *watchdog, const char *phase)
{
    if (watchdog != NULL) atomic_store(&watchdog->phase, phase);
}

void lp_watchdog_free(struct lp_watchdog *watchdog)
{
    if (watchdog == NULL) return;
    atomic_store(&watchdog->done, true);
    pthread_join(watchdog->thread, NULL);
    free(watchdog);
}
