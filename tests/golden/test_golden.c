/*
 * The whole way from a JSON record to a score, against numpy in float64 (make_golden.py): cleaned rows and what drift
 * observes to the bit or two, margins and scores to 1e-5, in batches of several sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/json.h"
#include "score/model.h"

enum { HEADER_DOUBLES = 4, LINE_MAX_BYTES = 1 << 20 };

struct golden {
    const char *name;
    struct lp_model *model;
    double *expected; /* HEADER_DOUBLES, then a block a record */
    size_t record_count, column_count, feature_count, output_count, block;
    char *lines; /* the records, one a line */
    /* What we make of them, rows of accepted records packed. */
    double *rows;
    size_t *accepted; /* which record a row is from */
    size_t row_count;
};

static struct lp_error err;

static void *read_all(const char *name, const char *suffix, size_t *ret_bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s%s", GOLDEN_DIR, name, suffix);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s cannot be read", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    bytes[size] = '\0';
    fclose(file);
    *ret_bytes = (size_t)size;
    return bytes;
}

static void open_golden(struct golden *g, const char *name)
{
    char path[512];
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s.safetensors", GOLDEN_DIR, name);
    const struct lp_model_options options = {.bundle_max_bytes = 1 << 30, .require_golden = true};
    *g = (struct golden){.name = name};
    if (lp_model_load(path, &options, &g->model, &err) != LP_OK) fail_msg("%s: %s", name, err.text);
    g->lines = read_all(name, ".jsonl", &bytes);
    g->expected = read_all(name, ".f64", &bytes);
    g->record_count = (size_t)g->expected[0];
    g->column_count = (size_t)g->expected[1];
    g->feature_count = (size_t)g->expected[2];
    g->output_count = (size_t)g->expected[3];
    g->block = 1 + g->column_count + g->feature_count + 2 * g->output_count;
    assert_int_equal(bytes, (HEADER_DOUBLES + g->record_count * g->block) * sizeof(double));
    assert_int_equal(g->model->bundle->column_count, g->column_count);
    assert_int_equal(g->model->bundle->feature_count, g->feature_count);
    assert_int_equal(g->model->bundle->output_count, g->output_count);
    g->rows = calloc(g->record_count * g->column_count, sizeof *g->rows);
    g->accepted = calloc(g->record_count, sizeof *g->accepted);
    assert_non_null(g->rows);
    assert_non_null(g->accepted);
}

static void close_golden(struct golden *g)
{
    free(g->lines);
    free(g->expected);
    free(g->rows);
    free(g->accepted);
    lp_model_unref(g->model);
}

static bool same_double(double got, double want)
{
    if (isnan(want)) return isnan(got);
    return fabs(got - want) <= 4e-16 * fabs(want);
}

static void check_row(const struct golden *g, size_t record, const double *row, const double *observed)
{
    const double *block = g->expected + HEADER_DOUBLES + record * g->block + 1;
    for (size_t i = 0; i < g->column_count; i++)
        if (!same_double(row[i], block[i]))
            fail_msg("%s record %zu: column %zu is %.17g, numpy says %.17g", g->name, record, i, row[i], block[i]);
    for (size_t f = 0; f < g->feature_count; f++)
        if (!same_double(observed[f], block[g->column_count + f]))
            fail_msg("%s record %zu: observed %zu is %.17g, numpy says %.17g", g->name, record, f, observed[f],
                     block[g->column_count + f]);
}

static void clean_record(struct golden *g, const struct lp_json_plan *plan, struct lp_record *record, size_t index,
                         struct lp_span line)
{
    double *observed = calloc(g->feature_count, sizeof *observed);
    struct lp_clean_counts *counts = calloc(g->feature_count, sizeof *counts);
    double *row = g->rows + g->row_count * g->column_count;
    uint32_t missing_count;
    size_t rejecting = (size_t)g->expected[HEADER_DOUBLES + index * g->block];
    if (lp_json_plan_run(plan, line, record, &err) != LP_OK) fail_msg("%s record %zu: %s", g->name, index, err.text);
    enum lp_code rc = lp_cleaner_run(g->model->cleaner, record->numbers, record->texts, row, observed, 1, counts,
                                     &missing_count, &err);
    if (rejecting > 0) {
        assert_int_equal(rc, LP_E_REFUSED);
        assert_string_equal(err.field, g->model->bundle->features[rejecting - 1].name);
    } else {
        if (rc != LP_OK) fail_msg("%s record %zu: %s", g->name, index, err.text);
        check_row(g, index, row, observed);
        g->accepted[g->row_count++] = index;
    }
    free(observed);
    free(counts);
}

