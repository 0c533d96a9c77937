/*
 * The compiled form of a bundle's graph. Private to infer/.
 *
 * Ops become steps in an order that their inputs allow. A value lives in a root: [rows][width] floats of the lane's
 * arena, shared by values that never need it at the same time and by those that are views of one another. A value's
 * elements of one row are always side by side, from `column` on in a root's row.
 */
#ifndef LP_INFER_PLAN_H
#define LP_INFER_PLAN_H

#include "infer/infer.h"
#include "infer/onnxruntime.h"
#include "kernels/activation/activation.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/dense/dense.h"
#include "kernels/dense_bf16/dense_bf16.h"
#include "kernels/dense_i8/dense_i8.h"
#include "kernels/embedding/embedding.h"
#include "kernels/matmul/matmul.h"
#include "kernels/narrow/narrow.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/trees/trees.h"

#include <stdbool.h>

#define LP_PLAN_NONE UINT32_MAX

enum { LP_PLAN_ALIGN_FLOATS = 16, LP_PLAN_ALIGN_BYTES = 64 };

/** Where a value is. */
struct lp_operand {
    size_t offset;    /* its root's: floats a row of a chunk, before it in the arena */
    size_t column;    /* in the root's row */
    size_t stride;    /* floats from a row to the next: the root's width */
    uint32_t width;   /* elements a row */
    bool of_features; /* a view of the row: the doubles are there too, at `column` */
};

/** What a step works on: one chunk of rows. */
struct lp_frame {
    float *arena;
    size_t chunk_rows;  /* rows that each root has room for */
    uint32_t row_count; /* of this chunk */
    const double *rows; /* [row_count][row_stride] */
    size_t row_stride;
    void *scratch; /* 64-byte aligned */
};

static inline float *lp_frame_at(const struct lp_frame *frame, const struct lp_operand *operand)
{
    return frame->arena + operand->offset * frame->chunk_rows + operand->column;
}

struct lp_plan_step;
typedef void lp_step_run(const struct lp_plan_step *step, const struct lp_frame *frame);

/** Two operands that broadcast: up to three loops around a run of `inner` elements, for each row. */
struct lp_binary_loops {
    uint32_t counts[3]; /* outermost first; 1 where there is none */
    size_t a_steps[3], b_steps[3];
    size_t inner;
    size_t a_step, b_step; /* 0 or 1 */
    bool whole;            /* one run over all rows: both are as wide as the output, or b is one constant */
};

/** Loops over a value's axes: `outer` blocks of `count` runs of `inner` elements. */
struct lp_axis_loops {
    uint32_t outer, count, inner;
};

/** A layer on the last axis of a value with more: each of `groups` runs of a row is a row of the layer. Rows that touch
 * are one call. */
struct lp_layer_rows {
    uint32_t groups;
    bool together;
};

