/*
 * An ONNX model while it becomes a graph. Private to import/onnx/.
 *
 * Every value of the model has a name and is one of: a constant (known now, of its whole shape); a row value (computed
 * for each record; its first axis is the batch and is not written here, so that ONNX axis a is axis a - 1 of `dims`); a
 * text (strings of the record, which an encoder must turn into numbers). Nodes are lowered one after another in
 * topological order: a node whose inputs are constants is folded, every other one appends ops to the draft's graph.
 * Only nodes that a numeric output needs are looked at.
 */
#ifndef LP_IMPORT_ONNX_ONNX_H
#define LP_IMPORT_ONNX_ONNX_H

#include "import/draft.h"
#include "import/graph.h"

#include "onnx.pb-c.h"

#include <stdint.h>

/* TensorProto.DataType, as published. */
enum lp_onnx_type {
    LP_ONNX_UNDEFINED = 0,
    LP_ONNX_FLOAT = 1,
    LP_ONNX_UINT8 = 2,
    LP_ONNX_INT8 = 3,
    LP_ONNX_UINT16 = 4,
    LP_ONNX_INT16 = 5,
    LP_ONNX_INT32 = 6,
    LP_ONNX_INT64 = 7,
    LP_ONNX_STRING = 8,
    LP_ONNX_BOOL = 9,
    LP_ONNX_FLOAT16 = 10,
    LP_ONNX_DOUBLE = 11,
    LP_ONNX_UINT32 = 12,
    LP_ONNX_UINT64 = 13,
    LP_ONNX_BFLOAT16 = 16,
};

enum {
    LP_ONNX_RANK_MAX = 8,
    LP_ONNX_NODES_MAX = 1 << 17,
    LP_ONNX_OPSET_MIN = 9,
    LP_ONNX_OPSET_MAX = 21,
    LP_ONNX_FOLDED_MAX = 1 << 30, /* elements of a folded constant; their bytes are bounded by the file's */
    LP_ONNX_ABSENT = -1,
};

/* An element of an INT64 constant that stands for the number of rows: what Shape says of the first axis. */
#define LP_ONNX_BATCH (INT64_MIN + 7)

/** A tensor that is known. Data is in the model's memory, little-endian, aligned to its element. */
struct lp_onnx_constant {
    enum lp_onnx_type type;
    uint32_t rank;
    uint64_t dims[LP_ONNX_RANK_MAX];
    uint64_t count;
    const void *data;               /* [count] of the type; STRING: struct lp_span [count] */
    bool has_batch;                 /* some element is LP_ONNX_BATCH */
    const struct lp_tensor *floats; /* as F32 tensor of the draft, made once: lp_onnx_tensor */
    bool is_spread;                 /* its first axis, of 1, stands for the batch: the same in every row */
    /* Of which DynamicQuantizeLinear, as its input's value of the graph and 1 more; 0: of none. Its scale and zero
     * point are known for each row only, and in the layer already: they stand for 1. */
    uint32_t row_scale;
    /* What it was dequantized from, or NULL: 8-bit integers, with a scale of one element or one an index of `axis`. */
    const struct lp_onnx_constant *quantized, *quantized_scale, *quantized_zero;
    uint32_t quantized_axis;
};

/** A row value that is an image with zeros around it. */
struct lp_onnx_padded {
    uint32_t graph_value; /* of the value: one that was made of it since has another */
    uint32_t image;       /* the image itself, in the draft's graph */
    uint32_t dims[LP_GRAPH_RANK_MAX];
    uint32_t pads[4]; /* top, left, bottom, right; of one spatial axis: left and right */
};

enum lp_onnx_value_kind { LP_ONNX_UNKNOWN, LP_ONNX_CONSTANT, LP_ONNX_ROW, LP_ONNX_TEXT };

struct lp_onnx_value {
    const char *name; /* the model's */
    enum lp_onnx_value_kind kind;
    enum lp_onnx_type type;         /* of the elements, as the model has them */
    int32_t producer;               /* node, or LP_ONNX_ABSENT */
    uint32_t use_count;             /* by nodes and as outputs of the model */
    struct lp_onnx_constant *known; /* CONSTANT */
    uint32_t rank;                  /* ROW, TEXT: without the batch */
    uint32_t dims[LP_GRAPH_RANK_MAX];
    uint32_t graph_value;    /* ROW: of the draft's graph */
    const uint32_t *columns; /* TEXT: the feature of each element: an index of the draft's features */
    /* ROW of QuantizeLinear: the graph has its dequantized form (a quantize op), which stands for these integers. */
    bool is_quantized;
    uint32_t dynamic;     /* ROW of DynamicQuantizeLinear: its row_scale; the graph has what it was made of */
    uint32_t accumulated; /* ROW of MatMulInteger: the row_scale that it is multiplied with already */
    double scale;
    int32_t zero;
    const struct lp_onnx_padded *padded; /* ROW of Pad, or NULL */
};

