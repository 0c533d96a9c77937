/* Skew: the data against the baselines of an earlier spec, in that spec's bins. */
#include "fit/private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As drift's: an empty bin stays finite. */
static const double epsilon = 1e-4, psi_shifted = 0.1, psi_moved = 0.25, missing_moved = 0.05;

static double psi_of(const double *now, const json_t *before, size_t bins)
{
    double sum_now = 0, sum_before = 0, psi = 0;
    for (size_t i = 0; i < bins; i++) {
        sum_now += now[i];
        sum_before += json_number_value(json_array_get(before, i));
    }
    if (!(sum_now > 0) || !(sum_before > 0)) return NAN;
    for (size_t i = 0; i < bins; i++) {
        double p = fmax(now[i] / sum_now, epsilon);
        double q = fmax(json_number_value(json_array_get(before, i)) / sum_before, epsilon);
        psi += (p - q) * log(p / q);
    }
    return psi;
}

static double compare_number(const struct lp_fit_column *column, const json_t *edges, const json_t *counts,
                             double *bins)
{
    size_t edge_count = json_array_size(edges);
    double below = 0;
    if (json_array_size(counts) != edge_count + 1 || column->view.count == 0) return NAN;
    for (size_t i = 0; i <= edge_count; i++) {
        double upto = i < edge_count ? lp_quantiles_below(&column->view, json_number_value(json_array_get(edges, i)))
                                     : (double)column->view.total;
        bins[i] = upto > below ? upto - below : 0;
        below = upto > below ? upto : below;
    }
    return psi_of(bins, counts, edge_count + 1);
}

static double compare_category(const struct lp_fit_column *column, const json_t *feature, const json_t *counts,
                               double *bins)
{
    const json_t *vocabulary = json_object_get(json_object_get(feature, "encode"), "vocabulary");
    size_t known = json_array_size(vocabulary), index;
    const json_t *word;
    double rest = (double)column->seen;
    if (known == 0 || json_array_size(counts) != known + 1) return NAN;
    json_array_foreach(vocabulary, index, word)
    {
        bins[index] = 0;
        for (uint32_t i = 0; i < column->top.count; i++) {
            const struct lp_top_entry *entry = &column->top.entries[i];
            if (strcmp(entry->text, json_string_value(word) != NULL ? json_string_value(word) : "") == 0)
                bins[index] = (double)entry->count;
        }
        rest -= bins[index];
    }
    bins[known] = rest > 0 ? rest : 0;
    return psi_of(bins, counts, known + 1);
}

static enum lp_code compare_column(const struct lp_fit *fit, const struct lp_fit_column *column, const json_t *feature,
                                   struct lp_fit_skew *skew, struct lp_error *err)
{
    const json_t *baseline = json_object_get(feature, "baseline"), *counts = json_object_get(baseline, "counts");
    double *bins = calloc(json_array_size(counts) + 1, sizeof *bins);
    if (bins == NULL) return lp_fail_memory(err, json_array_size(counts) * sizeof *bins);
    skew->column = column->path;
    skew->missing_before = json_number_value(json_object_get(baseline, "missing_rate"));
    skew->missing_now = (double)column->missing / (double)fit->records;
    skew->psi = NAN;
    if (baseline != NULL && column->want >= 0)
        skew->psi = column->numeric ? compare_number(column, json_object_get(baseline, "edges"), counts, bins)
                                    : compare_category(column, feature, counts, bins);
    free(bins);
    bool gaps = fabs(skew->missing_now - skew->missing_before) > missing_moved;
    skew->verdict = skew->psi >= psi_moved || gaps ? "moved" : skew->psi >= psi_shifted ? "shifted" : "stable";
    if (isnan(skew->psi) && !gaps) skew->verdict = "not compared";
    return LP_OK;
}

static enum lp_code add(struct lp_fit *fit, struct lp_fit_skew **ret_skew, struct lp_error *err)
{
    struct lp_fit_skew *grown = realloc(fit->skews, (fit->skew_count + 1) * sizeof *grown);
    if (grown == NULL) return lp_fail_memory(err, (fit->skew_count + 1) * sizeof *grown);
    fit->skews = grown;
    *ret_skew = &fit->skews[fit->skew_count++];
    **ret_skew = (struct lp_fit_skew){.psi = NAN, .missing_before = NAN, .missing_now = NAN};
    return LP_OK;
}

/* Features of the data that the earlier spec does not have. */
static enum lp_code add_new(struct lp_fit *fit, const bool *known, struct lp_error *err)
{
    struct lp_fit_skew *skew;
    for (uint32_t i = 0; i < fit->column_count; i++) {
        if (known[i] || !lp_fit_is_feature(fit->columns[i].kind)) continue;
        LP_TRY(add(fit, &skew, err));
        skew->column = fit->columns[i].path;
        skew->missing_now = (double)fit->columns[i].missing / (double)fit->records;
        skew->verdict = "new";
    }
    return LP_OK;
}

static enum lp_code compare_all(struct lp_fit *fit, const json_t *against, bool *known, struct lp_error *err)
{
    size_t index;
    const json_t *feature;
    json_array_foreach(json_object_get(against, "features"), index, feature)
    {
        const char *from = json_string_value(json_object_get(feature, "from"));
        struct lp_fit_skew *skew;
        const struct lp_fit_column *column = NULL;
        if (from == NULL) from = json_string_value(json_object_get(feature, "name"));
        for (uint32_t i = 0; from != NULL && i < fit->column_count; i++)
            if (strcmp(fit->columns[i].path, from) == 0) column = &fit->columns[i];
        LP_TRY(add(fit, &skew, err));
        if (column != NULL) {
            known[column - fit->columns] = true;
            LP_TRY(compare_column(fit, column, feature, skew, err));
        } else {
            skew->column = from;
            skew->verdict = "absent";
        }
        if (strcmp(skew->verdict, "moved") == 0 || strcmp(skew->verdict, "absent") == 0)
            LP_TRY(lp_fit_warn(fit, skew->column, err,
                               "against the earlier spec: %s (PSI %.3f, missing %.1f %% -> %.1f %%)", skew->verdict,
                               skew->psi, 100 * skew->missing_before, 100 * skew->missing_now));
    }
    return add_new(fit, known, err);
}

enum lp_code lp_fit_compare(struct lp_fit *fit, const json_t *against, struct lp_error *err)
{
    if (!json_is_array(json_object_get(against, "features")))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec to compare with has no array `features`");
    bool *known = calloc(fit->column_count, sizeof *known);
    if (known == NULL) return lp_fail_memory(err, fit->column_count * sizeof *known);
    enum lp_code rc = compare_all(fit, against, known, err);
    free(known);
    return rc;
}
