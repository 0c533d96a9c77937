/* CSV as RFC 4180 has it, with a header. An empty field is missing, unless it is a text in quotes: that one has no
 * characters. Columns nobody wants are skipped. */
#include "cmd/records_private.h"
#include "core/buffer.h"
#include "core/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct field {
    size_t begin, bytes; /* in the row's text */
    bool quoted;
};

struct lp_csv {
    struct lp_buffer text; /* the row's fields, unquoted, one after the other, each terminated */
    struct field *fields;
    uint32_t field_count, field_capacity;
    int32_t *columns; /* of each want, a vector's elements one by one; -1: none */
    uint32_t column_count;
    uint32_t absent_count;
    const char *absent; /* path of the first want without a column */
};

/* The byte at `offset` of the window, reading on where needed; -1 at the end of the input. */
static enum lp_code peek(struct lp_bytes *bytes, size_t offset, int *ret_byte, struct lp_error *err)
{
    if (offset >= lp_bytes_left(bytes)) LP_TRY(lp_bytes_fill(bytes, offset + 1, err));
    *ret_byte = offset < lp_bytes_left(bytes) ? lp_bytes_at(bytes)[offset] : -1;
    return LP_OK;
}

static enum lp_code add_field(struct lp_csv *csv, size_t begin, bool quoted, struct lp_error *err)
{
    if (csv->field_count == csv->field_capacity) {
        uint32_t wanted = csv->field_capacity == 0 ? 64 : csv->field_capacity * 2;
        if (wanted > LP_RECORDS_COLUMNS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a row has more than %d fields: is it CSV?",
                           LP_RECORDS_COLUMNS_MAX);
        struct field *grown = realloc(csv->fields, wanted * sizeof *grown);
        if (grown == NULL) return lp_fail_memory(err, wanted * sizeof *grown);
        csv->fields = grown;
        csv->field_capacity = wanted;
    }
    csv->fields[csv->field_count++] = (struct field){.begin = begin, .bytes = csv->text.size - begin, .quoted = quoted};
    lp_buffer_append(&csv->text, "", 1);
    return LP_OK;
}

static void put(struct lp_csv *csv, int c)
{
    unsigned char byte = (unsigned char)c;
    lp_buffer_append(&csv->text, &byte, 1);
}

/* From behind the opening quote to behind the closing one; false in *ret_closed: the input ended inside. */
static enum lp_code read_quoted(struct lp_records *records, size_t *at, bool *ret_closed, struct lp_error *err)
{
    for (int c;;) {
        LP_TRY(peek(&records->bytes, *at, &c, err));
        *ret_closed = c == '"';
        if (c < 0) return LP_OK;
        ++*at;
        if (c == '"') {
            LP_TRY(peek(&records->bytes, *at, &c, err));
            if (c != '"') return LP_OK;
            ++*at;
        }
        put(records->csv, c);
    }
}

enum row_state { ROW_GOOD, ROW_MALFORMED, ROW_NONE };

/* One row into csv->fields. A malformed one (a quote inside a field, text behind a closing quote) is read to its end.
 */
static enum lp_code read_row(struct lp_records *records, enum row_state *ret_state, struct lp_error *err)
{
    struct lp_csv *csv = records->csv;
    size_t at = 0;
    int c;
    LP_TRY(peek(&records->bytes, 0, &c, err));
    *ret_state = c < 0 ? ROW_NONE : ROW_GOOD;
    lp_buffer_clear(&csv->text);
    csv->field_count = 0;
    while (c >= 0) {
        size_t begin = csv->text.size;
        bool closed = true, quoted = c == '"';
        if (quoted) {
            at++;
            LP_TRY(read_quoted(records, &at, &closed, err));
            if (!closed) *ret_state = ROW_MALFORMED;
            LP_TRY(peek(&records->bytes, at, &c, err));
            if (c == '\r') LP_TRY(peek(&records->bytes, ++at, &c, err));
            if (c >= 0 && c != ',' && c != '\n') *ret_state = ROW_MALFORMED;
        }
        size_t plain = csv->text.size;
        while (c >= 0 && c != ',' && c != '\n') {
            if (c == '"') *ret_state = ROW_MALFORMED;
            put(csv, c);
            LP_TRY(peek(&records->bytes, ++at, &c, err));
        }
        /* The carriage return of \r\n, not one that was quoted. */
        bool carriage = c != ',' && csv->text.size > plain && csv->text.data[csv->text.size - 1] == '\r';
        if (carriage) csv->text.size--;
        LP_TRY(add_field(csv, begin, quoted, err));
        if (c != ',') break;
        LP_TRY(peek(&records->bytes, ++at, &c, err));
        /* A comma at the very end of the input is followed by one more, empty, field. */
        if (c < 0) LP_TRY(add_field(csv, csv->text.size, false, err));
    }
    lp_bytes_take(&records->bytes, c == '\n' ? at + 1 : at);
    return lp_buffer_check(&csv->text, "a CSV row", err);
}