/** One op, and the activation after a layer. */
struct lp_plan_step {
    lp_step_run *run;
    uint32_t op;            /* index in the bundle's graph */
    uint32_t activation_op; /* the op whose activation joined this layer's step, or LP_PLAN_NONE */
    uint32_t input_count;
    const struct lp_operand *inputs; /* [input_count], inside the plan's operands */
    struct lp_operand output;
    bool flush; /* denormals count as zero inside */
    enum lp_plan_part part;
    const char *kernel;            /* its name */
    const char *act_kernel;        /* the activation's; NULL: none, or in the layer's store */
    lp_activation_run *activation; /* NULL: none, or in the layer's store */
    float alpha, beta;
    uint64_t work;
    size_t packed_bytes; /* of `packed`, rounded up; 0: none */
    const void *packed;  /* weights or tables in the kernel's order, inside the plan's block */
    enum lp_code (*pack)(struct lp_plan_step *step, const struct lp_op *op, void *to, struct lp_error *err);
    /* Of a lane, for row_count rows; NULL: none. */
    size_t (*scratch_bytes)(const struct lp_plan_step *step, uint32_t row_count);
    union {
        struct {
            const struct lp_dense_kernel *kernel;
            struct lp_dense_layer layer;
            struct lp_layer_rows rows;
        } dense;
        struct {
            const struct lp_dense_i8_kernel *kernel;
            struct lp_dense_i8_layer layer;
            struct lp_layer_rows rows;
        } dense_i8;
        struct {
            const struct lp_dense_bf16_kernel *kernel;
            struct lp_dense_bf16_layer layer;
            struct lp_layer_rows rows;
        } dense_bf16;
        struct {
            const struct lp_conv2d_kernel *kernel;
            struct lp_conv2d shape;
        } conv2d;
        struct {
            lp_pool2d_run *run;
            struct lp_pool2d shape;
        } pool;
        struct {
            lp_matmul_run *run;
            struct lp_matmul shape;
            uint32_t counts[2];                        /* of the leading axes */
            size_t a_steps[2], b_steps[2], y_steps[2]; /* floats */
        } matmul;
        struct {
            lp_binary_run *run;
            struct lp_binary_loops loops;
            const float *constant; /* NULL: inputs[1] */
            bool reverse;
        } binary;
        struct {
            lp_softmax_run *run;
            struct lp_axis_loops axis;
        } softmax;
        struct {
            lp_norm_run *run;
            struct lp_norm shape;
            uint32_t count; /* groups a row */
        } norm;
        struct {
            lp_embedding_run *run;
            struct lp_embedding_table table;
            int64_t padding_index;
            uint32_t id_count;
            size_t value_bytes;
        } embedding;
        struct {
            struct lp_trees_model *model; /* owned */
            uint32_t outputs;
        } trees;
        struct {
            struct lp_onnxruntime *session; /* owned */
        } onnxruntime;
        struct {
            uint32_t counts[LP_VALUE_RANK_MAX];
            size_t steps[LP_VALUE_RANK_MAX]; /* of the input, by the output's axis */
        } transpose;
        struct {
            uint32_t outer, count;
            enum lp_unit norm;
        } unit;
        struct {
            struct lp_axis_loops axis;
            uint32_t start, step; /* slice */
        } pick;                   /* slice, gather, concat */
        struct {
            uint32_t counts[LP_VALUE_RANK_MAX];  /* the input's axes */
            uint32_t y_steps[LP_VALUE_RANK_MAX]; /* of the output; 0: folded */
            uint32_t folded;                     /* elements that go into one */
            enum lp_reduce function;
            struct lp_axis_loops axis; /* sums over neighbours */
        } reduce;
        struct {
            uint32_t key_count;
            bool exact; /* keys that are no floats: the doubles of the row are compared */
            float filler;
        } map;
        struct {
            float missing;
        } impute;
        struct {
            float quantum, low, high; /* the bounds less the zero point */
            lp_binary_run *divide, *multiply;
            lp_activation_run *clip, *round;
        } quantize;
        struct {
            uint32_t value_count;
            const float *values;
        } onehot;
    };
};

/** [rows][width] floats in the arena, needed from before the first step that writes it until after the last that reads.
 */
struct lp_plan_root {
    uint32_t width;
    uint32_t first, last; /* steps, counted from 1; 0 is the row's conversion, step_count + 1 the margin */
    size_t offset;        /* floats a row */
};

struct lp_plan {
    const struct lp_bundle *bundle;         /* borrowed */
    const struct lp_cpu *cpu;               /* while it is built */
    uint32_t step_count, record_step_count; /* record steps come first where items are told apart */
    struct lp_plan_step *steps;
    struct lp_operand *operands; /* of all steps */
    uint32_t crossing_count;     /* record values that other steps read */
    struct lp_operand *crossings;
    uint32_t prefetch_count; /* embedding steps with large tables that read the row */
    uint32_t *prefetches;
    bool has_items;              /* some feature is of a candidate */
    unsigned char *item_columns; /* [column_count], 1: of a candidate; NULL without any */
    bool reads_floats;           /* a step reads the row as floats */
    struct lp_operand features, margin;
    size_t row_floats;      /* of the arena, a row of a chunk */
    size_t unshared_floats; /* what the values would take without sharing, a row */
    void *packed;           /* every step's, each 64-byte aligned */
    size_t packed_bytes;
    struct lp_trees_model *trees; /* the graph is an ensemble alone: no steps */
    lp_narrow_run *narrow;
    lp_activation_run *sigmoid;
    lp_softmax_run *softmax;
    char *description, *table;
    size_t bytes; /* heap held */
};

