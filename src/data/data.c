#include "data/private.h"
#include "decode/avro.h"
#include "decode/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SNIFF_BYTES = 4096, NAMES_MAX_BYTES = 256 << 20 };

static enum lp_code not_ours(const struct lp_data *data, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%s: %s", data->bytes.name, what);
}

static bool begins_with(const struct lp_bytes *bytes, const char *magic, size_t count)
{
    return lp_bytes_left(bytes) >= count && memcmp(lp_bytes_at(bytes), magic, count) == 0;
}

/* What the first bytes say. A byte order mark belongs to no record. */
static enum lp_code sniff(struct lp_data *data, enum lp_data_format *ret_format, struct lp_error *err)
{
    struct lp_bytes *bytes = &data->bytes;
    LP_TRY(lp_bytes_fill(bytes, 4, err));
    if (begins_with(bytes, "\xef\xbb\xbf", 3)) lp_bytes_take(bytes, 3);
    if (begins_with(bytes, "Obj\x01", 4)) {
        *ret_format = LP_DATA_AVRO;
        return LP_OK;
    }
    if (begins_with(bytes, "\x1f\x8b", 2)) return not_ours(data, "is compressed: zcat FILE | lepton VERB ... -", err);
    if (begins_with(bytes, "PAR1", 4)) return not_ours(data, "is Parquet: write it as Avro, CSV or JSON Lines", err);
    if (begins_with(bytes, "\xff\xfe", 2) || begins_with(bytes, "\xfe\xff", 2))
        return not_ours(data, "is UTF-16: write it as UTF-8 (iconv -f UTF-16 -t UTF-8)", err);
    size_t first = 0;
    while (first < SNIFF_BYTES) {
        LP_TRY(lp_bytes_fill(bytes, first + 1, err));
        if (first >= lp_bytes_left(bytes) || !isspace(lp_bytes_at(bytes)[first])) break;
        first++;
    }
    if (first >= lp_bytes_left(bytes)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: is empty", bytes->name);
    unsigned char c = lp_bytes_at(bytes)[first];
    if (c == '[') return not_ours(data, "is one JSON array: write one object a line (jq -c '.[]')", err);
    *ret_format = c == '{' ? LP_DATA_JSON : LP_DATA_CSV;
    return LP_OK;
}

/* Open inputs.paths[data->file] and read what stands before its records. */
static enum lp_code open_file(struct lp_data *data, struct lp_error *err)
{
    enum lp_data_format format = LP_DATA_CSV;
    LP_TRY(lp_bytes_open(&data->bytes, data->inputs.paths[data->file], LP_DATA_RECORD_MAX_BYTES, err));
    data->bytes.idle = data->idle;
    data->bytes.idle_context = data->idle_context;
    LP_TRY(sniff(data, &format, err));
    if (data->file > 0 && format != data->format)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: is %s, the files before it are %s: one format a directory",
                       data->bytes.name, lp_data_format_name(format), lp_data_format_name(data->format));
    data->format = format;
    data->line = 1;
    if (format == LP_DATA_AVRO) return lp_container_open(data, err);
    return format == LP_DATA_CSV ? lp_csv_read_header(data, err) : LP_OK;
}

enum lp_code lp_data_open(const char *path, size_t chunk_bytes, struct lp_data **ret_data, struct lp_error *err)
{
    struct lp_data *data = calloc(1, sizeof *data);
    if (data == NULL) return lp_fail_memory(err, sizeof *data);
    enum lp_code rc;
    data->bytes.file = -1;
    data->chunk_bytes = chunk_bytes;
    lp_buffer_init(&data->header, LP_DATA_RECORD_MAX_BYTES);
    lp_buffer_init(&data->names, NAMES_MAX_BYTES);
    lp_buffer_init(&data->container.schema, LP_DATA_HEADER_MAX_BYTES);
    LP_GUARD(lp_inputs_find(path, &data->inputs, err));
    LP_GUARD(open_file(data, err));
    *ret_data = data;
    return LP_OK;
out:
    lp_data_close(data);
    return rc;
}

static void free_layout(struct lp_data_layout *layout)
{
    lp_csv_map_free(layout->csv);
    lp_json_plan_free(layout->json);
    lp_avro_plan_free(layout->avro);
    lp_avro_plan_free(layout->skip);
    free(layout);
}

void lp_data_close(struct lp_data *data)
{
    if (data == NULL) return;
    while (data->layouts != NULL) {
        struct lp_data_layout *next = data->layouts->next;
        free_layout(data->layouts);
        data->layouts = next;
    }
    lp_bytes_close(&data->bytes);
    lp_inputs_done(&data->inputs);
    lp_buffer_done(&data->header);
    lp_buffer_done(&data->names);
    lp_buffer_done(&data->container.schema);
    free(data->columns);
    free(data);
}

