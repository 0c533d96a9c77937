/* Rows to learn from, in memory. */
#ifndef LP_TRAIN_DATA_H
#define LP_TRAIN_DATA_H

#include <stddef.h>
#include <stdint.h>

/** Borrowed arrays. With several ranks each holds the numbers of its own rows, and the labels of all. */
struct lp_train_data {
    uint32_t row_count;    /* of all ranks */
    uint32_t column_count; /* of the cleaned row */
    const float *x;        /* this rank's rows, x_row floats apart; finite */
    size_t x_row;
    const uint32_t *where; /* [row_count] index in x; UINT32_MAX: another rank's. NULL: row r is at r */
    const float *y;        /* [row_count] label: number, 0 or 1, or class */
    const float *weight;   /* [row_count]; NULL: ones */
    const uint32_t *group; /* [row_count] ranking: rows that compete with each other; NULL: none */
};

static inline const float *lp_train_row(const struct lp_train_data *data, uint32_t row)
{
    uint32_t at = data->where != NULL ? data->where[row] : row;
    return at == UINT32_MAX ? NULL : data->x + at * data->x_row;
}

#endif
