/*
 * One op of a bundle's graph. A value is, for each row, a float32 tensor of a fixed shape, rank 1 to 4, row-major; axes
 * do not count the rows. Value 0 is `features`, the cleaned row of [column_count]; value i + 1 is what op i makes. The
 * last op's output, flattened, is the margin. Formulas are those of ONNX's operators (https://onnx.ai/onnx/operators)
 * unless another source is named.
 */
#ifndef LP_MODEL_OP_H
#define LP_MODEL_OP_H

#include "kernels/trees/trees.h"
#include "model/tensor.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_op_kind {
    LP_OP_DENSE,
    LP_OP_ACTIVATION,
    LP_OP_TREES,
    LP_OP_SOFTMAX,
    LP_OP_LOG_SOFTMAX,
    LP_OP_ADD,
    LP_OP_SUB,
    LP_OP_MUL,
    LP_OP_DIV,
    LP_OP_MIN, /* NaN when either is */
    LP_OP_MAX,
    LP_OP_POW,
    LP_OP_MATMUL,
    LP_OP_CONCAT,
    LP_OP_SLICE,
    LP_OP_GATHER,
    LP_OP_RESHAPE,
    LP_OP_TRANSPOSE,
    LP_OP_REDUCE,
    LP_OP_EMBEDDING,
    LP_OP_ONEHOT,
    LP_OP_MAP,
    LP_OP_IMPUTE,
    LP_OP_UNIT,
    LP_OP_NORM,
    LP_OP_CONV2D,
    LP_OP_POOL,
    LP_OP_QUANTIZE,
    LP_OP_ONNXRUNTIME,
    LP_OP_COUNT,
};

enum lp_activation {
    LP_ACTIVATION_NONE,
    LP_ACTIVATION_RELU,
    LP_ACTIVATION_LEAKY_RELU, /* alpha */
    LP_ACTIVATION_ELU,        /* alpha */
    LP_ACTIVATION_TANH,
    LP_ACTIVATION_SIGMOID,
    LP_ACTIVATION_GELU,      /* erf form */
    LP_ACTIVATION_GELU_TANH, /* tanh form */
    LP_ACTIVATION_SILU,
    LP_ACTIVATION_SOFTPLUS,
    LP_ACTIVATION_SELU,  /* beta (x > 0 ? x : alpha expm1(x)); beta is ONNX's gamma */
    LP_ACTIVATION_CELU,  /* max(0, x) + min(0, alpha expm1(x / alpha)) */
    LP_ACTIVATION_PRELU, /* x < 0: slope x; not fused */
    LP_ACTIVATION_SOFTSIGN,
    LP_ACTIVATION_HARD_SIGMOID,     /* clip(alpha x + beta, 0, 1) */
    LP_ACTIVATION_HARD_SILU,        /* x clip(x / 6 + 0.5, 0, 1) */
    LP_ACTIVATION_MISH,             /* x tanh(softplus(x)) */
    LP_ACTIVATION_THRESHOLDED_RELU, /* x > alpha ? x : 0 */
    LP_ACTIVATION_CLIP,             /* to low..high */
    LP_ACTIVATION_EXP,
    LP_ACTIVATION_LOG,
    LP_ACTIVATION_SQRT,
    LP_ACTIVATION_ABS,
    LP_ACTIVATION_NEG,
    LP_ACTIVATION_RECIPROCAL,
    LP_ACTIVATION_ERF,
    LP_ACTIVATION_FLOOR,
    LP_ACTIVATION_CEIL,
    LP_ACTIVATION_ROUND, /* half to even */
    LP_ACTIVATION_SIGN,
    LP_ACTIVATION_COUNT,
};

enum lp_reduce {
    LP_REDUCE_SUM,
    LP_REDUCE_MEAN,
    LP_REDUCE_MAX,
    LP_REDUCE_MIN,
    LP_REDUCE_PROD,
    LP_REDUCE_L1,
    LP_REDUCE_L2,
    LP_REDUCE_SUM_SQUARE,
    LP_REDUCE_LOG_SUM_EXP,
};
enum lp_bag { LP_BAG_NONE, LP_BAG_SUM, LP_BAG_MEAN, LP_BAG_MAX };
enum lp_unit { LP_UNIT_L1, LP_UNIT_L2, LP_UNIT_MAX };

enum { LP_VALUE_RANK_MAX = 4 };

struct lp_shape {
    uint32_t rank; /* 1 to LP_VALUE_RANK_MAX */
    uint32_t dims[LP_VALUE_RANK_MAX];
};

