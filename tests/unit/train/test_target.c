/* Target means out of fold, against the plain definition: row by row over all other rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/net.h"
#include "train/target.h"

enum { ROWS = 600, TRAIN = 500, WORDS = 40, COLUMN = 1, COLUMNS = 3 };
static const uint64_t seed = 9;

struct rows {
    struct lp_feature features[2];
    struct lp_bundle bundle;
    struct lp_table table;
    float x[ROWS][COLUMNS];
    double label[ROWS];
    uint32_t categories[ROWS], order[ROWS];
};

static void make(struct rows *r)
{
    uint64_t random = 77;
    memset(r, 0, sizeof *r);
    r->features[0] = (struct lp_feature){.kind = LP_FEATURE_NUMBER, .column = 0, .column_count = 1};
    r->features[1] = (struct lp_feature){.kind = LP_FEATURE_CATEGORY,
                                         .encoding = LP_ENCODING_TARGET,
                                         .vocabulary_count = WORDS,
                                         .column = COLUMN,
                                         .column_count = 1};
    r->bundle = (struct lp_bundle){.features = r->features, .feature_count = 2, .column_count = COLUMNS};
    r->table = (struct lp_table){.row_count = ROWS,
                                 .own_count = ROWS,
                                 .column_count = COLUMNS,
                                 .x_row = COLUMNS,
                                 .x = r->x[0],
                                 .label = r->label,
                                 .target_count = 1,
                                 .categories = r->categories};
    for (uint32_t i = 0; i < ROWS; i++) {
        /* Some words are rare, one is in a row that validates only, some rows have none. */
        uint32_t word = lp_train_below(&random, WORDS + 3);
        r->categories[i] = i == 599 ? 39 : word >= WORDS - 1 ? UINT32_MAX : word * word / (WORDS - 1);
        r->label[i] = (double)lp_train_below(&random, 1000) / 7;
        r->order[i] = i;
        for (uint32_t c = 0; c < COLUMNS; c++) r->x[i][c] = -1;
    }
}

static double plain_mean(const struct rows *r, uint32_t place)
{
    uint32_t row = r->order[place];
    double labels = 0, all = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < TRAIN; i++) {
        uint32_t other = r->order[i];
        all += r->label[other] / TRAIN;
        if (place < TRAIN && lp_target_fold(other, seed) == lp_target_fold(row, seed)) continue;
        if (r->categories[row] == UINT32_MAX || r->categories[other] != r->categories[row]) continue;
        labels += r->label[other];
        count++;
    }
    return (labels + 20 * all) / (count + 20);
}

static void a_row_sees_the_mean_of_the_other_folds(void **context)
{
    (void)context;
    static struct rows r;
    struct lp_error err;
    make(&r);
    assert_int_equal(lp_target_encode(&r.table, &r.bundle, r.order, TRAIN, seed, &err), LP_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint32_t row = r.order[i];
        assert_true(fabs((double)r.x[row][COLUMN] - plain_mean(&r, i)) < 1e-4);
        assert_true(r.x[row][0] == -1 && r.x[row][2] == -1);
    }
}

/* Beyond the mean of all, which is one number, nothing of a row's own label is in its feature. */
static void a_rows_own_label_moves_its_feature_as_little_as_anyones(void **context)
{
    (void)context;
    static struct rows r, moved;
    struct lp_error err;
    make(&r);
    assert_int_equal(lp_target_encode(&r.table, &r.bundle, r.order, TRAIN, seed, &err), LP_OK);
    for (uint32_t row = 0; row < TRAIN; row += 37) {
        make(&moved);
        moved.label[row] += 500;
        assert_int_equal(lp_target_encode(&moved.table, &moved.bundle, moved.order, TRAIN, seed, &err), LP_OK);
        double by = (double)(moved.x[row][COLUMN] - r.x[row][COLUMN]);
        assert_true(by >= 0 && by <= 500.0 / TRAIN + 1e-3);
    }
    make(&moved);
    for (uint32_t row = TRAIN; row < ROWS; row++) moved.label[row] = 1e6;
    assert_int_equal(lp_target_encode(&moved.table, &moved.bundle, moved.order, TRAIN, seed, &err), LP_OK);
    assert_memory_equal(moved.x, r.x, sizeof r.x);
}

static void folds_are_even_and_follow_the_seed(void **context)
{
    (void)context;
    uint32_t sizes[LP_TARGET_FOLDS] = {0}, same = 0;
    for (uint32_t row = 0; row < 10000; row++) {
        sizes[lp_target_fold(row, 1)]++;
        same += lp_target_fold(row, 1) == lp_target_fold(row, 2);
    }
    for (int k = 0; k < LP_TARGET_FOLDS; k++) assert_in_range(sizes[k], 1800, 2200);
    assert_in_range(same, 1800, 2200);
}

/* Each rank keeps the numbers of its rows, and they are those that one process has. */
static void ranks_have_the_same_means(void **context)
{
    (void)context;
    static struct rows r, part;
    static uint32_t where[ROWS];
    struct lp_error err;
    make(&r);
    assert_int_equal(lp_target_encode(&r.table, &r.bundle, r.order, TRAIN, seed, &err), LP_OK);
    make(&part);
    for (uint32_t row = 0; row < ROWS; row++) where[row] = row % 2 == 0 ? UINT32_MAX : row / 2;
    part.table.where = where;
    part.table.own_count = ROWS / 2;
    assert_int_equal(lp_target_encode(&part.table, &part.bundle, part.order, TRAIN, seed, &err), LP_OK);
    for (uint32_t row = 1; row < ROWS; row += 2) assert_true(part.x[row / 2][COLUMN] == r.x[row][COLUMN]);
    for (uint32_t i = ROWS / 2; i < ROWS; i++) assert_true(part.x[i][COLUMN] == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_sees_the_mean_of_the_other_folds),
        cmocka_unit_test(a_rows_own_label_moves_its_feature_as_little_as_anyones),
        cmocka_unit_test(folds_are_even_and_follow_the_seed),
        cmocka_unit_test(ranks_have_the_same_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