struct lp_onnx_node {
    const Onnx__Node *proto;
    const char *op, *name, *domain; /* "" for the default domain and where there is no name */
    int64_t opset;                  /* of the domain */
    uint32_t input_count, output_count;
    const int32_t *inputs, *outputs; /* values, or LP_ONNX_ABSENT */
};

struct lp_onnx {
    Onnx__Model *proto;
    const struct lp_import_options *options;
    struct lp_draft *draft; /* draft->graph grows */
    struct lp_onnx_value *values;
    uint32_t value_count;
    struct lp_onnx_node *nodes;
    uint32_t node_count;
    int64_t batch; /* what the inputs say the first axis is, or -1 where it is open */
};

/** One op of a domain. Either function may be NULL: no rows, or no constants. */
struct lp_onnx_op {
    const char *name;
    /** At least one input is computed or a text (or there is none at all, as of Constant). */
    enum lp_code (*lower)(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err);
    /** All inputs are constants. */
    enum lp_code (*fold)(struct lp_onnx *onnx, const struct lp_onnx_node *node, struct lp_error *err);
};

/* Tables end with a NULL name. */
extern const struct lp_onnx_op lp_onnx_ops[];         /* the default domain, ai.onnx */
extern const struct lp_onnx_op lp_onnx_ml_ops[];      /* ai.onnx.ml */
extern const struct lp_onnx_op lp_onnx_contrib_ops[]; /* com.microsoft: what ONNX Runtime's own tools write */

/* --- failures: "node `name` (Op, opset n): ..." --- */

#define lp_onnx_bad(node, err, ...) lp_onnx_blame((node), lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__), (err))
#define lp_onnx_refuse(node, err, ...) \
    lp_onnx_blame((node), lp_fail((err), LP_E_UNSUPPORTED, LP_FATAL, __VA_ARGS__), (err))
enum lp_code lp_onnx_blame(const struct lp_onnx_node *node, enum lp_code code, struct lp_error *err);

/* --- inputs --- */

/** Input i, or NULL where it is absent or has an empty name. */
struct lp_onnx_value *lp_onnx_input(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i);

/** Input i, which must be computed for each row (or there, or a constant). */
LP_MUST_USE enum lp_code lp_onnx_row(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                                     struct lp_onnx_value **ret_value, struct lp_error *err);
LP_MUST_USE enum lp_code lp_onnx_known(const struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                                       struct lp_onnx_constant **ret_constant, struct lp_error *err);

/* --- attributes: the given default where absent; LP_E_INVALID where of another type --- */

const Onnx__Attribute *lp_onnx_attribute(const struct lp_onnx_node *node, const char *name);
LP_MUST_USE enum lp_code lp_onnx_int(const struct lp_onnx_node *node, const char *name, int64_t otherwise,
                                     int64_t *ret_whole, struct lp_error *err);
LP_MUST_USE enum lp_code lp_onnx_float(const struct lp_onnx_node *node, const char *name, double otherwise,
                                       double *ret_number, struct lp_error *err);
/** Absent: the text `otherwise`. */
LP_MUST_USE enum lp_code lp_onnx_text(const struct lp_onnx_node *node, const char *name, const char *otherwise,
                                      struct lp_span *ret_text, struct lp_error *err);
/** Borrowed from the file; absent: NULL and a count of 0. */
LP_MUST_USE enum lp_code lp_onnx_ints(const struct lp_onnx_node *node, const char *name, const int64_t **ret_wholes,
                                      size_t *ret_count, struct lp_error *err);
LP_MUST_USE enum lp_code lp_onnx_floats(const struct lp_onnx_node *node, const char *name, const float **ret_numbers,
                                        size_t *ret_count, struct lp_error *err);
