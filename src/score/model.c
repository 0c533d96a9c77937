#include "score/model.h"

#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* What a caller sees is const; this is what is freed. */
struct owned_model {
    struct lp_model model; /* first, so that a pointer to one is a pointer to the other */
    atomic_uint_fast64_t references;
    struct lp_bundle *bundle;
    struct lp_cleaner *cleaner;
    struct lp_plan *plan;
    struct lp_want *wants;
    uint32_t *slots;
};

static atomic_uint_fast64_t alive_count, alive_bytes;

static struct owned_model *owned(struct lp_model *model) { return (struct owned_model *)(void *)model; }

static void free_parts(struct owned_model *m)
{
    lp_plan_free(m->plan);
    lp_cleaner_free(m->cleaner);
    lp_bundle_free(m->bundle);
    free(m->wants);
    free(m->slots);
    free(m);
}

static enum lp_want_type want_type(const struct lp_feature *feature)
{
    switch (feature->kind) {
    case LP_FEATURE_CATEGORY:
    case LP_FEATURE_TEXT: return LP_WANT_TEXT;
    case LP_FEATURE_TIME: return LP_WANT_TIME_MS;
    case LP_FEATURE_VECTOR: return LP_WANT_VECTOR;
    case LP_FEATURE_NUMBER: break;
    }
    return LP_WANT_NUMBER;
}

static enum lp_code make_wants(struct owned_model *m, struct lp_error *err)
{
    size_t n = (size_t)m->bundle->feature_count + 1;
    uint32_t numbers, texts;
    m->wants = calloc(n, sizeof *m->wants);
    m->slots = calloc(n, sizeof *m->slots);
    if (m->wants == NULL || m->slots == NULL) return lp_fail_memory(err, n * (sizeof *m->wants + sizeof *m->slots));
    for (uint32_t i = 0; i < m->bundle->feature_count; i++) {
        const struct lp_feature *feature = &m->bundle->features[i];
        m->wants[i] = (struct lp_want){.path = feature->from, .type = want_type(feature), .width = feature->width};
    }
    lp_want_assign_slots(m->wants, m->bundle->feature_count, &numbers, &texts);
    for (uint32_t i = 0; i < m->bundle->feature_count; i++) m->slots[i] = m->wants[i].slot;
    m->model.bytes += n * (sizeof *m->wants + sizeof *m->slots);
    return LP_OK;
}

static enum lp_code prepare(struct owned_model *m, const struct lp_model_options *options, struct lp_error *err)
{
    if (options != NULL && options->require_golden && m->bundle->golden_count == 0)
        return lp_fail(err, LP_E_REFUSED, LP_FATAL,
                       "model %s %s: it has no golden rows and model.require_golden=true: add some or set it to false",
                       m->bundle->name, m->bundle->version);
    LP_TRY(make_wants(m, err));
    LP_TRY(lp_cleaner_new(m->bundle, m->slots, &m->cleaner, err));
    LP_TRY(lp_plan_new(m->bundle, &m->plan, err));
    struct lp_model *model = &m->model;
    model->bundle = m->bundle;
    model->cleaner = m->cleaner;
    model->plan = m->plan;
    model->wants = m->wants;
    model->want_count = m->bundle->feature_count;
    model->feature_slots = m->slots;
    model->bytes += sizeof *m + lp_bundle_heap_bytes(m->bundle) + lp_cleaner_bytes(m->cleaner) + lp_plan_bytes(m->plan);
    return LP_OK;
}

enum lp_code lp_model_new(struct lp_bundle *bundle, const struct lp_model_options *options, struct lp_model **ret_model,
                          struct lp_error *err)
{
    struct owned_model *m = calloc(1, sizeof *m);
    if (m == NULL) {
        lp_bundle_free(bundle);
        return lp_fail_memory(err, sizeof *m);
    }
    m->bundle = bundle;
    enum lp_code rc = prepare(m, options, err);
    if (rc != LP_OK) {
        free_parts(m);
        return rc;
    }
    atomic_init(&m->references, 1);
    atomic_fetch_add_explicit(&alive_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&alive_bytes, m->model.bytes, memory_order_relaxed);
    *ret_model = &m->model;
    return LP_OK;
}

enum lp_code lp_model_load(const char *path, const struct lp_model_options *options, struct lp_model **ret_model,
                           struct lp_error *err)
{
    struct lp_bundle *bundle;
    enum lp_code rc = lp_bundle_load_exactly(path, options->bundle_max_bytes, options->sha256, &bundle, err);
    return rc == LP_OK ? lp_model_new(bundle, options, ret_model, err) : rc;
}

struct lp_model *lp_model_ref(struct lp_model *model)
{
    atomic_fetch_add_explicit(&owned(model)->references, 1, memory_order_relaxed);
    return model;
}

void lp_model_unref(struct lp_model *model)
{
    if (model == NULL) return;
    struct owned_model *m = owned(model);
    /* Release: this thread's reads happen before the free; acquire: the free happens after every other thread's. */
    if (atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    atomic_fetch_sub_explicit(&alive_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&alive_bytes, m->model.bytes, memory_order_relaxed);
    free_parts(m);
}

void lp_model_totals(uint64_t *ret_count, uint64_t *ret_bytes)
{
    *ret_count = atomic_load_explicit(&alive_count, memory_order_relaxed);
    *ret_bytes = atomic_load_explicit(&alive_bytes, memory_order_relaxed);
}

enum lp_code lp_model_check_scores(const struct lp_model *model, const float *scores, uint32_t row_count,
                                   struct lp_error *err)
{
    uint32_t count = model->bundle->output_count;
    for (uint32_t row = 0; row < row_count; row++)
        for (uint32_t i = 0; i < count; i++) {
            float score = scores[(size_t)row * count + i];
            if (isfinite(score)) continue;
            const char *shown = isnan(score) ? "nan" : score > 0 ? "inf" : "-inf"; /* a NaN's sign means nothing */
            enum lp_code rc = lp_fail(err, LP_E_REFUSED, LP_SKIP_RECORD,
                                      "output %u is %s: a feature is out of the model's range", i, shown);
            return row_count > 1 ? lp_error_wrap(err, "row %u", row) : rc;
        }
    return LP_OK;
}

int32_t lp_model_label(const struct lp_model *model, const float *scores)
{
    const struct lp_bundle *bundle = model->bundle;
    uint32_t count = bundle->output_count, best = 0;
    if (bundle->task == LP_TASK_BINARY) {
        /* In the score's own precision: a score that prints as the threshold has reached it. */
        float threshold = isnan(bundle->threshold) ? 0.5f : (float)bundle->threshold;
        return scores[count == 2 ? 1 : 0] >= threshold;
    }
    if (bundle->task != LP_TASK_MULTICLASS) return -1;
    for (uint32_t i = 1; i < count; i++) best = scores[i] > scores[best] ? i : best;
    return (int32_t)best;
}
