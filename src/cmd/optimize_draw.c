/* The frontier as a picture: no script, nothing from elsewhere. */
#include "cmd/optimize_view.h"

#include "core/buffer.h"
#include "model/write.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 800, HEIGHT = 440, LEFT = 90, RIGHT = 190, TOP = 40, BOTTOM = 50, TICKS = 5, LINE = 13 };

struct axes {
    double low_x, high_x, low_y, high_y;
};

static void put_text(struct lp_buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<') lp_buffer_text(out, "&lt;");
        else if (*text == '&') lp_buffer_text(out, "&amp;");
        else if ((unsigned char)*text < ' ') lp_buffer_text(out, "?");
        else lp_buffer_append(out, text, 1);
    }
}

static bool is_drawn(const struct lp_variant *v) { return isfinite(v->speed.ns); }

/* The loss that the interval of the difference leads to. */
static double low_of(const struct lp_optimized *o, const struct lp_variant *v)
{
    double low = o->variants[0].judged.quality.loss + v->differences.loss.low;
    return isfinite(low) ? low : v->judged.quality.loss;
}

static double high_of(const struct lp_optimized *o, const struct lp_variant *v)
{
    double high = o->variants[0].judged.quality.loss + v->differences.loss.high;
    return isfinite(high) ? high : v->judged.quality.loss;
}

static struct axes find_axes(const struct lp_optimized *o)
{
    struct axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (uint32_t i = 0; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if (!is_drawn(v)) continue;
        a.low_x = fmin(a.low_x, v->speed.ns);
        a.high_x = fmax(a.high_x, v->speed.ns);
        /* What was only measured may be far off: it must not flatten the rest. */
        if (!v->candidate) continue;
        a.low_y = fmin(a.low_y, low_of(o, v));
        a.high_y = fmax(a.high_y, high_of(o, v));
    }
    double room = a.high_y > a.low_y ? 0.1 * (a.high_y - a.low_y) : fmax(0.1 * fabs(a.high_y), 1e-9);
    a.low_x = 0;
    a.high_x *= 1.05;
    a.low_y -= room;
    a.high_y += room;
    return a;
}

static double x_of(const struct axes *a, double ns)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (ns - a->low_x) / (a->high_x - a->low_x);
}

static double y_of(const struct axes *a, double loss)
{
    double share = fmin(fmax((loss - a->low_y) / (a->high_y - a->low_y), 0), 1);
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
}

