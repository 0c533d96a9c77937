#include "fit/fit.h"

#include "core/clock.h"
#include "core/utf8.h"
#include "fit/private.h"

#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_CELLS = 1 << 19, BLOCK_ROWS_MIN = 64, BLOCK_ROWS_MAX = 16384 };

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : (uint32_t)count;
}

const char *lp_fit_kind_name(enum lp_fit_kind kind)
{
    static const char *const names[] = {
        [LP_FIT_NUMBER] = "number",     [LP_FIT_CATEGORY] = "category", [LP_FIT_TEXT] = "text",
        [LP_FIT_VECTOR] = "vector",     [LP_FIT_TIME] = "time",         [LP_FIT_IDENTIFIER] = "identifier",
        [LP_FIT_CONSTANT] = "constant", [LP_FIT_LABEL] = "label",       [LP_FIT_DROPPED] = "dropped",
        [LP_FIT_OTHER] = "other",
    };
    return names[kind];
}

enum lp_code lp_fit_warn(struct lp_fit *fit, const char *column, struct lp_error *err, const char *format, ...)
{
    struct lp_fit_warning *grown = realloc(fit->warnings, (fit->warning_count + 1) * sizeof *grown);
    if (grown == NULL) return lp_fail_memory(err, (fit->warning_count + 1) * sizeof *grown);
    fit->warnings = grown;
    struct lp_fit_warning *warning = &fit->warnings[fit->warning_count++];
    va_list args;
    va_start(args, format);
    warning->column = column;
    vsnprintf(warning->text, sizeof warning->text, format, args);
    va_end(args);
    lp_fit_mend_text(warning->text);
    return LP_OK;
}

void lp_fit_mend_text(char *text)
{
    for (size_t left = strlen(text), bytes; left > 0; text += bytes, left -= bytes) {
        bytes = lp_utf8_sequence((const unsigned char *)text, left);
        if (bytes > 0) continue;
        *text = '?';
        bytes = 1;
    }
}

/* Blocks of as many rows as their cells allow; wide data takes few rows at a time. */
static uint32_t rows_of_block(const struct lp_fit *fit)
{
    size_t cells = (size_t)fit->number_count + fit->text_count + 1, rows = BLOCK_CELLS / cells;
    return rows < BLOCK_ROWS_MIN ? BLOCK_ROWS_MIN : rows > BLOCK_ROWS_MAX ? BLOCK_ROWS_MAX : (uint32_t)rows;
}

static enum lp_code scan_all(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_chunk *first,
                             struct lp_error *err)
{
    struct lp_fit_pass pass = {.fit = fit,
                               .options = options,
                               .wants = fit->wants,
                               .want_count = fit->want_count,
                               .number_count = fit->number_count,
                               .text_count = fit->text_count};
    uint32_t *column_of_want = calloc(fit->want_count, sizeof *column_of_want);
    if (column_of_want == NULL) return lp_fail_memory(err, fit->want_count * sizeof *column_of_want);
    for (uint32_t i = 0; i < fit->column_count; i++)
        if (fit->columns[i].want >= 0) column_of_want[fit->columns[i].want] = i;
    pass.column_of_want = column_of_want;
    pass.block_rows = rows_of_block(fit);
    pass.label_want = fit->label >= 0 ? fit->columns[fit->label].want : -1;
    pass.positive = fit->positive;
    enum lp_code rc = lp_repeats_init(&pass.repeats, err);
    if (rc == LP_OK) rc = lp_fit_scan(&pass, first, err);
    if (rc == LP_OK) {
        fit->repeated = lp_repeats_count(&pass.repeats);
        fit->repeated_is_estimate = pass.repeats.shift > 0;
    }
    lp_repeats_done(&pass.repeats);
    free(column_of_want);
    return rc;
}

static enum lp_code close_columns(struct lp_fit *fit, struct lp_error *err)
{
    for (uint32_t i = 0; i < fit->column_count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        if (column->want < 0) continue;
        column->distinct_count = lp_distinct_count(column->distinct);
        if (column->numeric && column->value_count <= LP_FIT_VALUES_MAX) column->distinct_count = column->value_count;
        if (!column->numeric && !column->top.full && column->text_max_bytes <= LP_TOP_TEXT_MAX_BYTES)
            column->distinct_count = column->top.count;
        if (column->moments.count > 0)
            LP_TRY(lp_quantiles_look(&column->quantiles, column->moments.min, column->moments.max, &column->view, err));
    }
    return LP_OK;
}

/* Bad records first: they are most likely why there are no good ones. */
static enum lp_code check_records(const struct lp_fit *fit, const struct lp_fit_options *options, struct lp_error *err)
{
    if (fit->records > 0) return LP_OK;
    if (fit->rejected > 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "none of %llu records is good: %.380s",
                       (unsigned long long)fit->rejected, fit->examples[0].text);
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: has no records", options->path);
}

