/*
 * Rows of a table by index, as they are or pooled. Indices come first, as u32 (lp_embedding_indices_*), so that the
 * gather knows all of them ahead and prefetches.
 *
 * Values are widened to float (F16, BF16, I8 as q * scale of its row), pooled in the order of the ids by float sums;
 * the mean is the sum divided by the count. Every kernel gives the same bits. An id that is not a whole number of the
 * table gives NaN in the output it would reach: its own row, or the whole pooled row. Pooling passes over the padding
 * index; nothing left to pool gives zeros.
 */
#ifndef LP_KERNELS_EMBEDDING_H
#define LP_KERNELS_EMBEDDING_H

#include "core/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lp_embedding_dtype { LP_EMBEDDING_F32, LP_EMBEDDING_F16, LP_EMBEDDING_BF16, LP_EMBEDDING_I8, LP_EMBEDDING_DTYPES };
enum lp_embedding_pool { LP_POOL_NONE, LP_POOL_SUM, LP_POOL_MEAN, LP_POOL_MAX };

/* Indices that are not rows of the table. */
enum { LP_EMBEDDING_ROWS_MAX = 0x7FFFFFFF };
#define LP_EMBEDDING_BAD UINT32_MAX
#define LP_EMBEDDING_PADDING (UINT32_MAX - 1)

struct lp_embedding_table {
    const void *values;  /* borrowed, [row_count][width] of dtype; floats, 16-bit values and bytes aligned as such */
    const float *scales; /* I8: [row_count]; else NULL */
    enum lp_embedding_dtype dtype;
    enum lp_embedding_pool pool;
    uint32_t row_count; /* 1 to LP_EMBEDDING_ROWS_MAX */
    uint32_t width;
};

/**
 * Ids to indices: [row_count][id_count], rows of ids x_stride apart. @param padding_index negative: none
 * The double form is for ids read from cleaned features, where whole numbers above 2^24 are exact.
 */
void lp_embedding_indices_f64(const double *x, size_t x_stride, uint32_t row_count, uint32_t id_count,
                              const struct lp_embedding_table *table, int64_t padding_index, uint32_t *ret_indices);
void lp_embedding_indices_f32(const float *x, size_t x_stride, uint32_t row_count, uint32_t id_count,
                              const struct lp_embedding_table *table, int64_t padding_index, uint32_t *ret_indices);

/**
 * @param indices [row_count][id_count]
 * @param y       out, rows y_stride floats apart; pool none: [id_count][width] each, where the padding index is a row
 *                of the table like any other (indices made without it); else [width]
 */
typedef void lp_embedding_run(const struct lp_embedding_table *table, const uint32_t *indices, uint32_t row_count,
                              uint32_t id_count, float *y, size_t y_stride);

struct lp_embedding_kernel {
    const char *name;
    lp_embedding_run *run;
};

#define LP_EMBEDDING_KERNEL(isa, usable) extern const struct lp_embedding_kernel lp_embedding_##isa;
#include "kernels/embedding/kernels.inc"
#undef LP_EMBEDDING_KERNEL

/** Kernels this CPU can run, best first, the scalar one last; for selection, tests and benches. */
uint32_t lp_embedding_kernels(const struct lp_cpu *cpu, const struct lp_embedding_kernel **ret_kernels,
                              uint32_t kernels_max);

/** The first of them. Never NULL. */
const struct lp_embedding_kernel *lp_embedding_select(const struct lp_cpu *cpu);

#endif
