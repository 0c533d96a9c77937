/* The report of `lepton fit` as text and as JSON. */
#include "cmd/fit_report.h"

#include "cmd/terminal.h"
#include "fit/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 60, WIDTH_USUAL = 100, NAME_MAX_BYTES = 28, SPARK_BINS = 8, SPARK_BAR_BYTES = 4 };

struct style {
    bool colour;
    int width, name_width;
};

static struct style find_style(const struct lp_fit *fit, FILE *to)
{
    struct style style = {.width = WIDTH_USUAL, .name_width = 6};
    struct winsize size;
    const char *no_color = getenv("NO_COLOR");
    bool terminal = isatty(fileno(to));
    style.colour = terminal && (no_color == NULL || *no_color == '\0');
    if (terminal && ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
    if (style.width < WIDTH_MIN) style.width = WIDTH_MIN;
    for (uint32_t i = 0; i < fit->column_count; i++) {
        int length = (int)strlen(fit->columns[i].path);
        if (length > style.name_width) style.name_width = length < NAME_MAX_BYTES ? length : NAME_MAX_BYTES;
    }
    return style;
}

static const char *colour_of(const struct style *style, const char *code) { return style->colour ? code : ""; }

/* Eight bars between the 1 % and the 99 % quantile: what the column looks like at a glance. */
static void spark(const struct lp_fit_column *column, char *text)
{
    static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double counts[SPARK_BINS], most = 0;
    double low = lp_quantiles_at(&column->view, 0.01), high = lp_quantiles_at(&column->view, 0.99);
    *text = '\0';
    if (column->view.count == 0 || !(high > low)) return;
    for (int i = 0; i < SPARK_BINS; i++) {
        double from = low + (high - low) * i / SPARK_BINS, upto = low + (high - low) * (i + 1) / SPARK_BINS;
        /* The last bin is closed. */
        if (i == SPARK_BINS - 1) upto = nextafter(high, INFINITY);
        counts[i] = lp_quantiles_below(&column->view, upto) - lp_quantiles_below(&column->view, from);
        most = fmax(most, counts[i]);
    }
    for (int i = 0; i < SPARK_BINS; i++)
        text += snprintf(text, SPARK_BAR_BYTES, "%s", bars[counts[i] > 0 ? 1 + (int)(7 * counts[i] / most) : 0]);
}

/* A number in at most nine characters. */
static const char *brief(double value, char *text)
{
    if (isnan(value)) return "";
    snprintf(text, 32, fabs(value) >= 1e6 || (value != 0 && fabs(value) < 1e-4) ? "%.3g" : "%.5g", value);
    return text;
}

static void print_numbers(const struct lp_fit_column *column, FILE *to)
{
    char a[32], b[32], c[32], d[32], e[32], bars[SPARK_BINS * SPARK_BAR_BYTES];
    const struct lp_moments *m = &column->moments;
    spark(column, bars);
    if (m->count == 0) return;
    fprintf(to, "%9s ± %-9s %9s %9s %9s  %s", brief(lp_moments_mean(m), a), brief(lp_moments_std(m), b),
            brief(m->min, c), brief(lp_quantiles_at(&column->view, 0.5), d), brief(m->max, e), bars);
}

static void print_words(const struct lp_fit_column *column, int room, FILE *to)
{
    const struct lp_top_entry **top = lp_top_sorted(&column->top);
    char line[512];
    size_t used = 0;
    for (uint32_t i = 0; top != NULL && i < column->top.count && i < 4; i++) {
        int more = snprintf(line + used, sizeof line - used, "%s%.*s %.0f %%", i > 0 ? ", " : "", 24, top[i]->text,
                            100.0 * (double)top[i]->count / (double)column->seen);
        if (more < 0 || used + (size_t)more >= sizeof line || (int)used + more > room) break;
        used += (size_t)more;
    }
    line[used] = '\0';
    if (used > 0) lp_print_safe(to, "%s", line);
    free(top);
}

static void print_column(const struct lp_fit *fit, const struct style *style, const struct lp_fit_column *column,
                         FILE *to)
{
    char distinct[32], missing[32] = "", correlation[32] = "", name[NAME_MAX_BYTES + 1];
    double r = lp_fit_correlation(fit, column);
    bool feature = lp_fit_is_feature(column->kind);
    if (column->missing > 0)
        snprintf(missing, sizeof missing, "%.1f %%", 100.0 * (double)column->missing / (double)fit->records);
    if (!isnan(r)) snprintf(correlation, sizeof correlation, "%.3f", r);
    brief(round(column->distinct_count), distinct);
    snprintf(name, sizeof name, "%s", column->path);
    lp_text_make_safe(name);
    fprintf(to, "%s%-*s %-10s%s %7s %8s %6s  ", feature ? "" : colour_of(style, "\033[2m"), style->name_width, name,
            lp_fit_kind_name(column->kind), colour_of(style, "\033[0m"), missing, column->want < 0 ? "" : distinct,
            correlation);
    if (!feature && column->kind != LP_FIT_LABEL) lp_print_safe(to, "%s", column->reason);
    else if (column->numeric) print_numbers(column, to);
    else if (!column->hashed) print_words(column, style->width - style->name_width - 46, to);
    fputc('\n', to);
}

static void print_skews(const struct lp_fit *fit, const struct style *style, FILE *to)
{
    if (fit->skew_count == 0) return;
    fprintf(to, "\n%sagainst the earlier spec%s\n%-*s %8s %9s %9s\n", colour_of(style, "\033[1m"),
            colour_of(style, "\033[0m"), style->name_width, "column", "PSI", "missing", "before");
    for (uint32_t i = 0; i < fit->skew_count; i++) {
        const struct lp_fit_skew *skew = &fit->skews[i];
        char psi[32] = "", now[32] = "", before[32] = "";
        if (!isnan(skew->psi)) snprintf(psi, sizeof psi, "%.4f", skew->psi);
        if (!isnan(skew->missing_now)) snprintf(now, sizeof now, "%.1f %%", 100 * skew->missing_now);
        if (!isnan(skew->missing_before)) snprintf(before, sizeof before, "%.1f %%", 100 * skew->missing_before);
        lp_print_safe(to, "%-*.*s %8s %9s %9s  %s\n", style->name_width, style->name_width, skew->column, psi, now,
                      before, skew->verdict);
    }
}

static enum lp_code print_classes(const struct lp_fit *fit, const struct style *style, FILE *to, struct lp_error *err)
{
    struct lp_fit_class *classes;
    uint32_t count;
    LP_TRY(lp_fit_classes(fit, &classes, &count, err));
    if (count > 0) {
        fprintf(to, "\n%slabel%s", colour_of(style, "\033[1m"), colour_of(style, "\033[0m"));
        for (uint32_t i = 0; i < count && i < 20; i++)
            lp_print_safe(to, "%s %.40s: %llu (%.2f %%)", i > 0 ? "," : "", classes[i].name,
                          (unsigned long long)classes[i].count,
                          100.0 * (double)classes[i].count / (double)fit->records);
        fputs(count > 20 ? ", ...\n" : "\n", to);
    }
    free(classes);
    return LP_OK;
}

static void print_warnings(const struct lp_fit *fit, const struct style *style, FILE *to)
{
    if (fit->warning_count > 0) fputc('\n', to);
    for (uint32_t i = 0; i < fit->warning_count; i++) {
        const struct lp_fit_warning *warning = &fit->warnings[i];
        fprintf(to, "%swarning%s ", colour_of(style, "\033[33m"), colour_of(style, "\033[0m"));
        lp_print_safe(to, "%s%s%s\n", warning->column != NULL ? warning->column : "",
                      warning->column != NULL ? ": " : "", warning->text);
    }
}

enum lp_code lp_fit_report_text(const struct lp_fit *fit, const char *path, const char *out, FILE *to,
                                struct lp_error *err)
{
    struct style style = find_style(fit, to);
    double seconds = (double)fit->elapsed_ns / 1e9;
    uint32_t features = 0;
    lp_print_safe(to, "%s: %s, %llu records, %u columns, %.1f MB in %.2f s (%u threads)\n", path, fit->format,
                  (unsigned long long)fit->records, fit->column_count, (double)fit->bytes / 1e6, seconds, fit->threads);
    fprintf(to, "\n%s%-*s %-10s %7s %8s %6s  %9s   %-9s %9s %9s %9s%s\n", colour_of(&style, "\033[1m"),
            style.name_width, "column", "kind", "missing", "distinct", fit->label >= 0 ? "corr" : "", "mean", "std",
            "min", "median", "max", colour_of(&style, "\033[0m"));
    for (uint32_t i = 0; i < fit->column_count; i++) {
        print_column(fit, &style, &fit->columns[i], to);
        features += lp_fit_is_feature(fit->columns[i].kind);
    }
    LP_TRY(print_classes(fit, &style, to, err));
    print_skews(fit, &style, to);
    print_warnings(fit, &style, to);
    if (out != NULL) {
        fputc('\n', to);
        lp_print_safe(to, "%s: %u features\n", out, features);
    }
    return LP_OK;
}

/* --- JSON --- */

static json_t *finite_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void set_quantiles(json_t *json, const struct lp_fit_column *column)
{
    static const struct {
        const char *name;
        double q;
    } points[] = {{"0.001", 0.001}, {"0.01", 0.01}, {"0.05", 0.05}, {"0.1", 0.1},   {"0.25", 0.25},  {"0.5", 0.5},
                  {"0.75", 0.75},   {"0.9", 0.9},   {"0.95", 0.95}, {"0.99", 0.99}, {"0.999", 0.999}};
    json_t *quantiles = json_object();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        json_object_set_new(quantiles, points[i].name, finite_or_null(lp_quantiles_at(&column->view, points[i].q)));
    json_object_set_new(json, "quantiles", quantiles);
    json_object_set_new(json, "quantile_error", json_real(lp_quantiles_error(&column->quantiles)));
}

static json_t *column_json(const struct lp_fit *fit, const struct lp_fit_column *column)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "column", column->path, "kind", lp_fit_kind_name(column->kind),
                             "reason", column->reason);
    if (column->want < 0) return json;
    json_object_set_new(json, "count", json_integer((json_int_t)column->seen));
    json_object_set_new(json, "missing", json_integer((json_int_t)column->missing));
    json_object_set_new(json, "distinct", json_real(round(column->distinct_count)));
    double r = lp_fit_correlation(fit, column);
    if (!isnan(r)) json_object_set_new(json, "correlation", json_real(r));
    if (column->numeric && column->moments.count > 0) {
        json_object_set_new(json, "mean", finite_or_null(lp_moments_mean(&column->moments)));
        json_object_set_new(json, "std", finite_or_null(lp_moments_std(&column->moments)));
        json_object_set_new(json, "min", json_real(column->moments.min));
        json_object_set_new(json, "max", json_real(column->moments.max));
        json_object_set_new(json, "infinite", json_integer((json_int_t)(column->infinite_low + column->infinite_high)));
        set_quantiles(json, column);
    } else if (!column->numeric && !column->hashed) {
        const struct lp_top_entry **top = lp_top_sorted(&column->top);
        json_t *list = json_array();
        for (uint32_t i = 0; top != NULL && i < column->top.count && i < 20; i++)
            json_array_append_new(list,
                                  json_pack("{s:o, s:I, s:I}", "value", json_stringn(top[i]->text, top[i]->bytes),
                                            "count", (json_int_t)top[i]->count, "error", (json_int_t)top[i]->error));
        json_object_set_new(json, "top", list);
        free(top);
    }
    return json;
}

