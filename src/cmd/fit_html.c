/* The report of `lepton fit` as one page: no script, nothing loaded from elsewhere. */
#include "cmd/fit_report.h"
#include "core/buffer.h"
#include "fit/judge.h"
#include "model/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_MAX_BYTES = 256 << 20,
    BARS = 24,
    BAR_WIDTH = 10,
    CHART_HEIGHT = 64,
    WORDS_SHOWN = 8,
    WORD_BYTES = 40,
};

static const char style[] =
    "<style>"
    ":root{--ink:#1c2430;--soft:#5d6b7c;--line:#dfe4ea;--bar:#3b82c4;--page:#fff;--warn:#b45309}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#94a3b5;--line:#303a46;--bar:#5aa2e0;--page:#14191f;"
    "--warn:#f0a848}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.5rem;margin-bottom:0}p.sub{color:var(--soft);margin-top:.2rem}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(17.5rem,1fr));gap:1rem}"
    ".card{border:1px solid var(--line);border-radius:.5rem;padding:.8rem}.card h3{margin:0;font-size:1rem;"
    "overflow-wrap:anywhere}.card.out{opacity:.65}.kind{color:var(--soft);font-size:.85rem}"
    "svg{display:block;width:100%;height:auto;margin:.4rem 0}rect{fill:var(--bar)}text{fill:var(--soft);font-size:9px}"
    "table{border-collapse:collapse;width:100%;font-size:.85rem}td,th{padding:.15rem .4rem;text-align:left;"
    "border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".warn{color:var(--warn)}li{overflow-wrap:anywhere}"
    "</style>\n";

/* What a file said never becomes markup. */
static void put_text(struct lp_buffer *page, const char *text, size_t most)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (i >= most && ((unsigned char)text[i] & 0xc0) != 0x80) { /* between two characters */
            lp_buffer_text(page, "…");
            return;
        }
        switch (text[i]) {
        case '<': lp_buffer_text(page, "&lt;"); break;
        case '>': lp_buffer_text(page, "&gt;"); break;
        case '&': lp_buffer_text(page, "&amp;"); break;
        case '"': lp_buffer_text(page, "&quot;"); break;
        case '\'': lp_buffer_text(page, "&#39;"); break;
        default: lp_buffer_append(page, (unsigned char)text[i] < ' ' ? " " : text + i, 1);
        }
    }
}

static const char *brief(double value, char *text)
{
    *text = 0;
    if (!isnan(value)) snprintf(text, 32, "%.5g", value);
    return text;
}

/* Equal steps between the 0.5 % and the 99.5 % quantile. */
static void put_histogram(struct lp_buffer *page, const struct lp_fit_column *column)
{
    double counts[BARS], most = 0;
    char a[32], b[32];
    double low = lp_quantiles_at(&column->view, 0.005), high = lp_quantiles_at(&column->view, 0.995);
    if (column->view.count == 0) return;
    if (!(high > low)) low = column->moments.min, high = column->moments.max;
    if (!(high > low) || !isfinite(high - low)) return;
    for (int i = 0; i < BARS; i++) {
        double from = low + (high - low) * i / BARS, upto = low + (high - low) * (i + 1) / BARS;
        if (i == BARS - 1) upto = nextafter(high, INFINITY);
        counts[i] = lp_quantiles_below(&column->view, upto) - lp_quantiles_below(&column->view, from);
        most = fmax(most, counts[i]);
    }
    lp_buffer_format(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram\">", BARS * BAR_WIDTH,
                     CHART_HEIGHT + 12);
    for (int i = 0; i < BARS; i++) {
        double height = most > 0 ? CHART_HEIGHT * counts[i] / most : 0;
        if (counts[i] > 0 && height < 1) height = 1;
        lp_buffer_format(page, "<rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"><title>%.0f</title></rect>",
                         i * BAR_WIDTH, CHART_HEIGHT - height, BAR_WIDTH - 1, height, counts[i]);
    }
    lp_buffer_format(page,
                     "<text x=\"0\" y=\"%d\">%s</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text></svg>\n",
                     CHART_HEIGHT + 10, brief(low, a), BARS * BAR_WIDTH, CHART_HEIGHT + 10, brief(high, b));
}

static void put_words(struct lp_buffer *page, const struct lp_fit_column *column)
{
    const struct lp_top_entry **top = lp_top_sorted(&column->top);
    lp_buffer_text(page, "<table>");
    for (uint32_t i = 0; top != NULL && i < column->top.count && i < WORDS_SHOWN; i++) {
        double share = 100.0 * (double)top[i]->count / (double)column->seen;
        lp_buffer_text(page, "<tr><td>");
        put_text(page, top[i]->text, WORD_BYTES);
        lp_buffer_format(page,
                         "</td><td class=\"n\">%.2g %%</td><td><svg viewBox=\"0 0 60 8\" style=\"margin:0\"><rect "
                         "width=\"%.1f\" height=\"8\"/></svg></td></tr>",
                         share, 0.6 * share);
    }
    lp_buffer_text(page, "</table>\n");
    free(top);
}

static void put_row(struct lp_buffer *page, const char *name, double value)
{
    char text[32];
    if (!isnan(value)) lp_buffer_format(page, "<tr><th>%s</th><td class=\"n\">%s</td></tr>", name, brief(value, text));
}

