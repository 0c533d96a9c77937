#include "optimize/valid.h"

#include "data/records.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 64, FIRST_ROWS = 1024, GROUPS_MAX = 1 << 26 };
#define ROWS_MAX_BYTES ((uint64_t)4 << 30)

struct reading {
    const struct lp_model *model;
    struct lp_want *wants; /* the model's, the label, the group */
    uint32_t want_count;
    const struct lp_want *label, *group; /* group: NULL: none */
    struct lp_clean_counts *counts;
    struct lp_valid *valid;
    uint64_t capacity; /* rows */
};

static const struct lp_want *add_text(struct reading *r, const char *path)
{
    r->wants[r->want_count] = (struct lp_want){.path = path, .type = LP_WANT_TEXT, .width = 1};
    return &r->wants[r->want_count++];
}

static enum lp_code start(struct reading *r, const char *label, const char *group, struct lp_error *err)
{
    const struct lp_model *model = r->model;
    uint32_t numbers, texts;
    r->wants = calloc((size_t)model->want_count + 2, sizeof *r->wants);
    r->counts = calloc((size_t)model->bundle->feature_count + 1, sizeof *r->counts);
    if (r->wants == NULL || r->counts == NULL) return lp_fail_memory(err, model->want_count * sizeof *r->wants);
    memcpy(r->wants, model->wants, model->want_count * sizeof *r->wants);
    r->want_count = model->want_count;
    r->label = add_text(r, label);
    r->group = group != NULL ? add_text(r, group) : NULL;
    lp_want_assign_slots(r->wants, r->want_count, &numbers, &texts);
    lp_words_init(&r->valid->groups, GROUPS_MAX);
    r->valid->column_count = model->bundle->column_count;
    return LP_OK;
}

static enum lp_code make_room(struct reading *r, struct lp_error *err)
{
    struct lp_valid *v = r->valid;
    if (v->row_count < r->capacity) return LP_OK;
    uint64_t capacity = 2 * r->capacity + FIRST_ROWS, row_bytes = (uint64_t)v->column_count * sizeof *v->rows;
    if (v->row_count * row_bytes > ROWS_MAX_BYTES || capacity > UINT32_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than 4 GiB of rows: a sample of them tells as much");
    void *rows = realloc(v->rows, capacity * row_bytes + 1);
    if (rows == NULL) return lp_fail_memory(err, capacity * row_bytes);
    v->rows = rows;
    double *y = realloc(v->y, capacity * sizeof *y);
    if (y == NULL) return lp_fail_memory(err, capacity * sizeof *y);
    v->y = y;
    uint32_t *group = r->group != NULL ? realloc(v->group, capacity * sizeof *group) : NULL;
    if (r->group != NULL && group == NULL) return lp_fail_memory(err, capacity * sizeof *group);
    v->group = group;
    r->capacity = capacity;
    return LP_OK;
}

/* A decimal number, whole text; else NaN. */
static double parse_number(const char *text)
{
    char *end;
    if (*text == '\0' || strspn(text, "0123456789+-.eE") != strlen(text)) return NAN;
    double value = strtod(text, &end);
    return *end == '\0' ? value : NAN;
}

/* 1, 1.0 and true are one label. */
static double class_of(const struct lp_bundle *bundle, struct lp_span text, double value)
{
    uint32_t classes = bundle->task == LP_TASK_BINARY ? 2 : bundle->output_count;
    for (uint32_t i = 0; i < bundle->label_count; i++)
        if (strlen(bundle->labels[i]) == text.size && memcmp(bundle->labels[i], text.data, text.size) == 0) return i;
    for (uint32_t i = 0; i < bundle->label_count; i++)
        if (parse_number(bundle->labels[i]) == value) return i;
    bool counts = bundle->label_count == 0 && value >= 0 && value < classes && value == floor(value);
    return counts ? value : NAN;
}

static enum lp_code take_label(const struct reading *r, const struct lp_record *record, double *ret_y,
                               struct lp_error *err)
{
    const struct lp_bundle *bundle = r->model->bundle;
    struct lp_span text = record->texts[r->label->slot];
    char copy[NUMBER_BYTES] = "";
    if (text.data == NULL || text.size == 0)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, r->label->path,
                             "the label `%.64s` is missing (--label names its column)", r->label->path);
    if (text.size < sizeof copy) memcpy(copy, text.data, text.size);
    double value = strcmp(copy, "true") == 0 ? 1 : strcmp(copy, "false") == 0 ? 0 : parse_number(copy);
    bool number = bundle->task == LP_TASK_REGRESSION || bundle->task == LP_TASK_RANKING;
    *ret_y = number ? value : class_of(bundle, text, value);
    if (bundle->task == LP_TASK_RANKING && isfinite(value)) *ret_y = value > 0.5;
    if (isfinite(*ret_y)) return LP_OK;
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, r->label->path, "the label `%.64s` is `%.*s`: %s", r->label->path,
                         text.size < sizeof copy ? (int)text.size : (int)sizeof copy, (const char *)text.data,
                         number ? "no number" : "not a label of the model");
}

