/*
 * Tree kernels against a walk that is written here from the libraries' rules, over random and adversarial ensembles.
 * Bits must agree: leaves are chosen exactly and sums have one order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forest.h"
#include "guard.h"

enum { KERNELS_MAX = 8, ROWS = 257, COLUMNS_MAX = 600 };

static const char *kernels[KERNELS_MAX];
static uint32_t kernel_count;

static bool member(const struct lp_trees *t, uint32_t n, int64_t category)
{
    uint32_t begin = t->set_begin[t->index[n]], end = t->set_begin[t->index[n] + 1];
    if (category < 0 || category >= 32 * (int64_t)(end - begin)) return false;
    return (t->set_words[begin + category / 32] >> (category % 32) & 1) != 0;
}

/* XGBoost's Decision() and GetNextNode(). */
static uint32_t xgboost_next(const struct lp_trees *t, uint32_t n, double given)
{
    float x = (float)given;
    bool left;
    if (isnan(x)) left = (t->flags[n] & LP_TREES_DEFAULT_LEFT) != 0;
    else if ((t->flags[n] & LP_TREES_CATEGORICAL) == 0) left = x < (float)t->threshold[n];
    else left = x < 0 || x >= 16777216.0f || !member(t, n, (int64_t)x);
    return left ? t->left[n] : t->right[n];
}

/* LightGBM's NumericalDecision() and CategoricalDecision(), behind the filter of its matrix readers. */
static uint32_t lightgbm_next(const struct lp_trees *t, uint32_t n, double x)
{
    double zero = (double)1e-35f;
    if (fabs(x) <= zero) x = 0;
    if ((t->flags[n] & LP_TREES_CATEGORICAL) != 0) {
        if (isnan(x) || x >= 2147483648.0 || x <= -2147483649.0) return t->right[n];
        return member(t, n, (int64_t)x) ? t->left[n] : t->right[n];
    }
    if (isnan(x) && (t->flags[n] & LP_TREES_MISSING_NAN) == 0) x = 0;
    if (((t->flags[n] & LP_TREES_MISSING_ZERO) != 0 && x >= -zero && x <= zero) ||
        ((t->flags[n] & LP_TREES_MISSING_NAN) != 0 && isnan(x)))
        return (t->flags[n] & LP_TREES_DEFAULT_LEFT) != 0 ? t->left[n] : t->right[n];
    return x <= t->threshold[n] ? t->left[n] : t->right[n];
}

static uint32_t expected_leaf(const struct lp_trees *t, uint32_t tree, const double *row)
{
    uint32_t n = t->root[tree];
    while (t->column[n] >= 0) {
        double x = row[t->column[n]];
        n = t->compare == LP_TREES_XGBOOST ? xgboost_next(t, n, x) : lightgbm_next(t, n, x);
    }
    return n;
}

static double leaf_output(const struct lp_trees *t, uint32_t leaf, uint32_t output, const double *row)
{
    double value = t->leaf_value[(size_t)leaf * t->leaf_width + (t->leaf_width > 1 ? output : 0)];
    if (t->linear_begin == NULL) return value;
    double sum = t->linear_constant[leaf];
    for (uint32_t i = t->linear_begin[leaf]; i < t->linear_begin[leaf + 1]; i++) {
        double x = row[t->linear_column[i]];
        if (isnan(x)) return value;
        sum += t->linear_coefficient[i] * (fabs(x) <= (double)1e-35f ? 0.0 : x);
    }
    return sum;
}

static void expected_margins(const struct lp_trees *t, const double *row, double *margins)
{
    for (uint32_t o = 0; o < t->output_count; o++) {
        double sum = t->base != NULL ? t->base[o] : 0.0;
        float float_sum = (float)sum;
        for (uint32_t tree = 0; tree < t->tree_count; tree++) {
            if (t->leaf_width == 1 && t->output[tree] != o) continue;
            double value = leaf_output(t, t->index[expected_leaf(t, tree, row)], o, row);
            sum += value;
            float_sum += (float)value;
        }
        margins[o] = (t->compare == LP_TREES_XGBOOST ? (double)float_sum : sum) / t->divisor;
    }
}

static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

struct bench {
    const struct shape *shape;
    struct forest forest;
    double *rows, *want;
    uint32_t stride;
    struct guarded input, output, scratch;
};

