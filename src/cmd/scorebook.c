#include "cmd/scorebook.h"

#include "cmd/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX_BYTES = 64 << 20, TEXTS_FULL_BYTES = 1 << 20 };

/* One record of the batch, in order: a row of its own, or a text in `texts` that takes its place. */
struct entry {
    bool rejected;
    uint32_t row;
    size_t text, text_bytes; /* rejected: the line; explain: the features */
};

struct lp_scorebook {
    const struct lp_model *model;
    struct lp_scorebook_options options;
    struct lp_infer *infer;
    uint32_t rows_max;              /* LP_SCOREBOOK_ROWS, or fewer of a very wide model */
    double *rows;                   /* [rows_max][column_count] */
    float *margins, *scores;        /* [rows_max][output_count] */
    double *observed;               /* [feature_count] */
    struct lp_clean_counts *counts; /* [feature_count] */
    struct entry entries[LP_SCOREBOOK_ROWS];
    uint32_t entry_count, row_count;
    struct lp_buffer texts, line;
    uint64_t records, rejected;
    bool header_due;
};

static bool has_labels(const struct lp_bundle *bundle)
{
    return bundle->task == LP_TASK_BINARY || bundle->task == LP_TASK_MULTICLASS;
}

enum lp_code lp_scorebook_new(const struct lp_model *model, const struct lp_scorebook_options *options,
                              struct lp_scorebook **ret_book, struct lp_error *err)
{
    const struct lp_bundle *bundle = model->bundle;
    struct lp_scorebook *book = calloc(1, sizeof *book);
    if (book == NULL) return lp_fail_memory(err, sizeof *book);
    enum lp_code rc;
    size_t widest = bundle->column_count > bundle->output_count ? bundle->column_count : bundle->output_count;
    size_t affordable = ROWS_MAX_BYTES / (widest * sizeof *book->rows + 1);
    book->rows_max = affordable >= LP_SCOREBOOK_ROWS ? LP_SCOREBOOK_ROWS : affordable > 0 ? (uint32_t)affordable : 1;
    size_t outputs = (size_t)book->rows_max * bundle->output_count + 1;
    book->model = model;
    book->options = *options;
    book->header_due = options->style == LP_SCOREBOOK_CSV;
    lp_buffer_init(&book->texts, LP_SCOREBOOK_OUTPUT_MAX_BYTES);
    lp_buffer_init(&book->line, LP_SCOREBOOK_OUTPUT_MAX_BYTES);
    book->rows = calloc((size_t)book->rows_max * bundle->column_count + 1, sizeof *book->rows);
    book->margins = calloc(outputs, sizeof *book->margins);
    book->scores = calloc(outputs, sizeof *book->scores);
    book->observed = calloc((size_t)bundle->feature_count + 1, sizeof *book->observed);
    book->counts = calloc((size_t)bundle->feature_count + 1, sizeof *book->counts);
    if (book->rows == NULL || book->margins == NULL || book->scores == NULL || book->observed == NULL ||
        book->counts == NULL)
        LP_GUARD(lp_fail_memory(err, (size_t)book->rows_max * bundle->column_count * sizeof *book->rows));
    LP_GUARD(lp_infer_new(model->plan, book->rows_max, &book->infer, err));
    *ret_book = book;
    return LP_OK;
out:
    lp_scorebook_free(book);
    return rc;
}

void lp_scorebook_free(struct lp_scorebook *book)
{
    if (book == NULL) return;
    lp_infer_free(book->infer);
    free(book->rows);
    free(book->margins);
    free(book->scores);
    free(book->observed);
    free(book->counts);
    lp_buffer_done(&book->texts);
    lp_buffer_done(&book->line);
    free(book);
}

uint64_t lp_scorebook_records(const struct lp_scorebook *book) { return book->records; }
uint64_t lp_scorebook_rejected(const struct lp_scorebook *book) { return book->rejected; }

/* --- printing --- */

static void print_float(struct lp_buffer *out, float value)
{
    /* A margin may be infinite where its score is 0 or 1; JSON has no word for it. */
    if (isfinite(value)) lp_buffer_float(out, value);
    else lp_buffer_text(out, "null");
}