LP_MUST_USE enum lp_code lp_onnx_texts(struct lp_onnx *onnx, const struct lp_onnx_node *node, const char *name,
                                       const struct lp_span **ret_texts, size_t *ret_count, struct lp_error *err);
/** A tensor attribute (keys_tensor, nodes_splits ...); absent: NULL. */
LP_MUST_USE enum lp_code lp_onnx_tensor_attribute(struct lp_onnx *onnx, const struct lp_onnx_node *node,
                                                  const char *name, struct lp_onnx_constant **ret_constant,
                                                  struct lp_error *err);

/* --- constants --- */

/** Bytes of an element (STRING: of a span); 0 for a type that is not read. */
size_t lp_onnx_type_bytes(enum lp_onnx_type type);
bool lp_onnx_type_whole(enum lp_onnx_type type); /* integers and booleans */

/** Element i as a double, or as 64 bits (floating: cut towards zero, saturated). No texts. */
double lp_onnx_number_at(const struct lp_onnx_constant *constant, uint64_t i);
int64_t lp_onnx_whole_at(const struct lp_onnx_constant *constant, uint64_t i);

/** A constant with room for its elements, zeroed. LP_E_LIMIT past LP_ONNX_FOLDED_MAX elements. */
LP_MUST_USE enum lp_code lp_onnx_constant_new(struct lp_onnx *onnx, enum lp_onnx_type type, uint32_t rank,
                                              const uint64_t *dims, struct lp_onnx_constant **ret_constant,
                                              struct lp_error *err);

/** A file's tensor, its data checked against its shape. Read from a folder's file where it says so. */
LP_MUST_USE enum lp_code lp_onnx_constant_read(struct lp_onnx *onnx, const Onnx__Tensor *proto,
                                               struct lp_onnx_constant **ret_constant, struct lp_error *err);

/** The constant as F32 tensor of the draft, of its own shape, rounded once; made at the first call. Finite or
 * LP_E_INVALID. */
LP_MUST_USE enum lp_code lp_onnx_tensor(struct lp_onnx *onnx, struct lp_onnx_constant *constant,
                                        const struct lp_tensor **ret_tensor, struct lp_error *err);

/** A tensor of the draft with room for its elements, zeroed, to be filled through ret_data. */
LP_MUST_USE enum lp_code lp_onnx_tensor_new(struct lp_onnx *onnx, enum lp_dtype dtype, uint32_t rank,
                                            const uint64_t *dims, struct lp_tensor **ret_tensor, void **ret_data,
                                            struct lp_error *err);

/* --- results --- */

/**
 * Append an op of the inputs given; its output shape must be in it.
 * @param inputs copied, `op->input_count` of them; op->inputs is not read
 */
LP_MUST_USE enum lp_code lp_onnx_emit(struct lp_onnx *onnx, struct lp_graph_op op, const uint32_t *inputs,
                                      uint32_t *ret_value, struct lp_error *err);

/** The same elements in another shape; no op where the bundle's shapes are equal. */
LP_MUST_USE enum lp_code lp_onnx_reshape(struct lp_onnx *onnx, uint32_t value, uint32_t from_rank, const uint32_t *from,
                                         uint32_t rank, const uint32_t *dims, uint32_t *ret_value,
                                         struct lp_error *err);

/** What output i of the node is. An output without a name, or one there is not, is passed over. */
void lp_onnx_bind_row(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, enum lp_onnx_type type,
                      uint32_t graph_value, uint32_t rank, const uint32_t *dims);
void lp_onnx_bind_constant(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                           struct lp_onnx_constant *constant);
/** As another value. */
void lp_onnx_bind_value(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i,
                        const struct lp_onnx_value *value);
/** Texts: columns are indices of the draft's features, in the draft's storage. */
void lp_onnx_bind_text(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t i, const uint32_t *columns,
                       uint32_t rank, const uint32_t *dims);

/**
 * A text feature gets its vocabulary, and becomes the position in it (vocabulary_count for every other text) as number
 * 0, 1, ... LP_E_UNSUPPORTED where another encoder gave it another one.
 *
 * @param ret_value the graph's value of this column, shape []
 */
LP_MUST_USE enum lp_code lp_onnx_text_index(struct lp_onnx *onnx, const struct lp_onnx_node *node, uint32_t column,
                                            const struct lp_span *words, uint32_t word_count, uint32_t *ret_value,
                                            struct lp_error *err);

#endif
