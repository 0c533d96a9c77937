/*
 * A network as an importer leaves it: ops on values, in order. Value 0 is `features`, the cleaned row; value i + 1 is
 * what op i makes. Shapes are of one row: the batch is not written. A number a row has rank 0 here, and shape [1] in a
 * bundle.
 */
#ifndef LP_IMPORT_GRAPH_H
#define LP_IMPORT_GRAPH_H

#include "import/forest.h"
#include "kernels/trees/trees.h"
#include "model/bundle.h"
#include "model/storage.h"

#include <jansson.h>

enum { LP_GRAPH_RANK_MAX = 4, LP_GRAPH_FEATURES = 0 };

enum lp_graph_kind {
    LP_GRAPH_DENSE,      /* inputs[0], weight [in, out], bias?, function: activation; scale: weight is I8 */
    LP_GRAPH_ACTIVATION, /* function, alpha, beta; constant: slope of prelu */
    LP_GRAPH_SOFTMAX,    /* function: softmax or log_softmax, axis */
    LP_GRAPH_BINARY,    /* function: add sub mul div min max pow; two inputs, or one and `constant` (`reverse`: left) */
    LP_GRAPH_MATMUL,    /* two inputs, transpose_b */
    LP_GRAPH_CONCAT,    /* inputs, axis */
    LP_GRAPH_SLICE,     /* axis, start, end, step */
    LP_GRAPH_GATHER,    /* axis, indices (I64) */
    LP_GRAPH_RESHAPE,   /* to dims */
    LP_GRAPH_TRANSPOSE, /* axes: the permutation */
    LP_GRAPH_REDUCE,    /* function, axes; the reduced axes stay as 1 where the rank is the input's, else they go */
    LP_GRAPH_EMBEDDING, /* table, scale?, function: none sum mean max; padding_index, -1: none */
    LP_GRAPH_ONEHOT,    /* values */
    LP_GRAPH_MAP,       /* keys (F64), values (F32), alpha: the default */
    LP_GRAPH_IMPUTE,    /* constant; alpha: which number is missing, or NaN */
    LP_GRAPH_UNIT,      /* function: l1 l2 max */
    LP_GRAPH_NORM,      /* axis, weight?, bias?, alpha: epsilon */
    LP_GRAPH_CONV2D,    /* weight [O, C/group, kh, kw], bias?, strides, pads, dilations, group, function */
    LP_GRAPH_POOL,      /* function: max average; kernel, strides, pads, dilations, ceil, count_pad */
    LP_GRAPH_QUANTIZE,  /* alpha: scale, zero, low, high */
    LP_GRAPH_TREES,     /* trees */
    LP_GRAPH_FOREIGN,   /* foreign, weight: the file; it reads `features` and is alone */
    LP_GRAPH_KIND_COUNT,
};

/* What an op does, in the words of a bundle: lp_graph_function_name. */
enum lp_graph_function {
    LP_GRAPH_NONE,
    /* activations */
    LP_GRAPH_RELU,
    LP_GRAPH_LEAKY_RELU, /* alpha */
    LP_GRAPH_ELU,        /* alpha */
    LP_GRAPH_SELU,       /* alpha, beta: gamma */
    LP_GRAPH_CELU,       /* alpha */
    LP_GRAPH_PRELU,      /* constant */
    LP_GRAPH_TANH,
    LP_GRAPH_SIGMOID,
    LP_GRAPH_GELU,
    LP_GRAPH_GELU_TANH,
    LP_GRAPH_SILU,
    LP_GRAPH_SOFTPLUS,
    LP_GRAPH_SOFTSIGN,
    LP_GRAPH_HARD_SIGMOID, /* alpha, beta */
    LP_GRAPH_HARD_SILU,
    LP_GRAPH_MISH,
    LP_GRAPH_THRESHOLDED_RELU, /* alpha */
    LP_GRAPH_CLIP,             /* alpha: low, beta: high; infinite where open */
    LP_GRAPH_EXP,
    LP_GRAPH_LOG,
    LP_GRAPH_SQRT,
    LP_GRAPH_ABS,
    LP_GRAPH_NEG,
    LP_GRAPH_RECIPROCAL,
    LP_GRAPH_ERF,
    LP_GRAPH_FLOOR,
    LP_GRAPH_CEIL,
    LP_GRAPH_ROUND,
    LP_GRAPH_SIGN,
    LP_GRAPH_SOFTMAX_OF, /* softmax */
    LP_GRAPH_LOG_SOFTMAX_OF,
    /* binary */
    LP_GRAPH_ADD,
    LP_GRAPH_SUB,
    LP_GRAPH_MUL,
    LP_GRAPH_DIV,
    LP_GRAPH_POW,
    /* reductions, pools, norms; min and max are binary too */
    LP_GRAPH_MIN,
    LP_GRAPH_MAX,
    LP_GRAPH_SUM,
    LP_GRAPH_MEAN,
    LP_GRAPH_PROD,
    LP_GRAPH_L1,
    LP_GRAPH_L2,
    LP_GRAPH_SUM_SQUARE,
    LP_GRAPH_LOG_SUM_EXP,
    LP_GRAPH_AVERAGE,
    LP_GRAPH_FUNCTION_COUNT,
};

