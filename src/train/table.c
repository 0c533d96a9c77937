#include "train/table.h"

#include "clean/clean.h"
#include "data/data.h"
#include "decode/want.h"
#include "train/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXTRA_WANTS = 5, PLACE_BYTES = 300 };

/* Everything that reading needs, gone behind it. */
struct reading {
    const struct lp_bundle *features;
    const struct lp_table_options *options;
    struct lp_table *table;
    struct lp_data *data;
    struct lp_cursor *cursor;
    struct lp_chunk chunk;
    struct lp_want *wants;
    uint32_t *slots; /* of the features */
    uint32_t want_count;
    struct lp_want *label, *weight, *group, *segment, *time; /* among the wants; NULL: none */
    struct lp_cleaner *cleaner;
    struct lp_clean_counts *counts;
    double *row, *observed; /* observed: NULL without target means */
    uint32_t row_capacity, own_capacity;
};

static struct lp_want *add_want(struct reading *r, const char *path, enum lp_want_type type)
{
    if (path == NULL) return NULL;
    r->wants[r->want_count] = (struct lp_want){.path = path, .type = type, .width = 1};
    return &r->wants[r->want_count++];
}

static enum lp_want_type want_type(const struct lp_feature *feature)
{
    switch (feature->kind) {
    case LP_FEATURE_CATEGORY:
    case LP_FEATURE_TEXT: return LP_WANT_TEXT;
    case LP_FEATURE_TIME: return LP_WANT_TIME_MS;
    case LP_FEATURE_VECTOR: return LP_WANT_VECTOR;
    case LP_FEATURE_NUMBER: break;
    }
    return LP_WANT_NUMBER;
}

static enum lp_code make_wants(struct reading *r, struct lp_error *err)
{
    size_t count = r->features->feature_count;
    uint32_t numbers, texts;
    r->wants = calloc(count + EXTRA_WANTS, sizeof *r->wants);
    r->slots = calloc(count + 1, sizeof *r->slots);
    if (r->wants == NULL || r->slots == NULL) return lp_fail_memory(err, count * sizeof *r->wants);
    for (uint32_t i = 0; i < count; i++) {
        const struct lp_feature *feature = &r->features->features[i];
        enum lp_want_type type = want_type(feature);
        add_want(r, feature->from, type)->width = feature->width;
    }
    r->label = add_want(r, r->options->label, LP_WANT_TEXT);
    r->weight = add_want(r, r->options->weight, LP_WANT_NUMBER);
    r->group = add_want(r, r->options->group, LP_WANT_TEXT);
    r->segment = add_want(r, r->options->segment, LP_WANT_TEXT);
    r->time = add_want(r, r->options->time, LP_WANT_TIME_MS);
    lp_want_assign_slots(r->wants, r->want_count, &numbers, &texts);
    for (uint32_t i = 0; i < count; i++) r->slots[i] = r->wants[i].slot;
    return LP_OK;
}

/* A label column that is not there would be missing in every record; a feature's may be meant so. */
static enum lp_code check_columns(const struct reading *r, const char *path, struct lp_error *err)
{
    const struct lp_data_column *columns;
    uint32_t count, found = 0;
    if (lp_data_format(r->data) != LP_DATA_CSV) return LP_OK;
    LP_TRY(lp_data_columns(r->data, &columns, &count, err));
    const struct lp_want *const extras[] = {r->label, r->weight, r->group, r->segment, r->time};
    for (size_t i = 0; i < EXTRA_WANTS; i++) {
        for (uint32_t c = 0; extras[i] != NULL && c < count; c++)
            found += strcmp(columns[c].path, extras[i]->path) == 0;
        if (extras[i] != NULL && found == 0)
            return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, extras[i]->path, "%s: there is no column `%.200s`",
                                 path, extras[i]->path);
        found = 0;
    }
    return LP_OK;
}

