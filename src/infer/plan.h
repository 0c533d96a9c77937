/* The compiled form of a bundle's graph. Private to infer/. */
#ifndef LP_INFER_PLAN_H
#define LP_INFER_PLAN_H

#include "infer/infer.h"
#include "kernels/activation/activation.h"
#include "kernels/dense/dense.h"
#include "kernels/trees/trees.h"

#include <stdbool.h>

#define LP_PLAN_NO_OP UINT32_MAX

enum { LP_PLAN_BUFFERS = 2 };

/** One call or two: a dense layer and the activation after it, or an activation alone. */
struct lp_plan_step {
    uint32_t op;                         /* index in the bundle's graph */
    uint32_t activation_op;              /* the op whose activation joined this layer's step, or LP_PLAN_NO_OP */
    uint32_t input, output;              /* buffers; the same one for an activation in place */
    const struct lp_dense_kernel *dense; /* NULL: activation alone */
    struct lp_dense_layer layer;
    uint32_t out_width;
    lp_activation_run *activation; /* NULL: none, or relu in the layer's store */
    float alpha;
};

struct lp_plan {
    const struct lp_bundle *bundle; /* borrowed */
    const struct lp_cpu *cpu;       /* while it is built */
    uint32_t step_count;
    struct lp_plan_step *steps;              /* [op_count] taken, [step_count] used */
    uint32_t buffer_widths[LP_PLAN_BUFFERS]; /* floats a row; buffer 0 starts as the rows in float */
    uint32_t output;                         /* the buffer where the margins are at the end */
    float *weights;                          /* every packed layer, each 64-byte aligned */
    size_t weight_floats;
    struct lp_trees_model *trees; /* the graph is an ensemble: no steps */
    lp_activation_run *sigmoid;
    lp_softmax_run *softmax;
    char *description;
    size_t bytes; /* heap held */
};

/** Which steps there are and which buffers they use, from the graph alone; packs nothing. */
LP_MUST_USE enum lp_code lp_plan_schedule(struct lp_plan *plan, struct lp_error *err);

/** Rows that go through all steps together, so that they stay in cache; 1 to rows_max. */
uint32_t lp_plan_chunk_rows(const struct lp_plan *plan, uint32_t rows_max);

#endif
