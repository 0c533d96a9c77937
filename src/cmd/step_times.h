/* What each step of a plan takes, and how near that is to what this core can do. */
#ifndef LP_CMD_STEP_TIMES_H
#define LP_CMD_STEP_TIMES_H

#include "core/error.h"
#include "infer/infer.h"

#include <jansson.h>
#include <stdint.h>

struct lp_step_times {
    const struct lp_plan *plan; /* borrowed */
    uint32_t batch;
    double *ns;            /* a row, by step; owned */
    double peak_gflops;    /* fp32 multiply-adds of this core, measured beside them */
    double peak_int8_gops; /* of its products of bytes by AVX-512 VNNI; 0 without it */
};

/**
 * Best of the rounds that fit in limit_ns, which many steps and wide rows may exceed: there is always one.
 * @param rows [batch][column_count], as lp_bench_rows draws them
 */
LP_MUST_USE enum lp_code lp_step_times_measure(const struct lp_plan *plan, const double *rows, uint32_t batch,
                                               double limit_ns, struct lp_step_times *ret_times, struct lp_error *err);
void lp_step_times_done(struct lp_step_times *times);

/** A line a step on stdout; nothing for an ensemble alone, which has none. */
void lp_step_times_print(const struct lp_step_times *times);

/** The same for programs: an array, owned by the caller; NULL without memory. */
json_t *lp_step_times_json(const struct lp_step_times *times);

#endif