/* Their counts may be told, their texts not. */
static void forget_hashed(struct lp_fit *fit)
{
    for (uint32_t i = 0; i < fit->column_count; i++) {
        struct lp_top *top = &fit->columns[i].top;
        for (uint32_t k = 0; fit->columns[i].hashed && k < top->count; k++) {
            explicit_bzero(top->entries[k].text, top->entries[k].bytes);
            top->entries[k].bytes = 0;
        }
    }
}

static enum lp_code fit_all(struct lp_fit *fit, const struct lp_fit_options *options, struct lp_chunk *first,
                            struct lp_error *err)
{
    LP_TRY(lp_data_open(options->path, LP_DATA_CHUNK_BYTES, &fit->data, err));
    fit->format = lp_data_format_name(lp_data_format(fit->data));
    fit->file_count = lp_data_file_count(fit->data);
    fit->threads = options->threads > 0 ? options->threads : cpu_count();
    if (fit->threads > LP_FIT_THREADS_MAX) fit->threads = LP_FIT_THREADS_MAX;
    enum lp_code rc = lp_fit_look(fit, options, first, err);
    if (rc != LP_OK) return strstr(err->text, options->path) != NULL ? rc : lp_error_wrap(err, "%s", options->path);
    LP_TRY(scan_all(fit, options, first, err));
    LP_TRY(check_records(fit, options, err));
    LP_TRY(close_columns(fit, err));
    LP_TRY(lp_fit_judge(fit, err));
    if (options->against != NULL) LP_TRY(lp_fit_compare(fit, options->against, err));
    forget_hashed(fit);
    return LP_OK;
}

enum lp_code lp_fit_run(const struct lp_fit_options *options, struct lp_fit **ret_fit, struct lp_error *err)
{
    struct lp_chunk first = {0};
    uint64_t begin_ns = lp_clock_ns();
    struct lp_fit *fit = calloc(1, sizeof *fit);
    if (fit == NULL) return lp_fail_memory(err, sizeof *fit);
    enum lp_code rc = fit_all(fit, options, &first, err);
    lp_chunk_done(&first);
    fit->elapsed_ns = lp_clock_ns() - begin_ns;
    if (rc == LP_OK) *ret_fit = fit;
    else lp_fit_free(fit);
    return rc;
}

void lp_fit_free(struct lp_fit *fit)
{
    if (fit == NULL) return;
    for (uint32_t i = 0; fit->columns != NULL && i < fit->column_count; i++) {
        lp_quantiles_done(&fit->columns[i].quantiles);
        lp_quantiles_view_done(&fit->columns[i].view);
        lp_top_done(&fit->columns[i].top);
        free(fit->columns[i].distinct);
    }
    free(fit->columns);
    json_decref(fit->asked);
    free(fit->looks);
    free(fit->wants);
    free((char *)(uintptr_t)fit->positive);
    free(fit->warnings);
    free(fit->skews);
    lp_data_close(fit->data);
    free(fit);
}

/* --- the label's classes --- */

enum { CLASS_TEXT_BYTES = 32 };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct lp_fit_class *)a)->name, ((const struct lp_fit_class *)b)->name);
}

enum lp_code lp_fit_classes(const struct lp_fit *fit, struct lp_fit_class **ret_classes, uint32_t *ret_count,
                            struct lp_error *err)
{
    *ret_classes = NULL;
    *ret_count = 0;
    if (fit->label < 0) return LP_OK;
    const struct lp_fit_column *label = &fit->columns[fit->label];
    uint32_t count = label->numeric ? label->value_count : label->top.count;
    bool many = label->numeric ? count > LP_FIT_VALUES_MAX || !label->whole : label->top.full;
    if (many || count == 0 || count > LP_FIT_CLASSES_MAX) return LP_OK;
    size_t bytes = count * (sizeof(struct lp_fit_class) + CLASS_TEXT_BYTES);
    for (uint32_t i = 0; !label->numeric && i < count; i++) bytes += label->top.entries[i].bytes + 1;
    struct lp_fit_class *classes = malloc(bytes);
    if (classes == NULL) return lp_fail_memory(err, bytes);
    char *text = (char *)(classes + count);
    for (uint32_t i = 0; i < count; i++) {
        classes[i].name = text;
        if (label->numeric) {
            classes[i].count = label->values[i].count;
            text += snprintf(text, CLASS_TEXT_BYTES, "%.17g", label->values[i].value) + 1;
        } else {
            classes[i].count = label->top.entries[i].count;
            memcpy(text, label->top.entries[i].text, label->top.entries[i].bytes + 1);
            text += label->top.entries[i].bytes + 1;
        }
    }
    if (!label->numeric) qsort(classes, count, sizeof *classes, by_name);
    *ret_classes = classes;
    *ret_count = count;
    return LP_OK;
}
