/* Nothing is allocated on the way of a record once everything is made: decode, clean, batch, infer. */
// wrap: malloc calloc realloc aligned_alloc posix_memalign
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "batch/batch.h"
#include "decode/json.h"
#include "score/model.h"
#include "score/scorer.h"

static unsigned long allocations;
static unsigned long fail_at; /* 0: never */

static int fails(void) { return ++allocations == fail_at; }

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
int __real_posix_memalign(void **, size_t, size_t);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes);

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return fails() ? NULL : __real_calloc(count, bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return fails() ? NULL : __real_realloc(old, bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}
int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes)
{
    return fails() ? 12 : __real_posix_memalign(ret, alignment, bytes);
}

enum { ROWS_MAX = 64, SLOTS_MAX = 4096, FEATURES_MAX = 1024 };

static struct lp_error err;

struct way {
    struct lp_model *model;
    struct lp_json_plan *json;
    struct lp_batch batch;
    struct lp_infer *infer;
    struct lp_record record;
    float *scores;
};

static double numbers[SLOTS_MAX];
static struct lp_span texts[SLOTS_MAX];
static unsigned char scratch[1 << 16];
static struct lp_clean_counts counts[FEATURES_MAX];

static void open_way(struct way *way, const char *path)
{
    const struct lp_model_options options = {.bundle_max_bytes = 1 << 30};
    *way = (struct way){.record = {numbers, texts, scratch, sizeof scratch, 0}};
    assert_int_equal(lp_model_load(path, &options, &way->model, &err), LP_OK);
    const struct lp_bundle *bundle = way->model->bundle;
    assert_true(bundle->feature_count <= FEATURES_MAX);
    assert_int_equal(lp_json_plan_new(way->model->wants, way->model->want_count, &way->json, &err), LP_OK);
    assert_int_equal(lp_batch_init(&way->batch, ROWS_MAX, bundle->column_count, bundle->feature_count, 1 << 22, &err),
                     LP_OK);
    assert_int_equal(lp_infer_new(way->model->plan, ROWS_MAX, &way->infer, &err), LP_OK);
    way->scores = calloc((size_t)ROWS_MAX * bundle->output_count, sizeof *way->scores);
}

static void close_way(struct way *way)
{
    lp_infer_free(way->infer);
    lp_batch_done(&way->batch);
    lp_json_plan_free(way->json);
    lp_model_unref(way->model);
    free(way->scores);
}

static void one_record(struct way *way, const char *text)
{
    struct lp_batch *batch = &way->batch;
    uint32_t missing;
    struct lp_batch_record *kept;
    assert_int_equal(lp_json_plan_run(way->json, lp_span_text(text), &way->record, &err), LP_OK);
    assert_int_equal(lp_cleaner_run(way->model->cleaner, numbers, texts, lp_batch_next_row(batch),
                                    batch->observed + batch->row_count, batch->observed_stride, counts, &missing, &err),
                     LP_OK);
    assert_int_equal(lp_batch_append(batch, lp_span_text("key"), lp_span_text(text), 0, 1000, &kept, &err), LP_OK);
}

static unsigned long allocations_of(const char *path)
{
    struct way way;
    open_way(&way, path);
    unsigned long before = allocations;
    for (uint32_t i = 0; i < 10 * ROWS_MAX; i++) {
        one_record(&way, way.model->bundle->golden[i % way.model->bundle->golden_count].record);
        /* Batches of every size, the full one too. */
        if (way.batch.row_count < ROWS_MAX && i % 7 != 0) continue;
        lp_infer_run(way.infer, way.batch.rows, way.batch.row_count, NULL, way.scores);
        lp_batch_clear(&way.batch);
    }
    unsigned long during = allocations - before;
    close_way(&way);
    return during;
}

static void the_steady_path_allocates_nothing(void **state)
{
    (void)state;
    assert_int_equal(allocations_of(TEST_DATA_DIR "/golden/mlp_10_64_64_1.safetensors"), 0);
    assert_int_equal(allocations_of(TEST_DATA_DIR "/golden/mlp_784_32_32_10.safetensors"), 0);
    assert_int_equal(allocations_of(TEST_DATA_DIR "/golden/mixed.safetensors"), 0);
    assert_int_equal(allocations_of(TEST_DATA_DIR "/golden/activation_gelu.safetensors"), 0);
    assert_true(allocations > 0); /* the counter counts */
}

/* Each allocation fails in turn: an error every time, nothing lost (the sanitizer looks), and at last success. */
static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    uint32_t errors = 0;
    for (unsigned long n = 1;; n++) {
        struct lp_bundle *bundle;
        struct lp_model *model = NULL;
        struct lp_scorer *scorer = NULL;
        struct lp_batch batch = {0};
        assert_int_equal(lp_bundle_load(TEST_DATA_DIR "/golden/mixed.safetensors", 1 << 30, &bundle, &err), LP_OK);
        allocations = 0;
        fail_at = n;
        enum lp_code rc = lp_model_new(bundle, NULL, &model, &err);
        if (rc == LP_OK) rc = lp_model_verify(model, &err);
        if (rc == LP_OK) rc = lp_scorer_new(model, 16, &scorer, &err);
        if (rc == LP_OK) rc = lp_batch_init(&batch, 16, 4, 4, 100, &err);
        fail_at = 0;
        lp_batch_done(&batch);
        lp_scorer_free(scorer);
        lp_model_unref(model);
        if (rc == LP_OK) break;
        assert_int_equal(rc, LP_E_MEMORY);
        errors++;
    }
    assert_true(errors > 20);
}

int main(void)
{
    if (lp_infer_setup(&err) != LP_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_steady_path_allocates_nothing),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