static const char *field_text(const struct lp_csv *csv, uint32_t index)
{
    return (const char *)csv->text.data + csv->fields[index].begin;
}

/* --- the header --- */

static int by_name(const void *a, const void *b, void *csv)
{
    return strcmp(field_text(csv, *(const uint32_t *)a), field_text(csv, *(const uint32_t *)b));
}

/* Column of that name, or -1. */
static int64_t find_column(const struct lp_csv *csv, const uint32_t *order, const char *name)
{
    uint32_t low = 0, high = csv->field_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int side = strcmp(name, field_text(csv, order[middle]));
        if (side == 0) return order[middle];
        if (side < 0) high = middle;
        else low = middle + 1;
    }
    return -1;
}

/* The path as it is, or without its backslashes: `odd\.name` is the column odd.name. */
static int64_t find_path(const struct lp_csv *csv, const uint32_t *order, const char *path, const char *suffix)
{
    char name[2048];
    int length = snprintf(name, sizeof name, "%s%s", path, suffix);
    if (length < 0 || (size_t)length >= sizeof name) return -1;
    int64_t column = find_column(csv, order, name);
    if (column >= 0 || strchr(path, '\\') == NULL) return column;
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (name[i] == '\\' && name[i + 1] != '\0') i++;
        name[used++] = name[i];
    }
    name[used] = '\0';
    return find_column(csv, order, name);
}

/* How many of the want's columns are there, and the first one that is not. */
static uint32_t match_want(const struct lp_csv *csv, const uint32_t *order, const struct lp_want *want,
                           int32_t *columns, uint32_t *ret_absent)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < want->width; i++) {
        char suffix[16] = "";
        if (want->type == LP_WANT_VECTOR) snprintf(suffix, sizeof suffix, ".%u", i);
        columns[i] = (int32_t)find_path(csv, order, want->path, suffix);
        if (columns[i] >= 0) found++;
        else if (found == i) *ret_absent = i;
    }
    return found;
}

static enum lp_code match_wants(struct lp_records *records, const uint32_t *order, struct lp_error *err)
{
    struct lp_csv *csv = records->csv;
    int32_t *columns = csv->columns;
    for (uint32_t i = 0; i < records->want_count; columns += records->wants[i++].width) {
        const struct lp_want *want = &records->wants[i];
        uint32_t absent = 0, found = match_want(csv, order, want, columns, &absent);
        if (found == 0 && csv->absent_count++ == 0) csv->absent = want->path;
        if (found > 0 && found < want->width)
            return lp_fail_field(err, LP_E_MISMATCH, LP_FATAL, want->path,
                                 "%s: no column %.200s.%u: a vector takes all of its %u columns or none",
                                 records->bytes.name, want->path, absent, want->width);
    }
    if (csv->absent_count < records->want_count || records->want_count == 0) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                   "%s: no column is named as a feature is (%.100s ...): the first line must be the header",
                   records->bytes.name, records->wants[0].path);
}

static enum lp_code read_header(struct lp_records *records, struct lp_error *err)
{
    struct lp_csv *csv = records->csv;
    enum row_state state;
    LP_TRY(read_row(records, &state, err));
    if (state != ROW_GOOD)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: neither Avro nor JSON Lines nor a CSV header",
                       records->bytes.name);
    csv->column_count = csv->field_count;
    csv->columns = calloc((size_t)records->number_count + records->text_count + 1, sizeof *csv->columns);
    uint32_t *order = calloc(csv->field_count, sizeof *order);
    enum lp_code rc = LP_OK;
    if (order == NULL || csv->columns == NULL) {
        rc = lp_fail_memory(err, csv->field_count * sizeof *order);
        goto out;
    }
    for (uint32_t i = 0; i < csv->field_count; i++) order[i] = i;
    qsort_r(order, csv->field_count, sizeof *order, by_name, csv);
    for (uint32_t i = 1; i < csv->field_count; i++) {
        if (strcmp(field_text(csv, order[i - 1]), field_text(csv, order[i])) != 0) continue;
        rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: the header names the column %.100s twice: rename one",
                     records->bytes.name, field_text(csv, order[i]));
        goto out;
    }
    rc = match_wants(records, order, err);