static enum lp_code take_group(const struct reading *r, const struct lp_record *record, struct lp_error *err)
{
    struct lp_valid *v = r->valid;
    if (r->group == NULL) return LP_OK;
    struct lp_span text = record->texts[r->group->slot];
    if (text.data == NULL)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, r->group->path, "the group `%.64s` is missing",
                             r->group->path);
    LP_TRY(lp_words_take(&v->groups, text, &v->group[v->row_count], err));
    if (!v->groups.full) return LP_OK;
    return lp_fail(err, LP_E_LIMIT, LP_FATAL, "more than %d groups", GROUPS_MAX);
}

static enum lp_code take(struct reading *r, const struct lp_record *record, struct lp_error *err)
{
    struct lp_valid *v = r->valid;
    struct lp_error why;
    uint32_t missing;
    LP_TRY(make_room(r, err));
    if (lp_cleaner_run(r->model->cleaner, record->numbers, record->texts,
                       v->rows + (size_t)v->row_count * v->column_count, NULL, 1, r->counts, &missing, &why) != LP_OK) {
        if (v->refused++ == 0) snprintf(v->first_refused, sizeof v->first_refused, "%.250s", why.text);
        return LP_OK;
    }
    LP_TRY(take_label(r, record, &v->y[v->row_count], err));
    LP_TRY(take_group(r, record, err));
    v->row_count++;
    return LP_OK;
}

static enum lp_code read_all(struct reading *r, struct lp_records *records, struct lp_error *err)
{
    char where[LP_VALID_REASON_BYTES];
    for (;;) {
        struct lp_record *record = NULL;
        struct lp_data_place place;
        enum lp_code rc = lp_records_next(records, &record, err);
        if (rc == LP_OK && record == NULL) break;
        if (rc == LP_OK) rc = take(r, record, err);
        if (rc == LP_OK) continue;
        lp_records_place(records, &place);
        lp_data_place_text(&place, where, sizeof where);
        return lp_error_wrap(err, "%s", where);
    }
    if (r->valid->row_count > 0) return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "it has no good record%s%s",
                   r->valid->refused > 0 ? ": the first was refused: " : "", r->valid->first_refused);
}

enum lp_code lp_valid_read(const char *path, const struct lp_model *model, const char *label, const char *group,
                           struct lp_valid *ret_valid, struct lp_error *err)
{
    struct reading r = {.model = model, .valid = ret_valid};
    struct lp_records *records = NULL;
    const char *format;
    *ret_valid = (struct lp_valid){.rows = NULL};
    enum lp_code rc;
    LP_GUARD(start(&r, label, group, err));
    LP_GUARD(lp_records_open(path, r.wants, r.want_count, &records, &format, err));
    rc = read_all(&r, records, err);
out:
    lp_records_close(records);
    free(r.wants);
    free(r.counts);
    if (rc == LP_OK) return LP_OK;
    lp_valid_done(ret_valid);
    return strstr(err->text, path) != NULL ? rc : lp_error_wrap(err, "%s", path);
}

void lp_valid_done(struct lp_valid *valid)
{
    free(valid->rows);
    free(valid->y);
    free(valid->group);
    lp_words_done(&valid->groups);
    *valid = (struct lp_valid){.rows = NULL};
}