static void print_csv_text(struct lp_buffer *out, const char *text)
{
    bool plain = text[strcspn(text, ",\"\r\n")] == '\0';
    if (plain) {
        lp_buffer_text(out, text);
        return;
    }
    lp_buffer_text(out, "\"");
    for (; *text != '\0'; text++) lp_buffer_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    lp_buffer_text(out, "\"");
}

static void print_header(struct lp_scorebook *book)
{
    const struct lp_bundle *bundle = book->model->bundle;
    const char *what = book->options.raw ? "margin" : "score";
    for (uint32_t i = 0; i < bundle->output_count; i++) {
        lp_buffer_format(&book->line, "%s%s", i > 0 ? "," : "", what);
        if (bundle->output_count > 1) lp_buffer_format(&book->line, "_%u", i);
    }
    lp_buffer_text(&book->line, has_labels(bundle) ? ",label,error\n" : ",error\n");
}

static const char *label_text(const struct lp_bundle *bundle, int32_t label)
{
    return label >= 0 && (uint32_t)label < bundle->label_count ? bundle->labels[label] : NULL;
}

static void print_csv(struct lp_scorebook *book, const float *shown, int32_t label)
{
    const struct lp_bundle *bundle = book->model->bundle;
    for (uint32_t i = 0; i < bundle->output_count; i++) {
        lp_buffer_text(&book->line, i > 0 ? "," : "");
        lp_buffer_float(&book->line, shown[i]);
    }
    if (has_labels(bundle)) {
        const char *text = label_text(bundle, label);
        lp_buffer_text(&book->line, ",");
        if (text != NULL) print_csv_text(&book->line, text);
        else lp_buffer_format(&book->line, "%d", label);
    }
    lp_buffer_text(&book->line, ",\n");
}

static void print_json(struct lp_scorebook *book, const struct entry *entry, const float *shown, int32_t label)
{
    const struct lp_bundle *bundle = book->model->bundle;
    lp_buffer_text(&book->line, "{\"scores\":[");
    for (uint32_t i = 0; i < bundle->output_count; i++) {
        lp_buffer_text(&book->line, i > 0 ? "," : "");
        print_float(&book->line, shown[i]);
    }
    lp_buffer_text(&book->line, "]");
    if (has_labels(bundle)) {
        const char *text = label_text(bundle, label);
        lp_buffer_text(&book->line, ",\"label\":");
        if (text != NULL) lp_buffer_json_string(&book->line, lp_span_text(text));
        else lp_buffer_format(&book->line, "%d", label);
    }
    if (entry->text_bytes > 0) {
        lp_buffer_text(&book->line, ",\"features\":");
        lp_buffer_append(&book->line, book->texts.data + entry->text, entry->text_bytes);
    }
    lp_buffer_text(&book->line, "}\n");
}

/* A rejected record's line, at the end of `out`. */
static void print_error(const struct lp_scorebook *book, const char *stage, const struct lp_error *why,
                        struct lp_buffer *out)
{
    const struct lp_bundle *bundle = book->model->bundle;
    if (book->options.style == LP_SCOREBOOK_CSV) {
        for (uint32_t i = has_labels(bundle) ? 0 : 1; i <= bundle->output_count; i++) lp_buffer_text(out, ",");
        char text[LP_ERROR_TEXT_BYTES];
        memcpy(text, why->text, sizeof text);
        lp_text_make_safe(text);
        print_csv_text(out, text);
        lp_buffer_text(out, "\n");
        return;
    }
    lp_buffer_format(out, "{\"error\":{\"stage\":\"%s\",\"field\":", stage);
    if (why->field[0] != '\0') lp_buffer_json_string(out, lp_span_text(why->field));
    else lp_buffer_text(out, "null");
    lp_buffer_text(out, ",\"message\":");
    lp_buffer_json_string(out, lp_span_text(why->text));
    lp_buffer_text(out, "}}\n");
}

/* --- the batch --- */

static bool is_full(const struct lp_scorebook *book)
{
    return book->entry_count == LP_SCOREBOOK_ROWS || book->row_count == book->rows_max ||
           book->texts.size > TEXTS_FULL_BYTES;
}

