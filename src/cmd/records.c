#include "cmd/records.h"

#include "cmd/records_private.h"
#include "decode/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SNIFF_BYTES = 4096, SCRATCH_MIN_BYTES = 65536, NUMBER_TEXT_BYTES = 48 };

enum lp_code lp_records_fit_scratch(struct lp_records *records, size_t bytes, struct lp_error *err)
{
    struct lp_record *record = &records->record;
    size_t wanted = bytes + SCRATCH_MIN_BYTES + (size_t)records->text_count * NUMBER_TEXT_BYTES;
    if (record->scratch != NULL && record->scratch_bytes >= wanted) return LP_OK;
    unsigned char *grown = realloc(record->scratch, wanted * 2);
    if (grown == NULL) return lp_fail_memory(err, wanted * 2);
    record->scratch = grown;
    record->scratch_bytes = wanted * 2;
    return LP_OK;
}

static enum lp_code take_storage(struct lp_records *records, struct lp_error *err)
{
    for (uint32_t i = 0; i < records->want_count; i++) {
        if (records->wants[i].type == LP_WANT_TEXT) records->text_count++;
        else records->number_count += records->wants[i].width;
    }
    records->record.numbers = calloc((size_t)records->number_count + 1, sizeof *records->record.numbers);
    records->record.texts = calloc((size_t)records->text_count + 1, sizeof *records->record.texts);
    if (records->record.numbers == NULL || records->record.texts == NULL)
        return lp_fail_memory(err, ((size_t)records->number_count + 1) * sizeof(double));
    return lp_records_fit_scratch(records, 0, err);
}

static bool begins_with(const unsigned char *at, size_t left, const char *magic, size_t bytes)
{
    return left >= bytes && memcmp(at, magic, bytes) == 0;
}

static enum lp_code not_ours(const struct lp_records *records, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%s: %s", records->bytes.name, what);
}

/* Look at the first bytes and open the reader they call for. */
static enum lp_code open_format(struct lp_records *records, const char **ret_format, struct lp_error *err)
{
    struct lp_bytes *bytes = &records->bytes;
    LP_TRY(lp_bytes_fill(bytes, 4, err));
    if (begins_with(lp_bytes_at(bytes), lp_bytes_left(bytes), "\xef\xbb\xbf", 3)) lp_bytes_take(bytes, 3);
    const unsigned char *at = lp_bytes_at(bytes);
    size_t left = lp_bytes_left(bytes);
    if (left == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: is empty", bytes->name);
    if (begins_with(at, left, "Obj\x01", 4)) {
        *ret_format = "Avro";
        return lp_container_open(records, err);
    }
    if (begins_with(at, left, "\x1f\x8b", 2))
        return not_ours(records, "is compressed: zcat FILE | lepton score BUNDLE -", err);
    if (begins_with(at, left, "PAR1", 4))
        return not_ours(records, "is Parquet: write it as Avro, CSV or JSON Lines", err);
    size_t first = 0;
    while (first < SNIFF_BYTES) {
        LP_TRY(lp_bytes_fill(bytes, first + 1, err));
        if (first >= lp_bytes_left(bytes) || !isspace(lp_bytes_at(bytes)[first])) break;
        first++;
    }
    int c = first < lp_bytes_left(bytes) ? lp_bytes_at(bytes)[first] : '\0';
    if (c == '[') return not_ours(records, "is one JSON array: write one object a line (jq -c '.[]')", err);
    if (c == '{') {
        *ret_format = "JSON Lines";
        return lp_json_plan_new(records->wants, records->want_count, &records->json, err);
    }
    *ret_format = "CSV";
    return lp_csv_open(records, err);
}

enum lp_code lp_records_open(const char *path, const struct lp_want *wants, uint32_t want_count,
                             struct lp_records **ret_records, const char **ret_format, struct lp_error *err)
{
    struct lp_records *records = calloc(1, sizeof *records);
    if (records == NULL) return lp_fail_memory(err, sizeof *records);
    records->wants = wants;
    records->want_count = want_count;
    enum lp_code rc = LP_OK;
    LP_GUARD(lp_bytes_open(&records->bytes, path, LP_RECORDS_RECORD_MAX_BYTES, err));
    LP_GUARD(take_storage(records, err));
    LP_GUARD(open_format(records, ret_format, err));
    *ret_records = records;
    return LP_OK;
out:
    lp_records_close(records);
    return rc;
}

void lp_records_close(struct lp_records *records)
{
    if (records == NULL) return;
    lp_bytes_close(&records->bytes);
    lp_csv_close(records->csv);
    lp_container_close(records->container);
    lp_json_plan_free(records->json);
    free(records->record.numbers);
    free(records->record.texts);
    free(records->record.scratch);
    free(records);
}

void lp_records_on_idle(struct lp_records *records, void (*idle)(void *context), void *context)
{
    records->bytes.idle = idle;
    records->bytes.idle_context = context;
}

uint32_t lp_records_absent(const struct lp_records *records, const char **ret_first)
{
    return records->csv != NULL ? lp_csv_absent(records->csv, ret_first) : 0;
}

static bool is_blank(struct lp_span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (!isspace(line.data[i])) return false;
    return true;
}

static enum lp_code next_json(struct lp_records *records, bool *ret_done, struct lp_error *err)
{
    struct lp_span line;
    do {
        LP_TRY(lp_bytes_line(&records->bytes, &line, err));
        *ret_done = line.data == NULL;
        if (*ret_done) return LP_OK;
    } while (is_blank(line));
    LP_TRY(lp_records_fit_scratch(records, line.size, err));
    return lp_json_plan_run(records->json, line, &records->record, err);
}

enum lp_code lp_records_next(struct lp_records *records, struct lp_record **ret_record, struct lp_error *err)
{
    bool done = false;
    if (records->csv != NULL) LP_TRY(lp_csv_next(records, &done, err));
    else if (records->container != NULL) LP_TRY(lp_container_next(records, &done, err));
    else LP_TRY(next_json(records, &done, err));
    *ret_record = done ? NULL : &records->record;
    return LP_OK;
}