enum lp_data_format lp_data_format(const struct lp_data *data) { return data->format; }
bool lp_data_is_seekable(const struct lp_data *data) { return data->inputs.seekable; }
uint64_t lp_data_total_bytes(const struct lp_data *data) { return data->inputs.total_bytes; }
uint64_t lp_data_taken_bytes(const struct lp_data *data) { return data->taken_bytes; }
uint32_t lp_data_file_count(const struct lp_data *data) { return data->inputs.count; }

const char *lp_data_format_name(enum lp_data_format format)
{
    static const char *const names[] = {[LP_DATA_CSV] = "CSV", [LP_DATA_JSON] = "JSON Lines", [LP_DATA_AVRO] = "Avro"};
    return names[format];
}

void lp_data_on_idle(struct lp_data *data, void (*idle)(void *context), void *context)
{
    data->idle = data->bytes.idle = idle;
    data->idle_context = data->bytes.idle_context = context;
}

/* --- columns and wants --- */

enum lp_code lp_data_add_column(struct lp_data *data, struct lp_span path, enum lp_data_hint hint, uint32_t width,
                                struct lp_error *err)
{
    if (data->column_count >= LP_DATA_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: more than %d columns", data->bytes.name, LP_DATA_COLUMNS_MAX);
    if ((data->column_count & (data->column_count - 1)) == 0) { /* a power of two: full */
        size_t wanted = data->column_count == 0 ? 1 : (size_t)data->column_count * 2;
        struct lp_data_column *grown = realloc(data->columns, wanted * sizeof *grown);
        if (grown == NULL) return lp_fail_memory(err, wanted * sizeof *grown);
        data->columns = grown;
    }
    /* Offsets until all names are there: the buffer moves as it grows. */
    uintptr_t offset = data->names.size;
    lp_buffer_append(&data->names, path.data, path.size);
    lp_buffer_append(&data->names, "", 1);
    data->columns[data->column_count++] = (struct lp_data_column){(const char *)offset, hint, width};
    return lp_buffer_check(&data->names, "the names of the columns", err);
}

enum lp_code lp_data_columns(struct lp_data *data, const struct lp_data_column **ret_columns, uint32_t *ret_count,
                             struct lp_error *err)
{
    data->column_count = 0;
    lp_buffer_clear(&data->names);
    switch (data->format) {
    case LP_DATA_CSV: LP_TRY(lp_csv_columns(data, err)); break;
    case LP_DATA_JSON: LP_TRY(lp_json_columns(data, err)); break;
    case LP_DATA_AVRO: LP_TRY(lp_container_columns(data, err)); break;
    }
    for (uint32_t i = 0; i < data->column_count; i++)
        data->columns[i].path = (const char *)data->names.data + (uintptr_t)data->columns[i].path;
    *ret_columns = data->columns;
    *ret_count = data->column_count;
    return LP_OK;
}

static enum lp_code make_layout(struct lp_data *data, struct lp_error *err)
{
    struct lp_data_layout *layout = calloc(1, sizeof *layout);
    if (layout == NULL) return lp_fail_memory(err, sizeof *layout);
    layout->wants = data->wants;
    layout->want_count = data->want_count;
    layout->number_count = data->number_count;
    layout->text_count = data->text_count;
    layout->format = data->format;
    layout->container = data->container;
    layout->container.schema = (struct lp_buffer){0};
    enum lp_code rc = LP_OK;
    if (data->format == LP_DATA_CSV) rc = lp_csv_map_new(data, &layout->csv, err);
    else if (data->format == LP_DATA_AVRO) rc = lp_container_compile(data, layout, err);
    else rc = lp_json_plan_new(data->wants, data->want_count, &layout->json, err);
    if (rc != LP_OK) {
        free_layout(layout);
        return rc;
    }
    layout->next = data->layouts;
    data->layouts = layout;
    return LP_OK;
}

enum lp_code lp_data_want(struct lp_data *data, const struct lp_want *wants, uint32_t want_count, struct lp_error *err)
{
    data->wants = wants;
    data->want_count = want_count;
    data->number_count = data->text_count = 0;
    for (uint32_t i = 0; i < want_count; i++) {
        if (wants[i].type == LP_WANT_TEXT) data->text_count++;
        else data->number_count += wants[i].width;
    }
    return make_layout(data, err);
}

uint32_t lp_data_absent(const struct lp_data *data, const char **ret_first)
{
    return data->format == LP_DATA_CSV ? lp_csv_absent(data->layouts->csv, ret_first) : 0;
}

/* --- chunks --- */

/* JSON Lines reuse the JSON plan; what CSV headers and Avro schemas say is read for each file. */
static enum lp_code open_next(struct lp_data *data, struct lp_error *err)
{
    const char *first = NULL;
    uint32_t absent = lp_data_absent(data, &first);
    lp_bytes_close(&data->bytes);
    data->file++;
    LP_TRY(open_file(data, err));
    if (data->format == LP_DATA_JSON) return LP_OK;
    LP_TRY(make_layout(data, err));
    if (lp_data_absent(data, &first) <= absent) return LP_OK;
    return lp_fail_field(err, LP_E_MISMATCH, LP_FATAL, first, "%s: lacks columns that %s has: %.200s", data->bytes.name,
                         data->inputs.paths[0], first);
}

/* The window becomes the chunk's, and the chunk's storage the window: only what follows the records is copied. */
static enum lp_code hand_over(struct lp_data *data, struct lp_chunk *chunk, size_t records_bytes, struct lp_error *err)
{
    struct lp_bytes *bytes = &data->bytes;
    size_t rest = lp_bytes_left(bytes) - records_bytes;
    if (chunk->data == NULL || chunk->capacity < rest) {
        size_t wanted = rest > data->chunk_bytes ? rest : data->chunk_bytes;
        unsigned char *grown = realloc(chunk->data, wanted + LP_BYTES_PADDING);
        if (grown == NULL) return lp_fail_memory(err, wanted + LP_BYTES_PADDING);
        chunk->data = grown;
        chunk->capacity = wanted;
    }
    memcpy(chunk->data, lp_bytes_at(bytes) + records_bytes, rest);
    unsigned char *window = bytes->data;
    size_t capacity = bytes->capacity;
    chunk->begin = bytes->begin;
    chunk->size = bytes->begin + records_bytes;
    bytes->data = chunk->data;
    bytes->capacity = chunk->capacity;
    bytes->begin = 0;
    bytes->end = rest;
    chunk->data = window;
    chunk->capacity = capacity;
    memset(chunk->data + chunk->size, '\n', LP_BYTES_PADDING);
    return LP_OK;
}

typedef unsigned char counters __attribute__((vector_size(16)));

/* Counters of a byte each, a vector at a time; emptied before they can overflow. */
static uint64_t count_lines(const unsigned char *from, const unsigned char *to)
{
    uint64_t lines = 0;
    while (to - from >= 32) {
        counters low = {0}, high = {0}, a, b;
        for (int round = 0; round < 255 && to - from >= 32; round++, from += 32) {
            memcpy(&a, from, sizeof a);
            memcpy(&b, from + sizeof a, sizeof b);
            low -= (counters)(a == '\n'); /* equal is -1 */
            high -= (counters)(b == '\n');
        }
        for (int i = 0; i < 16; i++) lines += (uint64_t)low[i] + high[i];
    }
    for (; from < to; from++) lines += *from == '\n';
    return lines;
}

enum lp_code lp_data_whole_records(struct lp_data *data, size_t *ret_bytes, struct lp_error *err)
{
    struct lp_bytes *bytes = &data->bytes;
    struct lp_csv_split split = {0};
    /* A regular file fills the chunk; a pipe gives what there is. */
    LP_TRY(lp_bytes_fill(bytes, bytes->waits ? 1 : data->chunk_bytes, err));
    for (;;) {
        if (data->format == LP_DATA_CSV) {
            lp_csv_split(&split, lp_bytes_at(bytes), lp_bytes_left(bytes), bytes->at_end);
        } else {
            const unsigned char *newline =
                memrchr(lp_bytes_at(bytes) + split.at, '\n', lp_bytes_left(bytes) - split.at);
            if (newline != NULL) split.end = (size_t)(newline - lp_bytes_at(bytes)) + 1;
            if (bytes->at_end) split.end = lp_bytes_left(bytes);
            split.at = lp_bytes_left(bytes);
        }
        if (split.end > 0 || bytes->at_end) break;
        LP_TRY(lp_bytes_fill(bytes, lp_bytes_left(bytes) + 1, err));
    }
    *ret_bytes = split.end;
    return LP_OK;
}

static enum lp_code next_lines(struct lp_data *data, struct lp_chunk *chunk, struct lp_error *err)
{
    size_t records;
    LP_TRY(lp_data_whole_records(data, &records, err));
    if (records == 0) {
        chunk->begin = chunk->size = 0;
        return LP_OK;
    }
    LP_TRY(hand_over(data, chunk, records, err));
    data->taken_bytes += records;
    chunk->line = data->line;
    data->line += count_lines(chunk->data + chunk->begin, chunk->data + chunk->size);
    return LP_OK;
}

enum lp_code lp_data_next(struct lp_data *data, struct lp_chunk *chunk, struct lp_error *err)
{
    for (;;) {
        if (data->format == LP_DATA_AVRO) LP_TRY(lp_container_next(data, chunk, err));
        else LP_TRY(next_lines(data, chunk, err));
        if (chunk->size > 0) break;
        if (data->file + 1 >= data->inputs.count) return LP_OK;
        LP_TRY(open_next(data, err));
    }
    chunk->layout = data->layouts;
    chunk->file = data->bytes.name;
    chunk->index = data->chunk_count++;
    return LP_OK;
}

void lp_data_adopt(const struct lp_data *data, struct lp_chunk *chunk) { chunk->layout = data->layouts; }

void lp_chunk_done(struct lp_chunk *chunk)
{
    free(chunk->data);
    *chunk = (struct lp_chunk){0};
}
