#include "kafka/committer.h"

#include "core/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lp_committer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job was given, a job is done, the end */
    lp_committer_job *job;  /* NULL: none under way */
    void *context;
    lp_committer_job *done;
    void *done_context;
    atomic_bool busy;
    bool end, abandoned;
};

static void release(struct lp_committer *committer)
{
    pthread_cond_destroy(&committer->changed);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}

static void run_job(struct lp_committer *committer)
{
    lp_committer_job *job = committer->job;
    pthread_mutex_unlock(&committer->lock);
    job(committer->context);
    pthread_mutex_lock(&committer->lock);
    committer->job = NULL;
    atomic_store_explicit(&committer->busy, false, memory_order_release);
    pthread_cond_broadcast(&committer->changed);
    /* Under the lock, so that lp_committer_free cannot return before it. */
    if (committer->done != NULL && !committer->abandoned) committer->done(committer->done_context);
}

static void *committer_main(void *argument)
{
    struct lp_committer *committer = argument;
    pthread_setname_np(pthread_self(), "committer");
    pthread_mutex_lock(&committer->lock);
    while (!committer->end) {
        if (committer->job != NULL) run_job(committer);
        else pthread_cond_wait(&committer->changed, &committer->lock);
    }
    bool abandoned = committer->abandoned;
    pthread_mutex_unlock(&committer->lock);
    if (abandoned) release(committer);
    return NULL;
}

enum lp_code lp_committer_new(lp_committer_job *done, void *done_context, struct lp_committer **ret_committer,
                              struct lp_error *err)
{
    struct lp_committer *committer = calloc(1, sizeof *committer);
    if (committer == NULL) return lp_fail_memory(err, sizeof *committer);
    committer->done = done;
    committer->done_context = done_context;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&committer->lock, NULL);
    int rc = pthread_create(&committer->thread, NULL, committer_main, committer);
    if (rc != 0) {
        release(committer);
        return lp_fail(err, LP_E_IO, LP_FATAL, "committer: thread: %s", strerror(rc));
    }
    *ret_committer = committer;
    return LP_OK;
}

void lp_committer_start(struct lp_committer *committer, lp_committer_job *job, void *context)
{
    pthread_mutex_lock(&committer->lock);
    assert(committer->job == NULL);
    committer->job = job;
    committer->context = context;
    atomic_store_explicit(&committer->busy, true, memory_order_relaxed);
    pthread_cond_broadcast(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

bool lp_committer_busy(const struct lp_committer *committer)
{
    return atomic_load_explicit(&committer->busy, memory_order_acquire);
}

bool lp_committer_wait(struct lp_committer *committer, int timeout_ms)
{
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    int waited = 0;
    pthread_mutex_lock(&committer->lock);
    while (committer->job != NULL && waited == 0)
        waited = pthread_cond_timedwait(&committer->changed, &committer->lock, &deadline);
    bool idle = committer->job == NULL;
    pthread_mutex_unlock(&committer->lock);
    return idle;
}

bool lp_committer_free(struct lp_committer *committer, int timeout_ms)
{
    if (committer == NULL) return true;
    bool idle = lp_committer_wait(committer, timeout_ms);
    pthread_t thread = committer->thread;
    pthread_mutex_lock(&committer->lock);
    idle = committer->job == NULL;
    committer->end = true;
    committer->abandoned = !idle;
    pthread_cond_broadcast(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    if (!idle) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    release(committer);
    return true;
}