static enum lp_code start(struct reading *r, const char *path, struct lp_error *err)
{
    LP_TRY(make_wants(r, err));
    LP_TRY(lp_data_open(path, LP_DATA_CHUNK_BYTES, &r->data, err));
    LP_TRY(check_columns(r, path, err));
    LP_TRY(lp_data_want(r->data, r->wants, r->want_count, err));
    LP_TRY(lp_cursor_new(r->data, &r->cursor, err));
    LP_TRY(lp_cleaner_new(r->features, r->slots, &r->cleaner, err));
    r->counts = calloc((size_t)r->features->feature_count + 1, sizeof *r->counts);
    r->row = calloc((size_t)r->features->column_count + 1, sizeof *r->row);
    if (r->counts == NULL || r->row == NULL) return lp_fail_memory(err, r->features->column_count * sizeof *r->row);
    struct lp_table *t = r->table;
    for (uint32_t i = 0; i < r->features->feature_count; i++)
        t->target_count += lp_table_is_target(&r->features->features[i]);
    if (t->target_count > 0) r->observed = calloc(r->features->feature_count, sizeof *r->observed);
    if (t->target_count > 0 && r->observed == NULL) return lp_fail_memory(err, r->features->feature_count);
    t->column_count = r->features->column_count;
    t->x_row = t->column_count;
    t->format = lp_data_format_name(lp_data_format(r->data));
    t->numeric = true;
    lp_words_init(&t->words, LP_TABLE_CLASSES_MAX + 1);
    lp_words_init(&t->groups, LP_TABLE_GROUPS_MAX);
    lp_words_init(&t->segments, LP_TABLE_SEGMENTS_MAX + 1);
    lp_buffer_init(&t->samples, SIZE_MAX / 2);
    return LP_OK;
}

static enum lp_code grow(void **array, size_t count, size_t bytes, struct lp_error *err)
{
    void *grown = realloc(*array, count * bytes);
    if (grown == NULL) return lp_fail_memory(err, count * bytes);
    *array = grown;
    return LP_OK;
}
#define GROW(array, count, err)                                  \
    do {                                                         \
        void *grow_at = (array);                                 \
        LP_TRY(grow(&grow_at, (count), sizeof *(array), (err))); \
        (array) = grow_at;                                       \
    } while (0)

static enum lp_code make_room(struct reading *r, struct lp_error *err)
{
    struct lp_table *t = r->table;
    if (t->row_count == LP_TABLE_ROWS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d rows", LP_TABLE_ROWS_MAX);
    if (t->row_count == r->row_capacity) {
        size_t capacity = (size_t)r->row_capacity * 2 + 4096;
        GROW(t->label, capacity, err);
        GROW(t->word, capacity, err);
        if (r->weight != NULL) GROW(t->weight, capacity, err);
        if (r->group != NULL) GROW(t->group, capacity, err);
        if (r->segment != NULL) GROW(t->segment, capacity, err);
        if (r->time != NULL) GROW(t->time, capacity, err);
        if (r->options->ranks > 1) GROW(t->where, capacity, err);
        if (t->target_count > 0) GROW(t->categories, capacity * t->target_count, err);
        r->row_capacity = (uint32_t)capacity;
    }
    if (t->own_count < r->own_capacity) return LP_OK;
    size_t capacity = (size_t)r->own_capacity * 2 + 4096;
    void *x = t->x;
    LP_TRY(grow(&x, capacity * t->x_row, sizeof *t->x, err));
    t->x = x;
    r->own_capacity = (uint32_t)capacity;
    return LP_OK;
}

static enum lp_code bad_place(struct reading *r, struct lp_error *err)
{
    struct lp_data_place place;
    char text[PLACE_BYTES];
    lp_cursor_place(r->cursor, &place);
    lp_data_place_text(&place, text, sizeof text);
    size_t used = strlen(err->text);
    if (err->action == LP_SKIP_RECORD)
        snprintf(err->text + used, sizeof err->text - used, " (--skip-bad passes over such records)");
    return lp_error_wrap(err, "%s", text);
}

double lp_table_number(struct lp_span text)
{
    char copy[64], *end;
    if (text.size == 0 || text.size >= sizeof copy) return NAN;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strspn(copy, "0123456789+-.eE") != text.size) return NAN;
    double value = strtod(copy, &end);
    return *end == '\0' ? value : NAN;
}

