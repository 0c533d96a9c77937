/* Quantiles of a stream in little memory, with a stated error; mergeable. */
#ifndef LP_FIT_QUANTILES_H
#define LP_FIT_QUANTILES_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_QUANTILES_LEVELS_MAX = 48 };

/** One level: sorted values, each standing for 2^level of the stream. */
struct lp_quantiles_level {
    double *values; /* owned */
    uint32_t count, capacity;
};

/**
 * The KLL sketch (Z. Karnin, K. Lang, E. Liberty, "Optimal quantile approximation in streams", 2016), whose levels are
 * kept sorted. Exact while at most `k` values were given one by one or in blocks of at most `k`.
 *
 * Error: of the 99 % confidence that lp_quantiles_error states, in share of the count; it holds in any order of the
 * values, since the coins are the sketch's own. They come from a fixed seed: the same calls give the same answers.
 */
struct lp_quantiles {
    struct lp_quantiles_level levels[LP_QUANTILES_LEVELS_MAX];
    uint32_t level_count;
    uint32_t k;
    uint64_t count; /* values given */
    uint64_t coins; /* state of the generator */
    bool exact;     /* no value was left out yet */
};

void lp_quantiles_init(struct lp_quantiles *quantiles, uint32_t k, uint64_t seed);
void lp_quantiles_done(struct lp_quantiles *quantiles);

/**
 * A block of finite values, sorted as lp_sort_roughly does at least. A long one goes in as every 2^j-th of its values,
 * from a random offset on: the one rank that a block so adds an error to is off by at most 2^j, with count >> j still
 * above k / 2, and by what the order is off.
 * @param values are changed
 */
LP_MUST_USE enum lp_code lp_quantiles_add_sorted(struct lp_quantiles *quantiles, double *values, uint32_t count,
                                                 struct lp_error *err);
LP_MUST_USE enum lp_code lp_quantiles_merge(struct lp_quantiles *quantiles, const struct lp_quantiles *other,
                                            struct lp_error *err);

/** The stated error of ranks: share of the count, with 99 % confidence; 0 while exact. */
double lp_quantiles_error(const struct lp_quantiles *quantiles);

/** The summary in order, to ask many questions of. */
struct lp_quantiles_view {
    double *values;    /* owned, ascending */
    uint64_t *weights; /* owned: of the values up to and including this one */
    uint32_t count;
    uint64_t total;
    double min, max; /* exact where the caller knows them: q 0 and 1 */
};
LP_MUST_USE enum lp_code lp_quantiles_look(const struct lp_quantiles *quantiles, double min, double max,
                                           struct lp_quantiles_view *ret_view, struct lp_error *err);
void lp_quantiles_view_done(struct lp_quantiles_view *view);

/** The q-quantile: as numpy's `linear` between neighbours where the sketch is exact. NaN of an empty one. */
double lp_quantiles_at(const struct lp_quantiles_view *view, double q);
/** About how many values are below x. */
double lp_quantiles_below(const struct lp_quantiles_view *view, double x);

#endif
