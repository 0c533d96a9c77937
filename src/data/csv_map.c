/* A CSV file's header against the wants, and its rows as records. An empty field is missing, unless it is a text in
 * quotes: that one has no characters. Columns nobody wants are skipped. */
#include "core/utf8.h"
#include "data/number/number.h"
#include "decode/json_time.h"
#include "decode/path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Wants that are set together: one text, or numbers in neighbouring slots. */
struct run {
    const struct lp_want *text; /* NULL: numbers */
    uint32_t column;            /* first index in `columns` */
    uint32_t slot, count;
};

struct lp_csv_map {
    int32_t *columns; /* of each want, a vector's elements one by one; -1: none */
    struct run *runs;
    uint32_t run_count;
    uint32_t *want_of_slot; /* [number_count] */
    lp_csv_numbers numbers;
    char *header;       /* names, each terminated */
    const char **names; /* [column_count], into header */
    uint32_t column_count;
    uint32_t absent_count;
    const char *absent; /* path of the first want without a column */
};

/* --- the header --- */

static enum lp_code grow_fields(struct lp_csv_field **fields, uint32_t count, uint32_t *capacity, struct lp_error *err)
{
    if (count > LP_DATA_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "a row has %u fields, at most %d are allowed: is it CSV?", count,
                       LP_DATA_COLUMNS_MAX);
    uint32_t wanted = count * 2 + LP_CSV_FIELDS_SPARE;
    struct lp_csv_field *grown = realloc(*fields, (size_t)wanted * sizeof *grown);
    if (grown == NULL) return lp_fail_memory(err, (size_t)wanted * sizeof *grown);
    *fields = grown;
    *capacity = wanted;
    return LP_OK;
}

/* The window grows until it has the first row; a copy of it is taken apart, since unescaping changes it. */
static enum lp_code take_header_row(struct lp_data *data, struct lp_error *err)
{
    struct lp_csv_split split = {0};
    struct lp_bytes *bytes = &data->bytes;
    size_t length;
    for (;;) {
        lp_csv_split(&split, lp_bytes_at(bytes), lp_bytes_left(bytes), bytes->at_end);
        if (split.end > 0) break;
        LP_TRY(lp_bytes_fill(bytes, lp_bytes_left(bytes) + 1, err));
    }
    /* The first row alone: up to the first newline outside quotes. */
    struct lp_csv_split row = {0};
    for (length = 0; row.end == 0;) {
        const unsigned char *newline = memchr(lp_bytes_at(bytes) + length, '\n', split.end - length);
        length = newline != NULL ? (size_t)(newline - lp_bytes_at(bytes)) + 1 : split.end;
        lp_csv_split(&row, lp_bytes_at(bytes), length, length == split.end);
    }
    lp_buffer_append(&data->header, lp_bytes_at(bytes), length);
    LP_TRY(lp_buffer_check(&data->header, "the CSV header", err));
    for (size_t i = 0; i < length; i++) data->line += lp_bytes_at(bytes)[i] == '\n';
    lp_bytes_take(bytes, length);
    data->taken_bytes += length;
    return LP_OK;
}

enum lp_code lp_csv_read_header(struct lp_data *data, struct lp_error *err)
{
    lp_buffer_clear(&data->header);
    return take_header_row(data, err);
}

static enum lp_code split_header(const struct lp_data *data, struct lp_csv_map *map, struct lp_error *err)
{
    struct lp_csv_field *fields = NULL;
    size_t size = data->header.size;
    uint32_t count = 0, capacity = 0;
    bool malformed;
    enum lp_code rc = LP_OK;
    map->header = malloc(size + LP_BYTES_PADDING);
    if (map->header == NULL) LP_GUARD(lp_fail_memory(err, size + LP_BYTES_PADDING));
    memcpy(map->header, data->header.data, size);
    memset(map->header + size, '\n', LP_BYTES_PADDING);
    const unsigned char *begin = (const unsigned char *)map->header;
    lp_csv_row(begin, begin + size, NULL, 0, &count, &malformed);
    if (malformed)
        LP_GUARD(
            lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: neither Avro nor JSON Lines nor a CSV header", data->bytes.name));
    rc = grow_fields(&fields, count, &capacity, err);
    if (rc != LP_OK) {
        lp_error_wrap(err, "%s", data->bytes.name);
        goto out;
    }
    lp_csv_row(begin, begin + size, fields, capacity, &count, &malformed);
    map->names = calloc(count, sizeof *map->names);
    if (map->names == NULL) LP_GUARD(lp_fail_memory(err, count * sizeof *map->names));
    for (uint32_t i = 0; i < count; i++) {
        if (fields[i].escaped) lp_csv_unescape(&fields[i]);
        /* What ends a field has been read: its place is the terminator's. */
        char *name = (char *)(uintptr_t)fields[i].text;
        name[fields[i].bytes] = '\0';
        map->names[i] = name;
    }
    map->column_count = count;
out:
    free(fields);
    return rc;
}

static int by_name(const void *a, const void *b, void *names)
{
    const char *const *of = names;
    return strcmp(of[*(const uint32_t *)a], of[*(const uint32_t *)b]);
}

/* Column of that name, or -1. */
static int64_t find_column(const struct lp_csv_map *map, const uint32_t *order, const char *name)
{
    uint32_t low = 0, high = map->column_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int side = strcmp(name, map->names[order[middle]]);
        if (side == 0) return order[middle];
        if (side < 0) high = middle;
        else low = middle + 1;
    }
    return -1;
}