/** A tree ensemble beside other ops. */
struct lp_graph_trees {
    struct lp_forest forest;
    enum lp_trees_compare compare;
    const double *base; /* [outputs], NULL: zeros; in the draft's storage */
    double divisor;
};

struct lp_graph_op {
    enum lp_graph_kind kind;
    enum lp_graph_function function;
    uint32_t input_count;
    uint32_t *inputs; /* values before this op's; in the draft's storage */
    uint32_t rank;    /* of the output */
    uint32_t dims[LP_GRAPH_RANK_MAX];

    /* Tensors in the draft's storage; which of them, the kind says. Their names are given when they are written. */
    const struct lp_tensor *weight, *bias, *scale, *constant, *indices, *keys, *values;
    double alpha, beta;
    uint32_t axis, axis_count, axes[LP_GRAPH_RANK_MAX];
    uint32_t start, end, step;
    bool reverse, transpose_b, ceil, count_pad;
    uint32_t kernel[2], strides[2], pads[4], dilations[2], group; /* pads: top, left, bottom, right */
    int64_t padding_index;
    bool has_input_scale; /* dense of I8: static quantization of the input */
    double input_scale;
    int32_t zero, low, high; /* quantize, and dense: the input's zero point */
    struct lp_graph_trees *trees;
    const struct lp_foreign *foreign;
};

/** Ops grow by lp_graph_add; everything they point to is in the draft's storage. */
struct lp_graph {
    struct lp_bundle_storage *storage; /* borrowed */
    struct lp_graph_op *ops;           /* owned */
    uint32_t count, capacity;
    struct lp_graph_trees **trees; /* owned list */
    uint32_t trees_count;
};

void lp_graph_init(struct lp_graph *graph, struct lp_bundle_storage *storage);
void lp_graph_done(struct lp_graph *graph);

/**
 * Append an op. Its output must have at most LP_BUNDLE_COLUMNS_MAX elements.
 *
 * @param op     copied, with `inputs` (input_count values that are there)
 * @param ret_value the new value
 * @return LP_E_LIMIT: too many ops, too large an output; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_graph_add(struct lp_graph *graph, const struct lp_graph_op *op, uint32_t *ret_value,
                                      struct lp_error *err);

/** An empty ensemble of the graph's, freed with it. */
LP_MUST_USE enum lp_code lp_graph_trees_new(struct lp_graph *graph, size_t bytes_max, struct lp_graph_trees **ret_trees,
                                            struct lp_error *err);

/** The word of a bundle's graph. */
const char *lp_graph_function_name(enum lp_graph_function function);

/** Elements of a shape. LP_E_LIMIT past LP_BUNDLE_COLUMNS_MAX, or where a dimension is 0. */
LP_MUST_USE enum lp_code lp_graph_elements(uint32_t rank, const uint32_t *dims, uint32_t *ret_count,
                                           struct lp_error *err);

#endif
