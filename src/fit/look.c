/* A look at the first records: how each column is to be read. */
#include "core/hash.h"
#include "decode/json_time.h"
#include "fit/private.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SAMPLE_RECORDS = 20000, DISTINCT_MAX = 1024, CODES_MAX = 1000 };

/* What the texts of a column look like. */
struct look {
    uint64_t seen, numbers, gaps, zeros, whole, times; /* gaps: words that say that there is no number */
    uint64_t hashes[DISTINCT_MAX * 2];                 /* open addressing; 0: free */
    uint32_t distinct;                                 /* stops above DISTINCT_MAX */
    char gap[LP_FIT_GAP_BYTES];                        /* the first of those words */
    const char *words[2]; /* owned: the first two different texts, for a label of two classes */
};

bool lp_fit_is_named(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

const json_t *lp_fit_asked(const struct lp_fit *fit, const char *path) { return json_object_get(fit->asked, path); }

const json_t *lp_fit_asked_plain(const struct lp_fit *fit, const char *path)
{
    size_t index;
    const json_t *feature;
    json_array_foreach(lp_fit_asked(fit, path), index, feature)
    {
        if (json_object_get(feature, "cross") == NULL) return feature;
    }
    return NULL;
}

static void note(struct look *look, struct lp_span text)
{
    double number;
    unsigned char copy[64 + LP_BYTES_PADDING];
    look->seen++;
    if (text.size > 0 && text.size < 64) {
        memcpy(copy, text.data, text.size);
        memset(copy + text.size, '\n', LP_BYTES_PADDING);
        if (lp_data_number(copy, text.size, &number) && isnan(number)) {
            if (look->gaps++ == 0)
                snprintf(look->gap, sizeof look->gap, "%.*s", (int)text.size, (const char *)text.data);
        } else if (lp_data_number(copy, text.size, &number)) {
            const unsigned char *digits = copy + (*copy == '-' || *copy == '+');
            look->numbers++;
            look->zeros += digits[0] == '0' && isdigit(digits[1]);
            look->whole += isfinite(number) && number == trunc(number);
        } else if (lp_loose_time_ms(text, &number)) {
            look->times++;
        }
    }
    if (look->distinct > DISTINCT_MAX) return;
    uint64_t hash = lp_mix64(lp_fnv1a64(text)) | 1;
    uint32_t slot = (uint32_t)(hash >> 32) & (DISTINCT_MAX * 2 - 1);
    while (look->hashes[slot] != 0 && look->hashes[slot] != hash) slot = (slot + 1) & (DISTINCT_MAX * 2 - 1);
    if (look->hashes[slot] == hash) return;
    if (look->distinct < 2) look->words[look->distinct] = strndup((const char *)text.data, text.size);
    if (look->distinct++ < DISTINCT_MAX) look->hashes[slot] = hash;
}

/* `user_id`, `id`, `productId`, `zip`, `postcode`: a name for things, whatever it is made of. */
static bool is_code_name(const char *path)
{
    static const char *const endings[] = {"id", "code", "zip", "type", "kind", "class", "category", "postcode"};
    const char *dot = strrchr(path, '.'), *name = dot != NULL ? dot + 1 : path;
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(endings[i]);
        if (length < size || strcasecmp(name + length - size, endings[i]) != 0) continue;
        /* A word of its own: the whole name, behind a sign, or with a capital. */
        if (length == size || !isalpha((unsigned char)name[length - size - 1]) ||
            isupper((unsigned char)name[length - size]))
            return true;
    }
    return false;
}

static enum lp_fit_kind forced_kind(const struct lp_fit *fit, const struct lp_fit_column *column,
                                    const struct lp_fit_options *options, struct lp_error *err)
{
    static const struct {
        const char *word;
        enum lp_fit_kind kind;
    } words[] = {{"number", LP_FIT_NUMBER}, {"category", LP_FIT_CATEGORY}, {"text", LP_FIT_TEXT},
                 {"vector", LP_FIT_VECTOR}, {"time", LP_FIT_TIME},         {"ignore", LP_FIT_DROPPED}};
    const json_t *feature = lp_fit_asked_plain(fit, column->path);
    const char *kind = json_string_value(json_object_get(feature, "kind"));
    bool hashed = lp_fit_is_named(options->hash, options->hash_count, column->path);
    if (lp_fit_is_named(options->drop, options->drop_count, column->path)) return LP_FIT_DROPPED;
    if (hashed && kind != NULL && strcmp(kind, "category") != 0 && strcmp(kind, "ignore") != 0) {
        lp_fail_field(err, LP_E_INVALID, LP_FATAL, column->path,
                      "`%.64s` is to be hashed, which is for categories: the spec says `%.40s`", column->path, kind);
        return LP_FIT_OTHER;
    }
    for (size_t i = 0; kind != NULL && i < sizeof words / sizeof *words; i++)
        if (strcmp(kind, words[i].word) == 0) return words[i].kind;
    if (kind != NULL) {
        lp_fail_field(err, LP_E_INVALID, LP_FATAL, column->path,
                      "the spec's kind `%.40s` of `%.64s`: number, category, text, vector, time or ignore", kind,
                      column->path);
        return LP_FIT_OTHER;
    }
    return hashed ? LP_FIT_CATEGORY : LP_FIT_LABEL; /* the label: not said */
}

