/*
 * Cleaning, rule by rule. Expectations are the formulas of clean/clean.h worked out by hand; tests/golden compares
 * whole rows with numpy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "clean/clean.h"

enum { FEATURES_MAX = 16, COLUMNS_MAX = 64 };

static struct lp_error err;
static struct lp_feature features[FEATURES_MAX];
static uint32_t slots[FEATURES_MAX];
static struct lp_bundle bundle;
static struct lp_cleaner *cleaner;
static struct lp_clean_counts counts[FEATURES_MAX];
static double row[COLUMNS_MAX], observed[FEATURES_MAX * 2];
static uint32_t missing_count;

static int begin(void **state)
{
    (void)state;
    bundle = (struct lp_bundle){.features = features};
    memset(counts, 0, sizeof counts);
    cleaner = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    lp_cleaner_free(cleaner);
    return 0;
}

/* Adds a feature whose columns and slot follow the last one's. */
static struct lp_feature *add(struct lp_feature feature, uint32_t column_count, uint32_t slot)
{
    uint32_t i = bundle.feature_count++;
    feature.name = feature.from = (const char *[]){"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9"}[i];
    if (feature.width == 0) feature.width = 1;
    feature.column = bundle.column_count;
    feature.column_count = column_count;
    bundle.column_count += column_count;
    features[i] = feature;
    slots[i] = slot;
    return &features[i];
}

static struct lp_feature zscore(double mean, double std)
{
    return (struct lp_feature){.kind = LP_FEATURE_NUMBER,
                               .missing = LP_MISSING_MEAN,
                               .missing_value = mean,
                               .outlier = LP_OUTLIER_CLIP,
                               .low = -100,
                               .high = 100,
                               .normalize = LP_NORMALIZE_ZSCORE,
                               .center = mean,
                               .scale = std};
}

static enum lp_code run(const double *numbers, const struct lp_span *texts)
{
    if (cleaner == NULL) assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_OK);
    for (int i = 0; i < COLUMNS_MAX; i++) row[i] = 12345.0;
    return lp_cleaner_run(cleaner, numbers, texts, row, observed, 2, counts, &missing_count, &err);
}

static void plain_numbers_are_normalized_with_the_formulas_bits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 10; i++) add(zscore(0.1 + i, 3.0 + i), 1, i);
    double x[10];
    for (uint32_t i = 0; i < 10; i++) x[i] = 0.7 * i - 2.0;
    assert_int_equal(run(x, NULL), LP_OK);
    for (uint32_t i = 0; i < 10; i++) {
        volatile double difference = x[i] - (0.1 + i);
        assert_true(row[i] == difference / (3.0 + i));
        assert_true(observed[i * 2] == x[i]);
        assert_true(counts[i].missing + counts[i].clipped + counts[i].unknown + counts[i].rejected == 0);
    }
    assert_int_equal(missing_count, 0);
}

static void one_missing_and_one_clipped_value_leave_their_neighbours_alone(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) add(zscore(1.0, 2.0), 1, i);
    features[3].missing = LP_MISSING_VALUE;
    features[3].missing_value = 5.0;
    const double x[5] = {3.0, NAN, 1000.0, NAN, -INFINITY};
    assert_int_equal(run(x, NULL), LP_OK);
    assert_true(row[0] == 1.0 && row[1] == 0.0 && row[2] == 49.5 && row[3] == 2.0 && row[4] == -50.5);
    assert_true(observed[0] == 3.0 && isnan(observed[2]) && observed[4] == 100.0 && isnan(observed[6]));
    assert_true(observed[8] == -100.0);
    assert_int_equal(counts[1].missing, 1);
    assert_int_equal(counts[2].clipped, 1);
    assert_int_equal(counts[3].missing, 1);
    assert_int_equal(counts[4].clipped, 1);
    assert_int_equal(counts[0].missing + counts[0].clipped + counts[2].missing + counts[4].missing, 0);
    assert_int_equal(missing_count, 2);
}

static void bounds_are_inclusive(void **state)
{
    (void)state;
    add(zscore(0, 1), 1, 0)->outlier = LP_OUTLIER_REJECT;
    add(zscore(0, 1), 1, 1)->outlier = LP_OUTLIER_REJECT;
    assert_int_equal(run((const double[]){-100.0, 100.0}, NULL), LP_OK);
    assert_int_equal(run((const double[]){0.0, nextafter(100.0, 200.0)}, NULL), LP_E_REFUSED);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, "f1");
    assert_int_equal(counts[1].rejected, 1);
    assert_int_equal(counts[0].rejected, 0);
}

