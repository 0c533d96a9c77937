#include "kernels/embedding/embedding.h"

/* Comparisons with NaN are false: it is bad, as is what is not whole. */
static uint32_t index_of(double id, uint32_t row_count, int64_t padding_index)
{
    if (!(id >= 0.0 && id < (double)row_count)) return LP_EMBEDDING_BAD;
    uint32_t index = (uint32_t)id;
    if ((double)index != id) return LP_EMBEDDING_BAD;
    return index == padding_index ? LP_EMBEDDING_PADDING : index;
}

void lp_embedding_indices_f64(const double *x, size_t x_stride, uint32_t row_count, uint32_t id_count,
                              const struct lp_embedding_table *table, int64_t padding_index, uint32_t *ret_indices)
{
    for (uint32_t r = 0; r < row_count; r++, x += x_stride)
        for (uint32_t i = 0; i < id_count; i++) *ret_indices++ = index_of(x[i], table->row_count, padding_index);
}

void lp_embedding_indices_f32(const float *x, size_t x_stride, uint32_t row_count, uint32_t id_count,
                              const struct lp_embedding_table *table, int64_t padding_index, uint32_t *ret_indices)
{
    for (uint32_t r = 0; r < row_count; r++, x += x_stride)
        for (uint32_t i = 0; i < id_count; i++)
            *ret_indices++ = index_of((double)x[i], table->row_count, padding_index);
}