static void set_kind(struct lp_fit_column *column, enum lp_fit_kind kind, const char *reason)
{
    column->kind = kind;
    snprintf(column->reason, sizeof column->reason, "%s", reason);
}

/* From what the texts are. A few that are no numbers among many that are do not make it a category. */
static void decide_by_texts(struct lp_fit_column *column, const struct look *look, bool is_label)
{
    if (look->seen == 0) {
        set_kind(column, LP_FIT_CATEGORY, "no value in the first records");
        return;
    }
    uint64_t values = look->seen - look->gaps;
    bool numbers = values > 0 && look->numbers * 100 >= values * 95;
    if (numbers && look->zeros > 0) {
        set_kind(column, LP_FIT_CATEGORY, "numbers with leading zeros: a code");
    } else if (numbers && !is_label && look->whole == look->numbers && is_code_name(column->path) &&
               look->distinct <= CODES_MAX) {
        set_kind(column, LP_FIT_CATEGORY, "whole numbers under the name of a code, few of them different");
    } else if (numbers) {
        snprintf(column->reason, sizeof column->reason, "%s numbers", look->numbers == values ? "all" : "nearly all");
        column->kind = LP_FIT_NUMBER;
    } else if (values > 0 && look->times * 100 >= values * 95) {
        set_kind(column, LP_FIT_TIME, "dates and times");
    } else {
        set_kind(column, LP_FIT_CATEGORY, "texts");
        column->number_share = values > 0 ? (double)look->numbers / (double)values : 0;
    }
}

/* From the format's own types; false: the texts must tell. */
static bool decide_by_hint(struct lp_fit_column *column)
{
    switch (column->hint) {
    case LP_DATA_NUMBER: set_kind(column, LP_FIT_NUMBER, "numbers by the data's type"); return true;
    case LP_DATA_BOOLEAN: set_kind(column, LP_FIT_NUMBER, "true and false, as 1 and 0"); return true;
    case LP_DATA_TIME: set_kind(column, LP_FIT_TIME, "times by the data's type"); return true;
    case LP_DATA_VECTOR: set_kind(column, LP_FIT_VECTOR, "numbers of one length"); return true;
    case LP_DATA_OTHER:
        set_kind(column, LP_FIT_OTHER, "neither a number, a text nor a vector of one length");
        return true;
    case LP_DATA_ANY:
    case LP_DATA_TEXT: break;
    }
    return false;
}

static bool is_numeric_kind(enum lp_fit_kind kind)
{
    return kind == LP_FIT_NUMBER || kind == LP_FIT_VECTOR || kind == LP_FIT_TIME;
}

static enum lp_code copy_columns(struct lp_fit *fit, struct lp_error *err)
{
    const struct lp_data_column *columns;
    uint32_t count;
    LP_TRY(lp_data_columns(fit->data, &columns, &count, err));
    if (count > LP_FIT_COLUMNS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "line 1 names %u columns, at most %d are allowed: is it the right file?", count,
                       LP_FIT_COLUMNS_MAX);
    if (count == 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "no column: none of the first lines is a JSON object with fields");
    fit->columns = calloc(count, sizeof *fit->columns);
    if (fit->columns == NULL) return lp_fail_memory(err, count * sizeof *fit->columns);
    fit->column_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        column->path = columns[i].path;
        column->hint = columns[i].hint;
        column->width = columns[i].width;
        column->want = -1;
        column->whole = column->whole_days = true;
        lp_quantiles_init(&column->quantiles, count <= 1024 ? 1024 : 256, i + 1);
    }
    return LP_OK;
}

static int32_t find_column(const struct lp_fit *fit, const char *path)
{
    for (uint32_t i = 0; i < fit->column_count; i++)
        if (strcmp(fit->columns[i].path, path) == 0) return (int32_t)i;
    return -1;
}

