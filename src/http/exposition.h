/* Writing the Prometheus text format: names, HELP and TYPE once a family, labels escaped. */
#ifndef LP_HTTP_EXPOSITION_H
#define LP_HTTP_EXPOSITION_H

#include "core/buffer.h"

#include <stdint.h>

struct lp_label {
    const char *name, *value;
};

/** HELP and TYPE lines; `type` is "counter", "gauge" or "histogram". */
void lp_exposition_family(struct lp_buffer *out, const char *name, const char *type, const char *help);
/** One sample; labels end with a NULL name; `labels` may be NULL. */
void lp_exposition_sample(struct lp_buffer *out, const char *name, const struct lp_label *labels, double value);
/** A histogram: cumulative buckets from per-bucket counts. bounds[bound_count] in the unit of the name; counts has
 *  bound_count + 1 entries, the last above every bound. */
void lp_exposition_histogram(struct lp_buffer *out, const char *name, const struct lp_label *labels,
                             const double *bounds, uint32_t bound_count, const uint64_t *counts, double sum);

#endif
