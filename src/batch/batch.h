/* The batch stage: rows that are scored together, with the borders of the records they came from. */
#ifndef LP_BATCH_BATCH_H
#define LP_BATCH_BATCH_H

#include "core/arena.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

/** What must survive from a record until its prediction is published. Spans point into the batch's arena. */
struct lp_batch_record {
    uint32_t first_row, row_count; /* one row a record in this release; candidate lists give more */
    uint64_t ticket;               /* of the ledger: whose completion the prediction is */
    int32_t topic_index;           /* of the source's topics */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;  /* the record's Kafka timestamp, -1: none */
    int64_t event_time_ms; /* input.event_time, else the timestamp */
    struct lp_span key;    /* data NULL: null key */
    struct lp_span value;  /* the original bytes, for a dead letter */
    void *headers;         /* owned by the record until published; NULL: none (kafka/ knows the type) */
    uint32_t missing_count;
    uint32_t copied_first, copied_bytes; /* output.copy: in the lane's buffer of what is carried along */
};

struct lp_batch {
    struct lp_arena arena;
    struct lp_batch_record *records; /* [rows_max] */
    double *rows;                    /* [rows_max][column_count] */
    double *observed;                /* [feature_count][observed_stride], drift's view, column-major */
    uint32_t rows_max, column_count, feature_count;
    /* At least rows_max doubles, and an odd number of cache lines: one record's values lie a column apart, and with a
     * power of two between them they would all fall into one set of the cache (64 features at 1024: 500 ns, not 47). */
    uint32_t observed_stride;
    uint32_t record_count, row_count;
    uint64_t deadline_ns; /* monotonic; set by the first row */
};

/**
 * All memory is taken here; arena_bytes bounds keys and values held (a record that does not fit closes the batch
 * first). Rows and observed values are zeroed and 64-byte aligned.
 */
LP_MUST_USE enum lp_code lp_batch_init(struct lp_batch *batch, uint32_t rows_max, uint32_t column_count,
                                       uint32_t feature_count, size_t arena_bytes, struct lp_error *err);
void lp_batch_done(struct lp_batch *batch);

/** Row that the next record will fill, or NULL when full. */
static inline double *lp_batch_next_row(struct lp_batch *batch)
{
    return batch->row_count < batch->rows_max ? batch->rows + (size_t)batch->row_count * batch->column_count : NULL;
}

/**
 * Close the row begun with lp_batch_next_row into a record. `key` and `value` are copied into the arena (together they
 * take their bytes rounded up to 8).
 * @param wait_ns the first record's now_ns + wait_ns is the batch's deadline
 * @param ret_record rows, key and value are set; the rest holds whatever it held before and is the caller's to set
 * @return LP_OK; LP_E_LIMIT with the batch unchanged: LP_RETRY when rows or arena are full (flush, then offer the
 * record again), LP_SKIP_RECORD when the record would not fit an empty batch either. Never allocates.
 */
LP_MUST_USE enum lp_code lp_batch_append(struct lp_batch *batch, struct lp_span key, struct lp_span value,
                                         uint64_t now_ns, uint64_t wait_ns, struct lp_batch_record **ret_record,
                                         struct lp_error *err);

static inline bool lp_batch_due(const struct lp_batch *batch, uint64_t now_ns)
{
    return batch->row_count > 0 && (batch->row_count == batch->rows_max || now_ns >= batch->deadline_ns);
}

static inline void lp_batch_clear(struct lp_batch *batch)
{
    batch->record_count = batch->row_count = 0;
    lp_arena_clear(&batch->arena);
}

#endif