static void missing_reject_names_the_feature(void **state)
{
    (void)state;
    add(zscore(0, 1), 1, 0);
    add(zscore(0, 1), 1, 1)->missing = LP_MISSING_REJECT;
    assert_int_equal(run((const double[]){0.0, NAN}, NULL), LP_E_REFUSED);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.field, "f1");
    assert_int_equal(counts[1].rejected, 1);
    assert_int_equal(counts[1].missing, 1);
}

/* The record's field is there: the error names the value and the rule that made it missing. */
static void what_became_missing_and_is_rejected_says_why(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct lp_feature *f = add(zscore(0, 1), 1, i);
        f->missing = LP_MISSING_REJECT;
        f->outlier = i == 0 ? LP_OUTLIER_MISSING : LP_OUTLIER_KEEP;
        if (i == 1) f->normalize = LP_NORMALIZE_LOG1P;
    }
    assert_int_equal(run((const double[]){250.0, 0.0}, NULL), LP_E_REFUSED);
    assert_string_equal(err.field, "f0");
    assert_non_null(strstr(err.text, "250 is outside [-100, 100]"));
    assert_non_null(strstr(err.text, "missing"));
    assert_int_equal(run((const double[]){0.0, -1.5}, NULL), LP_E_REFUSED);
    assert_non_null(strstr(err.text, "-1.5 has no log1p"));
    assert_int_equal(run((const double[]){NAN, 0.0}, NULL), LP_E_REFUSED);
    assert_null(strstr(err.text, "outside"));
}

static void an_outlier_may_become_missing(void **state)
{
    (void)state;
    struct lp_feature *f = add(zscore(0, 1), 2, 0);
    f->outlier = LP_OUTLIER_MISSING;
    f->missing = LP_MISSING_INDICATOR;
    f->missing_value = 7.0;
    assert_int_equal(run((const double[]){101.0}, NULL), LP_OK);
    assert_true(row[0] == 7.0 && row[1] == 1.0 && isnan(observed[0]));
    assert_int_equal(counts[0].missing, 1);
    assert_int_equal(counts[0].clipped, 0);
    assert_int_equal(run((const double[]){2.0}, NULL), LP_OK);
    assert_true(row[0] == 2.0 && row[1] == 0.0);
}

static void infinity_is_an_outlier_even_outside_open_bounds(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct lp_feature *f = add(zscore(3, 1), 1, i);
        f->low = -INFINITY;
        f->high = INFINITY;
    }
    features[1].outlier = LP_OUTLIER_MISSING;
    features[2].outlier = LP_OUTLIER_KEEP;
    features[3].high = 10.0;
    assert_int_equal(run((const double[]){INFINITY, -INFINITY, INFINITY, INFINITY}, NULL), LP_OK);
    assert_true(row[0] == 0.0 && row[1] == 0.0 && row[2] == INFINITY && row[3] == 7.0);
    assert_int_equal(counts[0].missing, 1); /* clip has no bound to clip to */
    assert_int_equal(counts[0].clipped, 0);
    assert_int_equal(counts[3].clipped, 1);
    assert_int_equal(run((const double[]){DBL_MAX, -DBL_MAX, 0, 0}, NULL), LP_OK);
    assert_int_equal(missing_count, 0);
    features[0].outlier = LP_OUTLIER_REJECT;
    lp_cleaner_free(cleaner);
    cleaner = NULL;
    assert_int_equal(run((const double[]){INFINITY, 0, 0, 0}, NULL), LP_E_REFUSED);
}

static void each_normalization_has_its_formula(void **state)
{
    (void)state;
    static const enum lp_normalize kinds[] = {LP_NORMALIZE_NONE, LP_NORMALIZE_ZSCORE, LP_NORMALIZE_MINMAX,
                                              LP_NORMALIZE_ROBUST, LP_NORMALIZE_LOG1P};
    for (uint32_t i = 0; i < 5; i++) add(zscore(1, 4), 1, i)->normalize = kinds[i];
    assert_int_equal(run((const double[]){9, 9, 9, 9, 9}, NULL), LP_OK);
    assert_true(row[0] == 9 && row[1] == 2 && row[2] == 2 && row[3] == 2 && fabs(row[4] - 2.302585092994046) < 1e-15);
}

