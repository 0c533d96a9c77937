/* What a search keeps when its time is up. */
// wrap: clock_gettime
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "optimize/trials.h"

enum { ROWS = 2000, VALID = 200, TRIALS = 4, TIME_SECONDS = 10 };

static struct lp_bundle *parent;

struct seen {
    uint32_t done;
    double least; /* loss of any training */
};

/* The time is up at the first look at it after the whole first rung and the look before the next training. */
static uint32_t looks_left = UINT32_MAX;
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    *ret_now = (struct timespec){.tv_sec = looks_left > 0 ? 1 : 1 + TIME_SECONDS};
    looks_left -= looks_left > 0 && looks_left != UINT32_MAX;
    return 0;
}

static void see(void *context, const struct lp_trial *trial, const struct lp_trial *best, uint32_t done,
                uint32_t in_all)
{
    struct seen *seen = context;
    (void)best;
    (void)in_all;
    if (done == TRIALS) looks_left = 1;
    seen->least = fmin(seen->least, trial->loss);
    seen->done = done;
}

/* Rows whose first column tells the label. */
static void fill(struct lp_learn *l)
{
    uint32_t width = parent->column_count;
    uint64_t random = 5;
    *l = (struct lp_learn){.loss = {.kind = LP_LOSS_BINARY, .outputs = 1, .delta = 1},
                           .x = calloc((size_t)ROWS * width, sizeof *l->x),
                           .y = calloc(ROWS, sizeof *l->y),
                           .order = calloc(ROWS, sizeof *l->order),
                           .valid_count = VALID,
                           .label_scale = 1,
                           .link_scale = 1,
                           .seed = 1};
    assert_true(l->x != NULL && l->y != NULL && l->order != NULL);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (uint32_t c = 0; c < width; c++) l->x[r * width + c] = (float)(2 * lp_train_uniform(&random) - 1);
        l->y[r] = l->x[r * width] > 0 ? 1 : 0;
        l->order[r] = r;
    }
    l->data = (struct lp_train_data){.row_count = ROWS, .column_count = width, .x = l->x, .x_row = width, .y = l->y};
}

static void a_training_that_is_cut_short_takes_no_place_of_a_better_one(void **state)
{
    (void)state;
    struct lp_learn learn;
    struct lp_trial best[LP_TRIALS_KEPT];
    struct lp_error err;
    uint32_t count;
    struct seen seen = {.least = INFINITY};
    const struct lp_trials_request request = {TRIALS, TIME_SECONDS * 1000, &seen, see};
    fill(&learn);
    assert_int_equal(lp_trials_run(&learn, parent, &request, best, &count, &err), LP_OK);
    assert_int_equal(seen.done, TRIALS + 1);
    assert_true(count == LP_TRIALS_KEPT && best[0].loss == seen.least);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(best[i].epochs, 9);
        lp_bundle_free(best[i].bundle);
    }
    lp_learn_done(&learn);
}

static int load(void **state)
{
    struct lp_error err;
    (void)state;
    return lp_bundle_load(TEST_DATA_DIR "/bundles/mlp.safetensors", UINT64_C(1) << 30, &parent, &err) != LP_OK;
}

static int release(void **state)
{
    (void)state;
    lp_bundle_free(parent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_that_is_cut_short_takes_no_place_of_a_better_one),
    };
    return cmocka_run_group_tests(tests, load, release);
}
