/* Steps that look numbers up: embedding tables, one-hot columns, maps, trees. */
#include "infer/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFETCH_ROWS_MAX = 4, PREFETCH_TABLE_BYTES = 256 << 10 };

/* Ids of the row itself come from its doubles, so that those above 2^24 are exact. */
static void run_embedding(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0];
    const struct lp_embedding_table *table = &step->embedding.table;
    uint32_t *indices = frame->scratch, ids = step->embedding.id_count;
    if (in->of_features)
        lp_embedding_indices_f64(frame->rows + in->column, frame->row_stride, frame->row_count, ids, table,
                                 step->embedding.padding_index, indices);
    else
        lp_embedding_indices_f32(lp_frame_at(frame, in), in->stride, frame->row_count, ids, table,
                                 step->embedding.padding_index, indices);
    step->embedding.run(table, indices, frame->row_count, ids, lp_frame_at(frame, &step->output), step->output.stride);
}

/* Few rows wait for every table's memory in turn: ask for all of it first. Many rows overlap by themselves. */
void lp_plan_prefetch(const struct lp_plan *plan, const struct lp_frame *frame)
{
    enum { LINE_BYTES = 64 };
    for (uint32_t s = 0; s < plan->prefetch_count && frame->row_count <= PREFETCH_ROWS_MAX; s++) {
        const struct lp_plan_step *step = &plan->steps[plan->prefetches[s]];
        const struct lp_embedding_table *table = &step->embedding.table;
        const double *ids = frame->rows + step->inputs[0].column;
        size_t bytes = table->width * step->embedding.value_bytes;
        for (uint32_t r = 0; r < frame->row_count; r++, ids += frame->row_stride)
            for (uint32_t i = 0; i < step->embedding.id_count; i++) {
                if (!(ids[i] >= 0 && ids[i] < (double)table->row_count)) continue;
                const unsigned char *row = (const unsigned char *)table->values + (size_t)ids[i] * bytes;
                for (size_t at = 0; at < bytes; at += LINE_BYTES) __builtin_prefetch(row + at);
            }
    }
}

static size_t scratch_embedding(const struct lp_plan_step *step, uint32_t row_count)
{
    return (size_t)row_count * step->embedding.id_count * sizeof(uint32_t);
}

enum lp_code lp_bind_embedding(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                               struct lp_error *err)
{
    static const enum lp_embedding_dtype dtypes[LP_DTYPE_COUNT] = {[LP_DTYPE_F32] = LP_EMBEDDING_F32,
                                                                   [LP_DTYPE_F16] = LP_EMBEDDING_F16,
                                                                   [LP_DTYPE_BF16] = LP_EMBEDDING_BF16,
                                                                   [LP_DTYPE_I8] = LP_EMBEDDING_I8};
    static const enum lp_embedding_pool pools[] = {[LP_BAG_NONE] = LP_POOL_NONE,
                                                   [LP_BAG_SUM] = LP_POOL_SUM,
                                                   [LP_BAG_MEAN] = LP_POOL_MEAN,
                                                   [LP_BAG_MAX] = LP_POOL_MAX};
    const struct lp_embedding_kernel *kernel = lp_embedding_select(plan->cpu);
    (void)err;
    step->run = run_embedding;
    step->kernel = kernel->name;
    step->embedding.run = kernel->run;
    step->embedding.id_count = op->in.dims[0];
    step->embedding.padding_index = op->padding_index;
    step->embedding.table = (struct lp_embedding_table){.values = op->weight->data,
                                                        .scales = op->scale != NULL ? op->scale->data : NULL,
                                                        .dtype = dtypes[op->weight->dtype],
                                                        .pool = pools[op->bag],
                                                        .row_count = (uint32_t)op->weight->dims[0],
                                                        .width = (uint32_t)op->weight->dims[1]};
    step->embedding.value_bytes = lp_dtype_bytes(op->weight->dtype);
    step->scratch_bytes = scratch_embedding;
    if (step->inputs[0].of_features && op->weight->count * step->embedding.value_bytes > PREFETCH_TABLE_BYTES)
        plan->prefetches[plan->prefetch_count++] = (uint32_t)(step - plan->steps);
    return LP_OK;
}

static void run_onehot(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0];
    const float *x = lp_frame_at(frame, in), *values = step->onehot.values;
    float *y = lp_frame_at(frame, &step->output);
    uint32_t count = step->onehot.value_count;
    for (uint32_t r = 0; r < frame->row_count; r++, x += in->stride, y += step->output.stride)
        for (uint32_t i = 0; i < in->width; i++)
            for (uint32_t k = 0; k < count; k++) y[(size_t)i * count + k] = x[i] == values[k] ? 1.0f : 0.0f;
}

