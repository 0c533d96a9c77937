/* A plan: steps bound to kernels, weights packed. */
#include "infer/plan.h"

#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

/* Weights, tables and indices of every step in one block, each from a cache line on. */
static enum lp_code pack_all(struct lp_plan *plan, struct lp_error *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        size_t bytes = lp_plan_align(plan->steps[i].packed_bytes);
        if ((bytes == 0 && plan->steps[i].packed_bytes > 0) || __builtin_add_overflow(total, bytes, &total) ||
            total > SIZE_MAX / 2)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "plan: op %u: its weights are too large", plan->steps[i].op);
    }
    if (total == 0) return LP_OK;
    plan->packed = aligned_alloc(LP_PLAN_ALIGN_BYTES, total);
    if (plan->packed == NULL) return lp_fail_memory(err, total);
    plan->packed_bytes = total;
    plan->bytes += total;
    unsigned char *to = plan->packed;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        struct lp_plan_step *step = &plan->steps[i];
        if (step->pack == NULL) continue;
        LP_TRY(step->pack(step, &plan->bundle->ops[step->op], to, err));
        to += lp_plan_align(step->packed_bytes);
    }
    return LP_OK;
}

static bool is_trees(const struct lp_bundle *bundle)
{
    return bundle->op_count == 1 && bundle->ops[0].kind == LP_OP_TREES;
}

static enum lp_code build_trees(struct lp_plan *plan, struct lp_error *err)
{
    LP_TRY(lp_trees_new(plan->bundle->ops[0].trees, plan->cpu, NULL, &plan->trees, err));
    plan->bytes += lp_trees_bytes(plan->trees);
    return LP_OK;
}

static enum lp_code build_steps(struct lp_plan *plan, struct lp_error *err)
{
    size_t n = (size_t)plan->bundle->op_count + 1;
    plan->steps = calloc(n, sizeof *plan->steps);
    if (plan->steps == NULL) return lp_fail_memory(err, n * sizeof *plan->steps);
    plan->bytes += n * sizeof *plan->steps;
    plan->prefetches = calloc(n, sizeof *plan->prefetches);
    if (plan->prefetches == NULL) return lp_fail_memory(err, n * sizeof *plan->prefetches);
    plan->bytes += n * sizeof *plan->prefetches;
    LP_TRY(lp_plan_schedule(plan, err));
    for (uint32_t i = 0; i < plan->step_count; i++) LP_TRY(lp_plan_bind(plan, &plan->steps[i], err));
    return pack_all(plan, err);
}

static enum lp_code build(struct lp_plan *plan, struct lp_error *err)
{
    plan->bytes = sizeof *plan;
    plan->narrow = lp_narrow_select(plan->cpu);
    plan->sigmoid = lp_activation_select(plan->cpu, LP_ACT_SIGMOID, NULL);
    plan->softmax = lp_softmax_select(plan->cpu);
    LP_TRY(lp_plan_mark_items(plan, err));
    if (is_trees(plan->bundle)) LP_TRY(build_trees(plan, err));
    else LP_TRY(build_steps(plan, err));
    return lp_plan_write(plan, err);
}

enum lp_code lp_plan_new(const struct lp_bundle *bundle, struct lp_plan **ret_plan, struct lp_error *err)
{
    return lp_plan_new_for(bundle, lp_cpu_get(), ret_plan, err);
}

enum lp_code lp_plan_new_for(const struct lp_bundle *bundle, const struct lp_cpu *cpu, struct lp_plan **ret_plan,
                             struct lp_error *err)
{
    struct lp_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return lp_fail_memory(err, sizeof *plan);
    plan->bundle = bundle;
    plan->cpu = cpu;
    enum lp_code rc = build(plan, err);
    plan->cpu = NULL;
    if (rc == LP_OK) *ret_plan = plan;
    else lp_plan_free(plan);
    return rc;
}

void lp_plan_free(struct lp_plan *plan)
{
    if (plan == NULL) return;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        enum lp_op_kind kind = plan->bundle->ops[plan->steps[i].op].kind;
        if (kind == LP_OP_TREES) lp_trees_free(plan->steps[i].trees.model);
        if (kind == LP_OP_ONNXRUNTIME) lp_onnxruntime_free(plan->steps[i].onnxruntime.session);
    }
    lp_trees_free(plan->trees);
    free(plan->steps);
    free(plan->operands);
    free(plan->crossings);
    free(plan->prefetches);
    free(plan->item_columns);
    free(plan->packed);
    free(plan->description);
    free(plan->table);
    free(plan);
}

const char *lp_plan_describe(const struct lp_plan *plan) { return plan->description; }
const char *lp_plan_table(const struct lp_plan *plan) { return plan->table; }
size_t lp_plan_bytes(const struct lp_plan *plan) { return plan->bytes; }
uint32_t lp_plan_step_count(const struct lp_plan *plan) { return plan->step_count; }

/*
 * A small net's weights stay in L1 or L2 whatever happens: cut the rows so that the values between layers stay in L1.
 * A large net streams its weights once a chunk: take as many rows as L2 holds values for. Rows of very many values
 * (images) go through few at a time, so that a lane's arena stays small.
 */
uint32_t lp_plan_chunk_rows(const struct lp_plan *plan, uint32_t rows_max)
{
    enum {
        SMALL_WEIGHT_BYTES = 256 << 10,
        SMALL_VALUE_BYTES = 24 << 10,
        LARGE_VALUE_BYTES = 512 << 10,
        WIDE_VALUE_BYTES = 4 << 20,
        ROWS_MIN = 48
    };
    size_t row_bytes = plan->row_floats > 0 ? plan->row_floats * sizeof(float) : 1;
    bool small = plan->packed_bytes <= SMALL_WEIGHT_BYTES;
    size_t rows = (small ? SMALL_VALUE_BYTES : LARGE_VALUE_BYTES) / row_bytes;
    rows -= rows % ROWS_MIN;
    if (rows < ROWS_MIN) rows = ROWS_MIN;
    if (rows > WIDE_VALUE_BYTES / row_bytes) rows = WIDE_VALUE_BYTES / row_bytes;
    if (rows < 1) rows = 1;
    return rows < rows_max ? (uint32_t)rows : rows_max;
}
