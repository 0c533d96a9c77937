#include "optimize/speed.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS_MIN = 5, ROUNDS_MAX = 1000, CALLS_MAX = 8192, SINGLES = 10, CLOCK_ROUNDS = 100 };
enum { CACHED_BYTES = 512 << 10 };
static const double round_ns = 250000;
static const double cold_ns = 5e6; /* a batch so long does not feel whether its weights are in the cache */

struct turn {
    struct lp_infer *infer;
    uint32_t batch, row_count; /* of which a batch is taken at a time */
    uint32_t calls;            /* a round */
    double *rounds;            /* [ROUNDS_MAX] ns a row */
    double *singles;           /* [ROUNDS_MAX][SINGLES] ns a batch; NULL: not asked */
    uint32_t at;               /* row */
    bool warms;                /* by a batch before each round */
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
    const struct lp_speed_rows *rows;
    float *scores;
    double clock_ns;
};

static void run_batch(const struct bed *bed, struct turn *turn)
{
    const struct lp_speed_rows *r = bed->rows;
    lp_infer_run(turn->infer, r->rows + (size_t)turn->at * r->column_count, turn->batch, NULL, bed->scores);
    turn->at = turn->at + 2 * turn->batch <= turn->row_count ? turn->at + turn->batch : 0;
}

static double time_calls(const struct bed *bed, struct turn *turn, uint32_t calls)
{
    double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < calls; i++) run_batch(bed, turn);
    return fmax(now_ns(CLOCK_THREAD_CPUTIME_ID) - start - bed->clock_ns, 1e-3);
}

static enum lp_code start_turn(const struct bed *bed, const struct lp_plan *plan, uint32_t batch, struct turn *turn,
                               struct lp_error *err)
{
    size_t row_bytes = (size_t)bed->rows->column_count * sizeof(double), cached = CACHED_BYTES / (row_bytes + 1);
    size_t singles = (size_t)ROUNDS_MAX * SINGLES;
    turn->batch = batch;
    turn->row_count = cached < bed->rows->row_count ? (uint32_t)cached : bed->rows->row_count;
    if (turn->row_count < batch) turn->row_count = batch;
    turn->rounds = calloc(ROUNDS_MAX, sizeof *turn->rounds);
    turn->singles = bed->rows->singles ? calloc(singles, sizeof *turn->singles) : NULL;
    if (turn->rounds == NULL || (bed->rows->singles && turn->singles == NULL))
        return lp_fail_memory(err, singles * sizeof *turn->singles);
    LP_TRY(lp_infer_new(plan, batch, &turn->infer, err));
    run_batch(bed, turn);
    double batch_ns = time_calls(bed, turn, 1), calls = ceil(round_ns / batch_ns);
    turn->warms = batch_ns < cold_ns;
    turn->calls = calls < CALLS_MAX ? (uint32_t)calls : CALLS_MAX;
    return LP_OK;
}

/* A batch first that is not counted: the plans before took the cache. */
static void run_round(const struct bed *bed, struct turn *turn, uint32_t round)
{
    if (turn->warms) run_batch(bed, turn);
    turn->rounds[round] = time_calls(bed, turn, turn->calls) / ((double)turn->batch * turn->calls);
    for (int i = 0; turn->calls > 1 && turn->singles != NULL && i < SINGLES; i++)
        turn->singles[(size_t)round * SINGLES + (size_t)i] = time_calls(bed, turn, 1);
}

static double quantile(double *values, size_t count, size_t percent)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count * percent / 100];
}

static struct lp_speed summarize(struct turn *turn, uint32_t rounds)
{
    struct lp_speed speed = {quantile(turn->rounds, rounds, 50), NAN};
    if (turn->singles == NULL) return speed;
    if (turn->calls == 1) speed.p99_ns = quantile(turn->rounds, rounds, 99) * turn->batch;
    else speed.p99_ns = quantile(turn->singles, (size_t)rounds * SINGLES, 99);
    return speed;
}

enum lp_code lp_speed_measure(const struct lp_plan *const *plans, const uint32_t *batches, uint32_t count,
                              const struct lp_speed_rows *rows, int64_t time_ms, struct lp_speed *ret_speeds,
                              struct lp_error *err)
{
    struct bed bed = {rows, NULL, clock_ns()};
    struct turn *turns = calloc((size_t)count + 1, sizeof *turns);
    size_t bytes = (size_t)rows->row_count * rows->output_count * sizeof *bed.scores;
    double end = now_ns(CLOCK_MONOTONIC) + (double)time_ms * 1e6;
    uint32_t round = 0;
    enum lp_code rc = LP_OK;
    bed.scores = malloc(bytes + 1);
    if (turns == NULL || bed.scores == NULL) rc = lp_fail_memory(err, bytes);
    for (uint32_t v = 0; rc == LP_OK && v < count; v++) rc = start_turn(&bed, plans[v], batches[v], &turns[v], err);
    for (; rc == LP_OK && round < ROUNDS_MAX; round++) {
        if (round >= ROUNDS_MIN && now_ns(CLOCK_MONOTONIC) > end) break;
        for (uint32_t v = 0; v < count; v++) run_round(&bed, &turns[v], round);
    }
    for (uint32_t v = 0; turns != NULL && v < count; v++) {
        struct turn *turn = &turns[v];
        if (rc == LP_OK) ret_speeds[v] = summarize(turn, round);
        lp_infer_free(turn->infer);
        free(turn->rounds);
        free(turn->singles);
    }
    free(turns);
    free(bed.scores);
    return rc;
}
