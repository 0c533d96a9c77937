#include "optimize/speed.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 30, ROUNDS_MIN = 10, ROUNDS_MAX = 1000, CLOCK_ROUNDS = 100 };

struct turn {
    struct lp_infer *infer;
    double *calls; /* [ROUNDS_MAX * CALLS] ns */
    uint32_t at;   /* row */
};

static double now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What reading the clock costs itself. */
static double clock_ns(void)
{
    double least = INFINITY;
    for (int i = 0; i < CLOCK_ROUNDS; i++) {
        double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
        least = fmin(least, now_ns(CLOCK_THREAD_CPUTIME_ID) - start);
    }
    return least;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bed {
    const double *rows;
    float *scores;
    uint32_t row_count, column_count, batch;
    double clock_ns;
};

static void run_batch(const struct bed *bed, struct turn *turn)
{
    lp_infer_run(turn->infer, bed->rows + (size_t)turn->at * bed->column_count, bed->batch, NULL, bed->scores);
    turn->at = turn->at + 2 * bed->batch <= bed->row_count ? turn->at + bed->batch : 0;
}

/* The rate over many batches, since the least of single short ones is the clock's luck; then each batch by itself. */
static void run_round(const struct bed *bed, struct turn *turn, uint32_t round, struct lp_speed *speed)
{
    double start = now_ns(CLOCK_THREAD_CPUTIME_ID), *calls = turn->calls + (size_t)round * CALLS;
    for (int i = 0; i < CALLS; i++) run_batch(bed, turn);
    double ns = (now_ns(CLOCK_THREAD_CPUTIME_ID) - start - bed->clock_ns) / ((double)bed->batch * CALLS);
    speed->ns = fmin(speed->ns, fmax(ns, 1e-3));
    for (int i = 0; i < CALLS; i++) {
        start = now_ns(CLOCK_THREAD_CPUTIME_ID);
        run_batch(bed, turn);
        calls[i] = fmax(now_ns(CLOCK_THREAD_CPUTIME_ID) - start - bed->clock_ns, 1e-3);
    }
}

enum lp_code lp_speed_measure(const struct lp_plan *const *plans, uint32_t count, const double *rows,
                              uint32_t row_count, uint32_t column_count, uint32_t output_count, uint32_t batch,
                              int64_t time_ms, struct lp_speed *ret_speeds, struct lp_error *err)
{
    struct bed bed = {rows, NULL, row_count, column_count, batch, clock_ns()};
    struct turn *turns = calloc(count, sizeof *turns);
    double end = now_ns(CLOCK_MONOTONIC) + (double)time_ms * 1e6;
    uint32_t round = 0;
    enum lp_code rc = LP_OK;
    bed.scores = malloc((size_t)batch * output_count * sizeof *bed.scores);
    if (turns == NULL || bed.scores == NULL) rc = lp_fail_memory(err, (size_t)batch * output_count * sizeof(float));
    for (uint32_t v = 0; rc == LP_OK && v < count; v++) {
        ret_speeds[v].ns = INFINITY;
        turns[v].calls = calloc((size_t)ROUNDS_MAX * CALLS, sizeof(double));
        rc = turns[v].calls != NULL ? lp_infer_new(plans[v], batch, &turns[v].infer, err) : lp_fail_memory(err, 0);
    }
    for (; rc == LP_OK && round < ROUNDS_MAX; round++) {
        if (round >= ROUNDS_MIN && now_ns(CLOCK_MONOTONIC) > end) break;
        for (uint32_t v = 0; v < count; v++) run_round(&bed, &turns[v], round, &ret_speeds[v]);
    }
    for (uint32_t v = 0; turns != NULL && v < count; v++) {
        uint32_t calls = round * CALLS;
        if (rc == LP_OK) qsort(turns[v].calls, calls, sizeof(double), by_value);
        if (rc == LP_OK) ret_speeds[v].p99_ns = turns[v].calls[(size_t)calls * 99 / 100];
        lp_infer_free(turns[v].infer);
        free(turns[v].calls);
    }
    free(turns);
    free(bed.scores);
    return rc;
}