static enum lp_code take_label(struct reading *r, const struct lp_record *record, struct lp_error *err)
{
    struct lp_table *t = r->table;
    struct lp_span text = record->texts[r->label->slot];
    if (text.data == NULL || text.size == 0)
        return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, r->label->path, "the label `%.64s` is missing",
                             r->label->path);
    double value = lp_table_number(text);
    if (text.size == 4 && memcmp(text.data, "true", 4) == 0) value = 1;
    if (text.size == 5 && memcmp(text.data, "false", 5) == 0) value = 0;
    t->label[t->row_count] = value;
    t->numeric = t->numeric && isfinite(value);
    if (t->numeric && t->words.full) return LP_OK;
    return lp_words_take(&t->words, text, &t->word[t->row_count], err);
}

static enum lp_code take_word(struct lp_words *words, const struct lp_want *want, const struct lp_record *record,
                              uint32_t *ret_word, struct lp_error *err)
{
    struct lp_span text = record->texts[want->slot];
    if (text.data == NULL) text = lp_span_text("(missing)");
    LP_TRY(lp_words_take(words, text, ret_word, err));
    if (*ret_word != UINT32_MAX) return LP_OK;
    return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, want->path, "`%.64s` has more than %u values", want->path,
                         words->max - 1);
}

static enum lp_code take_extras(struct reading *r, const struct lp_record *record, struct lp_error *err)
{
    struct lp_table *t = r->table;
    uint32_t at = t->row_count;
    LP_TRY(take_label(r, record, err));
    if (r->group != NULL) LP_TRY(take_word(&t->groups, r->group, record, &t->group[at], err));
    if (r->segment != NULL) LP_TRY(take_word(&t->segments, r->segment, record, &t->segment[at], err));
    if (r->weight != NULL) {
        double weight = record->numbers[r->weight->slot];
        if (!(weight >= 0) || !isfinite((float)weight))
            return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, r->weight->path,
                                 "the weight `%.64s` is %g: it must be a number of at least 0", r->weight->path,
                                 weight);
        t->weight[at] = (float)weight;
    }
    if (r->time == NULL) return LP_OK;
    t->time[at] = record->numbers[r->time->slot];
    if (isfinite(t->time[at])) return LP_OK;
    return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, r->time->path, "the time `%.64s` is missing",
                         r->time->path);
}

/* What is missing is of the category that fills in, where there is one. */
static void take_categories(struct reading *r)
{
    struct lp_table *t = r->table;
    uint32_t *to = t->target_count > 0 ? t->categories + (size_t)t->row_count * t->target_count : NULL;
    for (uint32_t i = 0; to != NULL && i < r->features->feature_count; i++) {
        const struct lp_feature *feature = &r->features->features[i];
        if (!lp_table_is_target(feature)) continue;
        bool fills = feature->missing == LP_MISSING_VALUE || feature->missing == LP_MISSING_MEAN;
        double entry = r->observed[i];
        if (isnan(entry)) entry = fills ? feature->missing_value : UINT32_MAX;
        *to++ = entry < feature->vocabulary_count ? (uint32_t)entry : UINT32_MAX;
    }
}

/* The cleaned row as floats, rounded once, as serving rounds it. */
static enum lp_code take_row(struct reading *r, struct lp_error *err)
{
    struct lp_table *t = r->table;
    /* The rows of a pair must be of one rank: without groups all rows are one. */
    uint32_t owner = !r->options->ranking ? t->row_count : t->group != NULL ? t->group[t->row_count] : 0;
    bool own = r->options->ranks <= 1 || owner % r->options->ranks == r->options->rank;
    if (t->where != NULL) t->where[t->row_count] = own ? t->own_count : UINT32_MAX;
    if (own) {
        float *x = t->x + t->own_count * t->x_row;
        for (uint32_t c = 0; c < t->column_count; c++) {
            x[c] = (float)r->row[c];
            if (isfinite(x[c])) continue;
            const struct lp_feature *feature = r->features->features;
            while (feature->column + feature->column_count <= c) feature++;
            return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, feature->name,
                                 "`%.64s` is %g behind cleaning: networks need finite numbers", feature->name,
                                 r->row[c]);
        }
        t->own_count++;
    }
    t->row_count++;
    return LP_OK;
}

