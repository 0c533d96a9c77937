/* From chunks to records. */
#include "data/private.h"
#include "decode/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRATCH_MIN_BYTES = 65536, NUMBER_TEXT_BYTES = 48 };

enum lp_code lp_cursor_fit_scratch(struct lp_cursor *cursor, size_t bytes, struct lp_error *err)
{
    struct lp_record *record = &cursor->record;
    size_t wanted = bytes + SCRATCH_MIN_BYTES + (size_t)cursor->data->text_count * NUMBER_TEXT_BYTES;
    if (record->scratch != NULL && record->scratch_bytes >= wanted) return LP_OK;
    unsigned char *grown = realloc(record->scratch, wanted * 2);
    if (grown == NULL) return lp_fail_memory(err, wanted * 2);
    record->scratch = grown;
    record->scratch_bytes = wanted * 2;
    return LP_OK;
}

enum lp_code lp_cursor_new(const struct lp_data *data, struct lp_cursor **ret_cursor, struct lp_error *err)
{
    struct lp_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL) return lp_fail_memory(err, sizeof *cursor);
    enum lp_code rc;
    cursor->data = data;
    lp_buffer_init(&cursor->plain, LP_DATA_RECORD_MAX_BYTES);
    cursor->record.numbers = calloc((size_t)data->number_count + 1, sizeof *cursor->record.numbers);
    cursor->record.texts = calloc((size_t)data->text_count + 1, sizeof *cursor->record.texts);
    if (cursor->record.numbers == NULL || cursor->record.texts == NULL)
        LP_GUARD(lp_fail_memory(err, ((size_t)data->number_count + 1) * sizeof(double)));
    LP_GUARD(lp_cursor_fit_scratch(cursor, 0, err));
    *ret_cursor = cursor;
    return LP_OK;
out:
    lp_cursor_free(cursor);
    return rc;
}

void lp_cursor_free(struct lp_cursor *cursor)
{
    if (cursor == NULL) return;
    free(cursor->record.numbers);
    free(cursor->record.texts);
    free(cursor->record.scratch);
    free(cursor->fields);
    lp_buffer_done(&cursor->plain);
    free(cursor);
}

enum lp_code lp_cursor_start(struct lp_cursor *cursor, struct lp_chunk *chunk, struct lp_error *err)
{
    cursor->chunk = chunk;
    if (chunk->layout->format == LP_DATA_AVRO) return lp_container_start(cursor, err);
    cursor->at = cursor->counted = cursor->record_begin = chunk->data + chunk->begin;
    cursor->end = chunk->data + chunk->size;
    cursor->line = chunk->line;
    return LP_OK;
}

static bool is_blank(struct lp_span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (!isspace(line.data[i])) return false;
    return true;
}

static enum lp_code next_json(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err)
{
    struct lp_span line;
    do {
        *ret_record = NULL;
        if (cursor->at == cursor->end) return LP_OK;
        const unsigned char *newline = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
        const unsigned char *stop = newline != NULL ? newline : cursor->end;
        line = lp_span_of(cursor->at, (size_t)(stop - cursor->at));
        cursor->record_begin = cursor->at;
        cursor->at = newline != NULL ? newline + 1 : cursor->end;
    } while (is_blank(line));
    if (line.data[line.size - 1] == '\r') line.size--;
    LP_TRY(lp_cursor_fit_scratch(cursor, line.size, err));
    *ret_record = &cursor->record;
    return lp_json_plan_run(cursor->chunk->layout->json, line, &cursor->record, err);
}

enum lp_code lp_cursor_next(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err)
{
    switch (cursor->chunk->layout->format) {
    case LP_DATA_CSV: return lp_csv_next(cursor, ret_record, err);
    case LP_DATA_JSON: return next_json(cursor, ret_record, err);
    case LP_DATA_AVRO: break;
    }
    return lp_container_record(cursor, ret_record, err);
}

void lp_cursor_place(struct lp_cursor *cursor, struct lp_data_place *ret_place)
{
    enum lp_data_format format = cursor->chunk->layout->format;
    *ret_place = (struct lp_data_place){.file = cursor->chunk->file, .kind = format};
    if (format == LP_DATA_AVRO) {
        ret_place->line = cursor->chunk->line;
        ret_place->record = cursor->record_number;
        return;
    }
    for (; cursor->counted < cursor->record_begin; cursor->counted++) cursor->line += *cursor->counted == '\n';
    ret_place->line = cursor->line;
}

void lp_data_place_text(const struct lp_data_place *place, char *text, size_t bytes)
{
    if (place->kind == LP_DATA_AVRO)
        snprintf(text, bytes, "%s: block %llu, record %llu", place->file, (unsigned long long)place->line,
                 (unsigned long long)place->record);
    else snprintf(text, bytes, "%s: line %llu", place->file, (unsigned long long)place->line);
}