enum lp_code lp_bind_onehot(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                            struct lp_error *err)
{
    (void)plan;
    (void)err;
    step->run = run_onehot;
    step->kernel = "c";
    step->onehot.value_count = (uint32_t)op->constant->count;
    step->onehot.values = op->constant->data;
    return LP_OK;
}

struct pair {
    double key;
    float value;
};

static int compare_pairs(const void *a, const void *b)
{
    double x = ((const struct pair *)a)->key, y = ((const struct pair *)b)->key;
    return x < y ? -1 : x > y;
}

static float find(const struct pair *pairs, uint32_t count, double key, float filler)
{
    uint32_t low = 0, high = count; /* the first key that is not below */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pairs[middle].key < key) low = middle + 1;
        else high = middle;
    }
    return low < count && pairs[low].key == key ? pairs[low].value : filler;
}

static void run_map(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0];
    bool exact = step->map.exact && in->of_features;
    const float *x = lp_frame_at(frame, in);
    const double *row = frame->rows + in->column;
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, x += in->stride, row += frame->row_stride, y += step->output.stride)
        for (uint32_t i = 0; i < in->width; i++)
            y[i] = find(step->packed, step->map.key_count, exact ? row[i] : (double)x[i], step->map.filler);
}

/* Sorted by key. */
static enum lp_code pack_map(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err)
{
    struct pair *pairs = to;
    (void)err;
    for (uint64_t i = 0; i < op->keys->count; i++) {
        pairs[i].key = ((const double *)op->keys->data)[i];
        pairs[i].value = ((const float *)op->constant->data)[i];
    }
    qsort(pairs, op->keys->count, sizeof *pairs, compare_pairs);
    step->packed = to;
    return LP_OK;
}

enum lp_code lp_bind_map(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op, struct lp_error *err)
{
    const double *keys = op->keys->data;
    (void)plan;
    (void)err;
    step->run = run_map;
    step->kernel = "c";
    step->map.key_count = (uint32_t)op->keys->count;
    step->map.filler = (float)op->filler;
    /* A key that is no float can only be met by a double. */
    for (uint64_t i = 0; i < op->keys->count; i++) step->map.exact |= (double)(float)keys[i] != keys[i];
    step->packed_bytes = (size_t)op->keys->count * sizeof(struct pair);
    step->pack = pack_map;
    return LP_OK;
}

/* What a trees step keeps between its parts: rows as doubles where they are no features, margins, the kernel's own. */
struct tree_scratch {
    size_t rows, margins; /* bytes, multiples of LP_PLAN_ALIGN_BYTES */
};

static struct tree_scratch tree_scratch(const struct lp_plan_step *step, uint32_t row_count)
{
    const struct lp_operand *in = &step->inputs[0];
    return (struct tree_scratch){
        .rows = in->of_features ? 0 : lp_plan_align((size_t)row_count * in->width * sizeof(double)),
        .margins = lp_plan_align((size_t)row_count * step->trees.outputs * sizeof(double))};
}

static void run_trees(const struct lp_plan_step *step, const struct lp_frame *frame)
{
    const struct lp_operand *in = &step->inputs[0];
    struct tree_scratch parts = tree_scratch(step, frame->row_count);
    double *widened = frame->scratch;
    double *margins = (double *)((unsigned char *)frame->scratch + parts.rows);
    void *own = (unsigned char *)frame->scratch + parts.rows + parts.margins;
    const double *rows = frame->rows + in->column;
    size_t stride = frame->row_stride;
    if (!in->of_features) {
        const float *x = lp_frame_at(frame, in);
        for (uint32_t r = 0; r < frame->row_count; r++)
            for (uint32_t i = 0; i < in->width; i++) widened[(size_t)r * in->width + i] = (double)x[r * in->stride + i];
        rows = widened;
        stride = in->width;
    }
    lp_trees_run(step->trees.model, rows, frame->row_count, stride, margins, own);
    float *y = lp_frame_at(frame, &step->output);
    for (uint32_t r = 0; r < frame->row_count; r++, y += step->output.stride)
        for (uint32_t i = 0; i < step->trees.outputs; i++) y[i] = (float)margins[(size_t)r * step->trees.outputs + i];
}

static size_t scratch_trees(const struct lp_plan_step *step, uint32_t row_count)
{
    struct tree_scratch parts = tree_scratch(step, row_count);
    return parts.rows + parts.margins + lp_trees_scratch_bytes(step->trees.model);
}

enum lp_code lp_bind_trees(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                           struct lp_error *err)
{
    LP_TRY(lp_trees_new(op->trees, plan->cpu, NULL, &step->trees.model, err));
    plan->bytes += lp_trees_bytes(step->trees.model);
    step->run = run_trees;
    step->kernel = lp_trees_kernel_name(step->trees.model);
    step->trees.outputs = op->trees->output_count;
    step->scratch_bytes = scratch_trees;
    return LP_OK;
}