/** has_items and item_columns, from the features. */
LP_MUST_USE enum lp_code lp_plan_mark_items(struct lp_plan *plan, struct lp_error *err);

/** Steps with their operands, from the graph alone: order, fusion, views, arena. Chooses no kernel, packs nothing. */
LP_MUST_USE enum lp_code lp_plan_schedule(struct lp_plan *plan, struct lp_error *err);

/** Kernels and what they need but for the packed weights; steps have their operands. */
LP_MUST_USE enum lp_code lp_plan_bind(struct lp_plan *plan, struct lp_plan_step *step, struct lp_error *err);

/** Offsets for roots that share an arena; returns the floats a row that it takes, SIZE_MAX without memory.
 * O(count^2). */
size_t lp_arena_place(struct lp_plan_root *roots, uint32_t count);

/** description and table. */
LP_MUST_USE enum lp_code lp_plan_write(struct lp_plan *plan, struct lp_error *err);

/** Bring rows of large tables near, where the chunk has few rows. */
void lp_plan_prefetch(const struct lp_plan *plan, const struct lp_frame *frame);

/** Rows that go through all steps together, so that they stay in cache; 1 to rows_max. */
uint32_t lp_plan_chunk_rows(const struct lp_plan *plan, uint32_t rows_max);

/* How each kind is bound: fills run, kernel and the union. step_*.c */
typedef enum lp_code lp_step_bind(struct lp_plan *plan, struct lp_plan_step *step, const struct lp_op *op,
                                  struct lp_error *err);
lp_step_bind lp_bind_dense, lp_bind_matmul;                                                       /* step_dense.c */
lp_step_bind lp_bind_conv2d, lp_bind_pool;                                                        /* step_image.c */
lp_step_bind lp_bind_activation, lp_bind_binary, lp_bind_prelu, lp_bind_impute, lp_bind_quantize; /* step_binary.c */
lp_step_bind lp_bind_softmax, lp_bind_norm, lp_bind_unit;                                         /* step_fold.c */
lp_step_bind lp_bind_reduce;                                                                      /* step_reduce.c */
lp_step_bind lp_bind_concat, lp_bind_slice, lp_bind_gather, lp_bind_transpose;                    /* step_layout.c */
lp_step_bind lp_bind_embedding, lp_bind_onehot, lp_bind_map, lp_bind_trees;                       /* step_lookup.c */
lp_step_bind lp_bind_onnxruntime;                                                                 /* step_foreign.c */

/** The layer, when it reads features, rounds the row's doubles by itself. */
bool lp_dense_reads_doubles(const struct lp_plan *plan, const struct lp_op *op);

/** The kernel's kind of an activation, with alpha and beta as it wants them; false: none or prelu. */
bool lp_activation_kernel_of(const struct lp_op *op, enum lp_activation_kind *ret_kind, float *ret_alpha,
                             float *ret_beta);

/** A weight as floats: the tensor's own, or a copy to free. */
LP_MUST_USE enum lp_code lp_step_weight(const struct lp_op *op, const float **ret_weight, float **ret_owned,
                                        struct lp_error *err);

/** Its result is near for near arguments: denormals may be flushed before and inside it. */
bool lp_activation_is_smooth(enum lp_activation activation);

/** Apply a layer's activation to its output in place, where the store did not. */
void lp_step_activate(const struct lp_plan_step *step, const struct lp_frame *frame);

/** Bytes rounded up to LP_PLAN_ALIGN_BYTES; 0 when they overflow. */
static inline size_t lp_plan_align(size_t bytes)
{
    return bytes > SIZE_MAX / 4 ? 0 : (bytes + LP_PLAN_ALIGN_BYTES - 1) / LP_PLAN_ALIGN_BYTES * LP_PLAN_ALIGN_BYTES;
}

#endif