/* The path as it is, or without its backslashes: `odd\.name` is the column odd.name. */
static int64_t find_path(const struct lp_csv_map *map, const uint32_t *order, const char *path, const char *suffix)
{
    char name[2048];
    int length = snprintf(name, sizeof name, "%s%s", path, suffix);
    if (length < 0 || (size_t)length >= sizeof name) return -1;
    int64_t column = find_column(map, order, name);
    if (column >= 0 || strchr(path, '\\') == NULL) return column;
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (name[i] == '\\' && name[i + 1] != '\0') i++;
        name[used++] = name[i];
    }
    name[used] = '\0';
    return find_column(map, order, name);
}

/* How many of the want's columns are there, and the first one that is not. */
static uint32_t match_want(const struct lp_csv_map *map, const uint32_t *order, const struct lp_want *want,
                           int32_t *columns, uint32_t *ret_absent)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < want->width; i++) {
        char suffix[16] = "";
        if (want->type == LP_WANT_VECTOR) snprintf(suffix, sizeof suffix, ".%u", i);
        columns[i] = (int32_t)find_path(map, order, want->path, suffix);
        if (columns[i] >= 0) found++;
        else if (found == i) *ret_absent = i;
    }
    return found;
}

static enum lp_code match_wants(const struct lp_data *data, struct lp_csv_map *map, const uint32_t *order,
                                struct lp_error *err)
{
    int32_t *columns = map->columns;
    for (uint32_t i = 0; i < data->want_count; columns += data->wants[i++].width) {
        const struct lp_want *want = &data->wants[i];
        uint32_t absent = 0, found = match_want(map, order, want, columns, &absent);
        if (found == 0 && map->absent_count++ == 0) map->absent = want->path;
        if (found > 0 && found < want->width)
            return lp_fail_field(err, LP_E_MISMATCH, LP_FATAL, want->path,
                                 "%s: no column %.200s.%u: a vector takes all of its %u columns or none",
                                 data->bytes.name, want->path, absent, want->width);
    }
    if (map->absent_count < data->want_count || data->want_count == 0) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                   "%s: no column is named as a feature is (%.100s ...): the first line must be the header",
                   data->bytes.name, data->wants[0].path);
}

/* One want after the other; a number's slot is next to that of the number before it. */
static enum lp_code make_runs(const struct lp_data *data, struct lp_csv_map *map, struct lp_error *err)
{
    map->runs = calloc((size_t)data->want_count + 1, sizeof *map->runs);
    map->want_of_slot = calloc((size_t)data->number_count + 1, sizeof *map->want_of_slot);
    if (map->runs == NULL || map->want_of_slot == NULL)
        return lp_fail_memory(err, (size_t)data->want_count * sizeof *map->runs);
    map->numbers = lp_csv_numbers_select(lp_cpu_get());
    for (uint32_t i = 0, column = 0; i < data->want_count; column += data->wants[i++].width) {
        const struct lp_want *want = &data->wants[i];
        bool text = want->type == LP_WANT_TEXT;
        struct run *last = map->run_count > 0 ? &map->runs[map->run_count - 1] : NULL;
        for (uint32_t k = 0; !text && k < want->width; k++) map->want_of_slot[want->slot + k] = i;
        if (!text && last != NULL && last->text == NULL && last->slot + last->count == want->slot)
            last->count += want->width;
        else map->runs[map->run_count++] = (struct run){text ? want : NULL, column, want->slot, want->width};
    }
    return LP_OK;
}