enum lp_code lp_scorebook_reject(struct lp_scorebook *book, const char *stage, const struct lp_error *why,
                                 struct lp_error *err)
{
    if (book->options.strict) {
        struct lp_error first = *why;
        LP_TRY(lp_scorebook_flush(book, err));
        unsigned long long number = book->records + 1;
        bool named = first.field[0] == '\0' || strstr(first.text, first.field) != NULL;
        return lp_fail_field(err, first.code, LP_FATAL, first.field, "record %llu: %s: %s%s%s", number, stage,
                             named ? "" : first.field, named ? "" : ": ", first.text);
    }
    size_t text = book->texts.size;
    print_error(book, stage, why, &book->texts);
    LP_TRY(lp_buffer_check(&book->texts, "the answers of a batch", err));
    book->entries[book->entry_count++] =
        (struct entry){.rejected = true, .text = text, .text_bytes = book->texts.size - text};
    book->records++;
    book->rejected++;
    return is_full(book) ? lp_scorebook_flush(book, err) : LP_OK;
}

enum lp_code lp_scorebook_add(struct lp_scorebook *book, const struct lp_record *record, struct lp_error *err)
{
    const struct lp_model *model = book->model;
    uint32_t missing;
    double *row = book->rows + (size_t)book->row_count * model->bundle->column_count;
    if (book->options.explain) memset(book->counts, 0, model->bundle->feature_count * sizeof *book->counts);
    struct lp_error why;
    if (lp_cleaner_run(model->cleaner, record->numbers, record->texts, row, book->observed, 1, book->counts, &missing,
                       &why) != LP_OK)
        return why.action == LP_SKIP_RECORD ? lp_scorebook_reject(book, "clean", &why, err)
                                            : lp_fail(err, why.code, why.action, "%s", why.text);
    struct entry *entry = &book->entries[book->entry_count];
    *entry = (struct entry){.row = book->row_count, .text = book->texts.size};
    if (book->options.explain) {
        lp_explain(model->bundle, model->feature_slots, record, row, book->observed, book->counts, &book->texts);
        LP_TRY(lp_buffer_check(&book->texts, "the answers of a batch", err));
        entry->text_bytes = book->texts.size - entry->text;
    }
    book->entry_count++;
    book->row_count++;
    book->records++;
    return is_full(book) ? lp_scorebook_flush(book, err) : LP_OK;
}

/* The answer of one scored record; a score that is not finite is a bad record at stage infer, as in `run`. */
static enum lp_code print_entry(struct lp_scorebook *book, const struct entry *entry, struct lp_error *err)
{
    const struct lp_bundle *bundle = book->model->bundle;
    const float *scores = book->scores + (size_t)entry->row * bundle->output_count;
    const float *margins = book->margins + (size_t)entry->row * bundle->output_count;
    struct lp_error why;
    enum lp_code code = lp_model_check_scores(book->model, scores, 1, &why);
    if (code != LP_OK) {
        if (book->options.strict) return lp_fail(err, code, LP_FATAL, "infer: %s", why.text);
        print_error(book, "infer", &why, &book->line);
        book->rejected++;
        return LP_OK;
    }
    const float *shown = book->options.raw ? margins : scores;
    int32_t label = lp_model_label(book->model, scores);
    if (book->options.style == LP_SCOREBOOK_CSV) print_csv(book, shown, label);
    else print_json(book, entry, shown, label);
    return LP_OK;
}

enum lp_code lp_scorebook_flush(struct lp_scorebook *book, struct lp_error *err)
{
    lp_buffer_clear(&book->line);
    if (book->header_due) print_header(book);
    book->header_due = false;
    if (book->row_count > 0) lp_infer_run(book->infer, book->rows, book->row_count, book->margins, book->scores);
    uint64_t first = book->records - book->entry_count + 1;
    enum lp_code rc = LP_OK;
    for (uint32_t i = 0; i < book->entry_count && rc == LP_OK; i++) {
        const struct entry *entry = &book->entries[i];
        if (entry->rejected) lp_buffer_append(&book->line, book->texts.data + entry->text, entry->text_bytes);
        else rc = print_entry(book, entry, err);
        if (rc != LP_OK) rc = lp_error_wrap(err, "record %llu", (unsigned long long)(first + i));
    }
    book->entry_count = 0;
    book->row_count = 0;
    if (rc == LP_OK) rc = lp_buffer_check(&book->line, "the answers of a batch", err);
    if (book->line.size > 0) fwrite(book->line.data, 1, book->line.size, book->options.out);
    lp_buffer_clear(&book->texts);
    return rc;
}
