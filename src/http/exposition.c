#include "http/exposition.h"

#include <math.h>

/* HELP text: backslash and newline are escaped; a label's value its quotes as well. */
static void append_escaped(struct lp_buffer *out, const char *text, bool quotes)
{
    for (const char *run = text;;) {
        size_t plain = strcspn(run, quotes ? "\\\n\"" : "\\\n");
        lp_buffer_append(out, run, plain);
        run += plain;
        if (*run == '\0') return;
        lp_buffer_append(out, (const char[]){'\\', *run == '\n' ? 'n' : *run}, 2);
        run++;
    }
}

static void append_value(struct lp_buffer *out, double value)
{
    if (isnan(value)) lp_buffer_text(out, "NaN");
    else if (isinf(value)) lp_buffer_text(out, value > 0 ? "+Inf" : "-Inf");
    else lp_buffer_double(out, value);
}

void lp_exposition_family(struct lp_buffer *out, const char *name, const char *type, const char *help)
{
    lp_buffer_format(out, "# HELP %s ", name);
    append_escaped(out, help, false);
    lp_buffer_format(out, "\n# TYPE %s %s\n", name, type);
}

/* `bound` NULL: no le label. */
static void append_sample(struct lp_buffer *out, const char *name, const char *suffix, const struct lp_label *labels,
                          const double *bound, double value)
{
    lp_buffer_text(out, name);
    lp_buffer_text(out, suffix);
    const char *separator = "{";
    for (const struct lp_label *label = labels; label != NULL && label->name != NULL; label++, separator = ",") {
        lp_buffer_format(out, "%s%s=\"", separator, label->name);
        append_escaped(out, label->value != NULL ? label->value : "", true);
        lp_buffer_text(out, "\"");
    }
    if (bound != NULL) {
        lp_buffer_format(out, "%sle=\"", separator);
        append_value(out, *bound);
        lp_buffer_text(out, "\"");
        separator = ",";
    }
    lp_buffer_text(out, *separator == ',' ? "} " : " ");
    append_value(out, value);
    lp_buffer_text(out, "\n");
}

void lp_exposition_sample(struct lp_buffer *out, const char *name, const struct lp_label *labels, double value)
{
    append_sample(out, name, "", labels, NULL, value);
}

void lp_exposition_histogram(struct lp_buffer *out, const char *name, const struct lp_label *labels,
                             const double *bounds, uint32_t bound_count, const uint64_t *counts, double sum)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= bound_count; i++) {
        double bound = i < bound_count ? bounds[i] : (double)INFINITY;
        total += counts[i];
        append_sample(out, name, "_bucket", labels, &bound, (double)total);
    }
    append_sample(out, name, "_sum", labels, NULL, sum);
    append_sample(out, name, "_count", labels, NULL, (double)total);
}