static enum lp_code check_named(const struct lp_fit *fit, const char *path, const char *what, struct lp_error *err)
{
    if (find_column(fit, path) >= 0) return LP_OK;
    return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, path, "no column `%.64s` (%s): the first of %u is `%.64s`",
                         path, what, fit->column_count, fit->columns[0].path);
}

/* A member that nobody reads would be a wish without effect. */
static enum lp_code check_members(const json_t *feature, const char *name, struct lp_error *err)
{
    static const char *const members[] = {"name",      "from",   "kind",  "width", "missing",  "outlier",
                                          "normalize", "encode", "cross", "parts", "baseline", NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)feature, key, value)
    {
        size_t i = 0;
        while (members[i] != NULL && strcmp(members[i], key) != 0) i++;
        if (members[i] == NULL)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name,
                                 "`%.64s` in the spec has a member `%.64s`, which no feature has", name, key);
    }
    return LP_OK;
}

static enum lp_code note_asked(struct lp_fit *fit, const char *path, const json_t *feature, struct lp_error *err)
{
    if (fit->asked == NULL) fit->asked = json_object();
    json_t *list = json_object_get(fit->asked, path);
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(fit->asked, path, list) != 0) return lp_fail_memory(err, sizeof *list);
    }
    if (json_array_append(list, (json_t *)(uintptr_t)feature) != 0) return lp_fail_memory(err, sizeof *list);
    return LP_OK;
}

static enum lp_code check_options(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_error *err)
{
    fit->label = -1;
    if (options->label != NULL) {
        LP_TRY(check_named(fit, options->label, "the label", err));
        fit->label = find_column(fit, options->label);
    }
    for (uint32_t i = 0; i < options->drop_count; i++) LP_TRY(check_named(fit, options->drop[i], "to drop", err));
    for (uint32_t i = 0; i < options->hash_count; i++) LP_TRY(check_named(fit, options->hash[i], "to hash", err));
    size_t index;
    const json_t *feature;
    if (options->spec != NULL && !json_is_array(json_object_get(options->spec, "features")))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec has no array `features`");
    json_array_foreach(json_object_get(options->spec, "features"), index, feature)
    {
        const char *from = json_string_value(json_object_get(feature, "from"));
        const char *name = json_string_value(json_object_get(feature, "name"));
        if (name == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "features[%zu] of the spec has no name", index);
        LP_TRY(check_named(fit, from != NULL ? from : name, "of the spec", err));
        LP_TRY(check_members(feature, name, err));
        LP_TRY(note_asked(fit, from != NULL ? from : name, feature, err));
    }
    return LP_OK;
}

/* Decode a copy of the first records as texts. */
static enum lp_code read_texts(struct lp_fit *fit, const struct lp_want *wants, uint32_t want_count,
                               const struct lp_chunk *first, struct look *looks, struct lp_error *err)
{
    struct lp_chunk copy = *first;
    struct lp_cursor *cursor = NULL;
    enum lp_code rc = LP_OK;
    copy.data = malloc(first->capacity + LP_BYTES_PADDING);
    if (copy.data == NULL) return lp_fail_memory(err, first->capacity);
    memcpy(copy.data, first->data, first->size + LP_BYTES_PADDING);
    LP_GUARD(lp_cursor_new(fit->data, &cursor, err));
    LP_GUARD(lp_cursor_start(cursor, &copy, err));
    for (int i = 0; i < SAMPLE_RECORDS; i++) {
        struct lp_record *record;
        rc = lp_cursor_next(cursor, &record, err);
        if (rc != LP_OK && err->action == LP_SKIP_RECORD) continue;
        if (rc != LP_OK || record == NULL) break;
        for (uint32_t k = 0; k < want_count; k++)
            if (record->texts[wants[k].slot].data != NULL) note(&looks[k], record->texts[wants[k].slot]);
    }
    /* What is broken for good is told by the pass, after what came before it. */
    rc = LP_OK;
out:
    lp_cursor_free(cursor);
    free(copy.data);
    return rc;
}

/* `true` above `false`, `yes` above `no`: the positive class is the later one in the order of bytes. */
static void name_positive(struct lp_fit *fit, struct look *look)
{
    if (look->distinct != 2) return;
    bool second = strcmp(look->words[0], look->words[1]) < 0;
    fit->positive = look->words[second];
    look->words[second] = NULL;
}

