/*
 * The inner loops of training in fp32: products of matrices with padded rows, and the optimizers' steps.
 *
 * Padding: every row that a kernel reads or writes as a vector begins at a multiple of 64 bytes, has a whole number of
 * LP_TRAIN_PAD floats, and is 0 behind its used columns; products and steps keep those zeros. So no kernel has tails.
 * Each sum is one accumulator over rising k: a result does not depend on how rows are split among threads, save where
 * k itself runs over rows (weight gradients). NaN and infinities go through.
 */
#ifndef LP_KERNELS_TRAIN_TRAIN_H
#define LP_KERNELS_TRAIN_TRAIN_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LP_TRAIN_PAD = 16 };

static inline size_t lp_train_padded(size_t width) { return (width + LP_TRAIN_PAD - 1) / LP_TRAIN_PAD * LP_TRAIN_PAD; }

/** Floats of a row that holds `width` of them. A multiple of 256 bytes would map rows onto few sets of the L1 cache. */
static inline size_t lp_train_stride(size_t width)
{
    size_t padded = lp_train_padded(width);
    return padded > LP_TRAIN_PAD && padded % 64 == 0 ? padded + LP_TRAIN_PAD : padded;
}

/** C = first + A * B; A is read value by value, so any steps will do: a transposed matrix needs no copy. */
struct lp_train_product {
    const float *a; /* a(i, k) = a[i * a_row + k * a_step] */
    size_t a_row, a_step;
    const float *b; /* [k][n], rows of b_row floats */
    size_t b_row;
    float *c; /* [m][n], rows of c_row floats; overlaps neither a nor b */
    size_t c_row;
    uint32_t m, k;
    uint32_t n;         /* a multiple of LP_TRAIN_PAD: the padding is computed too */
    const float *first; /* [n], the first value of each row's sum; NULL: zeros */
    bool relu;          /* store max(0, c); NaN stays */
    const float *gate;  /* relu backwards: c is 0 where gate <= 0; rows of c_row floats; NULL: no gate */
};

/** One optimizer step over a run of parameters: g' = scale g + l2 w + l1 sign(w). */
struct lp_train_step {
    float scale, l1, l2;
    float keep; /* decoupled decay: w is multiplied by this first; 1: none */
    float rate;
    float beta1, beta2;  /* Adam; momentum: beta1 */
    float root, epsilon; /* Adam: w -= rate * m / (sqrt(v) * root + epsilon) */
};

struct lp_train_kernel {
    const char *name;
    void (*product)(const struct lp_train_product *p);
    /** y[r * y_row] = bias + sum of x[r][k] w[k]; k a multiple of LP_TRAIN_PAD, rows of x_row floats. */
    void (*dot)(const float *x, size_t x_row, uint32_t rows, const float *w, uint32_t k, float bias, float *y,
                size_t y_row);
    /** out[j] = sum over the rows of x[r][j]; n a multiple of LP_TRAIN_PAD. */
    void (*column_sums)(const float *x, size_t x_row, uint32_t rows, uint32_t n, float *out);
    /** sum[j] += x[j]; count a multiple of LP_TRAIN_PAD. */
    void (*add)(const float *x, size_t count, float *sum);
    /** to(c, r) = from(r, c) of rows x columns; nothing else is read or written, no alignment is needed. */
    void (*turn)(const float *from, size_t from_row, uint32_t rows, uint32_t columns, float *to, size_t to_row);
    /** Adam (Kingma and Ba 2015, algorithm 1; AdamW with keep < 1); count a multiple of LP_TRAIN_PAD. */
    void (*adam)(const struct lp_train_step *s, size_t count, const float *g, float *w, float *m, float *v);
    /** m = beta1 m + g', w -= rate m; count a multiple of LP_TRAIN_PAD. */
    void (*momentum)(const struct lp_train_step *s, size_t count, const float *g, float *w, float *m);
};

#define LP_TRAIN_KERNEL(isa, usable) extern const struct lp_train_kernel lp_train_f32_##isa;
#include "kernels/train/kernels.inc"
#undef LP_TRAIN_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_train_kernels(const struct lp_cpu *cpu, const struct lp_train_kernel **ret_kernels, uint32_t kernels_max);
/** The best of them. Never NULL. */
const struct lp_train_kernel *lp_train_select(const struct lp_cpu *cpu);

#endif
