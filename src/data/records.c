#include "data/records.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 256 << 10 };

struct lp_records {
    struct lp_data *data;
    struct lp_cursor *cursor;
    struct lp_chunk chunk;
};

enum lp_code lp_records_new(struct lp_data *data, struct lp_records **ret_records, struct lp_error *err)
{
    struct lp_records *records = calloc(1, sizeof *records);
    if (records == NULL) {
        lp_data_close(data);
        return lp_fail_memory(err, sizeof *records);
    }
    records->data = data;
    enum lp_code rc = lp_cursor_new(data, &records->cursor, err);
    if (rc == LP_OK) *ret_records = records;
    else lp_records_close(records);
    return rc;
}

enum lp_code lp_records_open(const char *path, const struct lp_want *wants, uint32_t want_count,
                             struct lp_records **ret_records, const char **ret_format, struct lp_error *err)
{
    struct lp_data *data;
    LP_TRY(lp_data_open(path, CHUNK_BYTES, &data, err));
    *ret_format = lp_data_format_name(lp_data_format(data));
    enum lp_code rc = lp_data_want(data, wants, want_count, err);
    if (rc == LP_OK) return lp_records_new(data, ret_records, err);
    lp_data_close(data);
    return rc;
}

void lp_records_close(struct lp_records *records)
{
    if (records == NULL) return;
    lp_cursor_free(records->cursor);
    lp_chunk_done(&records->chunk);
    lp_data_close(records->data);
    free(records);
}

void lp_records_on_idle(struct lp_records *records, void (*idle)(void *context), void *context)
{
    lp_data_on_idle(records->data, idle, context);
}

uint32_t lp_records_absent(const struct lp_records *records, const char **ret_first)
{
    return lp_data_absent(records->data, ret_first);
}

enum lp_code lp_records_next(struct lp_records *records, struct lp_record **ret_record, struct lp_error *err)
{
    *ret_record = NULL;
    for (;;) {
        if (records->chunk.size > 0) LP_TRY(lp_cursor_next(records->cursor, ret_record, err));
        if (*ret_record != NULL) return LP_OK;
        LP_TRY(lp_data_next(records->data, &records->chunk, err));
        if (records->chunk.size == 0) return LP_OK;
        LP_TRY(lp_cursor_start(records->cursor, &records->chunk, err));
    }
}

void lp_records_place(struct lp_records *records, struct lp_data_place *ret_place)
{
    lp_cursor_place(records->cursor, ret_place);
}

const struct lp_data *lp_records_data(const struct lp_records *records) { return records->data; }
