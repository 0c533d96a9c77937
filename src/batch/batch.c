#include "batch/batch.h"

#include "core/checked.h"

#include <stdlib.h>
#include <string.h>

enum { ROW_ALIGN_BYTES = 64, LINE_DOUBLES = 8, ROWS_MAX = 1 << 30 };

static uint32_t odd_lines(uint32_t doubles)
{
    return (doubles / LINE_DOUBLES + 1) / 2 * 2 * LINE_DOUBLES + LINE_DOUBLES;
}

/* Zeroed, so that a column nobody wrote is 0 and not whatever the heap held. */
static void *take_array(size_t count, size_t element_bytes, size_t *ret_bytes)
{
    size_t bytes;
    if (!lp_checked_mul(count, element_bytes, &bytes) || !lp_checked_add(bytes, ROW_ALIGN_BYTES, &bytes)) {
        *ret_bytes = SIZE_MAX;
        return NULL;
    }
    bytes &= ~(size_t)(ROW_ALIGN_BYTES - 1);
    if (bytes == 0) bytes = ROW_ALIGN_BYTES;
    *ret_bytes = bytes;
    void *array = aligned_alloc(ROW_ALIGN_BYTES, bytes);
    if (array != NULL) memset(array, 0, bytes);
    return array;
}

enum lp_code lp_batch_init(struct lp_batch *batch, uint32_t rows_max, uint32_t column_count, uint32_t feature_count,
                           size_t arena_bytes, struct lp_error *err)
{
    *batch = (struct lp_batch){.rows_max = rows_max, .column_count = column_count, .feature_count = feature_count};
    if (rows_max == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "batch: rows_max is 0: allow at least one row");
    if (rows_max > ROWS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "batch: %u rows, at most %d are allowed", rows_max, ROWS_MAX);
    batch->observed_stride = odd_lines(rows_max);
    enum lp_code rc;
    size_t bytes = 0;
    LP_GUARD(lp_arena_init(&batch->arena, arena_bytes, err));
    if ((batch->records = take_array(rows_max, sizeof *batch->records, &bytes)) == NULL ||
        (batch->rows = take_array((size_t)rows_max * column_count, sizeof *batch->rows, &bytes)) == NULL ||
        (batch->observed =
             take_array((size_t)batch->observed_stride * feature_count, sizeof *batch->observed, &bytes)) == NULL)
        rc = lp_fail_memory(err, bytes);
out:
    if (rc != LP_OK) lp_batch_done(batch);
    return rc;
}

void lp_batch_done(struct lp_batch *batch)
{
    free(batch->records);
    free(batch->rows);
    free(batch->observed);
    lp_arena_done(&batch->arena);
    *batch = (struct lp_batch){0};
}

static enum lp_code fail_full(const struct lp_batch *batch, size_t bytes, struct lp_error *err)
{
    if (batch->record_count > 0)
        return lp_fail(err, LP_E_LIMIT, LP_RETRY, "batch: the arena is full: flush, then offer the record again");
    return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD,
                   "batch: a record of %zu bytes does not fit an empty arena of %zu bytes: raise the arena", bytes,
                   batch->arena.capacity);
}

/* memcpy without the call for what keys and small records have. */
static inline void copy(unsigned char *to, const unsigned char *from, size_t bytes)
{
    enum { STEP = 16, STEPS_MAX = 8 };
    if (bytes >= STEP && bytes <= STEP * STEPS_MAX) {
        for (size_t at = 0; at + STEP < bytes; at += STEP) memcpy(to + at, from + at, STEP);
        memcpy(to + bytes - STEP, from + bytes - STEP, STEP); /* overlaps the last */
    } else if (bytes >= 8 && bytes < STEP) {
        memcpy(to, from, 8);
        memcpy(to + bytes - 8, from + bytes - 8, 8);
    } else {
        memcpy(to, from, bytes);
    }
}

enum lp_code lp_batch_append(struct lp_batch *batch, struct lp_span key, struct lp_span value, uint64_t now_ns,
                             uint64_t wait_ns, struct lp_batch_record **ret_record, struct lp_error *err)
{
    if (__builtin_expect(batch->row_count >= batch->rows_max, 0))
        return lp_fail(err, LP_E_LIMIT, LP_RETRY, "batch: %u rows are full: flush, then offer the record again",
                       batch->rows_max);
    /* Key and value lie side by side: one step of the arena a record. An empty span still needs an address. */
    size_t bytes = key.size + value.size;
    unsigned char *to = lp_arena_take(&batch->arena, bytes);
    if (__builtin_expect(to == NULL, 0)) return fail_full(batch, bytes, err);
    struct lp_batch_record *record = &batch->records[batch->record_count];
    record->first_row = batch->row_count;
    record->row_count = 1;
    record->key = lp_span_of(key.data != NULL ? to : NULL, key.size);
    record->value = lp_span_of(value.data != NULL ? to + key.size : NULL, value.size);
    if (key.data != NULL) copy(to, key.data, key.size);
    if (value.data != NULL) copy(to + key.size, value.data, value.size);
    if (batch->row_count == 0) batch->deadline_ns = now_ns > UINT64_MAX - wait_ns ? UINT64_MAX : now_ns + wait_ns;
    batch->record_count++;
    batch->row_count++;
    *ret_record = record;
    return LP_OK;
}
