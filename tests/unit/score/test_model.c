/* Models ready to serve: golden rows, references, totals, labels. Bundles: tests/golden/make_golden.py (numpy). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "score/model.h"
#include "score/scorer.h"

#define MLP TEST_DATA_DIR "/golden/mlp_10_64_64_1.safetensors"
#define MIXED TEST_DATA_DIR "/golden/mixed.safetensors"

static struct lp_error err;
static const struct lp_model_options options = {.bundle_max_bytes = 1 << 30};

static struct lp_model *load(const char *path)
{
    struct lp_model *model = NULL;
    if (lp_model_load(path, &options, &model, &err) != LP_OK) fail_msg("%s", err.text);
    return model;
}

/* The bundle behind a model is immutable for everybody but a test that damages it. */
static struct lp_bundle *bundle_of(const struct lp_model *model)
{
    return (struct lp_bundle *)(uintptr_t)model->bundle;
}

static void totals(uint64_t count)
{
    uint64_t alive, bytes;
    lp_model_totals(&alive, &bytes);
    assert_int_equal(alive, count);
    assert_true((bytes > 0) == (count > 0));
}

static void golden_rows_are_reproduced(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    assert_true(model->bundle->golden_count > 0);
    if (lp_model_verify(model, &err) != LP_OK) fail_msg("%s", err.text);
    lp_model_unref(model);
}

static void a_golden_score_that_differs_is_named_with_both_numbers(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    double *score = (double *)(uintptr_t)model->bundle->golden[2].score;
    double right = score[0];
    score[0] = right + 3e-5;
    assert_int_equal(lp_model_verify(model, &err), LP_E_MISMATCH);
    assert_int_equal(err.action, LP_FATAL);
    assert_non_null(strstr(err.text, "golden row 2: score 0 is "));
    score[0] = NAN;
    assert_int_equal(lp_model_verify(model, &err), LP_E_MISMATCH);
    score[0] = right;
    double *margin = (double *)(uintptr_t)model->bundle->golden[0].margin;
    margin[0] += 1e-3 + 1e-3 * fabs(margin[0]);
    assert_int_equal(lp_model_verify(model, &err), LP_E_MISMATCH);
    assert_non_null(strstr(err.text, "golden row 0: margin 0 is "));
    lp_model_unref(model);
}

static void a_golden_record_that_cannot_be_scored_is_fatal(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    struct lp_golden_row *rows = (struct lp_golden_row *)(uintptr_t)model->bundle->golden;
    rows[1].record = "{\"f3\": \"not a number\"}";
    assert_int_equal(lp_model_verify(model, &err), LP_E_INVALID);
    assert_int_equal(err.action, LP_FATAL);
    assert_non_null(strstr(err.text, "golden row 1: "));
    lp_model_unref(model);
}

static void golden_rows_may_be_required(void **state)
{
    (void)state;
    const struct lp_model_options strict = {.bundle_max_bytes = 1 << 30, .require_golden = true};
    struct lp_bundle *bundle;
    struct lp_model *model = NULL;
    assert_int_equal(lp_bundle_load(MLP, 1 << 30, &bundle, &err), LP_OK);
    uint32_t count = bundle->golden_count;
    bundle->golden_count = 0;
    assert_int_equal(lp_model_new(bundle, &strict, &model, &err), LP_E_REFUSED);
    assert_null(model);
    assert_int_equal(lp_bundle_load(MLP, 1 << 30, &bundle, &err), LP_OK);
    bundle->golden_count = 0;
    assert_int_equal(lp_model_new(bundle, &options, &model, &err), LP_OK);
    assert_int_equal(lp_model_verify(model, &err), LP_OK);
    bundle->golden_count = count;
    lp_model_unref(model);
    totals(0);
}

static void wants_and_slots_follow_the_features(void **state)
{
    (void)state;
    struct lp_model *model = load(MIXED);
    uint32_t numbers = 0, texts = 0;
    assert_int_equal(model->want_count, model->bundle->feature_count);
    for (uint32_t i = 0; i < model->want_count; i++) {
        const struct lp_feature *feature = &model->bundle->features[i];
        bool text = feature->kind == LP_FEATURE_CATEGORY;
        assert_string_equal(model->wants[i].path, feature->from);
        assert_int_equal(model->wants[i].type, text                                 ? LP_WANT_TEXT
                                               : feature->kind == LP_FEATURE_VECTOR ? LP_WANT_VECTOR
                                                                                    : LP_WANT_NUMBER);
        assert_int_equal(model->feature_slots[i], text ? texts : numbers);
        assert_int_equal(model->wants[i].slot, model->feature_slots[i]);
        if (text) texts++;
        else numbers += feature->width;
    }
    lp_model_unref(model);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    totals(0);
    struct lp_model *model = load(MLP), *other = load(MLP);
    totals(2);
    assert_true(model->bytes >= model->bundle->file_bytes);
    assert_ptr_equal(lp_model_ref(model), model);
    lp_model_unref(model);
    totals(2);
    lp_model_unref(model);
    totals(1);
    lp_model_unref(other);
    lp_model_unref(NULL);
    totals(0);
}