out:
    free(order);
    return rc;
}

enum lp_code lp_csv_open(struct lp_records *records, struct lp_error *err)
{
    records->csv = calloc(1, sizeof *records->csv);
    if (records->csv == NULL) return lp_fail_memory(err, sizeof *records->csv);
    lp_buffer_init(&records->csv->text, (size_t)LP_RECORDS_RECORD_MAX_BYTES * 2);
    return read_header(records, err);
}

void lp_csv_close(struct lp_csv *csv)
{
    if (csv == NULL) return;
    lp_buffer_done(&csv->text);
    free(csv->fields);
    free(csv->columns);
    free(csv);
}

uint32_t lp_csv_absent(const struct lp_csv *csv, const char **ret_first)
{
    *ret_first = csv->absent;
    return csv->absent_count;
}

/* --- rows --- */

/* Decimal text, and nan, inf, true and false in any case; strtod alone would take hexadecimal and locale's forms. */
static bool parse_number(const char *text, double *ret_number)
{
    while (isspace((unsigned char)*text)) text++;
    const char *unsigned_text = text + (*text == '-' || *text == '+');
    bool decimal = isdigit((unsigned char)*unsigned_text) || *unsigned_text == '.';
    bool named = strncasecmp(unsigned_text, "nan", 3) == 0 || strncasecmp(unsigned_text, "inf", 3) == 0;
    bool hexadecimal = unsigned_text[0] == '0' && (unsigned_text[1] | 32) == 'x';
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0) {
        *ret_number = (*text | 32) == 't';
        return true;
    }
    if ((!decimal && !named) || hexadecimal || strchr(text, '(') != NULL) return false;
    char *end;
    double number = strtod(text, &end);
    if (end == text) return false;
    while (isspace((unsigned char)*end)) end++;
    *ret_number = number;
    return *end == '\0';
}

static enum lp_code set_number(const struct lp_csv *csv, const struct lp_want *want, int32_t column, double *ret_number,
                               struct lp_error *err)
{
    *ret_number = (double)NAN;
    if (column < 0 || csv->fields[column].bytes == 0) return LP_OK;
    const char *text = field_text(csv, (uint32_t)column);
    if (strlen(text) == csv->fields[column].bytes && parse_number(text, ret_number)) return LP_OK;
    return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, want->path, "%s: \"%.40s\" is not a number", want->path,
                         text);
}

static enum lp_code set_text(const struct lp_csv *csv, const struct lp_want *want, int32_t column,
                             struct lp_span *ret_text, struct lp_error *err)
{
    const struct field *field = column >= 0 ? &csv->fields[column] : NULL;
    *ret_text = (struct lp_span){0};
    if (field == NULL || (field->bytes == 0 && !field->quoted)) return LP_OK;
    struct lp_span text = lp_span_of(field_text(csv, (uint32_t)column), field->bytes);
    if (memchr(text.data, '\0', text.size) != NULL || !lp_utf8_valid(text.data, text.size))
        return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, want->path,
                             "%s: bytes that are not UTF-8 text: correct the file's encoding", want->path);
    *ret_text = text;
    return LP_OK;
}

static enum lp_code set_wants(struct lp_records *records, struct lp_error *err)
{
    const struct lp_csv *csv = records->csv;
    const int32_t *columns = csv->columns;
    for (uint32_t i = 0; i < records->want_count; columns += records->wants[i++].width) {
        const struct lp_want *want = &records->wants[i];
        if (want->type == LP_WANT_TEXT) {
            LP_TRY(set_text(csv, want, columns[0], &records->record.texts[want->slot], err));
            continue;
        }
        for (uint32_t k = 0; k < want->width; k++)
            LP_TRY(set_number(csv, want, columns[k], &records->record.numbers[want->slot + k], err));
    }
    return LP_OK;
}

enum lp_code lp_csv_next(struct lp_records *records, bool *ret_done, struct lp_error *err)
{
    const struct lp_csv *csv = records->csv;
    enum row_state state;
    bool blank;
    do {
        LP_TRY(read_row(records, &state, err));
        blank = csv->field_count == 1 && csv->fields[0].bytes == 0 && !csv->fields[0].quoted && csv->column_count > 1;
    } while (state == ROW_GOOD && blank);
    *ret_done = state == ROW_NONE;
    if (state == ROW_NONE) return LP_OK;
    if (state == ROW_MALFORMED)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "a quote inside a field, or text behind a closing quote");
    if (csv->field_count != csv->column_count)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "%u fields, the header has %u", csv->field_count,
                       csv->column_count);
    return set_wants(records, err);
}