static void bench_init(struct bench *b, const struct shape *shape)
{
    b->shape = shape;
    forest_init(&b->forest, shape);
    b->stride = shape->columns + draw(3);
    b->rows = forest_take((size_t)ROWS * b->stride, sizeof(double));
    b->want = forest_take((size_t)ROWS * shape->outputs, sizeof(double));
    for (size_t i = 0; i < (size_t)ROWS * b->stride; i++) b->rows[i] = forest_value(&b->forest, shape);
    for (uint32_t r = 0; r < ROWS; r++)
        expected_margins(&b->forest.trees, b->rows + (size_t)r * b->stride, b->want + (size_t)r * shape->outputs);
    b->input = guarded_new(sizeof(double) * ROWS * b->stride);
    b->output = guarded_new(sizeof(double) * ROWS * shape->outputs);
}

static void bench_done(struct bench *b)
{
    guarded_free(&b->input);
    guarded_free(&b->output);
    free(b->rows);
    free(b->want);
    forest_done(&b->forest);
}

/* Rows first, first + 1, ... in one call: right values, nothing read or written outside. */
static void check_rows(const struct bench *b, const struct lp_trees_model *model, const char *kernel, uint32_t first,
                       uint32_t count, void *scratch)
{
    uint32_t outputs = b->shape->outputs;
    size_t values = count == 0 ? 0 : (size_t)(count - 1) * b->stride + b->shape->columns;
    double *rows = guarded_place(&b->input, values * sizeof *rows, count % 2 == 0);
    double *margins = guarded_place(&b->output, (size_t)count * outputs * sizeof *margins, count % 2 == 0);
    memcpy(rows, b->rows + (size_t)first * b->stride, values * sizeof *rows);
    lp_trees_run(model, rows, count, b->stride, margins, scratch);
    for (size_t i = 0; i < (size_t)count * outputs; i++) {
        double want = b->want[(size_t)first * outputs + i];
        if (!same(margins[i], want))
            fail_msg("%s, %s, %u rows: row %zu output %zu: %a, want %a", b->shape->name, kernel, count, i / outputs,
                     i % outputs, margins[i], want);
    }
}

/* @return false: the kernel does not take this ensemble */
static bool check_kernel(struct bench *b, const char *kernel)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 256, 257};
    struct lp_trees_model *model = NULL;
    struct lp_error err;
    if (lp_trees_new(&b->forest.trees, lp_cpu_get(), kernel, &model, &err) != LP_OK) {
        assert_int_equal(err.code, LP_E_UNSUPPORTED);
        assert_non_null(kernel);
        return false;
    }
    assert_non_null(lp_trees_describe(model));
    size_t bytes = (lp_trees_scratch_bytes(model) + 63) / 64 * 64;
    void *scratch = aligned_alloc(64, bytes);
    assert_non_null(scratch);
    memset(scratch, 0xA5, bytes);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        check_rows(b, model, kernel != NULL ? kernel : "auto", (ROWS - counts[i]) / 2, counts[i], scratch);
    for (uint32_t r = 0; r < 40; r++) check_rows(b, model, kernel != NULL ? kernel : "auto", r, 1, scratch);
    free(scratch);
    lp_trees_free(model);
    return true;
}

/* @return how many kernels ran it */
static uint32_t check_shape(const struct shape *shape)
{
    struct bench b;
    uint32_t ran = 0;
    bench_init(&b, shape);
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t *nodes = forest_take(shape->trees, sizeof *nodes);
        lp_trees_leaves(&b.forest.trees, b.rows + (size_t)r * b.stride, nodes);
        for (uint32_t t = 0; t < shape->trees; t++)
            assert_int_equal(nodes[t], expected_leaf(&b.forest.trees, t, b.rows + (size_t)r * b.stride));
        free(nodes);
    }
    for (uint32_t i = 0; i < kernel_count; i++) ran += check_kernel(&b, kernels[i]) ? 1 : 0;
    assert_true(check_kernel(&b, NULL));
    bench_done(&b);
    return ran;
}