static enum lp_code take_record(struct reading *r, const struct lp_record *record, struct lp_error *err)
{
    struct lp_table *t = r->table;
    uint32_t missing;
    struct lp_error why;
    LP_TRY(make_room(r, err));
    if (lp_cleaner_run(r->cleaner, record->numbers, record->texts, r->row, r->observed, 1, r->counts, &missing, &why) !=
        LP_OK) {
        /* Serving sends such a record to the dead letters: the model never sees one. */
        if (t->refused++ == 0) snprintf(t->first_refused, sizeof t->first_refused, "%.250s", why.text);
        return LP_OK;
    }
    LP_TRY(take_extras(r, record, err));
    take_categories(r);
    LP_TRY(take_row(r, err));
    if (t->sample_count == r->options->sample_count) return LP_OK;
    t->sample_count++;
    return lp_record_write(r->features, r->slots, record, &t->samples, err);
}

static enum lp_code read_chunk(struct reading *r, struct lp_error *err)
{
    LP_TRY(lp_cursor_start(r->cursor, &r->chunk, err));
    for (;;) {
        struct lp_record *record = NULL;
        enum lp_code rc = lp_cursor_next(r->cursor, &record, err);
        if (rc == LP_OK && record == NULL) return LP_OK;
        if (rc == LP_OK) rc = take_record(r, record, err);
        if (rc == LP_OK) continue;
        if (err->action == LP_SKIP_RECORD && r->options->skip_bad) {
            r->table->skipped++;
            continue;
        }
        return bad_place(r, err);
    }
}

static enum lp_code read_all(struct reading *r, struct lp_error *err)
{
    const struct lp_table_options *o = r->options;
    for (;;) {
        LP_TRY(lp_data_next(r->data, &r->chunk, err));
        if (r->chunk.size == 0) break;
        LP_TRY(read_chunk(r, err));
        if (o->on_progress != NULL)
            o->on_progress(o->context, r->table->row_count, lp_data_taken_bytes(r->data), lp_data_total_bytes(r->data));
    }
    if (r->table->row_count == 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "it has no good record%s%s",
                       r->table->refused > 0 ? ": the first was refused: " : "", r->table->first_refused);
    return LP_OK;
}

enum lp_code lp_table_read(const char *path, const struct lp_bundle *features, const struct lp_table_options *options,
                           struct lp_table *ret_table, struct lp_error *err)
{
    struct reading r = {.features = features, .options = options, .table = ret_table};
    *ret_table = (struct lp_table){.x = NULL};
    enum lp_code rc = start(&r, path, err);
    if (rc == LP_OK) {
        rc = read_all(&r, err);
        if (rc != LP_OK && strstr(err->text, path) == NULL) lp_error_wrap(err, "%s", path);
    }
    lp_cursor_free(r.cursor);
    lp_chunk_done(&r.chunk);
    lp_data_close(r.data);
    lp_cleaner_free(r.cleaner);
    free(r.wants);
    free(r.slots);
    free(r.counts);
    free(r.row);
    free(r.observed);
    if (rc != LP_OK) lp_table_done(ret_table);
    return rc;
}

void lp_table_done(struct lp_table *t)
{
    free(t->x);
    free(t->where);
    free(t->label);
    free(t->word);
    free(t->weight);
    free(t->group);
    free(t->segment);
    free(t->time);
    free(t->categories);
    lp_words_done(&t->words);
    lp_words_done(&t->groups);
    lp_words_done(&t->segments);
    lp_buffer_done(&t->samples);
    *t = (struct lp_table){.x = NULL};
}
