/* A dense network in training: its shape, its parameters in one padded array, and how they begin. */
#ifndef LP_TRAIN_NET_H
#define LP_TRAIN_NET_H

#include "core/error.h"
#include "kernels/train/train.h"
#include "model/bundle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LP_NET_LAYERS_MAX = 64,
    LP_NET_EMBEDDINGS_MAX = 1024,
    LP_NET_WIDTH_MAX = 1 << 16,
    LP_NET_TABLE_ROWS_MAX = 1 << 24, /* beyond it a float no longer counts rows */
};

/** One dense layer: activation(norm(x W + b)), then dropout. The last layer is the output: linear, without either. */
struct lp_net_layer {
    uint32_t width;
    enum lp_activation activation;
    float alpha;   /* leaky_relu, elu */
    float dropout; /* share of values set to 0 in training, the others grow by 1 / (1 - dropout) */
    bool batch_norm;
};

/** A column of the cleaned row that holds row numbers of a table. */
struct lp_net_embedding {
    uint32_t column, rows, width;
};

struct lp_net_spec {
    uint32_t column_count;                     /* of the cleaned row */
    uint32_t embedding_count;                  /* by rising column */
    const struct lp_net_embedding *embeddings; /* borrowed */
    uint32_t layer_count;                      /* the output included */
    struct lp_net_layer layers[LP_NET_LAYERS_MAX];
};

/** Where one layer's numbers are. Offsets count floats in lp_net.params and in every array of the same layout. */
struct lp_net_dense {
    uint32_t in, out;
    size_t in_stride;  /* floats of a row of its input */
    size_t out_stride; /* of its output; 1 for an output layer of width 1 */
    size_t weight;     /* [in] rows of weight_stride; a width-1 output layer: one row of in_stride */
    size_t weight_rows, weight_stride;
    size_t bias, gamma, beta; /* rows of out_stride (16 for width 1); SIZE_MAX where there is none */
    size_t mean, variance;    /* batch norm's running statistics, in lp_net.running */
    size_t turned;            /* in lp_net.turned: the transpose, [out] rows of in_stride; SIZE_MAX: not needed */
    bool is_vector;           /* the output layer has width 1 */
    bool plain_relu;          /* relu without batch norm and dropout: fused into the products */
    bool needs_slope;         /* the derivative is kept by forward for backward */
};

struct lp_net {
    struct lp_net_spec spec;
    struct lp_net_embedding *embeddings; /* owned copy */
    uint32_t plain_count;                /* columns that are no embedding: the first of the network's input */
    uint32_t *plain;                     /* [plain_count] their numbers in the cleaned row */
    uint32_t input_width;
    size_t input_stride;
    uint32_t table_width; /* sum over embeddings */
    struct lp_net_dense dense[LP_NET_LAYERS_MAX];
    size_t *tables; /* [embedding_count] offset of each table, behind the dense parameters; rows of its padded width */
    size_t dense_floats, param_floats, running_floats, turned_floats;
    float *params, *running, *turned; /* 64-byte aligned */
};

/**
 * Take the memory and set the first weights: Glorot's uniform, biases 0, tables uniform within +-0.05. Also for relu,
 * as Keras and scikit-learn do: from He's larger ones a few hundred rows do not bring a network back to something
 * smooth. The same seed gives the same bytes everywhere.
 * @return LP_E_LIMIT, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_net_init(struct lp_net *net, const struct lp_net_spec *spec, uint64_t seed,
                                     struct lp_error *err);
void lp_net_done(struct lp_net *net);

/** Parameters that are learned, without padding. */
uint32_t lp_net_count(const struct lp_net *net);

/** A row of a table. */
static inline float *lp_net_table_row(const struct lp_net *net, uint32_t embedding, size_t row)
{
    return net->params + net->tables[embedding] + row * lp_train_padded(net->embeddings[embedding].width);
}

/** Layer's weights from and to plain rows [in][out]. */
void lp_net_get_weight(const struct lp_net *net, uint32_t layer, float *ret_weight);
void lp_net_set_weight(struct lp_net *net, uint32_t layer, const float *weight);

/** A layer as a plain dense op, [in][out] and [out], with batch norm's running statistics folded in. */
void lp_net_fold(const struct lp_net *net, uint32_t layer, float *ret_weight, float *ret_bias);

/** Renew the transposed copies of rows `begin` to `end` of a layer's weights. */
void lp_net_turn(struct lp_net *net, uint32_t layer, size_t begin, size_t end);
/** Of every layer. */
void lp_net_turn_all(struct lp_net *net);

/** 64-byte aligned zeros, or NULL. */
float *lp_train_floats(size_t count);

/** The next of a sequence of 64-bit numbers (Steele, Lea and Flood 2014, splitmix64). */
static inline uint64_t lp_train_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/** A number from 0 to below 1. */
static inline double lp_train_uniform(uint64_t *state) { return (double)(lp_train_random(state) >> 11) * 0x1p-53; }

/** A number from 0 to below n, without bias worth a word for n below 2^32. */
static inline uint32_t lp_train_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((lp_train_random(state) >> 32) * n >> 32);
}

#endif