#define X LP_TREES_XGBOOST
#define L LP_TREES_LIGHTGBM
/* name, compare, columns, outputs, trees, depth, grow %, chain, thresholds, category %, linear %, vector, modes */
static const struct shape shapes[] = {
    {"no trees", X, 3, 2, 0, 1, 0, false, 10, 0, 0, false, 2},
    {"one leaf", X, 1, 1, 1, 1, 0, false, 10, 0, 0, false, 2},
    {"leaves alone", L, 4, 1, 70, 4, 0, false, 10, 0, 0, false, 2},
    {"stumps", X, 5, 1, 130, 1, 100, false, 100, 0, 0, false, 2},
    {"complete 6", X, 28, 1, 65, 6, 100, false, 200, 0, 0, false, 2},
    {"complete 6", L, 28, 1, 65, 6, 100, false, 200, 0, 0, false, 2},
    {"complete 8", X, 28, 1, 33, 8, 100, false, 250, 0, 0, false, 1},
    {"ragged 6", L, 28, 1, 100, 6, 80, false, 120, 0, 0, false, 2},
    {"ragged 16", L, 13, 1, 20, 16, 85, false, 120, 0, 0, false, 5},
    {"ragged 16", X, 64, 1, 20, 16, 85, false, 120, 0, 0, false, 2},
    {"every threshold its own", X, 6, 1, 30, 8, 95, false, 0, 0, 0, false, 2},
    {"every threshold its own", L, 6, 1, 30, 8, 95, false, 0, 0, 0, false, 5},
    {"two tables", X, 100, 1, 30, 7, 95, false, 100, 0, 0, false, 1},
    {"four tables", L, 60, 1, 30, 7, 95, false, 100, 0, 0, false, 4},
    {"more columns than slots", X, 600, 1, 60, 7, 95, false, 100, 0, 0, false, 2},
    {"more thresholds than slots", X, 3, 1, 300, 10, 95, false, 0, 0, 0, false, 2},
    {"many trees", L, 28, 1, 3000, 4, 75, false, 100, 0, 0, false, 2},
    {"chain 40", X, 10, 1, 9, 40, 0, true, 100, 0, 0, false, 2},
    {"chain 3000", L, 10, 1, 2, 3000, 0, true, 100, 0, 0, false, 5},
    {"categories", X, 12, 1, 40, 7, 90, false, 60, 40, 0, false, 2},
    {"categories", L, 12, 1, 40, 7, 90, false, 60, 40, 0, false, 5},
    {"classes", X, 9, 3, 60, 6, 90, false, 60, 10, 0, false, 2},
    {"classes", L, 9, 7, 60, 9, 90, false, 60, 10, 0, false, 5},
    {"vector leaves", X, 9, 4, 40, 7, 90, false, 60, 10, 0, true, 2},
    {"linear leaves", L, 9, 1, 40, 7, 90, false, 60, 10, 70, false, 5},
    {"linear leaves, classes", L, 9, 3, 40, 5, 90, false, 60, 0, 70, false, 5},
};

static void kernels_agree_with_the_libraries_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) assert_true(check_shape(&shapes[i]) > 0);
}

static void every_kernel_takes_the_usual_ensembles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strncmp(shapes[i].name, "complete", 8) != 0 && strncmp(shapes[i].name, "ragged 6", 8) != 0) continue;
        assert_int_equal(check_shape(&shapes[i]), kernel_count);
    }
}

/* Small random shapes, many of them. */
static void random_ensembles_agree(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        bool linear = draw(5) == 0;
        struct shape shape = {"random",        linear || draw(2) == 0 ? L : X,
                              1 + draw(40),    1 + draw(3),
                              draw(40),        1 + draw(12),
                              50 + draw(51),   false,
                              20 + draw(300),  draw(3) == 0 ? draw(60) : 0,
                              linear ? 50 : 0, !linear && draw(4) == 0,
                              1 + draw(5)};
        check_shape(&shape);
    }
}

static void an_unknown_kernel_is_refused(void **state)
{
    (void)state;
    struct lp_trees trees = {.divisor = 1.0, .leaf_width = 1};
    struct lp_trees_model *model = NULL;
    struct lp_error err;
    assert_int_equal(lp_trees_new(&trees, lp_cpu_get(), "abacus", &model, &err), LP_E_UNSUPPORTED);
    assert_null(model);
}

int main(void)
{
    kernel_count = lp_trees_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree_with_the_libraries_rules),
        cmocka_unit_test(every_kernel_takes_the_usual_ensembles),
        cmocka_unit_test(random_ensembles_agree),
        cmocka_unit_test(an_unknown_kernel_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