static void log1p_is_missing_where_it_is_not_defined(void **state)
{
    (void)state;
    struct lp_feature f = zscore(0, 1);
    f.normalize = LP_NORMALIZE_LOG1P;
    f.missing_value = 1.0;
    add(f, 1, 0);
    assert_int_equal(run((const double[]){-1.0}, NULL), LP_OK);
    assert_true(fabs(row[0] - 0.6931471805599453) < 1e-15 && isnan(observed[0]));
    assert_int_equal(counts[0].missing, 1);
    assert_int_equal(run((const double[]){-0.5}, NULL), LP_OK);
    assert_true(fabs(row[0] + 0.6931471805599453) < 1e-15 && observed[0] == -0.5);
}

static void a_constant_feature_normalizes_to_zero(void **state)
{
    (void)state;
    add(zscore(5, 0), 1, 0);
    assert_int_equal(run((const double[]){7.0}, NULL), LP_OK);
    assert_true(row[0] == 0.0 && observed[0] == 7.0);
}

static void keep_lets_nan_through(void **state)
{
    (void)state;
    add(zscore(5, 2), 1, 0)->missing = LP_MISSING_KEEP;
    add(zscore(5, 0), 1, 1)->missing = LP_MISSING_KEEP;
    assert_int_equal(run((const double[]){NAN, NAN}, NULL), LP_OK);
    assert_true(isnan(row[0]) && isnan(row[1]));
    assert_int_equal(missing_count, 2);
}

static void vector_elements_are_cleaned_one_by_one(void **state)
{
    (void)state;
    struct lp_feature f = zscore(1, 2);
    f.kind = LP_FEATURE_VECTOR;
    f.width = 3;
    f.missing = LP_MISSING_INDICATOR;
    add(f, 4, 0);
    f.missing = LP_MISSING_MEAN;
    add(f, 3, 3);
    assert_int_equal(run((const double[]){1, 3, 5, 1, 3, 5}, NULL), LP_OK);
    assert_true(row[0] == 0 && row[1] == 1 && row[2] == 2 && row[3] == 0 && row[4] == 0 && row[5] == 1 && row[6] == 2);
    assert_true(isnan(observed[0]) && isnan(observed[2]));
    assert_int_equal(run((const double[]){1, NAN, 500, 1, NAN, 500}, NULL), LP_OK);
    assert_true(row[0] == 0 && row[1] == 0 && row[2] == 49.5 && row[3] == 1 && row[5] == 0 && row[6] == 49.5);
    assert_int_equal(missing_count, 2);
    assert_int_equal(counts[1].missing, 1);
    assert_int_equal(counts[1].clipped, 1);
}

static const char *const colours[] = {"red", "green", ""};

static struct lp_feature category(enum lp_encoding encoding, enum lp_missing missing, bool unknown_bucket)
{
    return (struct lp_feature){.kind = LP_FEATURE_CATEGORY,
                               .missing = missing,
                               .encoding = encoding,
                               .vocabulary_count = 3,
                               .vocabulary = encoding == LP_ENCODING_HASH ? NULL : colours,
                               .unknown_bucket = unknown_bucket};
}

static void onehot_sets_one_column(void **state)
{
    (void)state;
    add(category(LP_ENCODING_ONEHOT, LP_MISSING_INDICATOR, true), 5, 0);
    const struct lp_span green = lp_span_text("green"), blue = lp_span_text("blue"), empty = lp_span_text("");
    assert_int_equal(run(NULL, &green), LP_OK);
    assert_memory_equal(row, ((const double[]){0, 1, 0, 0, 0}), 5 * sizeof(double));
    assert_true(observed[0] == 1.0);
    assert_int_equal(run(NULL, &blue), LP_OK);
    assert_memory_equal(row, ((const double[]){0, 0, 0, 1, 0}), 5 * sizeof(double));
    assert_true(observed[0] == 3.0);
    assert_int_equal(counts[0].unknown, 1);
    assert_int_equal(counts[0].missing, 0);
    assert_int_equal(run(NULL, &empty), LP_OK);
    assert_memory_equal(row, ((const double[]){0, 0, 1, 0, 0}), 5 * sizeof(double));
    assert_int_equal(run(NULL, &(struct lp_span){0}), LP_OK);
    assert_memory_equal(row, ((const double[]){0, 0, 0, 0, 1}), 5 * sizeof(double));
    assert_true(isnan(observed[0]));
    assert_int_equal(counts[0].missing, 1);
}