static void clean_all(struct golden *g)
{
    struct lp_json_plan *plan;
    size_t numbers = 1, texts = 1;
    for (uint32_t i = 0; i < g->model->want_count; i++) {
        const struct lp_want *want = &g->model->wants[i];
        if (want->type == LP_WANT_TEXT) texts++;
        else numbers += want->width;
    }
    struct lp_record record = {.numbers = calloc(numbers, sizeof(double)),
                               .texts = calloc(texts, sizeof(struct lp_span)),
                               .scratch = malloc(LINE_MAX_BYTES),
                               .scratch_bytes = LINE_MAX_BYTES};
    if (lp_json_plan_new(g->model->wants, g->model->want_count, &plan, &err) != LP_OK) fail_msg("%s", err.text);
    char *line = g->lines;
    for (size_t i = 0; i < g->record_count; i++) {
        size_t bytes = strcspn(line, "\n");
        clean_record(g, plan, &record, i, lp_span_of(line, bytes));
        line += bytes + 1;
    }
    lp_json_plan_free(plan);
    free(record.numbers);
    free(record.texts);
    free(record.scratch);
}

static void check_outputs(const struct golden *g, size_t row, const float *margins, const float *scores)
{
    const double *want =
        g->expected + HEADER_DOUBLES + g->accepted[row] * g->block + 1 + g->column_count + g->feature_count;
    for (size_t i = 0; i < g->output_count; i++) {
        double margin = want[i], score = want[g->output_count + i];
        if (!(fabs((double)margins[i] - margin) <= 1e-5 + 1e-5 * fabs(margin)))
            fail_msg("%s row %zu: margin %zu is %.9g, numpy says %.9g", g->name, row, i, (double)margins[i], margin);
        if (!(fabs((double)scores[i] - score) <= 1e-5))
            fail_msg("%s row %zu: score %zu is %.9g, numpy says %.9g", g->name, row, i, (double)scores[i], score);
    }
}

static void score_all(const struct golden *g, uint32_t batch)
{
    struct lp_infer *infer;
    if (lp_infer_new(g->model->plan, batch, &infer, &err) != LP_OK) fail_msg("%s", err.text);
    float *margins = calloc(batch * g->output_count, sizeof *margins);
    float *scores = calloc(batch * g->output_count, sizeof *scores);
    for (size_t first = 0; first < g->row_count; first += batch) {
        uint32_t count = g->row_count - first < batch ? (uint32_t)(g->row_count - first) : batch;
        lp_infer_run(infer, g->rows + first * g->column_count, count, margins, scores);
        for (uint32_t r = 0; r < count; r++)
            check_outputs(g, first + r, margins + r * g->output_count, scores + r * g->output_count);
    }
    free(margins);
    free(scores);
    lp_infer_free(infer);
}

static void replay(const char *name, size_t rejected)
{
    struct golden g;
    open_golden(&g, name);
    if (lp_model_verify(g.model, &err) != LP_OK) fail_msg("%s: %s", name, err.text);
    clean_all(&g);
    assert_int_equal(g.record_count - g.row_count, rejected);
    static const uint32_t batches[] = {1, 2, 3, 7, 16, 50, 1024};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) score_all(&g, batches[i]);
    close_golden(&g);
}

static void mlp_10_64_64_1_scores_as_numpy(void **state)
{
    (void)state;
    replay("mlp_10_64_64_1", 0);
}
static void mlp_784_32_32_10_scores_as_numpy(void **state)
{
    (void)state;
    replay("mlp_784_32_32_10", 0);
}
static void logistic_regression_scores_as_numpy(void **state)
{
    (void)state;
    replay("logistic", 0);
}
static void every_kind_of_feature_is_cleaned_and_scored_as_numpy(void **state)
{
    (void)state;
    replay("mixed", 15);
}
static void a_chain_of_activation_ops_scores_as_numpy(void **state)
{
    (void)state;
    replay("chain", 0);
}
static void every_activation_scores_as_numpy(void **state)
{
    (void)state;
    replay("activation_relu", 0);
    replay("activation_leaky_relu", 0);
    replay("activation_elu", 0);
    replay("activation_tanh", 0);
    replay("activation_sigmoid", 0);
    replay("activation_gelu", 0);
    replay("activation_gelu_tanh", 0);
    replay("activation_silu", 0);
    replay("activation_softplus", 0);
}
static void every_op_of_a_network_scores_as_numpy(void **state)
{
    (void)state;
    replay("net_deepfm", 0);
    replay("net_image", 0);
    replay("net_layouts", 0);
    replay("net_arithmetic", 0);
    replay("net_lookups", 0);
    replay("net_quantized", 0);
}

int main(void)
{
    if (lp_infer_setup(&err) != LP_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mlp_10_64_64_1_scores_as_numpy),
        cmocka_unit_test(mlp_784_32_32_10_scores_as_numpy),
        cmocka_unit_test(logistic_regression_scores_as_numpy),
        cmocka_unit_test(every_kind_of_feature_is_cleaned_and_scored_as_numpy),
        cmocka_unit_test(a_chain_of_activation_ops_scores_as_numpy),
        cmocka_unit_test(every_activation_scores_as_numpy),
        cmocka_unit_test(every_op_of_a_network_scores_as_numpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