static void *borrow(void *argument)
{
    struct lp_model *model = argument;
    for (int i = 0; i < 20000; i++) {
        lp_model_ref(model);
        lp_model_unref(model);
    }
    lp_model_unref(model);
    return NULL;
}

static void references_may_be_taken_on_any_thread(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        lp_model_ref(model);
        assert_int_equal(pthread_create(&threads[i], NULL, borrow, model), 0);
    }
    lp_model_unref(model);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    totals(0);
}

static void labels_follow_the_task(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    struct lp_bundle *bundle = bundle_of(model);
    bundle->task = LP_TASK_BINARY;
    bundle->threshold = 0.25;
    assert_int_equal(lp_model_label(model, (const float[]){0.25f}), 1);
    assert_int_equal(lp_model_label(model, (const float[]){0.2f}), 0);
    /* What prints as the threshold reaches it, where its float is below the double (0.7) and above (0.1). */
    bundle->threshold = 0.7;
    assert_int_equal(lp_model_label(model, (const float[]){0.7f}), 1);
    assert_int_equal(lp_model_label(model, (const float[]){nextafterf(0.7f, 0)}), 0);
    bundle->threshold = 0.1;
    assert_int_equal(lp_model_label(model, (const float[]){0.1f}), 1);
    assert_int_equal(lp_model_label(model, (const float[]){nextafterf(0.1f, 0)}), 0);
    bundle->threshold = NAN;
    assert_int_equal(lp_model_label(model, (const float[]){0.49f}), 0);
    assert_int_equal(lp_model_label(model, (const float[]){0.5f}), 1);
    bundle->output_count = 2;
    assert_int_equal(lp_model_label(model, (const float[]){0.3f, 0.7f}), 1);
    bundle->task = LP_TASK_MULTICLASS;
    bundle->output_count = 3;
    assert_int_equal(lp_model_label(model, (const float[]){0.2f, 0.5f, 0.3f}), 1);
    assert_int_equal(lp_model_label(model, (const float[]){0.4f, 0.2f, 0.4f}), 0); /* the first of equals */
    bundle->task = LP_TASK_REGRESSION;
    assert_int_equal(lp_model_label(model, (const float[]){9.0f}), -1);
    bundle->output_count = 1;
    lp_model_unref(model);
}

static void what_cannot_be_loaded_says_why(void **state)
{
    (void)state;
    struct lp_model *model = NULL;
    assert_int_equal(lp_model_load(TEST_DATA_DIR "/golden/none", &options, &model, &err), LP_E_NOT_FOUND);
    const struct lp_model_options small = {.bundle_max_bytes = 100};
    assert_int_equal(lp_model_load(MLP, &small, &model, &err), LP_E_LIMIT);
    assert_null(model);
    totals(0);
}

static void a_non_finite_score_is_a_bad_record(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    struct lp_scorer *scorer;
    float score;
    for (uint32_t i = 0; i < model->bundle->feature_count; i++) {
        struct lp_feature *feature = (struct lp_feature *)(uintptr_t)&model->bundle->features[i];
        feature->missing = LP_MISSING_KEEP;
    }
    struct lp_cleaner *keeping;
    assert_int_equal(lp_cleaner_new(model->bundle, model->feature_slots, &keeping, &err), LP_OK);
    struct lp_model changed = *model;
    changed.cleaner = keeping;
    assert_int_equal(lp_scorer_new(&changed, 1, &scorer, &err), LP_OK);
    const char record[] = "{}";
    assert_int_equal(lp_scorer_json(scorer, lp_span_of(record, 2), NULL, &score, &err), LP_E_REFUSED);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.text, "output 0 is nan: a feature is out of the model's range");
    lp_scorer_free(scorer);
    lp_cleaner_free(keeping);
    lp_model_unref(model);
}

static void a_non_finite_score_names_its_output_and_row(void **state)
{
    (void)state;
    struct lp_model *model = load(MLP);
    struct lp_bundle *bundle = bundle_of(model);
    bundle->output_count = 2;
    const float scores[] = {0, FLT_MAX, -FLT_MAX, 1, 2, INFINITY};
    assert_int_equal(lp_model_check_scores(model, scores, 2, &err), LP_OK);
    assert_int_equal(lp_model_check_scores(model, scores, 3, &err), LP_E_REFUSED);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_string_equal(err.text, "row 2: output 1 is inf: a feature is out of the model's range");
    assert_int_equal(lp_model_check_scores(model, scores + 4, 1, &err), LP_E_REFUSED);
    assert_string_equal(err.text, "output 1 is inf: a feature is out of the model's range");
    bundle->output_count = 1;
    lp_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_rows_are_reproduced),
        cmocka_unit_test(a_golden_score_that_differs_is_named_with_both_numbers),
        cmocka_unit_test(a_golden_record_that_cannot_be_scored_is_fatal),
        cmocka_unit_test(golden_rows_may_be_required),
        cmocka_unit_test(wants_and_slots_follow_the_features),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(references_may_be_taken_on_any_thread),
        cmocka_unit_test(labels_follow_the_task),
        cmocka_unit_test(what_cannot_be_loaded_says_why),
        cmocka_unit_test(a_non_finite_score_is_a_bad_record),
        cmocka_unit_test(a_non_finite_score_names_its_output_and_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
