/* The threads of one training process, and the other processes: barriers and sums in a fixed order. */
#ifndef LP_TRAIN_TEAM_H
#define LP_TRAIN_TEAM_H

#include "core/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LP_TEAM_THREADS_MAX = 64 };

/** Other processes that train the same network on other rows; called by thread 0 only, by all ranks alike. */
struct lp_train_peers {
    uint32_t rank, count;
    void *context;
    void (*sum_floats)(void *context, float *values, size_t count); /* each rank gets the same sums */
    void (*sum_doubles)(void *context, double *values, size_t count);
    void (*same)(void *context, void *bytes, size_t count); /* every rank gets rank 0's */
};

struct lp_team {
    uint32_t threads;
    const struct lp_train_peers *peers; /* NULL: none */
    atomic_uint arrived, turn, sleepers;
    double *slots; /* [threads][slot_count] */
    size_t slot_count;
};

/** @param sum_max numbers of the largest lp_team_sum */
LP_MUST_USE enum lp_code lp_team_init(struct lp_team *team, uint32_t threads, const struct lp_train_peers *peers,
                                      size_t sum_max, struct lp_error *err);
void lp_team_done(struct lp_team *team);

/** Wait for every thread of this process; what they wrote before is seen behind it. */
void lp_team_wait(struct lp_team *team);

/** Replace `values` by the sum over threads, in their order, and ranks; every thread calls it with its own. */
void lp_team_sum(struct lp_team *team, uint32_t thread, double *values, size_t count);

/** As lp_team_sum, over the threads of this process only. */
void lp_team_sum_threads(struct lp_team *team, uint32_t thread, double *values, size_t count);

static inline uint32_t lp_team_ranks(const struct lp_team *team)
{
    return team->peers != NULL ? team->peers->count : 1;
}
static inline uint32_t lp_team_rank(const struct lp_team *team) { return team->peers != NULL ? team->peers->rank : 0; }

/** Thread's part of `count` things: from here to the next thread's begin, in whole `unit`s. */
static inline uint32_t lp_team_begin(uint32_t count, uint32_t unit, uint32_t thread, uint32_t threads)
{
    if (thread == threads) return count;
    return (uint32_t)((uint64_t)(count / unit) * thread / threads) * unit;
}

#endif
