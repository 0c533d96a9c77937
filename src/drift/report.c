/* Merged counts -> bins, statistics and severities. */
#include "drift/window.h"

#include <math.h>

static void fill_bins(const struct lp_drift_item *item, const uint64_t *cells, uint64_t *bins)
{
    const uint64_t *counted = cells + LP_CELL_BINS;
    uint32_t bin_count = item->baseline->bin_count;
    if (item->is_category) {
        for (uint32_t i = 0; i < bin_count; i++) bins[i] = counted[i];
        return;
    }
    uint64_t above = cells[LP_CELL_PRESENT];
    for (uint32_t i = 0; i + 1 < bin_count; i++) {
        bins[i] = above - counted[i];
        above = counted[i];
    }
    bins[bin_count - 1] = above;
}

static void add_statistic(struct lp_drift_report *report, const char *name, double value, double warn, double alert)
{
    enum lp_severity severity = value >= alert ? LP_SEVERITY_ALERT : value >= warn ? LP_SEVERITY_WARN : LP_SEVERITY_OK;
    report->statistics[report->statistic_count++] = (struct lp_drift_statistic){
        .name = name, .value = value, .threshold = severity == LP_SEVERITY_ALERT ? alert : warn, .severity = severity};
    if (severity > report->severity) report->severity = severity;
}

static void add_rate(struct lp_drift_report *report, const struct lp_drift_options *options, const char *name,
                     uint64_t count, double reference)
{
    double base = reference >= 0 && reference <= 1 ? reference : 0;
    /* Clipped and unknown come by batch: one that spans two windows may give a window more than its rows. */
    double rate = fmin((double)count / (double)report->rows, 1);
    add_statistic(report, name, rate, base + options->rate_warn, base + options->rate_alert);
}

static void add_statistics(const struct lp_drift_options *options, const struct lp_drift_item *item, uint64_t present,
                           struct lp_drift_report *report)
{
    const uint64_t min_rows = options->min_rows > 1 ? (uint64_t)options->min_rows : 1;
    if (report->rows < min_rows) return;
    /* Shares of a few values say nothing, however many rows there are: the missing rate says it. */
    if (present >= min_rows) {
        const struct lp_baseline *baseline = item->baseline;
        add_statistic(report, "psi", lp_drift_psi(report->counts, baseline->counts, baseline->bin_count),
                      options->psi_warn, options->psi_alert);
        if (!item->is_category) /* the order of categories means nothing */
            add_statistic(report, "ks", lp_drift_ks(report->counts, baseline->counts, baseline->bin_count),
                          options->ks_warn, options->ks_alert);
        add_statistic(report, "js", lp_drift_js(report->counts, baseline->counts, baseline->bin_count),
                      options->js_warn, options->js_alert);
    }
    add_rate(report, options, "missing_rate", report->missing, item->baseline->missing_rate);
    if (item->may_clip) add_rate(report, options, "clipped_rate", report->clipped, 0);
    if (item->is_category) add_rate(report, options, "unknown_rate", report->unknown, 0);
}

void lp_drift_fill_report(const struct lp_drift_layout *layout, const struct lp_drift_options *options,
                          const struct lp_drift_item *item, const struct lp_drift_window *window, uint64_t *bins,
                          struct lp_drift_report *report)
{
    const uint64_t *cells = window->cells + item->cell;
    int64_t start_ms = window->number * layout->window_ms, end_ms;
    if (__builtin_add_overflow(start_ms, layout->window_ms, &end_ms)) end_ms = INT64_MAX;
    fill_bins(item, cells, bins);
    *report = (struct lp_drift_report){.feature = item->name,
                                       .window_start_ms = start_ms,
                                       .window_end_ms = end_ms,
                                       .rows = window->rows,
                                       .missing = window->rows - cells[LP_CELL_PRESENT],
                                       .clipped = cells[LP_CELL_CLIPPED],
                                       .unknown = cells[LP_CELL_UNKNOWN],
                                       .bin_count = item->baseline->bin_count,
                                       .counts = bins,
                                       .reference_counts = item->baseline->counts,
                                       .edge_count = item->baseline->edge_count,
                                       .edges = item->baseline->edges};
    add_statistics(options, item, cells[LP_CELL_PRESENT], report);
}