static void put_figures(struct lp_buffer *page, const struct lp_fit *fit, const struct lp_fit_column *column)
{
    lp_buffer_text(page, "<table>");
    if (column->numeric && column->moments.count > 0) {
        put_row(page, "mean", lp_moments_mean(&column->moments));
        put_row(page, "std", lp_moments_std(&column->moments));
        put_row(page, "min", column->moments.min);
        put_row(page, "5 %", lp_quantiles_at(&column->view, 0.05));
        put_row(page, "median", lp_quantiles_at(&column->view, 0.5));
        put_row(page, "95 %", lp_quantiles_at(&column->view, 0.95));
        put_row(page, "max", column->moments.max);
    }
    put_row(page, "distinct", round(column->distinct_count));
    put_row(page, "missing %", 100.0 * (double)column->missing / (double)fit->records);
    put_row(page, "correlation with the label", lp_fit_correlation(fit, column));
    lp_buffer_text(page, "</table>");
}

static void put_column(struct lp_buffer *page, const struct lp_fit *fit, const struct lp_fit_column *column)
{
    bool used = lp_fit_is_feature(column->kind) || column->kind == LP_FIT_LABEL;
    lp_buffer_format(page, "<div class=\"card%s\"><h3>", used ? "" : " out");
    put_text(page, column->path, 200);
    lp_buffer_format(page, "</h3><span class=\"kind\">%s: ", lp_fit_kind_name(column->kind));
    put_text(page, column->reason, LP_FIT_REASON_BYTES);
    lp_buffer_text(page, "</span>");
    if (column->want >= 0) {
        if (column->numeric) put_histogram(page, column);
        else if (!column->hashed) put_words(page, column);
        put_figures(page, fit, column);
    }
    lp_buffer_text(page, "</div>\n");
}

static enum lp_code put_classes(struct lp_buffer *page, const struct lp_fit *fit, struct lp_error *err)
{
    struct lp_fit_class *classes;
    uint32_t count;
    LP_TRY(lp_fit_classes(fit, &classes, &count, err));
    if (count > 0) lp_buffer_text(page, "<h2>Label</h2><table>");
    for (uint32_t i = 0; i < count; i++) {
        lp_buffer_text(page, "<tr><td>");
        put_text(page, classes[i].name, WORD_BYTES);
        lp_buffer_format(page, "</td><td class=\"n\">%llu</td><td class=\"n\">%.2f %%</td></tr>",
                         (unsigned long long)classes[i].count, 100.0 * (double)classes[i].count / (double)fit->records);
    }
    if (count > 0) lp_buffer_text(page, "</table>\n");
    free(classes);
    return LP_OK;
}

static void put_warnings(struct lp_buffer *page, const struct lp_fit *fit)
{
    if (fit->warning_count > 0) lp_buffer_text(page, "<h2>Warnings</h2><ul class=\"warn\">");
    for (uint32_t i = 0; i < fit->warning_count; i++) {
        lp_buffer_text(page, "<li>");
        if (fit->warnings[i].column != NULL) {
            lp_buffer_text(page, "<b>");
            put_text(page, fit->warnings[i].column, 200);
            lp_buffer_text(page, "</b> ");
        }
        put_text(page, fit->warnings[i].text, LP_ERROR_TEXT_BYTES);
        lp_buffer_text(page, "</li>");
    }
    if (fit->warning_count > 0) lp_buffer_text(page, "</ul>\n");
}

static void put_skews(struct lp_buffer *page, const struct lp_fit *fit)
{
    char text[32];
    if (fit->skew_count == 0) return;
    lp_buffer_text(page, "<h2>Against the earlier spec</h2><table><tr><th>column</th><th class=\"n\">PSI</th>"
                         "<th class=\"n\">missing</th><th class=\"n\">before</th><th></th></tr>");
    for (uint32_t i = 0; i < fit->skew_count; i++) {
        const struct lp_fit_skew *skew = &fit->skews[i];
        lp_buffer_text(page, "<tr><td>");
        put_text(page, skew->column, 200);
        lp_buffer_format(page, "</td><td class=\"n\">%s</td>", brief(skew->psi, text));
        lp_buffer_format(page, "<td class=\"n\">%s %%</td>", brief(100 * skew->missing_now, text));
        lp_buffer_format(page, "<td class=\"n\">%s %%</td><td>%s</td></tr>", brief(100 * skew->missing_before, text),
                         skew->verdict);
    }
    lp_buffer_text(page, "</table>\n");
}

enum lp_code lp_fit_report_html(const struct lp_fit *fit, const char *path, const char *to, struct lp_error *err)
{
    struct lp_buffer page;
    enum lp_code rc;
    lp_buffer_init(&page, PAGE_MAX_BYTES);
    lp_buffer_text(&page, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                          "content=\"width=device-width\"><title>");
    put_text(&page, path, 200);
    lp_buffer_text(&page, "</title>");
    lp_buffer_text(&page, style);
    lp_buffer_text(&page, "</head><body><h1>");
    put_text(&page, path, 200);
    lp_buffer_format(&page, "</h1><p class=\"sub\">%s, %llu records, %u columns, %.1f MB, read in %.2f s</p>\n",
                     fit->format, (unsigned long long)fit->records, fit->column_count, (double)fit->bytes / 1e6,
                     (double)fit->elapsed_ns / 1e9);
    put_warnings(&page, fit);
    LP_GUARD(put_classes(&page, fit, err));
    put_skews(&page, fit);
    lp_buffer_text(&page, "<h2>Columns</h2><div class=\"cards\">\n");
    for (uint32_t i = 0; i < fit->column_count; i++) put_column(&page, fit, &fit->columns[i]);
    lp_buffer_text(&page, "</div></body></html>\n");
    LP_GUARD(lp_buffer_check(&page, "the page", err));
    rc = lp_bundle_save(to, lp_buffer_span(&page), err);
out:
    lp_buffer_done(&page);
    return rc;
}
