/* Losses on margins: value and gradient. */
#ifndef LP_TRAIN_LOSS_H
#define LP_TRAIN_LOSS_H

#include <stddef.h>
#include <stdint.h>

enum lp_train_loss_kind {
    LP_LOSS_SQUARED,     /* (z - y)^2 / 2 */
    LP_LOSS_BINARY,      /* y in 0..1: log(1 + exp(z)) - y z */
    LP_LOSS_CATEGORICAL, /* y the class: log(sum of exp(z)) - z[y] */
    LP_LOSS_HUBER,       /* Huber 1964: e^2 / 2 within delta, delta (|e| - delta / 2) beyond */
    LP_LOSS_POISSON,     /* exp(z) - y z */
    LP_LOSS_BPR,         /* rows 2i and 2i + 1: log(1 + exp(-(z[2i] - z[2i + 1]))) (Rendle et al. 2009) */
};

struct lp_train_loss {
    enum lp_train_loss_kind kind;
    uint32_t outputs;
    float delta; /* Huber */
};

/** Rows that belong together: 2 for BPR, else 1. */
static inline uint32_t lp_loss_unit(const struct lp_train_loss *loss) { return loss->kind == LP_LOSS_BPR ? 2 : 1; }

/**
 * Sum of weight * loss over the rows (BPR: over the pairs, with the first row's weight).
 *
 * @param z      [rows] rows of z_row floats
 * @param y      [rows]
 * @param weight [rows]; NULL: ones
 * @param scale  of the gradient: 1 / rows of the batch
 * @param dz     out, as z, scale * weight * dloss/dz; padding set to 0; may be z; NULL: not wanted
 */
double lp_loss_run(const struct lp_train_loss *loss, const float *z, size_t z_row, const float *y, const float *weight,
                   uint32_t rows, float scale, float *dz);

#endif