static enum lp_code look_at_texts(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_chunk *first,
                                  struct lp_error *err)
{
    uint32_t count = 0, numbers, texts;
    struct look *looks = NULL;
    enum lp_code rc = LP_OK;
    fit->looks = calloc((size_t)fit->column_count + 1, sizeof *fit->looks);
    if (fit->looks == NULL) return lp_fail_memory(err, fit->column_count * sizeof *fit->looks);
    for (uint32_t i = 0; i < fit->column_count; i++)
        if (!decide_by_hint(&fit->columns[i]))
            fit->looks[count++] = (struct lp_want){.path = fit->columns[i].path, .type = LP_WANT_TEXT, .width = 1};
    lp_want_assign_slots(fit->looks, count, &numbers, &texts);
    LP_TRY(lp_data_want(fit->data, fit->looks, count, err));
    LP_TRY(lp_data_next(fit->data, first, err));
    if (first->size == 0 || count == 0) return LP_OK;
    looks = calloc(count, sizeof *looks);
    if (looks == NULL) return lp_fail_memory(err, count * sizeof *looks);
    LP_GUARD(read_texts(fit, fit->looks, count, first, looks, err));
    for (uint32_t i = 0, k = 0; i < fit->column_count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        if (column->hint != LP_DATA_ANY && column->hint != LP_DATA_TEXT) continue;
        bool label = fit->label == (int32_t)i;
        /* A JSON or Avro text stays one when it looks like a number: serving sees the same type. */
        if (column->hint == LP_DATA_TEXT) looks[k].numbers = 0;
        /* Words for none are CSV's, whose fields have no null. */
        if (lp_data_format(fit->data) != LP_DATA_CSV) looks[k].gaps = 0;
        decide_by_texts(column, &looks[k], label);
        if (looks[k].gaps > 0) memcpy(column->gap, looks[k].gap, sizeof column->gap);
        if (label) name_positive(fit, &looks[k]);
        k++;
    }
out:
    for (uint32_t k = 0; k < count; k++)
        for (int w = 0; w < 2; w++) free((char *)(uintptr_t)looks[k].words[w]);
    free(looks);
    (void)options;
    return rc;
}

static enum lp_code make_wants(struct lp_fit *fit, struct lp_error *err)
{
    fit->wants = calloc((size_t)fit->column_count + 1, sizeof *fit->wants);
    if (fit->wants == NULL) return lp_fail_memory(err, fit->column_count * sizeof *fit->wants);
    for (uint32_t i = 0; i < fit->column_count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        if (column->kind == LP_FIT_OTHER || column->kind == LP_FIT_DROPPED) continue;
        column->numeric = is_numeric_kind(column->kind);
        struct lp_want want = {.path = column->path, .width = column->width};
        if (column->kind == LP_FIT_VECTOR) want.type = LP_WANT_VECTOR;
        else if (column->kind == LP_FIT_TIME) want.type = LP_WANT_TIME_MS;
        else want.type = column->numeric ? LP_WANT_NUMBER : LP_WANT_TEXT;
        column->distinct = calloc(1, sizeof *column->distinct);
        if (column->distinct == NULL) return lp_fail_memory(err, sizeof *column->distinct);
        column->want = (int32_t)fit->want_count;
        fit->wants[fit->want_count++] = want;
    }
    if (fit->want_count == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "no column that a feature could take");
    lp_want_assign_slots(fit->wants, fit->want_count, &fit->number_count, &fit->text_count);
    return lp_data_want(fit->data, fit->wants, fit->want_count, err);
}

static enum lp_code apply_words(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_error *err)
{
    for (uint32_t i = 0; i < fit->column_count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        enum lp_fit_kind kind = forced_kind(fit, column, options, err);
        if (kind == LP_FIT_OTHER) return lp_failed(err->code);
        if (kind == LP_FIT_LABEL || (int32_t)i == fit->label) continue;
        bool vector = column->hint == LP_DATA_VECTOR;
        if (kind != LP_FIT_DROPPED && (vector != (kind == LP_FIT_VECTOR) || column->hint == LP_DATA_OTHER))
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, column->path, "`%.64s` cannot be a %s: %s", column->path,
                                 lp_fit_kind_name(kind), column->reason);
        column->forced = true;
        column->hashed = lp_fit_is_named(options->hash, options->hash_count, column->path);
        set_kind(column, kind, kind == LP_FIT_DROPPED ? "left out as told" : "as told");
    }
    return LP_OK;
}

enum lp_code lp_fit_look(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_chunk *first,
                         struct lp_error *err)
{
    LP_TRY(copy_columns(fit, err));
    LP_TRY(check_options(fit, options, err));
    LP_TRY(look_at_texts(fit, options, first, err));
    LP_TRY(apply_words(fit, options, err));
    LP_TRY(make_wants(fit, err));
    if (first->size > 0) lp_data_adopt(fit->data, first);
    return LP_OK;
}