enum lp_code lp_csv_map_new(const struct lp_data *data, struct lp_csv_map **ret_map, struct lp_error *err)
{
    uint32_t *order = NULL;
    enum lp_code rc = LP_OK;
    struct lp_csv_map *map = calloc(1, sizeof *map);
    if (map == NULL) return lp_fail_memory(err, sizeof *map);
    LP_GUARD(split_header(data, map, err));
    map->columns = calloc((size_t)data->number_count + data->text_count + 1, sizeof *map->columns);
    order = calloc(map->column_count, sizeof *order);
    if (order == NULL || map->columns == NULL) LP_GUARD(lp_fail_memory(err, map->column_count * sizeof *order));
    for (uint32_t i = 0; i < map->column_count; i++) order[i] = i;
    qsort_r(order, map->column_count, sizeof *order, by_name, map->names);
    for (uint32_t i = 1; i < map->column_count; i++)
        if (strcmp(map->names[order[i - 1]], map->names[order[i]]) == 0)
            LP_GUARD(lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: the header names the column %.100s twice: rename one",
                             data->bytes.name, map->names[order[i]]));
    LP_GUARD(match_wants(data, map, order, err));
    LP_GUARD(make_runs(data, map, err));
    *ret_map = map;
    map = NULL;
out:
    free(order);
    lp_csv_map_free(map);
    return rc;
}

void lp_csv_map_free(struct lp_csv_map *map)
{
    if (map == NULL) return;
    free(map->columns);
    free(map->runs);
    free(map->want_of_slot);
    free(map->names);
    free(map->header);
    free(map);
}

uint32_t lp_csv_absent(const struct lp_csv_map *map, const char **ret_first)
{
    *ret_first = map->absent;
    return map->absent_count;
}

/* --- the columns, before anything is wanted --- */

/* A name as a path: as it is where it splits into the steps that its dots show, else each special sign escaped. */
static enum lp_code add_column(struct lp_data *data, const char *name, enum lp_data_hint hint, uint32_t width,
                               struct lp_error *err)
{
    struct lp_path path;
    struct lp_error ignored;
    if (lp_path_split(name, &path, &ignored) == LP_OK)
        return lp_data_add_column(data, lp_span_text(name), hint, width, err);
    char escaped[2 * LP_PATH_BYTES_MAX];
    size_t used = 0;
    for (; *name != '\0' && used + 2 < sizeof escaped; name++) {
        if (strchr(".[]\\", *name) != NULL) escaped[used++] = '\\';
        escaped[used++] = *name;
    }
    return lp_data_add_column(data, lp_span_of(escaped, used), hint, width, err);
}

/* How many columns from `first` on are NAME.0, NAME.1, ...; 0: not a vector. */
static uint32_t vector_width(const struct lp_csv_map *map, uint32_t first)
{
    const char *name = map->names[first];
    size_t length = strlen(name), base = length > 2 ? length - 2 : 0;
    if (base == 0 || strcmp(name + base, ".0") != 0) return 0;
    uint32_t width = 1;
    for (; first + width < map->column_count; width++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, ".%u", width);
        const char *other = map->names[first + width];
        if (strncmp(other, name, base) != 0 || strcmp(other + base, suffix) != 0) break;
    }
    return width > 1 ? width : 0;
}

/* What becomes a name of a feature list is text; one column with other signs between is no CSV of commas. */
static enum lp_code check_names(const struct lp_data *data, const struct lp_csv_map *map, struct lp_error *err)
{
    for (uint32_t i = 0; i < map->column_count; i++)
        if (!lp_utf8_valid(map->names[i], strlen(map->names[i])))
            return lp_fail(err, LP_E_INVALID, LP_FATAL,
                           "%s: line 1: the name of column %u is not UTF-8 text: correct the file's encoding",
                           data->bytes.name, i + 1);
    if (map->column_count == 1 && strpbrk(map->names[0], ";\t|") != NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "%s: line 1 is one column, `%.64s`: fields must be separated by commas", data->bytes.name,
                       map->names[0]);
    return LP_OK;
}