/** Windows of conv2d and pool over [C, H, W]: first of each pair is along H. */
struct lp_window {
    uint32_t kernel[2], strides[2], dilations[2];
    uint32_t pads[4]; /* top, left, bottom, right; pool: each below the dilated kernel, conv2d: at most it */
    bool ceil;        /* pool: count a last window that is not whole, if it begins inside the input or its left pad */
    bool count_pad;   /* pool, average: pads count in the divisor */
    bool average;     /* pool: else the maximum */
    uint32_t group;   /* conv2d */
};

enum lp_foreign_type { LP_FOREIGN_FLOAT, LP_FOREIGN_DOUBLE, LP_FOREIGN_INT32, LP_FOREIGN_INT64 };
enum { LP_FOREIGN_INPUTS_MAX = 256 };

/** One input of a model in another library's hands: `width` columns of the row from `column` on. */
struct lp_foreign_input {
    const char *name;
    enum lp_foreign_type type;
    struct lp_shape shape; /* of a row; rank 0: one number */
    uint32_t column, width;
};

struct lp_foreign {
    const char *output; /* its name in the model; floats */
    uint32_t input_count;
    const struct lp_foreign_input *inputs;
};

/** Members that a kind does not name are zero. */
struct lp_op {
    enum lp_op_kind kind;
    const char *output; /* its value's name */
    const char *input;  /* name of the first input */
    uint32_t input_count;
    const uint32_t *inputs;       /* values, each below this op's own */
    struct lp_shape in;           /* of the first input */
    struct lp_shape shape;        /* of the output */
    uint32_t in_width, out_width; /* elements of both */
    uint64_t work;                /* multiply-adds a row, or elements touched */

    /* dense: F32, F16, BF16 or I8 [in, out] on the last axis. conv2d: F32, F16 or BF16 [O, C / group, kh, kw].
     * embedding: the table, F32, F16, BF16 or I8 [rows, width]. norm: F32 of the normalized axes, may be NULL */
    const struct lp_tensor *weight;
    const struct lp_tensor *bias;     /* dense, conv2d, norm: F32, or NULL */
    const struct lp_tensor *scale;    /* F32; dense I8: [out] or [1]; embedding I8: [rows]; else NULL */
    const struct lp_tensor *constant; /* F32; binary: the second operand, impute, onehot: the values, prelu: the slope;
                                         map: the values */
    const struct lp_tensor *keys;     /* map: F64, distinct */
    const struct lp_tensor *indices;  /* gather: I32 or I64, rank 0 to 4, each inside the axis */

    enum lp_activation activation; /* activation: its kind; dense, conv2d: behind the bias, usually NONE */
    double alpha, beta;
    double low, high; /* clip; quantize: whole numbers; open ends are infinite */

    /* dense I8: q = clamp(rne(x / input_scale) + input_zero, 0, 255); 0: both are taken from each row */
    double input_scale;
    int32_t input_zero;

    uint32_t axis;                    /* softmax, log_softmax, concat, slice, gather; norm: the first of its axes */
    bool reverse;                     /* binary with a constant: it is the left operand */
    bool transpose;                   /* matmul: the second operand is [.., n, k] */
    uint32_t start, end, step;        /* slice */
    uint32_t perm[LP_VALUE_RANK_MAX]; /* transpose: output axis i is input axis perm[i] */
    enum lp_reduce reduce;
    uint32_t axes; /* reduce: bit i is axis i; all of them without keep: [1] */
    enum lp_bag bag;
    int64_t padding_index; /* embedding: an index that pooling passes over; -1: none */
    double filler;         /* map: for what no key equals; impute: what is replaced, NaN included */
    enum lp_unit unit;
    double epsilon; /* norm */
    double quantum; /* quantize: y = (clamp(rne(x / quantum) + zero, low, high) - zero) * quantum */
    double zero;
    struct lp_window window;          /* conv2d, pool */
    const struct lp_trees *trees;     /* trees: the checked ensemble; NaN is missing */
    const struct lp_foreign *foreign; /* onnxruntime; `weight` is the model's file, U8 */
};

/** "dense", ...; static. */
const char *lp_op_name(enum lp_op_kind kind);
/** "float", ...; static. */
const char *lp_foreign_type_name(enum lp_foreign_type type);
/** "relu", ...; static. */
const char *lp_activation_name(enum lp_activation activation);

static inline uint64_t lp_shape_count(const struct lp_shape *shape)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

/** Elements of the axes before `axis`. */
static inline uint64_t lp_shape_before(const struct lp_shape *shape, uint32_t axis)
{
    uint64_t count = 1;
    for (uint32_t i = 0; i < axis; i++) count *= shape->dims[i];
    return count;
}

/** Elements of the axes behind `axis`. */
static inline uint64_t lp_shape_after(const struct lp_shape *shape, uint32_t axis)
{
    uint64_t count = 1;
    for (uint32_t i = axis + 1; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

#endif