static void an_unknown_word_without_a_bucket_is_missing(void **state)
{
    (void)state;
    add(category(LP_ENCODING_ONEHOT, LP_MISSING_VALUE, false), 3, 0)->missing_value = 2.0;
    add(category(LP_ENCODING_INDEX, LP_MISSING_KEEP, false), 1, 1);
    add(category(LP_ENCODING_ONEHOT, LP_MISSING_KEEP, false), 3, 2);
    const struct lp_span blue[3] = {lp_span_text("blue"), lp_span_text("blue"), lp_span_text("blue")};
    assert_int_equal(run(NULL, blue), LP_OK);
    assert_memory_equal(row, ((const double[]){0, 0, 1}), 3 * sizeof(double));
    assert_true(isnan(row[3]) && isnan(row[4]) && isnan(row[6]));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(counts[i].unknown, 1);
        assert_int_equal(counts[i].missing, 1);
    }
}

static void a_missing_category_may_be_rejected(void **state)
{
    (void)state;
    add(category(LP_ENCODING_INDEX, LP_MISSING_REJECT, false), 1, 0);
    const struct lp_span blue = lp_span_text("blue");
    assert_int_equal(run(NULL, &blue), LP_E_REFUSED);
    assert_string_equal(err.field, "f0");
    assert_int_equal(counts[0].rejected, 1);
}

static void index_and_hash_give_one_column(void **state)
{
    (void)state;
    add(category(LP_ENCODING_INDEX, LP_MISSING_VALUE, true), 1, 0)->missing_value = 3.0;
    add(category(LP_ENCODING_HASH, LP_MISSING_VALUE, false), 1, 1)->vocabulary_count = 1000;
    const struct lp_span words[2] = {lp_span_text("green"), lp_span_text("foobar")};
    assert_int_equal(run(NULL, words), LP_OK);
    assert_true(row[0] == 1.0);
    assert_true(row[1] == (double)(UINT64_C(0x85944171f73967e8) % 1000)); /* FNV-1a 64 of "foobar" */
    assert_true(observed[2] == row[1]);
    assert_int_equal(run(NULL, (const struct lp_span[2]){{0}, {0}}), LP_OK);
    assert_true(row[0] == 3.0 && row[1] == 0.0);
}

static void features_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct lp_feature *f = add(zscore(0, 1), 1, 0);
    f->low = 2;
    f->high = 1;
    assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_E_INVALID);
    assert_string_equal(err.field, "f0");
    *f = zscore(0, 1);
    f->name = f->from = "f0";
    f->width = 1;
    f->column_count = 2; /* an indicator that missing=mean does not have */
    bundle.column_count = 2;
    assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_E_INVALID);
    f->column_count = 1;
    f->column = 2;
    assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_E_INVALID);
    f->column = 0;
    f->normalize = LP_NORMALIZE_LOG1P;
    f->missing_value = -2;
    assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_E_INVALID);
}

static void nobody_needs_to_watch(void **state)
{
    (void)state;
    add(zscore(0, 1), 1, 0);
    add(zscore(0, 0), 1, 1);
    add(category(LP_ENCODING_INDEX, LP_MISSING_KEEP, true), 1, 0);
    assert_int_equal(lp_cleaner_new(&bundle, slots, &cleaner, &err), LP_OK);
    const struct lp_span red = lp_span_text("red");
    assert_int_equal(
        lp_cleaner_run(cleaner, (const double[]){4, NAN}, &red, row, NULL, 0, counts, &missing_count, &err), LP_OK);
    assert_true(row[0] == 4.0 && row[1] == 0.0 && row[2] == 0.0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_numbers_are_normalized_with_the_formulas_bits),
        TEST(one_missing_and_one_clipped_value_leave_their_neighbours_alone),
        TEST(bounds_are_inclusive),
        TEST(missing_reject_names_the_feature),
        TEST(what_became_missing_and_is_rejected_says_why),
        TEST(an_outlier_may_become_missing),
        TEST(infinity_is_an_outlier_even_outside_open_bounds),
        TEST(each_normalization_has_its_formula),
        TEST(log1p_is_missing_where_it_is_not_defined),
        TEST(a_constant_feature_normalizes_to_zero),
        TEST(keep_lets_nan_through),
        TEST(vector_elements_are_cleaned_one_by_one),
        TEST(onehot_sets_one_column),
        TEST(an_unknown_word_without_a_bucket_is_missing),
        TEST(a_missing_category_may_be_rejected),
        TEST(index_and_hash_give_one_column),
        TEST(features_that_make_no_sense_are_refused),
        TEST(nobody_needs_to_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