enum lp_code lp_csv_columns(struct lp_data *data, struct lp_error *err)
{
    struct lp_csv_map map = {0};
    enum lp_code rc = split_header(data, &map, err);
    if (rc == LP_OK) rc = check_names(data, &map, err);
    for (uint32_t i = 0; rc == LP_OK && i < map.column_count;) {
        uint32_t width = vector_width(&map, i);
        char name[LP_PATH_BYTES_MAX];
        int length = snprintf(name, sizeof name, "%s", map.names[i]);
        if (length < 0 || (size_t)length >= sizeof name)
            rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: line 1: column %u has a name of more than %d bytes",
                         data->bytes.name, i + 1, LP_PATH_BYTES_MAX - 1);
        if (rc != LP_OK) break;
        if (width > 0) name[length - 2] = '\0';
        rc = add_column(data, name, width > 0 ? LP_DATA_VECTOR : LP_DATA_ANY, width > 0 ? width : 1, err);
        i += width > 0 ? width : 1;
    }
    free(map.names);
    free(map.header);
    return rc;
}

/* --- rows --- */

/* A field that is no plain number: the long way, or what is wrong. */
static enum lp_code set_number(const struct lp_csv_field *field, const struct lp_want *want, double *ret_number,
                               struct lp_error *err)
{
    if (lp_data_number(field->text, field->bytes, ret_number)) return LP_OK;
    bool time = want->type == LP_WANT_TIME_MS;
    if (time && lp_loose_time_ms(lp_span_of(field->text, field->bytes), ret_number)) return LP_OK;
    return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, want->path, "%s: \"%.*s\" is not a %s", want->path,
                         field->bytes < 40 ? (int)field->bytes : 40, (const char *)field->text,
                         time ? "time" : "number");
}

/* The numbers of a run of wants. */
static enum lp_code set_numbers(const struct lp_cursor *cursor, const struct run *run, struct lp_error *err)
{
    const struct lp_csv_map *map = cursor->chunk->layout->csv;
    const int32_t *columns = map->columns + run->column;
    double *numbers = cursor->record.numbers + run->slot;
    for (uint32_t done = 0;;) {
        done += map->numbers(cursor->fields, columns + done, run->count - done, numbers + done);
        if (done == run->count) return LP_OK;
        const struct lp_want *want = &cursor->chunk->layout->wants[map->want_of_slot[run->slot + done]];
        LP_TRY(set_number(&cursor->fields[columns[done]], want, &numbers[done], err));
        done++;
    }
}

static enum lp_code set_text(struct lp_cursor *cursor, const struct lp_want *want, int32_t column,
                             struct lp_span *ret_text, struct lp_error *err)
{
    struct lp_csv_field *field = column >= 0 ? &cursor->fields[column] : NULL;
    *ret_text = (struct lp_span){0};
    if (field == NULL || (field->bytes == 0 && !field->quoted)) return LP_OK;
    if (field->escaped) lp_csv_unescape(field);
    struct lp_span text = lp_span_of(field->text, field->bytes);
    if (memchr(text.data, '\0', text.size) != NULL ||
        !lp_utf8_valid_before(text.data, text.size, cursor->end + LP_BYTES_PADDING))
        return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, want->path,
                             "%s: bytes that are not UTF-8 text: correct the file's encoding", want->path);
    *ret_text = text;
    return LP_OK;
}

static enum lp_code set_wants(struct lp_cursor *cursor, struct lp_error *err)
{
    const struct lp_data_layout *layout = cursor->chunk->layout;
    const struct lp_csv_map *map = layout->csv;
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct run *run = &map->runs[i];
        if (run->text == NULL) LP_TRY(set_numbers(cursor, run, err));
        else LP_TRY(set_text(cursor, run->text, map->columns[run->column], &cursor->record.texts[run->slot], err));
    }
    return LP_OK;
}

enum lp_code lp_csv_next(struct lp_cursor *cursor, struct lp_record **ret_record, struct lp_error *err)
{
    uint32_t wanted = cursor->chunk->layout->csv->column_count, count;
    bool malformed;
    do {
        *ret_record = NULL;
        if (cursor->at == cursor->end) return LP_OK;
        cursor->record_begin = cursor->at;
        if (wanted > cursor->field_capacity) LP_TRY(grow_fields(&cursor->fields, wanted, &cursor->field_capacity, err));
        cursor->at = lp_csv_row(cursor->at, cursor->end, cursor->fields, cursor->field_capacity, &count, &malformed);
    } while (count == 1 && cursor->fields[0].bytes == 0 && !cursor->fields[0].quoted && wanted > 1 && !malformed);
    if (malformed)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD,
                       "a quote inside a field, text behind a closing quote, or a quote that is never closed");
    if (count != wanted)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "%u fields, the header has %u", count, wanted);
    *ret_record = &cursor->record;
    return set_wants(cursor, err);
}