enum lp_code lp_fit_report_json(const struct lp_fit *fit, const json_t *spec, FILE *to, struct lp_error *err)
{
    json_t *columns = json_array(), *warnings = json_array(), *classes = json_array(), *skews = json_array();
    struct lp_fit_class *list;
    uint32_t count;
    LP_TRY(lp_fit_classes(fit, &list, &count, err));
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(classes,
                              json_pack("{s:s, s:I}", "name", list[i].name, "count", (json_int_t)list[i].count));
    free(list);
    for (uint32_t i = 0; i < fit->column_count; i++) json_array_append_new(columns, column_json(fit, &fit->columns[i]));
    for (uint32_t i = 0; i < fit->warning_count; i++)
        json_array_append_new(
            warnings, json_pack("{s:s?, s:s}", "column", fit->warnings[i].column, "text", fit->warnings[i].text));
    for (uint32_t i = 0; i < fit->skew_count; i++)
        json_array_append_new(skews, json_pack("{s:s?, s:o, s:s}", "column", fit->skews[i].column, "psi",
                                               finite_or_null(fit->skews[i].psi), "verdict", fit->skews[i].verdict));
    json_t *shown = spec != NULL ? json_deep_copy(spec) : json_null();
    json_t *report =
        json_pack("{s:s, s:I, s:I, s:I, s:f, s:b, s:f, s:i, s:o, s:o, s:o, s:o, s:o}", "format", fit->format, "records",
                  (json_int_t)fit->records, "rejected", (json_int_t)fit->rejected, "bytes", (json_int_t)fit->bytes,
                  "repeated", fit->repeated, "repeated_is_estimate", fit->repeated_is_estimate, "seconds",
                  (double)fit->elapsed_ns / 1e9, "threads", (int)fit->threads, "columns", columns, "classes", classes,
                  "warnings", warnings, "skew", skews, "spec", shown);
    char *text = report != NULL ? json_dumps(report, JSON_REAL_PRECISION(17) | JSON_COMPACT) : NULL;
    json_decref(report);
    if (text == NULL) return lp_fail_memory(err, sizeof *report);
    fprintf(to, "%s\n", text);
    free(text);
    return LP_OK;
}
