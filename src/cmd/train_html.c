/* The curves of a training as one HTML page with its pictures inside: no script, nothing from elsewhere. */
#include "cmd/train_view.h"

#include "model/write.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 260, LEFT = 70, RIGHT = 20, TOP = 24, BOTTOM = 36, TICKS = 5 };

struct curve {
    const char *name, *color;
    int metric; /* -1: the training loss */
};

static double value_at(const struct lp_train_epoch *epoch, int metric)
{
    return metric < 0 ? epoch->train_loss : lp_metrics_at(&epoch->valid, metric);
}

static void put_text(struct lp_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<') lp_buffer_text(out, "&lt;");
        else if (*text == '&') lp_buffer_text(out, "&amp;");
        else lp_buffer_append(out, text, 1);
    }
}

static void put_axes(struct lp_buffer *out, double low, double high, uint32_t epochs)
{
    for (int i = 0; i <= TICKS; i++) {
        double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - (double)i / TICKS);
        lp_buffer_format(out,
                         "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/><text x='%d' y='%.1f' "
                         "text-anchor='end'>%.4g</text>",
                         LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, low + (high - low) * i / TICKS);
    }
    lp_buffer_format(out, "<text x='%d' y='%d'>1</text><text x='%d' y='%d' text-anchor='end'>epoch %u</text>", LEFT,
                     HEIGHT - 14, WIDTH - RIGHT, HEIGHT - 14, epochs);
}

static void put_curve(struct lp_buffer *out, const struct lp_job_result *result, const struct curve *curve, double low,
                      double high, int index)
{
    uint32_t n = result->epoch_count;
    lp_buffer_format(out, "<polyline fill='none' stroke-width='2' stroke='%s' points='", curve->color);
    for (uint32_t i = 0; i < n; i++) {
        double value = value_at(&result->history[i], curve->metric);
        double x = LEFT + (WIDTH - LEFT - RIGHT) * (n > 1 ? (double)i / (n - 1) : 0.5);
        double y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
        if (isfinite(value)) lp_buffer_format(out, "%.1f,%.1f ", x, y);
    }
    lp_buffer_format(out, "'/><text x='%d' y='16' fill='%s'>%s</text>", LEFT + 160 * index, curve->color, curve->name);
}

static void put_plot(struct lp_buffer *out, const struct lp_job_result *result, const struct curve *curves, int count)
{
    double low = INFINITY, high = -INFINITY;
    for (uint32_t i = 0; i < result->epoch_count; i++)
        for (int c = 0; c < count; c++) {
            double value = value_at(&result->history[i], curves[c].metric);
            if (isfinite(value)) low = fmin(low, value);
            if (isfinite(value)) high = fmax(high, value);
        }
    if (!(high >= low)) return;
    double room = high > low ? 0.05 * (high - low) : 0.5;
    low -= room;
    high += room;
    lp_buffer_format(out, "<svg viewBox='0 0 %d %d' width='%d' height='%d' role='img'>", WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_axes(out, low, high, result->epoch_count);
    for (int c = 0; c < count; c++) put_curve(out, result, &curves[c], low, high, c);
    double kept = LEFT + (WIDTH - LEFT - RIGHT) *
                             (result->epoch_count > 1 ? (result->kept_epoch - 1.0) / (result->epoch_count - 1) : 0.5);
    if (result->kept_epoch > 0)
        lp_buffer_format(out, "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='#888' stroke-dasharray='4 3'/>", kept,
                         kept, TOP, HEIGHT - BOTTOM);
    lp_buffer_text(out, "</svg>\n");
}

enum lp_code lp_train_view_html(const struct lp_job_result *result, const char *data, const char *path,
                                struct lp_error *err)
{
    static const struct curve losses[] = {{"training loss", "#1f77b4", -1}, {"validation loss", "#d62728", 0}};
    struct lp_buffer out;
    lp_buffer_init(&out, SIZE_MAX / 2);
    lp_buffer_text(&out, "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>lepton train: ");
    put_text(&out, data);
    lp_buffer_text(&out, "</title><style>body{font:14px sans-serif;max-width:700px;margin:2em auto;color:#222}"
                         "svg text{font:12px sans-serif;fill:#444}td,th{padding:2px 12px 2px 0;text-align:right}"
                         "</style></head><body><h1>");
    put_text(&out, data);
    lp_buffer_format(&out, "</h1><p>%u rows to learn from, %u validate; %u parameters; kept epoch %u of %u.</p>\n",
                     result->train_rows, result->valid_rows, result->parameter_count, result->kept_epoch,
                     result->epoch_count);
    put_plot(&out, result, losses, 2);
    for (int m = 1; m < LP_METRICS_COUNT; m++) {
        const struct curve curve = {lp_metrics_names[m], "#2ca02c", m};
        put_plot(&out, result, &curve, 1);
    }
    lp_buffer_text(&out, "<table><tr><th>measure</th><th>kept weights</th></tr>\n");
    for (int m = 0; m < LP_METRICS_COUNT; m++)
        if (isfinite(lp_metrics_at(&result->valid, m)))
            lp_buffer_format(&out, "<tr><td>%s</td><td>%.6g</td></tr>\n", lp_metrics_names[m],
                             lp_metrics_at(&result->valid, m));
    lp_buffer_text(&out, "</table></body></html>\n");
    enum lp_code rc = lp_buffer_check(&out, "the report", err);
    if (rc == LP_OK) rc = lp_bundle_save(path, lp_buffer_span(&out), err);
    lp_buffer_done(&out);
    return rc;
}