static void put_axes(struct lp_buffer *out, const struct lp_optimized *o, const struct axes *a, double price)
{
    double scale = price > 0 ? price / 3.6e6 : 1; /* nanoseconds a row to the price of a million */
    for (int i = 0; i <= TICKS; i++) {
        double ns = a->low_x + (a->high_x - a->low_x) * i / TICKS, loss = a->low_y + (a->high_y - a->low_y) * i / TICKS;
        lp_buffer_format(out,
                         "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/><text x='%d' y='%.1f' "
                         "text-anchor='end'>%.6g</text>",
                         LEFT, WIDTH - RIGHT, y_of(a, loss), y_of(a, loss), LEFT - 6, y_of(a, loss) + 4, loss);
        lp_buffer_format(out, "<text x='%.1f' y='%d' text-anchor='middle'>%.*g</text>", x_of(a, ns),
                         HEIGHT - BOTTOM + 18, a->high_x * scale >= 1000 ? 5 : 3, round(ns * scale * 1000) / 1000);
    }
    lp_buffer_format(out, "<text x='%d' y='%d'>%s, lower is better</text><text x='%d' y='%d' text-anchor='middle'>%s",
                     8, 18, lp_optimize_loss_name(o->model->bundle), (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8,
                     price > 0 ? "price of a million rows" : "ns a row on one core");
    lp_buffer_format(out, ", batches of %u</text>", o->batch);
}

static int by_ns(const void *a, const void *b)
{
    const struct lp_variant *x = *(const struct lp_variant *const *)a, *y = *(const struct lp_variant *const *)b;
    return (x->speed.ns > y->speed.ns) - (x->speed.ns < y->speed.ns);
}

/* Loss over price alone: what is on the frontier for its bytes only lies above the line. */
static void put_frontier(struct lp_buffer *out, const struct axes *a, const struct lp_variant **sorted, uint32_t count)
{
    double least = INFINITY;
    lp_buffer_text(out, "<polyline fill='none' stroke='#1f77b4' stroke-width='1.5' points='");
    for (uint32_t i = 0; i < count; i++) {
        double loss = sorted[i]->judged.quality.loss;
        if (!sorted[i]->candidate || !(loss < least)) continue;
        least = loss;
        lp_buffer_format(out, "%.1f,%.1f ", x_of(a, sorted[i]->speed.ns), y_of(a, loss));
    }
    lp_buffer_text(out, "'/>");
}

/* Names in their own column from the top down, each with a line to its point: points may lie on each other. */
static void put_point(struct lp_buffer *out, const struct lp_optimized *o, const struct axes *a,
                      const struct lp_variant *v, const struct lp_variant *pick, double label_y)
{
    double x = x_of(a, v->speed.ns), y = y_of(a, v->judged.quality.loss);
    const char *color = v == pick ? "#d62728" : !v->candidate || v->dominated ? "#999" : "#1f77b4";
    lp_buffer_format(out, "<line x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' stroke='%s' stroke-opacity='.5'/>", x, x,
                     y_of(a, low_of(o, v)), y_of(a, high_of(o, v)), color);
    lp_buffer_format(out, "<line x1='%.1f' x2='%d' y1='%.1f' y2='%.1f' stroke='%s' stroke-opacity='.25'/>", x,
                     WIDTH - RIGHT + 6, y, label_y - 4, color);
    lp_buffer_format(out, "<circle cx='%.1f' cy='%.1f' r='5' fill='%s' stroke='%s'/>", x, y,
                     v->candidate && !v->dominated ? color : "#fff", color);
    lp_buffer_format(out, "<text x='%d' y='%.1f' style='fill:%s'>", WIDTH - RIGHT + 10, label_y, color);
    put_text(out, v->name);
    lp_buffer_text(out, v->judged.quality.loss > a->high_y ? " (beyond)</text>" : "</text>");
}

static int by_loss(const void *a, const void *b)
{
    const struct lp_variant *x = *(const struct lp_variant *const *)a, *y = *(const struct lp_variant *const *)b;
    double p = x->judged.quality.loss, q = y->judged.quality.loss;
    return (p < q) - (p > q);
}

static void put_picture(struct lp_buffer *out, const struct lp_optimized *o, const struct lp_variant *pick,
                        double price)
{
    const struct lp_variant *sorted[LP_VARIANTS_MAX];
    struct axes a = find_axes(o);
    uint32_t count = 0;
    double label_y = TOP;
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (is_drawn(&o->variants[i])) sorted[count++] = &o->variants[i];
    lp_buffer_format(out,
                     "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' role='img' "
                     "style='background:#fff'><style>text{font:12px sans-serif;fill:#444}</style>",
                     WIDTH, HEIGHT, WIDTH, HEIGHT);
    put_axes(out, o, &a, price);
    qsort(sorted, count, sizeof *sorted, by_ns);
    put_frontier(out, &a, sorted, count);
    qsort(sorted, count, sizeof *sorted, by_loss);
    for (uint32_t i = 0; i < count; i++) {
        label_y = fmax(label_y + LINE, y_of(&a, sorted[i]->judged.quality.loss) - LINE * 2);
        put_point(out, o, &a, sorted[i], pick, fmin(label_y, HEIGHT - BOTTOM - (double)LINE * (count - 1 - i)));
    }
    lp_buffer_text(out, "</svg>\n");
}

static void put_cell(struct lp_buffer *out, const struct lp_interval *d)
{
    if (isfinite(d->low)) lp_buffer_format(out, "<td>%+.2g (%+.2g to %+.2g)</td>", d->difference, d->low, d->high);
    else lp_buffer_text(out, "<td>-</td>");
}

static void put_table(struct lp_buffer *out, const struct lp_optimized *o, const struct lp_variant *pick, double price)
{
    lp_buffer_format(out,
                     "<table><tr><th>variant</th><th>%s</th><th>difference (95 %%)</th><th>AUC difference (95 %%)</th>"
                     "<th>ns a row</th><th>p99 of a batch, &micro;s</th><th>rows/CPU s</th><th>bytes</th>%s<th></th>"
                     "</tr>\n",
                     lp_optimize_loss_name(o->model->bundle), price > 0 ? "<th>price/million</th>" : "");
    for (uint32_t i = 0; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        lp_buffer_text(out, "<tr><td>");
        put_text(out, v->name);
        lp_buffer_format(out, "</td><td>%.6g</td>", v->judged.quality.loss);
        put_cell(out, &v->differences.loss);
        put_cell(out, &v->differences.auc);
        if (is_drawn(v))
            lp_buffer_format(out, "<td>%.1f</td><td>%.2f</td><td>%.0f</td>", v->speed.ns, v->speed.p99_ns / 1e3,
                             1e9 / v->speed.ns);
        else lp_buffer_text(out, "<td>-</td><td>-</td><td>-</td>");
        lp_buffer_format(out, "<td>%llu</td>", (unsigned long long)v->bytes);
        if (price > 0 && is_drawn(v)) lp_buffer_format(out, "<td>%.3g</td>", lp_optimize_price(v, price));
        else if (price > 0) lp_buffer_text(out, "<td>-</td>");
        lp_buffer_format(out, "<td>%s</td></tr>\n",
                         v == pick       ? "picked"
                         : !v->candidate ? "only measured"
                         : v->dominated  ? "dominated"
                                         : "frontier");
    }
    lp_buffer_text(out, "</table>\n");
}

static void put_page(struct lp_buffer *out, const struct lp_optimized *o, const struct lp_variant *pick, double price)
{
    lp_buffer_text(out, "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>lepton optimize: ");
    put_text(out, o->model->bundle->name);
    lp_buffer_text(out, "</title><style>body{font:14px sans-serif;max-width:1100px;margin:2em auto;color:#222}"
                        "td,th{padding:2px 12px 2px 0;text-align:right}td:first-child,th:first-child{text-align:left}"
                        "</style></head><body><h1>");
    put_text(out, o->model->bundle->name);
    lp_buffer_text(out, " ");
    put_text(out, o->model->bundle->version);
    lp_buffer_format(out, "</h1><p>%u rows; bars are 95 %% intervals of the difference to the original.</p>\n",
                     o->valid.row_count);
    put_picture(out, o, pick, price);
    put_table(out, o, pick, price);
    for (uint32_t i = 0; i < o->verdict_count; i++) {
        lp_buffer_text(out, "<p>");
        put_text(out, o->verdicts[i]);
        lp_buffer_text(out, "</p>\n");
    }
    lp_buffer_text(out, "</body></html>\n");
}

enum lp_code lp_optimize_draw(const struct lp_optimized *o, const struct lp_variant *pick, double price, bool page,
                              const char *path, struct lp_error *err)
{
    struct lp_buffer out;
    lp_buffer_init(&out, SIZE_MAX / 2);
    if (page) put_page(&out, o, pick, price);
    else put_picture(&out, o, pick, price);
    enum lp_code rc = lp_buffer_check(&out, "the picture", err);
    if (rc == LP_OK) rc = lp_bundle_save(path, lp_buffer_span(&out), err);
    lp_buffer_done(&out);
    return rc;
}
