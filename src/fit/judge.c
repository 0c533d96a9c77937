/* What the statistics say about each column: its kind, and what a person should know. */
#include "fit/judge.h"

#include "fit/private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ENOUGH = 100 }; /* values before a share of them says something */

static const double identifier_share = 0.95, text_words_min = 3, leak_correlation = 0.98, rare_class = 0.01,
                    mostly_missing = 0.5, mostly_numbers = 0.5, refused_share = 0.05;

static void set_kind(struct lp_fit_column *column, enum lp_fit_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void set_kind(struct lp_fit_column *column, enum lp_fit_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    column->kind = kind;
    vsnprintf(column->reason, sizeof column->reason, format, args);
    va_end(args);
    lp_fit_mend_text(column->reason);
}

static bool ends_with_id(const char *path)
{
    size_t length = strlen(path);
    return length >= 2 && strcasecmp(path + length - 2, "id") == 0;
}

/* Nearly every value is another one, and they number the records or are named so. */
static bool numbers_records(const struct lp_fit_column *column)
{
    if (!column->whole || column->seen < ENOUGH) return false;
    if (column->distinct_count < identifier_share * (double)column->seen) return false;
    double span = column->moments.max - column->moments.min + 1;
    return ends_with_id(column->path) || span <= 1.05 * (double)column->seen;
}

static void judge_number(struct lp_fit_column *column)
{
    if (column->moments.min == column->moments.max && column->moments.count > 0 && column->missing == 0)
        set_kind(column, LP_FIT_CONSTANT, "always %.12g", column->moments.min);
    else if (column->kind == LP_FIT_NUMBER && numbers_records(column))
        set_kind(column, LP_FIT_IDENTIFIER, "whole numbers, nearly each another one: it numbers the records");
}

static void judge_text(struct lp_fit_column *column)
{
    double seen = (double)column->seen, words = (double)column->text_words / seen;
    bool unique = column->seen >= ENOUGH && column->distinct_count >= identifier_share * seen;
    if (column->distinct_count <= 1 && column->missing == 0)
        set_kind(column, LP_FIT_CONSTANT, "always `%.40s`", column->top.count > 0 ? column->top.entries[0].text : "");
    else if (words >= text_words_min && column->distinct_count > 0.3 * seen && column->distinct_count > 20)
        set_kind(column, LP_FIT_TEXT, "%.1f words on average, most texts occur once", words);
    else if (unique)
        set_kind(column, LP_FIT_IDENTIFIER, "nearly each value another one, of %.1f words: it names the record", words);
}

static void judge_column(struct lp_fit_column *column)
{
    if (column->seen == column->infinite_low + column->infinite_high)
        set_kind(column, LP_FIT_CONSTANT, column->seen == 0 ? "no value in any record" : "infinite in every record");
    else if (column->numeric) judge_number(column);
    else judge_text(column);
}

/* --- the label --- */

/* How much of the label's variance a category's values explain: eta squared, in 0 to 1. */
static double explained(const struct lp_fit_column *column, double label_mean, double label_m2)
{
    double between = 0;
    if (column->top.full || !(label_m2 > 0)) return NAN;
    for (uint32_t i = 0; i < column->top.count; i++) {
        const struct lp_top_entry *entry = &column->top.entries[i];
        double n = (double)entry->count, d = entry->sum / n - label_mean;
        between += n * d * d;
    }
    return between / label_m2;
}

bool lp_fit_label_sums(const struct lp_fit *fit, double *ret_mean, double *ret_m2)
{
    if (fit->label < 0) return false;
    const struct lp_fit_column *label = &fit->columns[fit->label];
    if (label->numeric) {
        *ret_mean = lp_moments_mean(&label->moments);
        *ret_m2 = (double)label->moments.m2;
        return label->moments.count > 0;
    }
    if (fit->positive == NULL || fit->records == 0) return false;
    double positive = 0, n = (double)fit->records;
    for (uint32_t i = 0; i < label->top.count; i++)
        if (strcmp(label->top.entries[i].text, fit->positive) == 0) positive = (double)label->top.entries[i].count;
    *ret_mean = positive / n;
    *ret_m2 = positive * (1 - positive / n);
    return true;
}

double lp_fit_correlation(const struct lp_fit *fit, const struct lp_fit_column *column)
{
    double mean, m2;
    if (!lp_fit_label_sums(fit, &mean, &m2) || column == &fit->columns[fit->label] || column->want < 0) return NAN;
    if (column->numeric) return column->width == 1 ? lp_comoments_correlation(&column->with_label) : NAN;
    return sqrt(explained(column, mean, m2));
}

static enum lp_code warn_of_label(struct lp_fit *fit, struct lp_error *err)
{
    struct lp_fit_class *classes;
    uint32_t count;
    if (fit->label < 0) return LP_OK;
    struct lp_fit_column *label = &fit->columns[fit->label];
    LP_TRY(lp_fit_classes(fit, &classes, &count, err));
    enum lp_code rc = LP_OK;
    if (count == 1)
        rc =
            lp_fit_warn(fit, label->path, err, "the label is always %.64s: there is nothing to learn", classes[0].name);
    else if (label->numeric && label->moments.min == label->moments.max)
        rc = lp_fit_warn(fit, label->path, err, "the label is always %.12g: there is nothing to learn",
                         label->moments.min);
    for (uint32_t i = 0; rc == LP_OK && count > 1 && i < count; i++)
        if ((double)classes[i].count < rare_class * (double)fit->records)
            rc = lp_fit_warn(fit, label->path, err, "class %.64s has %llu of %llu records (%.2g %%)", classes[i].name,
                             (unsigned long long)classes[i].count, (unsigned long long)fit->records,
                             100.0 * (double)classes[i].count / (double)fit->records);
    free(classes);
    return rc;
}

/* --- warnings --- */

/* So many that the look at the first records would have made it another kind. */
static enum lp_code warn_of_refused(struct lp_fit *fit, const struct lp_fit_column *column, struct lp_error *err)
{
    uint64_t all = fit->records + fit->rejected;
    if (column->refused == 0 || (double)column->refused < refused_share * (double)all) return LP_OK;
    return lp_fit_warn(fit, column->path, err,
                       "is a %s by the first records, but %llu of %llu records have something else there and are left "
                       "out: give it \"kind\": \"category\" in a --spec, or --drop it",
                       lp_fit_kind_name(column->kind), (unsigned long long)column->refused, (unsigned long long)all);
}

static enum lp_code warn_of_column(struct lp_fit *fit, struct lp_fit_column *column, struct lp_error *err)
{
    double rate = (double)column->missing / (double)fit->records;
    double correlation = lp_fit_correlation(fit, column);
    if (column->kind == LP_FIT_CONSTANT) return lp_fit_warn(fit, column->path, err, "%s: left out", column->reason);
    if (fabs(correlation) >= leak_correlation && column->kind != LP_FIT_IDENTIFIER &&
        column->distinct_count < 0.5 * (double)fit->records + 2)
        LP_TRY(lp_fit_warn(fit, column->path, err,
                           "tells the label by itself (correlation %.4f): is it known before the label is? --drop it "
                           "if not",
                           correlation));
    else if (column->numeric && fabs(correlation) >= leak_correlation)
        LP_TRY(lp_fit_warn(fit, column->path, err, "is nearly the label (correlation %.4f): is it known before it?",
                           correlation));
    double gaps = column->numeric && column->width == 1 ? lp_comoments_correlation(&column->missing_label) : NAN;
    if (fabs(gaps) >= leak_correlation)
        LP_TRY(lp_fit_warn(fit, column->path, err,
                           "is missing or not as the label says (correlation %.4f): is it known before the label is?",
                           gaps));
    if (column->numeric && column->gap[0] != '\0')
        LP_TRY(lp_fit_warn(fit, column->path, err, "`%s` among its numbers counts as missing", column->gap));
    if (!column->numeric && !column->forced && column->number_share >= mostly_numbers)
        LP_TRY(lp_fit_warn(fit, column->path, err,
                           "has numbers in %.3g %% of the first records, texts in the others, and so is a %s: give it "
                           "\"kind\": \"number\" in a --spec if those are mistakes",
                           100 * column->number_share, lp_fit_kind_name(column->kind)));
    if (rate > mostly_missing && column->kind != LP_FIT_IDENTIFIER)
        LP_TRY(lp_fit_warn(fit, column->path, err, "is missing in %.1f %% of the records", 100 * rate));
    uint64_t infinite = column->infinite_low + column->infinite_high;
    if (infinite > 0)
        LP_TRY(
            lp_fit_warn(fit, column->path, err, "%llu infinite values, in no statistic", (unsigned long long)infinite));
    return LP_OK;
}

enum lp_code lp_fit_judge(struct lp_fit *fit, struct lp_error *err)
{
    for (uint32_t i = 0; i < fit->column_count; i++) {
        struct lp_fit_column *column = &fit->columns[i];
        if ((int32_t)i == fit->label) set_kind(column, LP_FIT_LABEL, "as told");
        else if (column->want >= 0 && !column->forced) judge_column(column);
    }
    if (fit->rejected > 0)
        LP_TRY(lp_fit_warn(fit, NULL, err, "%llu of %llu records are bad and left out: %.300s",
                           (unsigned long long)fit->rejected, (unsigned long long)(fit->rejected + fit->records),
                           fit->examples[0].text));
    for (uint32_t i = 0; i < fit->column_count; i++) LP_TRY(warn_of_refused(fit, &fit->columns[i], err));
    if (fit->repeated > 0)
        LP_TRY(lp_fit_warn(fit, NULL, err, "%s%.0f records repeat an earlier one (%.2g %%)",
                           fit->repeated_is_estimate ? "about " : "", fit->repeated,
                           100 * fit->repeated / (double)fit->records));
    uint32_t features = 0;
    for (uint32_t i = 0; i < fit->column_count; i++) features += lp_fit_is_feature(fit->columns[i].kind);
    if (features == 0) LP_TRY(lp_fit_warn(fit, NULL, err, "no column is a feature: there is nothing to learn from"));
    LP_TRY(warn_of_label(fit, err));
    for (uint32_t i = 0; i < fit->column_count; i++)
        if ((int32_t)i != fit->label && fit->columns[i].want >= 0) LP_TRY(warn_of_column(fit, &fit->columns[i], err));
    return LP_OK;
}
